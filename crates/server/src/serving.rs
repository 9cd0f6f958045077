//! What the routes share: the models by name, whose turn it is, how much was answered, and whether the server is ending.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use axum::http::StatusCode;
use lorikeet_api::Served;
use lorikeet_api::wire::{ServedKind, ServedModel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::frame::now_s;
use crate::refusal::Refusal;

/// Requests that may wait; each holds its body.
const QUEUE: usize = 128;

/// What all routes share.
pub(crate) struct Serving {
    pub(crate) served: Arc<dyn Served>,
    /// Seconds since 1970.
    pub(crate) since_s: u64,
    models: Vec<ServedModel>,
    n_answered: Vec<AtomicU64>,
    turns: Arc<Semaphore>,
    n_waiting: AtomicUsize,
    is_ending: AtomicBool,
}

impl Serving {
    pub(crate) fn new(served: Arc<dyn Served>) -> Self {
        let models = served.models();
        Self {
            since_s: now_s(),
            n_answered: models.iter().map(|_| AtomicU64::new(0)).collect(),
            models,
            turns: Arc::new(Semaphore::new(served.n_at_once().max(1))),
            n_waiting: AtomicUsize::new(0),
            is_ending: AtomicBool::new(false),
            served,
        }
    }

    /// The models with how often each answered.
    pub(crate) fn models(&self) -> Vec<ServedModel> {
        let counted = |(model, n): (&ServedModel, &AtomicU64)| ServedModel {
            n_requests: n.load(Ordering::Relaxed),
            ..model.clone()
        };
        self.models.iter().zip(&self.n_answered).map(counted).collect()
    }

    /// The model of that name.
    pub(crate) fn find(&self, name: &str) -> Result<&ServedModel, Refusal> {
        self.models.iter().find(|model| model.name == name).ok_or_else(|| {
            let known: Vec<String> = self.models.iter().map(|model| format!("`{}`", model.name)).collect();
            let message = format!("the model `{name}` is not served here; served are: {}", known.join(", "));
            Refusal::new(StatusCode::NOT_FOUND, "model_not_found", message).about("model")
        })
    }

    /// A model of that name that writes.
    pub(crate) fn find_writer(&self, name: &str) -> Result<&ServedModel, Refusal> {
        let model = self.find(name)?;
        if model.kind == ServedKind::Classifier {
            let message = format!("the model `{name}` gives labels and does not write; ask `POST /predict`");
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "unsupported", message).about("model"));
        }
        Ok(model)
    }

    /// The classifier of that name; without a name, the only one there is.
    pub(crate) fn find_classifier(&self, name: Option<&str>) -> Result<&ServedModel, Refusal> {
        let mut classifiers = self.models.iter().filter(|model| model.kind == ServedKind::Classifier);
        match (name, classifiers.next(), classifiers.next()) {
            (None, Some(only), None) => Ok(only),
            (None, Some(_), Some(_)) => {
                Err(Refusal::field("model", "several classifiers are served; name one in `model`"))
            }
            (None, None, _) => {
                let message = "no classifier is served here; ask `POST /v1/chat/completions`";
                Err(Refusal::new(StatusCode::BAD_REQUEST, "unsupported", message))
            }
            (Some(name), ..) => match self.find(name)? {
                model if model.kind == ServedKind::Classifier => Ok(model),
                _ => {
                    let message =
                        format!("the model `{name}` writes and gives no labels; ask `POST /v1/chat/completions`");
                    Err(Refusal::new(StatusCode::BAD_REQUEST, "unsupported", message).about("model"))
                }
            },
        }
    }

    /// Counts an answer of the model of that name.
    pub(crate) fn count(&self, name: &str) {
        let counted = self.models.iter().zip(&self.n_answered).find(|(model, _)| model.name == name);
        if let Some((_, n)) = counted {
            n.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until it is this request's turn: first come, first served. Leaving the queue is dropping the future.
    pub(crate) async fn turn(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let _place = Place::take(&self.n_waiting)?;
        Arc::clone(&self.turns).acquire_owned().await.map_err(|_| Refusal::stopping())
    }

    /// Ends answers under way and refuses those that wait.
    pub(crate) fn end(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
        self.turns.close();
    }

    /// Whether answers under way are to end.
    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Relaxed)
    }
}

/// A place in the queue, free again when dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(n_waiting: &'a AtomicUsize) -> Result<Self, Refusal> {
        let place = Self(n_waiting);
        if n_waiting.fetch_add(1, Ordering::Relaxed) < QUEUE {
            return Ok(place);
        }
        let message = format!("{QUEUE} requests wait already; ask again in a moment");
        Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", message))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
