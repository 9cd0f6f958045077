//! A GGUF file in memory as it lies on the disk, and where it is in a folder.
#![allow(unsafe_code)]

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use memmap2::Mmap;

use crate::{GgufError, Header, Result};

/// A file mapped into memory, read-only.
#[derive(Debug)]
pub struct Mapped {
    map: Mmap,
    path: PathBuf,
}

impl Mapped {
    /// Maps the file at `path`.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(GgufError::io("read", path))?;
        // SAFETY: the file is opened read-only and treated as plain bytes; a file that another program cuts short while it
        // is mapped ends this process with a bus error, as in every program that maps model files.
        let map = unsafe { Mmap::map(&file) }.map_err(GgufError::io("map", path))?;
        Ok(Self { map, path: path.to_owned() })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Metadata and places of tensors.
    ///
    /// # Errors
    /// [`GgufError::Bad`] where the file is not whole.
    pub fn header(&self) -> Result<Header<'_>> {
        Header::parse(&self.map).map_err(|fault| GgufError::Bad { path: self.path.clone(), fault })
    }
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}

/// The GGUF file that `path` means: itself, if it is a file; the only one in it, if it is a folder without safetensors.
///
/// # Errors
/// [`GgufError::Several`] where a folder holds more than one; where the folder cannot be read.
pub fn locate(path: &Path) -> Result<Option<PathBuf>> {
    if path.is_file() {
        return Ok(Some(path.to_owned()));
    }
    let has = |name: &str| path.join(name).exists();
    if !path.is_dir() || has("model.safetensors") || has("model.safetensors.index.json") {
        return Ok(None);
    }
    let mut found = Vec::new();
    for entry in path.read_dir().map_err(GgufError::io("read", path))? {
        let file = entry.map_err(GgufError::io("read", path))?.path();
        if file.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf")) && file.is_file() {
            found.push(file);
        }
    }
    found.sort();
    if found.len() > 1 {
        let names: Vec<String> =
            found.iter().filter_map(|f| f.file_name()).map(|n| format!("`{}`", n.display())).collect();
        return Err(GgufError::Several { path: path.to_owned(), names: names.join(", ") });
    }
    Ok(found.pop())
}
