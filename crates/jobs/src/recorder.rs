//! From events to rows: a bounded channel that never drops, a thread that writes what has come in one transaction, at most ten
//! a second, and asks the registry at the same time whether somebody wants the run to stop, wait or save.
//!
//! The training thread does no SQL: it sends, and reads a number that says what is wanted. Where the registry cannot be
//! written the channel fills and training waits; after a while the run is ended, because a run that nobody can see is no run.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lorikeet_registry::{Best, NewArtifact, NewCheckpoint, Progress, Registry, RegistryError, Request};

use crate::hub::Hub;
use crate::wanted::Wanted;
use crate::{Failure, RunEvent, What, codes};

/// Events that may wait to be written before training waits too.
const CAPACITY: usize = 1024;
/// Time between two batches.
const BATCH_PERIOD: Duration = Duration::from_millis(100);
/// Time between two looks at what is requested.
const REQUEST_PERIOD: Duration = Duration::from_millis(250);
/// Time between two signs of life while nothing is written.
const HEARTBEAT_PERIOD: Duration = Duration::from_secs(2);
/// Checks that are remembered until their checkpoint comes.
const CHECKS_KEPT: usize = CAPACITY;
/// How long writing is tried again before the run is ended.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where a run's events go.
pub(crate) struct Recorder {
    sender: Option<SyncSender<RunEvent>>,
    thread: Option<JoinHandle<Result<u64, Failure>>>,
    wanted: Arc<Wanted>,
}

impl Recorder {
    /// Starts to record the run `id`, whose last number is `seq` after `step` steps.
    pub fn start(registry: Arc<Registry>, hub: Arc<Hub>, id: String, (step, seq): (u64, u64)) -> Self {
        let (sender, receiver) = sync_channel(CAPACITY);
        let wanted = Arc::new(Wanted::default());
        let shared = wanted.clone();
        let thread = thread::spawn(move || {
            let mut writer = Writer::new(registry, hub, id, shared, (step, seq));
            writer.run(&receiver)
        });
        Self { sender: Some(sender), thread: Some(thread), wanted }
    }

    /// What is wanted of the run.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Records an event; waits while the channel is full.
    pub fn push(&self, event: RunEvent) {
        if let Some(sender) = &self.sender {
            // The writer only goes away with an error, which `finish` tells.
            let _ = sender.send(event);
        }
    }

    /// Waits until everything is written.
    pub fn finish(mut self) -> Result<(), Failure> {
        drop(self.sender.take());
        let Some(thread) = self.thread.take() else { return Ok(()) };
        match thread.join() {
            Ok(result) => result.map(|_| ()),
            Err(_) => Err(Failure::new(codes::INTERNAL, "the thread that records the run ended unexpectedly")),
        }
    }
}

/// The thread's side.
struct Writer {
    registry: Arc<Registry>,
    hub: Arc<Hub>,
    id: String,
    wanted: Arc<Wanted>,
    pending: Vec<RunEvent>,
    /// Written events whose folders are still to be noted.
    files: Vec<RunEvent>,
    phase: Option<RunEvent>,
    step: u64,
    seq: u64,
    epoch: f64,
    best: Option<Best>,
    /// Mean loss of the last checks by step.
    checked: VecDeque<(u64, f64)>,
    asked: Instant,
    beaten: Instant,
}

impl Writer {
    fn new(registry: Arc<Registry>, hub: Arc<Hub>, id: String, wanted: Arc<Wanted>, (step, seq): (u64, u64)) -> Self {
        let now = Instant::now();
        let (pending, files, phase, best, checked) = (Vec::new(), Vec::new(), None, None, VecDeque::new());
        Self {
            registry,
            hub,
            id,
            wanted,
            pending,
            files,
            phase,
            step,
            seq,
            epoch: 0.0,
            best,
            checked,
            asked: now,
            beaten: now,
        }
    }

