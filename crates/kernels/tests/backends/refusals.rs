//! Operands that do not fit are refused with their shapes, never computed with and never a panic.

use std::{ops::Range, sync::Arc};

use lorikeet_kernels::{
    Activation, AdamWStep, AttentionShape, Backend, HostMatrix, KernelError, Objective, Precision, Result, Spans,
};

use crate::harness::on_every_backend;

on_every_backend!(
    products_of_unequal_sizes_are_refused,
    rows_beyond_a_table_are_refused,
    unequal_shapes_are_refused,
    norms_of_broken_groups_are_refused,
    broken_attention_is_refused,
    data_of_another_length_is_refused,
);

#[track_caller]
fn refused<T>(result: Result<T>) {
    match result {
        Ok(_) => panic!("was not refused"),
        Err(KernelError::Device(e)) => panic!("the device refused what the operation should have: {e}"),
        Err(e) => assert!(!e.to_string().is_empty()),
    }
}

fn products_of_unequal_sizes_are_refused<B: Backend>(b: &B) {
    let z = |rows, cols| b.zeros(rows, cols).unwrap();
    refused(b.matmul_nt(&z(2, 3), &z(4, 5)));
    refused(b.matmul_nt_each(&z(2, 3), &[&z(4, 3), &z(4, 5)]));
    refused(b.matmul_nn(&z(2, 3), &z(4, 3)));
    refused(b.add_matmul_nt(&mut z(2, 5), 1.0, &z(2, 3), &z(4, 3)));
    refused(b.add_matmul_nn(&mut z(3, 4), 1.0, &z(2, 3), &z(3, 4)));
    refused(b.add_matmul_tn(&mut z(3, 4), 1.0, &z(2, 3), &z(3, 4)));
    refused(b.add_matmul_tn(&mut z(4, 3), 1.0, &z(2, 3), &z(2, 4)));
}

fn rows_beyond_a_table_are_refused<B: Backend>(b: &B) {
    let z = |rows, cols| b.zeros(rows, cols).unwrap();
    refused(b.gather_rows(&z(4, 2), &[0, 4]));
    refused(b.scatter_add_rows(&mut z(4, 2), &[0, 4], &z(2, 2)));
    refused(b.scatter_add_rows(&mut z(4, 2), &[0], &z(2, 2)));
    refused(b.scatter_add_rows(&mut z(4, 2), &[0, 1], &z(2, 3)));
    refused(b.write_rows(&mut z(4, 2), &[3, 4], &z(2, 2)));
    refused(b.write_rows(&mut z(4, 2), &[u32::MAX, 0], &z(2, 2)));
    refused(b.write_rows(&mut z(4, 2), &[0, 1], &z(2, 3)));
    let plain = Objective::default();
    refused(b.cross_entropy(&mut z(2, 3), &[0, 3], &plain, 1.0));
    refused(b.cross_entropy(&mut z(2, 3), &[0], &plain, 1.0));
    let weighted = Objective { class_weights: vec![1.0, 2.0], ..plain };
    refused(b.cross_entropy(&mut z(2, 3), &[0, 2], &weighted, 1.0));
    refused(b.rotate(&mut z(2, 8), &z(3, 2), &z(3, 2), 4, false));
    refused(b.rotate(&mut z(2, 8), &z(2, 3), &z(2, 3), 4, false));
    refused(b.rotate(&mut z(2, 8), &z(2, 2), &z(2, 2), 5, false));
    refused(b.rotate(&mut z(2, 8), &z(2, 2), &z(1, 2), 4, false));
    refused(b.rotate(&mut z(2, 8), &z(2, 0), &z(2, 0), 4, false));
}

fn unequal_shapes_are_refused<B: Backend>(b: &B) {
    let z = |rows, cols| b.zeros(rows, cols).unwrap();
    let f = Activation::Silu;
    refused(b.add(&mut z(2, 3), &z(3, 2)));
    refused(b.add_bias(&mut z(2, 3), &z(1, 2)));
    refused(b.add_bias(&mut z(2, 3), &z(2, 3)));
    refused(b.add_bias_grad(&mut z(1, 2), &z(2, 3)));
    refused(b.columns(&z(2, 3), 1..4));
    #[allow(clippy::reversed_empty_ranges)]
    refused(b.columns(&z(2, 3), 2..1));
    refused(b.join_columns(&[&z(2, 3), &z(3, 3)]));
    refused(b.softcap_backward(&z(2, 3), &mut z(3, 2), 1.0));
    refused(b.scale_columns(&mut z(2, 3), &z(1, 2)));
    refused(b.add_column_products(&mut z(1, 3), &z(2, 3), &z(2, 2)));
    refused(b.add_column_products(&mut z(1, 2), &z(2, 3), &z(2, 3)));
    refused(b.activate_backward(f, &z(2, 3), &z(3, 2)));
    refused(b.gated(f, &z(2, 3), &z(2, 4)));
    refused(b.gated_backward(f, &z(2, 3), &z(2, 3), &z(2, 4)));
    let step = AdamWStep {
        learning_rate: 0.1,
        beta1: 0.9,
        beta2: 0.99,
        epsilon: 1e-8,
        weight_decay: 0.0,
        step: 1,
        gradient_scale: 1.0,
    };
    refused(b.adamw(&mut z(1, 4), &z(1, 3), (&mut z(1, 4), &mut z(1, 4)), &step));
    refused(b.adamw(&mut z(1, 4), &z(1, 4), (&mut z(1, 5), &mut z(1, 4)), &step));
    refused(b.adamw(&mut z(1, 4), &z(1, 4), (&mut z(1, 4), &mut z(4, 1)), &step));
}

