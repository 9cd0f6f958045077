//! Low-rank adapters as PEFT keeps them: `adapter_config.json` in and out.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::{LoraSpec, ModelError, Result, Targets};

/// `adapter_config.json`, as far as it concerns us.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterConfig {
    /// The adaptation.
    pub lora: LoraSpec,
    /// What the base is called.
    pub base_model: String,
    /// PEFT's name of the task: `CAUSAL_LM`, `SEQ_CLS`.
    pub task_type: String,
    /// Modules that are saved whole, such as `classifier`.
    pub modules_to_save: Vec<String>,
    /// The base's weights lie transposed. PEFT wants it said; on reading the base itself tells.
    pub fan_in_fan_out: bool,
}

/// Keys that change the mathematics in ways that are not built; anything but these values is refused.
const UNSUPPORTED: &[(&str, &[&str])] = &[
    ("use_qalora", &["false"]),
    ("use_bdlora", &[]),
    ("bias", &["\"none\""]),
    ("lora_bias", &["false"]),
    ("layer_replication", &[]),
    ("target_parameters", &["[]"]),
    ("trainable_token_indices", &["[]"]),
    ("alora_invocation_tokens", &[]),
    ("arrow_config", &[]),
    ("monteclora_config", &[]),
    // Other beginnings change the base's weights, which would have to be changed here in the same way.
    ("init_lora_weights", &["true", "false", "\"gaussian\"", "\"eva\"", "\"orthogonal\""]),
];

impl AdapterConfig {
    /// Reads `adapter_config.json` in `folder`.
    ///
    /// # Errors
    /// Where it is missing, is not JSON, or asks for something that is not built.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("adapter_config.json");
        let text = std::fs::read_to_string(&path).map_err(ModelError::io("read", &path))?;
        let raw: Map<String, Value> = serde_json::from_str(&text).map_err(ModelError::json(&path))?;
        refuse_unsupported(folder, &raw)?;
        let missing = |key| ModelError::MissingKey { path: path.clone(), key, needed_by: "a LoRA adapter".to_owned() };
        let bad = |key: &str, value: &Value, problem: &str| ModelError::BadValue {
            path: path.clone(),
            key: key.to_owned(),
            value: value.to_string(),
            problem: problem.to_owned(),
        };
        let text_of = |key: &str| raw.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let rank = raw.get("r").ok_or_else(|| missing("r"))?;
        let whole = rank.as_u64().filter(|r| (1..=1 << 20).contains(r));
        let rank = whole.ok_or_else(|| bad("r", rank, "is not a positive whole number"))?;
        let alpha = raw.get("lora_alpha").ok_or_else(|| missing("lora_alpha"))?;
        let alpha = alpha.as_f64().ok_or_else(|| bad("lora_alpha", alpha, "is not a number"))?;
        let names = |key: &'static str| match raw.get(key) {
            Some(Value::String(s)) if s == "all-linear" => Ok(Some(Targets::AllLinear)),
            Some(Value::String(pattern)) => Ok(Some(Targets::Pattern(pattern.clone()))),
            Some(Value::Array(names)) if !names.is_empty() => Ok(Some(Targets::Named(strings(names)))),
            Some(Value::Null | Value::Array(_)) | None => Ok(None),
            Some(other) => Err(bad(key, other, "is neither a list of names nor a pattern")),
        };
        let targets = names("target_modules")?.ok_or_else(|| missing("target_modules"))?;
        let mut lora = LoraSpec::new(rank as usize, alpha, targets, 0);
        lora.rank_stabilised = raw.get("use_rslora").and_then(Value::as_bool).unwrap_or(false);
        lora.dora = raw.get("use_dora").and_then(Value::as_bool).unwrap_or(false);
        lora.dropout = raw.get("lora_dropout").and_then(Value::as_f64).unwrap_or(0.0);
        lora.exclude = names("exclude_modules")?;
        lora.layers = layers(raw.get("layers_to_transform"));
        lora.layers_pattern = match raw.get("layers_pattern") {
            Some(Value::String(list)) if !list.is_empty() => vec![list.clone()],
            Some(Value::Array(lists)) => strings(lists),
            _ => Vec::new(),
        };
        let positive = |n: &u64| (1..=1 << 20).contains(n);
        lora.rank_pattern = pattern(&raw, "rank_pattern", |v| v.as_u64().filter(positive).map(|n| n as usize));
        lora.alpha_pattern = pattern(&raw, "alpha_pattern", Value::as_f64);
        let modules_to_save = raw.get("modules_to_save").and_then(Value::as_array).map(|v| strings(v));
        Ok(Self {
            lora,
            base_model: text_of("base_model_name_or_path"),
            task_type: text_of("task_type"),
            modules_to_save: modules_to_save.unwrap_or_default(),
            fan_in_fan_out: raw.get("fan_in_fan_out").and_then(Value::as_bool).unwrap_or(false),
        })
    }

    /// The file's text, with the keys that every version of PEFT reads; `exclude_modules`, which is newer, where it is used.
    pub fn to_json(&self) -> Value {
        let lora = &self.lora;
        let names = |targets: &Targets| match targets {
            Targets::AllLinear => json!("all-linear"),
            Targets::Named(names) => json!(names),
            Targets::Pattern(pattern) => json!(pattern),
        };
        let or_null = |list: &[String]| if list.is_empty() { Value::Null } else { json!(list) };
        let mut config = json!({
            "alpha_pattern": lora.alpha_pattern.iter().map(|(k, v)| (k.clone(), number(*v))).collect::<Map<_, _>>(),
            "auto_mapping": null,
            "base_model_name_or_path": self.base_model,
            "bias": "none",
            "fan_in_fan_out": self.fan_in_fan_out,
            "inference_mode": true,
            "init_lora_weights": true,
            "layers_pattern": or_null(&lora.layers_pattern),
            "layers_to_transform": lora.layers,
            "lora_alpha": number(lora.alpha),
            "lora_dropout": lora.dropout,
            "modules_to_save": or_null(&self.modules_to_save),
            "peft_type": "LORA",
            "r": lora.rank,
            "rank_pattern": lora.rank_pattern.iter().map(|(k, v)| (k.clone(), json!(v))).collect::<Map<_, _>>(),
            "revision": null,
            "target_modules": names(&lora.targets),
            "task_type": self.task_type,
            "use_dora": lora.dora,
            "use_rslora": lora.rank_stabilised,
        });
        if let (Some(exclude), Some(map)) = (&lora.exclude, config.as_object_mut()) {
            map.insert("exclude_modules".to_owned(), names(exclude));
        }
        config
    }
}

