//! `cargo xtask test`: sets up what the machine lacks and runs every check and test there is, each step timed. Everything is
//! built once, in one profile and with one set of features, the window's included.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::demo;
use crate::house;
use crate::process::{cargo, program, run};
use crate::say;
use crate::setup;
use crate::steps::Ledger;
use crate::tally::{self, Tally};
use crate::tidy;

/// Features of the whole build: the window, and the tests that drive it.
const WINDOW_FEATURES: [&str; 2] = ["--features", "lorikeet-desktop/desktop,lorikeet-tests/window"];
/// The tests that need a display.
const WINDOW_TESTS: &str = "binary(window)";
/// Size and colours of the virtual display.
const SCREEN: &str = "-screen 0 1600x1000x24";

/// A part of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The rules of the house and the formatting: seconds.
    Tidy,
    /// Clippy and the documentation, warnings as errors.
    Lint,
    /// The window's code: types, units, build.
    Ui,
    /// Every Rust test but the window's; needs no webview.
    Rust,
    /// The real window under a virtual display.
    Window,
    /// The demonstration, with the program that was built for the tests.
    Demo,
}

/// Which parts run.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Run only this part; may be given several times.
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,
}

/// Runs the chosen parts. Returns whether all is well.
///
/// # Errors
/// A standard output that is closed; what fails in a step is told and remembered.
pub fn run_tests(options: &Options) -> Result<bool> {
    let wants = |part: Part| options.only.is_empty() || options.only.contains(&part);
    let mut ledger = Ledger::default();
    set_up(&mut ledger, &wants)?;
    if wants(Part::Tidy) {
        ledger.step("formatting", || run(cargo().args(["fmt", "--all", "--check"])))?;
        ledger.step("tidy", tidy::run)?;
    }
    if wants(Part::Ui) || wants(Part::Window) {
        ui(&mut ledger, wants(Part::Ui))?;
    }
    // Without a part that needs the webview, it is neither installed nor built.
    let features: &[&str] = if wants(Part::Window) || wants(Part::Lint) { &WINDOW_FEATURES } else { &[] };
    if wants(Part::Lint) {
        lint(&mut ledger, features)?;
    }
    if wants(Part::Rust) || wants(Part::Window) || wants(Part::Demo) {
        built_parts(&mut ledger, &wants, features)?;
    }
    conclude(&ledger)
}

fn set_up(ledger: &mut Ledger, wants: &impl Fn(Part) -> bool) -> Result<()> {
    if wants(Part::Window) || wants(Part::Lint) {
        ledger.step("system packages", setup::system_packages)?;
    }
    if wants(Part::Tidy) || wants(Part::Lint) {
        ledger.step("rust components", setup::rust_components)?;
    }
    if wants(Part::Rust) || wants(Part::Window) {
        ledger.step("cargo-nextest", setup::nextest)?;
    }
    if wants(Part::Window) {
        ledger.step("tauri-driver", setup::tauri_driver)?;
    }
    if wants(Part::Window) || wants(Part::Ui) {
        ledger.step("npm packages", setup::npm_packages)?;
    }
    if wants(Part::Rust) {
        ledger.step("encoder", setup::encoder)?;
    }
    Ok(())
}

fn ui(ledger: &mut Ledger, with_tests: bool) -> Result<()> {
    if with_tests {
        ledger.step("ui types", || run(setup::npm().args(["run", "check"])))?;
        ledger.counted("ui tests", || counted(vitest))?;
    }
    ledger.step("ui build", || run(setup::npm().args(["run", "build"])))?;
    Ok(())
}

fn lint(ledger: &mut Ledger, features: &[&str]) -> Result<()> {
    let words = ["clippy", "--workspace", "--all-targets"];
    ledger.step("clippy", || run(cargo().args(words).args(features).args(["--", "--deny", "warnings"])))?;
    let words = ["doc", "--workspace", "--no-deps", "--quiet"];
    ledger.step("documentation", || run(cargo().args(words).args(features).env("RUSTDOCFLAGS", "--deny warnings")))?;
    Ok(())
}

fn built_parts(ledger: &mut Ledger, wants: &impl Fn(Part) -> bool, features: &[&str]) -> Result<()> {
    let words = ["build", "--workspace", "--all-targets"];
    let is_built = ledger.step("build", || run(cargo().args(words).args(features)))?;
    let mut part = |part: Part, name: &str, work: &dyn Fn() -> Result<Tally>| -> Result<()> {
        if wants(part) && is_built {
            ledger.counted(name, || counted(work))?;
        } else if wants(part) {
            ledger.left(name);
        }
        Ok(())
    };
    // Without its feature the window's test program is not built, and nextest refuses to hear of it.
    let others = if features.is_empty() { "all()".to_owned() } else { format!("not {WINDOW_TESTS}") };
    part(Part::Rust, "rust tests", &|| nextest(cargo(), features, &others))?;
    part(Part::Rust, "examples in the documentation", &|| doc_tests(features))?;
    part(Part::Window, "window tests", &|| nextest(under_a_display(), features, WINDOW_TESTS))?;
    part(Part::Demo, "demo", &|| demo::run_with(&house::built("lorikeet")?).map(|()| Tally::default()))
}

