//! Which tensor of a GGUF file gets how many bits: llama.cpp's well-known mixtures, so that a file called `Q4_K_M` is what
//! people expect of it.

use lorikeet_kernels::Precision;

/// A way of storing a whole model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GgufRecipe {
    /// Everything in 32-bit floats.
    F32,
    /// Matrices in 16-bit floats.
    F16,
    /// Matrices in bfloat16.
    Bf16,
    /// Matrices in blocks of 8 bits.
    Q8_0,
    /// Matrices in blocks of 4 bits.
    Q4_0,
    /// 4 bits, and 6 for the output, and for the values and down projections of half of the blocks.
    Q4KM,
    /// 5 bits, and 6 where [`GgufRecipe::Q4KM`] has them.
    Q5KM,
    /// 6 bits.
    Q6K,
}

impl GgufRecipe {
    /// Every recipe.
    pub const ALL: [Self; 8] =
        [Self::F32, Self::F16, Self::Bf16, Self::Q8_0, Self::Q4_0, Self::Q4KM, Self::Q5KM, Self::Q6K];

    /// Its name, such as `q4_k_m`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
            Self::Q4KM => "q4_k_m",
            Self::Q5KM => "q5_k_m",
            Self::Q6K => "q6_k",
        }
    }

    /// The number of the recipe in `general.file_type`.
    pub fn file_type(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q8_0 => 7,
            Self::Q4KM => 15,
            Self::Q5KM => 17,
            Self::Q6K => 18,
            Self::Bf16 => 32,
        }
    }

    /// The precision of the tensor `name` (GGUF's name) with these dimensions, in a model of `layers` blocks; `tied` says
    /// that the embedding is the output as well. What has no whole number of blocks in a row gets a format with smaller
    /// blocks, or 16-bit floats.
    pub fn precision(self, name: &str, dims: &[usize], layers: usize, tied: bool) -> Precision {
        if dims.len() < 2 || name.contains("_norm") || name.starts_with("position_embd") {
            return Precision::F32;
        }
        let is_output = name.starts_with("output.") || tied && name.starts_with("token_embd.");
        let wanted = match self {
            Self::F32 => Precision::F32,
            Self::F16 => Precision::F16,
            Self::Bf16 => Precision::Bf16,
            Self::Q8_0 => Precision::Q8_0,
            _ if is_output => Precision::Q6K,
            Self::Q4_0 => Precision::Q4_0,
            Self::Q6K => Precision::Q6K,
            Self::Q4KM | Self::Q5KM if has_more_bits(name, layers) => Precision::Q6K,
            Self::Q5KM if name.contains(".attn_qkv.") => Precision::Q6K,
            Self::Q4KM if name.contains(".attn_qkv.") => Precision::Q5K,
            Self::Q4KM => Precision::Q4K,
            Self::Q5KM => Precision::Q5K,
        };
        fitting(wanted, dims.last().copied().unwrap_or_default())
    }
}

/// The precision itself where rows of `cols` numbers are whole blocks of it, else the nearest one that fits.
pub(crate) fn fitting(wanted: Precision, cols: usize) -> Precision {
    let smaller = match wanted {
        Precision::Q4K => Precision::Q5_0,
        Precision::Q5K => Precision::Q5_1,
        Precision::Q6K => Precision::Q8_0,
        other => other,
    };
    [wanted, smaller].into_iter().find(|p| cols.is_multiple_of(p.block_len())).unwrap_or(Precision::F16)
}

/// Values and down projections of the first and last eighths of the blocks and of every third between.
fn has_more_bits(name: &str, layers: usize) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    let ["blk", block, "attn_v" | "ffn_down", ..] = parts.as_slice() else { return false };
    let (block, eighth): (usize, usize) = (block.parse().unwrap_or_default(), layers / 8);
    block < eighth || block >= 7 * layers / 8 || (block - eighth) % 3 == 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixture_gives_more_bits_to_what_needs_them() {
        let bits = |name: &str, dims: &[usize]| GgufRecipe::Q4KM.precision(name, dims, 16, false).name();
        assert_eq!(bits("output.weight", &[512, 256]), "q6_k");
        assert_eq!(bits("token_embd.weight", &[512, 256]), "q4_k");
        assert_eq!(GgufRecipe::Q4KM.precision("token_embd.weight", &[512, 256], 16, true).name(), "q6_k");
        assert_eq!(bits("output_norm.weight", &[256]), "f32");
        assert_eq!(bits("blk.0.attn_q.bias", &[256]), "f32");
        let more: Vec<usize> =
            (0..16).filter(|i| bits(&format!("blk.{i}.ffn_down.weight"), &[256, 256]) == "q6_k").collect();
        assert_eq!(more, [0, 1, 4, 7, 10, 13, 14, 15]);
        assert_eq!(bits("blk.0.ffn_up.weight", &[256, 256]), "q4_k");
        assert_eq!(bits("blk.0.ffn_up.weight", &[256, 576]), "q5_0");
        assert_eq!(bits("blk.0.attn_v.weight", &[256, 576]), "q8_0");
        assert_eq!(bits("blk.0.ffn_up.weight", &[256, 20]), "f16");
    }
}
