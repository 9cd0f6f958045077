//! The recorder on a real registry.

use lorikeet_registry::{MetricKind, NewRun, RunFolder};
use lorikeet_train::Control;
use tempfile::TempDir;

use super::*;
use crate::this_process;

/// A registry with one run that works.
pub(crate) fn running() -> (TempDir, Arc<Registry>, String) {
    let folder = tempfile::tempdir().unwrap();
    let registry = Arc::new(Registry::open(&folder.path().join("registry.sqlite")).unwrap());
    let new = NewRun {
        name: Some("run".into()),
        process: Some(this_process()),
        task: "causal".into(),
        method: "lora".into(),
        dataset_id: None,
        dataset_hash: None,
        validation_dataset_id: None,
        model_id: None,
        model_hash: None,
        template_hash: None,
        settings: serde_json::json!({}),
        made_from: None,
        estimate: None,
        code_version: "0".into(),
        device: "cpu".into(),
        n_threads: 1,
        n_steps_planned: None,
        folder: RunFolder::At(folder.path().display().to_string()),
        notes: String::new(),
    };
    let id = registry.runs().create(&new).unwrap().id;
    (folder, registry, id)
}

pub(crate) fn event(seq: u64, step: u64, what: What) -> RunEvent {
    RunEvent { seq, step, at_ms: 1000 + seq, elapsed_ms: seq, what }
}

pub(crate) fn step(loss_sum: f64) -> What {
    What::Step {
        epoch: 0.5,
        loss_sum,
        n_supervised: 2,
        learning_rate: 1e-3,
        gradient_norm: 1.0,
        tokens_per_s: 10.0,
        memory_bytes: 1 << 20,
        preference: None,
    }
}

fn start(registry: &Arc<Registry>, id: &str) -> Recorder {
    Recorder::start(registry.clone(), Arc::default(), id.to_owned(), (0, 0))
}

#[test]
fn nothing_is_dropped_when_events_come_faster_than_they_are_written() {
    let (_folder, registry, id) = running();
    let recorder = start(&registry, &id);
    let n_events = 3 * CAPACITY as u64;
    (1..=n_events).for_each(|seq| recorder.push(event(seq, seq, step(seq as f64))));
    recorder.push(event(n_events + 1, n_events, What::Warning { message: "look".into() }));
    recorder.finish().unwrap();
    let rows = registry.metrics().since(&id, 0, 10_000).unwrap();
    assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), (1..=n_events).collect::<Vec<_>>());
    let events = registry.events().since(&id, 0, 10).unwrap();
    assert_eq!((events.len(), events[0].seq, events[0].kind.as_str()), (1, n_events + 1, "warning"));
    let row = registry.runs().get(&id).unwrap();
    assert_eq!((row.step, row.seq), (n_events, n_events + 1));
}

#[test]
fn the_best_check_and_its_checkpoint_are_noted_and_missing_folders_forgotten() {
    let (folder, registry, id) = running();
    let place = |name: &str| folder.path().join(name).display().to_string();
    std::fs::create_dir(folder.path().join("checkpoint-4")).unwrap();
    let check =
        |loss_sum, best| What::Evaluated { loss_sum, n: 2, accuracy: None, f1_macro: None, preference: None, best };
    let saved = |name: &str, best| What::Checkpoint { path: place(name), best, n_bytes: 5 };
    let recorder = start(&registry, &id);
    let told = [
        (2, check(6.0, true)),
        (2, saved("checkpoint-2", true)),
        (4, check(4.0, true)),
        (4, saved("checkpoint-4", true)),
    ];
    for (seq, (step, what)) in told.into_iter().enumerate() {
        recorder.push(event(seq as u64 + 1, step, what));
    }
    recorder.finish().unwrap();
    let row = registry.runs().get(&id).unwrap();
    assert_eq!((row.best_step, row.best_value), (Some(4), Some(2.0)));
    let rows = registry.checkpoints().of_run(&id).unwrap();
    let seen: Vec<_> = rows.iter().map(|row| (row.step, row.validation_loss, row.is_best, row.deleted)).collect();
    assert_eq!(seen, [(2, Some(3.0), false, true), (4, Some(2.0), true, false)]);
    assert_eq!(registry.metrics().last(&id, MetricKind::Validation).unwrap().unwrap().epoch, 0.0);
}

#[test]
fn a_wish_of_another_program_arrives_while_nothing_happens() {
    let (folder, registry, id) = running();
    let recorder = start(&registry, &id);
    let other = Registry::open(&folder.path().join("registry.sqlite")).unwrap();
    assert!(other.runs().request(&id, Request::Pause).unwrap());
    let since = Instant::now();
    while recorder.wanted().control() != Control::Cancel {
        assert!(since.elapsed() < Duration::from_secs(20), "the wish did not arrive");
        thread::sleep(Duration::from_millis(5));
    }
    assert!(recorder.wanted().is_pause());
    recorder.finish().unwrap();
}

#[test]
fn a_run_that_was_removed_ends_instead_of_going_on_unseen() {
    let (_folder, registry, id) = running();
    let recorder = Recorder::start(registry, Arc::default(), format!("{id}-gone"), (0, 0));
    recorder.push(event(1, 1, step(1.0)));
    let since = Instant::now();
    while recorder.wanted().control() != Control::Cancel {
        assert!(since.elapsed() < Duration::from_secs(20), "nothing stopped the run");
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(recorder.finish().unwrap_err().code, codes::NOT_FOUND);
}
