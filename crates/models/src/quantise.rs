//! A base in fewer bits while it is used: matrix by matrix as the model is put together, so that no more than one of them is
//! ever there twice. What is trained, and vectors, keep every bit.

use lorikeet_kernels::{HostMatrix, Precision};

use crate::Result;

/// How a base's matrices are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quantise {
    /// Blocks of 8 bits.
    Q8_0,
    /// Blocks of 4 bits, and of 6 for the matrix that gives the logits.
    Q4K,
}

/// Matrices of a base that could not be kept as asked, because their rows are no whole number of blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Misfits {
    /// How many are kept in 8 bits instead.
    pub in_q8_0: usize,
    /// How many stay as they are.
    pub as_stored: usize,
}

impl Misfits {
    /// One sentence, where there are any.
    pub fn sentence(&self) -> Option<String> {
        let parts = [(self.in_q8_0, "are kept in q8_0"), (self.as_stored, "stay as they are")];
        let said: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        let reason = "of the base's matrices, whose rows are no whole number of blocks,";
        (!said.is_empty()).then(|| format!("{reason} {}", said.join(" and ")))
    }
}

impl Quantise {
    /// The name, as in flags and files.
    pub fn name(self) -> &'static str {
        match self {
            Quantise::Q8_0 => "q8_0",
            Quantise::Q4K => "q4_k",
        }
    }

    /// Bytes of a base of `n_parameters` whose files have `n_bytes`, about: what is small is not counted apart.
    pub fn n_bytes(self, n_parameters: u64, n_bytes: u64) -> u64 {
        let precision = match self {
            Quantise::Q8_0 => Precision::Q8_0,
            Quantise::Q4K => Precision::Q4K,
        };
        let blocks = n_parameters.div_ceil(precision.block_len() as u64);
        n_bytes.min(blocks.saturating_mul(precision.block_bytes() as u64))
    }

    /// The matrix `name` in fewer bits; `is_output` says that it gives the logits. What is stored in blocks already, and
    /// small tables of positions and segments, stay as they are.
    pub(crate) fn apply(
        self,
        name: &str,
        is_output: bool,
        matrix: HostMatrix,
        misfits: &mut Misfits,
    ) -> Result<HostMatrix> {
        let is_small = ["position", "token_type", "wpe."].iter().any(|part| name.contains(part));
        if matrix.precision().is_blocks() || is_small {
            return Ok(matrix);
        }
        let wanted = match self {
            Quantise::Q8_0 => Precision::Q8_0,
            Quantise::Q4K if is_output => Precision::Q6K,
            Quantise::Q4K => Precision::Q4K,
        };
        let fits = |p: &Precision| matrix.cols().is_multiple_of(p.block_len());
        match [wanted, Precision::Q8_0].into_iter().find(fits) {
            Some(precision) => {
                misfits.in_q8_0 += usize::from(precision != wanted);
                Ok(matrix.quantise(precision)?)
            }
            None => {
                misfits.as_stored += 1;
                Ok(matrix)
            }
        }
    }
}
