//! Keys and values of what was already read, so that each new token is computed alone. The cache is an argument of a
//! forward pass, not a part of the model: several conversations can go on over one model.

use lorikeet_kernels::Backend;

use crate::{ModelError, Result};

/// Keys and values of one sequence, per layer (capacity, G D).
pub struct KeyValueCache<B: Backend> {
    pub(crate) layers: Vec<(B::Tensor, B::Tensor)>,
    pub(crate) len: usize,
    capacity: usize,
}

impl<B: Backend> KeyValueCache<B> {
    pub(crate) fn new(backend: &B, layers: usize, width: usize, capacity: usize) -> Result<Self> {
        let layer = |_| Ok((backend.zeros(capacity, width)?, backend.zeros(capacity, width)?));
        Ok(Self { layers: (0..layers).map(layer).collect::<Result<_>>()?, len: 0, capacity })
    }

    /// Tokens read so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was read yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Tokens there is room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Forgets everything after the first `len` tokens.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    pub(crate) fn room_for(&self, n: usize) -> Result<()> {
        if self.len + n > self.capacity {
            return Err(ModelError::TooLarge {
                what: "the conversation's length",
                found: self.len + n,
                limit: self.capacity,
            });
        }
        Ok(())
    }
}
