//! What the table of runs promises about rows, lists and ids; the queue and the recording have tests of their own.

use serde_json::json;

use super::row::{Request, RunStatus};
use crate::rows::{PROCESS, dataset, empty, event, metric, model, run, running};
use crate::{
    Ending, NewArtifact, NewCheckpoint, NewRun, Page, Progress, RegistryError, RunFilter, RunFolder, RunUpdate,
};

#[test]
fn a_run_comes_back_as_it_went_in() {
    let (_folder, registry) = empty();
    let data = registry.datasets().insert(&dataset("spam", "d1")).unwrap();
    let check = registry.datasets().insert(&dataset("check", "d2")).unwrap();
    let base = registry.models().insert(&model("starter", "builtin:starter", "m1")).unwrap();
    let new = NewRun {
        dataset_id: Some(data.id),
        validation_dataset_id: Some(check.id),
        model_id: Some(base.id),
        template_hash: Some("t1".into()),
        estimate: Some(json!({ "seconds": 90.5 })),
        notes: "first try".into(),
        ..run()
    };
    let row = registry.runs().create(&new).unwrap();
    assert_eq!(registry.runs().get("spam-1").unwrap(), row);
    assert_eq!((row.id.as_str(), row.name.as_str(), row.folder.as_str()), ("spam-1", "spam-1", "/data/runs/spam-1"));
    assert_eq!((row.status, row.request, row.process), (RunStatus::Queued, Request::None, None));
    assert_eq!((row.step, row.seq, row.started_at_ms, row.ended_at_ms, row.heartbeat_at_ms), (0, 0, None, None, None));
    assert_eq!((row.settings, row.made_from, row.estimate), (new.settings, new.made_from, new.estimate));
    assert_eq!((row.dataset_id.as_deref(), row.dataset_hash.as_deref()), (Some("spam"), Some("d1")));
    assert_eq!((row.model_id.as_deref(), row.model_hash.as_deref()), (Some("starter"), Some("m1")));
    assert_eq!((row.validation_dataset_id.as_deref(), row.template_hash.as_deref()), (Some("check"), Some("t1")));
    assert_eq!((row.task.as_str(), row.method.as_str(), row.device.as_str()), ("causal", "lora", "cpu"));
    assert_eq!((row.n_threads, row.n_steps_planned, row.notes.as_str()), (2, Some(100), "first try"));
    assert_eq!((row.failure, row.metrics, row.best_step, row.best_value), (None, None, None, None));
}

#[test]
fn ids_count_up_and_are_not_given_again() {
    let (_folder, registry) = empty();
    registry.datasets().insert(&dataset("spam", "d1")).unwrap();
    let on_spam = NewRun { dataset_id: Some("spam".into()), ..run() };
    let named = NewRun { name: Some("Best of all!".into()), ..run() };
    let create = |new: &NewRun| registry.runs().create(new).unwrap().id;
    assert_eq!(registry.runs().next_id(None, Some("spam")).unwrap(), "spam-1");
    assert_eq!([create(&on_spam), create(&on_spam), create(&run())], ["spam-1", "spam-2", "run-1"]);
    assert_eq!([create(&named), create(&named)], ["best-of-all", "best-of-all-2"]);
    assert_eq!(registry.runs().get("best-of-all").unwrap().name, "Best of all!");
    assert!(registry.runs().delete("spam-2").unwrap());
    assert_eq!(create(&on_spam), "spam-3");
    assert_eq!(create(&NewRun { name: Some("spam-4".into()), ..run() }), "spam-4");
    assert_eq!(registry.runs().next_id(None, Some("spam")).unwrap(), "spam-5");
    assert_eq!(create(&on_spam), "spam-5");
}

#[test]
fn a_run_can_start_without_queueing() {
    let (_folder, registry) = empty();
    let row = running(&registry);
    assert_eq!((row.status, row.process), (RunStatus::Running, Some(PROCESS)));
    assert_eq!(row.started_at_ms, Some(row.created_at_ms));
    assert_eq!(row.heartbeat_at_ms, Some(row.created_at_ms));
    let at = NewRun { folder: RunFolder::At("/elsewhere".into()), ..run() };
    assert_eq!(registry.runs().create(&at).unwrap().folder, "/elsewhere");
}

#[test]
fn a_run_on_an_unknown_dataset_is_refused() {
    let (_folder, registry) = empty();
    let new = NewRun { dataset_id: Some("nowhere".into()), ..run() };
    let error = registry.runs().create(&new).unwrap_err().to_string();
    assert!(error.contains("FOREIGN KEY constraint failed"), "{error}");
    assert_eq!(registry.runs().count(&RunFilter::default()).unwrap(), 0);
    assert_eq!(registry.runs().next_id(None, Some("nowhere")).unwrap(), "nowhere-1", "the number was given back");
}

