//! Weights stored in 16 bits: the same results as with weights widened first.

use std::sync::Arc;

use half::{bf16, f16};
use lorikeet_kernels::{Backend, HostMatrix, Objective, Precision};

use crate::{
    harness::on_every_backend,
    matrix::{Matrix, assert_close},
};

const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::F16, Precision::Bf16];

on_every_backend!(
    stored_numbers_are_widened_exactly,
    products_with_narrow_weights_equal_products_with_wide_ones,
    chosen_rows_of_a_narrow_table_are_exact,
    weights_may_lie_anywhere_in_their_file,
    frozen_weights_do_not_change,
);

/// The matrix rounded to a precision: as stored, `offset` bytes into its file, and as numbers.
fn stored(x: &Matrix, precision: Precision, offset: usize) -> (HostMatrix, Matrix) {
    let rounded = x.map(|v| match precision {
        Precision::F32 => f64::from(v as f32),
        Precision::F16 => f16::from_f64(v).to_f64(),
        _ => bf16::from_f64(v).to_f64(),
    });
    let mut bytes = vec![0xA5u8; offset];
    for v in &rounded.data {
        match precision {
            Precision::F32 => bytes.extend((*v as f32).to_le_bytes()),
            Precision::F16 => bytes.extend(f16::from_f64(*v).to_le_bytes()),
            _ => bytes.extend(bf16::from_f64(*v).to_le_bytes()),
        }
    }
    let range = offset..bytes.len();
    (HostMatrix::new(Arc::new(bytes), range, precision, x.rows, x.cols).unwrap(), rounded)
}

fn stored_numbers_are_widened_exactly<B: Backend>(b: &B) {
    let mut x = Matrix::random(1, 33, 70);
    // Zeros, subnormal numbers of 16 bits and the largest ones.
    x.data[..8].copy_from_slice(&[0.0, -0.0, 6e-8, -5.9e-8, 3e-6, 65_504.0, -65_504.0, 1.0]);
    for precision in PRECISIONS {
        let (matrix, rounded) = stored(&x, precision, 0);
        let weight = b.weight(&matrix).unwrap();
        assert_eq!(b.shape(&weight), (33, 70));
        assert_close(b, &format!("{precision:?}"), &weight, &rounded, 0.0);
        assert_close(b, &format!("{precision:?} copy"), &b.duplicate(&weight).unwrap(), &rounded, 0.0);
        assert_eq!(matrix.to_f32(), rounded.to_f32());
    }
}

fn products_with_narrow_weights_equal_products_with_wide_ones<B: Backend>(b: &B) {
    // The few rows of decoding take another way than the many of training.
    for rows in [1, 3, 4, 5, 65] {
        for (out, inner) in [(8, 16), (37, 53), (130, 24)] {
            for precision in PRECISIONS {
                let (matrix, rounded) = stored(&Matrix::random(1, out, inner), precision, 0);
                let (narrow, wide) = (b.weight(&matrix).unwrap(), rounded.upload(b));
                let what = format!("{precision:?}, {rows} rows, {out} x {inner}");

                let x = Matrix::random(2, rows, inner).upload(b);
                let expected = Matrix::download(b, &b.matmul_nt(&x, &wide).unwrap());
                assert_close(b, &format!("nt {what}"), &b.matmul_nt(&x, &narrow).unwrap(), &expected, 1e-6);
                let mut y = b.zeros(rows, out).unwrap();
                b.add_matmul_nt(&mut y, 1.0, &x, &narrow).unwrap();
                assert_close(b, &format!("y += nt {what}"), &y, &expected, 1e-6);

                let dy = Matrix::random(3, rows, out).upload(b);
                let expected = Matrix::download(b, &b.matmul_nn(&dy, &wide).unwrap());
                assert_close(b, &format!("nn {what}"), &b.matmul_nn(&dy, &narrow).unwrap(), &expected, 1e-6);
                let mut dx = b.zeros(rows, inner).unwrap();
                b.add_matmul_nn(&mut dx, 1.0, &dy, &narrow).unwrap();
                assert_close(b, &format!("y += nn {what}"), &dx, &expected, 1e-6);
            }
        }
    }
}

fn chosen_rows_of_a_narrow_table_are_exact<B: Backend>(b: &B) {
    for precision in PRECISIONS {
        let (matrix, rounded) = stored(&Matrix::random(1, 9, 21), precision, 0);
        let rows = [8, 0, 0, 5];
        let found = b.gather_rows(&b.weight(&matrix).unwrap(), &rows).unwrap();
        let expected = Matrix::from_fn(4, 21, |n, c| rounded.at(rows[n] as usize, c));
        assert_close(b, &format!("{precision:?}"), &found, &expected, 0.0);
    }
}

fn weights_may_lie_anywhere_in_their_file<B: Backend>(b: &B) {
    let x = Matrix::random(4, 3, 13);
    for precision in PRECISIONS {
        for offset in 0..8 {
            let (matrix, rounded) = stored(&Matrix::random(1, 7, 13), precision, offset);
            let weight = b.weight(&matrix).unwrap();
            let what = format!("{precision:?} at byte {offset}");
            assert_close(b, &what, &weight, &rounded, 0.0);
            let expected = crate::reference::matmul_nt(&x, &rounded);
            assert_close(b, &what, &b.matmul_nt(&x.upload(b), &weight).unwrap(), &expected, 1e-5);
        }
    }
}

fn frozen_weights_do_not_change<B: Backend>(b: &B) {
    for precision in PRECISIONS {
        for offset in [0, 1] {
            let (matrix, rounded) = stored(&Matrix::random(1, 4, 4), precision, offset);
            let mut weight = b.weight(&matrix).unwrap();
            let x = Matrix::random(2, 4, 4).upload(b);
            let refused = [
                b.add(&mut weight, &x).is_err(),
                b.scale(&mut weight, 2.0).is_err(),
                b.overwrite(&mut weight, &[0.0; 16]).is_err(),
                b.write_rows(&mut weight, &[0, 1], &x).is_err(),
                b.scatter_add_rows(&mut weight, &[0, 1, 2, 3], &x).is_err(),
                b.add_matmul_nn(&mut weight, 1.0, &x, &x).is_err(),
                b.cross_entropy(&mut weight, &[0; 4], &Objective::default(), 1.0).is_err(),
            ];
            assert_eq!(refused, [true; 7], "{precision:?} at byte {offset}");
            assert_close(b, &format!("{precision:?}"), &weight, &rounded, 0.0);
        }
    }
}
