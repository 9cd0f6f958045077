//! `lorikeet bench`: starts one process for each workload, so that the memory of each is its own, and tells the figures.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use lorikeet_api::{
    App, app,
    wire::{ApiError, ErrorCode, ModelRequest},
};
use lorikeet_bench::{Assignment, Described, MOST_SIMD, Material, Measured, Options, Peak, WORKLOADS, Work, Workload};
use serde::Serialize;
use serde_json::Value;

use crate::{
    args::BenchArgs,
    failure::Failure,
    interrupt::Interrupt,
    print::{self, Printer},
    table::{Edge, Table},
    units,
};

/// Seconds in which the matrix peak is sought.
const PEAK_SECONDS: f64 = 1.5;

/// What is found, as `--json` prints it.
#[derive(Serialize)]
struct Findings {
    /// The version that measured.
    version: &'static str,
    /// What the processor's matrix products reach.
    peaks: Vec<Peak>,
    /// Every workload.
    measured: Vec<Measured>,
}

/// Measures and tells.
pub fn run(args: BenchArgs, printer: &mut Printer) -> Result<(), Failure> {
    if let Some(assignment) = &args.assignment {
        return measure_here(assignment, printer);
    }
    let workloads = chosen(&args)?;
    let place = Place::new(args.folder.as_deref())?;
    let reads_text = workloads.iter().any(|w| matches!(w.work, Work::Import { .. }));
    let starter = if reads_text { starter()? } else { PathBuf::new() };
    let prepare = |workload: &Workload| {
        lorikeet_bench::prepare(&place.folder, workload, &starter).map_err(|e| Failure::from(ApiError::from(e)))
    };
    if args.material {
        let described = workloads.into_iter().map(|w| Ok(Described::new(&place.folder, w, prepare(w)?)));
        return printer.document(&described.collect::<Result<Vec<_>, Failure>>()?);
    }
    let (options, interrupt) = (options(&args)?, Interrupt::listen()?);
    let peaks = if args.no_peak { Vec::new() } else { peaks(options.threads)? };
    let mut measured = Vec::new();
    for workload in workloads {
        if !printer.wants_json() {
            print::note(format!("{}: {}", workload.name, workload.title));
        }
        let material = prepare(workload)?;
        measured.push(measure_apart(workload, material, &options, args.simd.as_deref())?);
        if interrupt.is_set() {
            break;
        }
    }
    let version = crate::version::version();
    printer.answer(&Findings { version, peaks, measured }, text)
}

/// The workloads that are meant.
fn chosen(args: &BenchArgs) -> Result<Vec<&'static Workload>, Failure> {
    if args.peak_only {
        return Ok(Vec::new());
    }
    if args.only.is_empty() {
        return Ok(WORKLOADS.iter().filter(|w| args.all || w.is_usual).collect());
    }
    let mut found: Vec<&'static Workload> = Vec::new();
    for word in &args.only {
        let word = word.trim();
        let meant = if args.exactly {
            lorikeet_bench::find(word).into_iter().collect()
        } else {
            lorikeet_bench::selected(word)
        };
        if meant.is_empty() {
            let known: Vec<String> = WORKLOADS.iter().map(|w| format!("`{}`", w.name)).collect();
            return Err(Failure::words(format!("`{word}` is no workload; there are {}", known.join(", "))));
        }
        found.extend(meant.into_iter().filter(|w| !found.contains(w)).collect::<Vec<_>>());
    }
    Ok(found)
}

fn options(args: &BenchArgs) -> Result<Options, Failure> {
    let all = thread::available_parallelism().map_or(1, usize::from) as u64;
    let mut settings = BTreeMap::new();
    for word in &args.set {
        let Some((name, value)) = word.split_once('=') else {
            return Err(Failure::words(format!("`--set` takes NAME=VALUE, not: {word}")));
        };
        settings.insert(name.to_owned(), Value::from(value));
    }
    Ok(Options { threads: args.threads.unwrap_or(all), seconds: args.seconds, steps: args.steps, settings })
}

fn peaks(threads: u64) -> Result<Vec<Peak>, Failure> {
    lorikeet_bench::peaks(threads as usize, PEAK_SECONDS).map_err(|e| ApiError::from(e).into())
}

/// The folder of the built-in model, whose tokenizer and template read conversations.
fn starter() -> Result<PathBuf, Failure> {
    let app = App::open(None)?;
    Ok(lorikeet_api::models::folder(&app, &ModelRequest { model: "starter".to_owned() })?)
}

/// Measures in this process, which a process like this one started.
fn measure_here(assignment: &str, printer: &mut Printer) -> Result<(), Failure> {
    let Assignment { workload, material, options } = serde_json::from_str(assignment)
        .map_err(|e| Failure::words(format!("`--assignment` is not understood: {e}")))?;
    let workload = lorikeet_bench::find(&workload)
        .ok_or_else(|| Failure::words(format!("there is no workload of this name: {workload}")))?;
    let measured = lorikeet_bench::measure(workload, &material, &options);
    printer.json_line(&measured.map_err(|e| Failure::from(ApiError::from(e)))?)
}

