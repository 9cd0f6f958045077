//! A second opinion: candle-transformers reads the same tiny models, and its logits are held against ours, at every length
//! of a text and token by token with both caches. What transformers recorded stays the truth (`families`, `recorded`).
//!
//! candle leaves out options that transformers has. Where only an option stands between the two, both read the model with the
//! option set to what candle takes for granted; each such change says why. Left out for good are ALBERT and GPT-2, which
//! candle lacks; Llama with linear, dynamic or YaRN positions, of which it knows none; long Phi-3 positions, whose factors it
//! multiplies where transformers divides; and the windows of Qwen2, Qwen3 and SmolLM3, which it gives to all layers or refuses.

use std::{
    fs,
    path::{Path, PathBuf},
};

use candle_core::{DType, Device, IndexOp, Module, Result, Tensor};
use candle_nn::{VarBuilder, linear};
use candle_transformers::models::{
    bert, distilbert, gemma, gemma2, gemma3, llama, mistral, phi3, qwen2, qwen3, smol::smollm3, xlm_roberta,
};
use lorikeet_models::{Backend, Fused, Model, Tokens};
use lorikeet_tests::{material::copied, shared_data};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Largest difference of a logit.
const LOGITS: f32 = 1e-4;

const LENGTH: usize = 16;
const GENERATED: usize = 24;

/// A model of candle's that reads ids, which stand from a place in the text on, and returns the logits after the last one.
/// At the first place it forgets what it has read.
type Reader = Box<dyn FnMut(&Tensor, usize) -> Result<Tensor>>;

/// A tiny model that both read.
struct Case {
    name: &'static str,
    open: fn(Value, VarBuilder<'static>) -> Result<Reader>,
    /// Settings of `config.json` that both read in place of what is written there.
    changes: &'static [(&'static str, &'static str)],
}

const fn plain(name: &'static str, open: fn(Value, VarBuilder<'static>) -> Result<Reader>) -> Case {
    Case { name, open, changes: &[] }
}

/// candle scales queries by the width of a head, whatever `query_pre_attn_scalar` says.
const SCALED_BY_HEAD: (&str, &str) = ("query_pre_attn_scalar", "24");
/// A window in candle holds one key more than in transformers, is forgotten with a cache, and in Gemma 2 covers every layer.
const NO_WINDOW: (&str, &str) = ("sliding_window", "null");
/// The same, for families that must have one: it holds the whole text.
const WIDE_WINDOW: (&str, &str) = ("sliding_window", "64");
/// candle's Gemma 3 does not stretch positions.
const UNSTRETCHED: (&str, &str) = (
    "rope_parameters",
    r#"{"full_attention": {"rope_theta": 1e6, "rope_type": "default"},
        "sliding_attention": {"rope_theta": 1e4, "rope_type": "default"}}"#,
);

/// Decoders whose fixtures lie in the test material.
const SHARED: [Case; 8] = [
    plain("llama-untied", llama),
    plain("llama-tied", llama),
    plain("smollm2", llama),
    // Where there is no window, candle wants its length all the same.
    Case { name: "qwen2", open: qwen2, changes: &[WIDE_WINDOW] },
    plain("qwen3", qwen3),
    plain("phi3", phi3),
    Case { name: "gemma2", open: gemma2, changes: &[SCALED_BY_HEAD, WIDE_WINDOW] },
    Case { name: "gemma3", open: gemma3, changes: &[SCALED_BY_HEAD, WIDE_WINDOW, UNSTRETCHED] },
];

/// Decoders recorded in this repository.
const RECORDED: [Case; 5] = [
    Case { name: "mistral-window", open: mistral, changes: &[NO_WINDOW] },
    // candle's Phi-3 has no window at all.
    Case { name: "phi3-partial", open: phi3, changes: &[NO_WINDOW] },
    plain("gemma", gemma),
    // transformers caps Gemma 3's logits, and its scores in name only; candle caps both.
    Case {
        name: "gemma3-caps",
        open: gemma3,
        changes: &[("query_pre_attn_scalar", "6"), WIDE_WINDOW, ("attn_logit_softcapping", "null")],
    },
    plain("smollm3", smollm3),
];

