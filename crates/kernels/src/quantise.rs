//! Weights into fewer bits, with candle's encoders of the block formats.

use std::sync::Arc;

use candle_core::{
    Device, Tensor,
    quantized::{GgmlDType, QTensor},
};
use half::{bf16, f16};
use rayon::prelude::*;

use crate::{HostMatrix, KernelError, Precision, Result};

/// Numbers that are in memory as 32-bit floats at a time, in each thread.
const NUMBERS_AT_A_TIME: usize = 1 << 16;

impl HostMatrix {
    /// The same matrix in another precision, held in memory. Rows are widened a few at a time, so that the matrix never
    /// exists whole as 32-bit floats.
    ///
    /// # Errors
    /// [`KernelError::Blocks`] where a row is no whole number of blocks of that precision.
    pub fn quantise(&self, precision: Precision) -> Result<HostMatrix> {
        let (rows, cols, block) = (self.rows(), self.cols(), precision.block_len());
        let too_long = || KernelError::Blocks { precision: precision.name(), block, cols };
        let width = precision.row_bytes(cols).ok_or_else(too_long)?;
        let mut bytes = vec![0u8; rows * width];
        let at_a_time = (NUMBERS_AT_A_TIME / cols.max(1)).max(1);
        bytes.par_chunks_mut((at_a_time * width).max(1)).enumerate().try_for_each(|(i, bytes)| {
            let mut numbers = vec![0.0; bytes.len().checked_div(width).unwrap_or_default() * cols];
            self.widen_rows(i * at_a_time, &mut numbers);
            narrow(precision, numbers, cols, bytes)
        })?;
        let range = 0..bytes.len();
        HostMatrix::new(Arc::new(bytes), range, precision, rows, cols)
    }
}

/// Whole rows of `cols` numbers into `bytes`.
fn narrow(precision: Precision, numbers: Vec<f32>, cols: usize, bytes: &mut [u8]) -> Result<()> {
    match precision {
        Precision::F32 => copy(bytes, numbers.iter().map(|v| v.to_le_bytes())),
        Precision::F16 => copy(bytes, numbers.iter().map(|v| f16::from_f32(*v).to_le_bytes())),
        Precision::Bf16 => copy(bytes, numbers.iter().map(|v| bf16::from_f32(*v).to_le_bytes())),
        blocks => {
            let rows = Tensor::from_vec(
                numbers,
                (bytes.len() / blocks.row_bytes(cols).unwrap_or(1).max(1), cols),
                &Device::Cpu,
            )?;
            bytes.copy_from_slice(&QTensor::quantize(&rows, format_of(blocks))?.data()?);
        }
    }
    Ok(())
}

fn copy<const N: usize>(bytes: &mut [u8], numbers: impl Iterator<Item = [u8; N]>) {
    bytes.as_chunks_mut::<N>().0.iter_mut().zip(numbers).for_each(|(to, from)| *to = from);
}

/// candle's name of a precision.
pub(crate) fn format_of(precision: Precision) -> GgmlDType {
    match precision {
        Precision::F32 => GgmlDType::F32,
        Precision::F16 => GgmlDType::F16,
        Precision::Bf16 => GgmlDType::BF16,
        Precision::Q4_0 => GgmlDType::Q4_0,
        Precision::Q4_1 => GgmlDType::Q4_1,
        Precision::Q5_0 => GgmlDType::Q5_0,
        Precision::Q5_1 => GgmlDType::Q5_1,
        Precision::Q8_0 => GgmlDType::Q8_0,
        Precision::Q4K => GgmlDType::Q4K,
        Precision::Q5K => GgmlDType::Q5K,
        Precision::Q6K => GgmlDType::Q6K,
    }
}
