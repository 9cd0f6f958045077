//! Using a model: asking it, sorting with it, measuring it. Loaded models are kept for the next question; a base and the same
//! base with an adapter are one loaded model.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use lorikeet_data::{Chat, Labels, Message, PrepareOptions, Prepared, Role, Task, TemplateOrigin, Tokenizer, prepare};
use lorikeet_generate::{GenerateSettings, Sampling, StopReason as Reason};
use lorikeet_jobs::train::{Criterion, Found, Measured, Ranking, Settings, tokens_of};
use lorikeet_models::{ModelConfig, export::write_tensors};

use crate::App;
use crate::failure::invalid;
use crate::loaded::{Parts, Ready};
use crate::wire::{
    ApiError, ChatMessage, ErrorCode, EvaluateRequest, Evaluation, GenerateRequest, GenerateUpdate, Generation,
    LabelFound, LabelReport, PredictRequest, Prediction, StopReason, WorkProgress,
};

/// Longest answer when nothing is said.
const MAX_TOKENS: u64 = 256;
/// Rows of a measurement read together when nothing is said.
const BATCH_SIZE: u64 = 8;

/// Body of `generate`.
pub fn generate(
    app: &App,
    request: GenerateRequest,
    sink: &mut dyn FnMut(GenerateUpdate) -> bool,
) -> Result<Generation, ApiError> {
    let parts = Parts::find(app, &request.model, request.adapter.as_deref())?.quantised(request.quantize);
    let ready = app.loaded.get(&parts, None)?;
    answer(&ready, parts.adapter.is_some(), request, sink)
}

/// A loaded model's answer.
pub(crate) fn answer(
    ready: &Ready,
    with_adapter: bool,
    request: GenerateRequest,
    sink: &mut dyn FnMut(GenerateUpdate) -> bool,
) -> Result<Generation, ApiError> {
    let prompt = prompt(&ready.tokenizer, &request)?;
    let asked = GenerateSettings {
        sampling: Sampling {
            temperature: request.temperature.unwrap_or(0.0),
            top_p: request.top_p.unwrap_or(1.0),
            top_k: request.top_k.map(|k| k as usize),
            seed: request.seed.unwrap_or(0),
            ..Sampling::default()
        },
        max_tokens: request.max_tokens.unwrap_or(MAX_TOKENS) as usize,
        stop_ids: ready.tokenizer.stop_ids().to_vec(),
        stop_texts: request.stop.unwrap_or_default(),
    };
    let answer = ready.executor().generate(with_adapter, &prompt, &asked, &ready.tokenizer, &mut |update| {
        let text = update.text.to_owned();
        sink(GenerateUpdate { text, n_tokens: update.n_tokens as u64, tokens_per_s: update.tokens_per_s })
    })?;
    Ok(Generation {
        n_tokens: answer.n_tokens() as u64,
        text: answer.text,
        stop_reason: match answer.stop_reason {
            Reason::Stop => StopReason::Stop,
            Reason::Length => StopReason::Length,
            Reason::Cancelled => StopReason::Cancelled,
        },
        n_prompt_tokens: answer.n_prompt_tokens as u64,
        first_token_ms: (answer.first_token_s * 1e3) as u64,
        seconds: answer.seconds,
        tokens_per_s: answer.tokens_per_s,
    })
}

/// The prompt as token ids: dressed by the model's own template where it has one, as it is otherwise or when `raw`.
fn prompt(tokenizer: &Tokenizer, request: &GenerateRequest) -> Result<Vec<u32>, ApiError> {
    let has_template = tokenizer.template().origin() == TemplateOrigin::Model;
    let message = |role: Role, content: &str| Message::new(role, content);
    let messages = match (&request.prompt, &request.messages) {
        (Some(prompt), None) if request.raw || (!has_template && request.system.is_none()) => {
            return Ok(tokenizer.text_prompt(prompt)?);
        }
        (Some(prompt), None) => {
            let system = request.system.as_deref().map(|words| message(Role::System, words));
            system.into_iter().chain([message(Role::User, prompt)]).collect()
        }
        (None, Some(messages)) => messages.iter().map(chat_message).collect::<Result<Vec<_>, _>>()?,
        _ => return Err(invalid("give exactly one of `prompt` and `messages`")),
    };
    Ok(tokenizer.chat_prompt(&Chat { messages, tools: Vec::new() })?)
}

fn chat_message(message: &ChatMessage) -> Result<Message, ApiError> {
    let role = match message.role.as_str() {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        other => return Err(invalid(format!("a message's role is system, user, assistant or tool, not: `{other}`"))),
    };
    Ok(Message::new(role, message.content.as_str()))
}

