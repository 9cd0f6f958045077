//! Attention and rotary positions.

use lorikeet_kernels::{AttentionShape, Backend, Spans};

use crate::{
    harness::on_every_backend,
    matrix::{Matrix, assert_close, finite_differences},
    reference,
};

on_every_backend!(
    attention_equals_the_formula,
    few_queries_see_a_longer_cache,
    windows_and_caps_equal_the_formula,
    windows_and_caps_have_slopes,
    rows_outside_every_sequence_are_zero,
    large_scores_stay_finite,
    attention_gradients_are_slopes,
    rotation_equals_the_formula,
    the_rotation_has_its_slope,
);

fn shape(heads: usize, kv_heads: usize, head_dim: usize, causal: bool) -> AttentionShape {
    AttentionShape { kv_heads, causal, ..AttentionShape::full(heads, head_dim) }
}

fn inputs(s: AttentionShape, n_queries: usize, n_keys: usize) -> [Matrix; 3] {
    let kv_width = s.kv_heads * s.head_dim;
    [
        Matrix::random(1, n_queries, s.heads * s.head_dim),
        Matrix::random(2, n_keys, kv_width),
        Matrix::random(3, n_keys, kv_width),
    ]
}

fn check_forward<B: Backend>(b: &B, s: AttentionShape, spans: &Spans, [q, k, v]: &[Matrix; 3]) {
    let (out, lse) = b.attention(s, spans, &q.upload(b), &k.upload(b), &v.upload(b)).unwrap();
    let (expected_out, expected_lse) = reference::attention(s, spans, q, k, v);
    assert_close(b, &format!("output of {s:?} over {spans:?}"), &out, &expected_out, 5e-6);
    assert_close(b, &format!("denominators of {s:?} over {spans:?}"), &lse, &expected_lse, 5e-6);
}

fn attention_equals_the_formula<B: Backend>(b: &B) {
    for (heads, kv_heads, d) in [(1, 1, 8), (2, 2, 24), (4, 2, 16), (6, 2, 5)] {
        for causal in [true, false] {
            // Ragged, with an empty sequence, and one longer than a block of queries.
            for starts in [vec![0, 1], vec![0, 3, 3, 10, 11], vec![0, 70, 73], vec![0, 64, 193]] {
                let s = shape(heads, kv_heads, d, causal);
                let n = *starts.last().unwrap();
                check_forward(b, s, &Spans::from_starts(&starts), &inputs(s, n, n));
            }
        }
    }
}

fn few_queries_see_a_longer_cache<B: Backend>(b: &B) {
    // The second cache ends before its tensor does, as one with room to grow.
    let spans = Spans { queries: vec![0..1, 1..4, 4..70], keys: vec![0..5, 5..9, 20..90] };
    for causal in [true, false] {
        let s = shape(4, 2, 8, causal);
        check_forward(b, s, &spans, &inputs(s, 70, 100));
    }
}

/// Narrow and wide windows, with scores that reach the cap and without a cap.
fn windowed(s: AttentionShape) -> Vec<AttentionShape> {
    let windows = [Some(1), Some(3), Some(70), None, Some(usize::MAX)];
    let all =
        windows.into_iter().flat_map(|window| [None, Some(0.7)].map(|softcap| AttentionShape { window, softcap, ..s }));
    all.collect()
}

fn windows_and_caps_equal_the_formula<B: Backend>(b: &B) {
    let cached = Spans { queries: vec![0..1, 1..4, 4..70], keys: vec![0..9, 9..19, 20..170] };
    for causal in [true, false] {
        for s in windowed(shape(4, 2, 6, causal)) {
            for starts in [vec![0, 1, 11], vec![0, 70, 73], vec![0, 200]] {
                let n = *starts.last().unwrap();
                check_forward(b, s, &Spans::from_starts(&starts), &inputs(s, n, n));
            }
            check_forward(b, s, &cached, &inputs(s, 70, 180));
        }
    }
}

fn windows_and_caps_have_slopes<B: Backend>(b: &B) {
    for causal in [true, false] {
        for s in windowed(shape(4, 2, 3, causal)) {
            check_backward(b, s, &Spans::from_starts(&[0, 1, 8]), &inputs(s, 8, 8));
            let cached = Spans { queries: vec![0..2, 2..3], keys: vec![0..5, 6..10] };
            check_backward(b, s, &cached, &inputs(s, 3, 10));
        }
    }
    // Windows that leave out whole blocks of keys, on one head to stay fast.
    for (window, causal) in [(2, true), (40, true), (20, false)] {
        let s = AttentionShape { window: Some(window), softcap: Some(2.0), ..shape(1, 1, 2, causal) };
        check_backward(b, s, &Spans::from_starts(&[0, 135]), &inputs(s, 135, 135));
    }
}

fn rows_outside_every_sequence_are_zero<B: Backend>(b: &B) {
    let spans = Spans { queries: vec![1..3, 5..6], keys: vec![1..3, 5..6] };
    let s = shape(2, 1, 8, true);
    let x = inputs(s, 8, 8);
    dirty_buffers(b);
    check_forward(b, s, &spans, &x);
    let grads = backward(b, s, &spans, &x, &Matrix::random(4, 8, 16));
    for (grad, what) in grads.iter().zip(["dq", "dk", "dv"]) {
        let outside = [0, 3, 4, 6, 7].map(|n| grad.row(n));
        assert!(outside.concat().iter().all(|v| *v == 0.0), "{what}: {grad:?}");
    }
}

