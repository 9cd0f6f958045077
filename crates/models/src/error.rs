//! What can be wrong with a model or an adapter on disk, said with the file, the name and the mend.

use std::path::{Path, PathBuf};

use lorikeet_kernels::KernelError;

/// The result of working on a model.
pub type Result<T> = std::result::Result<T, ModelError>;

/// Why a model or an adapter cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The operating system refused.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was attempted: `read`, `write`, ….
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A JSON file that does not parse.
    #[error("`{}` is not valid JSON (line {line}, column {column}): {reason}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// The parser's reason.
        reason: String,
    },
    /// A configuration without a key that the family needs.
    #[error("`{}` has no `{key}`, which {needed_by} needs; take the file from where it was published", path.display())]
    MissingKey {
        /// The configuration file.
        path: PathBuf,
        /// The key.
        key: &'static str,
        /// What cannot do without it, such as a family.
        needed_by: String,
    },
    /// A configuration value that does not make sense.
    #[error("`{}` says `{key}`: {value}, which {problem}", path.display())]
    BadValue {
        /// The configuration file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A family that is not built.
    #[error("`{model_type}` is not a model family that Lorikeet knows{}; known are {known}", closest.map(|name| format!(" (the closest is `{name}`)")).unwrap_or_default())]
    UnknownFamily {
        /// What the configuration calls itself.
        model_type: String,
        /// The known family whose name is most like it.
        closest: Option<&'static str>,
        /// The families that are known, as a list for reading.
        known: String,
    },
    /// A folder without weights.
    #[error("`{}` holds no model: expected `config.json` with `model.safetensors` or `model.safetensors.index.json`", path.display())]
    NoModel {
        /// The folder.
        path: PathBuf,
    },
    /// Weights in a format that runs what it holds.
    #[error("`{}` is a pickle, which can carry any program and is not read; take the model as safetensors or GGUF", path.display())]
    Pickle {
        /// The file.
        path: PathBuf,
    },
    /// A weight file that is cut off or not in the format.
    #[error("`{}` is not a complete safetensors file ({reason}); copy or download it again", path.display())]
    BadWeights {
        /// The file.
        path: PathBuf,
        /// The reader's reason.
        reason: String,
    },
    /// A weight that the family needs and the files lack.
    #[error("`{}` has no weight `{name}`, which the configuration asks for", path.display())]
    MissingWeight {
        /// The model's folder.
        path: PathBuf,
        /// Name of the weight.
        name: String,
    },
    /// Weights that the model has no place for.
    #[error("`{}` holds {n_names} weights that a model of its configuration has no place for, such as `{first}`; computing without them would not be the model that was published", path.display())]
    LeftoverWeights {
        /// The model's folder.
        path: PathBuf,
        /// Name of the first.
        first: String,
        /// How many there are.
        n_names: usize,
    },
    /// A weight of another shape than the configuration says.
    #[error("the weight `{name}` in `{}` has shape {found:?} where the configuration asks for {expected:?}; `config.json` and the weights are not of one model", path.display())]
    WeightShape {
        /// The model's folder.
        path: PathBuf,
        /// Name of the weight.
        name: String,
        /// Expected shape.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A classifier for another number of labels than is asked for.
    #[error("the classifier in `{}` tells {found} labels apart where {asked} are asked for; use it with the labels it was trained on, or train it for the new ones", path.display())]
    HeadSize {
        /// The model's folder.
        path: PathBuf,
        /// Labels that it has.
        found: usize,
        /// Labels that are asked for.
        asked: usize,
    },
    /// Numbers in a format that is not read.
    #[error("the weight `{name}` in `{}` is stored as {found}; F32, F16 and BF16 are read, and in GGUF files Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K and Q6_K", path.display())]
    WeightFormat {
        /// The file.
        path: PathBuf,
        /// Name of the weight.
        name: String,
        /// The format.
        found: String,
    },
    /// A place without an adapter.
    #[error("`{}` holds no adapter: expected `adapter_config.json` with `adapter_model.safetensors` (PEFT) or `adapters.safetensors` (MLX), or a GGUF adapter", path.display())]
    NoAdapter {
        /// The place.
        path: PathBuf,
    },
    /// An adapter that needs what is not built.
    #[error("the adapter in `{}` uses `{feature}`, which Lorikeet does not read", path.display())]
    AdapterFeature {
        /// The adapter's folder.
        path: PathBuf,
        /// The key of its configuration.
        feature: String,
    },
    /// An adapter that does not belong to this base model.
    #[error("the adapter in `{}` does not fit this model: {reason}", path.display())]
    AdapterMismatch {
        /// The adapter's folder.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// Target modules that name nothing.
    #[error("no module of this model is called {targets}; it has {known}")]
    NoTarget {
        /// The names given.
        targets: String,
        /// The names there are.
        known: String,
    },
    /// A layer that the model does not have, or in which nothing was to be adapted.
    #[error("no module of layer {layer} gets an adapter; layers are counted from 0, up to the model's last one")]
    NoLayer {
        /// The layer.
        layer: usize,
    },
    /// A pattern of module names that is no regular expression.
    #[error("`{pattern}` is not a pattern of module names: {reason}")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// Why.
        reason: String,
    },
    /// A request that this kind of model cannot serve.
    #[error("a `{model_type}` model {problem}")]
    Unsuited {
        /// The family.
        model_type: String,
        /// What it cannot do, and what can.
        problem: String,
    },
    /// Token ids or lengths that the model has no place for.
    #[error("{what} is {found}, and this model takes at most {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The value.
        found: usize,
        /// The largest one.
        limit: usize,
    },
    /// A token beyond the vocabulary.
    #[error("the token {found} is not in this model's vocabulary of {vocabulary}; the tokenizer is of another model")]
    UnknownToken {
        /// The token id.
        found: u32,
        /// How many the model has.
        vocabulary: usize,
    },
    /// A text of which nothing is left to read.
    #[error("a text without a token says nothing; give at least a word")]
    NoTokens,
    /// A sequence that a cache cannot continue.
    #[error(
        "a cache of {n_sequences} sequences continues each at most once, in ascending order, with at least one token; \
         this does not hold of sequence {sequence}"
    )]
    NoSequence {
        /// The sequence, from 0.
        sequence: usize,
        /// Sequences of the cache.
        n_sequences: usize,
    },
    /// A label beyond the classes.
    #[error("the label {found} is not among this model's {labels} classes")]
    UnknownLabel {
        /// The label.
        found: u32,
        /// How many the model has.
        labels: usize,
    },
    /// An adapter that is not the same after being written and read back.
    #[error("the adapter written to `{}` gives other logits when it is read back (largest difference {difference:e}); it was not kept", path.display())]
    Readback {
        /// The folder.
        path: PathBuf,
        /// Largest difference of a logit.
        difference: f32,
    },
    /// A GGUF file that is whole and yet no model.
    #[error("`{}` cannot be used as a model: {reason}", path.display())]
    BadGguf {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A GGUF file that cannot be read or written.
    #[error(transparent)]
    Gguf(#[from] lorikeet_gguf::GgufError),
    /// Whoever asked no longer wants it.
    #[error("it was stopped, and nothing was kept")]
    Stopped,
    /// An operation failed.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

impl ModelError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> ModelError + use<> {
        let path = path.to_owned();
        move |source| ModelError::Io { action, path, source }
    }

    pub(crate) fn json(path: &Path) -> impl FnOnce(serde_json::Error) -> ModelError + use<> {
        let path = path.to_owned();
        move |e| ModelError::Json { line: e.line(), column: e.column(), reason: e.to_string(), path }
    }
}