/// Whole numbers as PEFT writes them, without a decimal point.
fn number(x: f64) -> Value {
    if x.fract() == 0.0 && x.abs() < 1e15 { json!(x as i64) } else { json!(x) }
}

fn strings(values: &[Value]) -> Vec<String> {
    let mut names: Vec<String> = values.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

/// One layer or a list of them; an empty list means all.
fn layers(value: Option<&Value>) -> Option<Vec<usize>> {
    let whole = |v: &Value| v.as_u64().map(|n| n as usize);
    match value? {
        Value::Array(list) if !list.is_empty() => Some(list.iter().filter_map(whole).collect()),
        one => whole(one).map(|n| vec![n]),
    }
}

fn pattern<T>(raw: &Map<String, Value>, key: &str, read: impl Fn(&Value) -> Option<T>) -> Vec<(String, T)> {
    let entries = raw.get(key).and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(k, v)| Some((k.clone(), read(v)?))).collect()
}

fn refuse_unsupported(folder: &Path, raw: &Map<String, Value>) -> Result<()> {
    let refuse = |feature: String| Err(ModelError::AdapterFeature { path: PathBuf::from(folder), feature });
    if let Some(kind) = raw.get("peft_type").filter(|v| v.as_str() != Some("LORA")) {
        return refuse(format!("peft_type: {kind}"));
    }
    for (key, allowed) in UNSUPPORTED {
        if let Some(value) = raw.get(*key).filter(|v| !v.is_null() && !allowed.contains(&v.to_string().as_str())) {
            return refuse(format!("{key}: {value}"));
        }
    }
    Ok(())
}
