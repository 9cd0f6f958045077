//! The shapes of an answer: whole, or in chunks that share one id.
//!
//! A stream is: for a chat, a chunk that says the role; a chunk per piece of text; a last chunk with the reason why it
//! ended (its text is empty); if asked for, a chunk without choices that counts tokens; `[DONE]`.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use lorikeet_api::wire::{Generation, StopReason};
use serde_json::{Value, json};

/// What ends every stream.
pub(crate) const DONE: &str = "[DONE]";

/// Which of the two dialects an answer is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Chat,
    Completion,
}

/// What all chunks of an answer share.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    id: String,
    created_s: u64,
    model: String,
    dialect: Dialect,
    includes_usage: bool,
}

impl Frame {
    pub(crate) fn new(dialect: Dialect, model: &str, includes_usage: bool) -> Self {
        let prefix = if dialect == Dialect::Chat { "chatcmpl" } else { "cmpl" };
        Self {
            id: format!("{prefix}-{}", unique()),
            created_s: now_s(),
            model: model.to_owned(),
            dialect,
            includes_usage,
        }
    }

    /// The whole answer.
    pub(crate) fn whole(&self, answer: &Generation) -> Value {
        let reason = finish_reason(answer.stop_reason);
        let (object, choice) = match self.dialect {
            Dialect::Chat => {
                let message = json!({"role": "assistant", "content": answer.text, "refusal": null});
                ("chat.completion", json!({"index": 0, "message": message, "logprobs": null, "finish_reason": reason}))
            }
            Dialect::Completion => {
                ("text_completion", json!({"index": 0, "text": answer.text, "logprobs": null, "finish_reason": reason}))
            }
        };
        let mut whole = self.envelope(object, json!([choice]));
        whole["usage"] = usage(answer);
        whole
    }

    /// The first chunk, where the dialect has one without text.
    pub(crate) fn opening(&self) -> Option<Value> {
        let role = || self.chunk(json!({"role": "assistant", "content": ""}), "", None);
        (self.dialect == Dialect::Chat).then(role)
    }

    /// A chunk of text.
    pub(crate) fn piece(&self, text: &str) -> Value {
        self.chunk(json!({"content": text}), text, None)
    }

    /// The chunk that says why the answer ended.
    pub(crate) fn closing(&self, answer: &Generation) -> Value {
        self.chunk(json!({"content": ""}), "", Some(finish_reason(answer.stop_reason)))
    }

    /// The chunk that counts tokens, if it was asked for.
    pub(crate) fn usage(&self, answer: &Generation) -> Option<Value> {
        let chunk = || {
            let mut chunk = self.envelope(self.chunk_object(), json!([]));
            chunk["usage"] = usage(answer);
            chunk
        };
        self.includes_usage.then(chunk)
    }

    fn chunk_object(&self) -> &'static str {
        if self.dialect == Dialect::Chat { "chat.completion.chunk" } else { "text_completion" }
    }

    fn chunk(&self, delta: Value, text: &str, reason: Option<&str>) -> Value {
        let choice = match self.dialect {
            Dialect::Chat => json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": reason}),
            Dialect::Completion => json!({"index": 0, "text": text, "logprobs": null, "finish_reason": reason}),
        };
        let mut chunk = self.envelope(self.chunk_object(), json!([choice]));
        if self.includes_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }

    fn envelope(&self, object: &str, choices: Value) -> Value {
        json!({"id": self.id, "object": object, "created": self.created_s, "model": self.model, "choices": choices})
    }
}

fn usage(answer: &Generation) -> Value {
    json!({
        "prompt_tokens": answer.n_prompt_tokens,
        "completion_tokens": answer.n_tokens,
        "total_tokens": answer.n_prompt_tokens + answer.n_tokens,
    })
}

/// A cancelled answer is only told to a listener that went away.
fn finish_reason(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Length => "length",
        StopReason::Stop | StopReason::Cancelled => "stop",
    }
}

/// Different for every answer, also after a restart.
fn unique() -> String {
    static N_FRAMES: AtomicU64 = AtomicU64::new(0);
    let n = N_FRAMES.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}{n:08x}", RandomState::new().hash_one(n))
}

/// Seconds since 1970.
pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
