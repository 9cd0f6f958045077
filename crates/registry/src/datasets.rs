//! Table `datasets`: every version of a file of examples that was imported, named by the hash of its content.
//!
//! The same content is the same row, whatever the file was called the second time.

use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::Value;

use crate::column::{Json, JsonRef};
use crate::error::{Fault, RegistryError, Result};
use crate::ids::IdSpace;
use crate::page::{Listing, Page};
use crate::registry::{Registry, now_ms};
use crate::schema::Migration;

pub(crate) const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    sql: "
CREATE TABLE datasets (
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    id            TEXT    NOT NULL UNIQUE,
    name          TEXT    NOT NULL,
    hash          TEXT    NOT NULL UNIQUE,
    kind          TEXT    NOT NULL,
    n_rows        INTEGER NOT NULL CHECK (n_rows >= 0),
    n_bad         INTEGER NOT NULL CHECK (n_bad >= 0),
    n_bytes       INTEGER NOT NULL CHECK (n_bytes >= 0),
    source_path   TEXT,
    labels        TEXT    CHECK (json_valid(labels)),
    details       TEXT    CHECK (json_valid(details)),
    created_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX datasets_by_name ON datasets (name);
",
}];

const COLUMNS: &str = "number, id, name, hash, kind, n_rows, n_bad, n_bytes, source_path, labels, details, \
                       created_at_ms";

pub(crate) const IDS: IdSpace = IdSpace { table: "datasets", noun: "dataset", hashed: true };

/// A dataset to remember.
#[derive(Clone, Debug, PartialEq)]
pub struct NewDataset {
    /// What a person calls it; the id is made from it.
    pub name: String,
    /// BLAKE3 of the content, in lower-case hexadecimal: the version.
    pub hash: String,
    /// The recognised kind of record, such as `alpaca` or `text-label`.
    pub kind: String,
    /// Good rows.
    pub n_rows: u64,
    /// Rows left out because they could not be read.
    pub n_bad: u64,
    /// Size of the imported content.
    pub n_bytes: u64,
    /// The file it came from, unless it came with the program.
    pub source_path: Option<String>,
    /// The labels of a classification dataset, a JSON array.
    pub labels: Option<Value>,
    /// Whatever else is to be kept about it (columns, format, first bad rows), JSON.
    pub details: Option<Value>,
}

/// A dataset as remembered.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetRow {
    /// Readable and unique, such as `spam-2`.
    pub id: String,
    /// What a person calls it.
    pub name: String,
    /// BLAKE3 of the content, in lower-case hexadecimal: the version.
    pub hash: String,
    /// The recognised kind of record.
    pub kind: String,
    /// Good rows.
    pub n_rows: u64,
    /// Rows left out because they could not be read.
    pub n_bad: u64,
    /// Size of the imported content.
    pub n_bytes: u64,
    /// The file it came from, unless it came with the program.
    pub source_path: Option<String>,
    /// The labels of a classification dataset, a JSON array.
    pub labels: Option<Value>,
    /// Whatever else is to be kept about it (columns, format, first bad rows), JSON.
    pub details: Option<Value>,
    /// When it was imported first, in milliseconds since 1970.
    pub created_at_ms: u64,
}

/// Reads and writes of the table; from [`Registry::datasets`].
#[derive(Clone, Copy, Debug)]
pub struct Datasets<'a> {
    registry: &'a Registry,
}

impl<'a> Datasets<'a> {
    pub(crate) fn new(registry: &'a Registry) -> Self {
        Datasets { registry }
    }

    /// Remembers a dataset; content that is already known returns its row unchanged.
    ///
    /// # Errors
    /// When the registry cannot be written.
    pub fn insert(&self, new: &NewDataset) -> Result<DatasetRow> {
        self.registry.write("saving a dataset", |tx| {
            if let Some(id) = id_of_hash(tx, &new.hash)? {
                return select(tx, &id);
            }
            let id = IDS.unique_slug(tx, &new.name)?;
            let sql = "INSERT INTO datasets
                       (id, name, hash, kind, n_rows, n_bad, n_bytes, source_path, labels, details, created_at_ms)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
            let NewDataset { name, hash, kind, n_rows, n_bad, n_bytes, source_path, labels, details } = new;
            let (labels, details) = (labels.as_ref().map(JsonRef), details.as_ref().map(JsonRef));
            let values = (&id, name, hash, kind, n_rows, n_bad, n_bytes, source_path, labels, details, now_ms());
            tx.prepare_cached(sql)?.execute(values)?;
            select(tx, &id)
        })
    }

