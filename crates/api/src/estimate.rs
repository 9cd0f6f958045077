//! What a run will do and cost, before it starts. Every number rests on something: counts on the examples, memory on the
//! model's sizes, time on earlier runs of the same model on this computer; what rests on nothing is `null`.
//!
//! Memory is what the program holds now, its tokens and tokenizer to come, and what training itself counts by running its own
//! code over sizes (`train::memory`).

use lorikeet_data::{SplitShares, Tokenizer, split};
use lorikeet_jobs::train::{BatchSize, Footprint, Needs, Plan, Scale, Settings, Way};
use lorikeet_jobs::{memory_available_bytes, memory_bytes};
use lorikeet_registry::{RunFilter, RunStatus};

use crate::compatibility::{Kind, loads_in};
use crate::counting::{Counted, limit};
use crate::models::Measured;
use crate::wanted::Wanted;
use crate::wire::{
    ApiError, EstimateNote, MemoryEstimate, Mend, Method, NoteLevel, RunEstimate, RunRequest, SettingValue, Task,
};
use crate::{App, settings};

/// Bytes of a prepared token: its id, and whether it is learned.
const TOKEN_BYTES: u64 = 5;
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
    let n_trainable = n_trainable(wanted, &plan.settings)?;
    let measured = Measured::of(app, &wanted.model.id)?;
    let checks = plan.evaluate_every.map_or(0, |every| plan.n_steps / every + 1) as f64;
    let check_tokens = counted.validation_tokens() as f64 * checks;
    let training_seconds = measured.tokens_per_s.map(|speed| n_tokens as f64 / speed.max(1e-9));
    let evaluating_seconds = measured.tokens_per_s.map(|speed| check_tokens * CHECK_SHARE / speed.max(1e-9));
    let memory = Memory::of(wanted, &counted)?;
    let would_fit = worth_it(app, wanted, &counted, memory.mends()?)?;
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
        memory: memory.told(),
        disk_bytes: checkpoint_bytes * n_checkpoints + adapter_bytes,
        n_checkpoints,
        adapter_bytes,
        loads_in: loads_in(result_kind(wanted)),
        notes: notes(wanted, &counted, &memory, &would_fit),
        would_fit,
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
        let counted = |hash: &str| counted(app, wanted, &tokenizer, (hash, wanted.settings.max_length));
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

/// A dataset as it is when cut at `max_length` tokens.
fn counted(
    app: &App,
    wanted: &Wanted,
    tokenizer: &Tokenizer,
    (hash, max_length): (&str, u64),
) -> Result<std::sync::Arc<Counted>, ApiError> {
    let dataset = app.library.store.dataset(hash)?;
    let task = crate::counting::task_of_kind(dataset.kind());
    let max_length = limit(&wanted.folder, max_length)?;
    app.counts.of(&dataset, tokenizer, (task, wanted.settings.loss_on), max_length)
}

/// Of the ways to make a run fit, those that leave most of what it is to learn: a cut takes it from the end.
fn worth_it(app: &App, wanted: &Wanted, counts: &Parts, mends: Vec<Mend>) -> Result<Vec<Mend>, ApiError> {
    let tokenizer = app.counts.tokenizer(&wanted.folder)?;
    let mut kept = Vec::with_capacity(mends.len());
    for mend in mends {
        let cut = match mend.settings.get("max_length") {
            Some(SettingValue::Integer(length)) => Some(length.unsigned_abs()),
            _ => None,
        };
        let cut = cut.map(|length| counted(app, wanted, &tokenizer, (&wanted.data.hash, length))).transpose()?;
        if cut.is_none_or(|cut| 2 * cut.n_trained >= counts.all.n_trained.max(1)) {
            kept.push(mend);
        }
    }
    Ok(kept)
}

/// Numbers that move.
fn n_trainable(wanted: &Wanted, settings: &Settings) -> Result<u64, ApiError> {
    if wanted.method == Method::Full {
        return Ok(wanted.model.n_parameters);
    }
    let scale = Scale::new(&wanted.folder, settings, settings::moves(wanted.method), wanted.n_labels());
    // What cannot be put together is said in a note.
    Ok(scale.map_or(0, |scale| scale.n_trainable() as u64))
}

/// What a run will hold, and may hold.
struct Memory<'a> {
    needs: Needs<'a>,
    /// Why it cannot be known, or what the run holds besides the process.
    footprint: Result<Footprint, String>,
    available_bytes: u64,
    /// What the process may hold in all; `None` where the system does not tell and nobody has set it.
    budget_bytes: Option<u64>,
}

