//! A training run without its doors: rows written to a file, imported, trained from a folder that goes away with the test,
//! and every event kept. The registry, the jobs and the command line are tested elsewhere.

use std::{fs, path::Path};

use lorikeet_data::{Dataset, ImportOptions, Store, Task};
use lorikeet_models::{Fused, hash_folder};
use lorikeet_train::{Control, Event, EventKind, Method, Observer, Outcome, Scores, Settings, TrainJob, train};
use serde_json::Value;

/// Everything a run said.
#[derive(Default)]
pub struct Diary {
    /// The events in their order.
    pub events: Vec<Event>,
}

impl Observer for Diary {
    fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    fn control(&mut self) -> Control {
        Control::Go
    }

    fn memory_bytes(&mut self) -> u64 {
        0
    }
}

impl Diary {
    /// The mean loss of every step.
    pub fn step_losses(&self) -> Vec<f64> {
        let loss = |e: &Event| match e.what {
            EventKind::Step { loss_sum, n_supervised, .. } => Some(loss_sum / n_supervised as f64),
            _ => None,
        };
        self.events.iter().filter_map(loss).collect()
    }

    /// The checks with the step after which each was made; the first one is of step 0.
    pub fn checks(&self) -> Vec<(u64, Scores)> {
        let check = |e: &Event| match e.what {
            EventKind::Evaluated { scores, .. } => Some((e.step, scores)),
            _ => None,
        };
        self.events.iter().filter_map(check).collect()
    }
}

/// Writes `rows` as JSON lines beside the data sets in `folder` and imports them as the data set `name`.
///
/// # Panics
/// Where they cannot be written or imported.
pub fn dataset(folder: &Path, name: &str, rows: impl IntoIterator<Item = Value>) -> Dataset {
    let lines: String = rows.into_iter().map(|row| format!("{row}\n")).collect();
    let file = folder.join(format!("{name}.jsonl"));
    fs::write(&file, lines).expect("the rows can be written");
    let store = Store::open(&folder.join("datasets")).expect("the store can be opened");
    let imported = store.import(&file, &ImportOptions::default(), &mut |_| {}).expect("the rows can be imported");
    assert_eq!(imported.n_bad, 0, "{:?}", imported.bad_rows);
    store.dataset(&imported.hash).expect("the data set can be opened")
}

/// A LoRA run of `task` on the model in `model`, in `folder`.
///
/// # Panics
/// Where the model cannot be read.
pub fn lora(folder: &Path, model: &Path, task: Task, settings: Settings, data: (Dataset, Option<Dataset>)) -> TrainJob {
    let name = model.file_name().unwrap_or_default().to_string_lossy().into_owned();
    TrainJob {
        name: "test".to_owned(),
        model_folder: model.to_owned(),
        model_name: name,
        model_hash: hash_folder(model).expect("the model can be read"),
        task,
        method: Method::Lora,
        settings,
        dataset: data.0,
        validation: data.1,
        folder: folder.join("checkpoints"),
        result: folder.join("adapter"),
        initial_adapter: None,
        started_unix_s: 0,
    }
}

/// Does `job` with `threads` threads, to its end.
///
/// # Panics
/// Where it fails.
pub fn complete(job: &TrainJob, threads: usize) -> Diary {
    let backend = Fused::new(threads).expect("threads can be started");
    let mut diary = Diary::default();
    let outcome = train(&backend, job, &mut diary).expect("the run can be done");
    assert!(matches!(outcome, Outcome::Completed(_)), "{outcome:?}");
    diary
}
