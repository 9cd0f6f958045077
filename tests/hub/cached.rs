//! A cache as huggingface_hub leaves it: what is whole is found where it lies, what is not is passed over.

use std::fs;
use std::path::{Path, PathBuf};

use lorikeet_hub::{CachedModel, HubCache, Wanted};
use tempfile::TempDir;

const OLD: &str = "1111111111111111111111111111111111111111";
const NEW: &str = "2222222222222222222222222222222222222222";

struct Made(TempDir);

impl Made {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn snapshot(&self, repository: &str, commit: &str) -> PathBuf {
        self.0.path().join(repository).join("snapshots").join(commit)
    }

    /// Puts files into a snapshot as links to blobs.
    fn with(self, repository: &str, commit: &str, files: &[(&str, &str)]) -> Self {
        for (n, (name, content)) in files.iter().enumerate() {
            let blob = self.0.path().join(repository).join("blobs").join(format!("{commit}{n}"));
            fs::create_dir_all(blob.parent().unwrap()).unwrap();
            fs::write(&blob, content).unwrap();
            let link = self.snapshot(repository, commit).join(name);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            link_to(&blob, &link);
        }
        self
    }

    fn named(self, repository: &str, revision: &str, commit: &str) -> Self {
        let file = self.0.path().join(repository).join("refs").join(revision);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, commit).unwrap();
        self
    }

    fn cache(&self) -> HubCache {
        HubCache::at(self.0.path().to_owned())
    }

    fn names(&self) -> Vec<String> {
        self.cache().models().unwrap().into_iter().map(|model| model.name).collect()
    }
}

#[cfg(unix)]
fn link_to(blob: &Path, link: &Path) {
    std::os::unix::fs::symlink(blob, link).unwrap();
}

/// Where links are not allowed, huggingface_hub copies.
#[cfg(not(unix))]
fn link_to(blob: &Path, link: &Path) {
    fs::copy(blob, link).unwrap();
}

const PLAIN: [(&str, &str); 3] = [("config.json", "{}"), ("tokenizer.json", "{}"), ("model.safetensors", "12345")];
const INDEX: &str =
    r#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}"#;

fn sharded(n: usize) -> Vec<(&'static str, &'static str)> {
    let shards = [("model-00001-of-00002.safetensors", "1"), ("model-00002-of-00002.safetensors", "2")];
    let rest = [("config.json", "{}"), ("vocab.txt", "a"), ("model.safetensors.index.json", INDEX)];
    rest.into_iter().chain(shards.into_iter().take(n)).collect()
}

#[test]
fn whole_models_are_found_and_broken_ones_are_not() {
    let made = Made::new()
        .with("models--o--plain", NEW, &PLAIN)
        .named("models--o--plain", "main", NEW)
        .with("models--gpt2", OLD, &sharded(2))
        .with("models--o--quants", NEW, &[("q/n-Q4_K_M.gguf", "123")])
        .with("models--o--shard-missing", NEW, &sharded(1))
        .with("models--o--pickle", NEW, &[("config.json", "{}"), ("tokenizer.json", "{}"), ("pytorch_model.bin", "x")])
        .with("models--o--weights-only", NEW, &[PLAIN[0], PLAIN[2]])
        .with("models--o--no-files", NEW, &[])
        .with("datasets--o--rows", NEW, &PLAIN)
        .with("models--..--n", NEW, &PLAIN);
    fs::write(made.0.path().join("version.txt"), "1").unwrap();
    assert_eq!(made.names(), ["gpt2", "o/plain", "o/quants"]);
    let found = made.cache().models().unwrap();
    assert_eq!(found[1].path, made.snapshot("models--o--plain", NEW));
    assert_eq!(found[1].n_bytes, 9);
    assert_eq!(found[2].path, made.snapshot("models--o--quants", NEW).join("q/n-Q4_K_M.gguf"));
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_is_no_file() {
    let made = Made::new().with("models--o--n", NEW, &PLAIN);
    assert_eq!(made.names(), ["o/n"]);
    fs::remove_file(made.0.path().join(format!("models--o--n/blobs/{NEW}2"))).unwrap();
    assert!(made.names().is_empty());
}

#[test]
fn a_revision_is_found_by_branch_and_commit() {
    let repository = "models--o--n";
    let made = Made::new()
        .with(repository, OLD, &PLAIN)
        .with(repository, NEW, &PLAIN)
        .named(repository, "main", NEW)
        .named(repository, "refs/pr/1", OLD)
        .named(repository, "gone", "3333")
        .named(repository, "empty", "")
        .named(repository, "outside", "/");
    let find = |revision| made.cache().find(&Wanted::new("o/n", revision, None).unwrap()).map(|found| found.path);
    assert_eq!(find(None), Some(made.snapshot(repository, NEW)));
    assert_eq!(find(Some("refs/pr/1")), Some(made.snapshot(repository, OLD)));
    assert_eq!(find(Some(OLD)), Some(made.snapshot(repository, OLD)));
    for other in ["dev", "gone", "empty", "outside", "../refs/main", "/", "."] {
        assert_eq!(find(Some(other)), None, "{other}");
    }
    assert_eq!(made.cache().models().unwrap()[0].path, made.snapshot(repository, NEW));
}

#[test]
fn one_gguf_file_of_several_is_found_by_its_name() {
    let repository = "models--o--n";
    let made = Made::new().with(repository, NEW, &[("a.gguf", "1"), ("b.gguf", "22")]).named(repository, "main", NEW);
    let find = |file| made.cache().find(&Wanted::new("o/n", None, file).unwrap());
    assert_eq!(find(None), None);
    assert_eq!(find(Some("c.gguf")), None);
    let path = made.snapshot(repository, NEW).join("b.gguf");
    assert_eq!(find(Some("b.gguf")), Some(CachedModel { name: "o/n".into(), path, n_bytes: 2 }));
    assert!(made.names().is_empty());
}

#[test]
fn the_cache_is_where_the_environment_says() {
    let of = |set: &[(&str, &str)]| {
        let variable = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).into());
        HubCache::of_environment(variable).map(|cache| format!("{cache:?}")).unwrap_or_default()
    };
    let at = |path: &str| format!("{:?}", HubCache::at(path.into()));
    let (cache, home, xdg) = (("HF_HUB_CACHE", "/a"), ("HF_HOME", "/b"), ("XDG_CACHE_HOME", "/c"));
    assert_eq!(of(&[cache, home, xdg]), at("/a"));
    assert_eq!(of(&[("HF_HUB_CACHE", ""), home, xdg]), at("/b/hub"));
    assert_eq!(of(&[xdg]), at("/c/huggingface/hub"));
    let missing = Made::new();
    assert_eq!(HubCache::at(missing.0.path().join("none")).models().unwrap(), []);
}
