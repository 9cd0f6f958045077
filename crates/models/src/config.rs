//! `config.json` as published, in the key names of transformers 4 and 5, read into the specification of a decoder or an
//! encoder. A key that a family needs and the file lacks is an error with its name; nothing is guessed.

mod decoders;
mod encoders;
mod keys;

use std::path::{Path, PathBuf};

use lorikeet_kernels::Activation;
use serde_json::{Map, Value};

use self::{
    decoders::decoder,
    encoders::{bert, distilbert},
    keys::Keys,
};
use crate::{ModelError, NormKind, Result, gguf};

/// What a model is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Predict the next token.
    Causal,
    /// Give a sequence one of several labels.
    Classify,
}

/// Rotary position embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// Base of the wavelengths.
    pub theta: f64,
    /// Channels of a head that are rotated, the first ones.
    pub dim: usize,
    /// How frequencies are stretched for longer texts.
    pub scaling: RopeScaling,
}

/// How rotary frequencies are stretched.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// All by the same factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// The base grows with a text that is longer than the usual ones.
    Dynamic {
        /// The factor.
        factor: f64,
        /// Length up to which nothing is stretched, in tokens.
        max_positions: f64,
    },
    /// Llama 3's: low frequencies by `factor`, high ones not, with a smooth passage between.
    Llama3 {
        /// The factor of low frequencies.
        factor: f64,
        /// Wavelengths above `original_positions / low_frequency` are low frequencies.
        low_frequency: f64,
        /// Wavelengths below `original_positions / high_frequency` are high frequencies.
        high_frequency: f64,
        /// Length of the original training texts, in tokens.
        original_positions: f64,
    },
    /// YaRN: as Llama 3's with the passage counted in turns, and larger scores.
    Yarn {
        /// The factor of low frequencies.
        factor: f64,
        /// Pairs of channels that turn more often than this within the original length are left alone.
        fast_turns: f64,
        /// Pairs that turn less often than this are stretched by the whole factor.
        slow_turns: f64,
        /// Length of the original training texts, in tokens.
        original_positions: f64,
        /// The passage begins and ends at whole pairs.
        whole_pairs: bool,
        /// Multiplies cosines and sines.
        attention_factor: f64,
    },
    /// LongRoPE: a divisor per pair of channels, one list for short texts and one for long ones.
    Long {
        /// Divisors up to the original length.
        short: Vec<f64>,
        /// Divisors beyond it.
        long: Vec<f64>,
        /// Length of the original training texts, in tokens.
        original_positions: f64,
        /// Multiplies cosines and sines.
        attention_factor: f64,
    },
}

/// A pre-norm decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderSpec {
    /// Entries of the embedding.
    pub vocabulary: usize,
    /// Channels of a token, `C`.
    pub width: usize,
    /// Channels inside the feed-forward part.
    pub inner: usize,
    /// Blocks.
    pub layers: usize,
    /// Query heads, `H`.
    pub heads: usize,
    /// Key/value heads, `G`.
    pub kv_heads: usize,
    /// Channels of a head, `D`.
    pub head_dim: usize,
    /// Longest text, in tokens.
    pub max_positions: usize,
    /// The norms.
    pub norm: NormKind,
    /// Added to the mean square (or the variance) in norms.
    pub norm_eps: f32,
    /// Rotary embedding.
    pub rope: Rope,
    /// Bias on queries, keys and values.
    pub qkv_bias: bool,
    /// Bias on the attention's output.
    pub output_bias: bool,
    /// Bias in the feed-forward part.
    pub mlp_bias: bool,
    /// Norm on each head's queries and keys.
    pub qk_norm: bool,
    /// The head uses the embedding's weights.
    pub tied: bool,
    /// Non-linearity of the gate.
    pub activation: Activation,
}

/// How an encoder turns its first token into what the classifier reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// BERT's pooler: a dense layer and tanh, frozen with the base.
    Pooler,
    /// DistilBERT's `pre_classifier`: a dense layer and ReLU, trained with the head.
    PreClassifier,
}

/// A post-norm encoder with a classifier.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderSpec {
    /// Entries of the embedding.
    pub vocabulary: usize,
    /// Channels of a token, `C`.
    pub width: usize,
    /// Channels inside the feed-forward part.
    pub inner: usize,
    /// Blocks.
    pub layers: usize,
    /// Heads, `H`.
    pub heads: usize,
    /// Longest text, in tokens.
    pub max_positions: usize,
    /// Segment embeddings; 0 for families without.
    pub token_types: usize,
    /// Added to the variance in norms.
    pub norm_eps: f32,
    /// Non-linearity of the feed-forward part.
    pub activation: Activation,
    /// What the classifier reads.
    pub pooling: Pooling,
    /// Classes.
    pub labels: usize,
}

