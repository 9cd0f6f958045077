//! The training loop on a real tiny model: what it says, what it leaves on disk, and that an interrupted run goes on to the
//! same bits.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use lorikeet_data::{ImportOptions, LossOn, PrepareOptions, Prepared, Store, Task, Tokenizer, prepare};
use lorikeet_models::{Fused, Model};
use lorikeet_train::{
    Control, Event, EventKind, Method, Observer, Outcome, ResultInfo, Settings, Summary, TrainError, TrainJob,
    checkpoints, n_units, tokens_of, train, units,
};
use serde_json::{Value, json};

/// Hears everything, and answers with what was asked for at a number of questions.
#[derive(Default)]
struct Listener {
    events: Vec<Event>,
    asked: usize,
    at: HashMap<usize, Control>,
}

impl Observer for Listener {
    fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    fn control(&mut self) -> Control {
        self.asked += 1;
        self.at.get(&self.asked).copied().unwrap_or(Control::Go)
    }

    fn memory_bytes(&mut self) -> u64 {
        1
    }
}

impl Listener {
    fn losses(&self) -> Vec<(u64, u64)> {
        let loss = |e: &Event| match e.what {
            EventKind::Step { loss_sum, .. } => Some((e.step, loss_sum.to_bits())),
            _ => None,
        };
        self.events.iter().filter_map(loss).collect()
    }
}

/// The tiny Llama that the reference folder holds; without the folder a test has nothing to run on.
fn tiny() -> Option<PathBuf> {
    let shared = std::env::var_os("LORIKEET_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"));
    let folder = shared.join("gguf/tiny-llama-hf");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "the reference folder is needed under CI: {}", folder.display());
    eprintln!("skipped: there is no `{}`", folder.display());
    None
}

fn job(home: &Path, name: &str, model: PathBuf, method: Method, changes: Value) -> TrainJob {
    let file = home.join("rows.jsonl");
    let row = |i: usize| json!({"prompt": format!("What is number {i}?"), "completion": format!(" It is {}.", i * i)});
    let rows: String = (0..40).map(|i| format!("{}\n", row(i))).collect();
    fs::write(&file, rows).unwrap();
    let store = Store::open(&home.join("datasets")).unwrap();
    let imported = store.import(&file, &ImportOptions::default(), &mut |_| {}).unwrap();
    let mut settings = Settings::default();
    let basics = json!({"steps": 12, "batch_size": 4, "evaluate_every": 3, "samples": 1, "sample_tokens": 4,
        "learning_rate": 0.01, "threads": 1, "max_length": 64});
    for (name, value) in basics.as_object().unwrap().iter().chain(changes.as_object().unwrap()) {
        settings.set(name, value).unwrap();
    }
    TrainJob {
        name: name.to_owned(),
        model_folder: model,
        model_name: "tiny".to_owned(),
        model_hash: "0".repeat(64),
        task: Task::Causal,
        method,
        settings,
        dataset: store.dataset(&imported.hash).unwrap(),
        validation: None,
        folder: home.join(name),
        result: home.join(name).join("adapter"),
        initial_adapter: None,
        started_unix_s: 1_700_000_000,
    }
}

fn run(job: &TrainJob, listener: &mut Listener) -> Outcome {
    train(&Fused::new(1).unwrap(), job, listener).unwrap()
}

fn completed(outcome: Outcome) -> Summary {
    match outcome {
        Outcome::Completed(summary) => summary,
        Outcome::Cancelled => panic!("the run was cancelled"),
    }
}

