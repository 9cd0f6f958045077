//! What somebody wants of a run that works: written by the thread that asks the registry, read between two batches.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use lorikeet_registry::Request;
use lorikeet_train::Control;

/// What somebody wants of the run, shared between the threads.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// The strongest wish that was not yet obeyed.
    level: AtomicU8,
    /// What ended the work: a pause or a stop.
    obeyed: AtomicU8,
    /// Whether it is to go on after a pause that was obeyed already.
    resume: AtomicBool,
}

const GO: u8 = 0;
const CHECKPOINT: u8 = 1;
const PAUSE: u8 = 2;
const CANCEL: u8 = 3;

impl Wanted {
    /// Asks for something; what weighs less than what is asked for already is forgotten.
    pub fn ask(&self, request: Request) {
        let level = match request {
            Request::None => return,
            Request::Resume => {
                // Only a pause that was not yet obeyed can be taken back.
                let _ = self.level.compare_exchange(PAUSE, GO, Ordering::AcqRel, Ordering::Acquire);
                self.resume.store(true, Ordering::Release);
                return;
            }
            Request::Checkpoint => CHECKPOINT,
            Request::Pause => PAUSE,
            Request::Cancel => CANCEL,
        };
        if level == PAUSE {
            self.resume.store(false, Ordering::Release);
        }
        self.level.fetch_max(level, Ordering::AcqRel);
    }

    /// What training should do. A wish to save is told once; a pause ends the work, because all of it is in the checkpoint.
    pub fn control(&self) -> Control {
        match self.level.load(Ordering::Acquire) {
            CHECKPOINT if self.level.compare_exchange(CHECKPOINT, GO, Ordering::AcqRel, Ordering::Acquire).is_ok() => {
                Control::Checkpoint
            }
            level @ (PAUSE | CANCEL) => {
                self.obeyed.fetch_max(level, Ordering::AcqRel);
                Control::Cancel
            }
            _ => Control::Go,
        }
    }

    /// Whether what ended the work was a pause.
    pub fn is_pause(&self) -> bool {
        self.obeyed.load(Ordering::Acquire) == PAUSE
    }

    /// Whether a pause that was obeyed is to be followed by going on.
    pub fn is_resumed(&self) -> bool {
        self.resume.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_is_never_softened_and_a_save_is_told_once() {
        let wanted = Wanted::default();
        assert_eq!(wanted.control(), Control::Go);
        wanted.ask(Request::Checkpoint);
        assert_eq!((wanted.control(), wanted.control()), (Control::Checkpoint, Control::Go));
        wanted.ask(Request::Pause);
        wanted.ask(Request::Resume);
        assert_eq!((wanted.control(), wanted.is_pause()), (Control::Go, false), "a pause can be taken back");
        wanted.ask(Request::Pause);
        assert_eq!(wanted.control(), Control::Cancel);
        wanted.ask(Request::Resume);
        assert!(wanted.is_pause() && wanted.is_resumed(), "one that was obeyed is followed by going on");
        wanted.ask(Request::Cancel);
        wanted.ask(Request::Pause);
        wanted.ask(Request::Resume);
        assert_eq!((wanted.control(), wanted.is_pause()), (Control::Cancel, false));
    }
}
