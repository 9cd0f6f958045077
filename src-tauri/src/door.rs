//! The three commands of the shell, and what they stand on: a call, a stream, and the end of a stream.

use std::sync::Arc;

use lorikeet_api::wire::{Nothing, ServeRequest};
use lorikeet_api::{ApiError, App, ErrorCode, Scope, dispatch, dispatch_stream, serving};
use lorikeet_server::Switch;
use serde_json::Value;
use tauri::{Manager, Runtime, State, async_runtime, ipc::Channel};

use crate::streams::Streams;

/// What the commands stand on. A data folder that could not be opened is said by every command, so that the window can show it.
pub struct Door {
    app: Result<App, ApiError>,
    streams: Arc<Streams>,
}

impl Door {
    /// Opens the data folder, with a server to turn on and a worker for the queue.
    pub fn open() -> Self {
        let app = App::open(None);
        if let Ok(app) = &app {
            let served = app.clone();
            app.install_switch(Arc::new(Switch::new(move |request: &ServeRequest| serving::open(&served, request))));
            app.start_worker(Scope::Queue);
        }
        Self { app, streams: Arc::default() }
    }

    /// Ends every stream: their page is gone.
    pub fn end_streams(&self) {
        self.streams.end_all();
    }

    /// Puts down what is under way: a run that trains saves its state and waits to be resumed.
    pub fn close(&self) {
        self.end_streams();
        if let Ok(app) = &self.app {
            if let Err(error) = serving::stop(app, Nothing {}) {
                tracing::warn!("serving did not end: {error}");
            }
            app.close();
        }
    }
}

/// The door of a running program.
pub fn of<R: Runtime, M: Manager<R>>(manager: &M) -> State<'_, Door> {
    manager.state::<Door>()
}

/// Carries out a command that answers once.
#[tauri::command]
pub async fn call(door: State<'_, Door>, name: String, request: Value) -> Result<Value, ApiError> {
    let app = door.app.clone()?;
    apart(move || dispatch(&app, &name, request)).await
}

/// Carries out a command that tells how it goes on, until it ends or its page wants no more.
#[tauri::command]
pub async fn stream(
    door: State<'_, Door>,
    id: u64,
    name: String,
    request: Value,
    channel: Channel<Value>,
) -> Result<Value, ApiError> {
    let app = door.app.clone()?;
    let streams = Arc::clone(&door.streams);
    apart(move || {
        let stream = streams.begin(id);
        dispatch_stream(&app, &name, request, &mut |update| stream.is_open() && channel.send(update).is_ok())
    })
    .await
}

/// Nobody listens to that stream any more.
#[tauri::command]
pub fn stream_stop(door: State<'_, Door>, id: u64) {
    door.streams.end(id);
}

/// Bodies block, so each has a thread of its own.
async fn apart<T: Send + 'static>(body: impl FnOnce() -> Result<T, ApiError> + Send + 'static) -> Result<T, ApiError> {
    match async_runtime::spawn_blocking(body).await {
        Ok(answer) => answer,
        Err(error) => Err(ApiError::new(ErrorCode::Internal, format!("a command broke off: {error}"))),
    }
}
