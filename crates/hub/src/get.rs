//! A whole model: its files into a folder beside its place, which takes that place when every file is there and right. A
//! folder that is there was whole once; nothing is asked then, so that it works without a network.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::{Hub, HubError, Result, Wanted, fetch::Fetch, listing::Listing};

/// How far a download is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file that comes right now.
    pub file: &'a str,
    /// Files that are whole.
    pub n_files: usize,
    /// Files in all.
    pub n_files_total: usize,
    /// Bytes that are there.
    pub n_bytes: u64,
    /// Bytes in all.
    pub n_bytes_total: u64,
}

/// What a download that was interrupted goes on with: the commit it began with.
const LISTING: &str = ".listing.json";
const LOCK: &str = ".lock";
/// What stands beside a model that came from a hub.
const ORIGIN: &str = "hub.json";

impl Hub {
    /// Brings `wanted` below `folder` and returns where it is. `tell` ends the work by returning false; what came is kept, and
    /// the next time goes on from there.
    ///
    /// # Errors
    /// [`HubError`].
    pub fn get(&self, wanted: &Wanted, folder: &Path, tell: &mut dyn FnMut(&Progress<'_>) -> bool) -> Result<PathBuf> {
        let place = wanted.place(folder);
        if place.is_dir() {
            return Ok(place);
        }
        let beside = folder.join(format!(".{}.partial", wanted.folder_name()));
        fs::create_dir_all(&beside).map_err(HubError::io("create", &beside))?;
        let lock = locked(&beside, wanted)?;
        // Another process may have ended a moment ago.
        if place.is_dir() {
            return Ok(place);
        }
        let listing = self.known_listing(wanted, &beside, tell)?;
        self.bring(wanted, &listing, &beside, tell)?;
        let origin = json!({
            "repository": wanted.repository.as_str(),
            "revision": wanted.revision,
            "commit": listing.commit,
            "files": listing.files,
        });
        write(&beside.join(ORIGIN), &format!("{origin:#}\n"))?;
        drop(lock);
        for name in [LISTING, LOCK] {
            fs::remove_file(beside.join(name)).map_err(HubError::io("remove", &beside.join(name)))?;
        }
        fs::rename(&beside, &place).map_err(HubError::io("write", &place))?;
        Ok(place)
    }

    /// The files to bring: those of the commit a download began with, so that all are of one.
    fn known_listing(
        &self,
        wanted: &Wanted,
        beside: &Path,
        tell: &mut dyn FnMut(&Progress<'_>) -> bool,
    ) -> Result<Listing> {
        let path = beside.join(LISTING);
        let noted = fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        if let Some(listing) = noted {
            return Ok(listing);
        }
        let nothing = Progress { file: "", n_files: 0, n_files_total: 0, n_bytes: 0, n_bytes_total: 0 };
        let listing = self.listing(wanted, &mut || tell(&nothing))?.chosen(wanted)?;
        let text = serde_json::to_string(&listing).unwrap_or_default();
        write(&path, &text)?;
        Ok(listing)
    }

    fn bring(
        &self,
        wanted: &Wanted,
        listing: &Listing,
        beside: &Path,
        tell: &mut dyn FnMut(&Progress<'_>) -> bool,
    ) -> Result<()> {
        let fetches: Vec<Fetch<'_>> = listing
            .files
            .iter()
            .map(|file| {
                let address = self.address(wanted, &listing.commit, &file.path);
                Fetch { hub: self, address, file, folder: beside }
            })
            .collect();
        let n_bytes_total = listing.files.iter().map(|file| file.size).sum();
        for (n_files, fetch) in fetches.iter().enumerate() {
            let others: u64 = fetches.iter().map(Fetch::have).sum::<u64>() - fetch.have();
            fetch.run(&mut |here| {
                let (file, n_bytes) = (fetch.file.path.as_str(), others + here);
                tell(&Progress { file, n_files, n_files_total: fetches.len(), n_bytes, n_bytes_total })
            })?;
        }
        Ok(())
    }
}

/// Keeps other processes away for as long as it is held; the system lets go of it when this process ends, however it ends.
fn locked(folder: &Path, wanted: &Wanted) -> Result<File> {
    let path = folder.join(LOCK);
    let file = File::create(&path).map_err(HubError::io("write", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(HubError::Busy { what: wanted.words() }),
        Err(TryLockError::Error(e)) => Err(HubError::io("lock", &path)(e)),
    }
}

/// Writes a small file whole or not at all.
fn write(path: &Path, text: &str) -> Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, text).map_err(HubError::io("write", &beside))?;
    fs::rename(&beside, path).map_err(HubError::io("write", path))
}
