//! Text from a model: sampling, stop rules, streaming.
//!
//! Is given token ids and a [`TextDecoder`] and writes an [`Answer`]; knows neither tokenizer files nor chat templates
//! nor who listens. [`generate`] drives one model for one answer; what an answer needs between two readings of the model
//! (sampling, stop rules, text held back) stands apart from the model in `writer`, so that several answers can share one
//! reading later.

mod error;
mod generate;
mod sampling;
mod settings;
mod stop;
mod writer;

pub use error::{GenerateError, Result};
pub use generate::{Answer, StopReason, Update, generate};
pub use sampling::{Sampler, Sampling};
pub use settings::GenerateSettings;
pub use stop::{Held, StopTexts};
pub use writer::{DecodeError, TextDecoder};
