//! `config.json` as published, in the key names of transformers 4 and 5, read into the specification of a decoder or an
//! encoder. A key that a family needs and the file lacks is an error with its name; nothing is guessed.

use std::path::{Path, PathBuf};

use lorikeet_kernels::Activation;
use serde_json::{Map, Value};

use crate::{ModelError, Result};

/// What a model is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Predict the next token.
    Causal,
    /// Give a sequence one of several labels.
    Classify,
}

/// Rotary position embedding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rope {
    /// Base of the wavelengths.
    pub theta: f64,
    /// How frequencies are stretched for longer texts.
    pub scaling: RopeScaling,
}

/// How rotary frequencies are stretched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeScaling {
    /// Not at all.
    None,
    /// All by the same factor.
    Linear {
        /// The factor.
        factor: f64,
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
    /// Added to the mean square in norms.
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
    /// The folder.
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

const MOST_POSITIONS: usize = 1 << 21;

impl ModelConfig {
    /// Reads `config.json` in `folder`. For classification `labels` overrides the number of classes in the file.
    ///
    /// # Errors
    /// Where the file is missing, is not JSON, lacks a key or names a family that is not built.
    pub fn read(folder: &Path, labels: Option<usize>) -> Result<Self> {
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

struct Keys<'a> {
    raw: &'a Map<String, Value>,
    path: &'a Path,
    model_type: &'a str,
}

impl Keys<'_> {
    fn missing(&self, key: &'static str) -> ModelError {
        let needed_by =
            if key == "model_type" { "every model".to_owned() } else { format!("a `{}` model", self.model_type) };
        ModelError::MissingKey { path: self.path.to_owned(), key, needed_by }
    }

    fn bad(&self, key: &str, value: &Value, problem: &str) -> ModelError {
        ModelError::BadValue {
            path: self.path.to_owned(),
            key: key.to_owned(),
            value: value.to_string(),
            problem: problem.to_owned(),
        }
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.raw.get(key).filter(|v| !v.is_null())
    }

    fn count_or(&self, key: &'static str, default: Option<usize>) -> Result<usize> {
        match (self.get(key), default) {
            (Some(v), _) => v
                .as_u64()
                .filter(|n| (1..=1 << 31).contains(n))
                .map(|n| n as usize)
                .ok_or_else(|| self.bad(key, v, "is not a positive whole number")),
            (None, Some(default)) => Ok(default),
            (None, None) => Err(self.missing(key)),
        }
    }

    fn count(&self, key: &'static str) -> Result<usize> {
        self.count_or(key, None)
    }

    /// The longest text: tables are made for all its places at once.
    fn positions(&self) -> Result<usize> {
        let key = "max_position_embeddings";
        match self.count(key)? {
            n if n > MOST_POSITIONS => {
                Err(self.bad(key, &Value::from(n), "is more than the two million that are built"))
            }
            n => Ok(n),
        }
    }

    fn number(&self, key: &'static str) -> Result<f64> {
        let v = self.get(key).ok_or_else(|| self.missing(key))?;
        v.as_f64().filter(|n| n.is_finite() && *n > 0.0).ok_or_else(|| self.bad(key, v, "is not a positive number"))
    }

    fn flag(&self, key: &str, default: bool) -> bool {
        self.get(key).and_then(Value::as_bool).unwrap_or(default)
    }

    fn activation(&self, key: &'static str) -> Result<Activation> {
        let v = self.get(key).ok_or_else(|| self.missing(key))?;
        match v.as_str().unwrap_or_default() {
            "silu" | "swish" => Ok(Activation::Silu),
            "gelu" => Ok(Activation::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
            "relu" => Ok(Activation::Relu),
            _ => Err(self.bad(
                key,
                v,
                "is not an activation that is built (silu, gelu, gelu_new, gelu_pytorch_tanh, relu)",
            )),
        }
    }

    /// `rope_parameters` of transformers 5, or `rope_theta` with `rope_scaling` of transformers 4.
    fn rope(&self) -> Result<Rope> {
        let empty = Map::new();
        let nested = self.get("rope_parameters").or_else(|| self.get("rope_scaling"));
        let scaling = nested.and_then(Value::as_object).unwrap_or(&empty);
        let in_scaling = |key: &str| scaling.get(key).and_then(Value::as_f64);
        let theta = in_scaling("rope_theta").or_else(|| self.get("rope_theta").and_then(Value::as_f64));
        let theta = theta.unwrap_or(10_000.0);
        let kind = scaling.get("rope_type").or_else(|| scaling.get("type")).and_then(Value::as_str);
        let need = |key: &'static str| match scaling.get(key) {
            None => Err(self.missing(key)),
            Some(v) => v.as_f64().filter(|n| *n > 0.0).ok_or_else(|| self.bad(key, v, "is not a positive number")),
        };
        let scaling = match kind.unwrap_or("default") {
            "default" => RopeScaling::None,
            "linear" => RopeScaling::Linear { factor: need("factor")? },
            "llama3" => RopeScaling::Llama3 {
                factor: need("factor")?,
                low_frequency: need("low_freq_factor")?,
                high_frequency: need("high_freq_factor")?,
                original_positions: need("original_max_position_embeddings")?,
            },
            other => {
                return Err(self.bad(
                    "rope_type",
                    &Value::from(other),
                    "is not a scaling that is built (default, linear, llama3)",
                ));
            }
        };
        Ok(Rope { theta, scaling })
    }

    /// Sizes that must fit together.
    fn check(&self, architecture: &Architecture) -> Result<()> {
        let (heads, width, head_dim, kv) = match architecture {
            Architecture::Decoder(d) => (d.heads, d.heads * d.head_dim, d.head_dim, d.kv_heads),
            Architecture::Encoder(e) => (e.heads, e.width, e.width / e.heads, e.heads),
        };
        if head_dim * heads != width {
            return Err(self.bad("num_attention_heads", &Value::from(heads), "does not divide the width"));
        }
        if !heads.is_multiple_of(kv) {
            return Err(self.bad("num_key_value_heads", &Value::from(kv), "does not divide `num_attention_heads`"));
        }
        if matches!(architecture, Architecture::Decoder(_)) && !head_dim.is_multiple_of(2) {
            return Err(self.bad("head_dim", &Value::from(head_dim), "is odd; rotary embeddings need pairs"));
        }
        Ok(())
    }
}

fn decoder(keys: &Keys<'_>) -> Result<DecoderSpec> {
    let (width, heads) = (keys.count("hidden_size")?, keys.count("num_attention_heads")?);
    if keys.flag("use_sliding_window", false) {
        return Err(keys.bad("use_sliding_window", &Value::from(true), "is not built yet"));
    }
    Ok(DecoderSpec {
        vocabulary: keys.count("vocab_size")?,
        width,
        inner: keys.count("intermediate_size")?,
        layers: keys.count("num_hidden_layers")?,
        heads,
        kv_heads: keys.count_or("num_key_value_heads", Some(heads))?,
        head_dim: keys.count_or("head_dim", Some(width / heads))?,
        max_positions: keys.positions()?,
        norm_eps: keys.number("rms_norm_eps")? as f32,
        rope: keys.rope()?,
        qkv_bias: keys.flag("attention_bias", keys.model_type == "qwen2"),
        output_bias: keys.model_type != "qwen2" && keys.flag("attention_bias", false),
        mlp_bias: keys.flag("mlp_bias", false),
        qk_norm: keys.model_type == "qwen3",
        tied: keys.flag("tie_word_embeddings", false),
        activation: keys.activation("hidden_act")?,
    })
}

fn bert(keys: &Keys<'_>, labels: usize) -> Result<EncoderSpec> {
    if let Some(v) = keys.get("position_embedding_type").filter(|v| v.as_str() != Some("absolute")) {
        return Err(keys.bad("position_embedding_type", v, "is not built (only `absolute` is)"));
    }
    Ok(EncoderSpec {
        vocabulary: keys.count("vocab_size")?,
        width: keys.count("hidden_size")?,
        inner: keys.count("intermediate_size")?,
        layers: keys.count("num_hidden_layers")?,
        heads: keys.count("num_attention_heads")?,
        max_positions: keys.positions()?,
        token_types: keys.count("type_vocab_size")?,
        norm_eps: keys.number("layer_norm_eps")? as f32,
        activation: keys.activation("hidden_act")?,
        pooling: Pooling::Pooler,
        labels,
    })
}

fn distilbert(keys: &Keys<'_>, labels: usize) -> Result<EncoderSpec> {
    Ok(EncoderSpec {
        vocabulary: keys.count("vocab_size")?,
        width: keys.count("dim")?,
        inner: keys.count("hidden_dim")?,
        layers: keys.count("n_layers")?,
        heads: keys.count("n_heads")?,
        max_positions: keys.positions()?,
        token_types: 0,
        norm_eps: 1e-12,
        activation: keys.activation("activation")?,
        pooling: Pooling::PreClassifier,
        labels,
    })
}
