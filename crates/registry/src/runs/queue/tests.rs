//! What a change of status, a claim and a request promise.

use serde_json::json;

use crate::rows::{PROCESS, empty, run, running};
use crate::{Ending, RegistryError, Request, RunFailure, RunProcess, RunStatus};
use RunStatus::{Cancelled, Completed, Failed, Paused, Queued, Running};

const OTHER: RunProcess = RunProcess { pid: 4243, started_at_ms: PROCESS.started_at_ms };

#[test]
fn a_change_applies_only_from_the_status_it_names() {
    let (_folder, registry) = empty();
    let runs = registry.runs();
    let id = running(&registry).id;
    assert!(!runs.transition(&id, &[Queued, Paused], Cancelled).unwrap());
    assert!(!runs.transition(&id, &[], Cancelled).unwrap());
    assert!(runs.transition(&id, &[Queued, Running], Paused).unwrap());
    let paused = runs.get(&id).unwrap();
    assert_eq!((paused.status, paused.process, paused.ended_at_ms), (Paused, Some(PROCESS), None));
    assert!(runs.transition(&id, &[Paused], Running).unwrap());
    assert!(runs.transition(&id, &[Running], Completed).unwrap());
    let ended = runs.get(&id).unwrap();
    assert_eq!((ended.status, ended.process), (Completed, None));
    assert!(ended.ended_at_ms >= ended.started_at_ms && ended.started_at_ms == paused.started_at_ms);
    assert!(runs.transition(&id, &[Completed], Queued).unwrap());
    assert_eq!(runs.get(&id).unwrap().ended_at_ms, None);
    let error = runs.transition("run-7", &[Queued], Cancelled).unwrap_err().to_string();
    assert_eq!(error, "no run has the id `run-7`; the nearest is: `run-1`");
}

#[test]
fn an_ending_brings_its_figures_or_its_error() {
    let (_folder, registry) = empty();
    let runs = registry.runs();
    let failure =
        RunFailure { code: "out-of-memory".into(), message: "no room".into(), hint: Some("smaller batch".into()) };
    let failed = running(&registry).id;
    runs.request(&failed, Request::Pause).unwrap();
    assert!(runs.finish(&failed, &[Running], &Ending::Failed(failure.clone())).unwrap());
    assert!(!runs.finish(&failed, &[Running], &Ending::Completed(json!({}))).unwrap());
    let row = runs.get(&failed).unwrap();
    assert_eq!((row.status, row.failure, row.process, row.request), (Failed, Some(failure), None, Request::None));
    let completed = running(&registry).id;
    let metrics = json!({ "loss": 1.25, "perplexity": 3.49 });
    assert!(runs.finish(&completed, &[Running], &Ending::Completed(metrics.clone())).unwrap());
    let row = runs.get(&completed).unwrap();
    assert_eq!((row.status, row.metrics, row.failure), (Completed, Some(metrics), None));
    assert!(row.ended_at_ms.is_some());
    assert!(runs.take_over(&failed, None, PROCESS).unwrap());
    assert_eq!(runs.get(&failed).unwrap().failure, None);
}

#[test]
fn the_queue_is_served_in_order_and_each_run_once() {
    let (_folder, registry) = empty();
    let runs = registry.runs();
    let ids: Vec<String> = (0..3).map(|_| runs.create(&run()).unwrap().id).collect();
    assert!(runs.claim(&ids[1], OTHER).unwrap());
    assert!(!runs.claim(&ids[1], PROCESS).unwrap());
    let first = runs.claim_next_queued(PROCESS).unwrap().unwrap();
    assert_eq!((first.id.as_str(), first.status, first.process), (ids[0].as_str(), Running, Some(PROCESS)));
    assert!(first.started_at_ms.is_some() && first.heartbeat_at_ms == first.started_at_ms);
    assert_eq!(runs.claim_next_queued(PROCESS).unwrap().map(|row| row.id), Some(ids[2].clone()));
    assert_eq!(runs.claim_next_queued(PROCESS).unwrap(), None);
    assert_eq!(runs.get(&ids[1]).unwrap().process, Some(OTHER));
    assert!(matches!(runs.claim("run-9", PROCESS), Err(RegistryError::NotFound { .. })));
}

