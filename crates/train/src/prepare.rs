//! From a job to a model in memory and examples as tokens, with every refusal before the first step.

use std::time::Instant;

use lorikeet_data::{Labels, PrepareOptions, Prepared, SplitShares, Task, Tokenizer, prepare, split};
use lorikeet_models::{AdapterFiles, Backend, LoraSpec, Model, ModelConfig, ModelFiles, Trainable, WeightSource};

use crate::{Control, Event, EventKind, Goal, Observer, Phase, Plan, Result, TrainError, TrainJob, Work, samples};

/// Examples as tokens.
pub struct Examples {
    /// To learn from.
    pub train: Prepared,
    /// To check with.
    pub validation: Option<Prepared>,
    /// The base's tokenizer.
    pub tokenizer: Tokenizer,
    /// Questions that are answered at every check.
    pub(crate) questions: Vec<samples::Question>,
    /// When the work began.
    pub(crate) since: Instant,
    /// Bytes the process held with the examples, before the model.
    pub(crate) held_bytes: u64,
}

/// Reads the examples and puts the model together; `None` where the run was cancelled meanwhile.
pub(crate) fn load<B: Backend + Clone>(
    backend: &B,
    job: &TrainJob,
    observer: &mut (dyn Observer + Send),
) -> Result<Option<(Examples, Model<B>)>> {
    let since = Instant::now();
    let natural = Goal::natural(job.dataset.kind());
    job.settings.check(&Work { task: job.task, method: job.method, natural })?;
    let config = ModelConfig::read(&job.model_folder, None)?;
    suits(&config, job.task)?;
    let tokenizer = Tokenizer::open(&job.model_folder)?;
    tokenizer.check_fits(config.vocabulary())?;
    let Some(mut examples) = examples(job, &config, tokenizer, observer, since)? else { return Ok(None) };
    examples.held_bytes = observer.memory_bytes();
    let model = build(backend, job, examples.train.labels())?;
    if job.task == Task::Causal {
        examples.questions = samples::questions(job, &examples, &config)?;
    }
    Ok(Some((examples, model)))
}

/// Refuses a base that gives labels for texts. A base that continues texts learns to give labels with a new head.
fn suits(config: &ModelConfig, task: Task) -> Result<()> {
    if (config.task(), task) != (lorikeet_models::Task::Classify, Task::Causal) {
        return Ok(());
    }
    Err(TrainError::Conflict(format!(
        "the base is a `{}` model, which gives labels and does not continue texts; choose a base such as `llama` or `qwen2`, or the task `classify`",
        config.model_type
    )))
}

fn examples(
    job: &TrainJob,
    config: &ModelConfig,
    tokenizer: Tokenizer,
    observer: &mut (dyn Observer + Send),
    since: Instant,
) -> Result<Option<Examples>> {
    let (rows, held_out) = rows(job);
    let max_length = (job.settings.max_length as usize).min(config.max_positions());
    let mut options = PrepareOptions::new(job.task, max_length);
    options.now_unix_s = Some(job.started_unix_s);
    options.loss_on = job.settings.loss_on;
    options.n_threads = job.settings.threads.unwrap_or(0) as usize;
    let mut tell = |done: usize, total: usize| {
        let what = EventKind::Phase { phase: Phase::Tokenizing, done: done as u64, total: Some(total as u64) };
        observer.event(Event { seq: 0, step: 0, elapsed_ms: since.elapsed().as_millis() as u64, what });
    };
    let names = Some(Labels::in_order(config.label_names.clone())).filter(|l| trusted(l, config));
    let train = prepare(&job.dataset, &rows, &tokenizer, &options, names.as_ref(), &mut |p| tell(p.n_done, p.n_rows));
    // A base with other labels than the examples gets a new classifier, with the examples' labels.
    let train = match (train, names) {
        (Err(lorikeet_data::Error::UnknownLabel { .. }), Some(_)) => {
            prepare(&job.dataset, &rows, &tokenizer, &options, None, &mut |p| tell(p.n_done, p.n_rows))?
        }
        (train, _) => train?,
    };
    let labels = (job.task == Task::Classify).then(|| train.labels().clone());
    let (held_from, held_rows) = match &job.validation {
        Some(other) => (other, (0..other.len() as u32).collect()),
        None => (&job.dataset, held_out),
    };
    let validation = if held_rows.is_empty() {
        None
    } else {
        Some(prepare(held_from, &held_rows, &tokenizer, &options, labels.as_ref(), &mut |p| tell(p.n_done, p.n_rows))?)
    };
    if train.statistics().n_trained_tokens == 0 && job.task == Task::Causal {
        return Err(TrainError::NothingToLearn { n_rows: rows.len() });
    }
    let cancelled = observer.control() == Control::Cancel;
    Ok((!cancelled).then(|| Examples { train, validation, tokenizer, questions: Vec::new(), since, held_bytes: 0 }))
}

