//! What lies in a repository, as the hub tells it, and which of it makes a model: configuration, tokenizer, safetensors; or
//! one GGUF file. Never a pickle, because reading one runs it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{HubError, Result, Wanted};

/// Files beside the weights.
const COMPANIONS: [&str; 13] = [
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "README.md",
    "LICENSE",
    "LICENSE.txt",
];
const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
pub(crate) const INDEX: &str = "model.safetensors.index.json";
const PICKLES: [&str; 5] = [".bin", ".pt", ".pth", ".pkl", ".ckpt"];
/// More files than any model has.
pub(crate) const MOST_FILES: usize = 100_000;

/// A file of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemoteFile {
    /// Its path in the repository.
    pub path: String,
    /// Its size.
    pub size: u64,
    /// SHA-256 of its content, as 64 hexadecimal digits, where the hub states one: for every large file.
    pub sha256: Option<String>,
}

impl RemoteFile {
    /// Its name without folders.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// A repository at one commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listing {
    /// The commit.
    pub commit: String,
    /// The files.
    pub files: Vec<RemoteFile>,
}

impl Listing {
    /// Reads the hub's answer.
    ///
    /// # Errors
    /// A sentence that says what is missing.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let raw: Value = serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?;
        let commit = raw.get("sha").and_then(Value::as_str).ok_or("it names no commit")?;
        if commit.is_empty() || !commit.chars().all(|c| c.is_ascii_alphanumeric()) {
            return Err(format!("this is no commit: {commit}"));
        }
        let files = raw.get("siblings").and_then(Value::as_array).ok_or("it lists no files")?;
        let files = files.iter().take(MOST_FILES).filter_map(file).collect();
        Ok(Self { commit: commit.to_owned(), files })
    }

    /// The same with only the files that `wanted` needs.
    ///
    /// # Errors
    /// Where there is no model among them, or more than one.
    pub fn chosen(self, wanted: &Wanted) -> Result<Self> {
        let repository = wanted.repository.as_str().to_owned();
        let files = match &wanted.file {
            Some(file) => self.one(file, repository)?,
            None if self.has(CONFIG) && self.has_weights() => self.model(),
            None => self.only_gguf(repository)?,
        };
        Ok(Self { files, ..self })
    }

    /// Whether there is a file of this path.
    pub fn has(&self, path: &str) -> bool {
        self.files.iter().any(|file| file.path == path)
    }

    fn has_weights(&self) -> bool {
        self.has(WEIGHTS) || self.has(INDEX)
    }

    fn model(&self) -> Vec<RemoteFile> {
        let whole = self.has(WEIGHTS);
        let is_weight = |path: &str| match whole {
            true => path == WEIGHTS,
            false => path == INDEX || (path.starts_with("model-") && path.ends_with(".safetensors")),
        };
        let wanted = |file: &&RemoteFile| {
            let path = file.path.as_str();
            path == CONFIG || COMPANIONS.contains(&path) || is_weight(path)
        };
        let mut files: Vec<RemoteFile> = self.files.iter().filter(wanted).cloned().collect();
        // Small files first: what is wrong with a model shows before gigabytes came.
        files.sort_by_key(|file| file.size);
        files
    }

    fn ggufs(&self) -> Vec<&RemoteFile> {
        self.files.iter().filter(|file| file.path.to_ascii_lowercase().ends_with(".gguf")).collect()
    }

    fn one(&self, given: &str, repository: String) -> Result<Vec<RemoteFile>> {
        let ggufs = self.ggufs();
        let found = ggufs.iter().find(|file| file.path == given || file.name() == given);
        match found {
            Some(file) => Ok(vec![(*file).clone()]),
            None => {
                let names = if ggufs.is_empty() { "no GGUF file".to_owned() } else { names(&ggufs) };
                Err(HubError::NoSuchFile { repository, file: given.to_owned(), names })
            }
        }
    }

    fn only_gguf(&self, repository: String) -> Result<Vec<RemoteFile>> {
        let is_pickle = |file: &RemoteFile| PICKLES.iter().any(|end| file.path.ends_with(end));
        match self.ggufs().as_slice() {
            [one] => Ok(vec![(*one).clone()]),
            [] if self.files.iter().any(is_pickle) => {
                let reason = "its weights are pickles, which are never read; look for a revision with safetensors";
                Err(HubError::NoModel { repository, reason: reason.to_owned() })
            }
            [] => {
                let reason = "it has neither `config.json` with safetensors nor a GGUF file".to_owned();
                Err(HubError::NoModel { repository, reason })
            }
            several => Err(HubError::Several { repository, names: names(several) }),
        }
    }
}