#[test]
fn an_interrupted_run_is_found_and_taken_over_once() {
    let (_folder, registry) = empty();
    let runs = registry.runs();
    let dead = running(&registry).id;
    let held = running(&registry).id;
    runs.transition(&held, &[Running], Paused).unwrap();
    let parked = running(&registry).id;
    runs.transition(&parked, &[Running], Paused).unwrap();
    assert!(runs.release(&parked, Some(PROCESS), Paused).unwrap());
    runs.create(&run()).unwrap();
    let ids = |alive: fn(RunProcess) -> bool| -> Vec<String> {
        runs.interrupted(alive).unwrap().into_iter().map(|row| row.id).collect()
    };
    assert_eq!(ids(|_| true), Vec::<String>::new());
    assert_eq!(ids(|_| false), [dead.clone(), held.clone()]);
    assert_eq!(ids(|process| process.started_at_ms != PROCESS.started_at_ms), [dead.clone(), held.clone()]);
    assert!(runs.take_over(&dead, Some(PROCESS), OTHER).unwrap());
    assert!(!runs.take_over(&dead, Some(PROCESS), OTHER).unwrap(), "it has another process by now");
    assert!(!runs.release(&dead, Some(PROCESS), Queued).unwrap());
    assert!(runs.release(&held, Some(PROCESS), Queued).unwrap());
    let held = runs.get(&held).unwrap();
    assert_eq!((held.status, held.process), (Queued, None));
    assert!(runs.take_over(&parked, None, OTHER).unwrap());
    assert_eq!(ids(|process| process == OTHER), Vec::<String>::new());
}

#[test]
fn a_request_waits_until_it_is_taken() {
    let (_folder, registry) = empty();
    let runs = registry.runs();
    let id = running(&registry).id;
    assert_eq!(runs.take_request(&id).unwrap(), Request::None);
    assert!(runs.request(&id, Request::Checkpoint).unwrap());
    assert!(runs.request(&id, Request::Pause).unwrap());
    assert_eq!(runs.pending_request(&id).unwrap(), Request::Pause);
    assert_eq!(runs.heartbeat(&id).unwrap(), Request::Pause);
    assert_eq!(runs.take_request(&id).unwrap(), Request::Pause);
    assert_eq!(runs.pending_request(&id).unwrap(), Request::None);
    assert!(runs.request(&id, Request::Cancel).unwrap());
    assert!(!runs.request(&id, Request::Resume).unwrap(), "a cancel is not replaced");
    assert_eq!(runs.take_request(&id).unwrap(), Request::Cancel);
    let queued = runs.create(&run()).unwrap().id;
    assert!(!runs.request(&queued, Request::Cancel).unwrap());
    assert!(matches!(runs.request("run-9", Request::Cancel), Err(RegistryError::NotFound { .. })));
}

#[test]
fn words_and_statuses_agree_with_the_table() {
    for status in RunStatus::ALL {
        assert_eq!(status.as_str().parse(), Ok(*status));
    }
    assert_eq!(RunStatus::ALL.iter().filter(|status| status.is_final()).count(), 3);
    let sql = crate::runs::MIGRATIONS[0].sql;
    let quoted = |words: Vec<&str>| words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ");
    assert!(sql.contains(&quoted(RunStatus::ALL.iter().map(|status| status.as_str()).collect())));
    assert!(sql.contains(&quoted(Request::ALL.iter().map(|request| request.as_str()).collect())));
    let error = "stopped".parse::<RunStatus>().unwrap_err().to_string();
    assert_eq!(error, "not a run status (one of queued, running, paused, completed, failed, cancelled): `stopped`");
}
