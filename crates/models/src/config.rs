//! `config.json` as published, in the key names of transformers 4 and 5, read into the specification of a decoder or an
//! encoder. A key that a family needs and the file lacks is an error with its name; nothing is guessed.

mod decoders;
mod encoders;
mod keys;
mod ropes;

use std::path::{Path, PathBuf};

use lorikeet_kernels::Activation;
use serde_json::{Map, Value};

use self::{
    decoders::{DECODERS, Family},
    encoders::{albert, bert, distilbert, roberta},
    keys::Keys,
};
use crate::{
    AdapterFiles, ModelError, NormKind, Result, gguf,
    names::{DecoderNames, EncoderNames, PEFT_PREFIX},
};

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

/// Where the modules of a decoder stand and what they are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// As in Llama, which nearly every family follows.
    Llama,
    /// As in Llama, inside a model that also sees pictures: `model.language_model`.
    LanguageModel,
    /// As in GPT-2.
    Gpt2,
}

/// What differs between the blocks of one decoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerSpec {
    /// A token sees only so many tokens back, itself counted.
    pub window: Option<usize>,
    /// Which of the decoder's rotary embeddings turns queries and keys.
    pub rope: Option<usize>,
}

/// A pre-norm decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderSpec {
    /// Names of the tensors.
    pub naming: Naming,
    /// Entries of the embedding.
    pub vocabulary: usize,
    /// Channels of a token, `C`.
    pub width: usize,
    /// Channels inside the feed-forward part.
    pub inner: usize,
    /// The blocks.
    pub layers: Vec<LayerSpec>,
    /// Query heads, `H`.
    pub heads: usize,
    /// Key/value heads, `G`.
    pub kv_heads: usize,
    /// Channels of a head, `D`.
    pub head_dim: usize,
    /// Longest text, in tokens.
    pub max_positions: usize,
    /// Multiplies the embedding of a token.
    pub embedding_scale: Option<f32>,
    /// An embedding of its own for each position is added.
    pub learned_positions: bool,
    /// Rotary embeddings, from which each block chooses.
    pub ropes: Vec<Rope>,
    /// The norms.
    pub norm: NormKind,
    /// Added to the mean square (or the variance) in norms.
    pub norm_eps: f32,
    /// Norms not only before attention and feed-forward part but also of what they add.
    pub norm_after: bool,
    /// Norm on each head's queries and keys.
    pub qk_norm: bool,
    /// Multiplies the scores of attention.
    pub score_scale: f32,
    /// A score `s` becomes `cap tanh(s / cap)`.
    pub score_cap: Option<f32>,
    /// The same for logits.
    pub logit_cap: Option<f32>,
    /// Queries, keys and values come from one weight, and so do gate and up.
    pub fused: bool,
    /// The feed-forward part has a gate.
    pub gated: bool,
    /// Weights of the blocks lie as `in` x `out`.
    pub transposed: bool,
    /// Bias on queries, keys and values.
    pub qkv_bias: bool,
    /// Bias on the attention's output.
    pub output_bias: bool,
    /// Bias in the feed-forward part.
    pub mlp_bias: bool,
    /// The head uses the embedding's weights.
    pub tied: bool,
    /// Non-linearity of the feed-forward part.
    pub activation: Activation,
}

/// The table of names that an encoder's tensors have, and the kind of head that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncoderFamily {
    /// BERT: the classifier reads the pooler, a dense layer and tanh that are frozen with the base.
    Bert,
    /// DistilBERT: the classifier reads `pre_classifier`, a dense layer and ReLU that are trained with the head.
    DistilBert,
    /// RoBERTa and XLM-RoBERTa: the classifier has a dense layer and tanh of its own, trained with it.
    Roberta,
    /// ALBERT: a pooler as BERT's, a narrow embedding, and blocks whose weights serve in several places.
    Albert,
}

