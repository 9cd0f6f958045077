//! A Python environment of our own below the cache, with the programs that Lorikeet is compared with. Set up once; asks first
//! what is there.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::house;
use crate::process::{program, run, succeeds};
use crate::say;

/// What comparisons import, by package and module.
const PACKAGES: [(&str, &str); 8] = [
    ("torch", "torch"),
    ("transformers", "transformers"),
    ("peft", "peft"),
    ("safetensors", "safetensors"),
    ("numpy", "numpy"),
    ("gguf", "gguf"),
    ("datasets", "datasets"),
    // Built from source, which takes some minutes and a C++ compiler.
    ("llama-cpp-python", "llama_cpp"),
];

/// The environment's Python, with every package.
///
/// # Errors
/// No Python, or a failed installation.
pub fn environment() -> Result<PathBuf> {
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
pub fn has(python: &Path, module: &str) -> bool {
    let ask = format!("import importlib.util, sys; sys.exit(importlib.util.find_spec('{module}') is None)");
    succeeds(program(python).args(["-c", &ask]))
}
