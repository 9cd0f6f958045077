//! What the process that executes a run reports: numbered metrics and events, and how far it is.
//!
//! A batch is one transaction: a reader that sees the run at number n sees every row up to n, also after a kill.

use rusqlite::{Connection, OptionalExtension, params};

use crate::error::{Fault, RegistryError, Result};
use crate::events::{self, EventRow};
use crate::metrics::{self, MetricRow};
use crate::registry::now_ms;
use crate::runs::row::Request;
use crate::runs::{IDS, Runs};

/// Where a run stands after a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Optimiser steps done.
    pub step: u64,
    /// Number of the last row of the batch, or of the last one before it when the batch is empty.
    pub seq: u64,
    /// The best validation so far; `None` leaves what is there.
    pub best: Option<Best>,
}

/// The best validation of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Best {
    /// After how many steps.
    pub step: u64,
    /// The value compared, such as the validation loss.
    pub value: f64,
}

impl Runs<'_> {
    /// Appends metrics and events and moves the run forward, all or nothing; returns the request that waits, if any.
    /// Rows are numbered above the run's last number and not above `progress.seq`. `id` is exact.
    ///
    /// # Errors
    /// [`RegistryError::OutOfOrder`] for a row numbered otherwise, [`RegistryError::NotFound`] for an unknown run;
    /// nothing is kept then.
    pub fn record(&self, id: &str, metrics: &[MetricRow], events: &[EventRow], progress: &Progress) -> Result<Request> {
        self.registry.write("recording the progress of a run", |tx| {
            let (last, request) = advance(tx, id, progress)?;
            let numbers = metrics.iter().map(|row| row.seq).chain(events.iter().map(|row| row.seq));
            check_order(id, last, progress.seq, numbers)?;
            metrics::append(tx, id, metrics)?;
            events::append(tx, id, events)?;
            Ok(request)
        })
    }

    /// Says that the process is still there, and returns the request that waits, if any. `id` is exact.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] when there is no such run.
    pub fn heartbeat(&self, id: &str) -> Result<Request> {
        self.registry.write("noting that a run is alive", |tx| {
            let sql = "UPDATE runs SET heartbeat_at_ms = ?2 WHERE id = ?1 RETURNING request";
            match tx.prepare_cached(sql)?.query_row((id, now_ms()), |row| row.get(0)).optional()? {
                Some(request) => Ok(request),
                None => Err(IDS.not_found(tx, id)?.into()),
            }
        })
    }

    /// Goes back to the checkpoint at `step` before the steps after it are done again: metrics and events of later steps
    /// are removed, events that belong to no step stay. Returns the number after which the next row is numbered: the last
    /// one given out, so that none is used twice; or `seq`, where the checkpoint brings its own numbering, and then
    /// everything numbered above it goes too. `id` is exact.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`] when there is no such run.
    pub fn rewind(&self, id: &str, step: u64, seq: Option<u64>) -> Result<u64> {
        self.registry.write("rewinding a run to a checkpoint", |tx| {
            metrics::delete_after(tx, id, step, seq)?;
            events::delete_after(tx, id, step, seq)?;
            let sql = "UPDATE runs SET step = ?2, seq = min(seq, coalesce(?3, seq)),
                           best_value = CASE WHEN best_step <= ?2 THEN best_value END,
                           best_step = CASE WHEN best_step <= ?2 THEN best_step END
                       WHERE id = ?1 RETURNING seq";
            match tx.prepare_cached(sql)?.query_row((id, step, seq), |row| row.get(0)).optional()? {
                Some(seq) => Ok(seq),
                None => Err(IDS.not_found(tx, id)?.into()),
            }
        })
    }
}

/// Moves the run's own row; returns the last number before and the waiting request.
fn advance(conn: &Connection, id: &str, progress: &Progress) -> std::result::Result<(u64, Request), Fault> {
    let before = conn
        .prepare_cached("SELECT seq, request FROM runs WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get::<_, u64>(0)?, row.get(1)?)))
        .optional()?;
    let Some((last, request)) = before else {
        return Err(IDS.not_found(conn, id)?.into());
    };
    let sql = "UPDATE runs SET step = ?2, seq = max(seq, ?3), heartbeat_at_ms = ?4,
                   best_step = coalesce(?5, best_step), best_value = coalesce(?6, best_value)
               WHERE id = ?1";
    let Progress { step, seq, best } = progress;
    let (best_step, best_value) = (best.map(|best| best.step), best.map(|best| best.value));
    conn.prepare_cached(sql)?.execute(params![id, step, seq, now_ms(), best_step, best_value])?;
    Ok((last, request))
}

fn check_order(id: &str, before: u64, last: u64, numbers: impl Iterator<Item = u64>) -> std::result::Result<(), Fault> {
    let first = before + 1;
    for seq in numbers {
        if !(first..=last).contains(&seq) {
            return Err(RegistryError::OutOfOrder { run_id: id.to_owned(), first, last, seq }.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