fn names(files: &[&RemoteFile]) -> String {
    files.iter().map(|file| format!("`{}`", file.path)).collect::<Vec<_>>().join(", ")
}

/// A file as the hub tells of it; one whose path could leave its folder is passed over.
fn file(raw: &Value) -> Option<RemoteFile> {
    let path = raw.get("rfilename")?.as_str()?;
    let is_plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['\\', ':', '\0']);
    if !path.split('/').all(is_plain) {
        return None;
    }
    let lfs = raw.get("lfs").filter(|lfs| lfs.is_object());
    let size = |raw: &Value| raw.get("size").and_then(Value::as_u64);
    let sha256 = lfs.and_then(|lfs| lfs.get("sha256").or_else(|| lfs.get("oid"))).and_then(Value::as_str);
    let is_hash = |hash: &&str| hash.len() == 64 && hash.chars().all(|c| c.is_ascii_hexdigit());
    let sha256 = sha256.filter(is_hash).map(str::to_ascii_lowercase);
    Some(RemoteFile { path: path.to_owned(), size: lfs.and_then(size).or_else(|| size(raw))?, sha256 })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn listing(paths: &[&str]) -> Listing {
        let files: Vec<Value> = paths.iter().map(|path| json!({"rfilename": path, "size": 5})).collect();
        Listing::parse(&json!({"sha": "abc1", "siblings": files}).to_string()).unwrap()
    }

    fn chosen(paths: &[&str], file: Option<&str>) -> Result<Vec<String>> {
        let wanted = Wanted::new("o/n", None, file).unwrap();
        Ok(listing(paths).chosen(&wanted)?.files.into_iter().map(|file| file.path).collect())
    }

    #[test]
    fn only_what_a_model_needs_is_taken() {
        let paths = [
            "config.json",
            "model.safetensors",
            "model-00001-of-00002.safetensors",
            "pytorch_model.bin",
            "tokenizer.json",
            "onnx/model.onnx",
            "tf_model.h5",
            "README.md",
        ];
        assert_eq!(chosen(&paths, None).unwrap(), ["config.json", "model.safetensors", "tokenizer.json", "README.md"]);
        let shards = ["config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors"];
        assert_eq!(chosen(&shards, None).unwrap(), shards);
        assert_eq!(chosen(&["a.gguf", ".gitattributes"], None).unwrap(), ["a.gguf"]);
        assert_eq!(chosen(&["q/a.gguf", "b.gguf"], Some("a.gguf")).unwrap(), ["q/a.gguf"]);
    }

    #[test]
    fn what_is_no_model_says_what_it_is() {
        let said = |paths: &[&str], file| chosen(paths, file).unwrap_err().to_string();
        insta::assert_snapshot!(said(&["config.json", "pytorch_model.bin"], None), @"`o/n` holds no model that can be used: its weights are pickles, which are never read; look for a revision with safetensors");
        insta::assert_snapshot!(said(&["README.md"], None), @"`o/n` holds no model that can be used: it has neither `config.json` with safetensors nor a GGUF file");
        insta::assert_snapshot!(said(&["a.gguf", "b.gguf"], None), @"`o/n` holds several GGUF files; choose one of: `a.gguf`, `b.gguf`");
        insta::assert_snapshot!(said(&["a.gguf"], Some("c.gguf")), @"`o/n` has no file `c.gguf`; it has: `a.gguf`");
    }

    #[test]
    fn paths_that_would_leave_the_folder_are_passed_over() {
        let files = listing(&["../config.json", "/etc/passwd", "a//b", "c:\\x", "ok.json"]).files;
        assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["ok.json"]);
        assert!(Listing::parse("{\"sha\": \"../x\", \"siblings\": []}").is_err());
        assert!(Listing::parse("{\"siblings\": []}").is_err() && Listing::parse("<html>").is_err());
    }

    #[test]
    fn large_files_have_a_hash() {
        let hash = "AB".repeat(32);
        let raw = json!({"rfilename": "m", "size": 130, "lfs": {"sha256": hash, "size": 7, "pointerSize": 130}});
        let expected = RemoteFile { path: "m".into(), size: 7, sha256: Some("ab".repeat(32)) };
        assert_eq!(file(&raw), Some(expected));
    }
}
