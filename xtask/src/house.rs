//! Where the repository, its build folder and the caches lie. Knows paths, runs nothing.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process;

/// Folder of the workspace's `Cargo.toml`.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// What Cargo knows of the workspace's own packages. Reads manifests only, needs no network.
///
/// # Errors
/// A manifest that Cargo refuses.
pub fn metadata() -> Result<Value> {
    let told = process::read(process::cargo().args(["metadata", "--no-deps", "--offline", "--format-version", "1"]))?;
    serde_json::from_str(&told).context("`cargo metadata` did not print JSON")
}

/// The folder Cargo builds into: `CARGO_TARGET_DIR` where it is set, else `target`.
///
/// # Errors
/// As [`metadata`].
pub fn target() -> Result<PathBuf> {
    let metadata = metadata()?;
    let folder = metadata["target_directory"].as_str().context("`cargo metadata` names no target folder")?;
    Ok(PathBuf::from(folder))
}

/// What was built in the development profile.
///
/// # Errors
/// As [`metadata`].
pub fn built(program: &str) -> Result<PathBuf> {
    Ok(target()?.join("debug").join(format!("{program}{}", env::consts::EXE_SUFFIX)))
}

/// The person's home folder.
///
/// # Errors
/// No home folder in the environment.
pub fn home() -> Result<PathBuf> {
    let home = env::var_os("HOME").or_else(|| env::var_os("USERPROFILE"));
    home.map(PathBuf::from).context("there is no home folder: set `HOME`")
}

/// Where what was fetched once for the tests is kept, such as the encoder.
///
/// # Errors
/// As [`home`].
pub fn cache() -> Result<PathBuf> {
    Ok(home()?.join(".cache/lorikeet"))
}

/// Where `cargo install` puts programs.
///
/// # Errors
/// As [`home`].
pub fn cargo_programs() -> Result<PathBuf> {
    match env::var_os("CARGO_HOME") {
        Some(folder) => Ok(PathBuf::from(folder).join("bin")),
        None => Ok(home()?.join(".cargo/bin")),
    }
}
