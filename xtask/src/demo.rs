//! `cargo xtask demo`: the main job from end to end on what comes with Lorikeet, through the `lorikeet` program alone:
//! import, measure, train, measure again, answers before and after, and where everything lies. It works in a data folder of
//! its own, below Cargo's build folder, and never in the person's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::house;
use crate::process::{cargo, program, read, run};
use crate::say;
use crate::steps::clock;

/// The examples: a sentence with an order becomes one small JSON object.
const SAMPLE: &str = "assets/samples/orders.jsonl";
/// Rows that are kept aside, to measure with.
const N_HELD_OUT: usize = 40;
/// Of these, rows that are answered before and after.
const N_ANSWERED: usize = 8;
/// Of these, rows that are shown.
const N_SHOWN: usize = 3;
/// A small model needs large steps, and many passes, to learn to copy what an order says.
const SETTINGS: [&str; 8] = ["--epochs", "11", "--learning-rate", "1e-3", "--rank", "16", "--alpha", "32"];
/// Tokens of an answer at most; an order needs about thirty.
const MOST_TOKENS: &str = "64";

/// The program, and the folder it works in.
struct Stage {
    lorikeet: PathBuf,
    folder: PathBuf,
}

/// One row that is kept aside.
struct Question {
    prompt: String,
    order: String,
    expected: String,
}

/// Builds the program and shows the job.
///
/// # Errors
/// As [`run_with`]; the program does not build.
pub fn run_demo() -> Result<()> {
    say::line("Building the `lorikeet` program; the first time this takes some minutes.")?;
    run(cargo().args(["build", "--package", "lorikeet-cli"]))?;
    run_with(&house::built("lorikeet")?)
}

/// Shows the job with a program that is built already.
///
/// # Errors
/// A command fails, or the tuned model is no better than the base: then something is broken.
pub fn run_with(lorikeet: &Path) -> Result<()> {
    let start = Instant::now();
    let stage = Stage::set(lorikeet)?;
    let questions = stage.split_sample()?;
    chapter(1, "Import", "a file of examples becomes a dataset; some rows are kept aside to measure with")?;
    let training = stage.import("orders")?;
    let held_out = stage.import("orders-kept-aside")?;
    chapter(2, "Before", "the starter model as it is, on rows it will not learn from")?;
    let before = stage.measure(&held_out, None)?;
    let answers_before = stage.answers(&questions, None)?;
    chapter(3, "Train", "a small adapter learns from the examples; the model itself stays as it is")?;
    stage.train(&training)?;
    let details = stage.newest_run()?;
    let id = text(&details, "id")?;
    chapter(4, "After", "the same rows again, with the adapter")?;
    let after = stage.measure(&held_out, Some(&id))?;
    let answers_after = stage.answers(&questions, Some(&id))?;
    show_answers(&questions, &answers_before, &answers_after)?;
    show_numbers(&questions, [(&before, &answers_before), (&after, &answers_after)])?;
    stage.show_places(&details)?;
    say::line(&say::faint(&format!("\nThe demo took {}.", clock(start.elapsed()))))?;
    let (before, after) = (number(&before, "loss")?, number(&after, "loss")?);
    ensure!(after < before, "the tuned model is no better than the base: loss {before:.3} before, {after:.3} after");
    Ok(())
}