impl<'a> Memory<'a> {
    fn of(wanted: &'a Wanted, counted: &Parts) -> Result<Memory<'a>, ApiError> {
        let (now, available_bytes) = (memory_bytes(), memory_available_bytes());
        let limit = wanted.settings.memory_limit.map(|gigabytes| (gigabytes * 1e9) as u64);
        let budget_bytes = limit.or((available_bytes > 0).then_some(now + available_bytes));
        let n_tokens = counted.all.n_tokens + counted.validation_tokens();
        let needs = Needs {
            folder: &wanted.folder,
            settings: &wanted.settings,
            method: settings::moves(wanted.method),
            labels: wanted.n_labels(),
            batch: longest_batch(wanted, &counted.all),
            held_bytes: now + n_tokens * TOKEN_BYTES,
        };
        let footprint = needs.within(budget_bytes).map(|(_, footprint)| footprint).map_err(|e| e.to_string());
        Ok(Memory { needs, footprint, available_bytes, budget_bytes })
    }

    fn told(&self) -> MemoryEstimate {
        let Footprint { base_bytes, trained_bytes, batch_bytes } = self.footprint.clone().unwrap_or_default();
        let base_bytes = self.needs.held_bytes + base_bytes;
        MemoryEstimate {
            total_bytes: base_bytes + trained_bytes + batch_bytes,
            base_bytes,
            trainable_bytes: trained_bytes,
            batch_bytes,
            available_bytes: self.available_bytes,
            limit_bytes: self.budget_bytes,
        }
    }

    fn is_too_much(&self) -> bool {
        self.budget_bytes.is_some_and(|budget| self.told().total_bytes > budget)
    }

    /// What would make a run fit that does not; the label says what it would need then.
    fn mends(&self) -> Result<Vec<Mend>, ApiError> {
        let Some(budget) = self.budget_bytes.filter(|_| self.is_too_much()) else { return Ok(Vec::new()) };
        let mend = |way: Way| {
            let settings = way.settings.iter().map(|(name, v)| (name.clone(), settings::value(v))).collect();
            Mend { label: format!("{} ({})", way.label, gigabytes(way.needed_bytes)), settings }
        };
        Ok(self.needs.ways(budget)?.into_iter().map(mend).collect())
    }

    /// What stands in the way, and what would clear it.
    fn notes(&self, would_fit: &[Mend]) -> Vec<EstimateNote> {
        let refused = |text: String| EstimateNote { level: NoteLevel::Refused, text, mend: None };
        if let Err(reason) = &self.footprint {
            return vec![refused(format!("This cannot be put together: {reason}."))];
        }
        let Some(budget) = self.budget_bytes.filter(|_| self.is_too_much()) else { return Vec::new() };
        let (needs, may) = (gigabytes(self.told().total_bytes), gigabytes(budget));
        let mut notes = vec![refused(format!("This needs about {needs}, and the program may hold {may}."))];
        let text = "This would fit:".to_owned();
        notes.extend(would_fit.iter().map(|mend| {
            let mend = Some(mend.clone());
            EstimateNote { level: NoteLevel::Warning, text: text.clone(), mend }
        }));
        notes
    }
}

/// The batch that needs the most: the longest examples together, or packs that are all full.
fn longest_batch(wanted: &Wanted, counted: &Counted) -> BatchSize {
    let n = wanted.settings.batch_size as usize;
    if wanted.settings.packing {
        let (length, share) =
            (wanted.settings.max_length as usize, counted.n_trained as f64 / counted.n_tokens.max(1) as f64);
        return BatchSize { sequences: vec![length; n], n_supervised: ((n * length) as f64 * share) as usize };
    }
    let longest = counted.longest.iter().take(n);
    let mut batch = BatchSize::default();
    for (sequences, n_supervised) in longest {
        batch.sequences.extend(sequences);
        batch.n_supervised += n_supervised;
    }
    batch
}

fn notes(wanted: &Wanted, counted: &Parts, memory: &Memory<'_>, would_fit: &[Mend]) -> Vec<EstimateNote> {
    let mut found = memory.notes(would_fit);
    let mut note = |level, text: String, mend| found.push(EstimateNote { level, text, mend });
    if let Some(refusal) = wanted.refusal() {
        note(NoteLevel::Refused, refusal.message, None);
    }
    let all = &counted.all;
    if all.n_trained == 0 {
        note(NoteLevel::Refused, "No token of these examples would be learned.".to_owned(), None);
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
    Mend { label, settings: [(setting.to_owned(), SettingValue::Integer(value as i64))].into() }
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.2} GB", bytes as f64 / 1e9)
}
