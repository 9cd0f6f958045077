//! Operands that do not fit are refused with their shapes before anything is computed.

use std::ops::Range;

use super::Tensor;
use crate::{AttentionShape, KernelError, Result, Spans};

/// Fails unless two operands have equal shapes.
pub(super) fn same_shape(op: &'static str, a: &Tensor, b: &Tensor) -> Result<()> {
    check(op, a, b, a.shape() == b.shape())
}

/// Fails with both shapes unless the operands fit.
pub(super) fn check(op: &'static str, a: &Tensor, b: &Tensor, fits: bool) -> Result<()> {
    if fits { Ok(()) } else { Err(KernelError::Shape { op, left: a.shape(), right: b.shape() }) }
}

/// Fails unless every index points into a table of `table` rows.
pub(super) fn check_rows(op: &'static str, rows: &[u32], table: usize) -> Result<()> {
    match rows.iter().find(|r| **r as usize >= table) {
        Some(r) => Err(KernelError::Index { op, index: *r as usize, rows: table }),
        None => Ok(()),
    }
}

/// Fails unless the sequences lie inside the operands of an attention, apart from each other.
pub(super) fn check_attention(shape: AttentionShape, spans: &Spans, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<()> {
    let widths_fit = q.cols == shape.heads * shape.head_dim && k.cols == shape.kv_heads * shape.head_dim;
    check("attention", q, k, shape.is_whole() && widths_fit)?;
    same_shape("attention", k, v)?;
    let within = |spans: &[Range<usize>], rows| spans.iter().all(|r| r.start <= r.end && r.end <= rows);
    let inside = within(&spans.queries, q.rows) && within(&spans.keys, k.rows);
    let mut pairs = spans.queries.iter().zip(&spans.keys);
    let ordered = pairs.all(|(q, k)| q.is_empty() || shape.places(q.len(), k.len()));
    let disjoint = spans.queries.windows(2).all(|w| w[0].end <= w[1].start)
        && spans.keys.windows(2).all(|w| w[0].end <= w[1].start);
    check("attention", q, k, inside && ordered && disjoint && spans.queries.len() == spans.keys.len())
}