#[test]
fn a_run_learns_and_leaves_a_whole_result() {
    let Some(model) = tiny() else { return };
    let home = tempfile::tempdir().unwrap();
    let job = job(home.path(), "plain", model, Method::Lora, json!({}));
    let mut heard = Listener::default();
    let summary = completed(run(&job, &mut heard));
    let (before, after) = (summary.base.unwrap().loss.mean(), summary.best.unwrap().loss.mean());
    assert!(after < 0.8 * before, "{before} -> {after}");
    assert_eq!(summary.n_steps, 12);
    let numbered: Vec<u64> = heard.events.iter().map(|e| e.seq).filter(|s| *s > 0).collect();
    assert!(numbered.iter().copied().eq(1..=numbered.len() as u64), "numbers have gaps: {numbered:?}");
    for name in ["adapter_config.json", "adapter_model.safetensors", "README.md", "lorikeet.json"] {
        assert!(job.result.join(name).is_file(), "{name} is missing");
    }
    assert_eq!(ResultInfo::read(&job.result).unwrap().unwrap().run, "plain");
    let kept = checkpoints(&job.folder).unwrap();
    assert!(kept.len() <= 3, "{kept:?}");
    let state: Value =
        serde_json::from_slice(&fs::read(kept.last().unwrap().join("trainer_state.json")).unwrap()).unwrap();
    assert_eq!(state["global_step"], 12);
    assert!(state["log_history"].as_array().unwrap().iter().any(|e| e["eval_loss"].is_number()));
}

/// Every method, stopped at several places, among them in the middle of an accumulated step: same losses, same file. What is
/// random in training is a function of seed and place.
#[test]
fn an_interrupted_run_goes_on_to_the_same_bits() {
    let Some(model) = tiny() else { return };
    let adapter = "adapter_model.safetensors";
    let cases = [
        (Method::Lora, adapter, json!({})),
        (Method::Full, "model.safetensors", json!({"neftune_alpha": 5})),
        (
            Method::Lora,
            adapter,
            json!({"dora": true, "dropout": 0.2, "neftune_alpha": 5, "lora_plus_ratio": 4, "rank_pattern": "q_proj=3"}),
        ),
    ];
    for (method, file, more) in cases {
        let home = tempfile::tempdir().unwrap();
        let mut changes = json!({"gradient_accumulation": 2, "learning_rate": 0.003});
        changes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let whole = job(home.path(), "whole", model.clone(), method, changes.clone());
        let mut heard = Listener::default();
        completed(run(&whole, &mut heard));
        let parts = job(home.path(), "parts", model.clone(), method, changes);
        let mut losses = HashMap::new();
        for stop in [9, 14, 11] {
            let mut part = Listener { at: [(stop, Control::Cancel)].into(), ..Listener::default() };
            assert_eq!(run(&parts, &mut part), Outcome::Cancelled, "stop {stop}");
            losses.extend(part.losses());
        }
        let mut last = Listener::default();
        completed(run(&parts, &mut last));
        losses.extend(last.losses());
        assert_eq!(losses, heard.losses().into_iter().collect::<HashMap<_, _>>());
        assert_eq!(fs::read(whole.result.join(file)).unwrap(), fs::read(parts.result.join(file)).unwrap());
    }
}

#[test]
fn a_pause_saves_waits_and_changes_nothing() {
    let Some(model) = tiny() else { return };
    let home = tempfile::tempdir().unwrap();
    let plain = job(home.path(), "plain", model.clone(), Method::Lora, json!({}));
    completed(run(&plain, &mut Listener::default()));
    let paused = job(home.path(), "paused", model, Method::Lora, json!({}));
    let at = [(8, Control::Pause), (9, Control::Pause), (10, Control::Pause), (13, Control::Checkpoint)].into();
    let mut heard = Listener { at, ..Listener::default() };
    completed(run(&paused, &mut heard));
    let places: Vec<&EventKind> =
        heard.events.iter().map(|e| &e.what).filter(|w| matches!(w, EventKind::Paused | EventKind::Resumed)).collect();
    assert_eq!(places, [&EventKind::Paused, &EventKind::Resumed]);
    let file = "adapter_model.safetensors";
    assert_eq!(fs::read(plain.result.join(file)).unwrap(), fs::read(paused.result.join(file)).unwrap());
}

