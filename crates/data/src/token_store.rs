//! The tokens of prepared examples: in memory while they are few, beyond that in a file without a name, of which only what a
//! batch reads is in memory, and only while it is read. So a data set may be as large as the disk.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;

use crate::error::{Error, Result};
use crate::example::Example;

/// Tokens that are kept in memory.
const MOST_KEPT: usize = 1 << 22;

/// A word is an id and two marks: whether the token is learned, and whether it belongs to the second segment.
const LEARNED: u32 = 1 << 31;
const SECOND: u32 = 1 << 30;
const ID: u32 = SECOND - 1;

/// Tokens one behind the other.
#[derive(Clone, Debug)]
pub(crate) enum TokenStore {
    Memory(Vec<u32>),
    File(Arc<Mmap>),
}

/// The tokens of one sequence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sequence {
    pub(crate) ids: Vec<u32>,
    pub(crate) trained: Vec<bool>,
    pub(crate) token_types: Vec<u8>,
}

impl Default for TokenStore {
    fn default() -> Self {
        TokenStore::Memory(Vec::new())
    }
}

impl PartialEq for TokenStore {
    fn eq(&self, other: &Self) -> bool {
        self.words() == other.words()
    }
}

impl Eq for TokenStore {}

impl TokenStore {
    fn words(&self) -> &[u32] {
        match self {
            TokenStore::Memory(words) => words,
            // SAFETY: every bit pattern is a word, and a map begins at a page, so that nothing is cut off.
            TokenStore::File(map) => unsafe { map.align_to().1 },
        }
    }

    /// The tokens at `range`; nothing beyond the end.
    pub(crate) fn read(&self, range: Range<usize>) -> Sequence {
        let words = self.words().get(range.clone()).unwrap_or_default();
        let sequence = Sequence {
            ids: words.iter().map(|word| word & ID).collect(),
            trained: words.iter().map(|word| word & LEARNED != 0).collect(),
            token_types: words.iter().map(|word| u8::from(word & SECOND != 0)).collect(),
        };
        self.let_go(range);
        sequence
    }

    /// Takes what was just read out of memory again.
    #[cfg(unix)]
    fn let_go(&self, range: Range<usize>) {
        const PAGE: usize = 1 << 12;
        let TokenStore::File(map) = self else { return };
        let (from, to) = (range.start * size_of::<u32>() / PAGE * PAGE, (range.end * size_of::<u32>()).min(map.len()));
        if from < to {
            // SAFETY: the pages of a read-only map of a file hold nothing that is not in the file. Advice may be refused, and
            // then nothing is lost but memory.
            let _ = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, from, to - from) };
        }
    }

    #[cfg(not(unix))]
    fn let_go(&self, _: Range<usize>) {}
}

/// Takes tokens as they are made.
#[derive(Debug)]
pub(crate) struct TokenWriter {
    folder: PathBuf,
    kept: Vec<u32>,
    most_kept: usize,
    file: Option<BufWriter<File>>,
    n_tokens: usize,
}

impl TokenWriter {
    /// For tokens whose file may lie in `folder`.
    pub(crate) fn new(folder: &Path) -> TokenWriter {
        Self { folder: folder.to_owned(), kept: Vec::new(), most_kept: MOST_KEPT, file: None, n_tokens: 0 }
    }

    /// Tokens so far.
    pub(crate) fn len(&self) -> usize {
        self.n_tokens
    }

    /// Appends a sequence.
    pub(crate) fn push(&mut self, example: &Example) -> Result<()> {
        let types = example.token_types.iter().map(|kind| *kind != 0).chain(std::iter::repeat(false));
        let tokens = example.ids.iter().zip(&example.trained).zip(types);
        let word = |((id, learned), second): ((&u32, &bool), bool)| {
            id & ID | if *learned { LEARNED } else { 0 } | if second { SECOND } else { 0 }
        };
        self.kept.extend(tokens.map(word));
        self.n_tokens += example.ids.len();
        if self.kept.len() > self.most_kept { self.spill().map_err(|cause| self.fault(cause)) } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => BufWriter::with_capacity(1 << 20, tempfile::tempfile_in(&self.folder)?),
        };
        let file = self.file.insert(file);
        for word in self.kept.drain(..) {
            file.write_all(&word.to_ne_bytes())?;
        }
        Ok(())
    }

    fn fault(&self, cause: io::Error) -> Error {
        Error::write(&self.folder, cause)
    }

    /// All tokens, to be read.
    pub(crate) fn finish(mut self) -> Result<TokenStore> {
        if self.file.is_none() {
            self.kept.shrink_to_fit();
            return Ok(TokenStore::Memory(self.kept));
        }
        let mapped = self.spill().and_then(|()| {
            let file = self.file.take().ok_or(io::ErrorKind::NotFound)?.into_inner()?;
            // SAFETY: the file has no name, so that no other program can change it.
            unsafe { Mmap::map(&file) }
        });
        mapped.map(|map| TokenStore::File(Arc::new(map))).map_err(|cause| self.fault(cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_from_memory_and_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let example = |n: u32| Example {
            ids: (n..n + 50).collect(),
            trained: (n..n + 50).map(|i| i % 3 == 0).collect(),
            token_types: (n..n + 50).map(|i| u32::from(i % 2 == 0)).collect(),
            label: None,
        };
        let stored = |most_kept: usize| {
            let mut writer = TokenWriter { most_kept, ..TokenWriter::new(folder.path()) };
            (0..40).for_each(|n| writer.push(&example(n * 50)).unwrap());
            assert_eq!(writer.len(), 2000);
            writer.finish().unwrap()
        };
        let (memory, file) = (stored(1 << 20), stored(300));
        assert!(matches!(memory, TokenStore::Memory(_)) && matches!(file, TokenStore::File(_)));
        assert_eq!(memory, file);
        for store in [memory, file] {
            let sequence = store.read(1950..2000);
            assert_eq!(sequence.ids, (1950..2000).collect::<Vec<u32>>());
            assert!(sequence.trained.iter().zip(1950..).all(|(trained, i)| *trained == (i % 3 == 0)));
            assert!(sequence.token_types.iter().zip(1950..).all(|(kind, i)| *kind == u8::from(i % 2 == 0)));
            assert_eq!(store.read(1990..2001), Sequence::default());
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the file has a name");
    }
}
