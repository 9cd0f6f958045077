//! Keys and values of what was already read, so that each new token is computed alone. The cache is an argument of a
//! forward pass, not a part of the model: several conversations can go on over one model.

use lorikeet_kernels::Backend;

use crate::{ModelError, Result};

/// Keys and values of one sequence, per layer (capacity, G D).
pub struct KeyValueCache<B: Backend> {
    pub(crate) layers: Vec<(B::Tensor, B::Tensor)>,
    /// The tokens read so far.
    ids: Vec<u32>,
    /// Length of the text as part of which they were last read.
    text_len: usize,
    capacity: usize,
}

impl<B: Backend> KeyValueCache<B> {
    pub(crate) fn new(backend: &B, layers: usize, width: usize, capacity: usize) -> Result<Self> {
        let layer = |_| Ok((backend.zeros(capacity, width)?, backend.zeros(capacity, width)?));
        Ok(Self { layers: (0..layers).map(layer).collect::<Result<_>>()?, ids: Vec::new(), text_len: 0, capacity })
    }

    /// Tokens read so far.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether nothing was read yet.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Tokens there is room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Forgets everything after the first `len` tokens.
    pub fn truncate(&mut self, len: usize) {
        self.ids.truncate(len);
    }

    pub(crate) fn room_for(&self, n: usize) -> Result<()> {
        let found = self.len() + n;
        if found > self.capacity {
            return Err(ModelError::TooLarge { what: "the conversation's length", found, limit: self.capacity });
        }
        Ok(())
    }

    /// What must be read to continue with `ids`: these, or everything from the start where `turns` says that keys of a text
    /// of one length do not fit one of another.
    pub(crate) fn continued(&mut self, ids: &[u32], turns: impl Fn(usize, usize) -> bool) -> Vec<u32> {
        let after = self.len() + ids.len();
        let all_again = turns(self.text_len.min(after), self.text_len.max(after));
        let mut read = if all_again { std::mem::take(&mut self.ids) } else { Vec::new() };
        read.extend_from_slice(ids);
        read
    }

    /// Notes that `ids` were read.
    pub(crate) fn push(&mut self, ids: &[u32]) {
        self.ids.extend_from_slice(ids);
        self.text_len = self.ids.len();
    }
}