/// Two batches of four accumulated are one batch of eight, whatever the lengths of their rows.
#[test]
fn accumulation_counts_supervised_tokens() {
    let Some(model) = tiny() else { return };
    let home = tempfile::tempdir().unwrap();
    let one = job(home.path(), "one", model.clone(), Method::Lora, json!({"batch_size": 8, "steps": 3}));
    let two = job(home.path(), "two", model, Method::Lora, json!({"gradient_accumulation": 2, "steps": 3}));
    let (mut a, mut b) = (Listener::default(), Listener::default());
    completed(run(&one, &mut a));
    completed(run(&two, &mut b));
    for ((_, a), (_, b)) in a.losses().into_iter().zip(b.losses()) {
        let (a, b) = (f64::from_bits(a), f64::from_bits(b));
        assert!((a - b).abs() < 1e-3 * a.abs(), "{a} {b}");
    }
}

#[test]
fn early_stopping_ends_a_run_that_no_longer_gets_better() {
    let Some(model) = tiny() else { return };
    let home = tempfile::tempdir().unwrap();
    let changes = json!({"steps": 60, "learning_rate": 0.2, "early_stopping": 2, "evaluate_every": 2});
    let summary = completed(run(&job(home.path(), "early", model, Method::Lora, changes), &mut Listener::default()));
    assert!(summary.stopped_early && summary.n_steps < 60, "{summary:?}");
    assert!(summary.best_step < summary.n_steps);
}

#[test]
fn settings_that_do_not_fit_are_refused_before_the_first_step() {
    let Some(model) = tiny() else { return };
    let home = tempfile::tempdir().unwrap();
    let refused = |name: &str, method, task, changes: Value| {
        let mut job = job(home.path(), name, model.clone(), method, changes);
        job.task = task;
        let error = train(&Fused::new(1).unwrap(), &job, &mut Listener::default()).unwrap_err();
        assert!(!job.result.exists());
        error.to_string()
    };
    assert_eq!(
        refused("a", Method::Lora, Task::Causal, json!({"from_scratch": true})),
        "`from_scratch` is for the method `full`, and this run's is `lora`; leave `from_scratch` out, or choose another method"
    );
    assert_eq!(
        refused("b", Method::Lora, Task::Classify, json!({"samples": 2, "sample_tokens": 64})),
        "row 1: rows of kind `prompt` cannot be used to train a classifier; a classifier needs a text and a label in each row; to learn from these rows, choose the task `causal`"
    );
    assert_eq!(
        refused("d", Method::Lora, Task::Causal, json!({"loss": "focal"})),
        "`loss` is for the task `classify`, and this run's is `causal`; leave `loss` out, or choose another task"
    );
    assert_eq!(
        refused("e", Method::Lora, Task::Classify, json!({"loss": "focal", "label_smoothing": 0.1})),
        "`label_smoothing` is for the loss `cross_entropy`, and this run's is `focal`; leave `label_smoothing` out, or choose another loss"
    );
    let named = refused("c", Method::Lora, Task::Causal, json!({"target_modules": "query"}));
    assert!(named.starts_with("no module of this model is called `query`"), "{named}");
}

#[test]
fn a_checkpoint_of_another_run_is_not_continued() {
    let Some(model) = tiny() else { return };
    let home = tempfile::tempdir().unwrap();
    let first = job(home.path(), "run", model.clone(), Method::Lora, json!({}));
    let mut stopped = Listener { at: [(12, Control::Cancel)].into(), ..Listener::default() };
    assert_eq!(run(&first, &mut stopped), Outcome::Cancelled);
    let other = job(home.path(), "run", model, Method::Lora, json!({"seed": 7}));
    let error = train(&Fused::new(1).unwrap(), &other, &mut Listener::default()).unwrap_err();
    assert!(matches!(error, TrainError::Checkpoint { .. }), "{error}");
}

