//! A process killed while it writes leaves whole batches and a sound file.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "support/rows.rs"]
mod rows;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lorikeet_registry::{Best, NewCheckpoint, Progress, Registry, RunFilter, RunProcess, RunStatus};

const REGISTRY: &str = "LORIKEET_TEST_REGISTRY";
const N_KILLS: u64 = 20;
/// Numbers per batch: nine metrics and one event.
const BATCH: u64 = 10;

/// Takes the run over and reports batches for ever, as fast as it can, with a checkpoint every third.
fn write_for_ever(path: &Path) -> ! {
    let registry = Registry::open(path).unwrap();
    let run = registry.runs().get("run-1").unwrap();
    let process = RunProcess { pid: std::process::id(), started_at_ms: 1 };
    assert!(registry.runs().take_over(&run.id, run.process, process).unwrap());
    for batch in run.seq / BATCH.. {
        let first = batch * BATCH + 1;
        let metrics: Vec<_> = (first..first + BATCH - 1).map(|seq| rows::metric(seq, batch + 1)).collect();
        let event = rows::event(first + BATCH - 1, Some(batch + 1));
        let best = Some(Best { step: batch + 1, value: 1.0 / first as f64 });
        registry
            .runs()
            .record(&run.id, &metrics, &[event], &Progress { step: batch + 1, seq: batch * BATCH + BATCH, best })
            .unwrap();
        if batch % 3 == 0 {
            let path = format!("checkpoint-{batch}");
            let new = NewCheckpoint { step: batch + 1, path, validation_loss: None, is_best: true, n_bytes: 1 };
            registry.checkpoints().insert(&run.id, &new).unwrap();
        }
    }
    unreachable!("the numbers do not end")
}

/// Everything the run's own row says is there, and nothing more.
fn assert_whole(registry: &Registry) -> u64 {
    assert_eq!(registry.check().unwrap(), Vec::<String>::new());
    let run = registry.runs().get("run-1").unwrap();
    assert_eq!(run.seq % BATCH, 0);
    assert_eq!(run.step, run.seq / BATCH);
    assert_eq!(run.best_step.unwrap_or(0), run.step);
    let metrics = registry.metrics().since(&run.id, 0, u32::MAX).unwrap();
    let events = registry.events().since(&run.id, 0, u32::MAX).unwrap();
    let seqs: BTreeSet<u64> = metrics.iter().map(|row| row.seq).chain(events.iter().map(|row| row.seq)).collect();
    assert_eq!(seqs, (1..=run.seq).collect());
    assert_eq!((metrics.len() as u64, events.len() as u64), (run.step * (BATCH - 1), run.step));
    let n_best = registry.checkpoints().of_run(&run.id).unwrap().iter().filter(|row| row.is_best).count();
    assert!(n_best <= 1);
    run.seq
}

#[test]
fn killed_writers_leave_whole_batches() {
    if let Some(path) = std::env::var_os(REGISTRY) {
        write_for_ever(Path::new(&path));
    }
    let (_folder, registry) = rows::empty();
    rows::running(&registry);
    let path = registry.path().to_path_buf();
    drop(registry);
    let mut seq = 0;
    for kill in 0..N_KILLS {
        let mut child = rows::OwnChild(
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "killed_writers_leave_whole_batches"])
                .env(REGISTRY, &path)
                .stdout(Stdio::null())
                .spawn()
                .unwrap(),
        );
        // Half of the time another process has the file open, so that the log is not tidied up in between.
        let beside = (kill % 2 == 0).then(|| Registry::open(&path).unwrap());
        wait_until_written(&path, seq);
        std::thread::sleep(Duration::from_micros(kill * 1_370 % 9_000));
        child.0.kill().unwrap();
        assert!(!child.0.wait().unwrap().success());
        let registry = Registry::open(&path).unwrap();
        let now = assert_whole(&registry);
        assert!(now > seq, "kill {kill}: nothing was written after {seq}");
        seq = now;
        let dead = registry.runs().interrupted(|_| false).unwrap();
        assert_eq!(
            dead.iter().map(|run| run.process.map(|process| process.pid)).collect::<Vec<_>>(),
            [Some(child.0.id())]
        );
        if let Some(beside) = beside {
            assert_eq!(assert_whole(&beside), seq);
        }
    }
    let registry = Registry::open(&path).unwrap();
    assert_eq!(registry.runs().count(&RunFilter::in_status(&[RunStatus::Running])).unwrap(), 1);
}

fn wait_until_written(path: &Path, seq: u64) {
    let registry = Registry::open(path).unwrap();
    let start = Instant::now();
    while registry.runs().get("run-1").unwrap().seq <= seq {
        assert!(start.elapsed() < Duration::from_secs(60), "the writer does not write");
        std::thread::sleep(Duration::from_millis(1));
    }
}
