//! `--config FILE.yaml`: the flags of `train` as a file, with the same keys. An unknown key is refused with the nearest known
//! one. Knows names and kinds of values; what a setting takes is judged where it is declared. Files written for mlx-lm or
//! Axolotl are told by their keys and read as well.

mod foreign;

use std::{collections::BTreeMap, fs, path::Path};

use lorikeet_api::wire::{ApiError, ErrorCode, ErrorDetails, Method, SettingValue, Task};
use serde_json::Value;

use crate::{declared, failure::Failure};

/// Keys beside the settings.
pub const WORDS: [&str; 9] = ["model", "data", "task", "method", "preset", "validation", "name", "output", "resume"];

/// What a file says; everything may be left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// The words beside the settings, by key.
    words: BTreeMap<&'static str, String>,
    /// What is learned.
    pub task: Option<Task>,
    /// What moves.
    pub method: Option<Method>,
    /// Values of settings by name.
    pub settings: BTreeMap<String, SettingValue>,
    /// Adapters only on so many last layers, as mlx-lm says it.
    pub last_layers: Option<u64>,
    /// What to say about a file of another trainer: its keys that have no counterpart.
    pub note: Option<String>,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// Where it cannot be read, is no YAML, or has a key or value that is not taken.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path).map_err(|error| {
            let code = if path.exists() { ErrorCode::UnreadableFile } else { ErrorCode::NotFound };
            ApiError::new(code, format!("`{}` cannot be read: {error}", path.display()))
        })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// The value of one of the [`WORDS`] that are plain text.
    pub fn word(&self, key: &str) -> Option<String> {
        self.words.get(key).cloned()
    }

    fn parse(text: &str, file: &str) -> Result<Self, Failure> {
        let refused = |what: String| Failure::words(format!("`{file}` {what}"));
        let pairs: Option<BTreeMap<String, Value>> = serde_norway::from_str(text)
            .map_err(|error| refused(format!("is no list of settings in YAML: {error}")))?;
        let (mut config, mut pairs) = (Config::default(), pairs.unwrap_or_default());
        if let Some(foreign) = foreign::translate(&pairs, &Path::is_file) {
            config.last_layers = foreign.last_layers;
            config.note = note(&foreign, file);
            pairs = foreign.keys;
        }
        for (key, value) in pairs {
            config.take(&key, value, file)?;
        }
        Ok(config)
    }

    fn take(&mut self, key: &str, value: Value, file: &str) -> Result<(), Failure> {
        let refused = |takes: &str| Failure::words(format!("`{key}` in `{file}` takes {takes}"));
        if let Some(word) = WORDS.into_iter().find(|word| *word == key) {
            let text = match value {
                Value::Null => return Ok(()),
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                other => return Err(refused(&format!("one word, not: {other}"))),
            };
            let choice = || Value::String(text.clone());
            match word {
                "task" => {
                    self.task = Some(serde_json::from_value(choice()).map_err(|_| refused("causal or classify"))?)
                }
                "method" => self.method = Some(serde_json::from_value(choice()).map_err(|_| refused("lora or full"))?),
                _ => drop(self.words.insert(word, text)),
            }
            return Ok(());
        }
        if !declared::settings().iter().any(|spec| spec.name == key) {
            return Err(unknown(key, file));
        }
        let value =
            serde_json::from_value(words_of(value)).map_err(|_| refused("a number, a word or a list of words"))?;
        self.settings.insert(key.to_owned(), value);
        Ok(())
    }
}

/// A list's numbers as words: a list of weights is carried as the list of words that a flag makes of them.
fn words_of(value: Value) -> Value {
    let word = |item: Value| if item.is_number() { Value::String(item.to_string()) } else { item };
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(word).collect()),
        other => other,
    }
}

/// What a person should know of a file of another trainer.
fn note(foreign: &foreign::Translated, file: &str) -> Option<String> {
    let left = foreign.left.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    (!left.is_empty()).then(|| {
        format!(
            "`{file}` is a file of {}; these of its keys have no counterpart and are left out: {left}",
            foreign.trainer
        )
    })
}

