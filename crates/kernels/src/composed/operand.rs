//! What the composed operations work on, and the checks that come before candle's own: they name the operation and both
//! shapes.

use std::borrow::Cow;

use candle_core::{
    DType, Device, Tensor,
    quantized::{QStorage, QTensor},
};

use crate::{HostMatrix, KernelError, Result, RowOrder, quantise::format_of};

/// A two-dimensional tensor of [`Composed`](crate::Composed).
#[derive(Debug)]
pub struct DeviceMatrix {
    numbers: Numbers,
    frozen: bool,
}

#[derive(Debug)]
enum Numbers {
    Dense(Tensor),
    Blocks(StoredBlocks),
}

/// A weight in blocks: on the device for products, and where it lies on the host for single rows of it.
#[derive(Debug)]
pub(super) struct StoredBlocks {
    device: QTensor,
    host: HostMatrix,
}

impl StoredBlocks {
    pub(super) fn new(host: &HostMatrix, device: &Device) -> Result<Self> {
        let bytes = host.stored_bytes();
        // candle reads scales in place, which must not lie on odd addresses; a file may hold them anywhere.
        let is_even = bytes.as_ptr().addr().is_multiple_of(align_of::<u64>());
        let bytes = if is_even { Cow::Borrowed(bytes) } else { Cow::Owned(bytes.to_vec()) };
        let storage = QStorage::from_data(bytes, device, format_of(host.precision()))?;
        Ok(Self { device: QTensor::new(storage, (host.rows(), host.cols()))?, host: host.clone() })
    }

    /// All numbers, in the order of the matrix.
    fn widened(&self) -> Result<Tensor> {
        ordered(self.device.dequantize(&self.device.device())?, self.host.order())
    }

    /// The numbers of some rows.
    pub(super) fn rows(&self, rows: &[u32]) -> Result<Tensor> {
        let cols = self.host.cols();
        let mut numbers = vec![0.0; rows.len() * cols];
        for (row, out) in rows.iter().zip(numbers.chunks_exact_mut(cols.max(1))) {
            self.host.widen_rows(*row as usize, out);
        }
        Ok(Tensor::from_vec(numbers, (rows.len(), cols), &self.device.device())?)
    }
}

/// Stored rows (R, C) in the order of the matrix.
pub(super) fn ordered(stored: Tensor, order: RowOrder) -> Result<Tensor> {
    let (rows, cols) = stored.dims2()?;
    let (head, pairs) = match order {
        RowOrder::Stored => return Ok(stored),
        RowOrder::HalvesFromPairs(head) => (head, (head / 2, 2)),
        RowOrder::PairsFromHalves(head) => (head, (2, head / 2)),
    };
    let heads = stored.reshape((rows / head, pairs.0, pairs.1, cols))?.transpose(1, 2)?;
    Ok(heads.contiguous()?.reshape((rows, cols))?)
}

impl DeviceMatrix {
    pub(super) fn new(tensor: Tensor) -> Self {
        Self { numbers: Numbers::Dense(tensor), frozen: false }
    }

    /// A weight that no operation may change.
    pub(super) fn frozen(tensor: Tensor) -> Self {
        Self { numbers: Numbers::Dense(tensor), frozen: true }
    }

    /// A weight that stays in blocks.
    pub(super) fn blocks(blocks: StoredBlocks) -> Self {
        Self { numbers: Numbers::Blocks(blocks), frozen: true }
    }

    /// Whether no operation may change it.
    pub(super) fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// All numbers as 32-bit floats; what is stored narrow is widened for the time of its use.
    pub(super) fn widened(&self) -> Result<Cow<'_, Tensor>> {
        Ok(match &self.numbers {
            Numbers::Dense(tensor) if tensor.dtype() == DType::F32 => Cow::Borrowed(tensor),
            Numbers::Dense(tensor) => Cow::Owned(tensor.to_dtype(DType::F32)?),
            Numbers::Blocks(blocks) => Cow::Owned(blocks.widened()?),
        })
    }

    /// The chosen rows as 32-bit floats; the indices were checked.
    pub(super) fn chosen(&self, rows: &[u32]) -> Result<Tensor> {
        match &self.numbers {
            Numbers::Dense(tensor) => {
                let indices = Tensor::from_slice(rows, rows.len(), tensor.device())?;
                Ok(tensor.index_select(&indices, 0)?.to_dtype(DType::F32)?)
            }
            Numbers::Blocks(blocks) => blocks.rows(rows),
        }
    }

    /// Rows and columns; the tensor has two dimensions by construction.
    pub(super) fn shape(&self) -> (usize, usize) {
        match &self.numbers {
            Numbers::Dense(tensor) => tensor.dims2().unwrap_or_default(),
            Numbers::Blocks(blocks) => (blocks.host.rows(), blocks.host.cols()),
        }
    }

    /// The numbers for an operation that does not widen.
    pub(super) fn floats(&self, op: &'static str) -> Result<&Tensor> {
        match &self.numbers {
            Numbers::Dense(tensor) if tensor.dtype() == DType::F32 => Ok(tensor),
            _ => Err(KernelError::NotOwned { op }),
        }
    }

    /// The numbers for an operation that replaces them.
    pub(super) fn owned(&mut self, op: &'static str) -> Result<&mut Tensor> {
        match &mut self.numbers {
            Numbers::Dense(tensor) if !self.frozen => Ok(tensor),
            _ => Err(KernelError::NotOwned { op }),
        }
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
