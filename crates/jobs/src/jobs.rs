//! The runs of a data folder, as everything above handles them: add, pause, go on, stop, follow.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use lorikeet_registry::{NewRun, Registry, Request, RunRow, RunStatus};

use crate::follow::Follower;
use crate::hub::Hub;
use crate::state::{Change, next};
use crate::worker::{Scope, Workplace};
use crate::{Failure, RunEvent, RunSource, Runner, codes, this_process};

/// The runs of one data folder. Shared by reference between threads; other processes may have the same folder open.
pub struct Jobs {
    place: Workplace,
    workers: Mutex<Vec<JoinHandle<()>>>,
}

impl Jobs {
    /// The runs in `registry`, whose parts `source` knows, executed by `runner`. Nothing is executed before
    /// [`Jobs::start_worker`].
    pub fn new(registry: Arc<Registry>, source: Arc<dyn RunSource>, runner: Arc<dyn Runner>) -> Self {
        let (hub, closing) = (Arc::new(Hub::default()), Arc::new(AtomicBool::new(false)));
        let place = Workplace { registry, hub, source, runner, process: this_process(), closing };
        Self { place, workers: Mutex::new(Vec::new()) }
    }

    /// Starts a thread that executes what `scope` says.
    pub fn start_worker(&self, scope: Scope) {
        let place = self.place.clone();
        let thread = thread::spawn(move || place.work(&scope));
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
    }

    /// Lets the run that works here save and wait, then ends the workers. They can be started again.
    pub fn close(&self) {
        self.place.closing.store(true, Ordering::Release);
        self.place.hub.ring();
        let workers = std::mem::take(&mut *self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        for worker in workers {
            // A worker that panicked has nothing more to end.
            let _ = worker.join();
        }
        self.place.closing.store(false, Ordering::Release);
    }

    /// Puts aside, paused, the runs whose process is gone; returns their ids.
    ///
    /// # Errors
    /// Where the registry cannot be written.
    pub fn recover(&self) -> Result<Vec<String>, Failure> {
        self.place.recover()
    }

    /// Adds a run to the queue.
    ///
    /// # Errors
    /// Where the registry cannot be written.
    pub fn add(&self, new: &NewRun) -> Result<RunRow, Failure> {
        let row = self.place.registry.runs().create(new)?;
        self.place.hub.ring();
        Ok(row)
    }

    /// Lets a run wait. One that works does so after its current step and saves before.
    ///
    /// # Errors
    /// [`codes::WRONG_STATE`] where it has ended.
    pub fn pause(&self, id: &str) -> Result<RunRow, Failure> {
        self.change(id, Change::Pause, Request::Pause)
    }

    /// Stops a run. One that works does so after its current step and saves before.
    ///
    /// # Errors
    /// [`codes::WRONG_STATE`] where it has ended.
    pub fn cancel(&self, id: &str) -> Result<RunRow, Failure> {
        self.change(id, Change::Cancel, Request::Cancel)
    }

    /// Puts a run that waits, failed or was stopped back into the queue, to go on from its newest checkpoint. Does nothing
    /// to a run that works or waits for its turn; a pause that was not yet obeyed is taken back.
    ///
    /// # Errors
    /// [`codes::WRONG_STATE`] where it is completed.
    pub fn resume(&self, id: &str) -> Result<RunRow, Failure> {
        self.recover()?;
        let row = self.place.registry.runs().get(id)?;
        match row.status {
            RunStatus::Queued => Ok(row),
            RunStatus::Running => {
                self.place.registry.runs().request(&row.id, Request::Resume)?;
                self.fresh(&row.id)
            }
            _ => self.change(id, Change::Resume, Request::Resume),
        }
    }

    /// Lets a run that works save its whole state after its current step.
    ///
    /// # Errors
    /// [`codes::WRONG_STATE`] where it does not work.
    pub fn checkpoint(&self, id: &str) -> Result<RunRow, Failure> {
        let row = self.place.registry.runs().get(id)?;
        if row.status != RunStatus::Running || !self.place.registry.runs().request(&row.id, Request::Checkpoint)? {
            let message = format!("the run `{}` can only save while it works; it is {}", row.id, row.status);
            return Err(Failure::new(codes::WRONG_STATE, message));
        }
        self.fresh(&row.id)
    }

    /// Tells `sink` every event of a run numbered above `since`, and what follows until the run has ended or `sink` returns
    /// false. Numbers go back where the run went back to a checkpoint. An empty batch asks whether somebody still listens.
    ///
    /// # Errors
    /// Where there is no such run, or the registry cannot be read.
    pub fn follow(&self, id: &str, since: u64, sink: &mut dyn FnMut(Vec<RunEvent>) -> bool) -> Result<(), Failure> {
        let row = self.place.registry.runs().get(id)?;
        Follower::new(&self.place.registry, &self.place.hub, &row.id, since).follow(sink)
    }

    /// The registry.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.place.registry
    }

    /// Changes a run that nobody executes, or asks whoever executes it. Tried again where the run moves on meanwhile.
    fn change(&self, id: &str, change: Change, request: Request) -> Result<RunRow, Failure> {
        const ATTEMPTS: usize = 5;
        self.recover()?;
        let runs = self.place.registry.runs();
        let mut row = runs.get(id)?;
        for _ in 0..ATTEMPTS {
            if row.status == change.target() {
                return Ok(row);
            }
            if next(row.status, change).is_none() {
                return Err(refused(&row, change));
            }
            let applied = match row.status {
                RunStatus::Running => runs.request(&row.id, request)?,
                from => runs.transition(&row.id, &[from], change.target())?,
            };
            self.place.hub.ring();
            row = runs.get(&row.id)?;
            if applied {
                return Ok(row);
            }
        }
        Err(refused(&row, change))
    }

    fn fresh(&self, id: &str) -> Result<RunRow, Failure> {
        Ok(self.place.registry.runs().get(id)?)
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        self.close();
    }
}

fn refused(row: &RunRow, change: Change) -> Failure {
    let (wish, hint) = match change {
        Change::Pause => ("paused", "only a run that works or waits for its turn can be paused"),
        Change::Resume => ("resumed", "start a new run from its settings instead"),
        _ => ("stopped", "it has ended already"),
    };
    let message = format!("the run `{}` cannot be {wish}: it is {}", row.id, row.status);
    Failure::new(codes::WRONG_STATE, message).with_hint(hint)
}
