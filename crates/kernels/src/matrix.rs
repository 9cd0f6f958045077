//! A frozen weight as it lies in a file: bytes in some precision, never copied or widened before it is used.

use std::{fmt, ops::Range, sync::Arc};

use crate::{KernelError, Result};

/// The number format of stored weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of a binary32.
    Bf16,
}

impl Precision {
    /// Bytes of one number.
    pub fn n_bytes(self) -> usize {
        match self {
            Precision::F32 => 4,
            Precision::F16 | Precision::Bf16 => 2,
        }
    }
}

/// A row-major `rows` x `cols` matrix inside shared bytes (a memory-mapped file, usually).
#[derive(Clone)]
pub struct HostMatrix {
    bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
    range: Range<usize>,
    precision: Precision,
    rows: usize,
    cols: usize,
}

impl fmt::Debug for HostMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostMatrix({:?} {} x {})", self.precision, self.rows, self.cols)
    }
}

impl HostMatrix {
    /// The matrix at `range` of `bytes` (little-endian).
    ///
    /// # Errors
    /// [`KernelError::Length`] where the range does not hold exactly `rows * cols` numbers.
    pub fn new(
        bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
        range: Range<usize>,
        precision: Precision,
        rows: usize,
        cols: usize,
    ) -> Result<Self> {
        let expected = rows.checked_mul(cols).and_then(|n| n.checked_mul(precision.n_bytes()));
        let found = range.end.saturating_sub(range.start);
        if expected != Some(found) || (*bytes).as_ref().len() < range.end {
            return Err(KernelError::Length { rows, cols, found: found / precision.n_bytes() });
        }
        Ok(Self { bytes, range, precision, rows, cols })
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

    /// The little-endian bytes.
    pub fn bytes(&self) -> &[u8] {
        (*self.bytes).as_ref().get(self.range.clone()).unwrap_or_default()
    }

    /// The numbers in place, where they are 32-bit floats on a 4-byte boundary.
    pub fn as_f32(&self) -> Option<&[f32]> {
        if self.precision != Precision::F32 || cfg!(target_endian = "big") {
            return None;
        }
        #[allow(unsafe_code)]
        // SAFETY: every bit pattern is an f32; `align_to` puts only aligned, complete values into the middle part.
        let (before, numbers, after) = unsafe { self.bytes().align_to::<f32>() };
        (before.is_empty() && after.is_empty()).then_some(numbers)
    }

    /// Widens the numbers of rows `from..from + out.len() / cols` into `out`.
    pub fn widen_rows(&self, from: usize, out: &mut [f32]) {
        let width = self.precision.n_bytes();
        let start = from * self.cols * width;
        let bytes = self.bytes().get(start..start + out.len() * width).unwrap_or_default();
        crate::fused::rows::widen(self.precision, bytes, out);
    }

    /// All numbers as 32-bit floats.
    pub fn to_f32(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.rows * self.cols];
        self.widen_rows(0, &mut out);
        out
    }
}
