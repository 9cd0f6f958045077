//! Table `metrics`: one row per reported step of a run, training and validation.
//!
//! A loss is kept as (sum, count), so that means over any stretch are exact. A loss that is not a number is kept too (as
//! NULL, which is how SQLite holds NaN): a curve that breaks off must show where.

use rusqlite::{Connection, Row, params};
use serde_json::Value;

use crate::column::{Json, JsonRef, words};
use crate::error::{Fault, Result};
use crate::registry::Registry;
use crate::schema::Migration;

pub(crate) const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    sql: "
CREATE TABLE metrics (
    run_id        TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq           INTEGER NOT NULL CHECK (seq > 0),
    kind          TEXT    NOT NULL CHECK (kind IN ('train', 'validation')),
    step          INTEGER NOT NULL CHECK (step >= 0),
    epoch         REAL    NOT NULL,
    at_ms         INTEGER NOT NULL,
    elapsed_ms    INTEGER NOT NULL,
    loss_sum      REAL,
    n_tokens      INTEGER NOT NULL CHECK (n_tokens >= 0),
    learning_rate REAL,
    grad_norm     REAL,
    tokens_per_s  REAL,
    memory_bytes  INTEGER,
    extra         TEXT    CHECK (json_valid(extra)),
    PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;
",
}];

const COLUMNS: &str = "seq, kind, step, epoch, at_ms, elapsed_ms, loss_sum, n_tokens, learning_rate, grad_norm, \
                       tokens_per_s, memory_bytes, extra";

words! {
    /// What a metric was measured on.
    MetricKind, "metric kind":
    /// The training batches since the row before.
    Train = "train",
    /// The validation set.
    Validation = "validation",
}

/// The figures of one reported step.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricRow {
    /// Number in the run's stream, shared with its events.
    pub seq: u64,
    /// What it was measured on.
    pub kind: MetricKind,
    /// Optimiser steps done.
    pub step: u64,
    /// Passes over the data done.
    pub epoch: f64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Time the run has worked, pauses left out.
    pub elapsed_ms: u64,
    /// Sum of the loss over `n_tokens`; may be infinite or NaN.
    pub loss_sum: f64,
    /// Supervised tokens (for a classifier: rows) in the sum.
    pub n_tokens: u64,
    /// Learning rate of the step.
    pub learning_rate: Option<f64>,
    /// Norm of the gradient before clipping; NaN comes back as `None`.
    pub grad_norm: Option<f64>,
    /// Tokens per second.
    pub tokens_per_s: Option<f64>,
    /// Resident memory.
    pub memory_bytes: Option<u64>,
    /// Further figures, a JSON object (accuracy, …).
    pub extra: Option<Value>,
}

/// A point of a loss curve: neighbouring rows added up. The loss is `loss_sum / n_tokens`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// The step of the last row.
    pub step: u64,
    /// Sum of the loss over `n_tokens`.
    pub loss_sum: f64,
    /// Supervised tokens (for a classifier: rows) in the sum.
    pub n_tokens: u64,
}

/// What the rows of a run add up to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricTotals {
    /// Rows of both kinds.
    pub n_rows: u64,
    /// Time the run has worked up to its last row.
    pub elapsed_ms: u64,
    /// Passes over the data done.
    pub epoch: Option<f64>,
    /// The most resident memory of any row.
    pub peak_memory_bytes: Option<u64>,
    /// Mean speed over the rows that have one.
    pub mean_tokens_per_s: Option<f64>,
    /// Supervised tokens (for a classifier: rows) trained on.
    pub n_trained_tokens: u64,
}

/// Reads and writes of the table; from [`Registry::metrics`]. Run ids are exact.
#[derive(Clone, Copy, Debug)]
pub struct Metrics<'a> {
    registry: &'a Registry,
}

impl<'a> Metrics<'a> {
    pub(crate) fn new(registry: &'a Registry) -> Self {
        Metrics { registry }
    }

