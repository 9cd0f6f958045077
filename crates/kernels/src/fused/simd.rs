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

    /// The environment variable that names the most instructions a process may use, by which they can be measured.
    pub const VARIABLE: &'static str = "LORIKEET_SIMD";

    /// The name, as in flags and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Bf16 => "avx512-bf16",
        }
    }

    /// The best that this processor has; less where [`Simd::VARIABLE`] names a lower level.
    pub fn best() -> Self {
        static BEST: OnceLock<Simd> = OnceLock::new();
        *BEST.get_or_init(|| {
            let limit = std::env::var(Self::VARIABLE).ok();
            let limit = Self::ALL.into_iter().find(|simd| limit.as_deref() == Some(simd.name()));
            limit.map_or(Self::detect(), |limit| limit.min(Self::detect()))
        })
    }

    #[cfg(target_arch = "x86_64")]
    fn detect() -> Self {
        if !(is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c")) {
            return Self::Portable;
        }
        let wide = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
        if !(wide && is_x86_feature_detected!("avx512dq") && is_x86_feature_detected!("avx512vl")) {
            return Self::Avx2;
        }
        if is_x86_feature_detected!("avx512bf16") { Self::Avx512Bf16 } else { Self::Avx512 }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn detect() -> Self {
        Self::Portable
    }
}

/// Functions that are compiled once for AVX-512, once for AVX2 and once for any processor, and chosen by [`Simd::best`].
macro_rules! vectorised {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)? $body:block)*) => { $(
        $(#[$meta])*
        #[allow(unsafe_code, clippy::too_many_arguments)]
        $vis fn $name($($arg: $type),*) $(-> $out)? {
            #[inline(always)]
            fn plain($($arg: $type),*) $(-> $out)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma,f16c")]
                fn avx2($($arg: $type),*) $(-> $out)? {
                    plain($($arg),*)
                }
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")]
                fn avx512($($arg: $type),*) $(-> $out)? {
                    plain($($arg),*)
                }
                match $crate::Simd::best() {
                    $crate::Simd::Portable => {}
                    // SAFETY: the processor has the instructions of the level it is at.
                    $crate::Simd::Avx2 => return unsafe { avx2($($arg),*) },
                    // SAFETY: as above.
                    _ => return unsafe { avx512($($arg),*) },
                }
            }
            plain($($arg),*)
        }
    )* };
}
pub(super) use vectorised;
