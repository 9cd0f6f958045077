//! Settings at the border: the declarations as forms read them, requests resolved into settings, and the file beside a run
//! that says how to do it again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use lorikeet_jobs::train::settings::{self, Group, Kind, PRESETS, Setting, When};
use lorikeet_jobs::train::{Method as Moves, Settings};
use lorikeet_registry::RunRow;
use serde_json::Value;

use crate::failure::{invalid, io};
use crate::runs::task_word;
use crate::wire::{
    ApiError, ErrorCode, ErrorDetails, Method, Preset, RunRequest, SettingChoice, SettingCondition, SettingGroup,
    SettingKind, SettingSpec, SettingValue, SettingsSchema, Task,
};

/// Every declared setting, whatever it is for, for doors that describe them before a data folder is open.
pub fn declared() -> Vec<SettingSpec> {
    settings::declarations().into_iter().map(spec).collect()
}

/// The settings that may matter for a piece of work, and the presets over them.
pub(crate) fn schema(task: Task, method: Method) -> SettingsSchema {
    let word = |subject: &str| match subject {
        "task" => Some(task_word(task).to_owned()),
        subject => method_word(subject, method),
    };
    let mattering = settings::declarations().into_iter().filter(|s| s.unmet(&word).is_none());
    let settings: Vec<SettingSpec> = mattering.map(spec).collect();
    let presets = PRESETS.iter().map(|p| Preset {
        name: p.name.to_owned(),
        label: p.label.to_owned(),
        sentence: p.sentence.to_owned(),
        overrides: p
            .values()
            .into_iter()
            .filter(|(name, _)| settings.iter().any(|s| s.name == *name))
            .map(|(name, v)| (name.to_owned(), value(&v)))
            .collect(),
    });
    let presets = presets.collect();
    SettingsSchema { settings, presets }
}

fn spec(s: Setting) -> SettingSpec {
    SettingSpec {
        name: s.name.to_owned(),
        label: s.label.to_owned(),
        group: group(s.group),
        kind: kind(s.kind),
        unit: Some(s.unit.to_owned()).filter(|unit| !unit.is_empty()),
        default: value(&s.default),
        minimum: s.range.map(|range| range.0),
        maximum: s.range.map(|range| range.1),
        choices: s.choices.iter().map(|(value, label)| choice(value, label)).collect(),
        sentence: s.sentence.to_owned(),
        when: s.when.iter().map(condition).collect(),
    }
}

/// The run's word for its method; of other subjects nothing is known.
fn method_word(subject: &str, method: Method) -> Option<String> {
    (subject == "method").then(|| moves(method).name().to_owned())
}

fn condition(when: &When) -> SettingCondition {
    let words = when.words.iter().map(|word| (*word).to_owned()).collect();
    SettingCondition { subject: when.subject.to_owned(), words }
}

fn choice(value: &str, label: &str) -> SettingChoice {
    SettingChoice { value: value.to_owned(), label: label.to_owned() }
}

fn group(group: Group) -> SettingGroup {
    match group {
        Group::Learning => SettingGroup::Learning,
        Group::Adapter => SettingGroup::Adapter,
        Group::Data => SettingGroup::Data,
        Group::Saving => SettingGroup::Saving,
        Group::Computing => SettingGroup::Computing,
    }
}

fn kind(kind: Kind) -> SettingKind {
    match kind {
        Kind::Bool => SettingKind::Bool,
        Kind::Integer => SettingKind::Integer,
        Kind::Number => SettingKind::Number,
        Kind::Choice => SettingKind::Choice,
        Kind::Text => SettingKind::Text,
        Kind::List => SettingKind::List,
    }
}

/// A setting's value at the border.
pub(crate) fn value(inner: &Value) -> SettingValue {
    match inner {
        Value::Null | Value::Object(_) => SettingValue::Null,
        Value::Bool(b) => SettingValue::Bool(*b),
        Value::Number(n) => {
            n.as_i64().map_or_else(|| SettingValue::Number(n.as_f64().unwrap_or_default()), SettingValue::Integer)
        }
        Value::String(s) => SettingValue::Text(s.clone()),
        Value::Array(items) => {
            SettingValue::List(items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect())
        }
    }
}

/// A setting's value inside.
fn inner(value: &SettingValue) -> Value {
    match value {
        SettingValue::Null => Value::Null,
        SettingValue::Bool(b) => Value::from(*b),
        SettingValue::Integer(n) => Value::from(*n),
        SettingValue::Number(n) => Value::from(*n),
        SettingValue::Text(s) => Value::from(s.as_str()),
        SettingValue::List(words) => Value::from(words.clone()),
    }
}

