//! The small llama of the shared test material with an adapter over its one set of weights, and a small classifier.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lorikeet_api::wire::{
    EmbedRequest, Embeddings, GenerateRequest, GenerateUpdate, Generation, PredictRequest, Prediction, ServedKind,
    ServedModel, StopReason,
};
use lorikeet_api::{ApiError, ErrorCode, Served};
use lorikeet_data::{Chat, Message, Role, TextStream, Tokenizer};
use lorikeet_generate::{DecodeError, GenerateSettings, Sampling, TextDecoder, generate};
use lorikeet_models::{
    Backend, Fused, LoraSpec, Model, ModelConfig, ModelFiles, Pooling, Targets, Tokens, Trainable, WeightSource, random,
};
use lorikeet_server::Server;

pub const BASE: &str = "tiny";
pub const TUNED: &str = "tiny/tuned";
pub const SORTER: &str = "sorter";

/// Models in memory, and what was asked of them.
pub struct Engine {
    model: Mutex<Model<Fused>>,
    tokenizer: Tokenizer,
    sorter: Mutex<Model<Fused>>,
    /// Waited after each token, so that a test can act meanwhile.
    pace: Duration,
    /// How each answer ended, in order.
    pub ended: Mutex<Vec<StopReason>>,
    n_active: AtomicUsize,
    pub most_active: AtomicUsize,
}

struct Decoding<'a>(TextStream<'a>);

impl TextDecoder for Decoding<'_> {
    fn push(&mut self, id: u32) -> Result<Option<String>, DecodeError> {
        Ok(self.0.push(id)?)
    }

    fn finish(self) -> Result<Option<String>, DecodeError> {
        Ok(self.0.finish()?)
    }
}

/// A folder of the shared material, or nothing where it is not here; on the build machine it must be.
fn shared(path: &str) -> Option<PathBuf> {
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let folder = std::env::var_os("LORIKEET_SHARED").map_or_else(|| here.into(), PathBuf::from).join(path);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "no test material at `{}`", folder.display());
    println!("skipped: no test material at `{}`", folder.display());
    None
}

/// An engine at full speed.
pub fn engine() -> Option<Arc<Engine>> {
    paced(Duration::ZERO)
}

/// An engine that waits after each token.
pub fn paced(pace: Duration) -> Option<Arc<Engine>> {
    let (llama, bert) = (shared("gguf/tiny-llama-hf")?, shared("parity/fixtures/bert/model")?);
    Some(Arc::new(Engine {
        model: Mutex::new(with_adapter(&llama)),
        tokenizer: Tokenizer::open(&llama).unwrap(),
        sorter: Mutex::new(Model::open(Fused::new(1).unwrap(), &bert).unwrap()),
        pace,
        ended: Mutex::default(),
        n_active: AtomicUsize::new(0),
        most_active: AtomicUsize::new(0),
    }))
}

/// An engine at full speed behind a server.
pub fn serve() -> Option<(Server, Arc<Engine>)> {
    let engine = engine()?;
    Some((Server::start(Arc::<Engine>::clone(&engine), 0).unwrap(), engine))
}

/// The model with an adapter that says something else than the base: both of its halves are random.
fn with_adapter(folder: &std::path::Path) -> Model<Fused> {
    let config = ModelConfig::read(folder, None).unwrap();
    let source = WeightSource::Files(ModelFiles::open(folder).unwrap());
    let spec = LoraSpec::new(4, 16.0, Targets::AllLinear, 1);
    let mut model = Model::build(Fused::new(1).unwrap(), config, &source, &Trainable::Lora(spec), 0).unwrap();
    let (backend, parameters) = model.parameters_mut();
    for (stream, parameter) in (0..).zip(parameters) {
        let numbers = random::Stream::new(5, stream);
        let n = parameter.dims.iter().product::<usize>() as u64;
        let values: Vec<f32> = (0..n).map(|i| numbers.normal(i) * 0.3).collect();
        backend.overwrite(&mut parameter.value, &values).unwrap();
    }
    model
}

impl Engine {
    fn prompt(&self, request: &GenerateRequest) -> Vec<u32> {
        let Some(messages) = &request.messages else {
            assert!(request.raw, "a prompt without a template is raw");
            return self.tokenizer.text_prompt(request.prompt.as_ref().unwrap()).unwrap();
        };
        let role = |name: &str| serde_json::from_value::<Role>(name.into()).unwrap();
        let messages = messages.iter().map(|said| Message::new(role(&said.role), said.content.clone())).collect();
        self.tokenizer.chat_prompt(&Chat { messages, tools: Vec::new() }).unwrap()
    }

    fn settings(&self, request: &GenerateRequest) -> GenerateSettings {
        GenerateSettings {
            sampling: Sampling {
                temperature: request.temperature.unwrap(),
                top_p: request.top_p.unwrap_or(1.0),
                top_k: request.top_k.map(|k| k as usize),
                seed: request.seed.unwrap(),
                ..Sampling::default()
            },
            max_tokens: request.max_tokens.unwrap() as usize,
            stop_ids: self.tokenizer.stop_ids().to_vec(),
            stop_texts: request.stop.clone().unwrap_or_default(),
        }
    }

