//! What is generated and committed: the window's bindings and the documents of the command line. The crates that know
//! compare them in a test of theirs; with a variable set, the same test writes them.

use anyhow::Result;

use crate::process::{cargo, run};

/// Writes `ui/src/bindings.ts` from the list of commands.
///
/// # Errors
/// The crate does not build, or the file cannot be written.
pub fn bindings() -> Result<()> {
    let words = ["test", "--quiet", "--package", "lorikeet-api", "--test", "bindings"];
    run(cargo().args(words).env("LORIKEET_BINDINGS", "write"))
}

/// Writes `docs/cli.md` from the words of the command line, and `docs/compatibility.md` from the table of programs.
///
/// # Errors
/// As [`bindings`].
pub fn docs() -> Result<()> {
    let words = ["test", "--quiet", "--package", "lorikeet-cli", "--bin", "lorikeet", "reference"];
    run(cargo().args(words).env("LORIKEET_REFERENCE", "write"))
}
