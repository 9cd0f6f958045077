//! What is known in this process of runs that work here: which phase they are in, and when the registry has something new.
//!
//! Followers read the registry, which never skips; from here they get the phases, which may be skipped, and the sign to look.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::RunEvent;

/// What is known of one run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Live {
    /// Counts how often the run began to work here: numbers may have gone back.
    pub generation: u64,
    /// The number it went back to then.
    pub from: u64,
    /// The latest phase, after everything numbered below it is in the registry.
    pub phase: Option<RunEvent>,
}

/// Runs of this process by id.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    runs: Mutex<HashMap<String, Live>>,
    changed: Condvar,
}

impl Hub {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Live>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run begins to work here; its next number follows `from`, which may lie below numbers told before.
    pub fn begin(&self, run: &str, from: u64) {
        let mut runs = self.lock();
        let live = runs.entry(run.to_owned()).or_default();
        *live = Live { generation: live.generation + 1, from, phase: None };
        self.changed.notify_all();
    }

    /// Something of a run is new in the registry, and this is its latest phase.
    pub fn advance(&self, run: &str, phase: Option<RunEvent>) {
        if let (Some(phase), Some(live)) = (phase, self.lock().get_mut(run)) {
            live.phase = Some(phase);
        }
        self.changed.notify_all();
    }

    /// Something changed in the registry: a run was added, released or asked for something.
    pub fn ring(&self) {
        self.changed.notify_all();
    }

    /// What is known of a run.
    pub fn look(&self, run: &str) -> Live {
        self.lock().get(run).cloned().unwrap_or_default()
    }

    /// Waits until something changes, at most so long.
    pub fn wait(&self, at_most: Duration) {
        drop(self.changed.wait_timeout(self.lock(), at_most).unwrap_or_else(PoisonError::into_inner));
    }
}
