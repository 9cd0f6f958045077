//! Which vector instructions products use: the best that the processor has, or fewer where somebody wants to know what they
//! are worth.

use std::sync::OnceLock;

/// Vector instructions for products, each with all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Simd {
    /// Whatever the compiler may assume: 4 numbers at a time, on most processors.
    Portable,
    /// AVX2 and FMA: 8 numbers at a time.
    Avx2,
    /// AVX-512: 16 numbers at a time.
    Avx512,
    /// AVX-512 with products of pairs of 16-bit numbers.
    Avx512Bf16,
}

impl Simd {
    /// Every level, from the least.
    pub const ALL: [Self; 4] = [Self::Portable, Self::Avx2, Self::Avx512, Self::Avx512Bf16];

    /// The name, as in flags and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Bf16 => "avx512-bf16",
        }
    }

    /// The best that this processor has.
    pub fn best() -> Self {
        static BEST: OnceLock<Simd> = OnceLock::new();
        *BEST.get_or_init(Self::detect)
    }

    #[cfg(target_arch = "x86_64")]
    fn detect() -> Self {
        if !(is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")) {
            return Self::Portable;
        }
        if !(is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")) {
            return Self::Avx2;
        }
        if is_x86_feature_detected!("avx512bf16") { Self::Avx512Bf16 } else { Self::Avx512 }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn detect() -> Self {
        Self::Portable
    }
}