/// Tells how all steps ended; the last line is the number of tests, for people and for programs. A step that failed for
/// another reason than a test counts as a failed one, so that the line never looks better than the run.
fn conclude(ledger: &Ledger) -> Result<bool> {
    say::line(&say::bold("\n── summary"))?;
    for line in ledger.table() {
        say::line(&line)?;
    }
    let Tally { passed, failed } = ledger.tally;
    say::line(&format!("\n{passed} passed, {failed} failed"))?;
    Ok(ledger.is_well())
}

/// Splits a count that may have failed: tests that ran count even when some failed.
fn counted(work: impl Fn() -> Result<Tally>) -> (Tally, Result<()>) {
    match work() {
        Ok(tally) if tally.failed == 0 => (tally, Ok(())),
        Ok(tally) => (tally, Err(anyhow::anyhow!("tests failed: {}", tally.failed))),
        Err(error) => (Tally::default(), Err(error)),
    }
}

/// A runner leaves its count in a file. A runner that fails without a failed test failed for another reason.
fn count_of(ran: Result<()>, file: &PathBuf, read: fn(&str) -> Result<Tally>) -> Result<Tally> {
    let text = fs::read_to_string(file).with_context(|| format!("the runner left no count: {}", file.display()));
    match (ran, text) {
        (ran, Ok(text)) => {
            let tally = read(&text)?;
            if tally.failed == 0 { ran.map(|()| tally) } else { Ok(tally) }
        }
        (Err(error), Err(_)) | (Ok(()), Err(error)) => Err(error),
    }
}

/// Removes what an earlier run left, so that it is not counted again.
fn fresh(file: &PathBuf) -> Result<()> {
    if file.exists() {
        fs::remove_file(file).with_context(|| format!("cannot remove: {}", file.display()))?;
    }
    Ok(())
}

fn vitest() -> Result<Tally> {
    let file = house::target()?.join("vitest.json");
    fresh(&file)?;
    let report = format!("--outputFile.json={}", file.display());
    let ran = run(setup::npm().args(["exec", "--", "vitest", "run", "--reporter=default", "--reporter=json", &report]));
    count_of(ran, &file, tally::of_vitest)
}

fn nextest(mut command: Command, features: &[&str], filter: &str) -> Result<Tally> {
    // nextest keeps its reports below the workspace, wherever Cargo builds.
    let file = house::root().join("target/nextest/ci/junit.xml");
    fresh(&file)?;
    command.args(["nextest", "run", "--profile", "ci", "--workspace"]).args(features).args(["-E", filter]);
    let ran = run(in_test_surroundings(&mut command)?);
    count_of(ran, &file, tally::of_junit)
}

/// Cargo on a virtual display with a message bus of its own, as a desktop has them.
fn under_a_display() -> Command {
    let mut command = program("xvfb-run");
    command.args(["--auto-servernum", "--server-args", SCREEN, "dbus-run-session", "--"]).arg(cargo().get_program());
    command
}

/// What tests may rely on: where the programs and the encoder lie, and a language that the webview knows.
fn in_test_surroundings(command: &mut Command) -> Result<&mut Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([house::cargo_programs()?]);
    let path = std::env::join_paths(folders).context("`PATH` holds a folder that cannot be named in it")?;
    Ok(command
        .env("PATH", path)
        .env("LANG", "C.UTF-8")
        .env("INSTA_UPDATE", "no")
        .env("LORIKEET_BIN", house::built("lorikeet")?)
        .env("LORIKEET_DESKTOP_BIN", house::built("lorikeet-desktop")?)
        .env("LORIKEET_MINILM", setup::encoder_folder()?))
}

fn doc_tests(features: &[&str]) -> Result<Tally> {
    let output = cargo()
        .args(["test", "--doc", "--workspace", "--no-fail-fast"])
        .args(features)
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start Cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let tally = tally::of_cargo_test(&text);
    say::line(text.trim_end())?;
    anyhow::ensure!(output.status.success() || tally.failed > 0, "`cargo test --doc` ended with {}", output.status);
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn failed_tests_fail_their_step_and_are_counted() {
        let (tally, told) = counted(|| Ok(Tally { passed: 3, failed: 1 }));
        assert_eq!(tally, Tally { passed: 3, failed: 1 });
        assert!(told.is_err());
        let (tally, told) = counted(|| bail!("did not start"));
        assert_eq!(tally, Tally::default());
        assert!(told.is_err());
        assert!(counted(|| Ok(Tally { passed: 3, failed: 0 })).1.is_ok());
    }

    #[test]
    fn a_runner_that_leaves_no_count_fails() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("count.json");
        assert!(count_of(Ok(()), &file, tally::of_vitest).is_err());
        fs::write(&file, r#"{"numPassedTests": 2, "numFailedTests": 0}"#).unwrap();
        assert_eq!(count_of(Ok(()), &file, tally::of_vitest).unwrap().passed, 2);
        let crashed = Err(anyhow::anyhow!("crashed after the tests"));
        assert!(count_of(crashed, &file, tally::of_vitest).is_err());
        fresh(&file).unwrap();
        assert!(!file.exists());
    }
}
