//! One file: its bytes go behind those that are there, and it gets its name only when all of them are right.

use std::{
    cell::Cell,
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{
    Hub, HubError, Result,
    client::{Answer, Met},
    listing::RemoteFile,
};

/// Bytes read at once.
const PIECE: usize = 256 << 10;

/// A file on its way.
pub(crate) struct Fetch<'a> {
    pub hub: &'a Hub,
    pub address: String,
    pub file: &'a RemoteFile,
    /// The folder it comes into.
    pub folder: &'a Path,
}

impl Fetch<'_> {
    fn target(&self) -> PathBuf {
        self.folder.join(self.file.name())
    }

    fn part(&self) -> PathBuf {
        self.folder.join(format!("{}.part", self.file.name()))
    }

    /// Bytes that are there already.
    pub fn have(&self) -> u64 {
        let size = |path: PathBuf| fs::metadata(path).map(|facts| facts.len()).ok();
        size(self.target()).or_else(|| size(self.part())).unwrap_or_default().min(self.file.size)
    }

    /// Brings the rest of the file, checks it and gives it its name. `tell` hears how many of its bytes are there, and ends
    /// the work by returning false; what came is kept.
    ///
    /// # Errors
    /// Where the hub or the disk refuses, or the bytes are wrong twice.
    pub fn run(&self, tell: &mut dyn FnMut(u64) -> bool) -> Result<()> {
        if self.target().is_file() {
            return Ok(());
        }
        let mut found = String::new();
        for _ in 0..2 {
            self.bring(tell)?;
            found = match self.file.sha256.as_ref() {
                None => return self.finish(),
                Some(expected) => match hash(&self.part())? {
                    found if found == *expected => return self.finish(),
                    found => found,
                },
            };
            // Nothing of it can be trusted: it comes again from its first byte, once.
            fs::remove_file(self.part()).map_err(HubError::io("remove", &self.part()))?;
        }
        let (file, expected) = (self.file.path.clone(), self.file.sha256.clone().unwrap_or_default());
        Err(HubError::WrongBytes { file, expected, found })
    }

    fn finish(&self) -> Result<()> {
        let (part, target) = (self.part(), self.target());
        let file = File::open(&part).map_err(HubError::io("read", &part))?;
        file.sync_all().map_err(HubError::io("write", &part))?;
        fs::rename(&part, &target).map_err(HubError::io("write", &target))
    }

    /// Until all bytes are there.
    fn bring(&self, tell: &mut dyn FnMut(u64) -> bool) -> Result<()> {
        let have = Cell::new(self.have());
        let mut goes_on = || tell(have.get());
        self.hub.patiently(&self.file.path, &mut goes_on, |goes_on| {
            let before = have.get();
            self.pull(&have, goes_on).map_err(|met| (met, have.get() > before))
        })
    }

    /// One answer, which goes on behind the bytes that are there.
    fn pull(&self, have: &Cell<u64>, goes_on: &mut dyn FnMut() -> bool) -> std::result::Result<(), Met> {
        let part = self.part();
        let failed = |action| {
            let refused = HubError::io(action, &part);
            move |e| Met::Lasting(refused(e))
        };
        let mut file = OpenOptions::new().create(true).append(true).open(&part).map_err(failed("write"))?;
        let size = self.file.size;
        if have.get() >= size {
            return Ok(());
        }
        let mut answer = self.hub.ask(&self.address, have.get(), &self.file.path)?;
        let Some(start) = begins_at(&answer, have.get()) else {
            return Err(passing("it sent another part of the file than the one asked for"));
        };
        // A hub that does not resume sends everything again.
        file.set_len(start).map_err(failed("write"))?;
        have.set(start);
        let (mut reader, mut buffer) = (answer.body_mut().as_reader(), vec![0; PIECE]);
        while have.get() < size {
            if !goes_on() {
                return Err(Met::Lasting(HubError::Stopped));
            }
            let n = reader.read(&mut buffer).map_err(|e| passing(e.to_string()))?;
            if n == 0 {
                return Err(passing(format!("it ended at byte {} of {size}", have.get())));
            }
            let room = usize::try_from(size - have.get()).unwrap_or(n).min(n);
            file.write_all(&buffer[..room]).map_err(failed("write"))?;
            have.set(have.get() + room as u64);
        }
        goes_on();
        Ok(())
    }
}

fn passing(why: impl Into<String>) -> Met {
    Met::Passing { why: why.into(), wait: None }
}

/// The byte an answer begins with: the one asked for where it is a part, the first one where it is everything, none where it
/// is something else.
fn begins_at(answer: &Answer, from: u64) -> Option<u64> {
    let range = answer.headers().get("content-range").and_then(|value| value.to_str().ok());
    let start = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse::<u64>().ok());
    match (answer.status().as_u16(), start) {
        (206, Some(start)) if start == from => Some(from),
        (200, _) => Some(0),
        _ => None,
    }
}

fn hash(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(HubError::io("read", path))?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; PIECE]);
    loop {
        match file.read(&mut buffer).map_err(HubError::io("read", path))? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
