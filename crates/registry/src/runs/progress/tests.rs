//! What recording and rewinding promise.

use crate::rows::{empty, event, metric, running};
use crate::{Best, Progress, RegistryError, Request};

fn progress(step: u64, seq: u64) -> Progress {
    Progress { step, seq, best: None }
}

#[test]
fn a_batch_moves_the_run_with_its_rows() {
    let (_folder, registry) = empty();
    let runs = registry.runs();
    let id = running(&registry).id;
    let best = Some(Best { step: 2, value: 1.5 });
    let batch = Progress { best, ..progress(2, 3) };
    assert_eq!(runs.record(&id, &[metric(1, 1), metric(3, 2)], &[event(2, Some(1))], &batch).unwrap(), Request::None);
    let row = runs.get(&id).unwrap();
    assert_eq!((row.step, row.seq, row.best_step, row.best_value), (2, 3, Some(2), Some(1.5)));
    runs.request(&id, Request::Cancel).unwrap();
    assert_eq!(runs.record(&id, &[], &[], &progress(3, 3)).unwrap(), Request::Cancel);
    let row = runs.get(&id).unwrap();
    assert_eq!((row.step, row.seq, row.best_step), (3, 3, Some(2)));
    assert!(row.heartbeat_at_ms >= row.started_at_ms);
}

#[test]
fn a_wrong_number_keeps_nothing_of_the_batch() {
    let (_folder, registry) = empty();
    let runs = registry.runs();
    let id = running(&registry).id;
    runs.record(&id, &[metric(1, 1)], &[event(2, None)], &progress(1, 2)).unwrap();
    let before = runs.get(&id).unwrap();
    let repeated = runs.record(&id, &[metric(3, 2)], &[event(2, None)], &progress(2, 3)).unwrap_err();
    insta::assert_snapshot!(repeated.to_string(), @"run `run-1` got a row numbered outside 3..=3, nothing of the batch was kept; its number is: 2");
    let beyond = runs.record(&id, &[metric(4, 2)], &[], &progress(2, 3)).unwrap_err();
    assert!(matches!(beyond, RegistryError::OutOfOrder { first: 3, last: 3, seq: 4, .. }), "{beyond}");
    let twice = runs.record(&id, &[metric(3, 2), metric(3, 2)], &[], &progress(2, 3)).unwrap_err();
    assert!(twice.to_string().contains("UNIQUE constraint failed"), "{twice}");
    assert_eq!(runs.get(&id).unwrap(), before);
    assert_eq!(registry.metrics().since(&id, 0, 9).unwrap(), [metric(1, 1)]);
    let unknown = runs.record("run-9", &[metric(1, 1)], &[], &progress(1, 1)).unwrap_err();
    assert!(matches!(unknown, RegistryError::NotFound { .. }), "{unknown}");
}

#[test]
fn rewinding_removes_what_will_happen_again() {
    let (_folder, registry) = empty();
    let runs = registry.runs();
    let id = running(&registry).id;
    let metrics: Vec<_> = (1..=4).map(|step| metric(step, step)).collect();
    let events = [event(5, Some(2)), event(6, Some(3)), event(7, None)];
    let best = Some(Best { step: 3, value: 1.0 });
    runs.record(&id, &metrics, &events, &Progress { best, ..progress(4, 7) }).unwrap();
    assert_eq!(runs.rewind(&id, 2, None).unwrap(), 7);
    let row = runs.get(&id).unwrap();
    assert_eq!((row.step, row.seq, row.best_step, row.best_value), (2, 7, None, None));
    assert_eq!(registry.metrics().since(&id, 0, 9).unwrap(), metrics[..2]);
    assert_eq!(registry.events().since(&id, 0, 9).unwrap(), [events[0].clone(), events[2].clone()]);
    runs.record(&id, &[metric(8, 3)], &[], &progress(3, 8)).unwrap();
    assert_eq!(registry.metrics().since(&id, 7, 9).unwrap(), [metric(8, 3)]);
    assert!(matches!(runs.rewind("run-9", 1, None), Err(RegistryError::NotFound { .. })));
}

#[test]
fn rewinding_to_a_number_goes_on_from_there() {
    let (_folder, registry) = empty();
    let runs = registry.runs();
    let id = running(&registry).id;
    let best = Some(Best { step: 1, value: 2.0 });
    let batch = Progress { best, ..progress(3, 4) };
    runs.record(&id, &[metric(1, 1), metric(2, 2), metric(4, 3)], &[event(3, None)], &batch).unwrap();
    assert_eq!(runs.rewind(&id, 2, Some(2)).unwrap(), 2);
    let row = runs.get(&id).unwrap();
    assert_eq!((row.step, row.seq, row.best_step, row.best_value), (2, 2, Some(1), Some(2.0)));
    assert_eq!(registry.events().since(&id, 0, 9).unwrap(), []);
    runs.record(&id, &[metric(3, 3)], &[], &progress(3, 3)).unwrap();
    let steps: Vec<u64> = registry.metrics().since(&id, 0, 9).unwrap().iter().map(|row| row.step).collect();
    assert_eq!(steps, [1, 2, 3]);
}
