//! What a run will do and cost, before it starts. Every number rests on something: counts on the examples, memory on the
//! model's sizes, time on earlier runs of the same model on this computer; what rests on nothing is `null`.
//!
//! Memory, in bytes, is weights as stored, plus what moves times 16 (value, gradient, two moments; 32-bit each), plus the
//! longest batch: per token and block 4 × (8 C + 3 I) for what a backward needs, with width C and inner width I; with
//! recomputation only C per block and one block in full; plus 4 × V per supervised token, at most 512 at a time, for the
//! head. The constants are those of the fused back end.

use lorikeet_data::{SplitShares, split};
use lorikeet_jobs::train::{Plan, RecomputeChoice};
use lorikeet_models::Architecture;
use lorikeet_registry::{RunFilter, RunStatus};

use crate::compatibility::{Kind, loads_in};
use crate::counting::{Counted, limit};
use crate::models::Measured;
use crate::wanted::Wanted;
use crate::wire::{
    ApiError, DatasetKind, EstimateNote, MemoryEstimate, Mend, Method, NoteLevel, RunEstimate, RunRequest,
    SettingValue, Task,
};
use crate::{App, data, settings};

/// Memory of the program itself.
const PROGRAM_BYTES: u64 = 48 << 20;
/// Supervised tokens whose logits exist at once.
const HEAD_ROWS: u64 = 512;
/// A check has no backward, which is about two thirds of a step.
const CHECK_SHARE: f64 = 1.0 / 3.0;

/// Body of `run_estimate`.
pub fn estimate(app: &App, request: RunRequest) -> Result<RunEstimate, ApiError> {
    let wanted = Wanted::find(app, &request)?;
    of(app, &wanted, &request)
}

/// What a request will cost whose parts were found.
pub(crate) fn of(app: &App, wanted: &Wanted, request: &RunRequest) -> Result<RunEstimate, ApiError> {
    let counted = Parts::count(app, wanted)?;
    let method = settings::moves(wanted.method);
    let n_examples = counted.train_examples(wanted);
    let n_places = if wanted.settings.packing { counted.packs(wanted) } else { n_examples };
    let plan = Plan::new(&wanted.settings, method, &wanted.config, n_places as usize, counted.n_validation > 0);
    let passes = plan.settings.epochs;
    let share = n_examples as f64 / counted.all.n_examples.max(1) as f64;
    let n_tokens = (counted.all.n_tokens as f64 * share * passes) as u64;
    let n_trainable = trainable(wanted, plan.settings.target_modules.as_deref().unwrap_or_default());
    let measured = Measured::of(app, &wanted.model.id)?;
    let checks = plan.evaluate_every.map_or(0, |every| plan.n_steps / every + 1) as f64;
    let check_tokens = counted.validation_tokens() as f64 * checks;
    let training_seconds = measured.tokens_per_s.map(|speed| n_tokens as f64 / speed.max(1e-9));
    let evaluating_seconds = measured.tokens_per_s.map(|speed| check_tokens * CHECK_SHARE / speed.max(1e-9));
    let memory = memory(wanted, &counted.all, n_trainable);
    let checkpoint_bytes = n_trainable * 12;
    let n_checkpoints = (wanted.settings.keep_checkpoints + 1).min(plan.n_steps / plan.save_every.max(1) + 1);
    let adapter_bytes = n_trainable * 4;
    let queued = RunFilter::in_status(&[RunStatus::Queued, RunStatus::Running]);
    Ok(RunEstimate {
        name: app.registry().runs().next_id(request.name.as_deref(), Some(&wanted.data.id))?,
        task: wanted.task,
        n_steps: plan.n_steps,
        n_epochs: passes,
        n_rows_train: counted.n_train,
        n_rows_validation: counted.n_validation,
        n_tokens,
        n_trained_tokens: (counted.all.n_trained as f64 * share * passes) as u64,
        n_trainable,
        n_parameters: wanted.model.n_parameters + if wanted.method == Method::Lora { n_trainable } else { 0 },
        seconds: training_seconds.zip(evaluating_seconds).map(|(a, b)| a + b),
        training_seconds,
        evaluating_seconds,
        tokens_per_s: measured.tokens_per_s,
        basis: basis(measured.n_runs),
        memory,
        disk_bytes: checkpoint_bytes * n_checkpoints + adapter_bytes,
        n_checkpoints,
        adapter_bytes,
        loads_in: loads_in(result_kind(wanted)),
        notes: notes(wanted, &counted, &memory),
        settings: settings::values(&serde_json::to_value(plan.settings.to_values()).unwrap_or_default()),
        n_queued: app.registry().runs().count(&queued)?,
    })
}

