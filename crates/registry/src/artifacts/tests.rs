//! What the table of artifacts promises.

use crate::rows::{empty, running};
use crate::{NewArtifact, RegistryError};

fn artifact(kind: &str, path: &str, n_bytes: u64) -> NewArtifact {
    NewArtifact { kind: kind.into(), path: path.into(), hash: Some(format!("h{n_bytes}")), n_bytes }
}

#[test]
fn artifacts_are_listed_replaced_and_forgotten() {
    let (_folder, registry) = empty();
    let run = running(&registry);
    let table = registry.artifacts();
    table.insert(&run.id, &artifact("adapter", "/runs/run-1/adapter", 100)).unwrap();
    table.insert(&run.id, &artifact("report", "/runs/run-1/report.html", 200)).unwrap();
    table.insert(&run.id, &artifact("adapter", "/runs/run-1/adapter", 300)).unwrap();
    let rows = table.of_run(&run.id).unwrap();
    let mut seen: Vec<_> = rows.iter().map(|row| (row.kind.as_str(), row.n_bytes, row.hash.as_deref())).collect();
    seen.sort_unstable();
    assert_eq!(seen, [("adapter", 300, Some("h300")), ("report", 200, Some("h200"))]);
    assert!(rows.iter().all(|row| row.run_id == run.id && row.created_at_ms >= run.created_at_ms));
    assert!(table.delete(&run.id, "report", "/runs/run-1/report.html").unwrap());
    assert!(!table.delete(&run.id, "report", "/runs/run-1/report.html").unwrap());
    assert_eq!(table.of_run(&run.id).unwrap().len(), 1);
}

#[test]
fn an_artifact_needs_its_run() {
    let (_folder, registry) = empty();
    let error = registry.artifacts().insert("run-1", &artifact("adapter", "/a", 1)).unwrap_err();
    assert!(matches!(error, RegistryError::NotFound { noun: "run", .. }), "{error}");
}
