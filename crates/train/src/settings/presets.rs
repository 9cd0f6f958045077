//! Ready-made choices for people who do not want to choose.

use serde_json::{Value, json};

/// A named set of values.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// Name in requests.
    pub name: &'static str,
    /// What a form calls it.
    pub label: &'static str,
    /// What it is for.
    pub sentence: &'static str,
    values: fn() -> Vec<(&'static str, Value)>,
}

impl Preset {
    /// What differs from the defaults.
    pub fn values(&self) -> Vec<(&'static str, Value)> {
        (self.values)()
    }
}

/// Quick, balanced, thorough.
pub const PRESETS: [Preset; 3] = [
    Preset {
        name: "quick",
        label: "Quick look",
        sentence: "Reads every example once. Enough to see whether it works.",
        values: || vec![("epochs", json!(1.0))],
    },
    Preset {
        name: "balanced",
        label: "Balanced",
        sentence: "Reads every example three times. Right for most files.",
        values: Vec::new,
    },
    Preset {
        name: "thorough",
        label: "Thorough",
        sentence: "Reads every example six times with a larger adapter, and ends early if it no longer gets better.",
        values: || {
            vec![("epochs", json!(6.0)), ("rank", json!(16)), ("alpha", json!(32.0)), ("early_stopping", json!(4))]
        },
    },
];
