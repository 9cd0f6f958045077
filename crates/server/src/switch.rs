//! The switch of the commands `serve_start` and `serve_stop`, over [`Server`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lorikeet_api::wire::{ServeRequest, ServeStatus};
use lorikeet_api::{ApiError, ServeSwitch, Served};

use crate::server::{DEFAULT_PORT, Server};

/// Turns a server on and off. `open` loads what a request asks for.
pub struct Switch<F> {
    open: F,
    /// Held while something is turned on or off, so that nothing else is meanwhile.
    changing: Mutex<()>,
    /// Held for moments only: whoever asks for the status never waits for a model that loads.
    server: Mutex<Option<Server>>,
}

impl<F> Switch<F>
where
    F: Fn(&ServeRequest) -> Result<Arc<dyn Served>, ApiError> + Send + Sync,
{
    /// A switch that is off.
    pub fn new(open: F) -> Self {
        Self { open, changing: Mutex::new(()), server: Mutex::new(None) }
    }

    fn server(&self) -> MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn_off(&self) -> Result<(), ApiError> {
        let server = self.server().take();
        server.map_or(Ok(()), Server::stop)
    }
}

impl<F> ServeSwitch for Switch<F>
where
    F: Fn(&ServeRequest) -> Result<Arc<dyn Served>, ApiError> + Send + Sync,
{
    fn status(&self) -> ServeStatus {
        match &*self.server() {
            None => ServeStatus { running: false, address: None, since_ms: None, models: Vec::new() },
            Some(server) => ServeStatus {
                running: true,
                address: Some(server.url()),
                since_ms: Some(server.since_ms()),
                models: server.models(),
            },
        }
    }

    /// What cannot be opened leaves what was served as it is.
    fn start(&self, request: ServeRequest) -> Result<ServeStatus, ApiError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let served = (self.open)(&request)?;
        self.turn_off()?;
        let server = Server::start(served, request.port.unwrap_or(DEFAULT_PORT))?;
        *self.server() = Some(server);
        Ok(self.status())
    }

    fn stop(&self) -> Result<ServeStatus, ApiError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.turn_off()?;
        Ok(self.status())
    }
}
