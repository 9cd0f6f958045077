//! Many threads and several processes on one file: every write arrives once, every decision is made once.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "support/rows.rs"]
mod rows;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Barrier;

use rows::OwnChild;

use lorikeet_registry::{NewRun, Page, Progress, Registry, Request, RunFilter, RunProcess, RunStatus};

const N_THREADS: u64 = 4;
const N_BATCHES: u64 = 40;
const ROWS_PER_BATCH: u64 = 5;

/// Reports a run's whole life, in batches of metrics with one event each.
fn report(registry: &Registry, id: &str) {
    for batch in 0..N_BATCHES {
        let first = batch * (ROWS_PER_BATCH + 1) + 1;
        let metrics: Vec<_> = (0..ROWS_PER_BATCH).map(|n| rows::metric(first + n, first + n)).collect();
        let event = rows::event(first + ROWS_PER_BATCH, None);
        let progress = Progress { step: first, seq: event.seq, best: None };
        registry.runs().record(id, &metrics, &[event], &progress).unwrap();
    }
}

fn assert_reported(registry: &Registry, id: &str) {
    let metrics = registry.metrics().since(id, 0, 10_000).unwrap();
    let events = registry.events().since(id, 0, 10_000).unwrap();
    let seqs: BTreeSet<u64> = metrics.iter().map(|row| row.seq).chain(events.iter().map(|row| row.seq)).collect();
    let last = N_BATCHES * (ROWS_PER_BATCH + 1);
    assert_eq!(seqs, (1..=last).collect());
    assert_eq!(metrics.len() + events.len(), seqs.len());
    assert_eq!(registry.runs().get(id).unwrap().seq, last);
}

#[test]
fn threads_report_and_read_at_once() {
    let (_folder, registry) = rows::empty();
    let ids: Vec<String> = (0..N_THREADS).map(|_| rows::running(&registry).id).collect();
    std::thread::scope(|scope| {
        for id in &ids {
            scope.spawn(|| report(&registry, id));
        }
        scope.spawn(|| {
            let mut seen = 0;
            while seen < N_THREADS * N_BATCHES * (ROWS_PER_BATCH + 1) {
                let now: u64 = ids.iter().map(|id| consistent_seq(&registry, id)).sum();
                assert!(now >= seen, "the registry went back from {seen} to {now}");
                seen = now;
            }
        });
    });
    for id in &ids {
        assert_reported(&registry, id);
    }
}

/// The run's number, having checked that every row up to it is there.
fn consistent_seq(registry: &Registry, id: &str) -> u64 {
    let seq = registry.runs().get(id).unwrap().seq;
    let n_metrics = registry.metrics().since(id, 0, 10_000).unwrap().iter().filter(|row| row.seq <= seq).count();
    let n_events = registry.events().since(id, 0, 10_000).unwrap().iter().filter(|row| row.seq <= seq).count();
    assert_eq!((n_metrics + n_events) as u64, seq);
    seq
}

#[test]
fn one_queue_serves_many_claimers_once_each() {
    let (_folder, registry) = rows::empty();
    let second = Registry::open(registry.path()).unwrap();
    let n_runs = 60;
    for _ in 0..n_runs {
        registry.runs().create(&rows::run()).unwrap();
    }
    let barrier = Barrier::new(N_THREADS as usize);
    let claimed: Vec<(u32, String)> = std::thread::scope(|scope| {
        let claimers: Vec<_> = (0..N_THREADS as u32)
            .map(|n| {
                let (barrier, registry) = (&barrier, if n % 2 == 0 { &registry } else { &second });
                scope.spawn(move || {
                    barrier.wait();
                    let process = RunProcess { pid: n, started_at_ms: 1 };
                    let next = || registry.runs().claim_next_queued(process).unwrap();
                    std::iter::from_fn(next).map(|row| (n, row.id)).collect::<Vec<_>>()
                })
            })
            .collect();
        claimers.into_iter().flat_map(|claimer| claimer.join().unwrap()).collect()
    });
    let distinct: BTreeSet<&String> = claimed.iter().map(|(_, id)| id).collect();
    assert_eq!((claimed.len(), distinct.len()), (n_runs, n_runs));
    for (pid, id) in &claimed {
        assert_eq!(registry.runs().get(id).unwrap().process.map(|process| process.pid), Some(*pid));
    }
}

