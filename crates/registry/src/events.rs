//! Table `events`: what a run reported besides its figures, as numbered JSON (log lines, checkpoints, samples, warnings).
//!
//! Together with `metrics` this is the run's whole stream: a number stands in one of the two tables.

use rusqlite::{Connection, Row};
use serde_json::Value;

use crate::column::{Json, JsonRef};
use crate::error::{Fault, Result};
use crate::registry::Registry;
use crate::schema::Migration;

pub(crate) const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    sql: "
CREATE TABLE events (
    run_id     TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    seq        INTEGER NOT NULL CHECK (seq > 0),
    step       INTEGER,
    at_ms      INTEGER NOT NULL,
    elapsed_ms INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    body       TEXT    NOT NULL CHECK (json_valid(body)),
    PRIMARY KEY (run_id, seq)
) STRICT, WITHOUT ROWID;
",
}];

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRow {
    /// Number in the run's stream, shared with its metrics.
    pub seq: u64,
    /// Optimiser steps done; `None` for what stays when a resume does steps again.
    pub step: Option<u64>,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Time the run has worked, pauses left out.
    pub elapsed_ms: u64,
    /// What, such as `log` or `checkpoint`.
    pub kind: String,
    /// The event itself.
    pub body: Value,
}

/// Reads and writes of the table; from [`Registry::events`]. Run ids are exact.
#[derive(Clone, Copy, Debug)]
pub struct Events<'a> {
    registry: &'a Registry,
}

impl<'a> Events<'a> {
    pub(crate) fn new(registry: &'a Registry) -> Self {
        Events { registry }
    }

    /// At most `limit` events of a run numbered above `after_seq`, in order. Empty for an unknown run.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn since(&self, run_id: &str, after_seq: u64, limit: u32) -> Result<Vec<EventRow>> {
        self.registry.read("reading the events of a run", |conn| {
            let sql = "SELECT seq, step, at_ms, elapsed_ms, kind, body FROM events
                       WHERE run_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
            let mut statement = conn.prepare_cached(sql)?;
            let rows = statement.query_map((run_id, after_seq, limit), from_row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// At most `limit` events of one kind, in order: the samples, the checkpoints.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn of_kind(&self, run_id: &str, kind: &str, after_seq: u64, limit: u32) -> Result<Vec<EventRow>> {
        self.registry.read("reading the events of a run", |conn| {
            let sql = "SELECT seq, step, at_ms, elapsed_ms, kind, body FROM events
                       WHERE run_id = ?1 AND kind = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4";
            let mut statement = conn.prepare_cached(sql)?;
            let rows = statement.query_map((run_id, kind, after_seq, limit), from_row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}

pub(crate) fn append(conn: &Connection, run_id: &str, rows: &[EventRow]) -> std::result::Result<(), Fault> {
    let sql = "INSERT INTO events (run_id, seq, step, at_ms, elapsed_ms, kind, body)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let mut statement = conn.prepare_cached(sql)?;
    for EventRow { seq, step, at_ms, elapsed_ms, kind, body } in rows {
        statement.execute((run_id, seq, step, at_ms, elapsed_ms, kind, JsonRef(body)))?;
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
    let sql = "DELETE FROM events WHERE run_id = ?1 AND (step > ?2 OR seq > ?3)";
    Ok(conn.prepare_cached(sql)?.execute((run_id, step, seq))?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<EventRow> {
    Ok(EventRow {
        seq: row.get(0)?,
        step: row.get(1)?,
        at_ms: row.get(2)?,
        elapsed_ms: row.get(3)?,
        kind: row.get(4)?,
        body: row.get::<_, Json>(5)?.0,
    })
}

#[cfg(test)]
mod tests;
