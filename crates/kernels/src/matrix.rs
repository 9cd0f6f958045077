//! A frozen weight as it lies in a file: bytes in some precision, never copied or widened before it is used.

use std::{fmt, ops::Range, sync::Arc};

use crate::{KernelError, Precision, Result};

/// A row-major `rows` x `cols` matrix inside shared bytes (a memory-mapped file, usually).
#[derive(Clone)]
pub struct HostMatrix {
    bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
    range: Range<usize>,
    precision: Precision,
    rows: usize,
    cols: usize,
    order: RowOrder,
}

/// Where the rows of a matrix lie among the stored ones: the two ways of keeping the pairs of channels that rotary
/// positions turn. Published weights keep the first halves of all pairs of a head before the second halves; the `llama`
/// architecture of GGUF keeps each pair together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOrder {
    /// As stored.
    Stored,
    /// The matrix has halves one behind the other, the file has pairs; heads have this many rows.
    HalvesFromPairs(usize),
    /// The matrix has pairs, the file has halves one behind the other; heads have this many rows.
    PairsFromHalves(usize),
}

impl RowOrder {
    /// The stored row that is row `row` of the matrix.
    pub(crate) fn stored(self, row: usize) -> usize {
        match self {
            Self::Stored => row,
            Self::HalvesFromPairs(head) => {
                let (start, i, half) = (row / head * head, row % head, head / 2);
                start + 2 * (i % half) + i / half
            }
            Self::PairsFromHalves(head) => {
                let (start, i, half) = (row / head * head, row % head, head / 2);
                start + i % 2 * half + i / 2
            }
        }
    }

    /// This order, and then another; `None` where that is neither of the three.
    fn then(self, next: Self) -> Option<Self> {
        match (self, next) {
            (order, Self::Stored) | (Self::Stored, order) => Some(order),
            (Self::HalvesFromPairs(a), Self::PairsFromHalves(b))
            | (Self::PairsFromHalves(a), Self::HalvesFromPairs(b)) => (a == b).then_some(Self::Stored),
            _ => None,
        }
    }

    /// Whether `rows` rows are whole heads of pairs.
    fn fits(self, rows: usize) -> bool {
        match self {
            Self::Stored => true,
            Self::HalvesFromPairs(head) | Self::PairsFromHalves(head) => {
                head >= 2 && head.is_multiple_of(2) && rows.is_multiple_of(head)
            }
        }
    }
}

impl fmt::Debug for HostMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostMatrix({} {} x {})", self.precision.name(), self.rows, self.cols)
    }
}

impl HostMatrix {
    /// The matrix at `range` of `bytes` (little-endian).
    ///
    /// # Errors
    /// [`KernelError::Blocks`] where a row is no whole number of blocks, [`KernelError::Length`] where the range does not
    /// hold exactly `rows * cols` numbers.
    pub fn new(
        bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
        range: Range<usize>,
        precision: Precision,
        rows: usize,
        cols: usize,
    ) -> Result<Self> {
        let block = precision.block_len();
        if !cols.is_multiple_of(block) {
            return Err(KernelError::Blocks { precision: precision.name(), block, cols });
        }
        let expected = precision.row_bytes(cols).and_then(|n| n.checked_mul(rows));
        let found = range.end.saturating_sub(range.start);
        if expected != Some(found) || (*bytes).as_ref().len() < range.end {
            return Err(KernelError::Length { rows, cols, found: found / precision.block_bytes() * block });
        }
        Ok(Self { bytes, range, precision, rows, cols, order: RowOrder::Stored })
    }

