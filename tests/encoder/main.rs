//! A real fine-tune against transformers and PEFT: a 22.7 M encoder with LoRA on 2,000 movie reviews, from the same start
//! and in the same order of rows, follows the recorded loss of every step and finds as many labels.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod embeddings;
mod metrics;
mod recorded;

use std::path::{Path, PathBuf};

use lorikeet_data::Task;
use lorikeet_tests::{run, shared_data};
use lorikeet_train::{Decay, Settings};

use recorded::{Recorded, rows_of};

/// Steps over which little but the rounding of single sums may differ, and the difference allowed there.
const EARLY: (usize, f64) = (100, 1e-5);

/// The difference allowed later: rounding is amplified by every step that is taken from its result.
const LATE: f64 = 1e-3;

/// How far below the recorded accuracy a check may be.
const ONE_POINT: f64 = 0.01;

/// The encoder's folder: `$LORIKEET_MINILM`, else where `cargo xtask test` puts it.
fn encoder() -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE")).map(PathBuf::from);
    let cached = || home().map(|h| h.join(".cache/lorikeet/minilm"));
    let folder = std::env::var_os("LORIKEET_MINILM").map(PathBuf::from).or_else(cached);
    let found = folder.filter(|f| f.join("model.safetensors").is_file());
    if found.is_none() {
        let mend = "run `cargo xtask test`, or set `LORIKEET_MINILM` to the folder `model` of the package";
        assert!(std::env::var_os("CI").is_none(), "the encoder all-MiniLM-L6-v2 is missing; {mend}");
        println!("skipped: the encoder all-MiniLM-L6-v2 is missing; {mend}");
    }
    found
}

fn settings(recorded: &Recorded) -> Settings {
    Settings {
        epochs: 1.0,
        batch_size: recorded.batch_size,
        learning_rate: Some(recorded.learning_rate),
        schedule: Decay::Linear,
        warmup_steps: Some(0),
        weight_decay: recorded.weight_decay,
        max_gradient_norm: recorded.max_gradient_norm,
        max_length: recorded.max_length,
        rank: recorded.rank,
        alpha: recorded.alpha,
        target_modules: Some(recorded.target_modules.clone()),
        shuffle: false,
        evaluate_every: Some(recorded.steps_per_epoch()),
        ..Settings::default()
    }
}

/// The recorded epochs one behind the other, each in its own order, as one pass over three times as many rows.
fn job(folder: &Path, encoder: &Path, reference: &Path, recorded: &Recorded) -> lorikeet_train::TrainJob {
    let data = shared_data::find("data/sst2").unwrap();
    let train = rows_of(&data.join("train.tsv"));
    let ordered = recorded.orders.iter().flatten().map(|row| train[*row].clone());
    let examples = run::dataset(folder, "train", ordered);
    let validation = run::dataset(folder, "validation", rows_of(&data.join("dev.tsv")));
    assert_eq!((examples.len(), validation.len()), (6000, 872));
    let data = (examples, Some(validation));
    let mut job = run::lora(folder, encoder, Task::Classify, settings(recorded), data);
    job.initial_adapter = Some(reference.join("minilm-sst2/adapter_initial"));
    job
}

#[test]
fn the_fine_tune_of_a_real_encoder_follows_the_recorded_one() {
    let Some(reference) = shared_data::find("parity") else { return };
    let Some(encoder) = encoder() else { return };
    let recorded = Recorded::read(&reference);
    let folder = tempfile::tempdir().unwrap();
    let diary = run::complete(&job(folder.path(), &encoder, &reference, &recorded), 2);

    let losses = diary.step_losses();
    assert_eq!(losses.len(), recorded.step_losses.len());
    let differences: Vec<f64> = losses.iter().zip(&recorded.step_losses).map(|(a, b)| (a - b).abs()).collect();
    let largest = |of: &[f64]| of.iter().copied().fold(0.0, f64::max);
    let (early, late) = differences.split_at(EARLY.0);
    println!(
        "largest difference of a step's loss: {:.1e} in the first {}, {:.1e} later",
        largest(early),
        EARLY.0,
        largest(late)
    );
    for (step, difference) in differences.iter().enumerate() {
        let allowed = if step < EARLY.0 { EARLY.1 } else { LATE };
        assert!(*difference <= allowed, "step {}: {} for {}", step + 1, losses[step], recorded.step_losses[step]);
    }

    let checks = diary.checks();
    let steps: Vec<u64> = checks.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [0, 125, 250, 375]);
    for ((step, scores), (accuracy, loss)) in checks.iter().zip(&recorded.checks) {
        let found = scores.labels.unwrap();
        println!(
            "after step {step}: accuracy {:.4} ({accuracy:.4}), loss {:.4} ({loss:.4})",
            found.accuracy,
            scores.loss.mean()
        );
        assert!(found.accuracy >= accuracy - ONE_POINT, "after step {step}: {} for {accuracy}", found.accuracy);
        assert!((scores.loss.mean() - loss).abs() <= LATE, "after step {step}: {} for {loss}", scores.loss.mean());
    }
}
