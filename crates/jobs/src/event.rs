//! What a run says, as the registry keeps it and followers hear it: training's events with the time, and failures, which
//! training itself cannot tell.
//!
//! Steps and checks become rows of the table of metrics, everything else rows of the table of events. Phases are for those
//! who listen now and are not kept.

use std::time::{SystemTime, UNIX_EPOCH};

use lorikeet_registry::{EventRow, MetricKind, MetricRow};
use lorikeet_train::{Event, EventKind, PreferenceScores};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Figures;

/// One event of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunEvent {
    /// Number within the run, from 1; 0 for a phase before anything else is known.
    pub seq: u64,
    /// Steps finished.
    pub step: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Time worked so far.
    pub elapsed_ms: u64,
    /// What happened.
    pub what: What,
}

/// What happened; the same list as training's, in the words of files, and failures.
#[allow(clippy::large_enum_variant, reason = "an event is made, told and gone")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[allow(
    missing_docs,
    reason = "the fields are those of `lorikeet_train::EventKind` and of the wire, and documented there"
)]
pub enum What {
    /// Everything is loaded.
    Started { n_steps: u64, n_epochs: f64, n_trainable: u64, n_parameters: u64, device: String },
    /// A stretch of other work.
    Phase { name: String, unit: String, done: u64, total: Option<u64> },
    /// One optimiser step.
    Step {
        epoch: f64,
        loss_sum: f64,
        n_supervised: u64,
        learning_rate: f64,
        gradient_norm: f64,
        tokens_per_s: f64,
        memory_bytes: u64,
        preference: Option<PreferenceScores>,
    },
    /// A check on the examples kept aside.
    Evaluated {
        loss_sum: f64,
        n: u64,
        accuracy: Option<f64>,
        f1_macro: Option<f64>,
        preference: Option<PreferenceScores>,
        best: bool,
    },
    /// The whole state was saved.
    Checkpoint { path: String, best: bool, n_bytes: u64 },
    /// An answer to one of the run's questions.
    Sample { prompt: String, answer: String, ended: bool },
    /// Something to look at.
    Warning { message: String },
    /// Waits; its process is free.
    Paused,
    /// Works again.
    Resumed,
    /// Finished.
    Completed { adapter: String, figures: Figures },
    /// Ended by an error.
    Failed { code: String, message: String, hint: Option<String> },
    /// Stopped on request.
    Cancelled,
}

impl RunEvent {
    /// Training's event, heard now.
    pub(crate) fn heard(event: Event) -> Self {
        let Event { seq, step, elapsed_ms, what } = event;
        Self { seq, step, at_ms: now_ms(), elapsed_ms, what: what.into() }
    }

    /// Whether it is for those who listen now only.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self.what, What::Phase { .. })
    }

    /// The row of the table of metrics, for what belongs there.
    pub(crate) fn metric(&self, epoch: f64) -> Option<MetricRow> {
        let row = MetricRow {
            seq: self.seq,
            kind: MetricKind::Train,
            step: self.step,
            epoch,
            at_ms: self.at_ms,
            elapsed_ms: self.elapsed_ms,
            loss_sum: 0.0,
            n_tokens: 0,
            learning_rate: None,
            grad_norm: None,
            tokens_per_s: None,
            memory_bytes: None,
            extra: None,
        };
        match self.what {
            What::Step {
                epoch,
                loss_sum,
                n_supervised,
                learning_rate,
                gradient_norm,
                tokens_per_s,
                memory_bytes,
                preference,
            } => Some(MetricRow {
                extra: preference.map(|p| json!({ "preference": p })),
                epoch,
                loss_sum,
                n_tokens: n_supervised,
                learning_rate: Some(learning_rate),
                grad_norm: Some(gradient_norm),
                tokens_per_s: Some(tokens_per_s),
                memory_bytes: Some(memory_bytes),
                ..row
            }),
            What::Evaluated { loss_sum, n, accuracy, f1_macro, preference, best } => {
                let mut extra = json!({ "accuracy": accuracy, "f1_macro": f1_macro, "best": best });
                if let (Some(p), Some(map)) = (preference, extra.as_object_mut()) {
                    map.insert("preference".to_owned(), json!(p));
                }
                Some(MetricRow { kind: MetricKind::Validation, loss_sum, n_tokens: n, extra: Some(extra), ..row })
            }
            _ => None,
        }
    }

    /// The row of the table of events.
    pub(crate) fn row(&self) -> Result<EventRow, serde_json::Error> {
        let mut body = serde_json::to_value(&self.what)?;
        let kind = body.as_object_mut().and_then(|map| map.shift_remove("event"));
        let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
        let (seq, at_ms, elapsed_ms) = (self.seq, self.at_ms, self.elapsed_ms);
        Ok(EventRow { seq, step: Some(self.step), at_ms, elapsed_ms, kind, body })
    }
}

