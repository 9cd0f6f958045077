//! The thread that executes runs: takes the next one whose turn it is, has it executed, records how it ends.
//!
//! One run works at a time on a computer, whichever process executes it: two would only slow each other down and may not fit
//! into memory together. A run whose process is gone is found here and put aside, paused, with everything up to its newest
//! checkpoint.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lorikeet_models::ModelConfig;
use lorikeet_registry::{
    Ending, Page, Progress, Registry, Request, RunFilter, RunProcess, RunRow, RunStatus, RunUpdate,
};
use lorikeet_train::{Control, Event, EventKind, Outcome, Plan, newest_progress};

use crate::hub::Hub;
use crate::process::is_alive;
use crate::recorder::{Recorder, forget_missing};
use crate::runner::{JobSpec, Link, RunSource, Runner};
use crate::state::Change;
use crate::{Failure, Figures, RunEvent, What, codes};

/// How often the queue is looked at without a sign: another process may have added a run or finished one.
const PERIOD: Duration = Duration::from_millis(500);

/// The note of a run whose process went away.
pub const INTERRUPTED: &str = "interrupted";

/// Which runs a worker takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every run in the queue, for a program that stays.
    Queue,
    /// This run only, for a command that waits for it.
    Only(String),
}

/// What a worker works with.
#[derive(Clone)]
pub(crate) struct Workplace {
    pub registry: Arc<Registry>,
    pub hub: Arc<Hub>,
    pub source: Arc<dyn RunSource>,
    pub runner: Arc<dyn Runner>,
    pub process: RunProcess,
    /// Set when the worker is to end.
    pub closing: Arc<AtomicBool>,
}

impl Workplace {
    /// Works until it is closed; with [`Scope::Only`], until that run is no longer queued.
    pub fn work(&self, scope: &Scope) {
        while !self.closing.load(Ordering::Acquire) {
            match self.take(scope) {
                Ok(Some(row)) => self.execute(row),
                Ok(None) if self.is_done(scope) => return,
                Ok(None) => self.hub.wait(PERIOD),
                Err(error) => {
                    tracing::error!("the queue cannot be read: {error}");
                    self.hub.wait(PERIOD * 4);
                }
            }
        }
    }

    fn is_done(&self, scope: &Scope) -> bool {
        match scope {
            Scope::Queue => false,
            Scope::Only(id) => self.registry.runs().get(id).is_ok_and(|row| row.status != RunStatus::Queued),
        }
    }

    /// The run whose turn it is, now held by this process.
    fn take(&self, scope: &Scope) -> Result<Option<RunRow>, Failure> {
        self.recover()?;
        let running = self.registry.runs().list(&RunFilter::in_status(&[RunStatus::Running]), Page::first(1))?;
        if !running.rows.is_empty() {
            return Ok(None);
        }
        match scope {
            Scope::Queue => Ok(self.registry.runs().claim_next_queued(self.process)?),
            Scope::Only(id) if self.registry.runs().claim(id, self.process)? => Ok(Some(self.registry.runs().get(id)?)),
            Scope::Only(_) => Ok(None),
        }
    }

    /// Puts aside runs whose process is gone.
    pub fn recover(&self) -> Result<Vec<String>, Failure> {
        let mut found = Vec::new();
        for row in self.registry.runs().interrupted(is_alive)? {
            let change = if row.request == Request::Cancel { Change::Cancel } else { Change::Interrupt };
            if self.registry.runs().release(&row.id, row.process, change.target())? {
                let update = RunUpdate { notes: Some(INTERRUPTED.to_owned()), ..RunUpdate::default() };
                self.registry.runs().update(&row.id, &update)?;
                forget_missing(&self.registry, &row.id)?;
                tracing::warn!("the run `{}` was interrupted", row.id);
                self.hub.ring();
                found.push(row.id);
            }
        }
        Ok(found)
    }

    /// Executes a claimed run to its end, whatever end that is.
    fn execute(&self, row: RunRow) {
        let id = row.id.clone();
        if let Err(failure) = self.try_execute(row) {
            // Whoever follows the run is told; this is for the log.
            tracing::info!("the run `{id}` failed: {failure}");
            if let Err(error) = self.tell_failure(&id, &failure) {
                tracing::error!("the failure of the run `{id}` cannot be recorded: {error}");
            }
            let ended = Ending::Failed(failure.into());
            if let Err(error) = self.registry.runs().finish(&id, &[RunStatus::Running], &ended) {
                tracing::error!("the end of the run `{id}` cannot be recorded: {error}");
            }
        }
        self.hub.ring();
    }

    /// Records why a run failed.
    fn tell_failure(&self, id: &str, failure: &Failure) -> Result<(), Failure> {
        let row = self.registry.runs().get(id)?;
        let elapsed_ms = self.registry.metrics().totals(id)?.elapsed_ms;
        let Failure { code, message, hint } = failure.clone();
        let what = What::Failed { code: code.to_owned(), message, hint };
        let (seq, step) = (row.seq + 1, row.step);
        let event = RunEvent { seq, step, at_ms: crate::event::now_ms(), elapsed_ms, what };
        let told = event.row().map_err(|e| Failure::new(codes::INTERNAL, e.to_string()))?;
        self.registry.runs().record(id, &[], &[told], &Progress { step, seq, best: None })?;
        Ok(())
    }

