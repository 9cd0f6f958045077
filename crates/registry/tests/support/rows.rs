//! Small rows for tests, each valid by itself; a test changes what it is about.

#![allow(dead_code, reason = "every test target takes what it needs")]

use lorikeet_registry::{
    EventRow, MetricKind, MetricRow, NewDataset, NewModel, NewRun, Registry, RunFolder, RunProcess, RunRow,
};
use serde_json::json;
use tempfile::TempDir;

/// A process that a test started, which does not outlive it.
pub struct OwnChild(pub std::process::Child);

impl Drop for OwnChild {
    fn drop(&mut self) {
        // An error here means that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An empty registry in a folder that goes away with the first field.
pub fn empty() -> (TempDir, Registry) {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::open(&folder.path().join("registry.sqlite")).unwrap();
    (folder, registry)
}

pub fn dataset(name: &str, hash: &str) -> NewDataset {
    NewDataset {
        name: name.into(),
        hash: hash.into(),
        kind: "text-label".into(),
        n_rows: 900,
        n_bad: 3,
        n_bytes: 81_920,
        source_path: Some("/data/spam.csv".into()),
        labels: Some(json!(["ham", "spam"])),
        details: Some(json!({ "columns": ["text", "label"] })),
    }
}

pub fn model(name: &str, path: &str, hash: &str) -> NewModel {
    NewModel {
        name: name.into(),
        path: path.into(),
        hash: hash.into(),
        architecture: "LlamaForCausalLM".into(),
        tasks: json!(["causal"]),
        n_parameters: 7_000_000,
        n_bytes: 14_000_000,
        template_hash: Some("t1".into()),
        details: None,
    }
}

/// A queued run on nothing that is in another table.
pub fn run() -> NewRun {
    NewRun {
        name: None,
        process: None,
        task: "causal".into(),
        method: "lora".into(),
        dataset_id: None,
        dataset_hash: Some("d1".into()),
        validation_dataset_id: None,
        model_id: None,
        model_hash: Some("m1".into()),
        template_hash: None,
        settings: json!({ "learning_rate": 2e-4, "rank": 8, "target_modules": ["q_proj", "v_proj"] }),
        made_from: Some(json!({ "model": "starter", "data": "notes.jsonl" })),
        estimate: None,
        code_version: "0.1.0".into(),
        device: "cpu".into(),
        n_threads: 2,
        n_steps_planned: Some(100),
        folder: RunFolder::Inside("/data/runs".into()),
        notes: String::new(),
    }
}

/// The first process of a test; no other has its start time.
pub const PROCESS: RunProcess = RunProcess { pid: 4242, started_at_ms: 1_700_000_000_000 };

/// A run that [`PROCESS`] executes.
pub fn running(registry: &Registry) -> RunRow {
    registry.runs().create(&NewRun { process: Some(PROCESS), ..run() }).unwrap()
}

pub fn metric(seq: u64, step: u64) -> MetricRow {
    MetricRow {
        seq,
        kind: MetricKind::Train,
        step,
        epoch: step as f64 / 50.0,
        at_ms: 1_700_000_000_000 + step * 250,
        elapsed_ms: step * 250,
        loss_sum: 120.5,
        n_tokens: 60,
        learning_rate: Some(2e-4),
        grad_norm: Some(0.75),
        tokens_per_s: Some(512.0),
        memory_bytes: Some(332_000_000),
        extra: None,
    }
}

pub fn event(seq: u64, step: Option<u64>) -> EventRow {
    EventRow {
        seq,
        step,
        at_ms: 1_700_000_000_000 + seq,
        elapsed_ms: seq * 250,
        kind: "log".into(),
        body: json!({ "message": format!("event {seq}") }),
    }
}