    /// A matrix of 32-bit floats that is held in memory.
    ///
    /// # Errors
    /// [`KernelError::Length`] where there are not `rows * cols` numbers.
    pub fn from_f32(numbers: &[f32], rows: usize, cols: usize) -> Result<Self> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|v| v.to_le_bytes()).collect();
        let range = 0..bytes.len();
        Self::new(Arc::new(bytes), range, Precision::F32, rows, cols)
    }

    /// The same bytes with the rows in another order; what is asked for by row comes in that order, and nothing is copied.
    ///
    /// # Errors
    /// [`KernelError::Shape`] where the rows are not whole heads of an even size, or already are in the order asked for.
    pub fn in_order(mut self, order: RowOrder) -> Result<Self> {
        let head = if let RowOrder::HalvesFromPairs(n) | RowOrder::PairsFromHalves(n) = order { n } else { 0 };
        let misfit = KernelError::Shape { op: "in_order", left: (self.rows, self.cols), right: (head, self.cols) };
        self.order = self.order.then(order).filter(|_| order.fits(self.rows)).ok_or(misfit)?;
        Ok(self)
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The number format.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Where the rows lie among the stored ones.
    pub fn order(&self) -> RowOrder {
        self.order
    }

    /// All stored bytes, little-endian, the rows as they are stored.
    pub fn stored_bytes(&self) -> &[u8] {
        (*self.bytes).as_ref().get(self.range.clone()).unwrap_or_default()
    }

    /// The bytes of row `row`; empty beyond the last.
    pub fn row_bytes(&self, row: usize) -> &[u8] {
        let width = self.width();
        let start = self.order.stored(row) * width;
        self.stored_bytes().get(start..start + width).unwrap_or_default()
    }

    /// Bytes of a row.
    fn width(&self) -> usize {
        self.range.len().checked_div(self.rows).unwrap_or_default()
    }

    /// The numbers in place, where they are 32-bit floats on a 4-byte boundary in the order of the matrix.
    pub fn as_f32(&self) -> Option<&[f32]> {
        if self.precision != Precision::F32 || self.order != RowOrder::Stored || cfg!(target_endian = "big") {
            return None;
        }
        #[allow(unsafe_code)]
        // SAFETY: every bit pattern is an f32; `align_to` puts only aligned, complete values into the middle part.
        let (before, numbers, after) = unsafe { self.stored_bytes().align_to::<f32>() };
        (before.is_empty() && after.is_empty()).then_some(numbers)
    }

    /// Widens the numbers of rows `from..from + out.len() / cols` into `out`.
    pub fn widen_rows(&self, from: usize, out: &mut [f32]) {
        if self.order == RowOrder::Stored {
            let (width, n) = (self.width(), out.len().checked_div(self.cols).unwrap_or_default());
            let bytes = self.stored_bytes().get(from * width..(from + n) * width).unwrap_or_default();
            return crate::fused::widen(self.precision, bytes, out);
        }
        for (i, out) in out.chunks_exact_mut(self.cols.max(1)).enumerate() {
            crate::fused::widen(self.precision, self.row_bytes(from + i), out);
        }
    }

    /// The blocks of row `row` that hold the numbers at `columns`.
    pub(crate) fn part_bytes(&self, row: usize, columns: Range<usize>) -> &[u8] {
        let (len, n_bytes) = (self.precision.block_len(), self.precision.block_bytes());
        let (first, last) = (columns.start / len, columns.end.div_ceil(len));
        self.row_bytes(row).get(first * n_bytes..last * n_bytes).unwrap_or_default()
    }

    /// Widens the numbers of row `row` at `columns` into `out`, which is as long.
    pub(crate) fn widen_part(&self, row: usize, columns: Range<usize>, out: &mut [f32]) {
        let len = self.precision.block_len();
        let (first, last) = (columns.start / len, columns.end.div_ceil(len));
        let bytes = self.part_bytes(row, columns.clone());
        if columns.start == first * len && columns.end == last * len {
            return crate::fused::widen(self.precision, bytes, out);
        }
        let mut blocks = vec![0.0; (last - first) * len];
        crate::fused::widen(self.precision, bytes, &mut blocks);
        out.copy_from_slice(&blocks[columns.start - first * len..columns.end - first * len]);
    }

    /// All numbers as 32-bit floats.
    pub fn to_f32(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.rows * self.cols];
        self.widen_rows(0, &mut out);
        out
    }
}
