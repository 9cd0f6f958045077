//! Weights stored in blocks of a few bits: the same numbers on every back end (candle's decoder is the second opinion), the
//! same products as with the numbers themselves, never the whole weight in memory.

use std::sync::Arc;

use lorikeet_kernels::{Backend, Composed, Fused, HostMatrix, KernelError, Precision, RowOrder};

use crate::{
    harness::on_every_backend,
    matrix::{Matrix, assert_close},
};

on_every_backend!(
    products_with_blocks_equal_products_with_their_numbers,
    chosen_rows_of_blocks_are_exact,
    rows_in_another_order_are_never_moved,
    blocks_do_not_change,
);

fn block_formats() -> impl Iterator<Item = Precision> {
    Precision::ALL.into_iter().filter(|p| p.is_blocks())
}

fn stored(seed: u64, rows: usize, cols: usize, precision: Precision) -> HostMatrix {
    HostMatrix::from_f32(&Matrix::random(seed, rows, cols).to_f32(), rows, cols).unwrap().quantise(precision).unwrap()
}

fn numbers(stored: &HostMatrix) -> Matrix {
    Matrix::new(stored.rows(), stored.cols(), stored.to_f32().into_iter().map(f64::from).collect())
}

/// Root mean square of the error over that of the numbers, for normal numbers: what the formats are known to lose.
#[test]
fn every_format_loses_what_it_must_and_no_more() {
    let x = Matrix::random(7, 20, 512);
    let dense = HostMatrix::from_f32(&x.to_f32(), 20, 512).unwrap();
    let most = [0.0, 3e-4, 3e-3, 0.11, 0.10, 0.055, 0.05, 0.01, 0.09, 0.045, 0.025];
    for (precision, most) in Precision::ALL.into_iter().zip(most) {
        let found = numbers(&dense.quantise(precision).unwrap());
        let (error, size) = (found.zip(&x, |a, b| a - b), x.dot(&x));
        let relative = (error.dot(&error) / size).sqrt();
        assert!(relative <= most, "{}: {relative}", precision.name());
    }
}

#[test]
fn both_back_ends_read_the_same_bits() {
    let (fused, composed) = (Fused::new(1).unwrap(), Composed::cpu());
    for precision in block_formats() {
        let stored = stored(1, 9, 768, precision);
        let ours = fused.download(&fused.weight(&stored).unwrap()).unwrap();
        let theirs = composed.download(&composed.weight(&stored).unwrap()).unwrap();
        let first = ours.iter().zip(&theirs).position(|(a, b)| a.to_bits() != b.to_bits());
        assert_eq!((first, ours.len()), (None, theirs.len()), "{}", precision.name());
    }
}

/// Bytes that no encoder writes, infinite scales among them: read without a panic, and alike.
#[test]
fn any_bytes_can_be_read() {
    let (fused, composed) = (Fused::new(1).unwrap(), Composed::cpu());
    for precision in block_formats() {
        for offset in [0, 1] {
            let n = precision.row_bytes(512).unwrap() * 3;
            let bytes: Vec<u8> = (0..n + offset).map(|i| (i * i * 7 + i / 3) as u8).collect();
            let stored = HostMatrix::new(Arc::new(bytes), offset..n + offset, precision, 3, 512).unwrap();
            let ours = fused.download(&fused.weight(&stored).unwrap()).unwrap();
            let theirs = composed.download(&composed.weight(&stored).unwrap()).unwrap();
            let alike = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
            assert!(ours.iter().zip(&theirs).all(alike), "{}", precision.name());
        }
    }
}

#[test]
fn numbers_that_are_none_can_be_quantised() {
    let dense = HostMatrix::from_f32(&[f32::NAN, f32::INFINITY, 0.0, -1e30].repeat(128), 2, 256).unwrap();
    for precision in Precision::ALL {
        assert_eq!(dense.quantise(precision).unwrap().to_f32().len(), 512);
    }
}

fn products_with_blocks_equal_products_with_their_numbers<B: Backend>(b: &B) {
    for (out, inner) in [(8, 256), (130, 512)] {
        for precision in block_formats() {
            let stored = stored(1, out, inner, precision);
            let (blocks, wide) = (b.weight(&stored).unwrap(), numbers(&stored).upload(b));
            for rows in [1, 4, 5, 65] {
                let what = format!("{}, {rows} rows, {out} x {inner}", precision.name());
                let x = Matrix::random(2, rows, inner).upload(b);
                let expected = Matrix::download(b, &b.matmul_nt(&x, &wide).unwrap());
                assert_close(b, &format!("nt {what}"), &b.matmul_nt(&x, &blocks).unwrap(), &expected, 1e-6);
                let mut y = b.zeros(rows, out).unwrap();
                b.add_matmul_nt(&mut y, 1.0, &x, &blocks).unwrap();
                assert_close(b, &format!("y += nt {what}"), &y, &expected, 1e-6);

                let dy = Matrix::random(3, rows, out).upload(b);
                let expected = Matrix::download(b, &b.matmul_nn(&dy, &wide).unwrap());
                assert_close(b, &format!("nn {what}"), &b.matmul_nn(&dy, &blocks).unwrap(), &expected, 1e-6);
                let mut dx = b.zeros(rows, inner).unwrap();
                b.add_matmul_nn(&mut dx, 1.0, &dy, &blocks).unwrap();
                assert_close(b, &format!("y += nn {what}"), &dx, &expected, 1e-6);
            }
        }
    }
}

