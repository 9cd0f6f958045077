//! Softmax attention, one sequence at a time with its heads as a batch, and its backward from the saved denominators
//! (Dao et al., 2022).
//!
//! Letters: `G` key/value heads, `R` query heads of each, `Q` queries, `K` keys, `D` channels of a head.

use std::ops::Range;

use candle_core::{D, DType, Device, Tensor};

use super::{DeviceMatrix, expect_equal, pointwise};
use crate::{AttentionShape, KernelError, Result, Spans};

/// Added to the score of a key that may not be seen: far below any score, yet finite, so that no difference is NaN.
const HIDDEN: f64 = -1e30;

pub(super) fn forward(
    shape: AttentionShape,
    spans: &Spans,
    q: &DeviceMatrix,
    k: &DeviceMatrix,
    v: &DeviceMatrix,
) -> Result<(Tensor, Tensor)> {
    let op = "attention";
    let pairs = checked_pairs(op, shape, spans, (q, k, v))?;
    let (q, k, v) = (q.floats(op)?, k.floats(op)?, v.floats(op)?);
    let out = q.zeros_like()?;
    let lse = Tensor::zeros((q.dim(0)?, shape.heads), DType::F32, q.device())?;
    for (queries, keys) in pairs {
        let (scores, _) = scores(shape, &query_heads(shape, q, &queries)?, &key_heads(shape, k, &keys)?)?;
        let largest = scores.max_keepdim(D::Minus1)?;
        let exponentials = scores.broadcast_sub(&largest)?.exp()?;
        let sums = exponentials.sum_keepdim(D::Minus1)?;
        let y = exponentials.broadcast_div(&sums)?.matmul(&key_heads(shape, v, &keys)?)?;
        out.slice_set(&query_rows(shape, &y, queries.len())?, 0, queries.start)?;
        let denominators = sums.log()?.add(&largest)?;
        lse.slice_set(&query_rows(shape, &denominators, queries.len())?, 0, queries.start)?;
    }
    Ok((out, lse))
}

pub(super) fn backward(
    shape: AttentionShape,
    spans: &Spans,
    (q, k, v): (&DeviceMatrix, &DeviceMatrix, &DeviceMatrix),
    (out, lse): (&DeviceMatrix, &DeviceMatrix),
    dout: &DeviceMatrix,
) -> Result<[Tensor; 3]> {
    let op = "attention_backward";
    let pairs = checked_pairs(op, shape, spans, (q, k, v))?;
    expect_equal(op, q.shape(), out.shape())?;
    expect_equal(op, q.shape(), dout.shape())?;
    expect_equal(op, (q.shape().0, shape.heads), lse.shape())?;
    let (q, k, v) = (q.floats(op)?, k.floats(op)?, v.floats(op)?);
    let (out, lse, dout) = (out.floats(op)?, lse.floats(op)?, dout.floats(op)?);
    let (dq, dk, dv) = (q.zeros_like()?, k.zeros_like()?, v.zeros_like()?);
    for (queries, keys) in pairs {
        let [q, out, lse, dout] = [q, out, lse, dout].map(|x| query_heads(shape, x, &queries));
        let (q, dout) = (q?, dout?);
        let (k, v) = (key_heads(shape, k, &keys)?, key_heads(shape, v, &keys)?);
        let (scores, slope) = scores(shape, &q, &k)?;
        let p = scores.broadcast_sub(&lse?)?.exp()?;
        let delta = out?.mul(&dout)?.sum_keepdim(D::Minus1)?;
        let dp = dout.matmul(&v.t()?)?;
        // (G, R Q, K)
        let ds = p.mul(&dp.broadcast_sub(&delta)?)?.affine(f64::from(shape.scale), 0.0)?;
        let ds = slope.map_or(Ok(ds.clone()), |slope| ds.mul(&slope))?;
        dq.slice_set(&query_rows(shape, &ds.matmul(&k)?, queries.len())?, 0, queries.start)?;
        dk.slice_set(&key_rows(&ds.t()?.matmul(&q)?)?, 0, keys.start)?;
        dv.slice_set(&key_rows(&p.t()?.matmul(&dout)?)?, 0, keys.start)?;
    }
    Ok([dq, dk, dv])
}

/// The rows of each sequence that has queries, once all shapes are known to fit.
fn checked_pairs(
    op: &'static str,
    shape: AttentionShape,
    spans: &Spans,
    (q, k, v): (&DeviceMatrix, &DeviceMatrix, &DeviceMatrix),
) -> Result<Vec<(Range<usize>, Range<usize>)>> {
    let AttentionShape { heads, kv_heads, head_dim, .. } = shape;
    if !shape.is_whole() {
        return Err(KernelError::Shape { op, left: (heads, head_dim), right: (kv_heads, head_dim) });
    }
    expect_equal(op, q.shape(), (q.shape().0, heads * head_dim))?;
    expect_equal(op, k.shape(), (k.shape().0, kv_heads * head_dim))?;
    expect_equal(op, k.shape(), v.shape())?;
    expect_equal(op, (spans.queries.len(), 1), (spans.keys.len(), 1))?;
    expect_rows(op, &spans.queries, q.shape().0)?;
    expect_rows(op, &spans.keys, k.shape().0)?;
    let pairs = spans.queries.iter().cloned().zip(spans.keys.iter().cloned());
    let pairs: Vec<_> = pairs.filter(|(queries, _)| !queries.is_empty()).collect();
    if let Some((q, k)) = pairs.iter().find(|(q, k)| !shape.places(q.len(), k.len())) {
        return Err(KernelError::Shape { op, left: (q.len(), head_dim), right: (k.len(), head_dim) });
    }
    // Keys that lie before every query's window are left out.
    let seen = |queries: &Range<usize>, keys: Range<usize>| {
        keys.start + shape.visible(0, queries.len(), keys.len()).start..keys.end
    };
    Ok(pairs.into_iter().map(|(queries, keys)| (queries.clone(), seen(&queries, keys))).collect())
}

