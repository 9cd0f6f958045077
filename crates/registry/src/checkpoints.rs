//! Table `checkpoints`: the whole states a run has saved, and which of them is the best.
//!
//! The files are written and removed above; a row says that a folder was complete when it was noted.

use rusqlite::{Connection, OptionalExtension, Row};

use crate::error::{Fault, Result};
use crate::registry::{Registry, now_ms};
use crate::runs;
use crate::schema::Migration;

pub(crate) const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    sql: "
CREATE TABLE checkpoints (
    run_id          TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step            INTEGER NOT NULL CHECK (step >= 0),
    path            TEXT    NOT NULL,
    validation_loss REAL,
    is_best         INTEGER NOT NULL DEFAULT 0 CHECK (is_best IN (0, 1)),
    n_bytes         INTEGER NOT NULL CHECK (n_bytes >= 0),
    created_at_ms   INTEGER NOT NULL,
    deleted         INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1)),
    PRIMARY KEY (run_id, step)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX checkpoints_best ON checkpoints (run_id) WHERE is_best = 1;
",
}];

const COLUMNS: &str = "run_id, step, path, validation_loss, is_best, n_bytes, created_at_ms, deleted";

/// A checkpoint to note.
#[derive(Clone, Debug, PartialEq)]
pub struct NewCheckpoint {
    /// Optimiser steps done.
    pub step: u64,
    /// Its folder.
    pub path: String,
    /// Mean validation loss at this step, where there was a validation.
    pub validation_loss: Option<f64>,
    /// Whether it is the best so far; the former best is then no longer.
    pub is_best: bool,
    /// Size on disk.
    pub n_bytes: u64,
}

/// A checkpoint as noted.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckpointRow {
    /// Its run.
    pub run_id: String,
    /// Optimiser steps done.
    pub step: u64,
    /// Its folder.
    pub path: String,
    /// Mean validation loss at this step, where there was a validation.
    pub validation_loss: Option<f64>,
    /// Whether it is the run's best.
    pub is_best: bool,
    /// Size on disk.
    pub n_bytes: u64,
    /// When it was noted, in milliseconds since 1970.
    pub created_at_ms: u64,
    /// Whether its files were removed since.
    pub deleted: bool,
}

/// Reads and writes of the table; from [`Registry::checkpoints`]. Run ids are exact.
#[derive(Clone, Copy, Debug)]
pub struct Checkpoints<'a> {
    registry: &'a Registry,
}

impl<'a> Checkpoints<'a> {
    pub(crate) fn new(registry: &'a Registry) -> Self {
        Checkpoints { registry }
    }

    /// Notes a checkpoint; one of the same step (saved again after a resume) is replaced.
    ///
    /// # Errors
    /// [`crate::RegistryError::NotFound`] when there is no such run.
    pub fn insert(&self, run_id: &str, new: &NewCheckpoint) -> Result<()> {
        self.registry.write("noting a checkpoint", |tx| {
            runs::require(tx, run_id)?;
            if new.is_best {
                clear_best(tx, run_id)?;
            }
            let sql = "INSERT INTO checkpoints
                       (run_id, step, path, validation_loss, is_best, n_bytes, created_at_ms, deleted)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)
                       ON CONFLICT (run_id, step) DO UPDATE SET
                           path = excluded.path, validation_loss = excluded.validation_loss,
                           is_best = excluded.is_best, n_bytes = excluded.n_bytes,
                           created_at_ms = excluded.created_at_ms, deleted = 0";
            let NewCheckpoint { step, path, validation_loss, is_best, n_bytes } = new;
            tx.prepare_cached(sql)?.execute((run_id, step, path, validation_loss, is_best, n_bytes, now_ms()))?;
            Ok(())
        })
    }

    /// Every checkpoint of a run by step, also those whose files are gone.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn of_run(&self, run_id: &str) -> Result<Vec<CheckpointRow>> {
        self.registry.read("reading the checkpoints of a run", |conn| {
            let sql = format!("SELECT {COLUMNS} FROM checkpoints WHERE run_id = ?1 ORDER BY step");
            let mut statement = conn.prepare_cached(&sql)?;
            let rows = statement.query_map([run_id], from_row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The latest checkpoint whose files are there: where a resume begins.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn latest(&self, run_id: &str) -> Result<Option<CheckpointRow>> {
        self.one(run_id, "deleted = 0 ORDER BY step DESC LIMIT 1")
    }

    /// The best checkpoint, while its files are there.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn best(&self, run_id: &str) -> Result<Option<CheckpointRow>> {
        self.one(run_id, "is_best = 1 AND deleted = 0")
    }

    /// Makes the checkpoint at `step` the best one, instead of any other; false when there is none at that step.
    ///
    /// # Errors
    /// When the registry cannot be written.
    pub fn set_best(&self, run_id: &str, step: u64) -> Result<bool> {
        self.registry.write("choosing the best checkpoint", |tx| {
            let there = "SELECT 1 FROM checkpoints WHERE run_id = ?1 AND step = ?2";
            if !tx.prepare_cached(there)?.exists((run_id, step))? {
                return Ok(false);
            }
            clear_best(tx, run_id)?;
            let sql = "UPDATE checkpoints SET is_best = 1 WHERE run_id = ?1 AND step = ?2";
            tx.prepare_cached(sql)?.execute((run_id, step))?;
            Ok(true)
        })
    }

    /// Notes that the files of a checkpoint are gone; false when there is none at that step.
    ///
    /// # Errors
    /// When the registry cannot be written.
    pub fn mark_deleted(&self, run_id: &str, step: u64) -> Result<bool> {
        self.registry.write("noting that a checkpoint is gone", |tx| {
            let sql = "UPDATE checkpoints SET deleted = 1 WHERE run_id = ?1 AND step = ?2";
            Ok(tx.prepare_cached(sql)?.execute((run_id, step))? == 1)
        })
    }

    fn one(&self, run_id: &str, condition: &str) -> Result<Option<CheckpointRow>> {
        self.registry.read("reading a checkpoint", |conn| {
            let sql = format!("SELECT {COLUMNS} FROM checkpoints WHERE run_id = ?1 AND {condition}");
            Ok(conn.prepare_cached(&sql)?.query_row([run_id], from_row).optional()?)
        })
    }
}

fn clear_best(conn: &Connection, run_id: &str) -> std::result::Result<(), Fault> {
    let sql = "UPDATE checkpoints SET is_best = 0 WHERE run_id = ?1 AND is_best = 1";
    conn.prepare_cached(sql)?.execute([run_id])?;
    Ok(())
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<CheckpointRow> {
    Ok(CheckpointRow {
        run_id: row.get("run_id")?,
        step: row.get("step")?,
        path: row.get("path")?,
        validation_loss: row.get("validation_loss")?,
        is_best: row.get("is_best")?,
        n_bytes: row.get("n_bytes")?,
        created_at_ms: row.get("created_at_ms")?,
        deleted: row.get("deleted")?,
    })
}

#[cfg(test)]
mod tests;
