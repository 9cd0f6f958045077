//! Table `models`: base models that were used or added, each a place: a folder, a file, or `builtin:starter`.
//!
//! The content of a place may change; then its row takes the new hash, while every run keeps the hash it was made with.

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
CREATE TABLE models (
    number          INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT    NOT NULL UNIQUE,
    name            TEXT    NOT NULL,
    path            TEXT    NOT NULL UNIQUE,
    hash            TEXT    NOT NULL,
    architecture    TEXT    NOT NULL,
    tasks           TEXT    NOT NULL CHECK (json_valid(tasks)),
    n_parameters    INTEGER NOT NULL CHECK (n_parameters >= 0),
    n_bytes         INTEGER NOT NULL CHECK (n_bytes >= 0),
    template_hash   TEXT,
    details         TEXT    CHECK (json_valid(details)),
    added_at_ms     INTEGER NOT NULL,
    last_used_at_ms INTEGER
) STRICT;
CREATE INDEX models_by_name ON models (name);
CREATE INDEX models_by_hash ON models (hash);
CREATE INDEX models_by_last_use ON models (last_used_at_ms DESC);
",
}];

const COLUMNS: &str = "number, id, name, path, hash, architecture, tasks, n_parameters, n_bytes, template_hash, \
                       details, added_at_ms, last_used_at_ms";

pub(crate) const IDS: IdSpace = IdSpace { table: "models", noun: "model", hashed: true };

/// A model to remember.
#[derive(Clone, Debug, PartialEq)]
pub struct NewModel {
    /// What a person calls it; the id is made from it.
    pub name: String,
    /// An absolute path, or `builtin:starter`.
    pub path: String,
    /// Hash of the weights, in lower-case hexadecimal.
    pub hash: String,
    /// The architecture in the model's configuration, such as `LlamaForCausalLM`.
    pub architecture: String,
    /// The tasks it can be trained for, a JSON array of their names.
    pub tasks: Value,
    /// Number of weights.
    pub n_parameters: u64,
    /// Size on disk.
    pub n_bytes: u64,
    /// Hash of the chat template, where it has one.
    pub template_hash: Option<String>,
    /// Whatever else is to be kept about it (licence, sizes), JSON.
    pub details: Option<Value>,
}

/// A model as remembered.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelRow {
    /// Readable and unique, such as `smollm2-135m`.
    pub id: String,
    /// What a person calls it.
    pub name: String,
    /// An absolute path, or `builtin:starter`.
    pub path: String,
    /// Hash of the weights, in lower-case hexadecimal.
    pub hash: String,
    /// The architecture in the model's configuration.
    pub architecture: String,
    /// The tasks it can be trained for, a JSON array of their names.
    pub tasks: Value,
    /// Number of weights.
    pub n_parameters: u64,
    /// Size on disk.
    pub n_bytes: u64,
    /// Hash of the chat template, where it has one.
    pub template_hash: Option<String>,
    /// Whatever else is to be kept about it (licence, sizes), JSON.
    pub details: Option<Value>,
    /// When it was added, in milliseconds since 1970.
    pub added_at_ms: u64,
    /// When a run, a chat or a server used it last.
    pub last_used_at_ms: Option<u64>,
}

/// Reads and writes of the table; from [`Registry::models`].
#[derive(Clone, Copy, Debug)]
pub struct Models<'a> {
    registry: &'a Registry,
}

impl<'a> Models<'a> {
    pub(crate) fn new(registry: &'a Registry) -> Self {
        Models { registry }
    }

    /// Remembers a model; a place that is already known keeps its id and name and takes everything else from `new`.
    ///
    /// # Errors
    /// When the registry cannot be written.
    pub fn insert(&self, new: &NewModel) -> Result<ModelRow> {
        self.registry.write("saving a model", |tx| {
            let id = match id_of_path(tx, &new.path)? {
                Some(id) => id,
                None => IDS.unique_slug(tx, &new.name)?,
            };
            let sql = "INSERT INTO models
                       (id, name, path, hash, architecture, tasks, n_parameters, n_bytes, template_hash, details,
                        added_at_ms)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
                       ON CONFLICT (id) DO UPDATE SET
                           hash = excluded.hash, architecture = excluded.architecture, tasks = excluded.tasks,
                           n_parameters = excluded.n_parameters, n_bytes = excluded.n_bytes,
                           template_hash = excluded.template_hash, details = excluded.details";
            let NewModel { name, path, hash, architecture, tasks, n_parameters, n_bytes, template_hash, details } = new;
            let (tasks, details) = (JsonRef(tasks), details.as_ref().map(JsonRef));
            let values =
                (&id, name, path, hash, architecture, tasks, n_parameters, n_bytes, template_hash, details, now_ms());
            tx.prepare_cached(sql)?.execute(values)?;
            select(tx, &id)
        })
    }