/// A post-norm encoder.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderSpec {
    /// Names and head.
    pub family: EncoderFamily,
    /// Entries of the embedding.
    pub vocabulary: usize,
    /// Channels of a token, `C`.
    pub width: usize,
    /// Channels of the embedding; a linear map widens them to `C` where the family has one.
    pub embedding_width: usize,
    /// Channels inside the feed-forward part.
    pub inner: usize,
    /// Layers.
    pub layers: usize,
    /// Groups of layers that share their weights; as many as layers where nothing is shared.
    pub groups: usize,
    /// Blocks that each layer of a group runs one behind the other.
    pub group_layers: usize,
    /// Heads, `H`.
    pub heads: usize,
    /// Longest text, in tokens.
    pub max_positions: usize,
    /// Row of the position table that belongs to a text's first token.
    pub first_position: usize,
    /// Segment embeddings; 0 for families without.
    pub token_types: usize,
    /// Added to the variance in norms.
    pub norm_eps: f32,
    /// Non-linearity of the feed-forward part.
    pub activation: Activation,
}

impl EncoderSpec {
    /// Which block each step of the forward pass runs: layer `i` belongs to group `i G / L`, as transformers counts.
    pub(crate) fn order(&self) -> Vec<usize> {
        let groups = (0..self.layers).map(|i| i * self.groups / self.layers);
        groups.flat_map(|g| (0..self.group_layers).map(move |j| g * self.group_layers + j)).collect()
    }
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
    /// Classes, where it gives a text one of several labels.
    pub labels: Option<usize>,
    /// Names of the classes in their order, where the file has them.
    pub label_names: Vec<String>,
    /// Standard deviation of fresh weights.
    pub initial_deviation: f32,
    /// The file as it is, for writing it again.
    pub raw: Map<String, Value>,
}

/// The encoders that are built.
const ENCODERS: [&str; 5] = ["bert", "distilbert", "roberta", "xlm-roberta", "albert"];

/// The families that are built, as `model_type` names them.
pub fn families() -> impl Iterator<Item = &'static str> {
    DECODERS.iter().map(|family| family.model_type).chain(ENCODERS)
}