/// The labels of a classifier: those its training noted, else those of its configuration.
fn labels(ready: &Ready) -> Vec<String> {
    let noted = ready.info.as_ref().map(|info| info.labels.clone()).filter(|labels| !labels.is_empty());
    noted.unwrap_or_else(|| ready.executor().config().label_names.clone())
}

/// Body of `predict`.
pub fn predict(app: &App, request: PredictRequest) -> Result<Prediction, ApiError> {
    let parts = Parts::find(app, &request.model, request.adapter.as_deref())?.quantised(request.quantize);
    let ready = app.loaded.get(&parts, None)?;
    judgement(&ready, &request.text)
}

/// What a loaded classifier says of a text.
pub(crate) fn judgement(ready: &Ready, text: &str) -> Result<Prediction, ApiError> {
    let started = Instant::now();
    let limit = ready.executor().config().max_positions();
    let length = ready.info.as_ref().map_or(limit, |info| (info.max_length as usize).min(limit));
    let input = ready.tokenizer.encode_for_classifier(text, None, length)?;
    let probabilities = ready.executor().judge(&input.ids, &input.token_types)?;
    let names = labels(ready);
    let named = |at: usize| names.get(at).cloned().unwrap_or_else(|| format!("LABEL_{at}"));
    let best = (0..probabilities.len()).max_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b])).unwrap_or(0);
    let probabilities: BTreeMap<String, f64> =
        probabilities.into_iter().enumerate().map(|(at, p)| (named(at), p)).collect();
    Ok(Prediction { label: named(best), probabilities, seconds: started.elapsed().as_secs_f64() })
}

/// Body of `evaluate`.
pub fn evaluate(
    app: &App,
    request: EvaluateRequest,
    sink: &mut dyn FnMut(WorkProgress) -> bool,
) -> Result<Evaluation, ApiError> {
    evaluate_and_keep(app, request, None, sink)
}