    /// The model with this id, hash or name, or the only one whose id or hash begins so.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] names the nearest id, [`RegistryError::Ambiguous`] those that fit.
    pub fn get(&self, given: &str) -> Result<ModelRow> {
        self.registry.read("reading a model", |conn| select(conn, &IDS.resolve(conn, given)?))
    }

    /// The model at exactly this place.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn find_path(&self, path: &str) -> Result<Option<ModelRow>> {
        self.registry
            .read("looking for a model", |conn| id_of_path(conn, path)?.map(|id| select(conn, &id)).transpose())
    }

    /// A page of the list, newest first.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn list(&self, page: Page) -> Result<Listing<ModelRow>> {
        self.registry.read("listing the models", |conn| {
            let sql = format!("SELECT {COLUMNS} FROM models WHERE number < ?1 ORDER BY number DESC LIMIT ?2 OFFSET ?3");
            let mut statement = conn.prepare_cached(&sql)?;
            let rows = statement
                .query_map((page.below(), page.n_fetched(), page.offset), |row| Ok((row.get(0)?, from_row(row)?)))?;
            Ok(page.cut(rows.collect::<rusqlite::Result<_>>()?))
        })
    }

    /// The models used last, the latest first.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn recent(&self, limit: u32) -> Result<Vec<ModelRow>> {
        self.registry.read("listing the recent models", |conn| {
            let sql = format!(
                "SELECT {COLUMNS} FROM models WHERE last_used_at_ms IS NOT NULL
                 ORDER BY last_used_at_ms DESC, number DESC LIMIT ?1"
            );
            let mut statement = conn.prepare_cached(&sql)?;
            let rows = statement.query_map([limit], from_row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Notes that the model is used now. `id` is exact.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] when there is no such model.
    pub fn touch(&self, id: &str) -> Result<()> {
        self.registry.write("noting the use of a model", |tx| {
            match tx.prepare_cached("UPDATE models SET last_used_at_ms = ?2 WHERE id = ?1")?.execute((id, now_ms()))? {
                0 => Err(IDS.not_found(tx, id)?.into()),
                _ => Ok(()),
            }
        })
    }

    /// Forgets a model that no run uses; its files stay where they are. `id` is exact.
    ///
    /// # Errors
    /// [`RegistryError::InUse`] names a run that uses it, [`RegistryError::NotFound`] when there is no such model.
    pub fn delete(&self, id: &str) -> Result<()> {
        self.registry.write("removing a model", |tx| {
            let used_by = "SELECT id FROM runs WHERE model_id = ?1 LIMIT 1";
            if let Some(run_id) = tx.prepare_cached(used_by)?.query_row([id], |row| row.get(0)).optional()? {
                return Err(RegistryError::InUse { noun: IDS.noun, id: id.to_owned(), run_id }.into());
            }
            match tx.prepare_cached("DELETE FROM models WHERE id = ?1")?.execute([id])? {
                0 => Err(IDS.not_found(tx, id)?.into()),
                _ => Ok(()),
            }
        })
    }
}

fn id_of_path(conn: &Connection, path: &str) -> std::result::Result<Option<String>, Fault> {
    let mut statement = conn.prepare_cached("SELECT id FROM models WHERE path = ?1")?;
    Ok(statement.query_row([path], |row| row.get(0)).optional()?)
}

fn select(conn: &Connection, id: &str) -> std::result::Result<ModelRow, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM models WHERE id = ?1");
    Ok(conn.prepare_cached(&sql)?.query_row([id], from_row)?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<ModelRow> {
    Ok(ModelRow {
        id: row.get("id")?,
        name: row.get("name")?,
        path: row.get("path")?,
        hash: row.get("hash")?,
        architecture: row.get("architecture")?,
        tasks: row.get::<_, Json>("tasks")?.0,
        n_parameters: row.get("n_parameters")?,
        n_bytes: row.get("n_bytes")?,
        template_hash: row.get("template_hash")?,
        details: row.get::<_, Option<Json>>("details")?.map(|json| json.0),
        added_at_ms: row.get("added_at_ms")?,
        last_used_at_ms: row.get("last_used_at_ms")?,
    })
}

#[cfg(test)]
mod tests;
