//! The server as a thing that runs: bound to this computer, on threads of its own, until it is stopped.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use lorikeet_api::wire::ServedModel;
use lorikeet_api::{ApiError, ErrorCode, Served};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use crate::routes::router;
use crate::serving::Serving;

/// Where Lorikeet serves if nothing else is asked for.
pub const DEFAULT_PORT: u16 = 8384;

/// How long [`Server::stop`] lets answers under way go on.
const GRACE: Duration = Duration::from_secs(10);

/// After answers were cut off: how long connections may take to end.
const FAREWELL: Duration = Duration::from_secs(2);

/// Threads for connections; models write on others.
const THREADS: usize = 2;

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another program listens there.
    #[error("another program on this computer uses the port: {port}")]
    PortInUse {
        /// The port.
        port: u16,
    },
    /// The system does not let this program listen there.
    #[error("cannot listen on port {port}: {source}")]
    Listen {
        /// The port.
        port: u16,
        /// The system's reason.
        source: io::Error,
    },
    /// The system starts no threads.
    #[error("cannot start the server's threads: {0}")]
    Threads(#[source] io::Error),
}

impl From<StartError> for ApiError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::PortInUse { .. } => ApiError::new(ErrorCode::PortInUse, error.to_string())
                .with_hint("stop that program, or take another port; 0 takes any free one"),
            StartError::Listen { .. } => ApiError::new(ErrorCode::Unsupported, error.to_string())
                .with_hint("take a port above 1023; 0 takes any free one"),
            StartError::Threads(_) => ApiError::new(ErrorCode::Internal, error.to_string()),
        }
    }
}

/// A server that listens. Dropping it stops it without waiting.
pub struct Server {
    address: SocketAddr,
    serving: Arc<Serving>,
    /// How long answers may go on, once it is to stop.
    stop: watch::Sender<Option<Duration>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on 127.0.0.1 at `port` (0: any free one). Requests are taken once this returns. May be called from any
    /// thread, also one that drives asynchronous work.
    ///
    /// # Errors
    /// Where the port is taken or not allowed.
    pub fn start(served: Arc<dyn Served>, port: u16) -> Result<Self, StartError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => StartError::PortInUse { port },
            _ => StartError::Listen { port, source },
        })?;
        let refused = |source| StartError::Listen { port, source };
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let runtime = Builder::new_multi_thread().worker_threads(THREADS).thread_name("http").enable_all().build();
        let runtime = runtime.map_err(StartError::Threads)?;
        let serving = Arc::new(Serving::new(served));
        let (stop, stopped) = watch::channel(None);
        let shared = Arc::clone(&serving);
        let run = move || run(runtime, listener, &shared, &stopped);
        let thread = std::thread::Builder::new().name("http".to_owned()).spawn(run).map_err(StartError::Threads)?;
        Ok(Self { address, serving, stop, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens, as a client takes it, without a trailing slash: `http://127.0.0.1:8384`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What can be asked for, with how often it was.
    pub fn models(&self) -> Vec<ServedModel> {
        self.serving.models()
    }

    /// Since when it listens, in milliseconds since 1970.
    pub fn since_ms(&self) -> u64 {
        self.serving.since_s * 1000
    }

    /// Takes no more requests, lets those under way end (for ten seconds, then they are cut off), and waits for it.
    ///
    /// # Errors
    /// Where the server's thread ended by a defect.
    pub fn stop(self) -> Result<(), ApiError> {
        self.stop_within(GRACE)
    }

    /// [`Server::stop`] with another time for requests under way.
    ///
    /// # Errors
    /// As [`Server::stop`].
    pub fn stop_within(mut self, grace: Duration) -> Result<(), ApiError> {
        self.stop.send_replace(Some(grace));
        let ended = self.thread.take().map_or(Ok(()), JoinHandle::join);
        ended.map_err(|_| {
            ApiError::new(ErrorCode::Internal, "the server ended by a defect; the program's log says more")
        })
    }
}

/// Serves until it is stopped, and ends its threads.
fn run(runtime: Runtime, listener: TcpListener, serving: &Arc<Serving>, stopped: &watch::Receiver<Option<Duration>>) {
    if let Err(error) = runtime.block_on(serve(listener, serving, stopped)) {
        tracing::error!(%error, "the server ended by itself");
    }
    serving.end();
    runtime.shutdown_timeout(FAREWELL);
}

async fn serve(
    listener: TcpListener,
    serving: &Arc<Serving>,
    stopped: &watch::Receiver<Option<Duration>>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?.tap_io(|connection| {
        // Tokens are small: they must not wait for one another.
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "a connection stays slow");
        }
    });
    let asked_to_stop = until_stopped(stopped.clone());
    let served =
        axum::serve(listener, router(Arc::clone(serving))).with_graceful_shutdown(async { _ = asked_to_stop.await });
    tokio::select! {
        ended = served => ended,
        () = cut_off(serving, stopped.clone()) => Ok(()),
    }
}

/// How long answers may go on, once it is to stop. A handle that was dropped lets none go on.
async fn until_stopped(mut stopped: watch::Receiver<Option<Duration>>) -> Duration {
    stopped.wait_for(Option::is_some).await.map_or(Duration::ZERO, |grace| grace.unwrap_or_default())
}

/// Ends when answers under way had their time and the time to say so.
async fn cut_off(serving: &Serving, stopped: watch::Receiver<Option<Duration>>) {
    tokio::time::sleep(until_stopped(stopped).await).await;
    serving.end();
    tokio::time::sleep(FAREWELL).await;
}
