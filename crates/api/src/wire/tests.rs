//! The field names that scripts rely on.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().map(|object| object.keys().map(String::as_str).collect()).unwrap_or_default()
}

#[test]
fn an_event_is_one_flat_object() -> Result<(), serde_json::Error> {
    let event = RunEvent {
        run: "support-7".into(),
        seq: 12,
        step: 3,
        at_ms: 1,
        elapsed_ms: 2,
        what: RunEventKind::Completed { adapter: "/a".into(), metrics: RunMetrics::default() },
    };
    let written = serde_json::to_value(&event)?;
    for key in ["event", "run", "seq", "step", "adapter", "metrics"] {
        assert!(keys(&written).contains(&key), "no `{key}`");
    }
    assert_eq!(written["event"], "completed");
    assert_eq!(serde_json::from_value::<RunEvent>(written)?, event);
    let paused = serde_json::to_value(RunEvent { what: RunEventKind::Paused, ..event })?;
    assert_eq!(paused["event"], "paused");
    Ok(())
}

#[test]
fn an_imported_dataset_has_its_names_at_the_top() -> Result<(), serde_json::Error> {
    let summary = DatasetSummary {
        id: "a".into(),
        hash: "b".into(),
        kind: DatasetKind::TextLabel,
        n_rows: 1,
        n_bad: 0,
        name: "a".into(),
        format: "csv".into(),
        n_bytes: 1,
        task: Task::Classify,
        objective: "sft".to_owned(),
        source_path: None,
        created_at_ms: 0,
    };
    let details = DatasetDetails { summary, columns: vec![], labels: vec![], examples: vec![], bad_rows: vec![] };
    let written = serde_json::to_value(&details)?;
    assert_eq!(keys(&written)[..5], ["id", "hash", "kind", "n_rows", "n_bad"]);
    assert_eq!(written["kind"], "text_label");
    assert_eq!(written["source_path"], Value::Null);
    Ok(())
}

#[test]
fn a_short_request_means_the_defaults() -> Result<(), serde_json::Error> {
    let request: RunRequest = serde_json::from_value(json!({"model": "starter", "data": "a"}))?;
    assert_eq!(request.settings, BTreeMap::new());
    assert_eq!(request.method, None);
    let preview: DataPreviewRequest = serde_json::from_value(json!({"id": "a", "model": "starter"}))?;
    assert_eq!((preview.offset, preview.limit), (0, None));
    Ok(())
}

#[test]
fn setting_values_keep_their_type() -> Result<(), serde_json::Error> {
    for value in [json!(null), json!(true), json!(3), json!(0.5), json!("cosine"), json!(["q_proj", "v_proj"])] {
        let read: SettingValue = serde_json::from_value(value.clone())?;
        assert_eq!(serde_json::to_value(read)?, value);
    }
    Ok(())
}
