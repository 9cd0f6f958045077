//! Table `runs`: every run, what it was asked to do, where it stands and how it ended.
//!
//! The row and its words are in [`row`], changes of status and the queue in [`queue`], what a running process reports in
//! [`progress`]; creating, finding and listing runs is here.

pub(crate) mod progress;
pub(crate) mod queue;
pub(crate) mod row;

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, ToSql, named_params};

use crate::column::JsonRef;
use crate::error::{Fault, Result};
use crate::ids::{IdSpace, slug};
use crate::page::{Listing, Page};
use crate::registry::{Registry, now_ms};
use crate::schema::Migration;
use row::{COLUMNS, NewRun, RunFilter, RunFolder, RunRow, RunStatus, RunUpdate, from_row};

pub(crate) const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    sql: "
CREATE TABLE runs (
    number                INTEGER PRIMARY KEY AUTOINCREMENT,
    id                    TEXT    NOT NULL UNIQUE,
    name                  TEXT    NOT NULL,
    status                TEXT    NOT NULL
        CHECK (status IN ('queued', 'running', 'paused', 'completed', 'failed', 'cancelled')),
    request               TEXT    NOT NULL DEFAULT 'none'
        CHECK (request IN ('none', 'pause', 'resume', 'cancel', 'checkpoint')),
    task                  TEXT    NOT NULL,
    method                TEXT    NOT NULL,
    dataset_id            TEXT    REFERENCES datasets (id),
    dataset_hash          TEXT,
    validation_dataset_id TEXT    REFERENCES datasets (id),
    model_id              TEXT    REFERENCES models (id),
    model_hash            TEXT,
    template_hash         TEXT,
    settings              TEXT    NOT NULL CHECK (json_valid(settings)),
    made_from             TEXT    CHECK (json_valid(made_from)),
    estimate              TEXT    CHECK (json_valid(estimate)),
    code_version          TEXT    NOT NULL,
    device                TEXT    NOT NULL,
    n_threads             INTEGER NOT NULL,
    n_steps_planned       INTEGER,
    step                  INTEGER NOT NULL DEFAULT 0,
    seq                   INTEGER NOT NULL DEFAULT 0,
    pid                   INTEGER,
    process_started_at_ms INTEGER,
    heartbeat_at_ms       INTEGER,
    created_at_ms         INTEGER NOT NULL,
    started_at_ms         INTEGER,
    ended_at_ms           INTEGER,
    folder                TEXT    NOT NULL,
    error_code            TEXT,
    error_message         TEXT,
    error_hint            TEXT,
    metrics               TEXT    CHECK (json_valid(metrics)),
    best_step             INTEGER,
    best_value            REAL,
    notes                 TEXT    NOT NULL DEFAULT '',
    CHECK ((pid IS NULL) = (process_started_at_ms IS NULL))
) STRICT;
CREATE INDEX runs_by_name ON runs (name);
CREATE INDEX runs_by_status ON runs (status, number);
CREATE INDEX runs_by_dataset ON runs (dataset_id, number, status);
CREATE INDEX runs_by_validation_dataset ON runs (validation_dataset_id) WHERE validation_dataset_id IS NOT NULL;
CREATE INDEX runs_by_model ON runs (model_id, number, status);

-- The last number given out per id prefix, so that counting goes on after a run was deleted: its folder may still exist.
CREATE TABLE run_numbers (
    prefix TEXT    NOT NULL PRIMARY KEY,
    last   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
",
}];

pub(crate) const IDS: IdSpace = IdSpace { table: "runs", noun: "run", hashed: false };

/// Reads and writes of the table; from [`Registry::runs`].
#[derive(Clone, Copy, Debug)]
pub struct Runs<'a> {
    registry: &'a Registry,
}

impl<'a> Runs<'a> {
    pub(crate) fn new(registry: &'a Registry) -> Self {
        Runs { registry }
    }

    /// Adds a run under a new id, made from its name or `<dataset>-<n>`: queued, or running when [`NewRun::process`] executes it itself.
    ///
    /// # Errors
    /// When the registry cannot be written, or a dataset or model id does not exist.
    pub fn create(&self, new: &NewRun) -> Result<RunRow> {
        self.registry.write("creating a run", |tx| {
            let id = take_id(tx, new)?;
            insert(tx, &id, new)?;
            select(tx, &id)
        })
    }

