//! Real text: the starter model, tuned with LoRA on 4,000 instructions of the Alpaca set, finds the answers of 500 other
//! ones less surprising than before. The set is test material only.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, missing_docs)]

use std::{collections::BTreeSet, fs, path::Path};

use lorikeet_data::Task;
use lorikeet_tests::{run, shared_data};
use lorikeet_train::{Decay, Settings};
use serde_json::Value;

/// Rows to learn from: the first ones.
const LEARNED: usize = 4000;

/// Rows to check with: the ones behind them.
const HELD_OUT: usize = 500;

/// Nats a token of an answer that one pass over the rows must gain at least.
const GAIN: f64 = 0.5;

#[test]
fn the_starter_model_learns_from_instructions_it_did_not_see() {
    let Some(file) = shared_data::find("data/alpaca/alpaca_filtered_5k.json") else { return };
    let rows: Vec<Value> = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let (learned, others) = rows.split_at(LEARNED);
    let known: BTreeSet<String> = learned.iter().map(Value::to_string).collect();
    let held_out: Vec<Value> =
        others.iter().filter(|r| !known.contains(&r.to_string())).take(HELD_OUT).cloned().collect();

    let folder = tempfile::tempdir().unwrap();
    let data = run::dataset(folder.path(), "learned", learned.iter().cloned());
    let validation = run::dataset(folder.path(), "held_out", held_out);
    assert_eq!((data.len(), validation.len()), (LEARNED, HELD_OUT));
    let settings = Settings {
        epochs: 1.0,
        batch_size: 16,
        learning_rate: Some(1e-3),
        schedule: Decay::Cosine,
        evaluate_every: Some(1000),
        samples: 0,
        ..Settings::default()
    };
    let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/starter");
    let job = run::lora(folder.path(), &starter, Task::Causal, settings, (data, Some(validation)));
    let diary = run::complete(&job, 2);

    let [(0, before), (250, after)] = diary.checks()[..] else { panic!("checks: {:?}", diary.checks()) };
    let (n, before, after) = (before.loss.count, before.loss.mean(), after.loss.mean());
    println!("loss on {HELD_OUT} held-out rows ({n} tokens): {before:.4} before, {after:.4} after {LEARNED} rows");
    assert!(after < before - GAIN, "{after} is not below {before} by {GAIN}");
}
