//! The recorded run: `minilm-sst2-reference.json`, the order of its rows, and the rows themselves.

use std::{fs, path::Path};

use serde_json::{Value, json};

/// Settings and results of the recorded run.
pub struct Recorded {
    pub batch_size: u64,
    pub learning_rate: f64,
    pub weight_decay: f64,
    pub max_gradient_norm: f64,
    pub max_length: u64,
    pub rank: u64,
    pub alpha: f64,
    pub target_modules: Vec<String>,
    pub step_losses: Vec<f64>,
    /// Accuracy and loss on the validation rows, before the first step and after each epoch.
    pub checks: Vec<(f64, f64)>,
    /// Row numbers of each epoch in the order they were read.
    pub orders: Vec<Vec<usize>>,
}

impl Recorded {
    pub fn read(folder: &Path) -> Self {
        let facts = read_json(&folder.join("minilm-sst2-reference.json"));
        let (settings, run) = (&facts["settings"], &facts["main_run"]);
        let number = |name: &str| settings[name].as_f64().unwrap();
        let whole = |name: &str| settings[name].as_u64().unwrap();
        let check = |v: &Value, prefix: &str| {
            (v[format!("{prefix}accuracy")].as_f64().unwrap(), v[format!("{prefix}loss")].as_f64().unwrap())
        };
        let epochs = run["epochs"].as_array().unwrap().iter().map(|e| check(e, "validation_"));
        Self {
            batch_size: whole("batch_size"),
            learning_rate: number("lr"),
            weight_decay: number("weight_decay"),
            max_gradient_norm: number("grad_clip_norm"),
            max_length: whole("max_length"),
            rank: whole("r"),
            alpha: number("lora_alpha"),
            target_modules: serde_json::from_value(settings["target_modules"].clone()).unwrap(),
            step_losses: serde_json::from_value(run["step_losses"].clone()).unwrap(),
            checks: std::iter::once(check(&run["validation_before"], "")).chain(epochs).collect(),
            orders: serde_json::from_value(read_json(&folder.join("minilm-sst2/row_order.json"))).unwrap(),
        }
    }

    pub fn steps_per_epoch(&self) -> u64 {
        (self.orders[0].len() as u64).div_ceil(self.batch_size)
    }
}

/// The rows of a file of texts, a tab and a label each.
pub fn rows_of(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    let pair = |line: &str| line.rsplit_once('\t').map(|(text, label)| json!({"text": text, "label": label})).unwrap();
    text.lines().map(pair).collect()
}

pub fn read_json(file: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}
