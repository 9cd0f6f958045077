//! What the table of models promises.

use serde_json::json;

use crate::rows::{empty, model, run};
use crate::{NewModel, NewRun, Page, RegistryError};

#[test]
fn a_model_comes_back_as_it_went_in() {
    let (_folder, registry) = empty();
    let new = NewModel { details: Some(json!({ "licence": "MIT" })), ..model("Starter", "builtin:starter", "f00d") };
    let row = registry.models().insert(&new).unwrap();
    assert_eq!((row.id.as_str(), row.last_used_at_ms), ("starter", None));
    assert_eq!(registry.models().get("f00d").unwrap(), row);
    assert_eq!(registry.models().find_path("builtin:starter").unwrap().as_ref(), Some(&row));
    let crate::ModelRow {
        name, path, hash, architecture, tasks, n_parameters, n_bytes, template_hash, details, ..
    } = row;
    let back = NewModel { name, path, hash, architecture, tasks, n_parameters, n_bytes, template_hash, details };
    assert_eq!(back, new);
}

#[test]
fn a_place_is_one_model_whatever_lies_there() {
    let (_folder, registry) = empty();
    let first = registry.models().insert(&model("Small", "/models/small", "aaaa")).unwrap();
    let changed = registry.models().insert(&model("Other name", "/models/small", "bbbb")).unwrap();
    assert_eq!((changed.id.as_str(), changed.name.as_str(), changed.hash.as_str()), ("small", "Small", "bbbb"));
    assert_eq!(changed.added_at_ms, first.added_at_ms);
    let copy = registry.models().insert(&model("Small", "/models/copy", "bbbb")).unwrap();
    assert_eq!(copy.id, "small-2");
    assert_eq!(registry.models().list(Page::first(9)).unwrap().rows, [copy, changed]);
}

#[test]
fn recent_models_are_those_used_last() {
    let (_folder, registry) = empty();
    for name in ["a", "b", "c"] {
        registry.models().insert(&model(name, name, name)).unwrap();
    }
    assert_eq!(registry.models().recent(5).unwrap(), []);
    registry.models().touch("b").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(3));
    registry.models().touch("a").unwrap();
    let recent: Vec<String> = registry.models().recent(5).unwrap().into_iter().map(|row| row.id).collect();
    assert_eq!(recent, ["a", "b"]);
    assert_eq!(registry.models().recent(1).unwrap().len(), 1);
    assert!(matches!(registry.models().touch("d"), Err(RegistryError::NotFound { .. })));
}

#[test]
fn a_model_that_a_run_uses_stays() {
    let (_folder, registry) = empty();
    let row = registry.models().insert(&model("a", "a", "a")).unwrap();
    let new = NewRun { model_id: Some(row.id.clone()), ..run() };
    let run = registry.runs().create(&new).unwrap();
    let error = registry.models().delete("a").unwrap_err().to_string();
    assert_eq!(error, "the model `a` cannot be removed while a run uses it; remove the run first: `run-1`");
    assert!(registry.runs().transition(&run.id, &[crate::RunStatus::Queued], crate::RunStatus::Cancelled).unwrap());
    assert!(registry.runs().delete(&run.id).unwrap());
    registry.models().delete("a").unwrap();
    assert!(registry.models().get("a").is_err());
}
