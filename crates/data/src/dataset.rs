//! A stored data set: its description and its rows, any of which is found at once through the index.
//!
//! A data set is a folder named after the BLAKE3 of its rows, with `rows.jsonl` (one record a line), `index` (where each
//! line begins and, last, where the rows end, as 8-byte little-endian numbers) and `dataset.json` (the description).

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::record::{Kind, Record};

pub(crate) const ROWS: &str = "rows.jsonl";
pub(crate) const INDEX: &str = "index";
pub(crate) const DESCRIPTION: &str = "dataset.json";

/// Bytes of one place in the index.
const PLACE_BYTES: u64 = 8;

/// The version of the folder's layout.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// A label and how many rows have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelCount {
    /// The label's name.
    pub name: String,
    /// Rows with it.
    pub n_rows: u64,
}

/// What `dataset.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Layout of the folder; this version reads 1.
    pub format_version: u32,
    /// BLAKE3 of `rows.jsonl`, in hexadecimal.
    pub hash: String,
    /// The name it was first imported under.
    pub name: String,
    /// What the rows are.
    pub kind: Kind,
    /// How many rows there are.
    pub n_rows: u64,
    /// Bytes of `rows.jsonl`.
    pub n_bytes: u64,
    /// Rows whose text or answer is empty.
    pub n_empty: u64,
    /// The labels in the order a classifier numbers them; empty for other kinds.
    pub labels: Vec<LabelCount>,
}

/// A stored data set, open for reading. Rows can be read from several threads at once.
#[derive(Debug)]
pub struct Dataset {
    folder: PathBuf,
    description: Description,
    rows: File,
    index: File,
}

impl Dataset {
    /// Opens the data set `hash` in the store's folder `root` and checks that it is whole.
    pub fn open(root: &Path, hash: &str) -> Result<Dataset> {
        let folder = root.join(hash);
        let description = read_description(&folder)?;
        let open = |name: &str| {
            let path = folder.join(name);
            File::open(&path).map_err(|cause| Error::read(&path, cause))
        };
        let dataset = Dataset { rows: open(ROWS)?, index: open(INDEX)?, description, folder: folder.clone() };
        dataset.check()?;
        Ok(dataset)
    }

    fn check(&self) -> Result<()> {
        let length = |file: &File, name: &str| {
            file.metadata().map(|data| data.len()).map_err(|cause| Error::read(&self.folder.join(name), cause))
        };
        let (n_rows, n_bytes) = (self.description.n_rows, self.description.n_bytes);
        let n_index_bytes = length(&self.index, INDEX)?;
        if n_index_bytes != (n_rows + 1) * PLACE_BYTES {
            return Err(self.damaged(format!("its index does not have {n_rows} rows: {n_index_bytes} bytes")));
        }
        let n_row_bytes = length(&self.rows, ROWS)?;
        if n_row_bytes != n_bytes {
            return Err(self.damaged(format!("its rows do not have {n_bytes} bytes: {n_row_bytes}")));
        }
        Ok(())
    }

    fn damaged(&self, reason: String) -> Error {
        Error::Damaged { path: self.folder.clone(), reason }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The description.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// BLAKE3 of the rows: the version of the data set.
    pub fn hash(&self) -> &str {
        &self.description.hash
    }

    /// What the rows are.
    pub fn kind(&self) -> Kind {
        self.description.kind
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.description.n_rows as usize
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.description.n_rows == 0
    }

    /// Row `at`, counted from 0.
    pub fn row(&self, at: usize) -> Result<Record> {
        let line = self.stored_line(at)?;
        Record::from_stored(self.kind(), &line)
            .map_err(|cause| self.damaged(format!("row {} cannot be read: {cause}", at + 1)))
    }

    /// The rows of `range`, cut to what there is.
    pub fn rows(&self, range: Range<usize>) -> impl Iterator<Item = Result<Record>> + '_ {
        (range.start..range.end.min(self.len())).map(|at| self.row(at))
    }

    /// All rows.
    pub fn iter(&self) -> impl Iterator<Item = Result<Record>> + '_ {
        self.rows(0..self.len())
    }

    /// Row `at` as it is stored, without the line break.
    pub fn stored_line(&self, at: usize) -> Result<Vec<u8>> {
        let n_rows = self.len();
        if at >= n_rows {
            return Err(Error::NoSuchRow { row: at, n_rows });
        }
        let mut places = [0; 2 * PLACE_BYTES as usize];
        read_at(&self.index, &mut places, at as u64 * PLACE_BYTES)
            .map_err(|cause| Error::read(&self.folder.join(INDEX), cause))?;
        let (from, to) = places.split_at(PLACE_BYTES as usize);
        let place = |bytes: &[u8]| bytes.iter().rev().fold(0_u64, |place, byte| place << 8 | u64::from(*byte));
        let (from, to) = (place(from), place(to));
        if from >= to || to > self.description.n_bytes {
            return Err(self.damaged(format!("the index places row {} at bytes {from} to {to}", at + 1)));
        }
        let mut line = vec![0; (to - from - 1) as usize];
        read_at(&self.rows, &mut line, from).map_err(|cause| Error::read(&self.folder.join(ROWS), cause))?;
        Ok(line)
    }
}

pub(crate) fn read_description(folder: &Path) -> Result<Description> {
    let path = folder.join(DESCRIPTION);
    let bytes = fs::read(&path).map_err(|cause| Error::read(&path, cause))?;
    let damaged = |reason: String| Error::Damaged { path: folder.to_owned(), reason };
    let description: Description =
        serde_json::from_slice(&bytes).map_err(|cause| damaged(format!("its description cannot be read: {cause}")))?;
    match description.format_version {
        FORMAT_VERSION => Ok(description),
        other => {
            Err(damaged(format!("this version reads layout {FORMAT_VERSION}, and it is written in layout {other}")))
        }
    }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => {
                bytes = bytes.get_mut(n..).unwrap_or_default();
                offset += n as u64;
            }
        }
    }
    Ok(())
}