    /// At most `limit` rows of a run numbered above `after_seq`, in order. Empty for an unknown run.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn since(&self, run_id: &str, after_seq: u64, limit: u32) -> Result<Vec<MetricRow>> {
        self.registry.read("reading the metrics of a run", |conn| {
            let sql = format!("SELECT {COLUMNS} FROM metrics WHERE run_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3");
            let mut statement = conn.prepare_cached(&sql)?;
            let rows = statement.query_map((run_id, after_seq, limit), from_row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The last row of a kind, if there is one.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn last(&self, run_id: &str, kind: MetricKind) -> Result<Option<MetricRow>> {
        self.registry.read("reading the last metrics of a run", |conn| {
            let sql =
                format!("SELECT {COLUMNS} FROM metrics WHERE run_id = ?1 AND kind = ?2 ORDER BY seq DESC LIMIT 1");
            let mut statement = conn.prepare_cached(&sql)?;
            let mut rows = statement.query_map((run_id, kind), from_row)?;
            Ok(rows.next().transpose()?)
        })
    }

    /// The loss in at most `n_points` points of neighbouring rows, each with the step of its last row. Rows whose loss is
    /// not a number are left out.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn curve(&self, run_id: &str, kind: MetricKind, n_points: u32) -> Result<Vec<CurvePoint>> {
        self.registry.read("reading the curve of a run", |conn| {
            let sql = "SELECT max(step), sum(loss_sum), sum(n_tokens) FROM (
                           SELECT step, loss_sum, n_tokens,
                                  (row_number() OVER (ORDER BY seq) - 1) * ?3 / max(count(*) OVER (), ?3) AS point
                           FROM metrics
                           WHERE run_id = ?1 AND kind = ?2 AND loss_sum IS NOT NULL AND n_tokens > 0)
                       GROUP BY point ORDER BY point";
            let mut statement = conn.prepare_cached(sql)?;
            let rows = statement.query_map((run_id, kind, n_points.max(1)), |row| {
                Ok(CurvePoint { step: row.get(0)?, loss_sum: row.get(1)?, n_tokens: row.get(2)? })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// What the rows of a run add up to.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn totals(&self, run_id: &str) -> Result<MetricTotals> {
        self.registry.read("adding up the metrics of a run", |conn| {
            let sql = "SELECT count(*), coalesce(max(elapsed_ms), 0), max(epoch), max(memory_bytes), avg(tokens_per_s),
                              coalesce(sum(n_tokens) FILTER (WHERE kind = 'train'), 0)
                       FROM metrics WHERE run_id = ?1";
            let totals = conn.prepare_cached(sql)?.query_row([run_id], |row| {
                Ok(MetricTotals {
                    n_rows: row.get(0)?,
                    elapsed_ms: row.get(1)?,
                    epoch: row.get(2)?,
                    peak_memory_bytes: row.get(3)?,
                    mean_tokens_per_s: row.get(4)?,
                    n_trained_tokens: row.get(5)?,
                })
            })?;
            Ok(totals)
        })
    }

    /// Removes the rows of a run after `step`, which a resume does again; returns how many there were.
    /// [`crate::Runs::rewind`] does this together with the events and the run's own row.
    ///
    /// # Errors
    /// When the registry cannot be written.
    pub fn delete_after(&self, run_id: &str, step: u64) -> Result<usize> {
        self.registry.write("removing metrics of a run", |tx| delete_after(tx, run_id, step, None))
    }
}

pub(crate) fn append(conn: &Connection, run_id: &str, rows: &[MetricRow]) -> std::result::Result<(), Fault> {
    let mut statement = conn.prepare_cached(
        "INSERT INTO metrics (run_id, seq, kind, step, epoch, at_ms, elapsed_ms, loss_sum, n_tokens, learning_rate,
                              grad_norm, tokens_per_s, memory_bytes, extra)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?;
    for row in rows {
        statement.execute(params![
            run_id,
            row.seq,
            row.kind,
            row.step,
            row.epoch,
            row.at_ms,
            row.elapsed_ms,
            row.loss_sum,
            row.n_tokens,
            row.learning_rate,
            row.grad_norm,
            row.tokens_per_s,
            row.memory_bytes,
            row.extra.as_ref().map(JsonRef),
        ])?;
    }
    Ok(())
}

/// Removes the rows of a run after `step`, or numbered above `seq`; returns how many there were.
pub(crate) fn delete_after(
    conn: &Connection,
    run_id: &str,
    step: u64,
    seq: Option<u64>,
) -> std::result::Result<usize, Fault> {
    let sql = "DELETE FROM metrics WHERE run_id = ?1 AND (step > ?2 OR seq > ?3)";
    Ok(conn.prepare_cached(sql)?.execute((run_id, step, seq))?)
}

/// By position, not by name: a chart reads tens of thousands of these at once.
fn from_row(row: &Row<'_>) -> rusqlite::Result<MetricRow> {
    Ok(MetricRow {
        seq: row.get(0)?,
        kind: row.get(1)?,
        step: row.get(2)?,
        epoch: row.get(3)?,
        at_ms: row.get(4)?,
        elapsed_ms: row.get(5)?,
        loss_sum: row.get::<_, Option<f64>>(6)?.unwrap_or(f64::NAN),
        n_tokens: row.get(7)?,
        learning_rate: row.get(8)?,
        grad_norm: row.get(9)?,
        tokens_per_s: row.get(10)?,
        memory_bytes: row.get(11)?,
        extra: row.get::<_, Option<Json>>(12)?.map(|json| json.0),
    })
}

#[cfg(test)]
mod tests;