fn norms_of_broken_groups_are_refused<B: Backend>(b: &B) {
    let z = |rows, cols| b.zeros(rows, cols).unwrap();
    refused(b.rms_norm(&z(2, 6), &z(1, 4), 1e-5));
    refused(b.rms_norm(&z(2, 6), &z(1, 0), 1e-5));
    refused(b.rms_norm(&z(2, 6), &z(2, 3), 1e-5));
    refused(b.rms_norm_backward(&z(2, 6), &z(1, 3), 1e-5, &z(2, 3), None));
    refused(b.rms_norm_backward(&z(2, 6), &z(1, 3), 1e-5, &z(2, 6), Some(&mut z(1, 6))));
    refused(b.layer_norm(&z(2, 6), &z(1, 3), &z(1, 6), 1e-5));
    refused(b.layer_norm(&z(2, 6), &z(1, 6), &z(1, 3), 1e-5));
    refused(b.layer_norm_backward(&z(2, 6), &z(1, 3), 1e-5, &z(2, 6), None));
    refused(b.layer_norm_backward(&z(2, 6), &z(1, 6), 1e-5, &z(2, 5), None));
    refused(b.layer_norm_backward(&z(2, 6), &z(1, 6), 1e-5, &z(2, 6), Some((&mut z(1, 6), &mut z(1, 5)))));
}

fn broken_attention_is_refused<B: Backend>(b: &B) {
    let z = |rows, cols| b.zeros(rows, cols).unwrap();
    let s = AttentionShape { kv_heads: 2, causal: true, ..AttentionShape::full(4, 3) };
    let over = |queries: Range<usize>, keys: Range<usize>| Spans { queries: vec![queries], keys: vec![keys] };
    let whole = over(0..5, 0..5);
    let run = |s, spans: &Spans, q, k, v| b.attention(s, spans, &z(5, q), &z(5, k), &z(5, v));
    assert!(run(s, &whole, 12, 6, 6).is_ok());
    refused(run(s, &whole, 13, 6, 6));
    refused(run(s, &whole, 12, 12, 6));
    refused(run(s, &whole, 12, 6, 12));
    refused(run(AttentionShape { kv_heads: 3, ..s }, &whole, 12, 9, 9));
    refused(run(AttentionShape { kv_heads: 0, ..s }, &whole, 12, 0, 0));
    refused(run(AttentionShape { head_dim: 0, ..s }, &whole, 0, 0, 0));
    refused(run(AttentionShape { window: Some(0), ..s }, &whole, 12, 6, 6));
    refused(run(AttentionShape { causal: false, window: Some(2), ..s }, &over(0..4, 0..3), 12, 6, 6));
    refused(run(s, &over(0..6, 0..6), 12, 6, 6));
    refused(run(s, &over(0..4, 0..3), 12, 6, 6));
    refused(run(AttentionShape { causal: false, ..s }, &over(0..4, 2..2), 12, 6, 6));
    refused(run(s, &Spans::from_starts(&[0, 3, 2]), 12, 6, 6));
    refused(run(s, &Spans { queries: vec![0..2, 2..4], keys: vec![0..3, 1..4] }, 12, 6, 6));
    refused(run(s, &Spans { keys: vec![], ..over(0..5, 0..5) }, 12, 6, 6));
    #[allow(clippy::reversed_empty_ranges)]
    refused(run(s, &over(9..5, 0..5), 12, 6, 6));

    let back = |out, lse, dout| {
        let (q, k, v) = (z(5, 12), z(5, 6), z(5, 6));
        b.attention_backward(s, &whole, (&q, &k, &v), (&z(5, out), &z(5, lse)), &z(5, dout))
    };
    assert!(back(12, 4, 12).is_ok());
    refused(back(11, 4, 12));
    refused(back(12, 3, 12));
    refused(back(12, 4, 13));
}

fn data_of_another_length_is_refused<B: Backend>(b: &B) {
    refused(b.upload(vec![0.0; 5], 2, 3));
    refused(b.upload(vec![0.0; 5], usize::MAX, 2));
    refused(b.overwrite(&mut b.zeros(2, 3).unwrap(), &[0.0; 5]));
}

#[test]
fn a_matrix_that_its_bytes_cannot_hold_is_refused() {
    let matrix = |range, rows, cols| HostMatrix::new(Arc::new(vec![0u8; 24]), range, Precision::Bf16, rows, cols);
    assert!(matrix(0..24, 3, 4).is_ok());
    refused(matrix(0..24, 3, 5));
    refused(matrix(0..22, 3, 4));
    refused(matrix(2..26, 3, 4));
    refused(matrix(0..24, usize::MAX, 4));
}