impl From<MetricRow> for RunEvent {
    fn from(row: MetricRow) -> Self {
        let extra = |key: &str| row.extra.as_ref().and_then(|extra| extra.get(key));
        let preference = extra("preference").and_then(|p| PreferenceScores::deserialize(p).ok());
        let what = match row.kind {
            MetricKind::Train => What::Step {
                epoch: row.epoch,
                loss_sum: row.loss_sum,
                n_supervised: row.n_tokens,
                learning_rate: row.learning_rate.unwrap_or_default(),
                gradient_norm: row.grad_norm.unwrap_or_default(),
                tokens_per_s: row.tokens_per_s.unwrap_or_default(),
                memory_bytes: row.memory_bytes.unwrap_or_default(),
                preference,
            },
            MetricKind::Validation => What::Evaluated {
                loss_sum: row.loss_sum,
                n: row.n_tokens,
                accuracy: extra("accuracy").and_then(Value::as_f64),
                f1_macro: extra("f1_macro").and_then(Value::as_f64),
                preference,
                best: extra("best").and_then(Value::as_bool).unwrap_or_default(),
            },
        };
        Self { seq: row.seq, step: row.step, at_ms: row.at_ms, elapsed_ms: row.elapsed_ms, what }
    }
}

impl TryFrom<EventRow> for RunEvent {
    type Error = serde_json::Error;

    fn try_from(row: EventRow) -> Result<Self, serde_json::Error> {
        let mut body = row.body;
        if let Some(map) = body.as_object_mut() {
            map.insert("event".to_owned(), Value::from(row.kind));
        }
        let what = serde_json::from_value(body)?;
        let step = row.step.unwrap_or_default();
        Ok(Self { seq: row.seq, step, at_ms: row.at_ms, elapsed_ms: row.elapsed_ms, what })
    }
}

impl From<EventKind> for What {
    fn from(kind: EventKind) -> Self {
        match kind {
            EventKind::Started { n_steps, n_epochs, n_trainable, n_parameters, device } => {
                What::Started { n_steps, n_epochs, n_trainable, n_parameters, device }
            }
            EventKind::Phase { phase, done, total } => {
                let (name, unit) = phase.words();
                What::Phase { name: name.to_owned(), unit: unit.to_owned(), done, total }
            }
            EventKind::Step {
                epoch,
                loss_sum,
                n_supervised,
                learning_rate,
                gradient_norm,
                tokens_per_s,
                memory_bytes,
                preference,
            } => What::Step {
                epoch,
                loss_sum,
                n_supervised,
                learning_rate,
                gradient_norm,
                tokens_per_s,
                memory_bytes,
                preference,
            },
            EventKind::Evaluated { scores, best } => What::Evaluated {
                loss_sum: scores.loss.sum,
                n: scores.loss.count as u64,
                accuracy: scores.labels.map(|l| l.accuracy),
                f1_macro: scores.labels.map(|l| l.f1_macro),
                preference: scores.preference,
                best,
            },
            EventKind::Checkpoint { path, best, n_bytes } => {
                What::Checkpoint { path: path.to_string_lossy().into_owned(), best, n_bytes }
            }
            EventKind::Sample { prompt, answer, ended } => What::Sample { prompt, answer, ended },
            EventKind::Warning { message } => What::Warning { message },
            EventKind::Paused => What::Paused,
            EventKind::Resumed => What::Resumed,
            EventKind::Completed { result, summary } => {
                What::Completed { adapter: result.to_string_lossy().into_owned(), figures: Figures::from(&summary) }
            }
            EventKind::Cancelled => What::Cancelled,
        }
    }
}

/// The present, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(what: What) -> RunEvent {
        RunEvent { seq: 7, step: 3, at_ms: 1000, elapsed_ms: 900, what }
    }

    #[test]
    fn an_event_survives_the_registry() {
        let failed =
            What::Failed { code: "disk_full".into(), message: "no space".into(), hint: Some("free some".into()) };
        let completed =
            What::Completed { adapter: "/a".into(), figures: Figures { loss: Some(1.5), ..Figures::default() } };
        for what in [What::Paused, failed, completed, What::Warning { message: "look".into() }] {
            let before = event(what);
            assert_eq!(before.metric(0.0), None);
            assert_eq!(RunEvent::try_from(before.row().unwrap()).unwrap(), before);
        }
        assert_eq!(event(What::Paused).row().unwrap().kind, "paused");
    }

    #[test]
    fn steps_and_checks_survive_as_metrics() {
        let step = What::Step {
            epoch: 0.5,
            loss_sum: 12.0,
            n_supervised: 4,
            learning_rate: 1e-3,
            gradient_norm: 0.25,
            tokens_per_s: 100.0,
            memory_bytes: 5,
            preference: None,
        };
        let (accuracy, f1_macro) = (Some(0.5), Some(0.4));
        let check = What::Evaluated { loss_sum: 3.0, n: 2, accuracy, f1_macro, preference: None, best: true };
        let scores = PreferenceScores {
            margin: 0.5,
            accuracy: 0.75,
            chosen_log_probability: -9.0,
            rejected_log_probability: -12.5,
        };
        let preference = Some(scores);
        let judged = What::Evaluated { loss_sum: 3.0, n: 2, accuracy: None, f1_macro: None, preference, best: false };
        let compared = match step.clone() {
            What::Step {
                epoch,
                loss_sum,
                n_supervised,
                learning_rate,
                gradient_norm,
                tokens_per_s,
                memory_bytes,
                ..
            } => What::Step {
                epoch,
                loss_sum,
                n_supervised,
                learning_rate,
                gradient_norm,
                tokens_per_s,
                memory_bytes,
                preference,
            },
            other => other,
        };
        for what in [step, compared, check, judged] {
            let before = event(what);
            assert_eq!(RunEvent::from(before.metric(0.5).unwrap()), before);
        }
    }
}