/// Fails unless the rows of the sequences ascend, apart from each other, inside a tensor.
fn expect_rows(op: &'static str, spans: &[Range<usize>], rows: usize) -> Result<()> {
    let mut free_from = 0;
    for span in spans {
        if span.start < free_from || span.end < span.start || span.end > rows {
            return Err(KernelError::Index { op, index: span.start.max(span.end), rows });
        }
        free_from = span.end;
    }
    Ok(())
}

/// The scores (G, R Q, K) of queries (G, R Q, D) over keys (G, K, D), hidden ones far below the others; and, where they are
/// capped, the slope of the cap.
fn scores(shape: AttentionShape, q: &Tensor, k: &Tensor) -> Result<(Tensor, Option<Tensor>)> {
    let (g, rows, _) = q.dims3()?;
    let (n_keys, n_queries) = (k.dim(1)?, rows * shape.kv_heads / shape.heads);
    let (mut scores, mut slope) = (q.matmul(&k.t()?)?.affine(f64::from(shape.scale), 0.0)?, None);
    if let Some(cap) = shape.softcap {
        scores = pointwise::capped(&scores, cap)?;
        slope = Some(pointwise::cap_slope(&scores, cap)?);
    }
    let sees_all = n_queries == 1 || (!shape.causal && shape.window.is_none());
    if !sees_all {
        let by_head = scores.reshape((g, rows / n_queries, n_queries, n_keys))?;
        scores =
            by_head.broadcast_add(&hidden_bias(shape, n_queries, n_keys, q.device())?)?.reshape((g, rows, n_keys))?;
    }
    Ok((scores, slope))
}

/// (Q, K) with zero where a query sees a key; the last query stands at the last key.
fn hidden_bias(shape: AttentionShape, n_queries: usize, n_keys: usize, device: &Device) -> Result<Tensor> {
    // The first and the last place that each query sees, and the one after.
    let seen = (0..n_queries).map(|n| shape.visible(n, n_queries, n_keys));
    let (from, to): (Vec<u32>, Vec<u32>) = seen.map(|r| (r.start as u32, r.end as u32)).unzip();
    let [from, to] = [from, to].map(|bounds| Tensor::from_vec(bounds, (n_queries, 1), device));
    let keys = Tensor::arange(0u32, n_keys as u32, device)?.unsqueeze(0)?;
    let (before, behind) = (keys.broadcast_lt(&from?)?, keys.broadcast_ge(&to?)?);
    let hidden = before.add(&behind)?.to_dtype(DType::F32)?;
    Ok(hidden.affine(HIDDEN, 0.0)?)
}

/// The rows of x (N, H X) as (G, R Q, X).
fn query_heads(shape: AttentionShape, x: &Tensor, rows: &Range<usize>) -> Result<Tensor> {
    let (g, r, x_per_head) = (shape.kv_heads, shape.heads / shape.kv_heads, x.dim(1)? / shape.heads);
    let by_token = x.narrow(0, rows.start, rows.len())?.reshape((rows.len(), g, r, x_per_head))?;
    Ok(by_token.permute((1, 2, 0, 3))?.reshape((g, r * rows.len(), x_per_head))?)
}

/// x (G, R Q, X) as rows (Q, H X).
fn query_rows(shape: AttentionShape, x: &Tensor, n_queries: usize) -> Result<Tensor> {
    let (g, rows, x_per_head) = x.dims3()?;
    let by_head = x.reshape((g, rows / n_queries, n_queries, x_per_head))?;
    Ok(by_head.permute((2, 0, 1, 3))?.reshape((n_queries, shape.heads * x_per_head))?)
}

/// The rows of x (M, G D) as (G, K, D).
fn key_heads(shape: AttentionShape, x: &Tensor, rows: &Range<usize>) -> Result<Tensor> {
    let by_token = x.narrow(0, rows.start, rows.len())?.reshape((rows.len(), shape.kv_heads, shape.head_dim))?;
    Ok(by_token.transpose(0, 1)?.contiguous()?)
}

/// x (G, K, D) as rows (K, G D).
fn key_rows(x: &Tensor) -> Result<Tensor> {
    let (g, n_keys, d) = x.dims3()?;
    Ok(x.transpose(0, 1)?.reshape((n_keys, g * d))?)
}
