//! Who executes a run, and every change of its status, each one statement that names the status it starts from.
//!
//! Two processes that decide the same thing at once are both answered truthfully: one change applies, the other returns
//! false (or no run). Ids here are exact.

use rusqlite::{Connection, OptionalExtension, ToSql, params, params_from_iter};
use serde_json::Value;

use crate::column::JsonRef;
use crate::error::{Fault, Result};
use crate::registry::now_ms;
use crate::runs::row::{COLUMNS, Request, RunProcess, RunRow, RunStatus, from_row, placeholders};
use crate::runs::{IDS, Runs, applied};

/// Why a run failed, as the person reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFailure {
    /// A stable code, such as `out-of-memory`.
    pub code: String,
    /// What happened.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// As planned, with the final figures (a JSON object).
    Completed(Value),
    /// By an error.
    Failed(RunFailure),
    /// On request, with the figures so far where there are any.
    Cancelled(Option<Value>),
}

impl Ending {
    /// The status the run ends in.
    pub const fn status(&self) -> RunStatus {
        match self {
            Ending::Completed(_) => RunStatus::Completed,
            Ending::Failed(_) => RunStatus::Failed,
            Ending::Cancelled(_) => RunStatus::Cancelled,
        }
    }
}

/// What taking a run over sets, for a statement whose parameters 1 to 3 are the time, the pid and the pid's start.
const TAKE: &str = "status = 'running', request = 'none', pid = ?2, process_started_at_ms = ?3, heartbeat_at_ms = ?1,
                    started_at_ms = coalesce(started_at_ms, ?1), ended_at_ms = NULL,
                    error_code = NULL, error_message = NULL, error_hint = NULL";