impl Stage {
    fn set(lorikeet: &Path) -> Result<Self> {
        let folder = house::target()?.join("demo");
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("cannot clear: {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("cannot create: {}", folder.display()))?;
        Ok(Self { lorikeet: lorikeet.to_owned(), folder })
    }

    /// Writes the sample as two files and returns the first rows that were kept aside.
    fn split_sample(&self) -> Result<Vec<Question>> {
        let sample =
            fs::read_to_string(house::root().join(SAMPLE)).with_context(|| format!("cannot read: {SAMPLE}"))?;
        let rows: Vec<&str> = sample.lines().collect();
        let (training, held_out) = rows.split_at(rows.len().saturating_sub(N_HELD_OUT));
        for (name, rows) in [("orders", training), ("orders-kept-aside", held_out)] {
            let path = self.file(name);
            fs::write(&path, rows.join("\n") + "\n").with_context(|| format!("cannot write: {}", path.display()))?;
        }
        held_out.iter().take(N_ANSWERED).map(|row| Question::of_row(row)).collect()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.jsonl"))
    }

    fn lorikeet(&self, words: &[&str]) -> Command {
        let mut command = program(&self.lorikeet);
        command.args(words).env("LORIKEET_HOME", self.folder.join("data"));
        command
    }

    /// What the program answers in JSON.
    fn ask(&self, words: &[&str]) -> Result<Value> {
        let told = read(&mut self.lorikeet(&[words, &["--json"]].concat()))?;
        serde_json::from_str(&told).with_context(|| format!("`lorikeet {}` did not print JSON", words.join(" ")))
    }

    /// Imports a file and returns the dataset's id.
    fn import(&self, name: &str) -> Result<String> {
        let file = self.file(name);
        let path = file.to_str().context("the build folder's path is not text")?;
        show_command(&format!("lorikeet data import {name}.jsonl"))?;
        let dataset = self.ask(&["data", "import", path, "--name", name])?;
        let (rows, hash) = (number(&dataset, "n_rows")?, text(&dataset, "hash")?);
        let version: String = hash.chars().take(12).collect();
        say::line(&format!("  {rows} rows, version {version}"))?;
        text(&dataset, "id")
    }

    fn measure(&self, data: &str, run: Option<&str>) -> Result<Value> {
        let adapter = run.map_or_else(Vec::new, |run| vec!["--adapter", run]);
        let words = [&["evaluate", "--model", "starter", "--data", data], adapter.as_slice()].concat();
        show_command(&format!("lorikeet {}", words.join(" ")))?;
        let found = self.ask(&words)?;
        let (rows, loss, perplexity) = (number(&found, "n")?, number(&found, "loss")?, number(&found, "perplexity")?);
        say::line(&format!("  {rows} rows, loss {loss:.3}, perplexity {perplexity:.2}"))?;
        Ok(found)
    }

    fn answers(&self, questions: &[Question], run: Option<&str>) -> Result<Vec<String>> {
        let adapter = run.map_or_else(Vec::new, |run| vec!["--adapter", run]);
        let shown = adapter.join(" ");
        show_command(&format!("lorikeet generate --model starter {shown} --prompt …   ({} times)", questions.len()))?;
        let one = |question: &Question| {
            let words = ["generate", "--model", "starter", "--prompt", &question.prompt, "--max-tokens", MOST_TOKENS];
            text(&self.ask(&[&words, adapter.as_slice()].concat())?, "text")
        };
        questions.iter().map(one).collect()
    }

    /// Trains with the program's own live display.
    fn train(&self, data: &str) -> Result<()> {
        let words = ["train", "--model", "starter", "--data", data, "--name", "orders", "--seed", "7"];
        let words = [words.as_slice(), &SETTINGS].concat();
        show_command(&format!("lorikeet {}", words.join(" ")))?;
        run(&mut self.lorikeet(&words))
    }

    fn newest_run(&self) -> Result<Value> {
        let page = self.ask(&["runs", "list", "--limit", "1"])?;
        let runs = page["runs"].as_array().or_else(|| page.as_array()).context("`runs list` prints no runs")?;
        let id = text(runs.first().context("there is no run")?, "id")?;
        self.ask(&["runs", "show", &id])
    }

    fn show_places(&self, details: &Value) -> Result<()> {
        let folder = PathBuf::from(text(details, "folder")?);
        say::line(&say::bold("\nWhere everything is"))?;
        let report = text(&self.ask(&["runs", "report", &text(details, "id")?])?, "path")?;
        ensure!(Path::new(&report).is_file(), "the run has no report: {report}");
        say::line(&format!("  report   {report}"))?;
        say::line(&format!("  adapter  {}", text(details, "adapter")?))?;
        say::line(&format!("  run      {}", folder.display()))?;
        say::line(&format!("  data     {}", self.folder.join("data").display()))?;
        Ok(())
    }
}

impl Question {
    fn of_row(row: &str) -> Result<Self> {
        let row: Value = serde_json::from_str(row).with_context(|| format!("{SAMPLE} has a row that is not JSON"))?;
        let order = text(&row, "input")?;
        let prompt = format!("{}\n\n{order}", text(&row, "instruction")?);
        Ok(Self { prompt, order, expected: text(&row, "output")? })
    }