/// Label names that somebody chose: transformers fills in `LABEL_0`, `LABEL_1`, … where nobody did.
fn trusted(labels: &Labels, config: &ModelConfig) -> bool {
    let chosen = labels.names().iter().enumerate().any(|(i, name)| *name != format!("LABEL_{i}"));
    labels.len() > 1 && chosen && config.task() == lorikeet_models::Task::Classify
}

/// Rows to learn from, and rows to check with where no other examples serve for that.
pub(crate) fn rows(job: &TrainJob) -> (Vec<u32>, Vec<u32>) {
    let n = job.dataset.len();
    let validation = if job.validation.is_some() { 0.0 } else { job.settings.validation_split };
    let parts = split(n, SplitShares { validation, test: 0.0 }, job.settings.seed);
    (parts.train, parts.validation)
}

fn build<B: Backend + Clone>(backend: &B, job: &TrainJob, labels: &Labels) -> Result<Model<B>> {
    let classes = (job.task == Task::Classify).then(|| labels.len());
    let config = ModelConfig::read(&job.model_folder, classes)?;
    let mut trainable = job.settings.trainable(job.method, &config);
    if let (Some(folder), Trainable::Lora(spec)) = (&job.initial_adapter, &mut trainable) {
        // The shape is the adapter's; how it is trained is the run's.
        let own = AdapterFiles::open(folder)?.config.lora;
        *spec = LoraSpec { dropout: spec.dropout, seed: spec.seed, ..own };
    }
    let source = if job.settings.from_scratch {
        let (folder, deviation) = (job.model_folder.clone(), config.initial_deviation);
        WeightSource::Fresh { folder, seed: job.settings.seed, deviation }
    } else {
        WeightSource::Files(ModelFiles::open(&job.model_folder)?.quantised(job.settings.quantize.wanted()))
    };
    let mut model = Model::build(backend.clone(), config, &source, &trainable, job.settings.seed)?;
    if let Some(folder) = &job.initial_adapter {
        model.load_adapter(folder)?;
    }
    Ok(model)
}

/// What must be the same when a run goes on: everything that decides its bits.
pub(crate) fn fingerprint(job: &TrainJob, plan: &Plan) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut settings = plan.settings.to_values();
    // How often something is checked or kept changes no bit of the result, and neither do threads and what is computed again.
    for free in ["keep_checkpoints", "samples", "sample_tokens", "threads", "save_every", "recompute", "memory_limit"] {
        settings.remove(free);
    }
    let parts = [
        job.model_hash.clone(),
        job.dataset.hash().to_owned(),
        job.validation.as_ref().map(|d| d.hash().to_owned()).unwrap_or_default(),
        format!("{:?} {:?}", job.task, job.method),
        format!("{settings:?}"),
    ];
    for part in parts {
        hasher.update(part.as_bytes()).update(&[0]);
    }
    hasher.finalize().to_hex().to_string()
}

/// Share of examples that should end with a trained end-of-turn.
const ENDS_EXPECTED: f64 = 0.5;

/// What a person should know before the first step.
pub(crate) fn warnings(examples: &Prepared, job: &TrainJob) -> Vec<String> {
    let s = examples.statistics();
    let mut found = Vec::new();
    let percent = |n: usize| 100.0 * n as f64 / s.n_rows.max(1) as f64;
    if s.n_truncated > 0 {
        let limit = job.settings.max_length;
        found.push(format!(
            "{} examples ({:.1} %) are longer than {limit} tokens and are cut",
            s.n_truncated,
            percent(s.n_truncated)
        ));
    }
    if s.n_dropped > 0 {
        let share = percent(s.n_dropped);
        found.push(format!("{} examples ({share:.1} %) have no token to learn from and are left out", s.n_dropped));
    }
    if job.task == Task::Causal && s.share_end_trained() < ENDS_EXPECTED {
        let share = 100.0 * s.share_end_trained();
        found.push(format!("only {share:.0} % of the examples teach the model where to end; its answers may not stop"));
    }
    found
}
