//! What the open file promises when something around it fails: nothing half-written, and a message that says so.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::json;

use super::lock;
use crate::error::RegistryError;
use crate::rows::{PROCESS, dataset, empty, event, metric, running};
use crate::{Cursor, Page, Progress, RunFilter, RunStatus};

#[test]
fn a_full_disk_changes_nothing_and_is_named() {
    let (folder, registry) = empty();
    let id = running(&registry).id;
    let n_pages: i64 =
        registry.write("counting", |tx| Ok(tx.query_row("PRAGMA page_count", [], |row| row.get(0))?)).unwrap();
    lock(&registry.writer).query_row(&format!("PRAGMA max_page_count = {}", n_pages + 2), [], |_| Ok(())).unwrap();
    let metrics: Vec<_> = (1..=500).map(|seq| metric(seq, seq)).collect();
    let progress = Progress { step: 500, seq: 501, best: None };
    let error = registry.runs().record(&id, &metrics, &[event(501, None)], &progress).unwrap_err();
    assert!(matches!(error, RegistryError::DiskFull { .. }), "{error}");
    insta::assert_snapshot!(error.to_string().replace(&folder.path().display().to_string(), "FOLDER"));
    assert_eq!(registry.runs().get(&id).unwrap().seq, 0);
    assert_eq!(registry.metrics().since(&id, 0, 9).unwrap(), []);
    assert_eq!(registry.check().unwrap(), Vec::<String>::new());
    lock(&registry.writer).query_row("PRAGMA max_page_count = 100000", [], |_| Ok(())).unwrap();
    registry.runs().record(&id, &metrics, &[event(501, None)], &progress).unwrap();
}

#[test]
fn while_another_process_writes_reads_go_on_and_writes_give_up_in_the_end() {
    let (folder, registry) = empty();
    registry.settings().set("theme", &json!("dark")).unwrap();
    lock(&registry.writer).busy_timeout(Duration::from_millis(20)).unwrap();
    let other = Connection::open(registry.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; UPDATE settings SET value = '\"light\"'").unwrap();
    assert_eq!(registry.settings().get("theme").unwrap(), Some(json!("dark")));
    let error = registry.settings().set("theme", &json!("red")).unwrap_err();
    assert!(matches!(error, RegistryError::Busy { .. }), "{error}");
    insta::assert_snapshot!(error.to_string().replace(&folder.path().display().to_string(), "FOLDER"));
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(registry.settings().get("theme").unwrap(), Some(json!("light")));
    registry.settings().set("theme", &json!("red")).unwrap();
}

#[test]
fn a_panic_inside_a_write_takes_it_back() {
    let (_folder, registry) = empty();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        registry.write::<()>("panicking", |tx| {
            tx.execute("INSERT INTO settings (key, value, updated_at_ms) VALUES ('a', '1', 0)", [])?;
            panic!("in the middle")
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(registry.settings().all().unwrap(), []);
    registry.settings().set("a", &json!(2)).unwrap();
    assert_eq!(registry.settings().get("a").unwrap(), Some(json!(2)));
}

#[test]
fn the_reading_connection_cannot_write() {
    let (_folder, registry) = empty();
    let error = registry.read("writing", |conn| Ok(conn.execute("DELETE FROM settings", [])?)).unwrap_err();
    assert!(error.to_string().contains("attempt to write a readonly database"), "{error}");
}

#[test]
fn a_check_names_rows_without_their_run() {
    let (_folder, registry) = empty();
    let id = running(&registry).id;
    registry.runs().record(&id, &[metric(1, 1)], &[], &Progress { step: 1, seq: 1, best: None }).unwrap();
    let other = Connection::open(registry.path()).unwrap();
    other.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM runs").unwrap();
    let problems = registry.check().unwrap();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("`metrics` refers to a missing row of `runs`"), "{problems:?}");
}

/// The quickest of five, so that a busy machine does not decide.
fn quickest(mut f: impl FnMut()) -> Duration {
    let once = |_| {
        let start = Instant::now();
        f();
        start.elapsed()
    };
    (0..5).map(once).min().unwrap()
}

#[test]
fn a_page_of_a_hundred_thousand_runs_takes_under_50_ms() {
    let (_folder, registry) = empty();
    registry.datasets().insert(&dataset("spam", "d1")).unwrap();
    let fill = "WITH RECURSIVE n (value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 100000)
                INSERT INTO runs (id, name, status, task, method, dataset_id, settings, code_version, device, n_threads,
                                  created_at_ms, folder)
                SELECT format('many-%d', value), 'many', iif(value % 1000, 'completed', 'failed'), 'causal', 'lora',
                       'spam', format('{\"padding\": \"%.800c\"}', 'x'), '0', 'cpu', 1, value, 'f'
                FROM n";
    registry.write("filling", |tx| Ok(tx.execute_batch(fill)?)).unwrap();
    let runs = registry.runs();
    let limit = Duration::from_millis(50);
    let everything = RunFilter::default();
    let failed = RunFilter { dataset_id: Some("spam".into()), ..RunFilter::in_status(&[RunStatus::Failed]) };
    for (filter, page, n_rows) in [
        (&everything, Page::first(100), 100),
        (&everything, Page::after(100, Cursor(50_000)), 100),
        (&failed, Page::first(1000), 100),
    ] {
        let time = quickest(|| assert_eq!(runs.list(filter, page).unwrap().rows.len(), n_rows));
        assert!(time < limit, "{page:?} took {time:?}");
    }
    assert!(quickest(|| assert_eq!(runs.count(&everything).unwrap(), 100_000)) < limit);
    assert!(quickest(|| assert_eq!(runs.get("many-77777").unwrap().id, "many-77777")) < limit);
    assert!(quickest(|| assert_eq!(runs.claim_next_queued(PROCESS).unwrap(), None)) < limit);
}
