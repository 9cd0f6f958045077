//! A flag for every declared setting: name, sentence, default, unit and range come from the declaration, so that the command
//! line, the window's form and the stored run cannot drift apart. Only flags that were given are carried on.

use std::collections::BTreeMap;

use clap::{
    Arg, ArgMatches, Args, Command, Error, FromArgMatches,
    builder::{PossibleValuesParser, TypedValueParser, ValueParser},
};
use lorikeet_api::wire::{SettingCondition, SettingGroup, SettingKind, SettingSpec, SettingValue};

use crate::declared;

/// Settings that `-h` shows; `--help` shows all.
const SHORT_LIST: [&str; 12] = [
    "epochs",
    "steps",
    "batch_size",
    "learning_rate",
    "rank",
    "alpha",
    "target_modules",
    "max_length",
    "validation_split",
    "seed",
    "threads",
    "device",
];

/// Settings that were given as flags.
#[derive(Clone, Debug, Default)]
pub struct SettingFlags {
    /// Values by the settings' names.
    pub values: BTreeMap<String, SettingValue>,
}

impl Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        let specs = declared::settings();
        let command = specs.iter().fold(command, |command, spec| command.arg(flag(spec, &shared(&specs, spec.group))));
        command.mut_arg("steps", |arg| arg.conflicts_with("epochs"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = |spec: SettingSpec| Some((spec.name.clone(), matches.get_one(&spec.name).cloned()?));
        Ok(Self { values: declared::settings().into_iter().filter_map(given).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.values.extend(Self::from_arg_matches(matches)?.values);
        Ok(())
    }
}

/// Conditions of every setting of a group, which are said once for all of them.
fn shared(specs: &[SettingSpec], group: SettingGroup) -> Vec<SettingCondition> {
    let mut all = specs.iter().filter(|spec| spec.group == group).map(|spec| spec.when.clone());
    let first = all.next().unwrap_or_default();
    all.fold(first, |shared, when| shared.into_iter().filter(|one| when.contains(one)).collect())
}

/// What a condition says: `for the objectives dpo, kto`.
fn condition(when: &SettingCondition) -> String {
    let plural = if when.words.len() > 1 { "s" } else { "" };
    format!("for the {}{plural} {}", when.subject, when.words.join(", "))
}

/// The flag of a setting; `said` are the conditions that its group's heading says.
fn flag(spec: &SettingSpec, said: &[SettingCondition]) -> Arg {
    let said_above: String = said.iter().map(|when| format!(", {}", condition(when))).collect();
    let arg = Arg::new(spec.name.clone())
        .long(spec.name.replace('_', "-"))
        .value_name(value_name(spec))
        .help(help(spec, said))
        .help_heading(format!("{}{said_above}", heading(spec.group)))
        .hide_short_help(!SHORT_LIST.contains(&spec.name.as_str()))
        .value_parser(parser(spec));
    match spec.kind {
        SettingKind::Bool => arg.num_args(0..=1).default_missing_value("true"),
        SettingKind::Integer | SettingKind::Number => arg.allow_negative_numbers(true),
        SettingKind::Choice | SettingKind::Text | SettingKind::List => arg,
    }
}

/// What a group of settings is called in the help and in tables.
pub fn heading(group: SettingGroup) -> &'static str {
    match group {
        SettingGroup::Learning => "Learning",
        SettingGroup::Adapter => "Adapter",
        SettingGroup::Data => "Data",
        SettingGroup::Saving => "Saving",
        SettingGroup::Computing => "Computing",
    }
}

/// The placeholder after a flag: its unit where it has one.
fn value_name(spec: &SettingSpec) -> String {
    let kind = match spec.kind {
        SettingKind::Bool => "true|false",
        SettingKind::Integer | SettingKind::Number => "NUMBER",
        SettingKind::Choice => return spec.name.to_uppercase(),
        SettingKind::Text => "TEXT",
        SettingKind::List => "A,B,…",
    };
    spec.unit.as_ref().map_or_else(|| kind.to_owned(), |unit| unit.to_uppercase())
}

/// The sentence, then default, range and conditions.
fn help(spec: &SettingSpec, said: &[SettingCondition]) -> String {
    let sentence = spec.sentence.trim_end_matches('.');
    let default = match &spec.default {
        SettingValue::Null => None,
        value => Some(format!("default: {}", crate::config::value_text(value))),
    };
    let range = match (spec.kind, spec.minimum, spec.maximum) {
        (SettingKind::Integer | SettingKind::Number, Some(least), Some(most)) => {
            Some(format!("{} to {}", bound(least), bound(most)))
        }
        _ => None,
    };
    let conditions = spec.when.iter().filter(|when| !said.contains(when)).map(condition);
    let facts: Vec<String> = [default, range].into_iter().flatten().chain(conditions).collect();
    if facts.is_empty() { sentence.to_owned() } else { format!("{sentence} [{}]", facts.join("; ")) }
}

/// The end of a range: large and tiny ones as powers of ten.
fn bound(number: f64) -> String {
    if number >= 1e7 || (number > 0.0 && number < 1e-4) { format!("{number:e}") } else { number.to_string() }
}

/// Reads a flag's value by its kind and range.
fn parser(spec: &SettingSpec) -> ValueParser {
    let (least, most) = (spec.minimum.unwrap_or(f64::NEG_INFINITY), spec.maximum.unwrap_or(f64::INFINITY));
    let takes = |what: &str| match (spec.minimum, spec.maximum) {
        (Some(least), Some(most)) => format!("takes {what} from {} to {}", bound(least), bound(most)),
        _ => format!("takes {what}"),
    };
    match spec.kind {
        SettingKind::Bool => clap::builder::BoolishValueParser::new().map(SettingValue::Bool).into(),
        SettingKind::Integer => {
            let refusal = takes("a whole number");
            let within = move |number: &i64| (least..=most).contains(&(*number as f64));
            let read = move |text: &str| text.parse().ok().filter(within).map(SettingValue::Integer);
            ValueParser::new(move |text: &str| read(text).ok_or_else(|| refusal.clone()))
        }
        SettingKind::Number => {
            let refusal = takes("a number");
            let within = move |number: &f64| (least..=most).contains(number);
            let read = move |text: &str| text.parse().ok().filter(within).map(SettingValue::Number);
            ValueParser::new(move |text: &str| read(text).ok_or_else(|| refusal.clone()))
        }
        SettingKind::Choice => {
            let words: Vec<String> = spec.choices.iter().map(|choice| choice.value.clone()).collect();
            PossibleValuesParser::new(words).map(SettingValue::Text).into()
        }
        SettingKind::Text => ValueParser::new(|text: &str| Ok::<_, String>(SettingValue::Text(text.to_owned()))),
        SettingKind::List => ValueParser::new(list),
    }
}

/// Words between commas.
fn list(text: &str) -> Result<SettingValue, String> {
    let words: Vec<String> = text.split(',').map(|word| word.trim().to_owned()).collect();
    if words.iter().any(String::is_empty) {
        return Err("takes names with commas between them".to_owned());
    }
    Ok(SettingValue::List(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<SettingFlags, Error> {
        let command = SettingFlags::augment_args(Command::new("train").no_binary_name(true));
        SettingFlags::from_arg_matches(&command.try_get_matches_from(words)?)
    }

    #[test]
    fn only_what_was_given_is_carried() {
        let flags =
            read(&["--rank", "4", "--learning-rate", "1e-3", "--shuffle", "false", "--rank-stabilised"]).unwrap();
        let expected = [
            ("learning_rate", SettingValue::Number(1e-3)),
            ("rank", SettingValue::Integer(4)),
            ("rank_stabilised", SettingValue::Bool(true)),
            ("shuffle", SettingValue::Bool(false)),
        ];
        assert_eq!(flags.values, expected.map(|(name, value)| (name.to_owned(), value)).into());
    }

    #[test]
    fn lists_and_choices() {
        let flags = read(&["--target-modules", "q_proj, v_proj", "--device", "cpu"]).unwrap();
        assert_eq!(flags.values["target_modules"], SettingValue::List(vec!["q_proj".into(), "v_proj".into()]));
        assert_eq!(flags.values["device"], SettingValue::Text("cpu".into()));
    }

    #[test]
    fn what_is_out_of_range_is_refused_with_the_range() {
        let refusal = |words: &[&str]| read(words).unwrap_err().to_string();
        insta::assert_snapshot!(refusal(&["--batch-size", "0"]), @"
        error: invalid value '0' for '--batch-size <EXAMPLES>': takes a whole number from 1 to 4096

        For more information, try '--help'.
        ");
        assert!(refusal(&["--learning-rate", "-1"]).contains("takes a number from 0 to 10"));
        assert!(refusal(&["--target-modules", "q_proj,,"]).contains("takes names with commas"));
        assert!(refusal(&["--device", "tpu"]).contains("possible values: auto, cpu, cuda, metal"));
        assert!(refusal(&["--steps", "2", "--epochs", "1"]).contains("cannot be used with"));
        assert!(refusal(&["--learning-rat", "1"]).contains("'--learning-rate'"));
    }

    #[test]
    fn every_declared_setting_has_a_flag_with_its_words() {
        let command = SettingFlags::augment_args(Command::new("train"));
        for spec in declared::settings() {
            let arg = command.get_arguments().find(|arg| arg.get_id() == spec.name.as_str());
            let help = arg.and_then(Arg::get_help).map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with(spec.sentence.trim_end_matches('.')), "{}: {help}", spec.name);
        }
    }
}
