//! Table `artifacts`: what a run leaves behind for use: its adapter folder, its report, a merged model.

use rusqlite::Row;

use crate::error::Result;
use crate::registry::{Registry, now_ms};
use crate::runs;
use crate::schema::Migration;

pub(crate) const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    sql: "
CREATE TABLE artifacts (
    run_id        TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    kind          TEXT    NOT NULL,
    path          TEXT    NOT NULL,
    hash          TEXT,
    n_bytes       INTEGER NOT NULL CHECK (n_bytes >= 0),
    created_at_ms INTEGER NOT NULL,
    PRIMARY KEY (run_id, kind, path)
) STRICT, WITHOUT ROWID;
",
}];

/// An artifact to note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewArtifact {
    /// What it is, such as `adapter`, `report` or `merged`.
    pub kind: String,
    /// Its file or folder.
    pub path: String,
    /// Hash of its content, in lower-case hexadecimal.
    pub hash: Option<String>,
    /// Size on disk.
    pub n_bytes: u64,
}

/// An artifact as noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArtifactRow {
    /// Its run.
    pub run_id: String,
    /// What it is.
    pub kind: String,
    /// Its file or folder.
    pub path: String,
    /// Hash of its content, in lower-case hexadecimal.
    pub hash: Option<String>,
    /// Size on disk.
    pub n_bytes: u64,
    /// When it was noted, in milliseconds since 1970.
    pub created_at_ms: u64,
}

/// Reads and writes of the table; from [`Registry::artifacts`]. Run ids are exact.
#[derive(Clone, Copy, Debug)]
pub struct Artifacts<'a> {
    registry: &'a Registry,
}

impl<'a> Artifacts<'a> {
    pub(crate) fn new(registry: &'a Registry) -> Self {
        Artifacts { registry }
    }

    /// Notes an artifact; one of the same kind at the same place is replaced.
    ///
    /// # Errors
    /// [`crate::RegistryError::NotFound`] when there is no such run.
    pub fn insert(&self, run_id: &str, new: &NewArtifact) -> Result<()> {
        self.registry.write("noting an artifact", |tx| {
            runs::require(tx, run_id)?;
            let sql = "INSERT INTO artifacts (run_id, kind, path, hash, n_bytes, created_at_ms)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                       ON CONFLICT (run_id, kind, path) DO UPDATE SET
                           hash = excluded.hash, n_bytes = excluded.n_bytes, created_at_ms = excluded.created_at_ms";
            let NewArtifact { kind, path, hash, n_bytes } = new;
            tx.prepare_cached(sql)?.execute((run_id, kind, path, hash, n_bytes, now_ms()))?;
            Ok(())
        })
    }

    /// Every artifact of a run, oldest first.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn of_run(&self, run_id: &str) -> Result<Vec<ArtifactRow>> {
        self.registry.read("reading the artifacts of a run", |conn| {
            let sql = "SELECT run_id, kind, path, hash, n_bytes, created_at_ms FROM artifacts
                       WHERE run_id = ?1 ORDER BY created_at_ms, kind, path";
            let mut statement = conn.prepare_cached(sql)?;
            let rows = statement.query_map([run_id], from_row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Forgets an artifact whose files were removed; tells whether it was noted.
    ///
    /// # Errors
    /// When the registry cannot be written.
    pub fn delete(&self, run_id: &str, kind: &str, path: &str) -> Result<bool> {
        self.registry.write("removing an artifact", |tx| {
            let sql = "DELETE FROM artifacts WHERE run_id = ?1 AND kind = ?2 AND path = ?3";
            Ok(tx.prepare_cached(sql)?.execute((run_id, kind, path))? == 1)
        })
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<ArtifactRow> {
    Ok(ArtifactRow {
        run_id: row.get("run_id")?,
        kind: row.get("kind")?,
        path: row.get("path")?,
        hash: row.get("hash")?,
        n_bytes: row.get("n_bytes")?,
        created_at_ms: row.get("created_at_ms")?,
    })
}

#[cfg(test)]
mod tests;