/// Measures in a process of its own.
fn measure_apart(
    workload: &Workload,
    material: Material,
    options: &Options,
    simd: Option<&str>,
) -> Result<Measured, Failure> {
    let assignment = Assignment { workload: workload.name.to_owned(), material, options: options.clone() };
    let assignment = serde_json::to_string(&assignment).map_err(Failure::unwritable)?;
    let failed =
        |why: String| ApiError::new(ErrorCode::Internal, format!("`{}` was not measured: {why}", workload.name));
    let program = env::current_exe().map_err(|e| failed(e.to_string()))?;
    let mut command = Command::new(program);
    if let Some(most) = simd {
        command.env(MOST_SIMD, most);
    }
    command.args(["bench", "--assignment", &assignment]).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        return Err(failed(format!("its process ended with {}", output.status)).into());
    }
    Ok(serde_json::from_slice(&output.stdout).map_err(|e| failed(e.to_string()))?)
}

/// Where material lies; a folder of our own goes away with this.
struct Place {
    folder: PathBuf,
    is_ours: bool,
}

impl Place {
    fn new(given: Option<&Path>) -> Result<Self, Failure> {
        let is_ours = given.is_none();
        let folder = match given {
            Some(folder) => std::path::absolute(folder).map_err(|e| Failure::words(e.to_string()))?,
            None => app::data_folder(None)?.join(format!("bench-{}", std::process::id())),
        };
        Ok(Self { folder, is_ours })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_ours {
            // What cannot be taken away is a temporary folder that stays.
            drop(std::fs::remove_dir_all(&self.folder));
        }
    }
}

fn text(findings: &Findings) -> String {
    let mut text = String::new();
    for peak in &findings.peaks {
        let threads = units::counted(peak.threads, "thread", "threads");
        text += &format!("matrix products in {}: {:.0} GFLOP/s with {threads}\n\n", peak.precision, peak.gflops);
    }
    let mut table = Table::new([
        ("", Edge::Left),
        ("WORKLOAD", Edge::Left),
        ("IN", Edge::Left),
        ("TOKENS/S", Edge::Right),
        ("CPU S", Edge::Right),
        ("OF PEAK", Edge::Right),
        ("MEMORY", Edge::Right),
        ("FORETOLD", Edge::Right),
    ]);
    for found in &findings.measured {
        let share =
            share_of_peak(found, &findings.peaks).map_or_else(String::new, |share| format!("{:.0} %", share * 100.0));
        table.row([
            found.workload.clone(),
            found.title.clone(),
            found.precision.clone(),
            format!("{:.0}", found.tokens_per_s),
            format!("{:.3}", found.cpu_seconds),
            share,
            units::bytes(found.peak_memory_bytes),
            found.estimated_memory_bytes.map_or_else(String::new, units::bytes),
        ]);
    }
    text += &table.text();
    text + &meaning(&findings.measured)
}

/// What part of the peak of its precision a workload reaches.
fn share_of_peak(found: &Measured, peaks: &[Peak]) -> Option<f64> {
    let peak = peaks.iter().find(|peak| peak.precision == found.precision || peak.precision == "f32")?;
    Some(found.operations? / found.seconds / 1e9 / peak.gflops)
}

/// One sentence for a person, from the training of a real model where it was measured.
fn meaning(measured: &[Measured]) -> String {
    /// Tokens of an example such as a short question with its answer.
    const EXAMPLE: f64 = 200.0;
    let Some(found) = measured.iter().find(|m| m.workload == "b").or(measured.iter().find(|m| m.workload == "a"))
    else {
        return String::new();
    };
    let examples = found.tokens_per_s * 3600.0 / EXAMPLE;
    let model = if found.workload == "b" { "a model of 135 million parameters" } else { "a small model" };
    format!(
        "\nOne hour of training reads about {} short questions with their answers (200 tokens each) with {model}.\n",
        units::count(examples as u64)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(workload: &str) -> Measured {
        let (title, precision) = ("train a small Llama".to_owned(), "f32".to_owned());
        Measured {
            workload: workload.to_owned(),
            title,
            precision,
            threads: 2,
            n_repetitions: 3,
            n_tokens: 2048,
            seconds: 0.5,
            cpu_seconds: 0.98,
            tokens_per_s: 4096.0,
            operations: Some(1e11),
            loss: Some(9.0),
            peak_memory_bytes: 332 << 20,
            estimated_memory_bytes: Some(340 << 20),
            growth_bytes: None,
        }
    }

    #[test]
    fn figures_stand_in_a_table_with_what_they_mean() {
        let peaks = vec![Peak { precision: "f32".to_owned(), threads: 2, gflops: 400.0 }];
        let findings = Findings { version: "0", peaks, measured: vec![found("a")] };
        insta::assert_snapshot!(text(&findings));
    }

    #[test]
    fn every_workload_is_found_by_its_letter_and_others_are_refused() {
        let args = |only: &[&str]| BenchArgs {
            only: only.iter().map(|word| (*word).to_owned()).collect(),
            all: false,
            threads: None,
            seconds: 1.0,
            steps: None,
            set: vec!["rank=4".to_owned()],
            folder: None,
            material: false,
            peak_only: false,
            exactly: false,
            no_peak: false,
            assignment: None,
            simd: None,
        };
        let names: Vec<&str> = chosen(&args(&["b", "b-recompute", "h"])).unwrap().iter().map(|w| w.name).collect();
        assert_eq!(names, ["b", "b-recompute", "h"]);
        assert!(chosen(&args(&[])).unwrap().iter().all(|w| w.is_usual));
        assert!(chosen(&args(&["z"])).unwrap_err().text().starts_with("error: `z` is no workload; there are `a`, "));
        assert_eq!(options(&args(&[])).unwrap().settings["rank"], "4");
    }
}