    /// The id that [`Runs::create`] would give now; another process may be faster.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn next_id(&self, name: Option<&str>, dataset_id: Option<&str>) -> Result<String> {
        self.registry.read("looking for a free run id", |conn| Ok(next_id(conn, name, dataset_id)?.id))
    }

    /// The run with this id or name, or the only one whose id begins so.
    ///
    /// # Errors
    /// [`crate::RegistryError::NotFound`] names the nearest id, [`crate::RegistryError::Ambiguous`] those that fit.
    pub fn get(&self, id: &str) -> Result<RunRow> {
        self.registry.read("reading a run", |conn| select(conn, &IDS.resolve(conn, id)?))
    }

    /// A page of the runs that pass the filter, newest first.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn list(&self, filter: &RunFilter, page: Page) -> Result<Listing<RunRow>> {
        self.registry.read("listing the runs", |conn| {
            let (condition, mut values) = filter.condition();
            values.extend([
                Box::new(page.below()) as Box<dyn ToSql>,
                Box::new(page.n_fetched()),
                Box::new(page.offset),
            ]);
            let sql = format!(
                "SELECT {COLUMNS} FROM runs WHERE {condition} AND number < ? ORDER BY number DESC LIMIT ? OFFSET ?"
            );
            let mut statement = conn.prepare_cached(&sql)?;
            let rows = statement
                .query_map(rusqlite::params_from_iter(values), |row| Ok((row.get("number")?, from_row(row)?)))?;
            Ok(page.cut(rows.collect::<rusqlite::Result<_>>()?))
        })
    }

    /// How many runs pass the filter.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn count(&self, filter: &RunFilter) -> Result<u64> {
        self.registry.read("counting the runs", |conn| {
            let (condition, values) = filter.condition();
            let sql = format!("SELECT count(*) FROM runs WHERE {condition}");
            Ok(conn.prepare_cached(&sql)?.query_row(rusqlite::params_from_iter(values), |row| row.get(0))?)
        })
    }

    /// Fills in what was not known when the run was created; a field that is `None` stays. `id` is exact.
    ///
    /// # Errors
    /// [`crate::RegistryError::NotFound`] when there is no such run.
    pub fn update(&self, id: &str, update: &RunUpdate) -> Result<RunRow> {
        self.registry.write("updating a run", |tx| {
            let sql = "UPDATE runs SET
                           folder = coalesce(:folder, folder),
                           device = coalesce(:device, device),
                           n_threads = coalesce(:n_threads, n_threads),
                           n_steps_planned = coalesce(:n_steps_planned, n_steps_planned),
                           dataset_id = coalesce(:dataset_id, dataset_id),
                           dataset_hash = coalesce(:dataset_hash, dataset_hash),
                           validation_dataset_id = coalesce(:validation_dataset_id, validation_dataset_id),
                           model_id = coalesce(:model_id, model_id),
                           model_hash = coalesce(:model_hash, model_hash),
                           template_hash = coalesce(:template_hash, template_hash),
                           settings = coalesce(:settings, settings),
                           estimate = coalesce(:estimate, estimate),
                           name = coalesce(:name, name),
                           notes = coalesce(:notes, notes)
                       WHERE id = :id";
            let n_changed = tx.prepare_cached(sql)?.execute(named_params! {
                ":id": id,
                ":folder": update.folder,
                ":device": update.device,
                ":n_threads": update.n_threads,
                ":n_steps_planned": update.n_steps_planned,
                ":dataset_id": update.dataset_id,
                ":dataset_hash": update.dataset_hash,
                ":validation_dataset_id": update.validation_dataset_id,
                ":model_id": update.model_id,
                ":model_hash": update.model_hash,
                ":template_hash": update.template_hash,
                ":settings": update.settings.as_ref().map(JsonRef),
                ":estimate": update.estimate.as_ref().map(JsonRef),
                ":name": update.name,
                ":notes": update.notes,
            })?;
            if n_changed == 0 {
                return Err(IDS.not_found(tx, id)?.into());
            }
            select(tx, id)
        })
    }

    /// Forgets a run that nobody executes, with its metrics, events, checkpoint rows and artifact rows; files stay.
    /// Returns false, and changes nothing, while the run is running or paused. `id` is exact.
    ///
    /// # Errors
    /// [`crate::RegistryError::NotFound`] when there is no such run.
    pub fn delete(&self, id: &str) -> Result<bool> {
        self.registry.write("removing a run", |tx| {
            let sql = "DELETE FROM runs WHERE id = ?1 AND status NOT IN ('running', 'paused')";
            applied(tx, id, tx.prepare_cached(sql)?.execute([id])?)
        })
    }
}

/// Whether a conditional write on one run took effect; a run that does not exist is an error instead.
fn applied(conn: &Connection, id: &str, n_changed: usize) -> std::result::Result<bool, Fault> {
    let exists = n_changed > 0 || conn.prepare_cached("SELECT 1 FROM runs WHERE id = ?1")?.exists([id])?;
    if exists { Ok(n_changed > 0) } else { Err(IDS.not_found(conn, id)?.into()) }
}