impl Runs<'_> {
    /// Changes the status if it is one of `from` at that moment, and tells whether it was. Running
    /// and paused keep the run's process, every other status frees it; a run that is queued or running again forgets its
    /// former ending.
    ///
    /// # Errors
    /// [`crate::RegistryError::NotFound`] when there is no such run.
    pub fn transition(&self, id: &str, from: &[RunStatus], to: RunStatus) -> Result<bool> {
        self.registry.write("changing the status of a run", |tx| {
            let sql = format!(
                "UPDATE runs SET
                     status = ?2,
                     request = CASE WHEN ?2 IN ('running', 'paused') THEN request ELSE 'none' END,
                     pid = CASE WHEN ?2 IN ('running', 'paused') THEN pid END,
                     process_started_at_ms = CASE WHEN ?2 IN ('running', 'paused') THEN process_started_at_ms END,
                     started_at_ms = CASE ?2 WHEN 'running' THEN coalesce(started_at_ms, ?3) ELSE started_at_ms END,
                     ended_at_ms = CASE WHEN ?2 IN ('completed', 'failed', 'cancelled') THEN ?3 END,
                     error_code = CASE WHEN ?2 = 'failed' THEN error_code END,
                     error_message = CASE WHEN ?2 = 'failed' THEN error_message END,
                     error_hint = CASE WHEN ?2 = 'failed' THEN error_hint END
                 WHERE id = ?1 AND status IN ({})",
                placeholders(from.len())
            );
            let now = now_ms();
            let head: [&dyn ToSql; 3] = [&id, &to, &now];
            let values = head.into_iter().chain(from.iter().map(|status| status as &dyn ToSql));
            applied(tx, id, tx.prepare_cached(&sql)?.execute(params_from_iter(values))?)
        })
    }

    /// Ends a run that is in one of `from`, with its figures or its error, and tells whether it applied.
    ///
    /// # Errors
    /// [`crate::RegistryError::NotFound`] when there is no such run.
    pub fn finish(&self, id: &str, from: &[RunStatus], ending: &Ending) -> Result<bool> {
        self.registry.write("ending a run", |tx| {
            let sql = format!(
                "UPDATE runs SET
                     status = ?2, ended_at_ms = ?3, request = 'none', pid = NULL, process_started_at_ms = NULL,
                     metrics = coalesce(?4, metrics), error_code = ?5, error_message = ?6, error_hint = ?7
                 WHERE id = ?1 AND status IN ({})",
                placeholders(from.len())
            );
            let (metrics, failure) = match ending {
                Ending::Completed(metrics) => (Some(metrics), None),
                Ending::Cancelled(metrics) => (metrics.as_ref(), None),
                Ending::Failed(failure) => (None, Some(failure)),
            };
            let (status, now, metrics) = (ending.status(), now_ms(), metrics.map(JsonRef));
            let code = failure.map(|failure| &failure.code);
            let message = failure.map(|failure| &failure.message);
            let hint = failure.and_then(|failure| failure.hint.as_ref());
            let head: [&dyn ToSql; 7] = [&id, &status, &now, &metrics, &code, &message, &hint];
            let values = head.into_iter().chain(from.iter().map(|status| status as &dyn ToSql));
            applied(tx, id, tx.prepare_cached(&sql)?.execute(params_from_iter(values))?)
        })
    }

    /// Gives the queued run to `process`, which executes it from now on; false when it is not queued any more.
    ///
    /// # Errors
    /// [`crate::RegistryError::NotFound`] when there is no such run.
    pub fn claim(&self, id: &str, process: RunProcess) -> Result<bool> {
        self.registry.write("starting a run", |tx| {
            let sql = format!("UPDATE runs SET {TAKE} WHERE id = ?4 AND status = 'queued'");
            let RunProcess { pid, started_at_ms } = process;
            applied(tx, id, tx.prepare_cached(&sql)?.execute((now_ms(), pid, started_at_ms, id))?)
        })
    }

    /// Gives the oldest queued run to `process`; `None` when the queue is empty.
    ///
    /// # Errors
    /// When the registry cannot be written.
    pub fn claim_next_queued(&self, process: RunProcess) -> Result<Option<RunRow>> {
        self.registry.write("starting the next run", |tx| {
            let sql = format!(
                "UPDATE runs SET {TAKE}
                 WHERE number = (SELECT number FROM runs WHERE status = 'queued' ORDER BY number LIMIT 1)
                 RETURNING {COLUMNS}"
            );
            let values = (now_ms(), process.pid, process.started_at_ms);
            Ok(tx.prepare_cached(&sql)?.query_row(values, from_row).optional()?)
        })
    }

    /// Gives a run that has ended, or whose process is gone (`dead` as read before), to `process`, to go on from its
    /// last checkpoint. False when someone else was faster.
    ///
    /// # Errors
    /// [`crate::RegistryError::NotFound`] when there is no such run.
    pub fn take_over(&self, id: &str, dead: Option<RunProcess>, process: RunProcess) -> Result<bool> {
        self.registry.write("taking over a run", |tx| {
            let sql = format!(
                "UPDATE runs SET {TAKE}
                 WHERE id = ?4 AND pid IS ?5 AND process_started_at_ms IS ?6 AND status <> 'queued'"
            );
            let values = params![
                now_ms(),
                process.pid,
                process.started_at_ms,
                id,
                dead.map(|dead| dead.pid),
                dead.map(|dead| dead.started_at_ms),
            ];
            applied(tx, id, tx.prepare_cached(&sql)?.execute(values)?)
        })
    }

    /// Puts a run whose process is gone (`dead` as read before) into `to`: back in the queue, paused without a process, or
    /// ended. False when it has another process by now, or none.
    ///
    /// # Errors
    /// [`crate::RegistryError::NotFound`] when there is no such run.
    pub fn release(&self, id: &str, dead: Option<RunProcess>, to: RunStatus) -> Result<bool> {
        self.registry.write("releasing a run", |tx| {
            let sql = "UPDATE runs SET status = ?2, request = 'none', pid = NULL, process_started_at_ms = NULL,
                           ended_at_ms = CASE WHEN ?2 IN ('completed', 'failed', 'cancelled') THEN ?3 END
                       WHERE id = ?1 AND status IN ('running', 'paused')
                           AND pid IS ?4 AND process_started_at_ms IS ?5";
            let values = params![id, to, now_ms(), dead.map(|dead| dead.pid), dead.map(|dead| dead.started_at_ms)];
            applied(tx, id, tx.prepare_cached(sql)?.execute(values)?)
        })
    }

    /// Runs that claim to be executed by a process that `alive` does not know, oldest first. A paused run that no process
    /// holds is not among them.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn interrupted(&self, alive: impl Fn(RunProcess) -> bool) -> Result<Vec<RunRow>> {
        let mut rows = self.registry.read("looking for interrupted runs", |conn| {
            let sql = format!(
                "SELECT {COLUMNS} FROM runs
                 WHERE status = 'running' OR (status = 'paused' AND pid IS NOT NULL) ORDER BY number"
            );
            let mut statement = conn.prepare_cached(&sql)?;
            let rows = statement.query_map([], from_row)?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
        })?;
        rows.retain(|row| !row.process.is_some_and(&alive));
        Ok(rows)
    }

    /// Leaves a request for the process that executes the run. False when the run is neither running nor paused; a
    /// queued run is cancelled by [`Runs::transition`]. A cancel that waits is not replaced by anything milder.
    ///
    /// # Errors
    /// [`crate::RegistryError::NotFound`] when there is no such run.
    pub fn request(&self, id: &str, request: Request) -> Result<bool> {
        self.registry.write("leaving a request for a run", |tx| {
            let sql = "UPDATE runs SET request = ?2
                       WHERE id = ?1 AND status IN ('running', 'paused') AND (request <> 'cancel' OR ?2 = 'cancel')";
            applied(tx, id, tx.prepare_cached(sql)?.execute((id, request))?)
        })
    }

    /// The waiting request, which stays. Cheap enough to ask once per step.
    ///
    /// # Errors
    /// [`crate::RegistryError::NotFound`] when there is no such run.
    pub fn pending_request(&self, id: &str) -> Result<Request> {
        self.registry.read("reading the request of a run", |conn| waiting(conn, id))
    }

    /// The waiting request, which is then answered and gone.
    ///
    /// # Errors
    /// [`crate::RegistryError::NotFound`] when there is no such run.
    pub fn take_request(&self, id: &str) -> Result<Request> {
        if self.pending_request(id)? == Request::None {
            return Ok(Request::None);
        }
        self.registry.write("taking the request of a run", |tx| {
            let request = waiting(tx, id)?;
            tx.prepare_cached("UPDATE runs SET request = 'none' WHERE id = ?1")?.execute([id])?;
            Ok(request)
        })
    }
}

fn waiting(conn: &Connection, id: &str) -> std::result::Result<Request, Fault> {
    let sql = "SELECT request FROM runs WHERE id = ?1";
    match conn.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()? {
        Some(request) => Ok(request),
        None => Err(IDS.not_found(conn, id)?.into()),
    }
}

#[cfg(test)]
mod tests;