    /// The dataset with this id, hash or name, or the only one whose id or hash begins so.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] names the nearest id, [`RegistryError::Ambiguous`] those that fit.
    pub fn get(&self, given: &str) -> Result<DatasetRow> {
        self.registry.read("reading a dataset", |conn| select(conn, &IDS.resolve(conn, given)?))
    }

    /// The dataset with exactly this content.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn find_hash(&self, hash: &str) -> Result<Option<DatasetRow>> {
        self.registry
            .read("looking for a dataset", |conn| id_of_hash(conn, hash)?.map(|id| select(conn, &id)).transpose())
    }

    /// A page of the list, newest first.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn list(&self, page: Page) -> Result<Listing<DatasetRow>> {
        self.registry.read("listing the datasets", |conn| {
            let sql =
                format!("SELECT {COLUMNS} FROM datasets WHERE number < ?1 ORDER BY number DESC LIMIT ?2 OFFSET ?3");
            let mut statement = conn.prepare_cached(&sql)?;
            let rows = statement
                .query_map((page.below(), page.n_fetched(), page.offset), |row| Ok((row.get(0)?, from_row(row)?)))?;
            Ok(page.cut(rows.collect::<rusqlite::Result<_>>()?))
        })
    }

    /// Changes what a person calls the dataset; its id stays. `id` is exact.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] when there is no such dataset.
    pub fn rename(&self, id: &str, name: &str) -> Result<()> {
        self.registry.write("renaming a dataset", |tx| {
            match tx.prepare_cached("UPDATE datasets SET name = ?2 WHERE id = ?1")?.execute((id, name))? {
                0 => Err(IDS.not_found(tx, id)?.into()),
                _ => Ok(()),
            }
        })
    }

    /// Forgets a dataset that no run uses. `id` is exact.
    ///
    /// # Errors
    /// [`RegistryError::InUse`] names a run that uses it, [`RegistryError::NotFound`] when there is no such dataset.
    pub fn delete(&self, id: &str) -> Result<()> {
        self.registry.write("removing a dataset", |tx| {
            let used_by = "SELECT id FROM runs WHERE dataset_id = ?1 OR validation_dataset_id = ?1 LIMIT 1";
            if let Some(run_id) = tx.prepare_cached(used_by)?.query_row([id], |row| row.get(0)).optional()? {
                return Err(RegistryError::InUse { noun: IDS.noun, id: id.to_owned(), run_id }.into());
            }
            match tx.prepare_cached("DELETE FROM datasets WHERE id = ?1")?.execute([id])? {
                0 => Err(IDS.not_found(tx, id)?.into()),
                _ => Ok(()),
            }
        })
    }
}

fn id_of_hash(conn: &Connection, hash: &str) -> std::result::Result<Option<String>, Fault> {
    let mut statement = conn.prepare_cached("SELECT id FROM datasets WHERE hash = ?1")?;
    Ok(statement.query_row([hash], |row| row.get(0)).optional()?)
}

fn select(conn: &Connection, id: &str) -> std::result::Result<DatasetRow, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM datasets WHERE id = ?1");
    Ok(conn.prepare_cached(&sql)?.query_row([id], from_row)?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<DatasetRow> {
    Ok(DatasetRow {
        id: row.get("id")?,
        name: row.get("name")?,
        hash: row.get("hash")?,
        kind: row.get("kind")?,
        n_rows: row.get("n_rows")?,
        n_bad: row.get("n_bad")?,
        n_bytes: row.get("n_bytes")?,
        source_path: row.get("source_path")?,
        labels: row.get::<_, Option<Json>>("labels")?.map(|json| json.0),
        details: row.get::<_, Option<Json>>("details")?.map(|json| json.0),
        created_at_ms: row.get("created_at_ms")?,
    })
}

#[cfg(test)]
mod tests;
