//! Runs the recipe's two stages, and the measurements after them, through the `lorikeet` command line, and keeps what it
//! says as files. It knows commands and file names; all learning happens in the engine.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::corpus::DEFAULT_SEED;

/// Questions whose answers the card shows, chosen before the model was trained.
const QUESTIONS: [&str; 12] = [
    "Hello! Who are you?",
    "What does a baker do?",
    "What is the capital of Italy?",
    "What is the opposite of cold?",
    "Which feeling is in this sentence? Happy, sad, angry or afraid?\nMy bird flew away and I cried.",
    "Find the city in this sentence. My brother works in Oxford.",
    "Make JSON from this (name, city). Clara lives in Madrid.",
    "Make this more polite: Open the window!",
    "Put this sentence in the past: Tom drinks milk.",
    "Tell me a short story about a fox.",
    "My name is Nina and I live in Oslo. Where do I live?",
    "How far is it from the Earth to the moon?",
];
/// Longest answer shown, in tokens.
const ANSWER_TOKENS: &str = "96";

/// Where the stages read and write, and with which program.
#[derive(Debug, Clone, clap::Args)]
pub struct TrainingOptions {
    /// Folder with the corpus; the runs go there too.
    #[arg(long, default_value = "target/starter")]
    pub work: PathBuf,
    /// The lorikeet program; left out, it is built from this repository in release mode.
    #[arg(long)]
    pub lorikeet: Option<PathBuf>,
    /// Threads of the engine; left out, as many as there are cores.
    #[arg(long)]
    pub threads: Option<usize>,
}

impl TrainingOptions {
    fn command(&self) -> Command {
        let mut command = match &self.lorikeet {
            Some(program) => Command::new(program),
            None => {
                let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
                cargo.args(["run", "--quiet", "--release", "-p", "lorikeet-cli", "--bin", "lorikeet", "--"]);
                cargo
            }
        };
        command.current_dir(super::repository());
        command
    }

    fn file(&self, name: &str) -> PathBuf {
        self.work.join(name)
    }
}

/// Both stages, then the shipped weights. The events of each stage lie in `stage1.events.jsonl` and `stage2.events.jsonl`.
pub fn train(options: &TrainingOptions, starter: &Path) -> Result<PathBuf> {
    let first = stage(options, starter, "stage1", starter, ["pretrain.jsonl", "pretrain-validation.jsonl"])?;
    let second = stage(options, starter, "stage2", &first, ["chat.jsonl", "chat-validation.jsonl"])?;
    Ok(second.join("model.safetensors"))
}

/// Runs one stage and returns the folder of its result.
fn stage(
    options: &TrainingOptions,
    starter: &Path,
    name: &str,
    model: &Path,
    [data, validation]: [&str; 2],
) -> Result<PathBuf> {
    let mut command = options.command();
    command.arg("train").arg("--model").arg(model).arg("--data").arg(options.file(data));
    command.arg("--validation").arg(options.file(validation)).arg("--output").arg(options.file(name));
    command.arg("--config").arg(starter.join("recipe").join(format!("{name}.yaml"))).arg("--json");
    if let Some(threads) = options.threads {
        command.arg("--threads").arg(threads.to_string());
    }
    let last = keep_lines(&mut command, &options.file(&format!("{name}.events.jsonl")))?;
    let completed: Value =
        serde_json::from_str(&last).with_context(|| format!("the last line of {name} is not JSON: `{last}`"))?;
    ensure!(completed["event"] == "completed", "{name} did not complete, its last event is: {last}");
    let folder = completed["adapter"].as_str().with_context(|| format!("{name} names no result: {last}"))?;
    Ok(PathBuf::from(folder))
}

/// Writes every line that a command prints to a file as it comes, and returns the last one.
fn keep_lines(command: &mut Command, path: &Path) -> Result<String> {
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start: {command:?}"))?;
    let output = child.stdout.take().context("the command has no output")?;
    let mut file = File::create(path).with_context(|| format!("cannot write the file: `{}`", path.display()))?;
    let mut last = String::new();
    for line in BufReader::new(output).lines() {
        last = line.context("the command's output ends in the middle of a line")?;
        writeln!(file, "{last}").with_context(|| format!("cannot write the file: `{}`", path.display()))?;
    }
    let status = child.wait()?;
    ensure!(status.success(), "the command ended with {status}, its output is in `{}`: {command:?}", path.display());
    Ok(last)
}

/// Loss on held-out books and conversations, and answers to fixed questions, of the model in `models/starter`.
pub fn measure(options: &TrainingOptions, starter: &Path) -> Result<Value> {
    let evaluate = |data: &str| {
        let mut command = options.command();
        command.arg("evaluate").arg("--model").arg(starter).arg("--data").arg(options.file(data)).arg("--json");
        answer(&mut command)
    };
    let ask = |question: &&str| -> Result<Value> {
        let mut command = options.command();
        command.arg("generate").arg("--model").arg(starter).args(["--prompt", question, "--max-tokens", ANSWER_TOKENS]);
        command.args(["--temperature", "0", "--seed", &DEFAULT_SEED.to_string(), "--json"]);
        Ok(json!({"question": question, "answer": answer(&mut command)?["text"], "temperature": 0}))
    };
    Ok(json!({
        "held_out_books": evaluate("heldout.jsonl")?, "held_out_chats": evaluate("chat-heldout.jsonl")?,
        "answers": QUESTIONS.iter().map(ask).collect::<Result<Vec<_>>>()?,
    }))
}

fn answer(command: &mut Command) -> Result<Value> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start: {command:?}"))?;
    if !output.status.success() {
        bail!("the command ended with {}: {command:?}", output.status);
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("the command's answer is not JSON: {command:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("lorikeet-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for the test");
        folder
    }

    #[test]
    fn lines_are_kept_and_the_last_is_returned() {
        let path = scratch("lines").join("events.jsonl");
        let last = keep_lines(Command::new("printf").arg("one\ntwo\n"), &path).expect("prints");
        assert_eq!((last.as_str(), std::fs::read_to_string(&path).expect("kept").as_str()), ("two", "one\ntwo\n"));
    }

    #[test]
    fn a_failing_command_is_an_error_that_names_it() {
        let error =
            keep_lines(&mut Command::new("false"), &scratch("failing").join("events.jsonl")).expect_err("fails");
        assert!(error.to_string().contains("\"false\""), "{error}");
    }
}
