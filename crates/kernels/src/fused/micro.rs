//! The inner loops of products: a tile of up to 12 rows and 32 columns stays in registers while it walks along the inner
//! dimension. Written in assembly, because a compiler that sees intrinsics moves accumulators to memory and back (less than
//! half the speed, measured). On two vector units of 16 lanes, 24 accumulators hide the latency of a multiplication; each
//! step reads two vectors of the right operand and one broadcast number of each row of the left one.
//!
//! Operands are 32-bit words: a float, or a pair of 16-bit ones whose products are added in pairs. The order of the sums is
//! that of the inner dimension, whatever the size of the tile.
#![allow(unsafe_code)]

use super::simd::Simd;

/// Most rows of a tile.
pub const ROWS: usize = 12;
/// Columns of a tile.
pub const COLS: usize = 32;

/// Sums of products, row by row.
#[repr(align(64))]
pub struct Tile(pub [[f32; COLS]; ROWS]);

/// What a word holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// One 32-bit float.
    Float,
    /// Two 16-bit floats that follow each other along the inner dimension.
    Pair,
}

/// Two operands: `a(i, k)` at `a + i row_step + k k_step`, row `k` of `b` at `b + k b_step`; steps in bytes.
#[derive(Clone, Copy)]
pub struct Factors {
    /// Words along the inner dimension.
    pub k: usize,
    /// Left operand.
    pub a: *const u32,
    /// From a row of the left operand to the next.
    pub row_step: isize,
    /// From a word of the left operand to the next along the inner dimension.
    pub k_step: isize,
    /// Right operand: 32 words (16 where the tile has no more columns) can be read at each step.
    pub b: *const u32,
    /// From a row of the right operand to the next.
    pub b_step: isize,
}