impl ModelConfig {
    /// Reads `config.json` in `folder`, or the metadata of the GGUF file that `folder` is or holds. With `labels` the model
    /// gives labels, so many, whatever the file says; without, an encoder gives those of the file and a decoder does where
    /// its class in the file is one for classification.
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
        let architecture = match model_type.as_str() {
            "bert" => Architecture::Encoder(bert(&keys)?),
            "distilbert" => Architecture::Encoder(distilbert(&keys)?),
            "roberta" | "xlm-roberta" => Architecture::Encoder(roberta(&keys)?),
            "albert" => Architecture::Encoder(albert(&keys)?),
            _ => Architecture::Decoder(decoder(&keys)?.spec(&keys)?),
        };
        keys.check(&architecture)?;
        let gives_labels = matches!(architecture, Architecture::Encoder(_)) || is_classifier(&raw);
        let labels = labels.or_else(|| gives_labels.then(|| label_names.len().max(2)));
        let initial_deviation = raw.get("initializer_range").and_then(Value::as_f64).unwrap_or(0.02) as f32;
        Ok(Self { folder: folder.to_owned(), model_type, architecture, labels, label_names, initial_deviation, raw })
    }

    /// [`ModelConfig::read`] of a base with the adapter in `adapter`, which may bring a classifier of its own.
    ///
    /// # Errors
    /// As there, and where the adapter's file cannot be read.
    pub fn read_with_adapter(folder: &Path, adapter: &Path) -> Result<Self> {
        Ok(Self::read(folder, None)?.adapted(&AdapterFiles::open(adapter)?))
    }

    /// The configuration with the classifier that an adapter's file brings, where it brings one.
    pub(crate) fn adapted(self, adapter: &AdapterFiles) -> Self {
        let head = adapter.tensors.get(&format!("{PEFT_PREFIX}{}", self.head_weight()));
        let labels = head.and_then(|head| head.dims.first().copied()).or(self.labels);
        Self { labels, ..self }
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

    /// The linear maps of one block in the order of the forward pass: the ends of their paths, rows and columns; and how
    /// many blocks with weights of their own there are.
    pub fn linears(&self) -> (Vec<(&'static str, usize, usize)>, usize) {
        match &self.architecture {
            Architecture::Decoder(d) => (DecoderNames::of(d.naming).linears(d), d.layers.len()),
            Architecture::Encoder(e) => {
                let (c, i) = (e.width, e.inner);
                let sizes = [(c, c), (c, c), (c, c), (c, c), (i, c), (c, i)];
                let names = EncoderNames::of(e.family).linears().into_iter();
                (names.zip(sizes).map(|(name, (rows, cols))| (name, rows, cols)).collect(), e.groups * e.group_layers)
            }
        }
    }

    /// Blocks that are computed one after the other.
    pub fn n_blocks(&self) -> usize {
        match &self.architecture {
            Architecture::Decoder(d) => d.layers.len(),
            Architecture::Encoder(e) => e.layers * e.group_layers,
        }
    }

    /// Numbers of a classifier's head for `labels` classes, which are trained and saved with an adapter.
    pub fn n_head_parameters(&self, labels: usize) -> usize {
        match &self.architecture {
            Architecture::Decoder(d) => labels * d.width,
            Architecture::Encoder(e) => {
                let dense = match e.family {
                    EncoderFamily::Bert | EncoderFamily::Albert => 0,
                    EncoderFamily::DistilBert | EncoderFamily::Roberta => e.width * (e.width + 1),
                };
                dense + labels * (e.width + 1)
            }
        }
    }

    /// The modules that usually get an adapter: all linear maps of a decoder, queries and values of an encoder.
    pub fn usual_targets(&self) -> Vec<&'static str> {
        match &self.architecture {
            Architecture::Decoder(_) => vec!["all-linear"],
            Architecture::Encoder(e) => {
                let names = EncoderNames::of(e.family);
                [names.query, names.value].map(crate::build::last_name).to_vec()
            }
        }
    }

    /// Name of the weight that gives labels.
    pub(crate) fn head_weight(&self) -> String {
        let path = match &self.architecture {
            Architecture::Decoder(_) => DecoderNames::SCORE,
            Architecture::Encoder(e) => EncoderNames::of(e.family).classes,
        };
        format!("{path}.weight")
    }

    /// What this model is asked to do.
    pub fn task(&self) -> Task {
        match (&self.architecture, self.labels) {
            (Architecture::Decoder(_), None) => Task::Causal,
            _ => Task::Classify,
        }
    }
}

/// Whether the class that saved the file is one for classification.
fn is_classifier(raw: &Map<String, Value>) -> bool {
    let classes = raw.get("architectures").and_then(Value::as_array).into_iter().flatten();
    classes.filter_map(Value::as_str).any(|class| class.ends_with("ForSequenceClassification"))
}

/// The family of a decoder. One that is not listed is read as the one whose class its file names, provided that the file
/// says nothing which that class does not know: a key more may be a computation more.
fn decoder(keys: &Keys<'_>) -> Result<&'static Family> {
    if let Some(family) = DECODERS.iter().find(|family| family.model_type == keys.model_type) {
        return Ok(family);
    }
    let named = |family: &&Family| keys.classes().any(|class| family.covers(class));
    match DECODERS.iter().find(named) {
        Some(family) => family.knows_all(keys).map(|()| family),
        None => {
            let likeness = |name: &&str| (strsim::jaro_winkler(name, keys.model_type) * 1000.0) as u32;
            let closest = families().max_by_key(likeness).filter(|name| likeness(name) >= ALIKE);
            let known = families().collect::<Vec<_>>().join(", ");
            Err(ModelError::UnknownFamily { model_type: keys.model_type.to_owned(), closest, known })
        }
    }
}

/// Names that are alike enough, in thousandths, to be taken for one another.
const ALIKE: u32 = 750;

fn label_names(raw: &Map<String, Value>) -> Vec<String> {
    let Some(map) = raw.get("id2label").and_then(Value::as_object) else { return Vec::new() };
    let mut pairs: Vec<(usize, String)> =
        map.iter().filter_map(|(k, v)| Some((k.parse().ok()?, v.as_str()?.to_owned()))).collect();
    pairs.sort();
    pairs.into_iter().map(|(_, name)| name).collect()
}
