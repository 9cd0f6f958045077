//! The schema as it stands, and registries of earlier schemas that must still open.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "support/rows.rs"]
mod rows;

use lorikeet_registry::{EventRow, MetricKind, MetricRow, Page, Progress, Registry, Request, RunFilter, RunStatus};
use rusqlite::Connection;
use rusqlite::types::Value as Sql;

/// A registry as the first schema left it: header, tables and rows as SQL. Never regenerated.
const SCHEMA_1: &str = include_str!("fixtures/schema-1.sql");

fn schema(path: &std::path::Path) -> String {
    let conn = Connection::open(path).unwrap();
    let mut statement = conn
        .prepare(
            "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY type DESC, name",
        )
        .unwrap();
    let objects: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    objects.join(";\n\n")
}

#[test]
fn the_schema_is_this() {
    let (_folder, registry) = rows::empty();
    insta::assert_snapshot!(schema(registry.path()));
}

#[test]
fn every_table_is_strict_and_the_file_knows_what_it_is() {
    let (_folder, registry) = rows::empty();
    let conn = Connection::open(registry.path()).unwrap();
    let mut tables =
        conn.prepare("SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table'").unwrap();
    let tables: Vec<(String, bool)> =
        tables.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect();
    let loose: Vec<&String> =
        tables.iter().filter(|(name, strict)| !strict && !name.starts_with("sqlite_")).map(|(name, _)| name).collect();
    assert_eq!(loose, Vec::<&String>::new());
    assert!(tables.len() >= 9);
    let pragma = |name: &str| conn.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, Sql>(0)).unwrap();
    assert_eq!(pragma("user_version"), Sql::Integer(i64::from(lorikeet_registry::SCHEMA_VERSION)));
    assert_eq!(pragma("application_id"), Sql::Integer(i64::from(u32::from_be_bytes(*b"LORI"))));
    assert_eq!(pragma("journal_mode"), Sql::Text("wal".into()));
}

#[test]
fn a_registry_of_schema_1_still_opens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite");
    Connection::open(&path).unwrap().execute_batch(SCHEMA_1).unwrap();
    let registry = Registry::open(&path).unwrap();
    assert_eq!(registry.check().unwrap(), Vec::<String>::new());

    let dataset = registry.datasets().get("customer-mails").unwrap();
    assert_eq!((dataset.n_rows, dataset.labels), (900, Some(serde_json::json!(["ham", "spam"]))));
    assert_eq!(registry.models().list(Page::first(9)).unwrap().rows.len(), 1);
    let runs = registry.runs().list(&RunFilter::default(), Page::first(9)).unwrap().rows;
    let seen: Vec<_> = runs.iter().map(|run| (run.id.as_str(), run.status, run.request, run.step)).collect();
    assert_eq!(
        seen,
        [
            ("run-1", RunStatus::Queued, Request::None, 0),
            ("customer-mails-2", RunStatus::Failed, Request::None, 0),
            ("customer-mails-1", RunStatus::Running, Request::Pause, 2)
        ]
    );
    assert_eq!(runs[1].failure.as_ref().map(|failure| failure.code.as_str()), Some("out-of-memory"));
    let id = &runs[2].id;
    let metrics = registry.metrics().since(id, 0, 9).unwrap();
    assert_eq!(metrics[..2], [rows::metric(1, 1), MetricRow { kind: MetricKind::Validation, ..rows::metric(2, 2) }]);
    assert_eq!(registry.events().since(id, 0, 9).unwrap(), [EventRow { ..rows::event(3, Some(2)) }]);
    assert_eq!(registry.checkpoints().best(id).unwrap().map(|row| row.step), Some(2));
    assert_eq!(registry.artifacts().of_run(id).unwrap()[0].kind, "adapter");
    assert_eq!(registry.settings().get("theme").unwrap(), Some(serde_json::json!("dark")));

    registry.runs().record(id, &[rows::metric(4, 3)], &[], &Progress { step: 3, seq: 4, best: None }).unwrap();
    assert_eq!(registry.runs().next_id(None, Some("customer-mails")).unwrap(), "customer-mails-3");
}

#[test]
fn an_earlier_schema_ends_up_like_a_new_one() {
    let (_folder, fresh) = rows::empty();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite");
    Connection::open(&path).unwrap().execute_batch(SCHEMA_1).unwrap();
    drop(Registry::open(&path).unwrap());
    assert_eq!(schema(&path), schema(fresh.path()));
}
