//! Models that other programs (transformers, huggingface_hub) fetched on this computer: they are used where they lie, and
//! never written to. The layout of that cache is hf-hub's to know; what makes a model whole is the same as for a download.

use std::{
    cmp::Reverse,
    ffi::{OsStr, OsString},
    fs,
    io::ErrorKind,
    path::{Component, Path, PathBuf},
};

use hf_hub::{Cache, CacheRepo, Repo, RepoType};
use serde_json::Value;

use crate::{
    HubError, Repository, Result, Wanted,
    listing::{INDEX, Listing, MOST_FILES, RemoteFile},
    repository::MAIN,
};

/// A tokenizer that can be read is one of these.
const TOKENIZERS: [&str; 3] = ["tokenizer.json", "vocab.txt", "vocab.json"];
/// Folders inside folders of a repository that are looked into.
const MOST_FOLDERS: usize = 4;

/// The folder into which other programs fetch.
#[derive(Clone, Debug)]
pub struct HubCache(Cache);

/// A whole model in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedModel {
    /// Its name on the hub: `OWNER/NAME`, or `NAME` where it is from before owners.
    pub name: String,
    /// The folder of its snapshot, or its GGUF file there.
    pub path: PathBuf,
    /// Bytes of the files that make the model.
    pub n_bytes: u64,
}

impl HubCache {
    /// The cache in `folder`, which need not exist.
    pub fn at(folder: PathBuf) -> Self {
        Self(Cache::new(folder))
    }

    /// The cache that the environment names as huggingface_hub reads it: `HF_HUB_CACHE`, `HF_HOME`, `XDG_CACHE_HOME`, or the
    /// usual place below the user's home; `None` where there is no home. `variable` gives the environment's values.
    pub fn of_environment(variable: impl Fn(&str) -> Option<OsString>) -> Option<Self> {
        let folder = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let usual = || std::env::home_dir().map(|_| Self(Cache::default()));
        folder("HF_HUB_CACHE")
            .or_else(|| Some(folder("HF_HOME")?.join("hub")))
            .or_else(|| Some(folder("XDG_CACHE_HOME")?.join("huggingface").join("hub")))
            .map(Self::at)
            .or_else(usual)
    }

    /// The models that lie there whole, by name: of each repository the main branch, or else what was fetched last.
    ///
    /// # Errors
    /// [`HubError::Io`] where the folder is there and cannot be read. A repository that cannot be read is passed over.
    pub fn models(&self) -> Result<Vec<CachedModel>> {
        let folder = self.0.path();
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(HubError::io("read", folder)(error)),
        };
        let repositories = entries.flatten().filter_map(|e| Repository::of_cache_folder(e.file_name().to_str()?));
        let mut models: Vec<CachedModel> = repositories.filter_map(|repository| self.best(repository)).collect();
        models.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(models)
    }

    /// `wanted`, where its revision lies there whole.
    pub fn find(&self, wanted: &Wanted) -> Option<CachedModel> {
        whole(&self.snapshot(wanted)?, wanted)
    }

    fn best(&self, repository: Repository) -> Option<CachedModel> {
        let wanted = Wanted { repository, revision: MAIN.to_owned(), file: None };
        let others = || {
            let entries = fs::read_dir(self.repository(&wanted).pointer_path("")).ok()?;
            let mut snapshots: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            snapshots.sort_by_key(|path| Reverse(fs::metadata(path).and_then(|facts| facts.modified()).ok()));
            snapshots.iter().find_map(|snapshot| whole(snapshot, &wanted))
        };
        self.find(&wanted).or_else(others)
    }

    fn repository(&self, wanted: &Wanted) -> CacheRepo {
        let (name, revision) = (wanted.repository.as_str().to_owned(), wanted.revision.clone());
        self.0.repo(Repo::with_revision(name, RepoType::Model, revision))
    }

    /// The folder of the files of a commit, a branch or a tag.
    fn snapshot(&self, wanted: &Wanted) -> Option<PathBuf> {
        let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        if !Path::new(&wanted.revision).components().all(is_plain) {
            return None;
        }
        let repository = self.repository(wanted);
        let of_commit = Some(repository.pointer_path(&wanted.revision)).filter(|path| path.is_dir());
        // The dot is the folder itself; collecting the path's parts drops it again.
        let of_name = || Some(repository.get(".")?.components().collect::<PathBuf>());
        let is_snapshot = |path: &PathBuf| path.parent().and_then(Path::file_name) == Some(OsStr::new("snapshots"));
        of_commit.or_else(of_name).filter(is_snapshot)
    }
}

/// The model in a snapshot's folder, where nothing of it is missing.
fn whole(snapshot: &Path, wanted: &Wanted) -> Option<CachedModel> {
    let mut files = Vec::new();
    collect(snapshot, "", MOST_FOLDERS, &mut files);
    let chosen = Listing { commit: String::new(), files }.chosen(wanted);
    let chosen = chosen.inspect_err(|why| tracing::debug!("passed over `{}`: {why}", snapshot.display())).ok()?;
    let path = match chosen.files.as_slice() {
        [one] => snapshot.join(&one.path),
        _ if !TOKENIZERS.iter().any(|name| chosen.has(name)) => return None,
        _ if chosen.has(INDEX) && !has_shards(snapshot) => return None,
        _ => snapshot.to_owned(),
    };
    let n_bytes = chosen.files.iter().map(|file| file.size).sum();
    Some(CachedModel { name: wanted.repository.as_str().to_owned(), path, n_bytes })
}

/// Whether every file is there that the index names.
fn has_shards(snapshot: &Path) -> bool {
    let text = fs::read(snapshot.join(INDEX)).ok();
    let index: Option<Value> = text.and_then(|text| serde_json::from_slice(&text).ok());
    let shards = index.as_ref().and_then(|index| index.get("weight_map")?.as_object());
    let is_there = |name: &Value| name.as_str().is_some_and(|name| snapshot.join(name).is_file());
    shards.is_some_and(|shards| !shards.is_empty() && shards.values().all(is_there))
}

/// The files below `folder`, which `at` names inside the repository. Files are links into the cache's store; a link to
/// nothing is no file, and folders are never links, so that this ends.
fn collect(folder: &Path, at: &str, n_folders: usize, files: &mut Vec<RemoteFile>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let Some(name) = name.to_str().map(|name| format!("{at}{name}")) else { continue };
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if n_folders > 0 {
                collect(&path, &format!("{name}/"), n_folders - 1, files);
            }
        } else if let Ok(facts) = fs::metadata(&path)
            && facts.is_file()
            && files.len() < MOST_FILES
        {
            files.push(RemoteFile { path: name, size: facts.len(), sha256: None });
        }
    }
}
