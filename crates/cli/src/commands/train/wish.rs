//! What the user asked to train: the file's words with the flags on top, and whether they agree with a run that goes on.

use std::collections::BTreeMap;

use lorikeet_api::wire::{Method, RunDetails, RunRequest, RunSummary, SettingValue, Task};

use crate::{
    args::TrainArgs,
    commands::{absolute, name_or_path},
    config::{Config, value_text},
    failure::Failure,
};

/// Settings that say the same thing in two ways: a flag for one takes the file's other away.
const EITHER_OR: [(&str, &str); 2] = [("epochs", "steps"), ("warmup", "warmup_steps")];

/// Flags and file together.
#[derive(Debug)]
pub struct Wish {
    model: Option<String>,
    /// The examples, by file, id or name.
    pub data: Option<String>,
    validation: Option<String>,
    name: Option<String>,
    task: Option<Task>,
    method: Option<Method>,
    preset: Option<String>,
    settings: BTreeMap<String, SettingValue>,
    output: Option<String>,
    /// The run to go on with.
    pub resume: Option<String>,
}

impl Wish {
    /// Flags override the file.
    ///
    /// # Errors
    /// Where a path cannot be made absolute.
    pub fn new(args: TrainArgs, mut config: Config) -> Result<Self, Failure> {
        let flags = args.settings.values;
        for (one, other) in EITHER_OR {
            for (given, replaced) in [(one, other), (other, one)] {
                if flags.contains_key(given) && !flags.contains_key(replaced) {
                    config.settings.remove(replaced);
                }
            }
        }
        let validation = args.validation.or_else(|| config.word("validation"));
        let validation = validation.filter(|_| !flags.contains_key("validation_split"));
        let output = args.output.or_else(|| config.word("output").map(Into::into));
        let mut settings = std::mem::take(&mut config.settings);
        settings.extend(flags);
        Ok(Self {
            model: args.model.or_else(|| config.word("model")).map(name_or_path).transpose()?,
            data: args.data.or_else(|| config.word("data")).map(name_or_path).transpose()?,
            validation: validation.map(name_or_path).transpose()?,
            name: args.name.or_else(|| config.word("name")),
            task: args.task.map(Task::from).or(config.task),
            method: args.method.map(Method::from).or(config.method),
            preset: args.preset.or_else(|| config.word("preset")),
            settings,
            output: output.map(|folder| absolute(&folder)).transpose()?,
            resume: args.resume.or_else(|| config.word("resume")),
        })
    }

    /// The request for a new run.
    ///
    /// # Errors
    /// Where the model or the data is missing, which only a file can leave out.
    pub fn request(self) -> Result<RunRequest, Failure> {
        let needed = |word: Option<String>, name: &str| {
            word.ok_or_else(|| Failure::words(format!("`--{name}` is missing, in the file and on the command line")))
        };
        Ok(RunRequest {
            model: needed(self.model, "model")?,
            data: needed(self.data, "data")?,
            validation: self.validation,
            name: self.name,
            task: self.task,
            method: self.method,
            preset: self.preset,
            settings: self.settings,
            output: self.output,
        })
    }

    /// Whether what was given beside `--resume` is what the run was started with: a run that goes on keeps its settings, and
    /// a flag must not be ignored in silence.
    ///
    /// # Errors
    /// At the first difference.
    pub fn agrees_with(&self, details: &RunDetails) -> Result<(), Failure> {
        let run = &details.summary;
        let stored = |name: &str| details.request.settings.get(name).or_else(|| details.settings.get(name));
        for (name, value) in &self.settings {
            if let Some(stored) = stored(name).filter(|stored| value_text(stored) != value_text(value)) {
                return Err(differs(&run.id, name, &value_text(stored), &value_text(value)));
            }
        }
        let word = |word: &dyn std::fmt::Debug| format!("{word:?}").to_lowercase();
        let words = [
            ("task", word(&run.task), self.task.map(|task| word(&task))),
            ("method", word(&run.method), self.method.map(|method| word(&method))),
            ("output", details.request.output.clone().unwrap_or_default(), self.output.clone()),
        ];
        for (name, stored, given) in words {
            if let Some(given) = given.filter(|given| *given != stored) {
                return Err(differs(&run.id, name, &stored, &given));
            }
        }
        let names = [&details.request.model, &run.model, &run.model_name];
        match self.model.as_ref().filter(|model| !names.contains(model)) {
            Some(model) => Err(differs(&run.id, "model", &run.model, model)),
            None => Ok(()),
        }
    }

    /// Whether the data set called `given` is the one a run was started with.
    ///
    /// # Errors
    /// Where it is not.
    pub fn same_data(run: &RunSummary, given: &str) -> Result<(), Failure> {
        let same = [run.data.as_str(), run.data_name.as_str()].contains(&given);
        if same { Ok(()) } else { Err(differs(&run.id, "data", &run.data, given)) }
    }
}

fn differs(run: &str, name: &str, stored: &str, given: &str) -> Failure {
    let flag = name.replace('_', "-");
    Failure::words(format!("run `{run}` goes on with `--{flag} {stored}` as it was started, not: {given}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    fn wish(words: &[&str], config: Config) -> Wish {
        let cli = Cli::try_parse_from([&["lorikeet", "train"], words].concat()).unwrap();
        let Command::Train(args) = cli.command else { panic!("not train") };
        Wish::new(*args, config).unwrap()
    }

    fn file(settings: &[(&str, SettingValue)]) -> Config {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let mut config = Config::default();
        (config.settings, config.method) = (settings, Some(Method::Full));
        config
    }

    #[test]
    fn flags_override_the_file() {
        let config = file(&[("rank", SettingValue::Integer(4)), ("steps", SettingValue::Integer(9))]);
        let request = wish(&["--model", "m", "--data", "d", "--epochs", "2"], config).request().unwrap();
        let expected = [("epochs", SettingValue::Number(2.0)), ("rank", SettingValue::Integer(4))];
        assert_eq!(request.settings, expected.map(|(name, value)| (name.to_owned(), value)).into());
        assert_eq!(request.method, Some(Method::Full));
    }

    #[test]
    fn paths_become_absolute_and_names_stay() {
        let request = wish(&["--model", "m", "--data", "sub/d.jsonl", "--output", "out"], Config::default());
        let request = request.request().unwrap();
        assert_eq!(request.model, "m");
        assert!(std::path::Path::new(&request.data).is_absolute());
        assert!(std::path::Path::new(&request.output.unwrap()).is_absolute());
    }

    #[test]
    fn a_file_without_a_model_is_refused() {
        let path = "run.yaml";
        let failure = wish(&["--config", path, "--data", "d"], Config::default()).request().unwrap_err();
        assert_eq!((failure.exit_code(), failure.text().contains("`--model` is missing")), (2, true));
    }
}
