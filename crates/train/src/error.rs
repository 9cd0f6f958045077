//! Why a run cannot begin or go on.

use std::path::PathBuf;

/// The result of training work.
pub type Result<T> = std::result::Result<T, TrainError>;

/// What went wrong in a run, with what this layer knows about it.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A model or an adapter.
    #[error(transparent)]
    Model(#[from] lorikeet_models::ModelError),
    /// Examples.
    #[error(transparent)]
    Data(#[from] lorikeet_data::Error),
    /// Writing an answer.
    #[error(transparent)]
    Generate(#[from] lorikeet_generate::GenerateError),
    /// A name that is no setting.
    #[error("`{name}` is not a setting{}", nearest.as_ref().map(|n| format!("; did you mean `{n}`")).unwrap_or_default())]
    UnknownSetting {
        /// The name.
        name: String,
        /// The known name that is most like it.
        nearest: Option<String>,
    },
    /// A value that a setting does not take.
    #[error("`{name}` takes {expected}, not: {value}")]
    BadSetting {
        /// The setting.
        name: &'static str,
        /// What it takes.
        expected: String,
        /// What was given.
        value: String,
    },
    /// Settings that do not go together.
    #[error("{0}")]
    Conflict(String),
    /// A configuration file that is not YAML.
    #[error("`{}` is not valid YAML: {reason}", path.display())]
    Yaml {
        /// The file.
        path: PathBuf,
        /// The parser's reason, with line and column.
        reason: String,
    },
    /// Nothing to learn from.
    #[error(
        "none of the {n_rows} rows has a token to learn from; look at the preview, raise `max_length`, or check which turns are answers"
    )]
    NothingToLearn {
        /// Rows that were read.
        n_rows: usize,
    },
    /// The longest batch would not fit.
    #[error("this run needs about {} at its longest batch, and the program may hold {}{}", gigabytes(*.needed_bytes),
        gigabytes(*.budget_bytes), said(.ways))]
    Memory {
        /// What the process would hold at its most.
        needed_bytes: u64,
        /// What it may hold.
        budget_bytes: u64,
        /// What would make it fit, one sentence each.
        ways: Vec<String>,
    },
    /// The loss is no longer a number.
    #[error(
        "the loss became {loss} at step {step}; try a learning rate below {learning_rate:e}, and look at the rows of this step for damaged text"
    )]
    Diverged {
        /// The loss.
        loss: f64,
        /// The step.
        step: u64,
        /// The rate of this step.
        learning_rate: f64,
    },
    /// A checkpoint that does not belong to this run, or is damaged.
    #[error("the checkpoint `{}` cannot be continued: {reason}", path.display())]
    Checkpoint {
        /// The folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The operating system refused.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}

/// Bytes as people say them.
pub(crate) fn gigabytes(bytes: u64) -> String {
    format!("{:.2} GB", bytes as f64 / 1e9)
}

fn said(ways: &[String]) -> String {
    if ways.is_empty() { String::new() } else { format!("; what would fit: {}", ways.join("; ")) }
}

impl TrainError {
    pub(crate) fn io(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> TrainError + use<> {
        let path = path.to_owned();
        move |source| TrainError::Io { action, path, source }
    }
}

impl From<lorikeet_models::KernelError> for TrainError {
    fn from(e: lorikeet_models::KernelError) -> Self {
        TrainError::Model(e.into())
    }
}