#[test]
fn of_many_equal_changes_one_applies() {
    let (_folder, registry) = rows::empty();
    let second = Registry::open(registry.path()).unwrap();
    for _ in 0..20 {
        let id = rows::running(&registry).id;
        let n_applied: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = [&registry, &second, &registry, &second]
                .into_iter()
                .map(|registry| {
                    scope.spawn(|| registry.runs().transition(&id, &[RunStatus::Running], RunStatus::Paused).unwrap())
                })
                .collect();
            threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
        });
        assert_eq!(n_applied, 1);
    }
}

#[test]
fn the_same_file_imported_by_many_is_one_dataset() {
    let (_folder, registry) = rows::empty();
    let second = Registry::open(registry.path()).unwrap();
    let ids: BTreeSet<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = [&registry, &second, &registry, &second]
            .into_iter()
            .map(|registry| scope.spawn(|| registry.datasets().insert(&rows::dataset("spam", "aa11")).unwrap().id))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(ids, BTreeSet::from(["spam".to_owned()]));
    assert_eq!(registry.datasets().list(Page::first(9)).unwrap().rows.len(), 1);
}

/// Set in a process that this test started: the registry it works on.
const REGISTRY: &str = "LORIKEET_TEST_REGISTRY";
const N_PROCESSES: usize = 3;

/// Opens the registry at the same moment as its siblings, creates a run, reports it, and waits to be cancelled.
fn child(path: &Path) {
    let registry = Registry::open(path).unwrap();
    let process = RunProcess { pid: std::process::id(), started_at_ms: 1 };
    let id = registry.runs().create(&NewRun { process: Some(process), ..rows::run() }).unwrap().id;
    report(&registry, &id);
    while registry.runs().take_request(&id).unwrap() != Request::Cancel {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(registry.runs().transition(&id, &[RunStatus::Running], RunStatus::Cancelled).unwrap());
}

fn start(path: &Path) -> OwnChild {
    OwnChild(
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "processes_share_a_file_that_none_has_made_yet"])
            .env(REGISTRY, path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap(),
    )
}

#[test]
fn processes_share_a_file_that_none_has_made_yet() {
    if let Some(path) = std::env::var_os(REGISTRY) {
        return child(Path::new(&path));
    }
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("registry.sqlite");
        let mut children: Vec<OwnChild> = (0..N_PROCESSES).map(|_| start(&path)).collect();
        let registry = Registry::open(&path).unwrap();
        let everyone = RunFilter::in_status(&[RunStatus::Running]);
        let mut n_cancelled = 0;
        while n_cancelled < N_PROCESSES {
            for run in registry.runs().list(&everyone, Page::first(9)).unwrap().rows {
                if run.request == Request::None && registry.runs().request(&run.id, Request::Cancel).unwrap() {
                    n_cancelled += 1;
                }
            }
            assert!(children.iter_mut().all(|child| child.0.try_wait().unwrap().is_none_or(|status| status.success())));
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        for mut child in children {
            assert!(child.0.wait().unwrap().success());
        }
        let runs = registry.runs().list(&RunFilter::default(), Page::first(9)).unwrap().rows;
        let ids: BTreeSet<&str> = runs.iter().map(|run| run.id.as_str()).collect();
        assert_eq!(ids, BTreeSet::from(["run-1", "run-2", "run-3"]));
        for run in &runs {
            assert_eq!((run.status, run.process), (RunStatus::Cancelled, None));
            assert_reported(&registry, &run.id);
        }
        assert_eq!(registry.check().unwrap(), Vec::<String>::new());
    }
}
