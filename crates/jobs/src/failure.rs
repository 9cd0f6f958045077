//! Every way a run, an answer or an import can fail, as a code that a program can match, a sentence, and how to mend it.
//!
//! The layers below say what and where; here they get the code, and the hint that none of them could give: what to change in
//! the request.

use std::fmt;
use std::io;

use lorikeet_data::Error as DataError;
use lorikeet_generate::GenerateError;
use lorikeet_models::{GgufError, KernelError, ModelError};
use lorikeet_registry::{RegistryError, RunFailure};
use lorikeet_train::TrainError;

/// The codes, as they stand in the registry and in every answer.
pub mod codes {
    /// No such thing.
    pub const NOT_FOUND: &str = "not_found";
    /// A request that makes no sense.
    pub const INVALID_REQUEST: &str = "invalid_request";
    /// A setting nobody declared.
    pub const UNKNOWN_SETTING: &str = "unknown_setting";
    /// A setting outside its range.
    pub const INVALID_SETTING: &str = "invalid_setting";
    /// Rows that cannot be used.
    pub const BAD_ROWS: &str = "bad_rows";
    /// A file that cannot be read.
    pub const UNREADABLE_FILE: &str = "unreadable_file";
    /// A file without examples.
    pub const UNRECOGNISED_DATA: &str = "unrecognised_data";
    /// A folder without a model of a known family.
    pub const UNRECOGNISED_MODEL: &str = "unrecognised_model";
    /// Parts that do not belong together.
    pub const MISMATCH: &str = "mismatch";
    /// No token would be trained.
    pub const NOTHING_TO_TRAIN: &str = "nothing_to_train";
    /// A label that occurs in the validation data only.
    pub const UNSEEN_LABEL: &str = "unseen_label";
    /// Not enough memory.
    pub const OUT_OF_MEMORY: &str = "out_of_memory";
    /// No space on the disk.
    pub const DISK_FULL: &str = "disk_full";
    /// A folder that cannot be written.
    pub const READ_ONLY: &str = "read_only";
    /// Not in a state that allows this.
    pub const WRONG_STATE: &str = "wrong_state";
    /// A device or feature that is not there.
    pub const UNSUPPORTED: &str = "unsupported";
    /// Numbers that are none any more.
    pub const DIVERGED: &str = "diverged";
    /// Stopped on request.
    pub const CANCELLED: &str = "cancelled";
    /// A defect.
    pub const INTERNAL: &str = "internal";
}

/// Why something could not be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// One of [`codes`].
    pub code: &'static str,
    /// What and where.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A failed reading or writing of a file, by the system's reason.
    pub fn io(message: String, source: &io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::new(codes::DISK_FULL, message)
                .with_hint("free some space, or move the data folder to another disk"),
            io::ErrorKind::ReadOnlyFilesystem => Self::new(codes::READ_ONLY, message)
                .with_hint("choose a data folder you may write to, with `LORIKEET_HOME`"),
            io::ErrorKind::NotFound => Self::new(codes::NOT_FOUND, message),
            io::ErrorKind::OutOfMemory => Self::new(codes::OUT_OF_MEMORY, message).with_hint(LESS_MEMORY),
            _ => Self::new(codes::UNREADABLE_FILE, message),
        }
    }
}

/// What needs less memory.
const LESS_MEMORY: &str = "use a smaller `batch_size`, a shorter `max_length`, or set `recompute` to `on`";

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<Failure> for RunFailure {
    fn from(failure: Failure) -> Self {
        RunFailure { code: failure.code.to_owned(), message: failure.message, hint: failure.hint }
    }
}

impl From<KernelError> for Failure {
    fn from(e: KernelError) -> Self {
        let message = e.to_string();
        let lower = message.to_lowercase();
        if lower.contains("out of memory") || lower.contains("out_of_memory") {
            return Failure::new(codes::OUT_OF_MEMORY, message).with_hint(LESS_MEMORY);
        }
        match e {
            KernelError::Threads { .. } => {
                Failure::new(codes::INVALID_SETTING, message).with_hint("set `threads` to a smaller number")
            }
            _ => Failure::new(codes::INTERNAL, message),
        }
    }
}

impl From<ModelError> for Failure {
    fn from(e: ModelError) -> Self {
        let message = e.to_string();
        match e {
            ModelError::Kernel(e) => e.into(),
            ModelError::Io { source, .. } | ModelError::Gguf(GgufError::Io { source, .. }) => {
                Failure::io(message, &source)
            }
            ModelError::Json { .. }
            | ModelError::MissingKey { .. }
            | ModelError::BadValue { .. }
            | ModelError::UnknownFamily { .. }
            | ModelError::NoModel { .. }
            | ModelError::Pickle { .. }
            | ModelError::BadWeights { .. }
            | ModelError::BadGguf { .. }
            | ModelError::Gguf(_)
            | ModelError::MissingWeight { .. }
            | ModelError::LeftoverWeights { .. }
            | ModelError::WeightShape { .. }
            | ModelError::WeightFormat { .. } => Failure::new(codes::UNRECOGNISED_MODEL, message),
            ModelError::NoAdapter { .. } => Failure::new(codes::NOT_FOUND, message),
            ModelError::Stopped => Failure::new(codes::CANCELLED, message),
            ModelError::AdapterFeature { .. } => Failure::new(codes::UNSUPPORTED, message),
            ModelError::AdapterMismatch { .. } => {
                Failure::new(codes::MISMATCH, message).with_hint("give the base model that the adapter was trained on")
            }
            ModelError::Unsuited { .. } | ModelError::HeadSize { .. } => Failure::new(codes::MISMATCH, message),
            ModelError::NoTarget { .. } => Failure::new(codes::INVALID_SETTING, message)
                .with_hint("leave `target_modules` empty for all linear ones"),
            ModelError::NoLayer { .. } | ModelError::BadPattern { .. } => Failure::new(codes::INVALID_SETTING, message),
            ModelError::TooLarge { .. } | ModelError::NoTokens => Failure::new(codes::INVALID_REQUEST, message),
            ModelError::UnknownToken { .. } | ModelError::UnknownLabel { .. } => Failure::new(codes::MISMATCH, message),
            ModelError::Readback { .. } | ModelError::NoSequence { .. } => Failure::new(codes::INTERNAL, message),
        }
    }
}

