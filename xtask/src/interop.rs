//! `cargo xtask interop`: what Lorikeet writes, loaded by the programs it is written for. Sets up a Python environment of its own
//! below the cache; the comparisons are `tests/interop/interop.py`'s.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::house;
use crate::process::{cargo, program, run, succeeds};
use crate::say;

/// What the comparisons import, by package and module.
const PACKAGES: [(&str, &str); 7] = [
    ("torch", "torch"),
    ("transformers", "transformers"),
    ("peft", "peft"),
    ("safetensors", "safetensors"),
    ("numpy", "numpy"),
    ("gguf", "gguf"),
    // Built from source, which takes some minutes and a C++ compiler.
    ("llama-cpp-python", "llama_cpp"),
];

/// What may be said.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Use this Python, which has the packages, in place of an environment set up here.
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,
    /// Try only this family; may be given several times.
    #[arg(long, value_name = "FAMILY")]
    family: Vec<String>,
    /// Folder of the shared test material, for the adapter somebody else made.
    #[arg(long, value_name = "DIR", env = "LORIKEET_SHARED")]
    shared: Option<PathBuf>,
}

/// Sets up, builds, compares. Returns whether everything agreed.
///
/// # Errors
/// No Python, a failed installation or a failed build.
pub fn run_interop(options: &Options) -> Result<bool> {
    let python = match &options.python {
        Some(python) => python.clone(),
        None => environment()?,
    };
    run(cargo().args(["build", "--package", "lorikeet-cli"]))?;
    let work = house::target()?.join("interop");
    let mut compare = program(&python);
    compare.arg(house::root().join("tests/interop/interop.py"));
    compare.arg("--lorikeet").arg(house::built("lorikeet")?).arg("--work").arg(&work);
    for family in &options.family {
        compare.args(["--family", family]);
    }
    if let Some(shared) = &options.shared {
        compare.arg("--shared").arg(shared);
    }
    Ok(run(&mut compare).is_ok())
}

/// The environment's Python, with every package.
fn environment() -> Result<PathBuf> {
    let folder = house::cache()?.join("interop");
    let python = folder.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    if !python.is_file() {
        run(program("python3").args(["-m", "venv"]).arg(&folder))?;
    }
    let missing: Vec<&str> =
        PACKAGES.into_iter().filter(|(_, module)| !has(&python, module)).map(|(package, _)| package).collect();
    if missing.is_empty() {
        say::line(&format!("all {} packages are there: {}", PACKAGES.len(), folder.display()))?;
    } else {
        say::line(&format!("installing: {}", missing.join(" ")))?;
        run(program(&python).args(["-m", "pip", "install", "--quiet"]).args(missing))?;
    }
    Ok(python)
}

/// Whether a module can be found, without running it.
fn has(python: &Path, module: &str) -> bool {
    let ask = format!("import importlib.util, sys; sys.exit(importlib.util.find_spec('{module}') is None)");
    succeeds(program(python).args(["-c", &ask]))
}
