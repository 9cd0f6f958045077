//! Pausing, going on, stopping, saving, interrupted runs, the queue, and followers that come and go.

use std::path::Path;
use std::time::{Duration, Instant};

use lorikeet_api::wire::{RunEvent, RunEventKind, RunHistoryRequest, RunRequest, RunStatus, SettingValue};
use lorikeet_api::{App, Scope, runs};
use lorikeet_registry::{MetricKind, MetricRow, Progress, Registry, RunProcess};

use crate::support::{Bench, follow, follow_all, id};

/// Longer than a test's run takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn wait_for(bench: &Bench, run: &str, wanted: RunStatus) {
    let since = Instant::now();
    while bench.status(run) != wanted {
        let summary = runs::show(&bench.app, id(run)).unwrap().summary;
        let is_stuck = matches!(summary.status, RunStatus::Completed | RunStatus::Failed);
        assert!(!is_stuck && since.elapsed() < PATIENCE, "not {wanted:?}: {summary:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Many steps, so that there is time to wish something.
fn long(bench: &Bench, steps: i64, save_every: i64) -> RunRequest {
    let mut request = bench.request();
    request.settings.insert("steps".into(), SettingValue::Integer(steps));
    request.settings.insert("save_every".into(), SettingValue::Integer(save_every));
    request.settings.insert("evaluate_every".into(), SettingValue::Integer(steps));
    request
}

fn at_step(step: u64) -> impl FnMut(&RunEvent) -> bool {
    move |event| matches!(event.what, RunEventKind::Step { .. }) && event.step >= step
}

fn is_kept(event: &RunEvent) -> bool {
    !matches!(event.what, RunEventKind::Phase { .. })
}

#[test]
fn a_paused_run_goes_on_to_the_bits_of_one_that_never_stopped() {
    let Some(bench) = Bench::new() else { return };
    bench.app.start_worker(Scope::Queue);
    let whole = runs::start(&bench.app, long(&bench, 300, 100)).unwrap().id;
    follow_all(&bench.app, &whole);

    let paused = runs::start(&bench.app, long(&bench, 300, 100)).unwrap().id;
    follow(&bench.app, &paused, None, &mut at_step(3));
    runs::pause(&bench.app, id(&paused)).unwrap();
    wait_for(&bench, &paused, RunStatus::Paused);
    let before = runs::show(&bench.app, id(&paused)).unwrap();
    assert!((3..300).contains(&before.summary.step), "{}", before.summary.step);
    assert_eq!(before.checkpoints[0].step, before.summary.step, "a pause saves first");
    let history = runs::history(&bench.app, RunHistoryRequest { id: paused.clone(), since_seq: None }).unwrap();
    assert_eq!(history.events.last().map(|e| &e.what), Some(&RunEventKind::Paused));

    runs::resume(&bench.app, id(&paused)).unwrap();
    let events = follow_all(&bench.app, &paused);
    assert!(matches!(events.last().unwrap().what, RunEventKind::Completed { .. }), "{:?}", events.last());
    assert!(bench.adapter_bytes(&paused) == bench.adapter_bytes(&whole), "the adapters differ");
    let (a, b) = (runs::show(&bench.app, id(&whole)).unwrap(), runs::show(&bench.app, id(&paused)).unwrap());
    assert_eq!((a.metrics.loss, a.metrics.train_loss), (b.metrics.loss, b.metrics.train_loss));
    assert_eq!(a.settings, b.settings);
}

#[test]
fn an_interrupted_run_is_found_and_goes_on_to_the_same_bits() {
    let Some(bench) = Bench::new() else { return };
    bench.app.start_worker(Scope::Queue);
    // Long enough that a quick machine does not end the second run before it is left.
    let whole = runs::start(&bench.app, long(&bench, 300, 40)).unwrap().id;
    follow_all(&bench.app, &whole);
    let lost = runs::start(&bench.app, long(&bench, 300, 40)).unwrap().id;
    follow(&bench.app, &lost, None, &mut at_step(2));
    bench.app.close();
    wait_for(&bench, &lost, RunStatus::Paused);

    // What a killed process leaves behind: a run that claims to work, and rows of steps that no checkpoint has.
    let registry = Registry::open(&bench.home.path().join("registry.sqlite")).unwrap();
    let gone = RunProcess { pid: u32::MAX - 7, started_at_ms: 1 };
    assert!(registry.runs().take_over(&lost, None, gone).unwrap());
    let row = registry.runs().get(&lost).unwrap();
    let (step, seq) = (row.step + 1, row.seq + 1);
    let metric = MetricRow {
        seq,
        kind: MetricKind::Train,
        step,
        epoch: 9.0,
        at_ms: 1,
        elapsed_ms: 1,
        loss_sum: 1e6,
        n_tokens: 1,
        learning_rate: None,
        grad_norm: None,
        tokens_per_s: None,
        memory_bytes: None,
        extra: None,
    };
    registry.runs().record(&lost, &[metric], &[], &Progress { step, seq, best: None }).unwrap();

    let app = bench.open_again();
    let row = registry.runs().get(&lost).unwrap();
    assert_eq!((bench.status(&lost), row.notes.as_str(), row.process), (RunStatus::Paused, "interrupted", None));
    runs::resume(&app, id(&lost)).unwrap();
    app.start_worker(Scope::Only(lost.clone()));
    follow_all(&app, &lost);
    assert!(bench.adapter_bytes(&lost) == bench.adapter_bytes(&whole), "the adapters differ");
    let history = runs::history(&app, RunHistoryRequest { id: lost.clone(), since_seq: None }).unwrap();
    assert_eq!(history.steps.step, (1..=300).collect::<Vec<u64>>());
    assert!(history.steps.loss.iter().all(|loss| *loss < 100.0), "the lost row was taken back");
}

#[test]
fn another_program_stops_a_run_which_can_still_go_on() {
    let Some(bench) = Bench::new() else { return };
    bench.app.start_worker(Scope::Queue);
    let run = runs::start(&bench.app, long(&bench, 400, 400)).unwrap().id;
    follow(&bench.app, &run, None, &mut at_step(2));
    let other = bench.open_again();
    runs::cancel(&other, id(&run)).unwrap();
    let events = follow_all(&other, &run);
    assert_eq!(events.last().unwrap().what, RunEventKind::Cancelled);
    let details = runs::show(&other, id(&run)).unwrap();
    assert_eq!(details.summary.status, RunStatus::Cancelled);
    assert_eq!(details.checkpoints.first().map(|c| c.step), Some(details.summary.step), "stopping saves");
    assert!(runs::pause(&other, id(&run)).is_err());
    runs::resume(&other, id(&run)).unwrap();
    follow(&bench.app, &run, Some(details.last_seq), &mut at_step(details.summary.step + 1));
    runs::cancel(&bench.app, id(&run)).unwrap();
    wait_for(&bench, &run, RunStatus::Cancelled);
}

#[test]
fn a_wish_to_save_is_granted_at_the_next_step() {
    let Some(bench) = Bench::new() else { return };
    bench.app.start_worker(Scope::Queue);
    let run = runs::start(&bench.app, long(&bench, 400, 400)).unwrap().id;
    follow(&bench.app, &run, None, &mut at_step(2));
    runs::checkpoint(&bench.app, id(&run)).unwrap();
    let is_checkpoint = |event: &RunEvent| matches!(event.what, RunEventKind::Checkpoint { .. });
    let events = follow(&bench.app, &run, None, &mut |event| is_checkpoint(event));
    let saved = events.iter().find(|event| is_checkpoint(event)).unwrap();
    assert!(saved.step >= 2 && saved.step < 400, "{}", saved.step);
    runs::cancel(&bench.app, id(&run)).unwrap();
    wait_for(&bench, &run, RunStatus::Cancelled);
}

#[test]
fn followers_that_come_and_go_miss_nothing() {
    let Some(bench) = Bench::new() else { return };
    let run = runs::start(&bench.app, long(&bench, 30, 10)).unwrap().id;
    let app: App = bench.app.clone();
    let watched = run.clone();
    let whole = std::thread::spawn(move || follow_all(&app, &watched));
    bench.app.start_worker(Scope::Queue);
    let mut pieces: Vec<RunEvent> = Vec::new();
    loop {
        let since = pieces.iter().filter(|e| is_kept(e)).map(|e| e.seq).next_back();
        let mut n = 0;
        let some = follow(&bench.app, &run, since, &mut |event| {
            n += usize::from(is_kept(event));
            n >= 4
        });
        let ended = some.iter().any(|e| matches!(e.what, RunEventKind::Completed { .. }));
        pieces.extend(some);
        if ended {
            break;
        }
    }
    let numbers = |events: &[RunEvent]| events.iter().filter(|e| is_kept(e)).map(|e| e.seq).collect::<Vec<_>>();
    let history = runs::history(&bench.app, RunHistoryRequest { id: run.clone(), since_seq: None }).unwrap();
    let n_recorded = history.steps.step.len() + history.events.len();
    assert_eq!(numbers(&pieces).len(), n_recorded);
    assert_eq!(numbers(&whole.join().unwrap()), numbers(&pieces));
}

#[test]
fn runs_wait_for_their_turn_and_a_queued_one_can_be_stopped() {
    let Some(bench) = Bench::new() else { return };
    let first = runs::start(&bench.app, bench.request()).unwrap().id;
    let second = runs::start(&bench.app, bench.request()).unwrap().id;
    let third = runs::start(&bench.app, bench.request()).unwrap().id;
    assert_eq!((first.as_str(), second.as_str()), ("support-replies-1", "support-replies-2"));
    runs::cancel(&bench.app, id(&third)).unwrap();
    bench.app.start_worker(Scope::Queue);
    follow_all(&bench.app, &second);
    let times = |run: &str| {
        let summary = runs::show(&bench.app, id(run)).unwrap().summary;
        (summary.status, summary.started_at_ms, summary.ended_at_ms)
    };
    let (a, b, c) = (times(&first), times(&second), times(&third));
    assert_eq!((a.0, b.0, c.0), (RunStatus::Completed, RunStatus::Completed, RunStatus::Cancelled));
    assert!(b.1 >= a.2, "the second began {:?} before the first ended {:?}", b.1, a.2);
    assert_eq!(c.1, None);
}

#[test]
fn a_run_is_repeated_from_its_own_file_and_reported() {
    let Some(bench) = Bench::new() else { return };
    bench.app.start_worker(Scope::Queue);
    let run = runs::start(&bench.app, bench.request()).unwrap().id;
    follow_all(&bench.app, &run);
    let details = runs::show(&bench.app, id(&run)).unwrap();
    let text = std::fs::read_to_string(Path::new(&details.folder).join("run.yaml")).unwrap();
    for line in ["model: \"tiny\"", "data: \"support-replies\"", "task: \"causal\"", "steps: 12", "rank: 8"] {
        assert!(text.lines().any(|found| found == line), "no `{line}` in:\n{text}");
    }
    let report = runs::report(&bench.app, id(&run)).unwrap();
    let html = std::fs::read_to_string(&report.path).unwrap();
    assert_eq!(html.matches("<svg").count(), 3);
    assert!(html.contains("Answers before and after") && html.contains("<td>Validation loss</td>"));
    assert!(!html.contains("http://") || !html.contains("src=\"http"), "the report needs nothing beside it");
}
