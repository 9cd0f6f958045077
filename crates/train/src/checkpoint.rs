//! Checkpoints: the whole state of a run in one folder that is complete or absent. A run continued from one makes the same
//! bits as a run that was never interrupted.
//!
//! `checkpoint-{step}/` holds the adapter (or model) as others read it, `trainer_state.json` in transformers' shape, and
//! `lorikeet_state.safetensors`: the optimiser's moments, with everything else as JSON in the header. Random numbers and the
//! order of examples are functions of seed and position, so the step is all there is to remember of them.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use lorikeet_models::{Backend, Model, ModelFiles, Precision, write_file, write_tensors_late};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Method, Moments, Optimiser, Result, TrainError};

/// Version of the state's format.
const FORMAT: u32 = 1;
const STATE_FILE: &str = "lorikeet_state.safetensors";
const TRAINER_FILE: &str = "trainer_state.json";

/// What a run remembers besides its parameters and moments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Version of this format.
    pub format: u32,
    /// Steps finished.
    pub step: u64,
    /// Number of the last event before the checkpoint's own.
    pub seq: u64,
    /// Time worked.
    pub elapsed_ms: u64,
    /// Time spent in steps, and the tokens read in them.
    pub step_ms: f64,
    /// All tokens of all steps.
    pub n_tokens: u64,
    /// Supervised tokens of all steps.
    pub n_trained_tokens: u64,
    /// Loss (sum, count) before the first step, and its accuracy and F1.
    pub base: Option<StoredScores>,
    /// The best scores so far.
    pub best: Option<StoredScores>,
    /// Step of the best scores.
    pub best_step: u64,
    /// Checks since then.
    pub checks_without_gain: u64,
    /// Training losses (sum, count) of the last steps.
    pub recent: Vec<(f64, u64)>,
    /// BLAKE3 of what must not change between parts of a run: settings, data, base.
    pub fingerprint: String,
    /// Highest memory of the process.
    pub peak_memory_bytes: u64,
}

/// Scores in a file.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredScores {
    sum: f64,
    count: usize,
    accuracy_and_f1: Option<(f64, f64)>,
    #[serde(default)]
    preference: Option<crate::PreferenceScores>,
}

impl From<crate::Scores> for StoredScores {
    fn from(s: crate::Scores) -> Self {
        let accuracy_and_f1 = s.labels.map(|l| (l.accuracy, l.f1_macro));
        Self { sum: s.loss.sum, count: s.loss.count, accuracy_and_f1, preference: s.preference }
    }
}

impl From<StoredScores> for crate::Scores {
    fn from(s: StoredScores) -> Self {
        let labels = s.accuracy_and_f1.map(|(accuracy, f1_macro)| crate::LabelScores { accuracy, f1_macro });
        Self { loss: lorikeet_models::LossSum::of(s.sum, s.count), labels, preference: s.preference }
    }
}

/// The step of a checkpoint's folder, by its name.
fn step_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix("checkpoint-")?.parse().ok()
}

/// The complete checkpoints in a run's folder, oldest first.
///
/// # Errors
/// Where the folder exists and cannot be listed.
pub fn checkpoints(run: &Path) -> Result<Vec<PathBuf>> {
    if !run.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(run).map_err(TrainError::io("read", run))?;
    let paths = entries.map(|e| e.map(|e| e.path())).collect::<std::io::Result<Vec<_>>>();
    let mut found: Vec<PathBuf> =
        paths.map_err(TrainError::io("read", run))?.into_iter().filter(|p| step_of(p).is_some()).collect();
    found.sort_by_key(|p| step_of(p));
    Ok(found)
}

/// Where a run would continue: the progress of its newest checkpoint.
///
/// # Errors
/// Where the checkpoint cannot be read.
pub fn newest_progress(run: &Path) -> Result<Option<Progress>> {
    match checkpoints(run)?.last() {
        Some(path) => read_progress(path).map(Some),
        None => Ok(None),
    }
}

