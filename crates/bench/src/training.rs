//! Training a workload: a run as every other, told to stop when enough steps are measured.

use std::path::{Path, PathBuf};
use std::time::Instant;

use lorikeet_data::{ImportOptions, Store, Task};
use lorikeet_jobs::train::{BatchSize, Control, Event, EventKind, Method, Needs, Settings};
use lorikeet_jobs::{Failure, InProcess, JobSpec, Link, Runner, cpu_seconds, memory_budget_bytes, memory_bytes};
use serde_json::json;

use crate::material::{RANK, io};
use crate::measured::Lap;
use crate::shape::Family;
use crate::{Material, Measured, Options, Work, Workload, operations};

/// Steps before the clock starts, besides the trial of the longest batch.
const WARM: u64 = 1;
/// The step from which on memory must not grow.
const SETTLED: u64 = 100;

/// Figures of a training workload.
pub fn measure(workload: &Workload, material: &Material, options: &Options) -> Result<Measured, Failure> {
    let Work::Train { batch, tokens, .. } = workload.work else { return Ok(Measured::default()) };
    let settings = settings(workload, options)?;
    let job = job(workload, material, settings)?;
    let estimated = estimated(&job, workload)?;
    let mut watch = Watch::new(options);
    InProcess.run(&job, &mut watch)?;
    let Watch { laps, loss, settled, .. } = watch;
    let figures = Measured::of(workload, options, (batch * tokens) as u64, &laps);
    let named = job.settings.to_values().get("precision").and_then(|v| v.as_str().map(str::to_owned));
    let precision = if workload.stored == crate::Stored::F32 {
        named.unwrap_or(figures.precision.clone())
    } else {
        figures.precision.clone()
    };
    Ok(Measured {
        precision,
        operations: Some(operations::of_step(&workload.shape, batch, tokens)),
        loss,
        estimated_memory_bytes: Some(estimated),
        growth_bytes: settled.map(|before| memory_bytes() as i64 - before as i64),
        ..figures
    })
}

/// What a run would be told that it will hold: this process, its tokens, and the run itself.
fn estimated(job: &JobSpec, workload: &Workload) -> Result<u64, Failure> {
    let Work::Train { batch, tokens, .. } = workload.work else { return Ok(0) };
    let is_classifier = job.task == Task::Classify;
    let n_supervised = if is_classifier { batch } else { batch * (tokens - 1) };
    let needs = Needs {
        folder: &job.model_folder,
        settings: &job.settings,
        method: job.method,
        labels: is_classifier.then_some(2),
        batch: BatchSize { sequences: vec![tokens; batch], n_supervised },
        held_bytes: memory_bytes(),
    };
    let (_, footprint) = needs.within(memory_budget_bytes())?;
    Ok(needs.held_bytes + footprint.total())
}

/// The workload's settings, with those asked for.
fn settings(workload: &Workload, options: &Options) -> Result<Settings, Failure> {
    let Work::Train { batch, tokens, recompute } = workload.work else { return Ok(Settings::default()) };
    let mut settings = Settings::default();
    let own = json!({
        "steps": 1_000_000, "batch_size": batch, "max_length": tokens, "validation_split": 0.0, "shuffle": false,
        "rank": RANK, "alpha": 2 * RANK, "target_modules": workload.shape.targets(), "learning_rate": 1e-4,
        "schedule": "constant", "warmup_steps": 0, "save_every": 1_000_000_000, "device": "cpu",
        "threads": options.threads, "recompute": if recompute { "on" } else { "off" },
    });
    for (name, value) in own.as_object().into_iter().flatten().chain(&options.settings) {
        settings.set(name, value)?;
    }
    Ok(settings)
}

fn job(workload: &Workload, material: &Material, settings: Settings) -> Result<JobSpec, Failure> {
    let work = empty(&material.work)?;
    let store = Store::open(&work.join("data"))?;
    let imported = store.import(&material.examples, &ImportOptions::default(), &mut |_| {})?;
    Ok(JobSpec {
        run: format!("bench-{}", workload.name),
        model_folder: material.model.clone(),
        model_name: workload.shape.name.to_owned(),
        model_hash: String::new(),
        task: if workload.shape.family == Family::Bert { Task::Classify } else { Task::Causal },
        method: Method::Lora,
        settings,
        datasets: store.root().to_owned(),
        dataset_hash: imported.hash,
        validation_hash: None,
        folder: work.join("run"),
        result: work.join("result"),
        started_unix_s: 0,
    })
}

/// The folder without what an earlier measurement left.
pub fn empty(folder: &Path) -> Result<PathBuf, Failure> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(io("clear", folder))?;
    }
    std::fs::create_dir_all(folder).map_err(io("create", folder))?;
    Ok(folder.to_owned())
}

/// Looks at the clocks after every step.
struct Watch {
    seconds: f64,
    steps: Option<u64>,
    last: Lap,
    since: Instant,
    laps: Vec<Lap>,
    loss: Option<f64>,
    /// Memory after a hundred steps.
    settled: Option<u64>,
}

impl Watch {
    fn new(options: &Options) -> Self {
        let (seconds, steps) = (options.seconds, options.steps);
        Self { seconds, steps, last: (0.0, 0.0), since: Instant::now(), laps: Vec::new(), loss: None, settled: None }
    }

    fn is_enough(&self) -> bool {
        match self.steps {
            Some(steps) => self.laps.len() as u64 >= steps,
            None => !self.laps.is_empty() && self.laps.iter().map(|lap| lap.0).sum::<f64>() >= self.seconds,
        }
    }
}

impl Link for Watch {
    fn event(&mut self, event: Event) {
        let EventKind::Step { loss_sum, n_supervised, .. } = event.what else { return };
        let now = (self.since.elapsed().as_secs_f64(), cpu_seconds());
        self.loss.get_or_insert(loss_sum / n_supervised.max(1) as f64);
        if event.step > WARM {
            self.laps.push((now.0 - self.last.0, now.1 - self.last.1));
        }
        if event.step == SETTLED {
            self.settled = Some(memory_bytes());
        }
        self.last = (self.since.elapsed().as_secs_f64(), cpu_seconds());
    }

    fn control(&mut self) -> Control {
        if self.is_enough() { Control::Cancel } else { Control::Go }
    }
}
