//! When a setting matters: what forms hide, helps mention and runs refuse is one condition in its declaration.

use serde_json::Value;

use lorikeet_data::Task;

use super::{Setting, declarations};
use crate::{Goal, Method, Result, Settings, TrainError, task_name};

/// A condition: that the run's word for something is one of some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    /// `task`, `method`, or a setting with words to choose from.
    pub subject: &'static str,
    /// The words.
    pub words: &'static [&'static str],
}

/// What conditions look at besides the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// What is learned.
    pub task: Task,
    /// What moves.
    pub method: Method,
    /// What the examples are for, where no objective is chosen.
    pub natural: Goal,
}

impl Setting {
    /// The first condition that does not hold. `word` says what the run's word for a subject is; where it knows none, the
    /// condition may hold.
    pub fn unmet(&self, word: &dyn Fn(&str) -> Option<String>) -> Option<&When> {
        self.when.iter().find(|when| word(when.subject).is_some_and(|word| !when.words.contains(&word.as_str())))
    }
}

impl Settings {
    /// Refuses values of settings that do not matter for `work`. What switches something off that is not there is true and
    /// passes, so that a script may say `--samples 0` for every kind of run.
    ///
    /// # Errors
    /// [`TrainError::Conflict`] with the mend.
    pub fn check_mattering(&self, work: &Work) -> Result<()> {
        let values = self.to_values();
        let word = |subject: &str| match subject {
            "task" => Some(task_name(work.task).to_owned()),
            "method" => Some(work.method.name().to_owned()),
            "objective" => Some(self.objective.unwrap_or(work.natural).name().to_owned()),
            setting => values.get(setting).and_then(Value::as_str).map(str::to_owned),
        };
        for setting in declarations() {
            let is_given = values.get(setting.name).is_some_and(|value| *value != setting.default && !is_off(value));
            let Some(When { subject, words }) = setting.unmet(&word).filter(|_| is_given) else { continue };
            let (name, has, plural) = (setting.name, word(subject).unwrap_or_default(), plural(words));
            return Err(TrainError::Conflict(format!(
                "`{name}` is for the {subject}{plural} {}, and this run's is `{has}`; leave `{name}` out, or choose another {subject}",
                listed(words)
            )));
        }
        Ok(())
    }
}

/// Whether a value says that something is not to be.
fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Bool(true) | Value::Object(_) => false,
    }
}

fn plural(words: &[&str]) -> &'static str {
    if words.len() > 1 { "s" } else { "" }
}

/// Words as a sentence lists them.
fn listed(words: &[&str]) -> String {
    match words {
        [one] => format!("`{one}`"),
        [most @ .., last] => {
            format!("{} and `{last}`", most.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "))
        }
        [] => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::Kind;

    const WORK: Work = Work { task: Task::Causal, method: Method::Lora, natural: Goal::Sft };

    fn said(work: Work, given: &[(&str, Value)]) -> String {
        let mut settings = Settings::default();
        given.iter().for_each(|(name, value)| settings.set(name, value).unwrap());
        settings.check_mattering(&work).map_or_else(|error| error.to_string(), |()| "fine".to_owned())
    }

    #[test]
    fn what_does_not_matter_is_refused_with_the_mend() {
        let full = Work { method: Method::Full, ..WORK };
        assert_eq!(
            said(full, &[("dora", json!(true))]),
            "`dora` is for the method `lora`, and this run's is `full`; leave `dora` out, or choose another method"
        );
        assert_eq!(
            said(WORK, &[("beta", json!(0.2))]),
            "`beta` is for the objectives `dpo`, `orpo` and `kto`, and this run's is `sft`; leave `beta` out, or choose another objective"
        );
        assert_eq!(
            said(WORK, &[("class_weights", json!("balanced"))]),
            "`class_weights` is for the task `classify`, and this run's is `causal`; leave `class_weights` out, or choose another task"
        );
        let labels = Work { task: Task::Classify, ..WORK };
        assert_eq!(
            said(labels, &[("focal_gamma", json!(3))]),
            "`focal_gamma` is for the loss `focal`, and this run's is `cross_entropy`; leave `focal_gamma` out, or choose another loss"
        );
    }

    #[test]
    fn what_matters_or_says_what_holds_anyway_is_taken() {
        assert_eq!(said(Work { natural: Goal::Kto, ..WORK }, &[("desirable_weight", json!(2))]), "fine");
        assert_eq!(
            said(Work { natural: Goal::Dpo, ..WORK }, &[("objective", json!("orpo")), ("beta", json!(0.2))]),
            "fine"
        );
        let labels = Work { task: Task::Classify, ..WORK };
        assert_eq!(said(labels, &[("loss", json!("focal")), ("focal_gamma", json!(3))]), "fine");
        assert_eq!(said(Work { method: Method::Full, ..WORK }, &[("rank", json!(8)), ("dora", json!(false))]), "fine");
    }

    #[test]
    fn what_is_switched_off_may_be_switched_off_where_it_is_not_there() {
        let (labels, full) = (Work { task: Task::Classify, ..WORK }, Work { method: Method::Full, ..WORK });
        assert_eq!(said(labels, &[("samples", json!(0)), ("packing", json!(false))]), "fine");
        assert_eq!(said(full, &[("dropout", json!(0)), ("rank_pattern", json!("")), ("layers", json!(null))]), "fine");
        assert_eq!(said(WORK, &[("desirable_weight", json!(0)), ("focal_gamma", json!("0"))]), "fine");
        assert!(said(labels, &[("samples", json!(3))]).starts_with("`samples` is for the task `causal`"));
    }

    #[test]
    fn conditions_name_what_there_is() {
        let all = declarations();
        for (setting, when) in all.iter().flat_map(|s| s.when.iter().map(move |when| (s.name, when))) {
            let known: Vec<&str> = match when.subject {
                "task" => [Task::Causal, Task::Classify].map(task_name).into(),
                "method" => [Method::Lora, Method::Full].map(Method::name).into(),
                other => {
                    let subject = all.iter().find(|s| s.name == other && s.kind == Kind::Choice);
                    subject.unwrap_or_else(|| panic!("{setting}: {other}")).choices.iter().map(|c| c.0).collect()
                }
            };
            assert!(when.words.iter().all(|word| known.contains(word)), "{setting}: {when:?}");
        }
    }
}