/// Encoders whose fixtures lie in the test material.
const ENCODERS: [Case; 3] = [
    plain("bert", bert),
    // What candle calls GELU here is the approximation with the hyperbolic tangent, and ReLU is all else that it knows.
    Case { name: "distilbert", open: distilbert, changes: &[("activation", r#""relu""#)] },
    plain("roberta", roberta),
];

fn read<T: DeserializeOwned>(config: Value) -> Result<T> {
    serde_json::from_value(config).map_err(candle_core::Error::wrap)
}

/// A decoder of candle's that keeps its cache to itself.
macro_rules! decoder {
    ($family:ident, $model:ident $(, $flash:expr)?) => {
        fn $family(config: Value, weights: VarBuilder<'static>) -> Result<Reader> {
            let mut model = $family::$model::new($($flash,)? &read(config)?, weights)?;
            Ok(Box::new(move |ids, place| {
                if place == 0 {
                    model.clear_kv_cache();
                }
                model.forward(ids, place)
            }))
        }
    };
}

decoder!(mistral, Model);
decoder!(qwen2, ModelForCausalLM);
decoder!(qwen3, ModelForCausalLM);
decoder!(phi3, Model);
decoder!(smollm3, ModelForCausalLM);
decoder!(gemma, Model, false);
decoder!(gemma2, Model, false);

/// Its cache stores the values of one token at a time only: of several at once it says that they are not contiguous.
fn gemma3(config: Value, weights: VarBuilder<'static>) -> Result<Reader> {
    let mut model = gemma3::Model::new(false, &read(config)?, weights)?;
    Ok(Box::new(move |ids, place| {
        if place == 0 {
            model.clear_kv_cache();
        }
        let tokens = (0..ids.dim(1)?).map(|n| model.forward(&ids.narrow(1, n, 1)?, place + n));
        tokens.last().unwrap()
    }))
}

fn llama(config: Value, weights: VarBuilder<'static>) -> Result<Reader> {
    let config = read::<llama::LlamaConfig>(config)?.into_config(false);
    let model = llama::Llama::load(weights, &config)?;
    let empty = llama::Cache::new(true, DType::F32, &config, &Device::Cpu)?;
    let mut cache = empty.clone();
    Ok(Box::new(move |ids, place| {
        if place == 0 {
            cache = empty.clone();
        }
        model.forward(ids, place, &mut cache)
    }))
}

/// candle's encoders end before the head, which is put on here: two linear maps with an activation between them.
fn bert(config: Value, weights: VarBuilder<'static>) -> Result<Reader> {
    let (width, classes) = (size(&config, "hidden_size"), classes(&config));
    let pooler = linear(width, width, weights.pp("bert.pooler.dense"))?;
    let classifier = linear(width, classes, weights.pp("classifier"))?;
    let model = bert::BertModel::load(weights, &read(config)?)?;
    Ok(Box::new(move |ids, _| {
        let first = model.forward(ids, &ids.zeros_like()?, None)?.i((.., 0))?.contiguous()?;
        classifier.forward(&pooler.forward(&first)?.tanh()?)
    }))
}

fn distilbert(config: Value, weights: VarBuilder<'static>) -> Result<Reader> {
    let (width, classes) = (size(&config, "dim"), classes(&config));
    let before = linear(width, width, weights.pp("pre_classifier"))?;
    let classifier = linear(width, classes, weights.pp("classifier"))?;
    let model = distilbert::DistilBertModel::load(weights, &read(config)?)?;
    Ok(Box::new(move |ids, _| {
        // Its mask marks what is hidden.
        let hidden = Tensor::zeros((1, 1, 1, ids.dim(1)?), DType::U8, &Device::Cpu)?;
        let first = model.forward(ids, &hidden)?.i((.., 0))?.contiguous()?;
        classifier.forward(&before.forward(&first)?.relu()?)
    }))
}

fn roberta(mut config: Value, weights: VarBuilder<'static>) -> Result<Reader> {
    config["position_embedding_type"] = json!("absolute");
    let classes = classes(&config);
    let model = xlm_roberta::XLMRobertaForSequenceClassification::new(classes, &read(config)?, weights)?;
    Ok(Box::new(move |ids, _| model.forward(ids, &ids.ones_like()?, &ids.zeros_like()?)))
}

fn size(config: &Value, name: &str) -> usize {
    config[name].as_u64().unwrap() as usize
}

fn classes(config: &Value) -> usize {
    config["id2label"].as_object().unwrap().len()
}

/// Both models of a case.
struct Pair {
    ours: Model<Fused>,
    theirs: Reader,
}

impl Pair {
    fn open(folder: &Path, case: &Case) -> Self {
        let copy = tempfile::tempdir().unwrap();
        copied(folder, copy.path());
        let path = copy.path().join("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for (name, value) in case.changes {
            assert!(config.get(name).is_some(), "{}: `config.json` says nothing of `{name}`", case.name);
            config[*name] = serde_json::from_str(value).unwrap();
        }
        fs::write(&path, config.to_string()).unwrap();
        let tensors = candle_core::safetensors::load(copy.path().join("model.safetensors"), &Device::Cpu).unwrap();
        let weights = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
        let ours = Model::open(Fused::new(1).unwrap(), copy.path()).unwrap();
        Self { ours, theirs: (case.open)(in_candles_words(config), weights).unwrap() }
    }

    /// The vocabulary's numbers in an order that repeats late, none of them special.
    fn text(&self) -> Vec<u32> {
        let vocabulary = self.ours.config().vocabulary() as u32;
        (0..LENGTH as u32).map(|n| 5 + (n * n * 7 + n * 3) % (vocabulary - 5)).collect()
    }

    fn our_logits(&self, ids: &[u32]) -> Vec<f32> {
        self.ours.backend().download(&self.ours.logits(&Tokens::from_sequences(&[ids])).unwrap()).unwrap()
    }

    fn their_logits(&mut self, ids: &[u32], place: usize) -> Vec<f32> {
        let ids = Tensor::from_slice(ids, (1, ids.len()), &Device::Cpu).unwrap();
        (self.theirs)(&ids, place).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    /// The largest difference after each beginning of a text, read at once.
    fn at_once(&mut self) -> f32 {
        let ids = self.text();
        let ours = self.our_logits(&ids);
        let rows = ours.chunks(ours.len() / ids.len()).enumerate();
        rows.fold(0.0, |most: f32, (n, row)| most.max(difference(row, &self.their_logits(&ids[..=n], 0))))
    }

    /// The largest difference while a text is continued with the likeliest tokens, each with its cache.
    fn token_by_token(&mut self) -> f32 {
        let mut cache = self.ours.cache(LENGTH + GENERATED).unwrap();
        let (mut next, mut place, mut most) = (self.text(), 0, 0.0f32);
        for _ in 0..GENERATED {
            let ours = self.ours.next_logits(&next, &mut cache).unwrap();
            most = most.max(difference(&ours, &self.their_logits(&next, place)));
            place += next.len();
            next = vec![(0..ours.len()).max_by(|a, b| ours[*a].total_cmp(&ours[*b])).unwrap() as u32];
        }
        most
    }
}

/// `config.json` as candle reads it: it knows the older spelling, with what turns positions at the top.
fn in_candles_words(mut config: Value) -> Value {
    let rope = config["rope_parameters"].take();
    let local = rope.get("sliding_attention").map(|local| local["rope_theta"].clone());
    let global = rope.get("full_attention").unwrap_or(&rope).clone();
    for name in ["rope_theta", "partial_rotary_factor"] {
        config[name] = global[name].clone();
    }
    if global["rope_type"] != "default" {
        config["rope_scaling"] = global;
    }
    if let Some(local) = local {
        config["rope_local_base_freq"] = local;
        let kinds = config["layer_types"].as_array().unwrap();
        config["sliding_window_pattern"] = json!(1 + kinds.iter().position(|kind| kind == "full_attention").unwrap());
    }
    config
}

fn difference(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.iter().chain(theirs).all(|logit| logit.is_finite()));
    ours.iter().zip(theirs).fold(0.0, |most, (a, b)| most.max((a - b).abs()))
}

/// Says how far a pair is apart, and returns it where that is more than [`LOGITS`].
fn hold(name: &str, what: &str, difference: f32) -> Option<String> {
    println!("{name}: {what}: {difference:.1e}");
    (difference > LOGITS).then(|| format!("{name}: {what}: {difference}"))
}

fn recorded() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("parity/recorded")
}

#[test]
fn oracle_of_decoders() {
    let shared = shared_data::find("parity/fixtures");
    let shared = SHARED.iter().filter_map(|case| Some((shared.as_ref()?.join(case.name).join("model"), case)));
    let recorded = RECORDED.iter().map(|case| (recorded().join(case.name), case));
    let failures = shared.chain(recorded).flat_map(|(folder, case)| {
        let mut pair = Pair::open(&folder, case);
        let at_once = hold(case.name, "read at once", pair.at_once());
        at_once.into_iter().chain(hold(case.name, "token by token", pair.token_by_token()))
    });
    let failures: Vec<String> = failures.collect();
    assert!(failures.is_empty(), "logits differ:\n{}", failures.join("\n"));
}

#[test]
fn oracle_of_encoders() {
    let Some(root) = shared_data::find("parity/fixtures") else { return };
    let failures = ENCODERS.iter().filter_map(|case| {
        let mut pair = Pair::open(&root.join(case.name).join("model"), case);
        let text = pair.text();
        let differences =
            (1..=text.len()).map(|n| difference(&pair.our_logits(&text[..n]), &pair.their_logits(&text[..n], 0)));
        hold(case.name, "logits", differences.fold(0.0, f32::max))
    });
    let failures: Vec<String> = failures.collect();
    assert!(failures.is_empty(), "logits differ:\n{}", failures.join("\n"));
}
