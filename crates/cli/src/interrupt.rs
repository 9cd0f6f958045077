//! Ctrl-C: the first asks the work to end well, the second ends the program at once. Knows no command.

use std::{
    process,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use lorikeet_api::wire::{ApiError, ErrorCode};

use crate::{failure::Failure, print};

/// Exit code of a program that Ctrl-C ended, as shells expect it.
const ENDED_BY_CTRL_C: i32 = 130;

/// Knows whether Ctrl-C was pressed.
#[derive(Clone)]
pub struct Interrupt {
    n_pressed: Arc<AtomicUsize>,
}

impl Interrupt {
    /// Listens from now on.
    ///
    /// # Errors
    /// Where the system refuses the handler.
    pub fn listen() -> Result<Self, Failure> {
        let n_pressed = Arc::new(AtomicUsize::new(0));
        let heard = Arc::clone(&n_pressed);
        let handler = move || {
            if heard.fetch_add(1, Ordering::SeqCst) > 0 {
                process::exit(ENDED_BY_CTRL_C);
            }
            print::note("\nstopping; press Ctrl-C again to quit at once");
        };
        ctrlc::set_handler(handler)
            .map_err(|error| ApiError::new(ErrorCode::Internal, format!("Ctrl-C cannot be listened for: {error}")))?;
        Ok(Self { n_pressed })
    }

    /// Whether the work should end.
    pub fn is_set(&self) -> bool {
        self.n_pressed.load(Ordering::SeqCst) > 0
    }
}
