//! The two sides of a comparison: `lorikeet bench`, a process each time, and a peer that stays loaded between its turns.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::contests::{Entrant, assignment};
use super::rows::median;
use crate::house;
use crate::process::{program, read, words};

/// What one side gave in one turn: the medians of its repetitions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Processor seconds of a repetition.
    pub cpu_seconds: f64,
    /// Tokens by the clock.
    pub tokens_per_s: f64,
    /// Most memory held.
    pub peak_memory_bytes: f64,
    /// Memory that was foretold.
    pub estimated_memory_bytes: Option<f64>,
    /// Floating-point operations of a repetition.
    pub operations: Option<f64>,
    /// Memory gained from the hundredth step to the last.
    pub growth_bytes: Option<f64>,
    /// Versions of the programs.
    pub versions: BTreeMap<String, Value>,
}

/// `lorikeet bench`.
pub struct Ours {
    lorikeet: PathBuf,
    material: PathBuf,
    home: PathBuf,
}

impl Ours {
    /// The program, with a folder for weights and examples.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new(lorikeet: PathBuf, material: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&material).with_context(|| format!("cannot create: {}", material.display()))?;
        let home = material.join("home");
        Ok(Self { lorikeet, material, home })
    }

    /// Its data folder.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The program, to be told something, with a data folder of its own.
    pub fn command(&self) -> Command {
        let mut command = program(&self.lorikeet);
        command.env("LORIKEET_HOME", &self.home);
        command
    }

    /// What a peer needs to know of a workload; its files are made if they are not there.
    ///
    /// # Errors
    /// The program fails.
    pub fn describe(&self, workload: &str) -> Result<Value> {
        let mut command = self.command();
        command.args(["bench", "--json", "--material", "--only", workload, "--folder"]).arg(&self.material);
        let all: Vec<Value> = serde_json::from_str(&read(&mut command)?)?;
        let named = all.into_iter().find(|about| about["workload"] == workload);
        named.with_context(|| format!("`lorikeet bench` does not describe: {workload}"))
    }

    /// The peaks of the machine's matrix products with so many threads.
    ///
    /// # Errors
    /// The program fails.
    pub fn peaks(&self, threads: u64) -> Result<Vec<Value>> {
        let mut command = self.command();
        command.args(["bench", "--json", "--peak-only", "--threads", &threads.to_string()]);
        let told: Value = serde_json::from_str(&read(&mut command)?)?;
        told["peaks"].as_array().cloned().context("`lorikeet bench` tells no peaks")
    }

    /// One turn of about `seconds`.
    ///
    /// # Errors
    /// The program fails.
    pub fn measure(&self, entrant: &Entrant, threads: u64, seconds: f64) -> Result<Figures> {
        self.ask(entrant, threads, &["--seconds", &seconds.to_string()])
    }

    /// One turn of so many repetitions.
    ///
    /// # Errors
    /// The program fails.
    pub fn steps(&self, entrant: &Entrant, threads: u64, steps: u64) -> Result<Figures> {
        self.ask(entrant, threads, &["--steps", &steps.to_string()])
    }

    fn ask(&self, entrant: &Entrant, threads: u64, length: &[&str]) -> Result<Figures> {
        let mut command = self.command();
        command.args(["bench", "--json", "--no-peak", "--exactly", "--only", entrant.workload]);
        command.args(["--threads", &threads.to_string()]).args(length).arg("--folder").arg(&self.material);
        for (name, value) in &entrant.settings {
            command.args(["--set", &format!("{name}={value}")]);
        }
        command.envs(entrant.variables.iter().copied());
        let told: Value = serde_json::from_str(&read(&mut command)?)?;
        let found = &told["measured"][0];
        ensure!(found["workload"] == entrant.workload, "`lorikeet bench` did not measure: {}", words(&command));
        let number = |name: &str| found[name].as_f64().with_context(|| format!("`lorikeet bench` lacks: {name}"));
        Ok(Figures {
            cpu_seconds: number("cpu_seconds")?,
            tokens_per_s: number("tokens_per_s")?,
            peak_memory_bytes: number("peak_memory_bytes")?,
            estimated_memory_bytes: found["estimated_memory_bytes"].as_f64(),
            operations: found["operations"].as_f64(),
            growth_bytes: found["growth_bytes"].as_f64(),
            versions: BTreeMap::new(),
        })
    }
}

/// Another program, loaded.
pub struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    versions: BTreeMap<String, Value>,
    /// The most memory it held while it was loaded and since.
    peak_memory_bytes: f64,
}

impl Peer {
    /// Starts `peer` and waits until it is loaded.
    ///
    /// # Errors
    /// It cannot be started, or ends.
    pub fn start(python: &Path, peer: &str, precision: &str, about: Value) -> Result<Self> {
        let mut command = program(python);
        command.arg("-W").arg("ignore").arg(house::root().join("tests/bench/peer.py"));
        command.arg(assignment(&about, peer, precision).to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start: {}", words(&command)))?;
        let output = child.stdout.take().context("the peer has no standard output")?;
        let input = child.stdin.take();
        let (output, versions) = (BufReader::new(output), BTreeMap::new());
        let mut started = Self { child, input, output, versions, peak_memory_bytes: 0.0 };
        let hello = started.answer()?;
        started.versions = hello["versions"].as_object().cloned().unwrap_or_default().into_iter().collect();
        Ok(started)
    }

    fn answer(&mut self) -> Result<Value> {
        // What libraries print between the answers is no JSON object.
        loop {
            let mut line = String::new();
            ensure!(self.output.read_line(&mut line)? > 0, "the peer ended before it answered");
            if let Ok(answer @ Value::Object(_)) = serde_json::from_str(&line) {
                self.peak_memory_bytes = answer["peak_memory_bytes"].as_f64().unwrap_or_default();
                return Ok(answer);
            }
        }
    }

    /// One turn of about `seconds`.
    ///
    /// # Errors
    /// It ends, or answers with something else.
    pub fn turn(&mut self, threads: u64, seconds: f64) -> Result<Figures> {
        let input = self.input.as_mut().context("the peer has no standard input")?;
        writeln!(input, "{}", json!({"threads": threads, "seconds": seconds}))?;
        input.flush()?;
        let told = self.answer()?;
        let numbers = |name: &str| told[name].as_array().into_iter().flatten().filter_map(Value::as_f64);
        let n_tokens = told["n_tokens"].as_f64().context("the peer lacks: n_tokens")?;
        Ok(Figures {
            cpu_seconds: median(numbers("cpu_seconds")),
            tokens_per_s: n_tokens / median(numbers("seconds")).max(1e-9),
            peak_memory_bytes: self.peak_memory_bytes,
            versions: self.versions.clone(),
            ..Figures::default()
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // The end of its input is the end of its work; one that does not notice is ended.
        self.input = None;
        for _ in 0..50 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