    fn try_execute(&self, row: RunRow) -> Result<(), Failure> {
        let job = self.source.job(&row)?;
        let newest = newest_progress(&job.folder)?;
        let (step, seq) = newest.map_or((0, 0), |progress| (progress.step, progress.seq));
        self.registry.runs().rewind(&row.id, step, Some(seq))?;
        forget_missing(&self.registry, &row.id)?;
        let update = RunUpdate { notes: Some(String::new()), ..RunUpdate::default() };
        self.registry.runs().update(&row.id, &update)?;
        self.hub.begin(&row.id, seq);
        let recorder = Recorder::start(self.registry.clone(), self.hub.clone(), row.id.clone(), (step, seq));
        let mut link =
            LocalLink { place: self, row: &row, job: &job, recorder: &recorder, last: (seq, step, 0), is_told: false };
        // A defect in one run must not take the queue, or the window, with it.
        let outcome = catch_unwind(AssertUnwindSafe(|| self.runner.run(&job, &mut link)))
            .unwrap_or_else(|cause| Err(Failure::new(codes::INTERNAL, panic_words(cause.as_ref()))));
        let (paused, resumed) = (recorder.wanted().is_pause(), recorder.wanted().is_resumed());
        if outcome == Ok(Outcome::Cancelled) {
            link.tell_end(paused);
        }
        // What could not be recorded outweighs how the run itself ended.
        recorder.finish()?;
        let change = match outcome? {
            Outcome::Cancelled if paused && resumed => Settled::Again,
            Outcome::Cancelled if paused => Settled::Waits,
            outcome => Settled::Over(outcome),
        };
        self.settle(&row, change)
    }

    fn settle(&self, row: &RunRow, settled: Settled) -> Result<(), Failure> {
        let runs = self.registry.runs();
        let ending = match settled {
            Settled::Waits if runs.take_request(&row.id)? != Request::Resume => {
                runs.release(&row.id, Some(self.process), Change::Pause.target())?;
                return Ok(());
            }
            Settled::Waits | Settled::Again => {
                runs.release(&row.id, Some(self.process), Change::Resume.target())?;
                return Ok(());
            }
            Settled::Over(Outcome::Completed(summary)) => {
                let figures = serde_json::to_value(Figures::from(&summary));
                Ending::Completed(figures.map_err(|e| Failure::new(codes::INTERNAL, e.to_string()))?)
            }
            Settled::Over(Outcome::Cancelled) => Ending::Cancelled(None),
        };
        runs.finish(&row.id, &[RunStatus::Running], &ending)?;
        Ok(())
    }

    /// Fills in what a run's first moments decide: steps, device, and every setting that was left open.
    fn resolve(
        &self,
        row: &RunRow,
        job: &JobSpec,
        (n_steps, n_epochs): (u64, f64),
        device: &str,
    ) -> Result<(), Failure> {
        let mut settings = job.settings.clone();
        settings.steps = Some(n_steps);
        // Nothing but the steps and the passes depends on the number of examples, and these two are known.
        let config = ModelConfig::read(&job.model_folder, None)?;
        let mut resolved = Plan::new(&settings, job.method, &config, 1, true).settings;
        resolved.epochs = n_epochs;
        let values = serde_json::to_value(resolved.to_values());
        let update = RunUpdate {
            settings: Some(values.map_err(|e| Failure::new(codes::INTERNAL, e.to_string()))?),
            n_steps_planned: Some(n_steps),
            device: Some(device.to_owned()),
            n_threads: Some(crate::device::threads_or_all(job.settings.threads) as u32),
            ..RunUpdate::default()
        };
        let row = self.registry.runs().update(&row.id, &update)?;
        self.source.resolved(&row);
        Ok(())
    }
}

/// How a run that did not fail left the worker.
#[allow(clippy::large_enum_variant, reason = "made once per run")]
enum Settled {
    /// It has ended.
    Over(Outcome),
    /// It waits until someone lets it go on.
    Waits,
    /// Someone let it go on while it was about to wait.
    Again,
}

/// A run in this process.
struct LocalLink<'a> {
    place: &'a Workplace,
    row: &'a RunRow,
    job: &'a JobSpec,
    recorder: &'a Recorder,
    /// Number, step and time of the last event.
    last: (u64, u64, u64),
    /// Whether it has said that it stops.
    is_told: bool,
}

impl LocalLink<'_> {
    /// Says that the run stops or waits, where it was stopped before training itself had anything to say.
    fn tell_end(&mut self, paused: bool) {
        if !self.is_told {
            let (seq, step, elapsed_ms) = self.last;
            let what = if paused { What::Paused } else { What::Cancelled };
            self.recorder.push(RunEvent { seq: seq + 1, step, at_ms: crate::event::now_ms(), elapsed_ms, what });
        }
    }
}

impl Link for LocalLink<'_> {
    fn event(&mut self, event: Event) {
        if let EventKind::Started { n_steps, n_epochs, device, .. } = &event.what
            && let Err(failure) = self.place.resolve(self.row, self.job, (*n_steps, *n_epochs), device)
        {
            tracing::warn!("the settings of the run `{}` cannot be recorded: {failure}", self.row.id);
        }
        let mut event = RunEvent::heard(event);
        if event.what == What::Cancelled {
            self.is_told = true;
            if self.recorder.wanted().is_pause() {
                event.what = What::Paused;
            }
        }
        if event.seq > 0 {
            self.last = (event.seq, event.step, event.elapsed_ms);
        }
        self.recorder.push(event);
    }

    fn control(&mut self) -> Control {
        if self.place.closing.load(Ordering::Acquire) {
            self.recorder.wanted().ask(Request::Pause);
        }
        self.recorder.wanted().control()
    }
}

fn panic_words(cause: &(dyn std::any::Any + Send)) -> String {
    let words = cause.downcast_ref::<&str>().copied().or_else(|| cause.downcast_ref::<String>().map(String::as_str));
    format!("the run ended by a defect: {}", words.unwrap_or("no reason is known"))
}
