//! `cargo xtask app`: builds the window with everything in it and opens it.

use anyhow::Result;

use crate::house;
use crate::process::{cargo, program, run};
use crate::say;
use crate::setup;

/// Sets up, builds, opens; ends when the window is closed.
///
/// # Errors
/// Something cannot be installed, built or started.
pub fn run_app() -> Result<()> {
    if cfg!(target_os = "linux") {
        setup::system_packages()?;
    }
    setup::npm_packages()?;
    run(setup::npm().args(["run", "build"]))?;
    run(cargo().args(["build", "--package", "lorikeet-desktop", "--features", "desktop", "--bins"]))?;
    let app = house::built("lorikeet-desktop")?;
    say::line(&format!("opening {}", app.display()))?;
    run(&mut program(app))
}