/// Every setting by name, as the border carries them.
pub(crate) fn values(stored: &Value) -> BTreeMap<String, SettingValue> {
    let map = stored.as_object().into_iter().flatten();
    map.map(|(name, v)| (name.clone(), value(v))).collect()
}

/// Defaults, preset and request in this order.
pub(crate) fn resolve(request: &RunRequest) -> Result<Settings, ApiError> {
    with_values(request.preset.as_deref(), request.method.unwrap_or(Method::Lora), &request.settings)
}

/// Defaults, preset and values in this order. A preset says nothing of settings that do not matter for the method.
pub(crate) fn with_values(
    preset: Option<&str>,
    method: Method,
    values: &BTreeMap<String, SettingValue>,
) -> Result<Settings, ApiError> {
    let mut resolved = Settings::default();
    let matters = |name: &str| {
        let declared = settings::declarations().into_iter().find(|s| s.name == name);
        declared.is_some_and(|s| s.unmet(&|subject| method_word(subject, method)).is_none())
    };
    if let Some(name) = preset {
        let known = || PRESETS.map(|p| format!("`{}`", p.name)).join(", ");
        let preset = PRESETS.iter().find(|p| p.name == name);
        let preset = preset.ok_or_else(|| invalid(format!("`{name}` is not a preset; there are {}", known())))?;
        for (name, v) in preset.values().into_iter().filter(|(name, _)| matters(name)) {
            resolved.set(name, &v)?;
        }
    }
    for (name, v) in values {
        // A setting that is left empty keeps its default.
        if *v == SettingValue::Null && !is_optional(name) {
            if !settings::declarations().iter().any(|d| d.name == name) {
                return Err(unknown(name));
            }
            continue;
        }
        resolved.set(name, &inner(v))?;
    }
    Ok(resolved)
}

fn is_optional(name: &str) -> bool {
    settings::declarations().iter().any(|d| d.name == name && d.default.is_null())
}

fn unknown(name: &str) -> ApiError {
    let error = settings::unknown(name, &[]);
    let nearest = match &error {
        lorikeet_jobs::train::TrainError::UnknownSetting { nearest, .. } => nearest.clone(),
        _ => None,
    };
    let details = ErrorDetails::Nearest { given: name.to_owned(), nearest };
    ApiError::new(ErrorCode::UnknownSetting, error.to_string()).with_details(details)
}

/// The method inside.
pub(crate) fn moves(method: Method) -> Moves {
    match method {
        Method::Lora => Moves::Lora,
        Method::Full => Moves::Full,
    }
}

/// Writes `run.yaml` beside a run: everything `train --config` needs to do it again.
pub(crate) fn write_run_file(row: &RunRow) -> Result<(), ApiError> {
    let request = row.made_from.as_ref();
    let word = |key: &str| request.and_then(|r| r.get(key)).and_then(Value::as_str);
    let mut text = format!(
        "# The run `{}`, made by Lorikeet {}. To do it again: lorikeet train --config run.yaml\n",
        row.id, row.code_version
    );
    let words = [
        ("model", word("model").or(row.model_id.as_deref())),
        ("data", row.dataset_id.as_deref()),
        ("validation", row.validation_dataset_id.as_deref()),
        ("task", Some(row.task.as_str())),
        ("method", Some(row.method.as_str())),
    ];
    for (key, value) in words {
        if let Some(value) = value {
            let _ = writeln!(text, "{key}: {}", Value::from(value));
        }
    }
    let settings = row.settings.as_object().into_iter().flatten();
    let known = |subject: &str| match subject {
        "task" => Some(row.task.clone()),
        "method" => Some(row.method.clone()),
        other => row.settings.get(other).and_then(Value::as_str).map(str::to_owned),
    };
    let unmet = settings::declarations().into_iter().filter(|d| d.unmet(&known).is_some());
    let hidden: Vec<&str> = unmet.map(|d| d.name).collect();
    for (name, value) in settings.filter(|(name, value)| !value.is_null() && !hidden.contains(&name.as_str())) {
        // JSON values are YAML values.
        let _ = writeln!(text, "{name}: {value}");
    }
    let folder = Path::new(&row.folder);
    std::fs::create_dir_all(folder).map_err(io("create", folder))?;
    // Written outside the run's folder first: a run that begins meanwhile sweeps what unfinished saves left there.
    let path = folder.join("run.yaml");
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let (process, nth) = (std::process::id(), WRITTEN.fetch_add(1, Ordering::Relaxed));
    let beside = folder.with_file_name(format!(".{}-{process}-{nth}.yaml", row.id));
    lorikeet_models::write_file(&beside, text.as_bytes())?;
    std::fs::rename(&beside, &path).map_err(io("write", &path))?;
    Ok(())
}
