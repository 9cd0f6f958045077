//! The queue and its worker on real training: a tiny model, a few steps, a registry on disk.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lorikeet_data::{ImportOptions, Store, Task};
use lorikeet_jobs::train::{Method, Outcome, PrecisionChoice, Settings};
use lorikeet_jobs::{Failure, InProcess, JobSpec, Jobs, Link, RunEvent, RunSource, Runner, Scope, What, codes};
use lorikeet_registry::{NewRun, Registry, RunFolder, RunRow, RunStatus};
use serde_json::json;
use tempfile::TempDir;

/// A folder of the shared test material; `None`, with a line that says so, where it is not there. Fails under CI.
fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("LORIKEET_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    assert!(std::env::var_os("CI").is_none(), "the shared test material is missing: {}", found.display());
    println!("skipped: there is no `{}`", found.display());
    None
}

/// Runs of one model on one data set.
struct Fixed {
    model: PathBuf,
    datasets: PathBuf,
    dataset_hash: String,
}

impl RunSource for Fixed {
    fn job(&self, row: &RunRow) -> Result<JobSpec, Failure> {
        if row.name == "lost" {
            return Err(Failure::new(codes::NOT_FOUND, "the base is gone").with_hint("put it back"));
        }
        let values = serde_json::from_value(row.settings.clone()).unwrap();
        Ok(JobSpec {
            run: row.id.clone(),
            model_folder: self.model.clone(),
            model_name: "tiny".into(),
            model_hash: "0".into(),
            task: Task::Causal,
            method: Method::Lora,
            settings: Settings::from_values(&values)?,
            datasets: self.datasets.clone(),
            dataset_hash: self.dataset_hash.clone(),
            validation_hash: None,
            folder: PathBuf::from(&row.folder),
            result: Path::new(&row.folder).join("adapter"),
            started_unix_s: 0,
        })
    }

    fn resolved(&self, row: &RunRow) {
        assert!(row.settings["learning_rate"].is_number() && row.n_steps_planned == Some(4));
    }
}

/// Trains, but fails by a defect the first time.
#[derive(Default)]
struct BrokenOnce(AtomicUsize);

impl Runner for BrokenOnce {
    fn run(&self, job: &JobSpec, link: &mut dyn Link) -> Result<Outcome, Failure> {
        assert!(self.0.fetch_add(1, Ordering::SeqCst) > 0, "a defect for this test");
        InProcess.run(job, link)
    }
}

struct Bench {
    home: TempDir,
    registry: Arc<Registry>,
    jobs: Jobs,
}

impl Bench {
    fn new(runner: Arc<dyn Runner>) -> Option<Bench> {
        let model = shared("gguf/tiny-llama-hf")?;
        let home = tempfile::tempdir().unwrap();
        let rows = home.path().join("rows.jsonl");
        let row =
            |n: usize| json!({"prompt": format!("{n} and one is "), "completion": (n + 1).to_string()}).to_string();
        std::fs::write(&rows, (0..40).map(row).collect::<Vec<_>>().join("\n")).unwrap();
        let datasets = home.path().join("datasets");
        let imported = Store::open(&datasets).unwrap().import(&rows, &ImportOptions::default(), &mut |_| {}).unwrap();
        let registry = Arc::new(Registry::open(&home.path().join("registry.sqlite")).unwrap());
        let source = Arc::new(Fixed { model, datasets, dataset_hash: imported.hash });
        let jobs = Jobs::new(registry.clone(), source, runner);
        Some(Bench { home, registry, jobs })
    }

    fn add(&self, name: &str) -> String {
        self.add_with(name, PrecisionChoice::F32)
    }

    fn add_with(&self, name: &str, precision: PrecisionChoice) -> String {
        let settings = Settings {
            precision,
            steps: Some(4),
            batch_size: 2,
            max_length: 32,
            samples: 0,
            threads: Some(1),
            ..Settings::default()
        };
        let new = NewRun {
            name: Some(name.into()),
            process: None,
            task: "causal".into(),
            method: "lora".into(),
            dataset_id: None,
            dataset_hash: None,
            validation_dataset_id: None,
            model_id: None,
            model_hash: None,
            template_hash: None,
            settings: serde_json::to_value(settings.to_values()).unwrap(),
            made_from: None,
            estimate: None,
            code_version: "0".into(),
            device: "cpu".into(),
            n_threads: 1,
            n_steps_planned: None,
            folder: RunFolder::Inside(self.home.path().join("runs").display().to_string()),
            notes: String::new(),
        };
        self.jobs.add(&new).unwrap().id
    }

    fn follow(&self, id: &str) -> Vec<RunEvent> {
        let mut all = Vec::new();
        let told = self.jobs.follow(id, 0, &mut |batch| {
            all.extend(batch);
            true
        });
        told.unwrap();
        all
    }

