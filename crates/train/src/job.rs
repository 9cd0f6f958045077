//! What a run is asked to do, and who listens to it.

use std::path::PathBuf;

use lorikeet_data::{Dataset, Task};

use crate::{Event, Settings};

/// What moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Low-rank adapters, and the classifier of an encoder.
    Lora,
    /// Every weight.
    Full,
}

impl Method {
    /// Name in requests and files.
    pub fn name(self) -> &'static str {
        match self {
            Method::Lora => "lora",
            Method::Full => "full",
        }
    }

    /// Peak learning rate for a model of `width` channels when nothing is said. The best rate of Adam falls with the width
    /// (Yang et al., "Tensor Programs V", 2022): 2.9e-3 for the starter, 8.4e-4 for Qwen2.5 0.5B, 3.7e-4 for Llama 3.2 1B.
    pub fn learning_rate(self, width: usize) -> f64 {
        match self {
            Method::Lora => two_digits((0.75 / width as f64).clamp(1e-4, 3e-3)),
            Method::Full => 5e-5,
        }
    }
}

/// A rate as a person would write it.
fn two_digits(rate: f64) -> f64 {
    let unit = 10f64.powi(1 - rate.log10().floor() as i32);
    (rate * unit).round() / unit
}

/// A run to be done.
pub struct TrainJob {
    /// Name of the run, for the model card.
    pub name: String,
    /// Folder of the base model.
    pub model_folder: PathBuf,
    /// What the base is called, for `base_model_name_or_path` and the card.
    pub model_name: String,
    /// BLAKE3 of the base.
    pub model_hash: String,
    /// What is learned.
    pub task: Task,
    /// What moves.
    pub method: Method,
    /// Settings as typed.
    pub settings: Settings,
    /// Examples to learn from.
    pub dataset: Dataset,
    /// Examples to check with; a share of `dataset` otherwise.
    pub validation: Option<Dataset>,
    /// Folder for checkpoints.
    pub folder: PathBuf,
    /// Folder for the result.
    pub result: PathBuf,
    /// An adapter to start from instead of a fresh one.
    pub initial_adapter: Option<PathBuf>,
    /// When the run was first started, in seconds since 1970, for chat templates that print the date.
    pub started_unix_s: i64,
}

/// What the run should do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Go,
    /// Save the whole state, then go on.
    Checkpoint,
    /// Save, then wait.
    Pause,
    /// Save, then end.
    Cancel,
}

/// Whoever started the run: hears events, is asked once per batch what to do, and knows the process's memory.
pub trait Observer {
    /// Something happened.
    fn event(&mut self, event: Event);
    /// What to do next. While the run is paused this is asked again and may block for a moment.
    fn control(&mut self) -> Control;
    /// Memory that the process holds now, in bytes.
    fn memory_bytes(&mut self) -> u64;
    /// Memory that the process may hold, in bytes, where that is known.
    fn memory_budget_bytes(&mut self) -> Option<u64> {
        None
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "made once per run")]
pub enum Outcome {
    /// All steps are done, or it no longer got better.
    Completed(crate::Summary),
    /// It was cancelled.
    Cancelled,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wider_models_learn_in_smaller_steps() {
        let rates = [64, 256, 384, 896, 2048, 8192].map(|width| Method::Lora.learning_rate(width));
        assert_eq!(rates, [3e-3, 2.9e-3, 2e-3, 8.4e-4, 3.7e-4, 1e-4]);
        assert_eq!(Method::Full.learning_rate(256), 5e-5);
    }
}
