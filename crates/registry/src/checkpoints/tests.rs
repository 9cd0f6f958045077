//! What the table of checkpoints promises.

use crate::rows::{empty, running};
use crate::{NewCheckpoint, RegistryError};

fn checkpoint(step: u64, validation_loss: Option<f64>, is_best: bool) -> NewCheckpoint {
    NewCheckpoint { step, path: format!("/runs/run-1/checkpoint-{step}"), validation_loss, is_best, n_bytes: 1024 }
}

#[test]
fn a_run_has_one_best_and_one_latest_checkpoint() {
    let (_folder, registry) = empty();
    let run = running(&registry);
    let table = registry.checkpoints();
    assert_eq!(table.latest(&run.id).unwrap(), None);
    table.insert(&run.id, &checkpoint(10, Some(2.0), true)).unwrap();
    table.insert(&run.id, &checkpoint(20, Some(1.5), true)).unwrap();
    table.insert(&run.id, &checkpoint(30, None, false)).unwrap();
    let rows = table.of_run(&run.id).unwrap();
    let seen: Vec<_> = rows.iter().map(|row| (row.step, row.validation_loss, row.is_best, row.deleted)).collect();
    assert_eq!(seen, [(10, Some(2.0), false, false), (20, Some(1.5), true, false), (30, None, false, false)]);
    assert_eq!(table.latest(&run.id).unwrap().as_ref(), Some(&rows[2]));
    assert_eq!(table.best(&run.id).unwrap().as_ref(), Some(&rows[1]));
    assert_eq!((rows[2].path.as_str(), rows[2].n_bytes), ("/runs/run-1/checkpoint-30", 1024));
}

#[test]
fn removed_files_are_neither_latest_nor_best() {
    let (_folder, registry) = empty();
    let run = running(&registry);
    let table = registry.checkpoints();
    table.insert(&run.id, &checkpoint(10, Some(2.0), true)).unwrap();
    table.insert(&run.id, &checkpoint(20, Some(2.5), false)).unwrap();
    assert!(table.mark_deleted(&run.id, 10).unwrap());
    assert!(table.mark_deleted(&run.id, 20).unwrap());
    assert!(!table.mark_deleted(&run.id, 99).unwrap());
    assert_eq!((table.latest(&run.id).unwrap(), table.best(&run.id).unwrap()), (None, None));
    table.insert(&run.id, &checkpoint(20, Some(2.1), false)).unwrap();
    let again = table.latest(&run.id).unwrap().unwrap();
    assert_eq!((again.step, again.validation_loss, again.deleted), (20, Some(2.1), false));
}

#[test]
fn the_best_can_be_chosen_later() {
    let (_folder, registry) = empty();
    let run = running(&registry);
    let table = registry.checkpoints();
    table.insert(&run.id, &checkpoint(10, None, true)).unwrap();
    table.insert(&run.id, &checkpoint(20, None, false)).unwrap();
    assert!(table.set_best(&run.id, 20).unwrap());
    assert!(!table.set_best(&run.id, 21).unwrap());
    assert_eq!(table.best(&run.id).unwrap().map(|row| row.step), Some(20));
}

#[test]
fn a_checkpoint_needs_its_run() {
    let (_folder, registry) = empty();
    let error = registry.checkpoints().insert("run-1", &checkpoint(1, None, false)).unwrap_err();
    assert!(matches!(error, RegistryError::NotFound { noun: "run", .. }), "{error}");
}