/// Writes a checkpoint beside its place and renames it there.
///
/// # Errors
/// Where the disk refuses; nothing is left behind then.
pub fn save<B: Backend>(
    run: &Path,
    model: &Model<B>,
    optimiser: &Optimiser<B>,
    (method, base_model): (Method, &str),
    progress: &Progress,
    log: &[Value],
) -> Result<(PathBuf, u64)> {
    let target = run.join(format!("checkpoint-{}", progress.step));
    let beside = run.join(format!(".checkpoint-{}.partial", progress.step));
    let written = write_folder(&beside, model, optimiser, (method, base_model), progress, log);
    let done = written.and_then(|n_bytes| {
        remove(&target)?;
        fs::rename(&beside, &target).map_err(TrainError::io("rename", &beside))?;
        sync_folder(run)?;
        Ok((target, n_bytes))
    });
    if done.is_err() {
        drop(fs::remove_dir_all(&beside));
    }
    done
}

fn write_folder<B: Backend>(
    folder: &Path,
    model: &Model<B>,
    optimiser: &Optimiser<B>,
    (method, base_model): (Method, &str),
    progress: &Progress,
    log: &[Value],
) -> Result<u64> {
    remove(folder)?;
    fs::create_dir_all(folder).map_err(TrainError::io("create", folder))?;
    match method {
        Method::Lora => model.save_adapter(folder, base_model)?,
        Method::Full => model.save_whole(folder, Precision::F32, &[])?,
    }
    write_state(&folder.join(STATE_FILE), model, optimiser, progress)?;
    let trainer = json!({
        "best_global_step": progress.best.map(|_| progress.best_step),
        "best_metric": progress.best.map(|b| crate::Scores::from(b).loss.mean()),
        "best_model_checkpoint": progress.best.map(|_| format!("checkpoint-{}", progress.best_step)),
        "global_step": progress.step,
        "log_history": log,
    });
    write_file(&folder.join(TRAINER_FILE), format!("{trainer:#}\n").as_bytes())?;
    sync_folder(folder)?;
    size_of_folder(folder)
}

fn write_state<B: Backend>(path: &Path, model: &Model<B>, optimiser: &Optimiser<B>, progress: &Progress) -> Result<()> {
    let damaged = |e: serde_json::Error| TrainError::Checkpoint { path: path.to_owned(), reason: e.to_string() };
    let progress = serde_json::to_string(progress).map_err(damaged)?;
    let moments = optimiser.moments(model).flat_map(|(name, first, second)| {
        [(format!("first.{name}"), first), (format!("second.{name}"), second)].map(|(name, moment)| {
            let (rows, cols) = model.backend().shape(moment);
            (name, vec![rows * cols], move || Ok(model.backend().download(moment)?))
        })
    });
    Ok(write_tensors_late(path, ("progress", progress), Precision::F32, moments)?)
}

fn read_progress(folder: &Path) -> Result<Progress> {
    let path = folder.join(STATE_FILE);
    let bytes = fs::read(&path).map_err(TrainError::io("read", &path))?;
    let damaged = |reason: String| TrainError::Checkpoint { path: folder.to_owned(), reason };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(e.to_string()))?;
    let text = header.metadata().as_ref().and_then(|m| m.get("progress"));
    let text = text.ok_or_else(|| damaged("its state has no `progress`".to_owned()))?;
    let progress: Progress = serde_json::from_str(text).map_err(|e| damaged(e.to_string()))?;
    if progress.format != FORMAT {
        let reason = format!("it has format {}, this version reads format {FORMAT}", progress.format);
        return Err(damaged(reason));
    }
    Ok(progress)
}

