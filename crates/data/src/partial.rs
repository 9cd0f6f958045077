//! A data set while it is being written: beside its place, invisible, and gone if it is not finished.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::dataset::{DESCRIPTION, Dataset, Description, FORMAT_VERSION, INDEX, LabelCount, ROWS};
use crate::error::{Error, Result};
use crate::labels::Labels;
use crate::record::{Kind, Record};

/// How the folder of an unfinished import ends.
const ENDING: &str = ".partial";

/// A file in that folder, locked as long as the import runs.
const LOCK: &str = "lock";

/// Most different labels a data set may have.
const MOST_LABELS: usize = 10_000;

/// A data set being written.
pub(crate) struct Partial {
    folder: TempDir,
    lock: File,
    rows: BufWriter<File>,
    index: BufWriter<File>,
    hasher: blake3::Hasher,
    n_rows: u64,
    n_bytes: u64,
    n_empty: u64,
    labels: BTreeMap<String, u64>,
    first: Option<Record>,
    line: Vec<u8>,
    source: PathBuf,
}

impl Partial {
    pub(crate) fn create(root: &Path, source: &Path) -> Result<Partial> {
        let folder = tempfile::Builder::new()
            .prefix("import-")
            .suffix(ENDING)
            .tempdir_in(root)
            .map_err(|cause| Error::write(root, cause))?;
        let create = |name: &str| {
            let path = folder.path().join(name);
            File::create_new(&path).map_err(|cause| Error::write(&path, cause))
        };
        let lock = create(LOCK)?;
        lock.lock().map_err(|cause| Error::write(&folder.path().join(LOCK), cause))?;
        Ok(Partial {
            rows: BufWriter::with_capacity(1 << 16, create(ROWS)?),
            index: BufWriter::with_capacity(1 << 16, create(INDEX)?),
            lock,
            folder,
            hasher: blake3::Hasher::new(),
            n_rows: 0,
            n_bytes: 0,
            n_empty: 0,
            labels: BTreeMap::new(),
            first: None,
            line: Vec::new(),
            source: source.to_owned(),
        })
    }

    /// Writes one record.
    pub(crate) fn push(&mut self, record: Record) -> Result<()> {
        self.line.clear();
        let written = serde_json::to_writer(&mut self.line, &record).map_err(io::Error::from);
        self.line.push(b'\n');
        let place = self.n_bytes.to_le_bytes();
        written
            .and_then(|()| self.index.write_all(&place))
            .and_then(|()| self.rows.write_all(&self.line))
            .map_err(|cause| Error::write(self.folder.path(), cause))?;
        self.hasher.update(&self.line);
        self.n_rows += 1;
        self.n_bytes += self.line.len() as u64;
        self.n_empty += u64::from(record.is_empty());
        if let Record::Labelled(row) = &record {
            *self.labels.entry(row.label.clone()).or_default() += 1;
            if self.labels.len() > MOST_LABELS {
                return Err(Error::TooManyLabels { path: self.source.clone(), limit: MOST_LABELS });
            }
        }
        self.first.get_or_insert(record);
        Ok(())
    }

    /// Completes the folder and moves it to its place. If the same rows are there already, they stay.
    pub(crate) fn finish(mut self, root: &Path, kind: Kind, name: &str) -> Result<(Description, Record)> {
        let Some(first) = self.first.take() else {
            return Err(Error::Unrecognised { path: self.source, reason: "it has no rows".to_owned() });
        };
        let description = self.describe(kind, name);
        let folder = self.folder.path().to_owned();
        self.write_out(&description).map_err(|cause| Error::write(&folder, cause))?;
        let place = root.join(&description.hash);
        if Dataset::open(root, &description.hash).is_ok() {
            return Ok((description, first));
        }
        if place.exists() {
            // What is there is damaged: the whole rows take its place.
            fs::remove_dir_all(&place).map_err(|cause| Error::write(&place, cause))?;
        }
        // The lock has served; a data set has no such file.
        let path = folder.join(LOCK);
        fs::remove_file(&path).map_err(|cause| Error::write(&path, cause))?;
        // Windows does not move a folder with open files in it.
        let Partial { folder: moving, lock, rows, index, .. } = self;
        drop((lock, rows, index));
        if let Err(cause) = fs::rename(&folder, &place) {
            // Another import of the same rows may have been a moment faster.
            return match Dataset::open(root, &description.hash) {
                Ok(_) => Ok((description, first)),
                Err(_) => Err(Error::write(&place, cause)),
            };
        }
        // Moved: there is nothing left to remove.
        let _ = moving.keep();
        sync_folder(root).map_err(|cause| Error::write(root, cause))?;
        Ok((description, first))
    }