/// `tile += a b` for the first `m` rows and `n` columns of the tile; what else of it is written is meaningless.
///
/// # Safety
/// Both operands must be readable as [`Factors`] says, and the processor must have the instructions of `simd`.
pub unsafe fn add_products(simd: Simd, word: Word, f: Factors, (m, n): (usize, usize), tile: &mut Tile) {
    if f.k == 0 {
        return;
    }
    #[cfg(target_arch = "x86_64")]
    // SAFETY: promised by the caller; kernels write `m` rows of the tile.
    unsafe {
        match (simd, word) {
            (Simd::Portable, _) => portable(f, (m, n), tile),
            (Simd::Avx2, _) => x86::in_parts(f, (m, n), tile),
            (_, Word::Float) => x86::whole(&x86::FLOATS_512, f, (m, n), tile),
            (_, Word::Pair) => x86::whole(&x86::PAIRS_512, f, (m, n), tile),
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    // SAFETY: promised by the caller.
    unsafe {
        let _ = (simd, word);
        portable(f, (m, n), tile);
    }
}

/// Rows and columns of which a compiler keeps the sums in registers of 4 lanes.
const PORTABLE: (usize, usize) = (4, 16);

/// For processors whose vectors are not known here: what a compiler makes of loops of fixed lengths.
unsafe fn portable(f: Factors, (m, n): (usize, usize), tile: &mut Tile) {
    for column in (0..n.min(COLS)).step_by(PORTABLE.1) {
        for row in (0..m.min(ROWS)).step_by(PORTABLE.0) {
            let mut sums = [[0f32; PORTABLE.1]; PORTABLE.0];
            // Rows beyond the last are computed from the last, and not written.
            let a: [isize; PORTABLE.0] = std::array::from_fn(|i| (row + i).min(m - 1) as isize * f.row_step);
            for k in 0..f.k as isize {
                // SAFETY: the caller promised that these words can be read.
                let b = unsafe { &*f.b.byte_offset(k * f.b_step).add(column).cast::<[f32; PORTABLE.1]>() };
                for (sums, row) in sums.iter_mut().zip(a) {
                    // SAFETY: as above.
                    let a = unsafe { *f.a.byte_offset(row + k * f.k_step).cast::<f32>() };
                    for (sum, b) in sums.iter_mut().zip(b) {
                        *sum = if cfg!(target_arch = "aarch64") { a.mul_add(*b, *sum) } else { *sum + a * b };
                    }
                }
            }
            for (target, sums) in tile.0.iter_mut().skip(row).take(m - row).zip(&sums) {
                for (target, sum) in target.iter_mut().skip(column).zip(sums) {
                    *target += sum;
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;

    use super::{COLS, Factors, ROWS, Tile};

    /// `tile += a b` for as many rows as the kernel has.
    type Kernel = unsafe fn(&Factors, *mut f32);

    /// Kernels of 1, 2, … rows: of 16 columns, and of 32.
    pub struct Kernels {
        half: [Kernel; ROWS],
        full: [Kernel; ROWS],
    }

    /// One kernel: `$rows` name the row's place in the tile, its accumulators, a register for its number, and where that is.
    macro_rules! kernel {
        (full, $fma:literal, $feature:literal, $([$row:literal $low:literal $high:literal $one:literal $at:literal])*) => {{
            #[target_feature(enable = $feature)]
            unsafe fn kernel(f: &Factors, tile: *mut f32) {
                // SAFETY: reads what the caller of `add_products` promised, and the rows of the tile.
                unsafe { asm!(
                    $(concat!("vmovups zmm", $low, ", [{t} + 128*", $row, "]"),
                      concat!("vmovups zmm", $high, ", [{t} + 128*", $row, " + 64]"),)*
                    "2: // rows are {s} apart",
                    "vmovups zmm24, [{b}]",
                    "vmovups zmm25, [{b} + 64]",
                    $(concat!("vbroadcastss zmm", $one, ", dword ptr [", $at, "]"),
                      concat!($fma, " zmm", $low, ", zmm24, zmm", $one),
                      concat!($fma, " zmm", $high, ", zmm25, zmm", $one),)*
                    "add {b}, {bs}", "add {a}, {ks}", "add {a3}, {ks}", "add {a6}, {ks}", "add {a9}, {ks}",
                    "dec {k}",
                    "jnz 2b",
                    $(concat!("vmovups [{t} + 128*", $row, "], zmm", $low),
                      concat!("vmovups [{t} + 128*", $row, " + 64], zmm", $high),)*
                    a = inout(reg) f.a => _,
                    a3 = inout(reg) f.a.wrapping_byte_offset(3 * f.row_step) => _,
                    a6 = inout(reg) f.a.wrapping_byte_offset(6 * f.row_step) => _,
                    a9 = inout(reg) f.a.wrapping_byte_offset(9 * f.row_step) => _,
                    s = in(reg) f.row_step, ks = in(reg) f.k_step,
                    b = inout(reg) f.b => _, bs = in(reg) f.b_step, k = inout(reg) f.k => _, t = in(reg) tile,
                    out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _, out("zmm4") _, out("zmm5") _,
                    out("zmm6") _, out("zmm7") _, out("zmm8") _, out("zmm9") _, out("zmm10") _, out("zmm11") _,
                    out("zmm12") _, out("zmm13") _, out("zmm14") _, out("zmm15") _, out("zmm16") _, out("zmm17") _,
                    out("zmm18") _, out("zmm19") _, out("zmm20") _, out("zmm21") _, out("zmm22") _, out("zmm23") _,
                    out("zmm24") _, out("zmm25") _, out("zmm26") _, out("zmm27") _, out("zmm28") _, out("zmm29") _,
                    options(nostack),
                ) }
            }
            kernel as Kernel
        }};
        (half, $fma:literal, $feature:literal, $([$row:literal $low:literal $high:literal $one:literal $at:literal])*) => {{
            #[target_feature(enable = $feature)]
            unsafe fn kernel(f: &Factors, tile: *mut f32) {
                // SAFETY: as above.
                unsafe { asm!(
                    $(concat!("vmovups zmm", $low, ", [{t} + 128*", $row, "]"),)*
                    "2: // rows are {s} apart",
                    "vmovups zmm24, [{b}]",
                    $(concat!("vbroadcastss zmm", $one, ", dword ptr [", $at, "]"),
                      concat!($fma, " zmm", $low, ", zmm24, zmm", $one),)*
                    "add {b}, {bs}", "add {a}, {ks}", "add {a3}, {ks}", "add {a6}, {ks}", "add {a9}, {ks}",
                    "dec {k}",
                    "jnz 2b",
                    $(concat!("vmovups [{t} + 128*", $row, "], zmm", $low),)*
                    a = inout(reg) f.a => _,
                    a3 = inout(reg) f.a.wrapping_byte_offset(3 * f.row_step) => _,
                    a6 = inout(reg) f.a.wrapping_byte_offset(6 * f.row_step) => _,
                    a9 = inout(reg) f.a.wrapping_byte_offset(9 * f.row_step) => _,
                    s = in(reg) f.row_step, ks = in(reg) f.k_step,
                    b = inout(reg) f.b => _, bs = in(reg) f.b_step, k = inout(reg) f.k => _, t = in(reg) tile,
                    out("zmm0") _, out("zmm2") _, out("zmm4") _, out("zmm6") _, out("zmm8") _, out("zmm10") _,
                    out("zmm12") _, out("zmm14") _, out("zmm16") _, out("zmm18") _, out("zmm20") _, out("zmm22") _,
                    out("zmm24") _, out("zmm26") _, out("zmm27") _, out("zmm28") _, out("zmm29") _,
                    options(nostack),
                ) }
            }
            kernel as Kernel
        }};
        (eight, $fma:literal, $feature:literal, $([$row:literal $low:literal $high:literal $one:literal $at:literal])*) => {{
            #[target_feature(enable = $feature)]
            unsafe fn kernel(f: &Factors, tile: *mut f32) {
                // SAFETY: as above.
                unsafe { asm!(
                    $(concat!("vmovups ymm", $low, ", [{t} + 128*", $row, "]"),
                      concat!("vmovups ymm", $high, ", [{t} + 128*", $row, " + 32]"),)*
                    "2: // rows are {s} apart",
                    "vmovups ymm12, [{b}]",
                    "vmovups ymm13, [{b} + 32]",
                    $(concat!("vbroadcastss ymm", $one, ", dword ptr [", $at, "]"),
                      concat!($fma, " ymm", $low, ", ymm12, ymm", $one),
                      concat!($fma, " ymm", $high, ", ymm13, ymm", $one),)*
                    "add {b}, {bs}", "add {a}, {ks}", "add {a3}, {ks}",
                    "dec {k}",
                    "jnz 2b",
                    $(concat!("vmovups [{t} + 128*", $row, "], ymm", $low),
                      concat!("vmovups [{t} + 128*", $row, " + 32], ymm", $high),)*
                    a = inout(reg) f.a => _,
                    a3 = inout(reg) f.a.wrapping_byte_offset(3 * f.row_step) => _,
                    s = in(reg) f.row_step, ks = in(reg) f.k_step,
                    b = inout(reg) f.b => _, bs = in(reg) f.b_step, k = inout(reg) f.k => _, t = in(reg) tile,
                    out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _, out("ymm4") _, out("ymm5") _,
                    out("ymm6") _, out("ymm7") _, out("ymm8") _, out("ymm9") _, out("ymm10") _, out("ymm11") _,
                    out("ymm12") _, out("ymm13") _, out("ymm14") _, out("ymm15") _,
                    options(nostack),
                ) }
            }
            kernel as Kernel
        }};
    }

    /// Kernels of the first row, of the first two, and so on.
    macro_rules! kernels {
        ($width:ident, $fma:literal, $feature:literal, $($row:tt)*) => {
            kernels!(@ $width $fma $feature [] [$($row)*] [])
        };
        (@ $width:ident $fma:literal $feature:literal [$($done:tt)*] [$next:tt $($rest:tt)*] [$($kernel:expr,)*]) => {
            kernels!(@ $width $fma $feature [$($done)* $next] [$($rest)*]
                [$($kernel,)* kernel!($width, $fma, $feature, $($done)* $next),])
        };
        (@ $width:ident $fma:literal $feature:literal [$($done:tt)*] [] [$($kernel:expr,)*]) => { [$($kernel),*] };
    }

    macro_rules! rows_of_512 {
        ($width:ident, $fma:literal, $feature:literal) => {
            kernels!($width, $fma, $feature,
                ["0" "0" "1" "26" "{a}"] ["1" "2" "3" "27" "{a} + {s}"] ["2" "4" "5" "28" "{a} + 2*{s}"]
                ["3" "6" "7" "29" "{a3}"] ["4" "8" "9" "26" "{a3} + {s}"] ["5" "10" "11" "27" "{a3} + 2*{s}"]
                ["6" "12" "13" "28" "{a6}"] ["7" "14" "15" "29" "{a6} + {s}"] ["8" "16" "17" "26" "{a6} + 2*{s}"]
                ["9" "18" "19" "27" "{a9}"] ["10" "20" "21" "28" "{a9} + {s}"] ["11" "22" "23" "29" "{a9} + 2*{s}"])
        };
    }

    pub static FLOATS_512: Kernels = Kernels {
        half: rows_of_512!(half, "vfmadd231ps", "avx512f"),
        full: rows_of_512!(full, "vfmadd231ps", "avx512f"),
    };

    pub static PAIRS_512: Kernels = Kernels {
        half: rows_of_512!(half, "vdpbf16ps", "avx512f,avx512bf16"),
        full: rows_of_512!(full, "vdpbf16ps", "avx512f,avx512bf16"),
    };

    /// Rows and columns of an AVX2 kernel: 12 of 16 registers are accumulators.
    const PART: (usize, usize) = (6, 16);

    static FLOATS_256: [Kernel; PART.0] = kernels!(eight, "vfmadd231ps", "avx2,fma",
        ["0" "0" "1" "14" "{a}"] ["1" "2" "3" "15" "{a} + {s}"] ["2" "4" "5" "14" "{a} + 2*{s}"]
        ["3" "6" "7" "15" "{a3}"] ["4" "8" "9" "14" "{a3} + {s}"] ["5" "10" "11" "15" "{a3} + 2*{s}"]);

    /// # Safety
    /// As [`super::add_products`]; the processor must have the kernels' instructions.
    pub unsafe fn whole(kernels: &Kernels, f: Factors, (m, n): (usize, usize), tile: &mut Tile) {
        let kernels = if n > COLS / 2 { &kernels.full } else { &kernels.half };
        if let Some(kernel) = m.checked_sub(1).and_then(|i| kernels.get(i)) {
            // SAFETY: passed on to the caller.
            unsafe { kernel(&f, tile.0.as_mut_ptr().cast()) }
        }
    }

    /// # Safety
    /// As [`super::add_products`]; the processor must have AVX2 and FMA.
    pub unsafe fn in_parts(f: Factors, (m, n): (usize, usize), tile: &mut Tile) {
        for column in (0..n.min(COLS)).step_by(PART.1) {
            for row in (0..m.min(ROWS)).step_by(PART.0) {
                let kernel = FLOATS_256[PART.0.min(m - row) - 1];
                let part = Factors {
                    a: f.a.wrapping_byte_offset(row as isize * f.row_step),
                    b: f.b.wrapping_add(column),
                    ..f
                };
                // SAFETY: passed on to the caller; the part lies inside the tile.
                unsafe { kernel(&part, tile.0.as_mut_ptr().cast::<f32>().add(row * COLS + column)) }
            }
        }
    }
}