    fn row(&self, id: &str) -> RunRow {
        self.registry.runs().get(id).unwrap()
    }
}

#[test]
fn a_run_is_executed_recorded_and_ended_with_its_figures() {
    let Some(bench) = Bench::new(Arc::new(InProcess)) else { return };
    let id = bench.add("sums");
    bench.jobs.start_worker(Scope::Queue);
    let events = bench.follow(&id);
    let row = bench.row(&id);
    assert_eq!((row.status, row.step, row.process), (RunStatus::Completed, 4, None));
    let figures = row.metrics.unwrap();
    assert_eq!(figures["n_steps"], json!(4));
    let Some(What::Completed { adapter, figures: told }) = events.last().map(|event| event.what.clone()) else {
        panic!("no completion: {:?}", events.last());
    };
    assert_eq!(serde_json::to_value(told).unwrap(), figures);
    let artifacts = bench.registry.artifacts().of_run(&id).unwrap();
    assert_eq!((artifacts.len(), artifacts[0].path.as_str()), (1, adapter.as_str()));
    assert!(artifacts[0].n_bytes > 1000);
    assert_eq!(bench.registry.checkpoints().best(&id).unwrap().map(|row| row.step), row.best_step);
    assert_eq!(bench.registry.check().unwrap(), Vec::<String>::new());
}

#[test]
fn the_precision_of_a_run_reaches_what_computes_it() {
    let Some(bench) = Bench::new(Arc::new(InProcess)) else { return };
    let precisions = [PrecisionChoice::F32, PrecisionChoice::Bf16, PrecisionChoice::Bf16];
    let ids = precisions.map(|precision| bench.add_with("sums", precision));
    bench.jobs.start_worker(Scope::Queue);
    let [exact, rounded, again] = ids.map(|id| {
        bench.follow(&id);
        bench.row(&id).metrics.unwrap()["train_loss"].as_f64().unwrap()
    });
    assert_eq!(rounded, again);
    assert!(exact != rounded && (exact - rounded).abs() < 0.01 * exact, "{exact} and {rounded}");
}

#[test]
fn a_run_whose_parts_are_gone_fails_with_the_reason_and_the_queue_goes_on() {
    let Some(bench) = Bench::new(Arc::new(InProcess)) else { return };
    let (lost, next) = (bench.add("lost"), bench.add("next"));
    bench.jobs.start_worker(Scope::Queue);
    let events = bench.follow(&lost);
    let failed =
        What::Failed { code: "not_found".into(), message: "the base is gone".into(), hint: Some("put it back".into()) };
    assert_eq!(events.into_iter().map(|event| event.what).collect::<Vec<_>>(), [failed]);
    let failure = bench.row(&lost).failure.unwrap();
    assert_eq!((failure.code.as_str(), failure.hint.as_deref()), (codes::NOT_FOUND, Some("put it back")));
    bench.follow(&next);
    assert_eq!(bench.row(&next).status, RunStatus::Completed);
}

#[test]
fn a_defect_ends_one_run_and_not_the_worker() {
    let Some(bench) = Bench::new(Arc::new(BrokenOnce::default())) else { return };
    let (first, second) = (bench.add("first"), bench.add("second"));
    bench.jobs.start_worker(Scope::Queue);
    bench.follow(&second);
    let failure = bench.row(&first).failure.unwrap();
    assert_eq!(failure.code, codes::INTERNAL);
    assert!(failure.message.contains("a defect for this test"), "{}", failure.message);
    assert_eq!(bench.row(&second).status, RunStatus::Completed);
    // A failed run goes on when it is asked to, and forgets its failure.
    bench.jobs.resume(&first).unwrap();
    bench.follow(&first);
    assert_eq!((bench.row(&first).status, bench.row(&first).failure), (RunStatus::Completed, None));
}

#[test]
fn a_worker_for_one_run_leaves_the_others_alone() {
    let Some(bench) = Bench::new(Arc::new(InProcess)) else { return };
    let (other, mine) = (bench.add("other"), bench.add("mine"));
    bench.jobs.start_worker(Scope::Only(mine.clone()));
    bench.follow(&mine);
    assert_eq!((bench.row(&mine).status, bench.row(&other).status), (RunStatus::Completed, RunStatus::Queued));
    bench.jobs.pause(&other).unwrap();
    assert_eq!(bench.row(&other).status, RunStatus::Paused);
    bench.jobs.cancel(&other).unwrap();
    let error = bench.jobs.checkpoint(&other).unwrap_err();
    assert_eq!(
        (error.code, error.message.as_str()),
        (codes::WRONG_STATE, "the run `other` can only save while it works; it is cancelled")
    );
    let error = bench.jobs.resume(&mine).unwrap_err();
    assert_eq!(error.message, "the run `mine` cannot be resumed: it is completed");
}