    /// How many facts of the order an answer has right, of how many, as a program would read it.
    fn facts(&self, answer: &str) -> (usize, usize) {
        let read = |text: &str| serde_json::from_str::<serde_json::Map<String, Value>>(text).unwrap_or_default();
        let (expected, answer) = (read(&self.expected), read(answer));
        let n_right = expected.iter().filter(|(name, value)| answer.get(*name) == Some(*value)).count();
        (n_right, expected.len())
    }
}

fn chapter(number: usize, title: &str, sentence: &str) -> Result<()> {
    say::line(&format!("\n{}  {}", say::bold(&format!("{number}  {title}")), say::faint(sentence)))?;
    Ok(())
}

fn show_command(words: &str) -> Result<()> {
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(say::line(&say::faint(&format!("  $ {words}")))?)
}

fn show_answers(questions: &[Question], before: &[String], after: &[String]) -> Result<()> {
    say::line(&say::bold("\nAnswers before and after"))?;
    for ((question, before), after) in questions.iter().zip(before).zip(after).take(N_SHOWN) {
        say::line(&format!("\n  order   {}", one_line(&question.order)))?;
        say::line(&format!("  before  {}", judged(question, before)))?;
        say::line(&format!("  after   {}", judged(question, after)))?;
    }
    Ok(())
}

fn judged(question: &Question, answer: &str) -> String {
    let (n_right, n) = question.facts(answer);
    let mark = format!("{n_right} of {n} facts");
    let mark = if n_right * 2 > n { say::green(&mark) } else { say::red(&mark) };
    format!("{mark}  {}", one_line(answer))
}

/// An answer on one line of a terminal.
fn one_line(text: &str) -> String {
    const MOST: usize = 100;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MOST {
        return line;
    }
    let cut: String = line.chars().take(MOST - 1).collect();
    format!("{cut}…")
}

fn show_numbers(questions: &[Question], sides: [(&Value, &[String]); 2]) -> Result<()> {
    let [before, after] = sides;
    say::line(&say::bold("\nOn rows it never learned from"))?;
    say::line(&say::faint(&format!("  {:16} {:>8}    {:>8}", "", "before", "after")))?;
    for name in ["loss", "perplexity"] {
        let (before, after) = (number(before.0, name)?, number(after.0, name)?);
        say::line(&format!("  {name:16} {before:>8.3}  → {after:>8.3}"))?;
    }
    let (before, after) = (facts_of_all(questions, before.1), facts_of_all(questions, after.1));
    say::line(&format!("  {:16} {before:>8}  → {after:>8}", "right facts"))?;
    Ok(())
}

fn facts_of_all(questions: &[Question], answers: &[String]) -> String {
    let facts = questions.iter().zip(answers).map(|(question, answer)| question.facts(answer));
    let (n_right, n) = facts.fold((0, 0), |(right, all), (n_right, n)| (right + n_right, all + n));
    format!("{n_right} of {n}")
}

fn text(value: &Value, name: &str) -> Result<String> {
    value[name].as_str().map(str::to_owned).with_context(|| format!("an answer of `lorikeet` lacks the text: `{name}`"))
}

fn number(value: &Value, name: &str) -> Result<f64> {
    value[name].as_f64().with_context(|| format!("an answer of `lorikeet` lacks the number: `{name}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        let row =
            r#"{"instruction":"Write it down.","input":"Two red bags.","output":"{\"item\": \"bag\", \"n\": 2}"}"#;
        Question::of_row(row).unwrap()
    }

    #[test]
    fn an_answer_counts_as_a_program_reads_it() {
        let question = question();
        assert_eq!(question.prompt, "Write it down.\n\nTwo red bags.");
        assert_eq!(question.facts(r#" {"n": 2, "item": "bag"}"#), (2, 2));
        assert_eq!(question.facts(r#"{"item": "bag", "n": 3}"#), (1, 2));
        assert_eq!(question.facts("Two red bags."), (0, 2));
        assert_eq!(facts_of_all(&[question], &[r#"{"n": 2}"#.to_owned()]), "1 of 2");
    }

    #[test]
    fn long_answers_are_cut() {
        assert_eq!(one_line("a\n b"), "a b");
        assert_eq!(one_line(&"x".repeat(300)).chars().count(), 100);
    }

    #[test]
    fn the_sample_has_enough_rows() {
        let sample = fs::read_to_string(house::root().join(SAMPLE)).unwrap();
        assert!(sample.lines().count() > 5 * N_HELD_OUT);
        assert!(sample.lines().all(|row| Question::of_row(row).is_ok()));
    }
}