/// Nobody declared that key.
fn unknown(key: &str, file: &str) -> Failure {
    let settings = declared::settings();
    let known = settings.iter().map(|spec| spec.name.as_str()).chain(WORDS);
    let near = |known: &&str| strsim::damerau_levenshtein(key, known);
    let nearest = known.min_by_key(near).filter(|known| near(known) <= known.len().max(key.len()) / 2);
    let error = ApiError::new(ErrorCode::UnknownSetting, format!("`{file}` has an unknown key: `{key}`"))
        .with_details(ErrorDetails::Nearest { given: key.to_owned(), nearest: nearest.map(str::to_owned) });
    match nearest {
        Some(nearest) => error.with_hint(format!("did you mean `{nearest}`")).into(),
        None => error.with_hint("`lorikeet train --help` lists the settings").into(),
    }
}

/// A setting's value as it is typed.
pub fn value_text(value: &SettingValue) -> String {
    match value {
        SettingValue::Null => String::new(),
        SettingValue::Bool(yes) => yes.to_string(),
        SettingValue::Integer(number) => number.to_string(),
        SettingValue::Number(number) if *number != 0.0 && number.abs() < 1e-3 => format!("{number:e}"),
        SettingValue::Number(number) => number.to_string(),
        SettingValue::Text(text) => text.clone(),
        SettingValue::List(words) => words.join(","),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        let failure = Config::parse(text, "run.yaml").unwrap_err();
        assert_eq!(failure.exit_code(), 2);
        failure.text()
    }

    #[test]
    fn words_and_settings_are_told_apart() {
        let text = "model: ./llama\ntask: classify\nname: 7\nepochs: 2\nlearning_rate: 2e-4\n\
                    target_modules: [q_proj, v_proj]\nsteps: null\n";
        let config = Config::parse(text, "run.yaml").unwrap();
        assert_eq!(config.word("model").as_deref(), Some("./llama"));
        assert_eq!(config.word("name").as_deref(), Some("7"));
        assert_eq!((config.task, config.method), (Some(Task::Classify), None));
        let names: Vec<_> = config.settings.keys().map(String::as_str).collect();
        assert_eq!(names, ["epochs", "learning_rate", "steps", "target_modules"]);
        assert_eq!(config.settings["epochs"], SettingValue::Integer(2));
        assert_eq!(config.settings["steps"], SettingValue::Null);
    }

    #[test]
    fn a_list_may_hold_numbers() {
        let config = Config::parse("class_weights: [0.5, 2]\n", "run.yaml").unwrap();
        assert_eq!(config.settings["class_weights"], SettingValue::List(vec!["0.5".into(), "2".into()]));
    }

    #[test]
    fn an_empty_file_says_nothing() {
        assert_eq!(Config::parse("# nothing yet\n", "run.yaml").unwrap(), Config::default());
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest() {
        insta::assert_snapshot!(refusal("learning_rat: 1"), @"
        error: `run.yaml` has an unknown key: `learning_rat`
        help: did you mean `learning_rate`
        ");
        insta::assert_snapshot!(refusal("modell: a"), @"
        error: `run.yaml` has an unknown key: `modell`
        help: did you mean `model`
        ");
        assert!(refusal("xyzzyplugh: 1").ends_with("help: `lorikeet train --help` lists the settings"));
    }

    #[test]
    fn what_is_no_setting_is_refused() {
        assert!(refusal("task: guess").ends_with("`task` in `run.yaml` takes causal or classify"));
        assert!(refusal("rank: {a: 1}").ends_with("`rank` in `run.yaml` takes a number, a word or a list of words"));
        assert!(refusal("model: [a]").contains("`model` in `run.yaml` takes one word"));
        assert!(refusal("- a\n- b").contains("is no list of settings in YAML"));
        assert!(refusal("a: b: c").contains("is no list of settings in YAML"));
    }
}