/// Leaves numbers that are not numbers in whatever buffers the back end uses again.
fn dirty_buffers<B: Backend>(b: &B) {
    let buffers: Vec<_> = (0..12).map(|_| b.upload(vec![f32::NAN; 128], 1, 128).unwrap()).collect();
    drop(buffers);
}

fn large_scores_stay_finite<B: Backend>(b: &B) {
    let s = shape(2, 2, 8, true);
    let [q, k, v] = inputs(s, 9, 9);
    let grown = |x: &Matrix| x.map(|v| f64::from(v as f32 * 16.0));
    check_forward_at(b, s, &[grown(&q), grown(&k), v], 2e-4);
}

fn check_forward_at<B: Backend>(b: &B, s: AttentionShape, [q, k, v]: &[Matrix; 3], tolerance: f64) {
    let spans = Spans::from_starts(&[0, q.rows]);
    let (out, lse) = b.attention(s, &spans, &q.upload(b), &k.upload(b), &v.upload(b)).unwrap();
    let (expected_out, expected_lse) = reference::attention(s, &spans, q, k, v);
    assert_close(b, "output", &out, &expected_out, tolerance);
    assert_close(b, "denominators", &lse, &expected_lse, tolerance);
}

fn backward<B: Backend>(b: &B, s: AttentionShape, spans: &Spans, x: &[Matrix; 3], dout: &Matrix) -> [Matrix; 3] {
    let [q, k, v] = [&x[0], &x[1], &x[2]].map(|x| x.upload(b));
    let (out, lse) = b.attention(s, spans, &q, &k, &v).unwrap();
    dirty_buffers(b);
    let grads = b.attention_backward(s, spans, (&q, &k, &v), (&out, &lse), &dout.upload(b)).unwrap();
    [grads.0, grads.1, grads.2].map(|g| Matrix::download(b, &g))
}

fn check_backward<B: Backend>(b: &B, s: AttentionShape, spans: &Spans, x: &[Matrix; 3]) {
    let dout = Matrix::random(9, x[0].rows, x[0].cols);
    let found = backward(b, s, spans, x, &dout);
    for (i, what) in ["dq", "dk", "dv"].into_iter().enumerate() {
        let slope = finite_differences(&x[i], |moved| {
            let mut x = x.clone();
            x[i] = moved.clone();
            reference::attention(s, spans, &x[0], &x[1], &x[2]).0.dot(&dout)
        });
        let what = format!("{what} of {s:?} over {spans:?}");
        crate::matrix::assert_matrices_close(&what, &found[i], &slope, 2e-5);
    }
}

fn attention_gradients_are_slopes<B: Backend>(b: &B) {
    for (heads, kv_heads, d) in [(2, 2, 6), (4, 2, 4), (3, 1, 5)] {
        for causal in [true, false] {
            let s = shape(heads, kv_heads, d, causal);
            check_backward(b, s, &Spans::from_starts(&[0, 1, 4, 4, 9]), &inputs(s, 9, 9));
            let cached = Spans { queries: vec![0..2, 2..3], keys: vec![0..5, 6..7] };
            check_backward(b, s, &cached, &inputs(s, 3, 8));
        }
    }
    // More than a block of queries, on one head to stay fast.
    let s = shape(1, 1, 2, true);
    check_backward(b, s, &Spans::from_starts(&[0, 67]), &inputs(s, 67, 67));
}

/// Angles of rows at all sorts of places for `half` pairs of channels.
fn angles(rows: usize, half: usize) -> (Matrix, Matrix) {
    let angle = |n: usize, i: usize| ((n * 7 + 11) % 12) as f64 / 10f64.powf(i as f64 / half as f64);
    let exact = |v: f64| f64::from(v as f32);
    (
        Matrix::from_fn(rows, half, |n, i| exact(angle(n, i).cos())),
        Matrix::from_fn(rows, half, |n, i| exact(angle(n, i).sin())),
    )
}

fn rotation_equals_the_formula<B: Backend>(b: &B) {
    // The last head has channels that are not rotated.
    for (rows, heads, half, head_dim) in [(1, 1, 1, 2), (3, 2, 12, 24), (65, 3, 16, 32), (67, 2, 3, 11)] {
        let (cos, sin) = angles(rows, half);
        let x = Matrix::random(1, rows, heads * head_dim);
        for backward in [false, true] {
            let mut y = x.upload(b);
            b.rotate(&mut y, &cos.upload(b), &sin.upload(b), head_dim, backward).unwrap();
            let expected = reference::rotate(&x, &cos, &sin, head_dim, backward);
            assert_close(b, "rotated", &y, &expected, 1e-6);
        }
    }
}

fn the_rotation_has_its_slope<B: Backend>(b: &B) {
    for head_dim in [6, 7] {
        // Stretched angles, as with a factor on the attention.
        let (cos, sin) = angles(4, 3);
        let (cos, sin) = (cos.map(|v| 1.25 * v), sin.map(|v| 1.25 * v));
        let (x, dy) = (Matrix::random(1, 4, 2 * head_dim), Matrix::random(2, 4, 2 * head_dim));
        let mut dx = dy.upload(b);
        b.rotate(&mut dx, &cos.upload(b), &sin.upload(b), head_dim, true).unwrap();
        let slope = finite_differences(&x, |x| reference::rotate(x, &cos, &sin, head_dim, false).dot(&dy));
        assert_close(b, "dx", &dx, &slope, 1e-5);
    }
}