    fn describe(&self, kind: Kind, name: &str) -> Description {
        let labels = Labels::sorted(self.labels.keys().map(String::as_str));
        let count = |name: &String| LabelCount {
            name: name.clone(),
            n_rows: self.labels.get(name).copied().unwrap_or_default(),
        };
        Description {
            format_version: FORMAT_VERSION,
            hash: self.hasher.finalize().to_hex().to_string(),
            name: name.to_owned(),
            kind,
            n_rows: self.n_rows,
            n_bytes: self.n_bytes,
            n_empty: self.n_empty,
            labels: labels.names().iter().map(count).collect(),
        }
    }

    /// Brings everything to the disk.
    fn write_out(&mut self, description: &Description) -> io::Result<()> {
        self.index.write_all(&self.n_bytes.to_le_bytes())?;
        for file in [&mut self.rows, &mut self.index] {
            file.flush()?;
            file.get_ref().sync_all()?;
        }
        let mut file = File::create_new(self.folder.path().join(DESCRIPTION))?;
        serde_json::to_writer_pretty(&mut file, description)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        sync_folder(self.folder.path())
    }
}

/// Removes what interrupted imports left: folders whose lock nobody holds any more.
pub(crate) fn remove_left_over(root: &Path) -> Result<()> {
    let entries = fs::read_dir(root).map_err(|cause| Error::read(root, cause))?;
    for entry in entries {
        let path = entry.map_err(|cause| Error::read(root, cause))?.path();
        let is_partial = path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ENDING));
        if is_partial && is_abandoned(&path) {
            fs::remove_dir_all(&path).map_err(|cause| Error::write(&path, cause))?;
        }
    }
    Ok(())
}

/// Whether no import holds the folder's lock. A folder without a lock is left alone while it is so young that its import
/// may just be about to make one.
fn is_abandoned(folder: &Path) -> bool {
    const YOUNG_S: u64 = 60;
    match OpenOptions::new().write(true).open(folder.join(LOCK)) {
        Ok(lock) => lock.try_lock().is_ok(),
        Err(_) => {
            let age = fs::metadata(folder).and_then(|about| about.modified()).map(|then| then.elapsed());
            matches!(age, Ok(Ok(age)) if age.as_secs() >= YOUNG_S)
        }
    }
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Windows brings a renamed folder to the disk on its own and does not let a folder be opened as a file.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Text;

    fn text(length: usize) -> Record {
        Record::Text(Text { text: "x".repeat(length) })
    }

    /// `/dev/full` answers every write as a full disk does.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_and_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        let mut partial = Partial::create(root.path(), Path::new("rows.jsonl")).unwrap();
        partial.rows = BufWriter::new(OpenOptions::new().write(true).open("/dev/full").unwrap());
        let error = (0..100).find_map(|_| partial.push(text(10_000)).err()).unwrap();
        assert!(matches!(error, Error::DiskFull { .. }), "{error}");
        assert!(error.to_string().starts_with("no space is left on the disk of"), "{error}");
        drop(partial);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    /// The same when the disk fills up only as the last bytes are brought to it.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_disk_that_fills_up_at_the_end_is_told_too() {
        let root = tempfile::tempdir().unwrap();
        let mut partial = Partial::create(root.path(), Path::new("rows.jsonl")).unwrap();
        partial.index = BufWriter::new(OpenOptions::new().write(true).open("/dev/full").unwrap());
        partial.push(text(10)).unwrap();
        let error = partial.finish(root.path(), Kind::Text, "rows").unwrap_err();
        assert!(matches!(error, Error::DiskFull { .. }), "{error}");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_told() {
        for kind in [io::ErrorKind::ReadOnlyFilesystem, io::ErrorKind::PermissionDenied] {
            let error = Error::write(Path::new("data"), kind.into());
            assert!(error.to_string().contains("`data` cannot be written to"), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_read_only_folder_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;

        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o555)).unwrap();
        let is_refused = File::create_new(root.path().join("probe")).is_err();
        // The superuser may write anywhere.
        if is_refused {
            let error = Partial::create(root.path(), Path::new("rows.jsonl")).err().unwrap();
            assert!(matches!(error, Error::ReadOnly { .. }), "{error}");
        }
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_column_of_many_values_is_not_a_label() {
        let root = tempfile::tempdir().unwrap();
        let mut partial = Partial::create(root.path(), Path::new("rows.jsonl")).unwrap();
        let row = |nth: usize| {
            Record::Labelled(crate::record::Labelled { text: "a".to_owned(), text_pair: None, label: nth.to_string() })
        };
        let error = (0..=MOST_LABELS).find_map(|nth| partial.push(row(nth)).err()).unwrap();
        assert!(error.to_string().contains("more than 10000 different labels"), "{error}");
    }
}