/// An error that names the nearest run when there is none with exactly this id.
pub(crate) fn require(conn: &Connection, id: &str) -> std::result::Result<(), Fault> {
    applied(conn, id, 0).map(|_| ())
}

/// The id the next run would get. A name given by a person is its own first id; else runs are counted per dataset.
fn next_id(conn: &Connection, name: Option<&str>, dataset_id: Option<&str>) -> std::result::Result<NextId, Fault> {
    let prefix = match (name, dataset_id) {
        (Some(name), _) => slug(name, IDS.noun),
        (None, Some(dataset_id)) => dataset_id.to_owned(),
        (None, None) => IDS.noun.to_owned(),
    };
    let last = "SELECT last FROM run_numbers WHERE prefix = ?1";
    let last: Option<u64> = conn.prepare_cached(last)?.query_row([&prefix], |row| row.get(0)).optional()?;
    let mut taken = conn.prepare_cached("SELECT 1 FROM runs WHERE id = ?1")?;
    let mut number = last.unwrap_or(0) + 1;
    loop {
        let bare = number == 1 && name.is_some();
        let id = if bare { prefix.clone() } else { format!("{prefix}-{number}") };
        if !taken.exists([&id])? {
            return Ok(NextId { id, prefix, number });
        }
        number += 1;
    }
}

struct NextId {
    id: String,
    prefix: String,
    number: u64,
}

/// Takes the next id for good.
fn take_id(conn: &Connection, new: &NewRun) -> std::result::Result<String, Fault> {
    let NextId { id, prefix, number } = next_id(conn, new.name.as_deref(), new.dataset_id.as_deref())?;
    let sql = "INSERT INTO run_numbers (prefix, last) VALUES (?1, ?2)
               ON CONFLICT (prefix) DO UPDATE SET last = excluded.last";
    conn.prepare_cached(sql)?.execute((prefix, number))?;
    Ok(id)
}

fn insert(conn: &Connection, id: &str, new: &NewRun) -> std::result::Result<(), Fault> {
    let sql = "INSERT INTO runs (
                   id, name, status, task, method, dataset_id, dataset_hash, validation_dataset_id, model_id,
                   model_hash, template_hash, settings, made_from, estimate, code_version, device, n_threads,
                   n_steps_planned, pid, process_started_at_ms, heartbeat_at_ms, created_at_ms, started_at_ms,
                   folder, notes)
               VALUES (
                   :id, :name, :status, :task, :method, :dataset_id, :dataset_hash, :validation_dataset_id,
                   :model_id, :model_hash, :template_hash, :settings, :made_from, :estimate, :code_version,
                   :device, :n_threads, :n_steps_planned, :pid, :process_started_at_ms, :heartbeat_at_ms,
                   :created_at_ms, :started_at_ms, :folder, :notes)";
    let now = now_ms();
    let (status, started_at_ms) = match new.process {
        Some(_) => (RunStatus::Running, Some(now)),
        None => (RunStatus::Queued, None),
    };
    let folder = match &new.folder {
        RunFolder::At(folder) => folder.clone(),
        RunFolder::Inside(parent) => Path::new(parent).join(id).to_string_lossy().into_owned(),
    };
    conn.prepare_cached(sql)?.execute(named_params! {
        ":id": id,
        ":name": new.name.as_deref().unwrap_or(id),
        ":status": status,
        ":task": new.task,
        ":method": new.method,
        ":dataset_id": new.dataset_id,
        ":dataset_hash": new.dataset_hash,
        ":validation_dataset_id": new.validation_dataset_id,
        ":model_id": new.model_id,
        ":model_hash": new.model_hash,
        ":template_hash": new.template_hash,
        ":settings": JsonRef(&new.settings),
        ":made_from": new.made_from.as_ref().map(JsonRef),
        ":estimate": new.estimate.as_ref().map(JsonRef),
        ":code_version": new.code_version,
        ":device": new.device,
        ":n_threads": new.n_threads,
        ":n_steps_planned": new.n_steps_planned,
        ":pid": new.process.map(|process| process.pid),
        ":process_started_at_ms": new.process.map(|process| process.started_at_ms),
        ":heartbeat_at_ms": started_at_ms,
        ":created_at_ms": now,
        ":started_at_ms": started_at_ms,
        ":folder": folder,
        ":notes": new.notes,
    })?;
    Ok(())
}

fn select(conn: &Connection, id: &str) -> std::result::Result<RunRow, Fault> {
    let sql = format!("SELECT {COLUMNS} FROM runs WHERE id = ?1");
    Ok(conn.prepare_cached(&sql)?.query_row([id], from_row)?)
}

#[cfg(test)]
mod tests;