/// What decides where the result loads.
fn result_kind(wanted: &Wanted) -> Kind<'_> {
    Kind {
        family: &wanted.config.model_type,
        method: wanted.method,
        is_dora: wanted.settings.dora,
        labels: wanted.task == Task::Classify,
    }
}

fn basis(n_runs: u64) -> String {
    match n_runs {
        0 => "This model was not trained on this computer yet, so no time is known.".to_owned(),
        1 => "Measured here in one earlier run.".to_owned(),
        n => format!("Measured here in {n} earlier runs."),
    }
}

/// Examples in numbers: all of them, and how they are divided.
struct Parts {
    all: std::sync::Arc<Counted>,
    other: Option<std::sync::Arc<Counted>>,
    n_train: u64,
    n_validation: u64,
}

impl Parts {
    fn count(app: &App, wanted: &Wanted) -> Result<Parts, ApiError> {
        let tokenizer = app.counts.tokenizer(&wanted.folder)?;
        let max_length = limit(&wanted.folder, wanted.settings.max_length)?;
        let counted = |hash: &str| {
            let dataset = app.library.store.dataset(hash)?;
            let task = crate::counting::task_of_kind(dataset.kind());
            app.counts.of(&dataset, &tokenizer, (task, wanted.settings.loss_on), max_length)
        };
        let all = counted(&wanted.data.hash)?;
        let other = wanted.validation.as_ref().map(|row| counted(&row.hash)).transpose()?;
        let share = if other.is_some() { 0.0 } else { wanted.settings.validation_split };
        let parts =
            split(wanted.data.n_rows as usize, SplitShares { validation: share, test: 0.0 }, wanted.settings.seed);
        let n_validation = other.as_ref().map_or(parts.validation.len() as u64, |counted| counted.n_rows_all);
        Ok(Parts { all, other, n_train: parts.train.len() as u64, n_validation })
    }

    /// Sequences to learn from: rows may be dropped, and long texts make several.
    fn train_examples(&self, wanted: &Wanted) -> u64 {
        let per_row = self.all.n_examples as f64 / self.all.n_rows.max(1) as f64;
        let share = self.n_train as f64 / wanted.data.n_rows.max(1) as f64;
        (self.all.n_rows_all as f64 * per_row * share).round() as u64
    }

    /// Packs that the examples make, if every one is filled.
    fn packs(&self, wanted: &Wanted) -> u64 {
        let per_example = self.all.n_tokens as f64 / self.all.n_examples.max(1) as f64;
        let n_tokens = (self.train_examples(wanted) as f64 * per_example) as u64;
        n_tokens.div_ceil(wanted.settings.max_length).max(1)
    }

    fn validation_tokens(&self) -> u64 {
        let counted = self.other.as_ref().unwrap_or(&self.all);
        (counted.n_tokens as f64 / counted.n_rows.max(1) as f64 * self.n_validation as f64) as u64
    }
}

/// Numbers that move.
fn trainable(wanted: &Wanted, names: &[String]) -> u64 {
    if wanted.method == Method::Full {
        return wanted.model.n_parameters;
    }
    let (maps, n_blocks) = wanted.config.linears();
    let ends = |path: &str, name: &str| path.strip_suffix(name).is_some_and(|b| b.is_empty() || b.ends_with('.'));
    let covers = |map: &str| names.iter().any(|n| n == "all-linear" || ends(map, n) || ends(n, map));
    let s = &wanted.settings;
    let rank = |map: &str| s.rank_pattern.0.iter().find(|(n, _)| ends(map, n)).map_or(s.rank, |(_, r)| *r as u64);
    let of = |(name, rows, cols): &(&str, usize, usize)| {
        (rows + cols) as u64 * rank(name) + if s.dora { *rows as u64 } else { 0 }
    };
    let per_block: u64 = maps.iter().filter(|(name, ..)| covers(name)).map(of).sum();
    let head = wanted.n_labels().map_or(0, |labels| wanted.config.n_head_parameters(labels));
    per_block * n_blocks as u64 + head as u64
}