fn chosen_rows_of_blocks_are_exact<B: Backend>(b: &B) {
    for precision in block_formats() {
        let stored = stored(1, 9, 256, precision);
        let (rows, expected) = ([8, 0, 0, 5], numbers(&stored));
        let found = b.gather_rows(&b.weight(&stored).unwrap(), &rows).unwrap();
        let expected = Matrix::from_fn(4, 256, |n, c| expected.at(rows[n] as usize, c));
        assert_close(b, precision.name(), &found, &expected, 0.0);
    }
}

fn rows_in_another_order_are_never_moved<B: Backend>(b: &B) {
    let x = Matrix::random(2, 6, 256);
    for precision in [Precision::F32, Precision::Bf16, Precision::Q4K] {
        let stored = stored(1, 12, 256, precision);
        let plain = numbers(&stored);
        // Two heads of six rows: (pair 0, 1, 2) x (first, second).
        for (order, places) in
            [(RowOrder::HalvesFromPairs(6), [0, 2, 4, 1, 3, 5]), (RowOrder::PairsFromHalves(6), [0, 3, 1, 4, 2, 5])]
        {
            let expected = Matrix::from_fn(12, 256, |r, c| plain.at(r / 6 * 6 + places[r % 6], c));
            let matrix = stored.clone().in_order(order).unwrap();
            assert_eq!(matrix.stored_bytes().as_ptr(), stored.stored_bytes().as_ptr());
            let there_and_back = RowOrder::HalvesFromPairs(6) == order;
            let back = if there_and_back { RowOrder::PairsFromHalves(6) } else { RowOrder::HalvesFromPairs(6) };
            assert_eq!(matrix.clone().in_order(back).unwrap().order(), RowOrder::Stored);
            assert!(matrix.clone().in_order(order).is_err());
            let (weight, what) = (b.weight(&matrix).unwrap(), format!("{} {order:?}", precision.name()));
            assert_close(b, &what, &weight, &expected, 0.0);
            for n in [1, 6] {
                let x = Matrix::from_fn(n, 256, |r, c| x.at(r, c));
                let y = crate::reference::matmul_nt(&x, &expected);
                assert_close(b, &what, &b.matmul_nt(&x.upload(b), &weight).unwrap(), &y, 1e-5);
            }
            let row = Matrix::from_fn(1, 256, |_, c| expected.at(7, c));
            assert_close(b, &what, &b.gather_rows(&weight, &[7]).unwrap(), &row, 0.0);
        }
    }
}

fn blocks_do_not_change<B: Backend>(b: &B) {
    let mut weight = b.weight(&stored(1, 4, 256, Precision::Q8_0)).unwrap();
    let x = b.zeros(4, 256).unwrap();
    let refused = [
        b.add(&mut weight, &x).is_err(),
        b.scale(&mut weight, 2.0).is_err(),
        b.add(&mut b.zeros(4, 256).unwrap(), &weight).is_err(),
    ];
    assert_eq!(refused, [true; 3]);
    let mut copy = b.duplicate(&weight).unwrap();
    b.scale(&mut copy, 2.0).unwrap();
}

/// More numbers than are widened at a time.
#[test]
fn products_neither_depend_on_threads_nor_hold_the_weight() {
    let stored = stored(1, 4500, 512, Precision::Q4K);
    let run = |threads| {
        let b = Fused::new(threads).unwrap();
        b.run(|| {
            let w = b.weight(&stored).unwrap();
            let (x, dy) = (Matrix::random(2, 40, 512).upload(&b), Matrix::random(3, 40, 4500).upload(&b));
            let (y, dx) = (b.matmul_nt(&x, &w).unwrap(), b.matmul_nn(&dy, &w).unwrap());
            let few = b.matmul_nt(&Matrix::random(2, 2, 512).upload(&b), &w).unwrap();
            assert!(b.peak_buffer_bytes() < 4500 * 512 * 4 * 3 / 4, "{}", b.peak_buffer_bytes());
            [y, dx, few].map(|t| b.download(&t).unwrap().into_iter().map(f32::to_bits).collect::<Vec<u32>>())
        })
    };
    let one = run(1);
    assert!([2, 3].into_iter().all(|threads| run(threads) == one));
    let (dense, x) = (numbers(&stored), Matrix::random(2, 40, 512));
    let expected = crate::reference::matmul_nt(&x, &dense);
    let found = Matrix::new(40, 4500, one[0].iter().map(|bits| f64::from(f32::from_bits(*bits))).collect());
    crate::matrix::assert_matrices_close("nt", &found, &expected, 1e-4);
}

#[test]
fn rows_must_be_whole_blocks_and_heads() {
    let dense = HostMatrix::from_f32(&[0.5; 3 * 576], 3, 576).unwrap();
    assert!(dense.quantise(Precision::Q8_0).is_ok());
    let message = dense.quantise(Precision::Q4K).unwrap_err().to_string();
    assert_eq!(message, "`q4_k` stores numbers in blocks of 256, and rows of 576 numbers are no whole number of them");
    let odd = HostMatrix::new(Arc::new(vec![0u8; 180]), 0..180, Precision::Q4_0, 2, 48);
    assert!(matches!(odd, Err(KernelError::Blocks { .. })));
    let short = HostMatrix::new(Arc::new(vec![0u8; 180]), 0..180, Precision::Q4_0, 2, 64);
    assert!(matches!(short, Err(KernelError::Length { .. })));
    let endless = HostMatrix::new(Arc::new(vec![0u8; 180]), 0..180, Precision::Q4_0, usize::MAX / 2, 1 << 60);
    assert!(matches!(endless, Err(KernelError::Length { .. })));
    for head in [0, 1, 2, 3, 5] {
        assert!(dense.clone().in_order(RowOrder::HalvesFromPairs(head)).is_err(), "{head}");
    }
}