/// Takes up the state in `folder`.
///
/// # Errors
/// Where it is damaged, or belongs to a run with other settings, data or base.
pub fn restore<B: Backend>(
    folder: &Path,
    model: &mut Model<B>,
    optimiser: &mut Optimiser<B>,
    method: Method,
    fingerprint: &str,
) -> Result<(Progress, Vec<Value>)> {
    let progress = read_progress(folder)?;
    let damaged = |reason: String| TrainError::Checkpoint { path: folder.to_owned(), reason };
    if progress.fingerprint != fingerprint {
        let reason =
            "the settings, the examples or the base model are no longer those it was made with; start a new run";
        return Err(damaged(reason.to_owned()));
    }
    match method {
        Method::Lora => model.load_adapter(folder)?,
        Method::Full => model.load_whole(folder)?,
    }
    let files = ModelFiles::open_file(&folder.join(STATE_FILE))?;
    let numbers = |name: String| -> Result<Vec<f32>> {
        let matrix = files.matrix(&name)?.ok_or_else(|| damaged(format!("its state has no `{name}`")))?;
        Ok(matrix.to_f32())
    };
    let names = model.parameters().iter().map(|p| p.name.clone());
    let moments = names.map(|name| {
        Ok(Moments { first: numbers(format!("first.{name}"))?, second: numbers(format!("second.{name}"))?, name })
    });
    optimiser.restore(model, &moments.collect::<Result<Vec<_>>>()?, progress.step)?;
    Ok((progress, read_log(folder)?))
}

fn read_log(folder: &Path) -> Result<Vec<Value>> {
    let path = folder.join(TRAINER_FILE);
    let text = fs::read_to_string(&path).map_err(TrainError::io("read", &path))?;
    let state: Value = serde_json::from_str(&text)
        .map_err(|e| TrainError::Checkpoint { path: folder.to_owned(), reason: e.to_string() })?;
    Ok(state.get("log_history").and_then(Value::as_array).cloned().unwrap_or_default())
}

/// Removes checkpoints but the newest `keep` and the one of `best_step`, and what an interrupted save left behind.
///
/// # Errors
/// Where the disk refuses.
pub fn prune(run: &Path, keep: usize, best_step: Option<u64>) -> Result<()> {
    let all = checkpoints(run)?;
    let old = all.len().saturating_sub(keep);
    for path in all.iter().take(old).filter(|p| step_of(p) != best_step) {
        // Renamed first, so that a removal that is interrupted leaves no half checkpoint behind.
        let doomed = run.join(format!(".checkpoint-{}.partial", step_of(path).unwrap_or_default()));
        remove(&doomed)?;
        fs::rename(path, &doomed).map_err(TrainError::io("rename", path))?;
        remove(&doomed)?;
    }
    Ok(())
}

/// Removes what interrupted saves left in a run's folder.
///
/// # Errors
/// Where the disk refuses.
pub fn sweep(run: &Path) -> Result<()> {
    if !run.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(run).map_err(TrainError::io("read", run))? {
        let path = entry.map_err(TrainError::io("read", run))?.path();
        if path.extension().is_some_and(|e| e == "partial") {
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(TrainError::io("remove", folder)(e)),
        _ => Ok(()),
    }
}

/// Flushes a folder's entries, so that a rename survives a power cut. Windows has no such call and needs none.
fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        File::open(folder).and_then(|f| f.sync_all()).map_err(TrainError::io("flush", folder))?;
    }
    Ok(())
}

/// Bytes of the files in a folder.
pub(crate) fn size_of_folder(folder: &Path) -> Result<u64> {
    let entries = fs::read_dir(folder).map_err(TrainError::io("read", folder))?;
    let sizes = entries.map(|e| e.and_then(|e| e.metadata()).map(|m| m.len()));
    sizes.sum::<std::io::Result<u64>>().map_err(TrainError::io("read", folder))
}

impl Progress {
    /// The progress of a run that has not begun.
    pub fn new(fingerprint: String) -> Self {
        Self { format: FORMAT, fingerprint, ..Self::default() }
    }
}
