//! Whether training in 16 bits ends where training in 32 does: two real tasks, three seeds each, the loss on examples that were
//! not learned from at the end of each run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Bench;
use super::rows::Row;
use crate::process::read;
use crate::say;
use crate::setup;

const SEEDS: [u64; 3] = [1, 2, 3];
/// Rows of the instructions that are learned from, and that are checked with.
const INSTRUCTIONS: (usize, usize) = (2000, 300);

/// A task: what `lorikeet train` is told.
struct Task {
    name: &'static str,
    words: Vec<String>,
}

/// Trains everything and compares the ends.
///
/// # Errors
/// The test material is missing, or a run fails.
pub fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let shared =
        bench.options.shared.as_ref().context("`convergence` needs the test material: set `LORIKEET_SHARED`")?;
    let folder = bench.ours.home().join("convergence");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create: {}", folder.display()))?;
    let mut rows = Vec::new();
    for task in [reviews(shared)?, instructions(shared, &folder)?] {
        for seed in SEEDS {
            let [f32, bf16] = [loss(bench, &task, seed, "f32")?, loss(bench, &task, seed, "bf16")?];
            let row = Row::new(&format!("{} seed {seed}", task.name), "validation loss", "bf16", "nats");
            let row = row.beside(bf16, "lorikeet f32", f32, bf16 / f32);
            say::line(&row.text())?;
            rows.push(bench.machine.stamped(row, &BTreeMap::new()));
        }
    }
    Ok(rows)
}

/// Movie reviews, for the encoder.
fn reviews(shared: &Path) -> Result<Task> {
    setup::encoder()?;
    let file = |name: &str| shared.join("data/sst2").join(name).display().to_string();
    let model = setup::encoder_folder()?.display().to_string();
    let (train, dev) = (file("train.tsv"), file("dev.tsv"));
    let words = ["--model", &model, "--data", &train, "--validation", &dev, "--task", "classify", "--batch-size", "16"];
    Ok(Task { name: "convergence-sst2", words: words.map(str::to_owned).to_vec() })
}

/// Instructions with their answers, for the starter.
fn instructions(shared: &Path, folder: &Path) -> Result<Task> {
    let file = shared.join("data/alpaca/alpaca_filtered_5k.json");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read: {}", file.display()))?;
    let rows: Vec<Value> = serde_json::from_str(&text)?;
    let (learned, held_out) = INSTRUCTIONS;
    ensure!(rows.len() >= learned + held_out, "too few rows: {}", file.display());
    let write = |name: &str, rows: &[Value]| -> Result<PathBuf> {
        let path = folder.join(name);
        fs::write(&path, Value::from(rows.to_vec()).to_string())?;
        Ok(path)
    };
    let train = write("learned.json", &rows[..learned])?.display().to_string();
    let dev = write("held-out.json", &rows[learned..learned + held_out])?.display().to_string();
    let words = ["--model", "starter", "--data", &train, "--validation", &dev, "--batch-size", "16", "--samples", "0"];
    Ok(Task { name: "convergence-alpaca", words: words.map(str::to_owned).to_vec() })
}

/// The loss of the last check of a run of one pass.
fn loss(bench: &Bench, task: &Task, seed: u64, precision: &str) -> Result<f64> {
    let mut command = bench.ours.command();
    command.arg("train").args(&task.words).args(["--json", "--epochs", "1", "--evaluate-every", "1000000"]);
    command.args(["--seed", &seed.to_string(), "--precision", precision]);
    let told = read(&mut command)?;
    let mut events = told.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let last = events.rfind(|event| event["event"] == "evaluated");
    last.and_then(|event| event["loss"].as_f64()).with_context(|| format!("a run of `{}` told no check", task.name))
}