/// [`evaluate`], which also writes the tokens and logits of the first rows to the file `logits`, for comparison with what
/// another program makes of the same model.
///
/// # Errors
/// As there, and where the file cannot be written.
pub fn evaluate_and_keep(
    app: &App,
    request: EvaluateRequest,
    logits: Option<&Path>,
    sink: &mut dyn FnMut(WorkProgress) -> bool,
) -> Result<Evaluation, ApiError> {
    let parts = Parts::find(app, &request.model, request.adapter.as_deref())?.quantised(request.quantize);
    let row = app.library.use_dataset(&request.data)?;
    let dataset = app.library.store.dataset(&row.hash)?;
    let config = parts.config()?;
    let task = match config.task() {
        lorikeet_models::Task::Causal => Task::Causal,
        lorikeet_models::Task::Classify => Task::Classify,
    };
    let known = known_labels(&parts, &config);
    // A base without a classifier guesses among the labels of the examples.
    let n_labels = (task == Task::Classify && parts.adapter.is_none() && known.is_none())
        .then_some(dataset.description().labels.len());
    let ready = app.loaded.get(&parts, n_labels)?;
    let max_length = request.max_length.or(parts.info.as_ref().map(|info| info.max_length));
    let max_length = max_length.unwrap_or(Settings::default().max_length) as usize;
    let options = PrepareOptions::new(task, max_length.min(config.max_positions()));
    let n_rows = dataset.len().min(request.limit.unwrap_or(u64::MAX) as usize) as u32;
    let rows: Vec<u32> = (0..n_rows).collect();
    let started = Instant::now();
    let examples = prepare(&dataset, &rows, &ready.tokenizer, &options, known.as_ref(), &mut |_| {})?;
    let batch_size = request.batch_size.unwrap_or(BATCH_SIZE).max(1) as usize;
    if let Some(path) = logits {
        write_logits(&ready, parts.adapter.is_some(), &examples, task, path)?;
    }
    let by = (task, parts.info.as_ref().and_then(|info| info.preference));
    let measured = measure(&ready, parts.adapter.is_some(), &examples, by, batch_size, sink)?;
    let measured = measured.ok_or_else(|| ApiError::new(ErrorCode::Cancelled, "the measurement was stopped"))?;
    let scores = measured.scores;
    Ok(Evaluation {
        n: (examples.statistics().n_rows - examples.statistics().n_dropped) as u64,
        loss: crate::told::mean(scores.loss.sum, scores.loss.count as u64),
        n_tokens: if task == Task::Causal { scores.loss.count as u64 } else { examples.statistics().n_tokens },
        perplexity: scores.perplexity().filter(|p| p.is_finite()),
        preference: scores.preference.map(crate::told::rewards),
        accuracy: scores.labels.map(|labels| labels.accuracy),
        f1_macro: scores.labels.map(|labels| labels.f1_macro),
        labels: label_report(&measured, examples.labels()),
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// Everything that was counted of the labels.
fn label_report(measured: &Measured, labels: &Labels) -> Option<LabelReport> {
    let confusion = measured.confusion.as_ref()?;
    let all = 0..confusion.n_labels();
    let found = |(k, label): (usize, &String)| {
        let Found { precision, recall, f1 } = confusion.found(k);
        LabelFound { label: label.clone(), n: confusion.n_true(k), precision, recall, f1 }
    };
    let (even, weighted) = (confusion.found_macro(), confusion.found_weighted());
    Some(LabelReport {
        per_label: labels.names().iter().enumerate().map(found).collect(),
        confusion: all.clone().map(|t| all.clone().map(|p| confusion.count(t, p)).collect()).collect(),
        precision_macro: even.precision,
        recall_macro: even.recall,
        precision_weighted: weighted.precision,
        recall_weighted: weighted.recall,
        f1_weighted: weighted.f1,
        balanced_accuracy: confusion.balanced_accuracy(),
        matthews: confusion.matthews(),
        kappa: confusion.kappa(),
        roc_auc: measured.ranking.as_ref().and_then(Ranking::roc_auc),
        average_precision: measured.ranking.as_ref().and_then(Ranking::average_precision),
    })
}

/// Rows whose logits are kept.
const KEPT_ROWS: u32 = 8;

/// A safetensors file with `input_ids` (N), `starts` of the rows among them (S + 1), and `logits`: a row for each token, or for
/// each text of a classifier.
fn write_logits(
    ready: &Ready,
    with_adapter: bool,
    examples: &Prepared,
    task: Task,
    path: &Path,
) -> Result<(), ApiError> {
    let chosen: Vec<u32> = (0..KEPT_ROWS.min(examples.len() as u32)).collect();
    let batch = examples.batch(&chosen);
    let starts: Vec<f32> = batch.starts.iter().map(|n| *n as f32).collect();
    let (tokens, _) = tokens_of(batch, task);
    let ids: Vec<f32> = tokens.ids.iter().map(|id| *id as f32).collect();
    let rows = if task == Task::Causal { ids.len() } else { chosen.len() };
    let logits = ready.executor().logits(with_adapter, &tokens)?;
    let tensor = |name: &str, dims: Vec<usize>, numbers: Vec<f32>| (name.to_owned(), dims, numbers);
    let columns = logits.len().checked_div(rows).unwrap_or_default();
    let tensors = vec![
        tensor("input_ids", vec![ids.len()], ids),
        tensor("starts", vec![starts.len()], starts),
        tensor("logits", vec![rows, columns], logits),
    ];
    Ok(write_tensors(path, tensors, "pt")?)
}

/// Labels in the order of the classifier, where they are known.
fn known_labels(parts: &Parts, config: &ModelConfig) -> Option<Labels> {
    let noted = parts.info.as_ref().map(|info| info.labels.clone()).filter(|labels| !labels.is_empty());
    let named = || {
        // transformers writes `LABEL_0`, `LABEL_1`, … where nobody chose names.
        let is_chosen = config.label_names.iter().enumerate().any(|(at, name)| *name != format!("LABEL_{at}"));
        is_chosen.then(|| config.label_names.clone())
    };
    noted.or_else(named).map(Labels::in_order)
}

/// Measures on a thread of its own, because the device's threads do the work and `sink` belongs to this one.
fn measure(
    ready: &Ready,
    with_adapter: bool,
    examples: &Prepared,
    by: (Task, Option<Criterion>),
    batch_size: usize,
    sink: &mut dyn FnMut(WorkProgress) -> bool,
) -> Result<Option<Measured>, ApiError> {
    let n_rows = examples.len() as u64;
    let (sender, receiver) = std::sync::mpsc::sync_channel::<u64>(1);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let relaxed = std::sync::atomic::Ordering::Relaxed;
    std::thread::scope(|scope| {
        let stop = &stop;
        let worker = scope.spawn(move || {
            let mut progress = |done: u64, _: u64| {
                // A full channel only means that this step is not shown.
                let _ = sender.try_send(done * batch_size as u64);
                !stop.load(relaxed)
            };
            ready.executor().measure(with_adapter, examples, by, batch_size, &mut progress)
        });
        for done in receiver {
            let shown = WorkProgress { unit: "rows".to_owned(), done: done.min(n_rows), total: Some(n_rows) };
            if !sink(shown) {
                stop.store(true, relaxed);
            }
        }
        match worker.join() {
            Ok(result) => Ok(result?),
            Err(_) => Err(ApiError::new(ErrorCode::Internal, "the measurement ended by a defect")),
        }
    })
}

/// Whether an adapter lies there, in any form that is read.
pub fn is_adapter(folder: &Path) -> bool {
    lorikeet_models::AdapterForm::of(folder).is_some()
}
