//! The formats in which weights are stored: plain floats, and blocks of a few bits per number with shared scales, as
//! GGUF files hold them (the `ggml` library defines them).

/// The number format of stored weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Precision {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of a binary32.
    Bf16,
    /// 32 numbers `d (q - 8)`, `q` of 4 bits.
    Q4_0,
    /// 32 numbers `d q + m`, `q` of 4 bits.
    Q4_1,
    /// 32 numbers `d (q - 16)`, `q` of 5 bits.
    Q5_0,
    /// 32 numbers `d q + m`, `q` of 5 bits.
    Q5_1,
    /// 32 numbers `d q`, `q` of 8 bits.
    Q8_0,
    /// 256 numbers in eight groups of 32, `d s q - e m`, `q` of 4 bits, `s` and `m` of 6 bits per group.
    Q4K,
    /// As [`Precision::Q4K`] with `q` of 5 bits.
    Q5K,
    /// 256 numbers in sixteen groups of 16, `d s (q - 32)`, `q` of 6 bits, `s` of 8 bits per group.
    Q6K,
}

impl Precision {
    /// Every format.
    pub const ALL: [Self; 11] = [
        Self::F32,
        Self::F16,
        Self::Bf16,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q8_0,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
    ];

    /// Its name in lower case, such as `f16` or `q4_k`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::Q4_0 => "q4_0",
            Self::Q4_1 => "q4_1",
            Self::Q5_0 => "q5_0",
            Self::Q5_1 => "q5_1",
            Self::Q8_0 => "q8_0",
            Self::Q4K => "q4_k",
            Self::Q5K => "q5_k",
            Self::Q6K => "q6_k",
        }
    }

    /// Numbers that are stored together; 1 for plain floats.
    pub fn block_len(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::Bf16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q4K | Self::Q5K | Self::Q6K => 256,
        }
    }

    /// Bytes of [`Precision::block_len`] numbers.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    /// Whether numbers share scales.
    pub fn is_blocks(self) -> bool {
        self.block_len() > 1
    }

    /// Bytes of a row of `cols` numbers; `None` where that is no whole number of blocks or more than can be counted.
    pub fn row_bytes(self, cols: usize) -> Option<usize> {
        if cols.is_multiple_of(self.block_len()) {
            (cols / self.block_len()).checked_mul(self.block_bytes())
        } else {
            None
        }
    }
}
