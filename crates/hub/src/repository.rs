//! What somebody wants of a hub: a repository by its name, a revision, perhaps one file. The names become parts of addresses
//! and of paths, so they are checked once, here.

use std::path::{Path, PathBuf};

use crate::{HubError, Result};

/// The revision when none is named.
pub(crate) const MAIN: &str = "main";

/// The name of a repository, `OWNER/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository(String);

impl Repository {
    /// Reads `OWNER/NAME`.
    ///
    /// # Errors
    /// [`HubError::BadName`] for anything else.
    pub fn parse(given: &str) -> Result<Self> {
        let given = given.trim();
        match given.split('/').collect::<Vec<_>>().as_slice() {
            [owner, name] if is_plain(owner) && is_plain(name) => Ok(Self(given.to_owned())),
            _ => Err(HubError::BadName { given: given.to_owned() }),
        }
    }

    /// The repository whose folder in a cache is called `folder`, such as `models--OWNER--NAME`. Names from before owners,
    /// such as `gpt2`, lie there too.
    pub(crate) fn of_cache_folder(folder: &str) -> Option<Self> {
        // No owner has two dashes in a row, so the first two are the slash.
        let name = folder.strip_prefix("models--")?.replacen("--", "/", 1);
        name.split('/').all(is_plain).then_some(Self(name))
    }

    /// `OWNER/NAME`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_plain(part: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !part.is_empty() && part.len() <= 96 && part.chars().all(plain) && !part.starts_with('.')
}

/// A repository, or one file of it, at a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The repository.
    pub repository: Repository,
    /// A branch, a tag or a commit.
    pub revision: String,
    /// One GGUF file; the whole model otherwise.
    pub file: Option<String>,
}

impl Wanted {
    /// What is called `repository`, at `revision` (the main branch otherwise).
    ///
    /// # Errors
    /// [`HubError::BadName`] where the repository's name is none.
    pub fn new(repository: &str, revision: Option<&str>, file: Option<&str>) -> Result<Self> {
        let repository = Repository::parse(repository)?;
        let revision = revision.map(str::trim).filter(|word| !word.is_empty()).unwrap_or(MAIN).to_owned();
        Ok(Self { repository, revision, file: file.map(str::to_owned) })
    }

    /// Where it lies below `folder` once it is whole.
    pub fn place(&self, folder: &Path) -> PathBuf {
        folder.join(self.folder_name())
    }

    /// The folder's name: letters, digits and a few signs, whatever revision and file are called.
    pub(crate) fn folder_name(&self) -> String {
        let mut name = self.repository.as_str().replace('/', "--");
        if self.revision != MAIN {
            name += &format!("@{}", self.revision);
        }
        if let Some(file) = &self.file {
            name += &format!("--{}", file.rsplit('/').next().unwrap_or(file).trim_end_matches(".gguf"));
        }
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.@".contains(c) { c } else { '-' };
        name.chars().map(plain).collect()
    }

    /// For messages.
    pub(crate) fn words(&self) -> String {
        match self.revision.as_str() {
            MAIN => self.repository.as_str().to_owned(),
            revision => format!("{} at {revision}", self.repository.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_has_an_owner_and_a_name() {
        assert_eq!(Repository::parse(" HuggingFaceTB/SmolLM2-135M ").unwrap().as_str(), "HuggingFaceTB/SmolLM2-135M");
        for bad in ["", "name", "a/b/c", "../b", "a/..", "a/.b", "a b/c", "https://a/b", "a/b?x", "/b", "a/"] {
            assert!(Repository::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_folder_of_a_cache_names_a_repository() {
        let name = |folder| Repository::of_cache_folder(folder).map(|repository| repository.0);
        assert_eq!(name("models--HuggingFaceTB--SmolLM2-135M").as_deref(), Some("HuggingFaceTB/SmolLM2-135M"));
        assert_eq!(name("models--o--a--b").as_deref(), Some("o/a--b"));
        assert_eq!(name("models--gpt2").as_deref(), Some("gpt2"));
        assert!(
            ["datasets--o--n", "models--", "models--o--", "models--..--n", ".locks"].iter().all(|f| name(f).is_none())
        );
    }

    #[test]
    fn a_place_is_one_folder_whatever_is_asked() {
        let name = |revision, file| Wanted::new("o/n", revision, file).unwrap().folder_name();
        assert_eq!(name(None, None), "o--n");
        assert_eq!(name(Some("refs/pr/1"), None), "o--n@refs-pr-1");
        assert_eq!(name(None, Some("sub/../n-Q4_K_M.gguf")), "o--n--n-Q4_K_M");
    }
}