    fn run(&mut self, receiver: &Receiver<RunEvent>) -> Result<u64, Failure> {
        let mut due = Instant::now() + BATCH_PERIOD;
        loop {
            match receiver.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(event) if event.is_passing() => self.phase = Some(event),
                Ok(event) => self.pending.push(event),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.flush()?;
                    return Ok(self.seq);
                }
            }
            if Instant::now() >= due || self.pending.len() >= CAPACITY {
                self.flush()?;
                self.ask()?;
                due = Instant::now() + BATCH_PERIOD;
            }
        }
    }

    /// Writes what has come, trying again while the registry is busy or the disk is full.
    fn flush(&mut self) -> Result<(), Failure> {
        let since = Instant::now();
        while let Err(error) = self.write() {
            let may_pass = matches!(error, RegistryError::Busy { .. } | RegistryError::DiskFull { .. });
            if !may_pass || since.elapsed() > PATIENCE {
                self.wanted.ask(Request::Cancel);
                return Err(error.into());
            }
            thread::sleep(BATCH_PERIOD);
        }
        self.hub.advance(&self.id, self.phase.take());
        Ok(())
    }

    fn write(&mut self) -> Result<(), RegistryError> {
        if !self.pending.is_empty() {
            let (mut metrics, mut events) = (Vec::new(), Vec::new());
            let mut epoch = self.epoch;
            for event in &self.pending {
                if let What::Step { epoch: finished, .. } = event.what {
                    epoch = finished;
                }
                match event.metric(epoch) {
                    Some(row) => metrics.push(row),
                    // Plain words and numbers always become JSON.
                    None => events.extend(event.row().ok()),
                }
            }
            let (progress, checked) = self.after(&self.pending);
            let request = self.registry.runs().record(&self.id, &metrics, &events, &progress)?;
            (self.step, self.seq, self.best, self.epoch) = (progress.step, progress.seq, progress.best, epoch);
            self.checked.extend(checked);
            self.checked.drain(..self.checked.len().saturating_sub(CHECKS_KEPT));
            self.files.append(&mut self.pending);
            self.beaten = Instant::now();
            self.obey(request)?;
        }
        while let Some(event) = self.files.first() {
            self.keep_files(event)?;
            self.files.remove(0);
        }
        Ok(())
    }

    /// Where the run stands after `events`: its progress, and the checks among them.
    fn after(&self, events: &[RunEvent]) -> (Progress, Vec<(u64, f64)>) {
        let mut checked = Vec::new();
        let mut progress = Progress { step: self.step, seq: self.seq, best: self.best };
        for event in events {
            (progress.step, progress.seq) = (event.step, event.seq.max(progress.seq));
            if let What::Evaluated { loss_sum, n, best, .. } = event.what {
                let value = loss_sum / n.max(1) as f64;
                checked.push((event.step, value));
                if best {
                    progress.best = Some(Best { step: event.step, value });
                }
            }
        }
        (progress, checked)
    }

    /// Notes folders that now stand, and those that are gone.
    fn keep_files(&self, event: &RunEvent) -> Result<(), RegistryError> {
        match event.what.clone() {
            What::Checkpoint { path, best, n_bytes } => {
                let check = self.checked.iter().rfind(|(step, _)| *step == event.step);
                let validation_loss = check.map(|(_, loss)| *loss);
                let new = NewCheckpoint { step: event.step, path, validation_loss, is_best: best, n_bytes };
                self.registry.checkpoints().insert(&self.id, &new)?;
                forget_missing(&self.registry, &self.id)
            }
            What::Completed { adapter, .. } => {
                let n_bytes = folder_bytes(Path::new(&adapter));
                let new = NewArtifact { kind: "adapter".to_owned(), path: adapter, hash: None, n_bytes };
                self.registry.artifacts().insert(&self.id, &new)
            }
            _ => Ok(()),
        }
    }

    /// Looks at what is requested, and says now and then that the run is alive.
    fn ask(&mut self) -> Result<(), Failure> {
        if self.asked.elapsed() < REQUEST_PERIOD {
            return Ok(());
        }
        self.asked = Instant::now();
        let request = if self.beaten.elapsed() > HEARTBEAT_PERIOD {
            self.beaten = Instant::now();
            self.registry.runs().heartbeat(&self.id)
        } else {
            self.registry.runs().pending_request(&self.id)
        };
        match request.and_then(|request| self.obey(request)) {
            Err(RegistryError::Busy { .. } | RegistryError::DiskFull { .. }) | Ok(()) => Ok(()),
            Err(error) => {
                self.wanted.ask(Request::Cancel);
                Err(error.into())
            }
        }
    }

    /// Hands a request on. Those that are done at once are answered; a pause or a stop is answered by the run's end.
    fn obey(&self, request: Request) -> Result<(), RegistryError> {
        if matches!(request, Request::Checkpoint | Request::Resume) {
            self.registry.runs().take_request(&self.id)?;
        }
        self.wanted.ask(request);
        Ok(())
    }
}

/// Notes which of a run's checkpoints are gone.
pub(crate) fn forget_missing(registry: &Registry, id: &str) -> Result<(), RegistryError> {
    for row in registry.checkpoints().of_run(id)? {
        if !row.deleted && !Path::new(&row.path).is_dir() {
            registry.checkpoints().mark_deleted(id, row.step)?;
        }
    }
    Ok(())
}

/// Bytes of the files in a folder; files that vanish meanwhile count nothing.
fn folder_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|about| about.len()).sum()
}

#[cfg(test)]
pub(crate) mod tests;
