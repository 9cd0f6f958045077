//! Low-rank adapters as PEFT keeps them: which modules, which rank, which factor; `adapter_config.json` in and out.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use crate::{ModelError, Result};

/// Which modules get an adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// Every linear map of the blocks.
    AllLinear,
    /// Modules whose path ends in one of these names.
    Named(Vec<String>),
}

/// A low-rank adaptation.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraSpec {
    /// Rank, `R`.
    pub rank: usize,
    /// The update is multiplied by alpha / R.
    pub alpha: f64,
    /// Modules.
    pub targets: Targets,
    /// Multiply by alpha / sqrt(R) instead (Kalajdzievski, "rsLoRA", 2023).
    pub rank_stabilised: bool,
    /// Ranks of single modules, by the end of their path.
    pub rank_pattern: BTreeMap<String, usize>,
    /// Alphas of single modules, by the end of their path.
    pub alpha_pattern: BTreeMap<String, f64>,
    /// Seed of the first values of A; B starts at zero.
    pub seed: u64,
}

impl LoraSpec {
    /// Plain LoRA.
    pub fn new(rank: usize, alpha: f64, targets: Targets, seed: u64) -> Self {
        Self {
            rank,
            alpha,
            targets,
            rank_stabilised: false,
            rank_pattern: BTreeMap::new(),
            alpha_pattern: BTreeMap::new(),
            seed,
        }
    }

    /// Whether the module at `path` gets an adapter.
    pub(crate) fn covers(&self, path: &str) -> bool {
        match &self.targets {
            Targets::AllLinear => true,
            Targets::Named(names) => names.iter().any(|n| ends_with(path, n)),
        }
    }

    /// Rank and factor of the module at `path`.
    pub(crate) fn rank_and_scale(&self, path: &str) -> (usize, f32) {
        let rank = of_pattern(&self.rank_pattern, path).unwrap_or(self.rank);
        let alpha = of_pattern(&self.alpha_pattern, path).unwrap_or(self.alpha);
        let divisor = if self.rank_stabilised { (rank as f64).sqrt() } else { rank as f64 };
        (rank, (alpha / divisor) as f32)
    }
}

/// A path ends in a module's name when that is all of it or follows a dot.
pub(crate) fn ends_with(path: &str, name: &str) -> bool {
    path.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

fn of_pattern<T: Copy>(pattern: &BTreeMap<String, T>, path: &str) -> Option<T> {
    pattern.iter().find(|(name, _)| ends_with(path, name)).map(|(_, v)| *v)
}

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
}

/// Keys that change the mathematics in ways that are not built; anything but these values is refused.
const UNSUPPORTED: [(&str, &[&str]); 11] = [
    ("use_dora", &["false"]),
    ("use_qalora", &["false"]),
    ("use_bdlora", &["null"]),
    ("bias", &["\"none\""]),
    ("lora_bias", &["false"]),
    ("fan_in_fan_out", &["false"]),
    ("layer_replication", &["null"]),
    ("target_parameters", &["null", "[]"]),
    ("trainable_token_indices", &["null", "[]"]),
    ("exclude_modules", &["null", "[]"]),
    ("layers_to_transform", &["null", "[]"]),
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
        let targets = match raw.get("target_modules") {
            Some(Value::String(s)) if s == "all-linear" => Targets::AllLinear,
            Some(Value::Array(names)) => Targets::Named(strings(names)),
            Some(other) => return Err(bad("target_modules", other, "is neither a list of names nor `all-linear`")),
            None => return Err(missing("target_modules")),
        };
        let mut lora = LoraSpec::new(rank as usize, alpha, targets, 0);
        lora.rank_stabilised = raw.get("use_rslora").and_then(Value::as_bool).unwrap_or(false);
        lora.rank_pattern = pattern(&raw, "rank_pattern", |v| v.as_u64().map(|n| n as usize));
        lora.alpha_pattern = pattern(&raw, "alpha_pattern", Value::as_f64);
        let modules_to_save = raw.get("modules_to_save").and_then(Value::as_array).map(|v| strings(v));
        Ok(Self {
            lora,
            base_model: text_of("base_model_name_or_path"),
            task_type: text_of("task_type"),
            modules_to_save: modules_to_save.unwrap_or_default(),
        })
    }

    /// The file's text, with the keys that every version of PEFT reads.
    pub fn to_json(&self) -> Value {
        let (targets, lora) = (&self.lora.targets, &self.lora);
        json!({
            "alpha_pattern": lora.alpha_pattern.iter().map(|(k, v)| (k.clone(), number(*v))).collect::<Map<_, _>>(),
            "auto_mapping": null,
            "base_model_name_or_path": self.base_model,
            "bias": "none",
            "fan_in_fan_out": false,
            "inference_mode": true,
            "init_lora_weights": true,
            "layers_pattern": null,
            "layers_to_transform": null,
            "lora_alpha": number(lora.alpha),
            "lora_dropout": 0.0,
            "modules_to_save": if self.modules_to_save.is_empty() { Value::Null } else { json!(self.modules_to_save) },
            "peft_type": "LORA",
            "r": lora.rank,
            "rank_pattern": lora.rank_pattern,
            "revision": null,
            "target_modules": match targets {
                Targets::AllLinear => json!("all-linear"),
                Targets::Named(names) => json!(names),
            },
            "task_type": self.task_type,
            "use_dora": false,
            "use_rslora": lora.rank_stabilised,
        })
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

fn pattern<T>(raw: &Map<String, Value>, key: &str, read: impl Fn(&Value) -> Option<T>) -> BTreeMap<String, T> {
    let entries = raw.get(key).and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(k, v)| Some((k.clone(), read(v)?))).collect()
}

fn refuse_unsupported(folder: &Path, raw: &Map<String, Value>) -> Result<()> {
    let refuse = |feature: String| Err(ModelError::AdapterFeature { path: PathBuf::from(folder), feature });
    if let Some(kind) = raw.get("peft_type").filter(|v| v.as_str() != Some("LORA")) {
        return refuse(format!("peft_type: {kind}"));
    }
    for (key, allowed) in UNSUPPORTED {
        if let Some(value) = raw.get(key).filter(|v| !v.is_null() && !allowed.contains(&v.to_string().as_str())) {
            return refuse(format!("{key}: {value}"));
        }
    }
    Ok(())
}