#[test]
fn what_becomes_known_later_is_filled_in() {
    let (_folder, registry) = empty();
    let before = registry.runs().create(&run()).unwrap();
    let update = RunUpdate {
        n_steps_planned: Some(250),
        device: Some("cuda".into()),
        settings: Some(json!({ "rank": 16 })),
        name: Some("Sixteen".into()),
        ..RunUpdate::default()
    };
    let after = registry.runs().update(&before.id, &update).unwrap();
    assert_eq!((after.n_steps_planned, after.device.as_str()), (Some(250), "cuda"));
    assert_eq!((after.settings, after.name.as_str()), (json!({ "rank": 16 }), "Sixteen"));
    assert_eq!((after.folder, after.model_hash, after.notes), (before.folder, before.model_hash, before.notes));
    assert_eq!(registry.runs().get("Sixteen").unwrap().id, before.id);
    let error = registry.runs().update("run-2", &update).unwrap_err().to_string();
    assert_eq!(error, "no run has the id `run-2`; the nearest is: `run-1`");
}

#[test]
fn lists_are_filtered_counted_and_paged() {
    let (_folder, registry) = empty();
    registry.datasets().insert(&dataset("spam", "d1")).unwrap();
    for n in 0..10 {
        let dataset_id = (n % 2 == 0).then(|| "spam".to_owned());
        let id = registry.runs().create(&NewRun { dataset_id, ..run() }).unwrap().id;
        if n < 4 {
            registry.runs().transition(&id, &[RunStatus::Queued], RunStatus::Cancelled).unwrap();
        }
    }
    let cancelled = RunFilter::in_status(&[RunStatus::Cancelled, RunStatus::Failed]);
    let on_spam = RunFilter { dataset_id: Some("spam".into()), ..cancelled.clone() };
    let counts = [&RunFilter::default(), &cancelled, &on_spam].map(|filter| registry.runs().count(filter).unwrap());
    assert_eq!(counts, [10, 4, 2]);
    let first = registry.runs().list(&cancelled, Page::first(3)).unwrap();
    let ids = |rows: &[crate::RunRow]| rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&first.rows), ["run-2", "spam-2", "run-1"]);
    let second = registry.runs().list(&cancelled, Page::after(3, first.next.unwrap())).unwrap();
    assert_eq!((ids(&second.rows), second.next), (vec!["spam-1".to_owned()], None));
    assert_eq!(ids(&registry.runs().list(&on_spam, Page::first(9)).unwrap().rows), ["spam-2", "spam-1"]);
    let of_model = RunFilter { model_id: Some("starter".into()), ..RunFilter::default() };
    assert_eq!(registry.runs().list(&of_model, Page::first(9)).unwrap().rows, []);
}

#[test]
fn deleting_a_run_takes_its_rows_and_spares_a_live_one() {
    let (_folder, registry) = empty();
    let id = running(&registry).id;
    let other = registry.runs().create(&run()).unwrap().id;
    let progress = Progress { step: 1, seq: 2, best: None };
    registry.runs().record(&id, &[metric(1, 1)], &[event(2, None)], &progress).unwrap();
    registry.runs().record(&other, &[metric(1, 1)], &[], &progress).unwrap();
    let checkpoint = NewCheckpoint { step: 1, path: "c".into(), validation_loss: None, is_best: true, n_bytes: 1 };
    registry.checkpoints().insert(&id, &checkpoint).unwrap();
    let artifact = NewArtifact { kind: "adapter".into(), path: "a".into(), hash: None, n_bytes: 1 };
    registry.artifacts().insert(&id, &artifact).unwrap();
    assert!(!registry.runs().delete(&id).unwrap());
    registry.runs().finish(&id, &[RunStatus::Running], &Ending::Cancelled(None)).unwrap();
    assert!(registry.runs().delete(&id).unwrap());
    assert_eq!(registry.metrics().since(&id, 0, 9).unwrap(), []);
    assert_eq!(registry.events().since(&id, 0, 9).unwrap(), []);
    assert_eq!(registry.checkpoints().of_run(&id).unwrap(), []);
    assert_eq!(registry.artifacts().of_run(&id).unwrap(), []);
    assert_eq!(registry.metrics().since(&other, 0, 9).unwrap().len(), 1);
    assert!(matches!(registry.runs().delete(&id), Err(RegistryError::NotFound { .. })));
}
