//! The repository's text files as the rules see them: a path and a text. Build products and fetched packages are left out.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Folders that hold no sources.
const LEFT_OUT: [&str; 5] = ["target", "node_modules", ".git", "dist", "gen"];
/// Larger files are data, not text that someone wrote.
const MOST_BYTES: u64 = 400_000;

/// A text file.
#[derive(Debug, Clone)]
pub struct Source {
    /// Path from the root, with `/`.
    pub path: String,
    /// What it says.
    pub text: String,
}

impl Source {
    /// For tests of rules.
    #[cfg(test)]
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The part after the last dot, empty where there is none.
    #[must_use]
    pub fn ending(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.').map_or("", |(_, ending)| ending)
    }

    /// Whether it is Rust.
    #[must_use]
    pub fn is_rust(&self) -> bool {
        self.ending() == "rs"
    }

    /// Whether it is code that someone wrote.
    #[must_use]
    pub fn is_code(&self) -> bool {
        matches!(self.ending(), "rs" | "ts" | "svelte" | "css" | "py")
    }

    /// Whether all of it is for tests, told by where it lies.
    #[must_use]
    pub fn lies_among_tests(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        let folders = self.path.strip_suffix(name).unwrap_or_default();
        folders.split('/').any(|folder| folder == "tests") || name == "tests.rs" || name.ends_with(".test.ts")
    }
}

/// Every text file below `root`, by path.
///
/// # Errors
/// A folder or file that cannot be read.
pub fn read(root: &Path) -> Result<Vec<Source>> {
    let mut files = Vec::new();
    descend(root, "", &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn descend(folder: &Path, prefix: &str, files: &mut Vec<Source>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list: {}", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list: {}", folder.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if kind.is_dir() && !LEFT_OUT.contains(&name.as_str()) {
            descend(&entry.path(), &format!("{path}/"), files)?;
        }
        if kind.is_file() && entry.metadata()?.len() <= MOST_BYTES {
            let bytes = fs::read(entry.path()).with_context(|| format!("cannot read: {path}"))?;
            // What is not UTF-8 is a picture, a font or weights.
            if let Ok(text) = String::from_utf8(bytes) {
                files.push(Source { path, text });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_and_build_products_are_not() {
        let folder = tempfile::tempdir().unwrap();
        for (path, bytes) in [("a/b.rs", &b"//! B"[..]), ("target/c.rs", b"//! C"), ("d.png", &[0xff, 0xfe, 0xfd])] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let files = read(folder.path()).unwrap();
        assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["a/b.rs"]);
        assert!(files[0].is_rust() && files[0].is_code());
    }

    #[test]
    fn tests_are_told_by_where_they_lie() {
        assert!(Source::new("crates/data/tests/data/masks.rs", "").lies_among_tests());
        assert!(Source::new("crates/data/src/wire/tests.rs", "").lies_among_tests());
        assert!(!Source::new("crates/data/src/mask.rs", "").lies_among_tests());
    }
}