#[test]
fn a_loss_that_is_no_number_ends_the_run() {
    let Some(model) = tiny() else { return };
    let home = tempfile::tempdir().unwrap();
    let good = job(home.path(), "good", model.clone(), Method::Lora, json!({"steps": 1}));
    completed(run(&good, &mut Listener::default()));
    let file = good.result.join("adapter_model.safetensors");
    let mut bytes = fs::read(&file).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&file, bytes).unwrap();
    let mut broken = job(home.path(), "broken", model, Method::Lora, json!({"validation_split": 0.0}));
    broken.initial_adapter = Some(good.result);
    let error = train(&Fused::new(1).unwrap(), &broken, &mut Listener::default()).unwrap_err();
    assert!(matches!(error, TrainError::Diverged { step: 1, .. }), "{error}");
    assert!(!broken.result.exists() && checkpoints(&broken.folder).unwrap().is_empty());
}

/// The first rows of a data set of the reference folder.
fn shared_rows(name: &str, n: usize) -> Option<Vec<Value>> {
    let shared = std::env::var_os("LORIKEET_SHARED").map(PathBuf::from);
    let shared = shared.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"));
    let file = shared.join("data").join(name);
    if !file.is_file() {
        assert!(std::env::var_os("CI").is_none(), "the reference folder is needed under CI: {}", file.display());
        eprintln!("skipped: there is no `{}`", file.display());
        return None;
    }
    let rows: Vec<Value> = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    Some(rows.into_iter().take(n).collect())
}