/// The two kinds of model.
#[derive(Clone, Debug, PartialEq)]
pub enum Architecture {
    /// Predicts the next token.
    Decoder(DecoderSpec),
    /// Gives a text a label.
    Encoder(EncoderSpec),
}

/// What a folder's `config.json` says.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// The folder, or the GGUF file.
    pub folder: PathBuf,
    /// The family, as the configuration names it.
    pub model_type: String,
    /// Sizes and options.
    pub architecture: Architecture,
    /// Names of the classes in their order, where the file has them.
    pub label_names: Vec<String>,
    /// Standard deviation of fresh weights.
    pub initial_deviation: f32,
    /// The file as it is, for writing it again.
    pub raw: Map<String, Value>,
}

/// Families that are built.
pub(crate) const FAMILIES: [&str; 5] = ["llama", "qwen2", "qwen3", "bert", "distilbert"];

impl ModelConfig {
    /// Reads `config.json` in `folder`, or the metadata of the GGUF file that `folder` is or holds. For classification
    /// `labels` overrides the number of classes in the file.
    ///
    /// # Errors
    /// Where the file is missing, is not JSON, lacks a key or names a family that is not built.
    pub fn read(folder: &Path, labels: Option<usize>) -> Result<Self> {
        if let Some(file) = lorikeet_gguf::locate(folder)? {
            let raw = gguf::raw_config(&file)?;
            return Self::from_raw(raw, &file, &file, labels);
        }
        Self::read_file(&folder.join("config.json"), folder, labels)
    }

    /// [`ModelConfig::read`] from another file.
    ///
    /// # Errors
    /// As there.
    pub fn read_file(path: &Path, folder: &Path, labels: Option<usize>) -> Result<Self> {
        if !folder.is_dir() || !path.is_file() {
            return Err(ModelError::NoModel { path: folder.to_owned() });
        }
        let text = std::fs::read_to_string(path).map_err(ModelError::io("read", path))?;
        let raw: Map<String, Value> = serde_json::from_str(&text).map_err(ModelError::json(path))?;
        Self::from_raw(raw, path, folder, labels)
    }

    fn from_raw(raw: Map<String, Value>, path: &Path, folder: &Path, labels: Option<usize>) -> Result<Self> {
        let model_type = raw.get("model_type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let keys = Keys { raw: &raw, path, model_type: &model_type };
        if !raw.contains_key("model_type") {
            return Err(keys.missing("model_type"));
        }
        let label_names = label_names(&raw);
        let n_labels = labels.unwrap_or_else(|| label_names.len().max(2));
        let architecture = match model_type.as_str() {
            "llama" | "qwen2" | "qwen3" => Architecture::Decoder(decoder(&keys)?),
            "bert" => Architecture::Encoder(bert(&keys, n_labels)?),
            "distilbert" => Architecture::Encoder(distilbert(&keys, n_labels)?),
            _ => return Err(ModelError::UnknownFamily { model_type, known: FAMILIES.join(", ") }),
        };
        keys.check(&architecture)?;
        let initial_deviation = raw.get("initializer_range").and_then(Value::as_f64).unwrap_or(0.02) as f32;
        Ok(Self { folder: folder.to_owned(), model_type, architecture, label_names, initial_deviation, raw })
    }

    /// Entries of the embedding.
    pub fn vocabulary(&self) -> usize {
        match &self.architecture {
            Architecture::Decoder(d) => d.vocabulary,
            Architecture::Encoder(e) => e.vocabulary,
        }
    }

    /// Channels of a token, `C`.
    pub fn width(&self) -> usize {
        match &self.architecture {
            Architecture::Decoder(d) => d.width,
            Architecture::Encoder(e) => e.width,
        }
    }

    /// Longest text, in tokens.
    pub fn max_positions(&self) -> usize {
        match &self.architecture {
            Architecture::Decoder(d) => d.max_positions,
            Architecture::Encoder(e) => e.max_positions,
        }
    }

    /// What this model is asked to do.
    pub fn task(&self) -> Task {
        match self.architecture {
            Architecture::Decoder(_) => Task::Causal,
            Architecture::Encoder(_) => Task::Classify,
        }
    }
}

fn label_names(raw: &Map<String, Value>) -> Vec<String> {
    let Some(map) = raw.get("id2label").and_then(Value::as_object) else { return Vec::new() };
    let mut pairs: Vec<(usize, String)> =
        map.iter().filter_map(|(k, v)| Some((k.parse().ok()?, v.as_str()?.to_owned()))).collect();
    pairs.sort();
    pairs.into_iter().map(|(_, name)| name).collect()
}