impl From<DataError> for Failure {
    fn from(e: DataError) -> Self {
        let message = e.to_string();
        match e {
            DataError::Row { source, .. } => Failure { message, ..Failure::from(*source) },
            DataError::Read { source, .. } | DataError::Write { source, .. } => Failure::io(message, &source),
            DataError::DiskFull { .. } => Failure::new(codes::DISK_FULL, message),
            DataError::ReadOnly { .. } => Failure::new(codes::READ_ONLY, message),
            DataError::EmptyFile { .. }
            | DataError::NotText { .. }
            | DataError::Unrecognised { .. }
            | DataError::NotTrainable { .. }
            | DataError::TooManyLabels { .. }
            | DataError::TooFewLabels { .. } => Failure::new(codes::UNRECOGNISED_DATA, message),
            DataError::BadRows { .. } | DataError::NoGoodRow { .. } => Failure::new(codes::BAD_ROWS, message),
            DataError::Damaged { .. } => Failure::new(codes::UNREADABLE_FILE, message),
            DataError::NoSuchRow { .. } => Failure::new(codes::NOT_FOUND, message),
            DataError::TokenizerFile { .. } | DataError::TemplateSyntax { .. } => {
                Failure::new(codes::UNRECOGNISED_MODEL, message)
            }
            DataError::TokenizerDoesNotFit { .. } => Failure::new(codes::MISMATCH, message)
                .with_hint("take `tokenizer.json` from the same place as the weights"),
            DataError::TemplateRefused { .. } | DataError::CannotMask { .. } | DataError::KindDoesNotSuit { .. } => {
                Failure::new(codes::MISMATCH, message)
            }
            DataError::UnknownLabel { .. } => Failure::new(codes::UNSEEN_LABEL, message)
                .with_hint("correct the label, or add training rows that have it"),
            DataError::NothingToTrain { .. } => Failure::new(codes::NOTHING_TO_TRAIN, message),
            DataError::MaxLengthTooSmall { .. } => Failure::new(codes::INVALID_SETTING, message),
            _ => Failure::new(codes::INTERNAL, message),
        }
    }
}

impl From<GenerateError> for Failure {
    fn from(e: GenerateError) -> Self {
        let message = e.to_string();
        match e {
            GenerateError::Model(e) => e.into(),
            GenerateError::Setting { .. } | GenerateError::EmptyPrompt | GenerateError::PromptTooLong { .. } => {
                Failure::new(codes::INVALID_REQUEST, message)
            }
            GenerateError::NotANumber { .. } => Failure::new(codes::DIVERGED, message),
            GenerateError::Text(_) => Failure::new(codes::INTERNAL, message),
        }
    }
}

impl From<TrainError> for Failure {
    fn from(e: TrainError) -> Self {
        let message = e.to_string();
        match e {
            TrainError::Model(e) => e.into(),
            TrainError::Data(e) => e.into(),
            TrainError::Generate(e) => e.into(),
            TrainError::UnknownSetting { .. } => Failure::new(codes::UNKNOWN_SETTING, message),
            TrainError::BadSetting { .. } => Failure::new(codes::INVALID_SETTING, message),
            TrainError::Conflict(_) => Failure::new(codes::MISMATCH, message),
            TrainError::Yaml { .. } => Failure::new(codes::INVALID_REQUEST, message),
            TrainError::NothingToLearn { .. } => Failure::new(codes::NOTHING_TO_TRAIN, message),
            TrainError::Diverged { .. } => Failure::new(codes::DIVERGED, message)
                .with_hint("resume after lowering `learning_rate` in a new run; the last checkpoint is kept"),
            TrainError::Memory { .. } => Failure::new(codes::OUT_OF_MEMORY, message).with_hint(
                "change the settings named, or set `memory_limit` to more where other programs can make room",
            ),
            TrainError::Checkpoint { .. } => Failure::new(codes::WRONG_STATE, message),
            TrainError::Io { source, .. } => Failure::io(message, &source),
        }
    }
}

impl From<RegistryError> for Failure {
    fn from(e: RegistryError) -> Self {
        let message = e.to_string();
        match e {
            RegistryError::NotFound { .. } => Failure::new(codes::NOT_FOUND, message),
            RegistryError::Ambiguous { .. } => Failure::new(codes::INVALID_REQUEST, message),
            RegistryError::CreateFolder { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Failure::new(codes::DISK_FULL, message)
            }
            RegistryError::CreateFolder { .. } | RegistryError::NotWritable { .. } => {
                Failure::new(codes::READ_ONLY, message)
            }
            RegistryError::DiskFull { .. } => Failure::new(codes::DISK_FULL, message),
            RegistryError::Damaged { .. }
            | RegistryError::Foreign { .. }
            | RegistryError::TooNew { .. }
            | RegistryError::NoWriteAheadLog { .. } => Failure::new(codes::UNREADABLE_FILE, message),
            RegistryError::InUse { .. } => Failure::new(codes::WRONG_STATE, message),
            _ => Failure::new(codes::INTERNAL, message),
        }
    }
}
