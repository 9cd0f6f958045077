//! What the composed operations work on, and the checks that come before candle's own: they name the operation and both
//! shapes.

use candle_core::{DType, Tensor};

use crate::{KernelError, Result};

/// A two-dimensional tensor of [`Composed`](crate::Composed).
#[derive(Debug)]
pub struct DeviceMatrix {
    tensor: Tensor,
    frozen: bool,
}

impl DeviceMatrix {
    pub(super) fn new(tensor: Tensor) -> Self {
        Self { tensor, frozen: false }
    }

    /// A weight that no operation may change.
    pub(super) fn frozen(tensor: Tensor) -> Self {
        Self { tensor, frozen: true }
    }

    /// The numbers in the precision they have.
    pub(super) fn tensor(&self) -> &Tensor {
        &self.tensor
    }

    /// Rows and columns; the tensor has two dimensions by construction.
    pub(super) fn shape(&self) -> (usize, usize) {
        self.tensor.dims2().unwrap_or_default()
    }

    /// The numbers for an operation that does not widen.
    pub(super) fn floats(&self, op: &'static str) -> Result<&Tensor> {
        if self.tensor.dtype() == DType::F32 { Ok(&self.tensor) } else { Err(KernelError::NotOwned { op }) }
    }

    /// The numbers for an operation that replaces them.
    pub(super) fn owned(&mut self, op: &'static str) -> Result<&mut Tensor> {
        if self.frozen { Err(KernelError::NotOwned { op }) } else { Ok(&mut self.tensor) }
    }
}

/// Fails unless two operands have equal shapes.
pub(super) fn expect_equal(op: &'static str, left: (usize, usize), right: (usize, usize)) -> Result<()> {
    if left == right { Ok(()) } else { Err(KernelError::Shape { op, left, right }) }
}

/// Fails unless every index points into a table of `rows` rows.
pub(super) fn expect_indices(op: &'static str, indices: &[u32], rows: usize) -> Result<()> {
    match indices.iter().find(|&&index| index as usize >= rows) {
        Some(&index) => Err(KernelError::Index { op, index: index as usize, rows }),
        None => Ok(()),
    }
}

/// Fails unless there is one index for each of `rows` rows.
pub(super) fn expect_one_per_row(indices: &[u32], rows: usize) -> Result<()> {
    if indices.len() == rows { Ok(()) } else { Err(KernelError::Length { rows, cols: 1, found: indices.len() }) }
}
