//! The folder that holds the imported data sets, each under the hash of its content, each whole or not there.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::bad_row::{BadRow, BadRows};
use crate::dataset::{Dataset, Description, LabelCount, read_description};
use crate::error::{Error, Result};
use crate::import::{Found, ImportProgress, Source, TextUnit, read_records};
use crate::partial::{Partial, remove_left_over};
use crate::record::{Kind, Record};

/// How a file is imported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// The name of the data set; the file's name if there is none.
    pub name: Option<String>,
    /// Whether the good rows are kept although there are bad ones.
    pub keep_good: bool,
    /// What the rows are, where the content could be read in several ways.
    pub kind: Option<Kind>,
}

/// What an import made.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// BLAKE3 of the rows: the version of the data set and the name of its folder.
    pub hash: String,
    /// Its name.
    pub name: String,
    /// What its rows are.
    pub kind: Kind,
    /// How the file is written: `jsonl`, `json`, `csv`, `tsv`, `text`.
    pub format: &'static str,
    /// How its rows are written: `alpaca`, `sharegpt`, `messages`, `prompt_completion`, `text_label`, `text`.
    pub layout: &'static str,
    /// The names of the values that were used; empty for plain text.
    pub columns: Vec<String>,
    /// For plain text, what became a row.
    pub text_unit: Option<TextUnit>,
    /// Rows imported.
    pub n_rows: u64,
    /// Rows left out.
    pub n_bad: u64,
    /// The first rows left out, in full.
    pub bad_rows: Vec<BadRow>,
    /// Rows whose text or answer is empty.
    pub n_empty: u64,
    /// Bytes stored.
    pub n_bytes: u64,
    /// The labels in the order a classifier numbers them, with their rows; empty for other kinds.
    pub labels: Vec<LabelCount>,
    /// The first row.
    pub first: Record,
}

/// The folder of the data sets.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens the folder, making it if it is not there, and removes what an interrupted import left.
    pub fn open(root: &Path) -> Result<Store> {
        fs::create_dir_all(root).map_err(|cause| Error::write(root, cause))?;
        remove_left_over(root)?;
        Ok(Store { root: root.to_owned() })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Imports the file `source`. With bad rows nothing is written unless `options.keep_good`; the error then tells all of
    /// them. The same rows always give the same hash, whatever file they came from.
    pub fn import(
        &self,
        source: &Path,
        options: &ImportOptions,
        progress: &mut dyn FnMut(ImportProgress),
    ) -> Result<Imported> {
        let unreadable = |cause: io::Error| Error::read(source, cause);
        let file = File::open(source).map_err(unreadable)?;
        let about = file.metadata().map_err(unreadable)?;
        if about.is_dir() {
            return Err(unreadable(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder; choose a file in it")));
        }
        self.import_reader(source, file, about.len(), options, progress)
    }

    /// Imports the rows that `input` yields, `bytes_total` bytes where that is known, else 0. `source` names the input in
    /// messages, and its ending decides where the content leaves the form open.
    pub fn import_reader(
        &self,
        source: &Path,
        input: impl io::Read,
        bytes_total: u64,
        options: &ImportOptions,
        progress: &mut dyn FnMut(ImportProgress),
    ) -> Result<Imported> {
        let mut partial = Partial::create(&self.root, source)?;
        let opened = Source { path: source.to_owned(), input, bytes_total, kind: options.kind };
        let found = read_records(opened, &mut |record| partial.push(record), progress)?;
        check_rows(source, &found.bad, options.keep_good)?;
        let name = options.name.clone().unwrap_or_else(|| {
            source.file_stem().map_or_else(|| "data".to_owned(), |stem| stem.to_string_lossy().into_owned())
        });
        let Found { kind, format, layout, columns, text_unit, bad } = found;
        let (description, first) = partial.finish(&self.root, kind, &name)?;
        Ok(Imported {
            hash: description.hash,
            name,
            kind,
            format,
            layout,
            columns,
            text_unit,
            n_rows: description.n_rows,
            n_bad: bad.n_bad,
            bad_rows: bad.first,
            n_empty: description.n_empty,
            n_bytes: description.n_bytes,
            labels: description.labels,
            first,
        })
    }

    /// Opens a data set by its hash.
    pub fn dataset(&self, hash: &str) -> Result<Dataset> {
        Dataset::open(&self.root, hash)
    }

    /// The descriptions of all data sets, by hash.
    pub fn list(&self) -> Result<Vec<Description>> {
        let entries = fs::read_dir(&self.root).map_err(|cause| Error::read(&self.root, cause))?;
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(|cause| Error::read(&self.root, cause))?.path();
            if path.file_name().is_some_and(|name| is_hash(&name.to_string_lossy())) {
                found.push(read_description(&path)?);
            }
        }
        found.sort_by(|a, b| a.hash.cmp(&b.hash));
        Ok(found)
    }
}

fn is_hash(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn check_rows(source: &Path, bad: &BadRows, keep_good: bool) -> Result<()> {
    let path = source.to_owned();
    match (bad.n_good, bad.n_bad) {
        (0, 0) => {
            Err(Error::Unrecognised { path, reason: "it has no rows, only a header or an empty list".to_owned() })
        }
        (0, _) => Err(Error::NoGoodRow { path, bad: Box::new(bad.clone()) }),
        (_, 1..) if !keep_good => Err(Error::BadRows { path, bad: Box::new(bad.clone()) }),
        _ => Ok(()),
    }
}
