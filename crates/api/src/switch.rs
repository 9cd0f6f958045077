//! The seam between the commands that turn serving on and off and the server that does it.
//!
//! `server` stands above `api` and calls it, so `api` cannot call `server`: a door that can serve hands an implementation to
//! the `App` (`App::install_switch`), and `serving::{status, start, stop}` call it. Without one they answer "off" and
//! `unsupported`.

use crate::wire::{ApiError, ServeRequest, ServeStatus};

/// Turns serving on and off. Calls may block; implementations are called from any thread.
pub trait ServeSwitch: Send + Sync {
    /// Whether and what is served now.
    fn status(&self) -> ServeStatus;

    /// Serves what is asked for, in place of what was served; answers once the port listens.
    ///
    /// # Errors
    /// `port_in_use`, `not_found`, `mismatch`, `out_of_memory`.
    fn start(&self, request: ServeRequest) -> Result<ServeStatus, ApiError>;

    /// Lets requests under way end, then stops; does nothing when off.
    ///
    /// # Errors
    /// `internal`, when the server does not end.
    fn stop(&self) -> Result<ServeStatus, ApiError>;
}
