//! `cargo xtask fuzz`: the readers of files that other people made, under a coverage-guided fuzzer, one after the other. The
//! targets and their seeds lie in `tests/fuzz`; what was found interesting is kept in the build folder between runs.

use std::fs;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::house;
use crate::process::{cargo, run};
use crate::say;
use crate::setup;

/// What `cargo xtask fuzz` is asked.
#[derive(Debug, Args)]
pub struct Options {
    /// Only these readers; all of them otherwise.
    #[arg(long, value_delimiter = ',', value_name = "READER")]
    only: Vec<String>,
    /// Seconds for each reader.
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    seconds: u64,
}

/// Most memory of a reader, in MiB, and of one allocation: a hostile file shall not make it ask for more.
const MOST_MEMORY: (u32, u32) = (2048, 256);
/// Longest time for one input, in seconds.
const MOST_SECONDS: u32 = 25;

/// Runs the targets; the first input that ends one badly ends the command, and lies in the folder that is then named.
///
/// # Errors
/// A reader of another name, a failed build, an input that was not survived.
pub fn run_fuzz(options: &Options) -> Result<()> {
    let readers = readers()?;
    if let Some(unknown) = options.only.iter().find(|name| !readers.contains(name)) {
        bail!("there is no such reader, only {}: {unknown}", readers.join(", "));
    }
    setup::cargo_fuzz()?;
    for reader in readers.iter().filter(|name| options.only.is_empty() || options.only.contains(name)) {
        say::line(&say::bold(&format!("\n── {reader}: {} s", options.seconds)))?;
        fuzz(reader, options.seconds)?;
    }
    Ok(())
}

fn readers() -> Result<Vec<String>> {
    let folder = house::root().join("tests/fuzz/seeds");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot list: {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn fuzz(reader: &str, seconds: u64) -> Result<()> {
    let target = house::target()?.join("fuzz");
    let (corpus, artifacts) = (target.join("corpus").join(reader), target.join("found").join(reader));
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&artifacts)?;
    let seeds = house::root().join("tests/fuzz/seeds").join(reader);
    let mut command = cargo();
    // The sanitiser is a flag of the compiler that only its development versions take; this makes a stable one take it.
    command.env("RUSTC_BOOTSTRAP", "1").env_remove("CARGO_TARGET_DIR");
    command.args(["fuzz", "run", "--fuzz-dir", "tests/fuzz", "--target-dir"]).arg(&target).arg(reader);
    command.arg(&corpus).arg(&seeds).arg("--");
    command.arg(format!("-max_total_time={seconds}")).arg(format!("-timeout={MOST_SECONDS}"));
    command.arg(format!("-rss_limit_mb={}", MOST_MEMORY.0)).arg(format!("-malloc_limit_mb={}", MOST_MEMORY.1));
    command.arg(format!("-artifact_prefix={}/", artifacts.display())).arg("-print_final_stats=1");
    run(&mut command)
}
