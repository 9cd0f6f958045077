//! Settings: each declared once in `train`, described here for forms, and carried as name and value.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ts_rs::TS;

use super::{Method, Task};

/// The value of a setting: no value, a yes or no, a number, a word, or several words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
#[serde(untagged)]
pub enum SettingValue {
    /// Not set: decided from others, or switched off.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// A word.
    Text(String),
    /// Several words.
    List(Vec<String>),
}

/// Asks which settings there are for a piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
#[ts(optional_fields)]
pub struct SettingsRequest {
    /// What is trained; causal if left out.
    pub task: Option<Task>,
    /// What moves; LoRA if left out.
    pub method: Option<Method>,
}

/// All settings of a piece of work, and ready-made choices of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct SettingsSchema {
    /// Settings in the order of a form; those of one group are together.
    pub settings: Vec<SettingSpec>,
    /// `quick`, `balanced`, `thorough`, in this order.
    pub presets: Vec<Preset>,
}

/// One setting as it was declared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct SettingSpec {
    /// As in `--config` and the stored run: `learning_rate`.
    pub name: String,
    /// As a person says it: "Learning rate".
    pub label: String,
    /// Where it belongs in a form.
    pub group: SettingGroup,
    /// What values it takes.
    pub kind: SettingKind,
    /// Unit after the field: `tokens`, `steps`; `null` for a bare number. A fraction has the unit `fraction`.
    pub unit: Option<String>,
    /// Value when nothing is said. `null`: decided from others, as `sentence` says.
    pub default: SettingValue,
    /// Smallest allowed number.
    pub minimum: Option<f64>,
    /// Largest allowed number.
    pub maximum: Option<f64>,
    /// The words to choose from, for `kind: choice` (and suggestions for `list`).
    pub choices: Vec<SettingChoice>,
    /// What it does, in one sentence.
    pub sentence: String,
    /// When it matters: all conditions hold. Where one does not, forms leave it out and a run refuses a value of it.
    pub when: Vec<SettingCondition>,
}

/// A condition: that the run's word for something is one of some.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct SettingCondition {
    /// `task`, `method`, or a setting with words to choose from; an `objective` left empty is that of the examples.
    pub subject: String,
    /// The words.
    pub words: Vec<String>,
}

/// Where a setting belongs in a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum SettingGroup {
    /// How it learns: rate, passes, batch, schedule.
    Learning,
    /// What is added: rank, strength, where.
    Adapter,
    /// What is read: length, split, shuffling.
    Data,
    /// When it checks and saves.
    Saving,
    /// On what it runs: device, threads, seed.
    Computing,
}

/// What values a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum SettingKind {
    /// Yes or no.
    Bool,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// One of a few words.
    Choice,
    /// Any word.
    Text,
    /// Several words.
    List,
}

/// One of a few words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct SettingChoice {
    /// As stored.
    pub value: String,
    /// As a person says it.
    pub label: String,
}

/// A ready-made choice of settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Preset {
    /// `quick`, `balanced`, `thorough`.
    pub name: String,
    /// "Quick look".
    pub label: String,
    /// What it does, in plain words.
    pub sentence: String,
    /// What differs from the defaults.
    pub overrides: BTreeMap<String, SettingValue>,
}