    /// A text for the sorter, whose vocabulary is smaller than the tokenizer's.
    pub fn sorter_ids(&self, text: &str) -> Vec<u32> {
        self.tokenizer.encode(text, false).unwrap().ids.iter().map(|id| id % 256).collect()
    }

    /// A text's vector, computed beside the server.
    pub fn vector(&self, text: &str) -> Vec<f32> {
        let tokens = Tokens::from_sequences(&[self.sorter_ids(text)]);
        self.sorter.lock().unwrap().embeddings(&tokens, Pooling::Mean).unwrap().remove(0)
    }

    /// Label probabilities, computed beside the server.
    pub fn probabilities(&self, text: &str) -> Vec<f64> {
        let ids = self.sorter_ids(text);
        let model = self.sorter.lock().unwrap();
        let logits = model.backend().download(&model.logits(&Tokens::from_sequences(&[ids])).unwrap()).unwrap();
        let weights: Vec<f64> = logits.iter().map(|logit| f64::from(*logit).exp()).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / sum).collect()
    }

    /// How the answers so far ended, once there are `n`.
    pub fn ended_after(&self, n: usize) -> Vec<StopReason> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let ended = self.ended.lock().unwrap().clone();
            if ended.len() >= n {
                return ended;
            }
            assert!(Instant::now() < deadline, "only {ended:?} ended");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until an answer is being written.
    pub fn until_active(&self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.n_active.load(Ordering::SeqCst) == 0 {
            assert!(Instant::now() < deadline, "nothing is being written");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Served for Engine {
    fn models(&self) -> Vec<ServedModel> {
        let model = |name: &str, kind| ServedModel { name: name.to_owned(), kind, run: None, n_requests: 0 };
        vec![model(BASE, ServedKind::Base), model(TUNED, ServedKind::Adapter), model(SORTER, ServedKind::Classifier)]
    }

    fn generate(
        &self,
        request: GenerateRequest,
        sink: &mut dyn FnMut(GenerateUpdate) -> bool,
    ) -> Result<Generation, ApiError> {
        let n_active = self.n_active.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_active.fetch_max(n_active, Ordering::SeqCst);
        let (prompt, settings) = (self.prompt(&request), self.settings(&request));
        let mut model = self.model.lock().unwrap();
        model.set_adapters(request.model == TUNED);
        let mut heard = |update: lorikeet_generate::Update<'_>| {
            std::thread::sleep(self.pace);
            let (text, n_tokens) = (update.text.to_owned(), update.n_tokens as u64);
            sink(GenerateUpdate { text, n_tokens, tokens_per_s: update.tokens_per_s })
        };
        let answer = generate(&model, &prompt, &settings, Decoding(self.tokenizer.stream(true)), &mut heard);
        drop(model);
        self.n_active.fetch_sub(1, Ordering::SeqCst);
        let answer = answer.map_err(|error| ApiError::new(ErrorCode::InvalidRequest, error.to_string()))?;
        let stop_reason = match answer.stop_reason {
            lorikeet_generate::StopReason::Stop => StopReason::Stop,
            lorikeet_generate::StopReason::Length => StopReason::Length,
            lorikeet_generate::StopReason::Cancelled => StopReason::Cancelled,
        };
        self.ended.lock().unwrap().push(stop_reason);
        Ok(Generation {
            n_tokens: answer.n_tokens() as u64,
            text: answer.text,
            stop_reason,
            n_prompt_tokens: answer.n_prompt_tokens as u64,
            first_token_ms: (answer.first_token_s * 1e3) as u64,
            seconds: answer.seconds,
            tokens_per_s: answer.tokens_per_s,
        })
    }

    fn predict(&self, request: PredictRequest) -> Result<Prediction, ApiError> {
        assert_ne!(request.text, "break", "a defect, on request");
        let probabilities = self.probabilities(&request.text);
        let best = (0..probabilities.len()).max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b])).unwrap();
        let named: BTreeMap<String, f64> =
            probabilities.iter().enumerate().map(|(i, p)| (format!("label {i}"), *p)).collect();
        Ok(Prediction { label: format!("label {best}"), probabilities: named, seconds: 0.0 })
    }

    fn embed(&self, request: EmbedRequest) -> Result<Embeddings, ApiError> {
        let started = Instant::now();
        let texts: Vec<Vec<u32>> = request.texts.iter().map(|text| self.sorter_ids(text)).collect();
        let (tokens, model) = (Tokens::from_sequences(&texts), self.sorter.lock().unwrap());
        let embeddings = model.embeddings(&tokens, Pooling::Mean);
        let embeddings = embeddings.map_err(|e| ApiError::new(ErrorCode::InvalidRequest, e.to_string()))?;
        Ok(Embeddings {
            n_dimensions: embeddings[0].len() as u64,
            embeddings,
            pooling: "mean".to_owned(),
            n_tokens: tokens.ids.len() as u64,
            n_truncated: 0,
            seconds: started.elapsed().as_secs_f64(),
        })
    }
}