fn memory(wanted: &Wanted, counted: &Counted, n_trainable: u64) -> MemoryEstimate {
    let (width, inner, blocks) = match &wanted.config.architecture {
        Architecture::Decoder(d) => (d.width, d.inner, d.layers.len()),
        Architecture::Encoder(e) => (e.width, e.inner, e.layers * e.group_layers),
    };
    let n_logits = wanted.n_labels().unwrap_or(wanted.config.vocabulary());
    let (width, inner, blocks) = (width as u64, inner as u64, blocks as u64);
    // A place of a batch holds a pack, or one sequence, or the two answers of a pair.
    let n_sequences = if data::kind_of(&wanted.data) == DatasetKind::Preference { 2 } else { 1 };
    let place = if wanted.settings.packing { wanted.settings.max_length } else { counted.longest * n_sequences };
    let tokens = wanted.settings.batch_size * place;
    let block = 8 * width + 3 * inner;
    let kept = match wanted.settings.recompute {
        RecomputeChoice::Never => blocks * block,
        RecomputeChoice::Blocks => blocks * width + block,
    };
    let head = tokens.min(HEAD_ROWS) * n_logits as u64 * 2;
    let base_bytes = if wanted.method == Method::Full { 0 } else { base_bytes(wanted) } + PROGRAM_BYTES;
    let (trainable_bytes, batch_bytes) = (n_trainable * 16, 4 * (tokens * kept + head));
    MemoryEstimate {
        total_bytes: base_bytes + trainable_bytes + batch_bytes,
        base_bytes,
        trainable_bytes,
        batch_bytes,
        available_bytes: crate::app::memory_available(),
    }
}

fn notes(wanted: &Wanted, counted: &Parts, memory: &MemoryEstimate) -> Vec<EstimateNote> {
    let mut found = Vec::new();
    let mut note = |level, text: String, mend| found.push(EstimateNote { level, text, mend });
    if let Some(refusal) = wanted.refusal() {
        note(NoteLevel::Refused, refusal.message, None);
    }
    let all = &counted.all;
    if all.n_trained == 0 {
        note(NoteLevel::Refused, "No token of these examples would be learned.".to_owned(), None);
    }
    if memory.available_bytes > 0 && memory.total_bytes > memory.available_bytes {
        let half = (wanted.settings.batch_size / 2).max(1);
        let mend = mend(format!("Use a batch of {half}"), "batch_size", half);
        let (needs, free) = (gigabytes(memory.total_bytes), gigabytes(memory.available_bytes));
        note(NoteLevel::Warning, format!("This needs about {needs}, and {free} is free."), Some(mend));
    }
    if all.n_truncated > 0 {
        let share = 100.0 * all.n_truncated as f64 / all.n_rows.max(1) as f64;
        let text = format!(
            "{} of {} examples ({share:.1} %) are longer than {} tokens and are cut.",
            all.n_truncated, all.n_rows, wanted.settings.max_length
        );
        let room = all.lengths.longest.min(wanted.config.max_positions() as u64);
        let can_rise = room > wanted.settings.max_length;
        note(NoteLevel::Warning, text, can_rise.then(|| mend(format!("Raise to {room}"), "max_length", room)));
    }
    if wanted.task == Task::Causal && all.n_trained > 0 {
        let share = 100.0 * all.n_end_trained as f64 / (all.n_rows - all.n_dropped).max(1) as f64;
        let (level, rest) = match share {
            s if s < 50.0 => (NoteLevel::Warning, "; answers may not stop"),
            _ => (NoteLevel::Good, ""),
        };
        note(level, format!("{share:.0} % of the examples teach the model where to end{rest}."), None);
    }
    if counted.n_validation == 0 {
        note(
            NoteLevel::Information,
            "Nothing is kept aside, so there is no check on unseen examples.".to_owned(),
            None,
        );
    }
    if all.n_rows < all.n_rows_all {
        let text = format!("Counted on the first {} of {} rows.", all.n_rows, all.n_rows_all);
        note(NoteLevel::Information, text, None);
    }
    found.sort_by_key(|note| match note.level {
        NoteLevel::Refused => 0,
        NoteLevel::Warning => 1,
        NoteLevel::Good => 2,
        NoteLevel::Information => 3,
    });
    found
}

fn mend(label: String, setting: &str, value: u64) -> Mend {
    Mend { label, setting: setting.to_owned(), value: SettingValue::Integer(value as i64) }
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}
/// Bytes of a frozen base in memory.
fn base_bytes(wanted: &Wanted) -> u64 {
    let (n_parameters, n_bytes) = (wanted.model.n_parameters, wanted.model.n_bytes);
    wanted.settings.quantize.wanted().map_or(n_bytes, |quantise| quantise.n_bytes(n_parameters, n_bytes))
}
