//! `cargo xtask interop`: what Lorikeet writes, loaded by the programs it is written for. The comparisons are `tests/interop/interop.py`'s.

use std::path::PathBuf;

use anyhow::Result;

use crate::house;
use crate::process::{cargo, program, run};
use crate::python;

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
        None => python::environment()?,
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
