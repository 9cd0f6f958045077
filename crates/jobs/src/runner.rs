//! Where a run happens. Above this trait nobody knows whether a run works in this process, in a child or elsewhere.

use std::path::PathBuf;

use lorikeet_data::{Dataset, Task};
use lorikeet_models::Backend;
use lorikeet_registry::RunRow;
use lorikeet_train::{Control, Event, Method, Observer, Outcome, Settings, TrainJob, train};

use crate::device::{Place, Work, compute, threads_or_all};
use crate::{Failure, memory_budget_bytes, memory_bytes};

/// Everything a run needs, without anything open: it could be sent to another process.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSpec {
    /// The run's id.
    pub run: String,
    /// Folder of the base model.
    pub model_folder: PathBuf,
    /// What the base is called.
    pub model_name: String,
    /// BLAKE3 of the base.
    pub model_hash: String,
    /// What is learned.
    pub task: Task,
    /// What moves.
    pub method: Method,
    /// Settings.
    pub settings: Settings,
    /// The folder that holds all data sets.
    pub datasets: PathBuf,
    /// The examples' version.
    pub dataset_hash: String,
    /// The version of the examples to check with, when they are a data set of their own.
    pub validation_hash: Option<String>,
    /// Folder for checkpoints.
    pub folder: PathBuf,
    /// Folder for the result.
    pub result: PathBuf,
    /// When the run was created, in seconds since 1970.
    pub started_unix_s: i64,
}

/// How a run is heard and steered.
pub trait Link: Send {
    /// Something happened.
    fn event(&mut self, event: Event);
    /// What to do next.
    fn control(&mut self) -> Control;
}

/// Executes runs.
pub trait Runner: Send + Sync {
    /// Executes one run from its newest checkpoint, or from the start, until it ends.
    ///
    /// # Errors
    /// Why it could not go on; checkpoints made before stay.
    fn run(&self, job: &JobSpec, link: &mut dyn Link) -> Result<Outcome, Failure>;
}

/// Tells what a run in the registry means: which folders its model and data are in. The names in a row mean something to
/// whoever made the row.
pub trait RunSource: Send + Sync {
    /// Everything the run needs.
    ///
    /// # Errors
    /// Where a part of it is gone.
    fn job(&self, row: &RunRow) -> Result<JobSpec, Failure>;

    /// The row's settings are now those that are used, with nothing left open.
    fn resolved(&self, row: &RunRow);
}

/// Executes runs in this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct InProcess;

impl Runner for InProcess {
    fn run(&self, job: &JobSpec, link: &mut dyn Link) -> Result<Outcome, Failure> {
        let place = Place::choose(job.settings.device)?;
        let dataset = Dataset::open(&job.datasets, &job.dataset_hash)?;
        let validation = job.validation_hash.as_ref().map(|hash| Dataset::open(&job.datasets, hash)).transpose()?;
        let train_job = TrainJob {
            name: job.run.clone(),
            model_folder: job.model_folder.clone(),
            model_name: job.model_name.clone(),
            model_hash: job.model_hash.clone(),
            task: job.task,
            method: job.method,
            settings: job.settings.clone(),
            dataset,
            validation,
            folder: job.folder.clone(),
            result: job.result.clone(),
            initial_adapter: job.settings.adapter.as_ref().map(PathBuf::from),
            started_unix_s: job.started_unix_s,
        };
        let heard = Heard { link, place };
        let (threads, precision) = (threads_or_all(job.settings.threads), job.settings.precision);
        compute(place, threads, precision, Training { job: &train_job, heard })?
    }
}

struct Training<'a> {
    job: &'a TrainJob,
    heard: Heard<'a>,
}

impl Work for Training<'_> {
    type Output = Result<Outcome, Failure>;

    fn on<B: Backend + Clone + 'static>(mut self, backend: B) -> Self::Output {
        Ok(train(&backend, self.job, &mut self.heard)?)
    }
}

/// A link as training sees it.
struct Heard<'a> {
    link: &'a mut dyn Link,
    place: Place,
}

impl Observer for Heard<'_> {
    fn event(&mut self, event: Event) {
        self.link.event(event);
    }

    fn control(&mut self) -> Control {
        self.link.control()
    }

    fn memory_bytes(&mut self) -> u64 {
        memory_bytes()
    }

    /// What a graphics device holds is not this process's.
    fn memory_budget_bytes(&mut self) -> Option<u64> {
        (self.place == Place::Cpu).then(memory_budget_bytes).flatten()
    }
}
