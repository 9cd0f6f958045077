//! The settings as they are declared, for flags, files and tables.

use lorikeet_api::{
    settings_schema,
    wire::{Method, SettingSpec, Task},
};

/// Every setting of any task and method, in the order of a form; those of one group are together.
pub fn settings() -> Vec<SettingSpec> {
    let mut all = settings_schema(Task::Causal, Method::Lora).settings;
    for spec in settings_schema(Task::Causal, Method::Full).settings {
        if !all.iter().any(|known| known.name == spec.name) {
            let after = all.iter().rposition(|known| known.group == spec.group).map_or(all.len(), |last| last + 1);
            all.insert(after, spec);
        }
    }
    all
}