/// `job` with other rows.
fn with_rows(mut job: TrainJob, home: &Path, rows: &[Value]) -> TrainJob {
    let file = home.join("other.jsonl");
    fs::write(&file, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
    let store = Store::open(&home.join("datasets")).unwrap();
    let imported = store.import(&file, &ImportOptions::default(), &mut |_| {}).unwrap();
    assert_eq!(imported.n_bad, 0, "{:?}", imported.bad_rows);
    job.dataset = store.dataset(&imported.hash).unwrap();
    job
}

/// The loss of every token of every example, by example.
fn token_losses(model: &Model<Fused>, examples: &Prepared, batches: &[Vec<u32>]) -> HashMap<u32, Vec<f64>> {
    let mut found = HashMap::new();
    for batch in batches {
        let (tokens, targets) = tokens_of(examples.batch(batch), Task::Causal);
        let losses = model.token_losses(&tokens, &targets, true).unwrap();
        for (example, span) in batch.iter().zip(&tokens.spans.queries) {
            assert_eq!(tokens.positions[span.start], 0, "positions begin anew");
            found.insert(*example, losses[span.clone()].to_vec());
        }
    }
    found
}

/// Packed and one by one, the same rows have the same losses, token for token.
#[test]
fn packing_changes_no_loss() {
    let (Some(model), Some(rows)) = (tiny(), shared_rows("preference/dpo_en.json", 24)) else { return };
    let home = tempfile::tempdir().unwrap();
    let asked = |row: &Value| row["conversations"][0]["value"].as_str().unwrap().to_owned();
    let said = |row: &Value| row["chosen"]["value"].as_str().unwrap().chars().take(300).collect::<String>();
    let rows: Vec<Value> = rows.iter().map(|row| json!({"prompt": asked(row), "completion": said(row)})).collect();
    let job = with_rows(
        job(home.path(), "packed", model.clone(), Method::Lora, json!({"packing": true})),
        home.path(),
        &rows,
    );
    let tokenizer = Tokenizer::open(&model).unwrap();
    let all: Vec<u32> = (0..rows.len() as u32).collect();
    let options = PrepareOptions::new(Task::Causal, job.settings.max_length as usize);
    let examples = prepare(&job.dataset, &all, &tokenizer, &options, None, &mut |_| {}).unwrap();
    let packs = units(&examples, &job.settings, 3);
    assert_eq!(packs.len(), n_units(&examples, &job.settings));
    let single: Vec<Vec<u32>> = (0..examples.len() as u32).map(|at| vec![at]).collect();
    let model = Model::open(Fused::new(1).unwrap(), &model).unwrap();
    let (packed, alone) = (token_losses(&model, &examples, &packs), token_losses(&model, &examples, &single));
    assert_eq!(packed.len(), examples.len());
    for (example, losses) in &alone {
        assert_eq!(losses.len(), packed[example].len());
        for (a, b) in losses.iter().zip(&packed[example]) {
            assert!((a - b).abs() < 1e-4, "example {example}: {a} {b}");
        }
    }
}

/// Packed rows that are short: fewer places, the same passes, and a run that learns.
#[test]
fn a_packed_run_has_fewer_steps_and_learns() {
    let Some(model) = tiny() else { return };
    let home = tempfile::tempdir().unwrap();
    let changes = json!({"packing": true, "steps": null, "epochs": 8, "max_length": 128, "batch_size": 1});
    let job = job(home.path(), "packed", model, Method::Lora, changes);
    let summary = completed(run(&job, &mut Listener::default()));
    assert!(summary.n_steps < 8 * 36, "{}", summary.n_steps);
    assert!(summary.best.unwrap().loss.mean() < 0.8 * summary.base.unwrap().loss.mean(), "{summary:?}");
}

/// Every way to learn from preferences orders held-out answers better than the base, and goes on to the same bits after
/// an interruption.
#[test]
fn preferences_are_learned_and_resumed() {
    let Some(model) = tiny() else { return };
    let pair = |i: usize| {
        json!({"prompt": format!("What is number {i}?"), "chosen": format!(" It is {}.", i * i),
            "rejected": format!(" No idea about {i}!")})
    };
    let verdict = |i: usize| {
        let good = i.is_multiple_of(2);
        let said = if good { format!(" It is {}.", i * i) } else { format!(" No idea about {i}!") };
        json!({"prompt": format!("What is number {i}?"), "completion": said, "label": good})
    };
    let pairs: Vec<Value> = (0..40).map(pair).collect();
    let verdicts: Vec<Value> = (0..40).map(verdict).collect();
    for (goal, method, rows) in [
        ("dpo", Method::Lora, &pairs),
        ("dpo", Method::Full, &pairs),
        ("orpo", Method::Lora, &pairs),
        ("kto", Method::Lora, &verdicts),
        ("kto", Method::Full, &verdicts),
    ] {
        let home = tempfile::tempdir().unwrap();
        let rate = if method == Method::Full { 0.001 } else { 0.01 };
        let changes = json!({"objective": goal, "learning_rate": rate, "beta": 0.2, "gradient_accumulation": 2,
            "dropout": if method == Method::Lora { 0.1 } else { 0.0 }});
        let make =
            |name: &str| with_rows(job(home.path(), name, model.clone(), method, changes.clone()), home.path(), rows);
        let whole = make("whole");
        let mut heard = Listener::default();
        let summary = completed(run(&whole, &mut heard));
        let (before, after) = (summary.base.unwrap(), summary.best.unwrap());
        let (was, is) = (before.preference.unwrap(), after.preference.unwrap());
        assert!(after.loss.mean() < before.loss.mean(), "{goal}: {before:?} -> {after:?}");
        assert!(is.margin > was.margin && is.accuracy >= was.accuracy.max(0.7), "{goal}: {was:?} -> {is:?}");
        assert_eq!(after.perplexity(), None);
        let told = |e: &Event| matches!(e.what, EventKind::Step { preference: Some(_), .. });
        assert_eq!(heard.events.iter().filter(|e| told(e)).count(), 12, "{goal}");
        let parts = make("parts");
        let mut losses = HashMap::new();
        let mut part = Listener { at: [(14, Control::Cancel)].into(), ..Listener::default() };
        assert_eq!(run(&parts, &mut part), Outcome::Cancelled, "{goal}");
        losses.extend(part.losses());
        let mut last = Listener::default();
        completed(run(&parts, &mut last));
        losses.extend(last.losses());
        assert_eq!(losses, heard.losses().into_iter().collect::<HashMap<_, _>>(), "{goal} {method:?}");
    }
}

#[test]
fn objectives_and_examples_that_do_not_fit_are_refused() {
    let Some(model) = tiny() else { return };
    let home = tempfile::tempdir().unwrap();
    let refused = |name: &str, changes: Value| {
        let job = job(home.path(), name, model.clone(), Method::Lora, changes);
        train(&Fused::new(1).unwrap(), &job, &mut Listener::default()).unwrap_err().to_string()
    };
    assert_eq!(
        refused("a", json!({"objective": "dpo"})),
        "the objective `dpo` needs rows with a `chosen` and a `rejected` answer; leave `objective` empty to learn what these examples are for"
    );
    assert_eq!(
        refused("b", json!({"objective": "kto", "packing": true})),
        "`packing` is for the objective `sft`, and this run's is `kto`; leave `packing` out, or choose another objective"
    );
}

/// A run that goes on from an adapter starts where the first one ended, in the adapter's own shape.
#[test]
fn an_adapter_is_trained_further_in_its_own_shape() {
    let Some(model) = tiny() else { return };
    let home = tempfile::tempdir().unwrap();
    let shape = json!({"rank": 3, "alpha": 5, "dora": true, "target_modules": "q_proj,down_proj", "layers": "1"});
    let first = job(home.path(), "first", model.clone(), Method::Lora, shape);
    let ended = completed(run(&first, &mut Listener::default()));
    let mut second = job(home.path(), "second", model, Method::Lora, json!({"steps": 2, "evaluate_every": 1}));
    second.initial_adapter = Some(first.result.clone());
    second.settings.adopt(&first.result, &|_| false).unwrap();
    assert_eq!((second.settings.rank, second.settings.alpha, second.settings.dora), (3, 5.0, true));
    let went_on = completed(run(&second, &mut Listener::default()));
    let (left, taken_up) = (ended.best.unwrap().loss.mean(), went_on.base.unwrap().loss.mean());
    assert!((left - taken_up).abs() < 1e-6, "{left} {taken_up}");
    second.settings.set("rank", &json!(8)).unwrap();
    let asked = second.settings.adopt(&first.result, &|name| name == "rank");
    let message = asked.unwrap_err().to_string();
    assert!(message.ends_with("has `rank` 3, and 8 was asked for; leave `rank` out to go on with the adapter, or leave `adapter` out for a fresh one"), "{message}");
}

/// The last answer, every answer, or everything: each of two turns learns more tokens than the one before.
#[test]
fn what_is_learned_of_a_conversation_is_a_choice() {
    let Some(model) = tiny() else { return };
    let home = tempfile::tempdir().unwrap();
    let said = |role: &str, content: &str| json!({"role": role, "content": content});
    let turns = [said("user", "one"), said("assistant", "two"), said("user", "three"), said("assistant", "four")];
    let job = job(home.path(), "turns", model.clone(), Method::Lora, json!({"loss_on": "completion"}));
    assert_eq!(job.settings.loss_on, LossOn::Completion);
    let job = with_rows(job, home.path(), &[json!({ "messages": turns })]);
    let tokenizer = Tokenizer::open(&model).unwrap();
    let learned = |loss_on| {
        let options = PrepareOptions { loss_on, ..PrepareOptions::new(Task::Causal, 256) };
        let examples = prepare(&job.dataset, &[0], &tokenizer, &options, None, &mut |_| {}).unwrap();
        (examples.statistics().n_trained_tokens, examples.statistics().n_tokens)
    };
    let [last, every, all] = [LossOn::Completion, LossOn::Assistant, LossOn::All].map(learned);
    assert!(last.0 > 0 && last.0 < every.0 && every.0 < all.0, "{last:?} {every:?} {all:?}");
    assert_eq!(all.0, all.1 - 1, "all but the first token are predicted");
}
