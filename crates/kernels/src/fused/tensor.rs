//! A tensor of the fused back end: a pooled buffer, or a frozen weight where it lies.

use super::pool::Buffer;
use crate::{HostMatrix, KernelError, Result};

/// Rows of numbers on the CPU.
pub struct Tensor {
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) data: Data,
}

/// Where the numbers are.
pub(super) enum Data {
    Owned(Buffer),
    /// A weight that lay where 32-bit floats cannot be read in place.
    Copied(Buffer),
    Stored(HostMatrix),
}

impl Tensor {
    pub(super) fn owned(data: Buffer, rows: usize, cols: usize) -> Self {
        Self { rows, cols, data: Data::Owned(data) }
    }

    /// The numbers, where they need no widening.
    pub(super) fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            Data::Owned(b) | Data::Copied(b) => Some(b),
            Data::Stored(m) => m.as_f32(),
        }
    }

    /// The numbers of an activation.
    pub(super) fn read(&self, op: &'static str) -> Result<&[f32]> {
        self.as_f32().ok_or(KernelError::NotOwned { op })
    }

    /// The numbers of an activation that changes in place.
    pub(super) fn write(&mut self, op: &'static str) -> Result<&mut [f32]> {
        match &mut self.data {
            Data::Owned(b) => Ok(b),
            Data::Copied(_) | Data::Stored(_) => Err(KernelError::NotOwned { op }),
        }
    }

    pub(super) fn shape(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }
}
