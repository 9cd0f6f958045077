//! Other programs: how they are started in the repository's root and what is said when one fails. Knows no step by name.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::house;

/// Variables that `cargo run` sets for the program it runs; a nested Cargo shall not see them.
const OF_CARGO_RUN: [&str; 6] =
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_NAME", "CARGO_BIN_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"];

/// A program to be started in the repository's root.
pub fn program(name: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(house::root());
    for (name, _) in env::vars_os() {
        if OF_CARGO_RUN.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}

/// The Cargo that runs this.
pub fn cargo() -> Command {
    program(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Starts it and waits; its output goes where ours goes.
///
/// # Errors
/// It cannot be started, or ends with another code than 0.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start: {}", words(command)))?;
    if !status.success() {
        bail!("ended with {status}: {}", words(command));
    }
    Ok(())
}

/// Starts it, waits, and returns its standard output; standard error goes where ours goes.
///
/// # Errors
/// As [`run`], and output that is not UTF-8.
pub fn read(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot start: {}", words(command)))?;
    if !output.status.success() {
        bail!("ended with {}: {}", output.status, words(command));
    }
    String::from_utf8(output.stdout).with_context(|| format!("did not print UTF-8: {}", words(command)))
}

/// Whether it can be started and ends with 0. What it prints is not shown.
pub fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Where the program of this name lies, on `PATH` or among Cargo's programs.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path).collect();
    folders.extend(house::cargo_programs());
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    folders.into_iter().map(|folder| folder.join(&file)).find(|path| path.is_file())
}

/// The command as a person would type it.
#[must_use]
pub fn words(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<String> = words.map(|word| quoted(&word.to_string_lossy())).collect();
    words.join(" ")
}

fn quoted(word: &str) -> String {
    if word.is_empty() || word.contains(|c: char| c.is_whitespace() || "'\"$&|()".contains(c)) {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_named_as_it_was_typed() {
        let error = run(program("sh").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert!(error.ends_with("sh -c 'exit 3'"), "{error}");
        assert!(error.contains('3'), "{error}");
        assert!(run(program("sh").args(["-c", "exit 0"])).is_ok());
        let error = run(&mut program("no-such-program")).unwrap_err().to_string();
        assert_eq!(error, "cannot start: no-such-program");
    }

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program").is_none());
    }

    #[test]
    fn programs_start_in_the_root() {
        let folder = read(program("pwd").arg("-P")).unwrap();
        assert_eq!(PathBuf::from(folder.trim()), house::root().canonicalize().unwrap());
    }
}
