//! `lorikeet doctor`: what Lorikeet runs on, where it keeps things, what is missing and how to mend it. Answers also where
//! nothing else would: with a data folder that cannot be written.

use lorikeet_api::{App, app, wire::AppInfo};
use serde::Serialize;

use crate::{failure::Failure, print::Printer, table::pairs, units};

/// What is found, as `--json` prints it.
#[derive(Serialize)]
struct Findings {
    /// What every door knows.
    #[serde(flatten)]
    info: AppInfo,
    /// Vector instructions of this processor that the engine uses, widest first.
    simd: Vec<&'static str>,
    /// `linux`, `macos`, `windows`.
    system: &'static str,
    /// `x86_64`, `aarch64`.
    architecture: &'static str,
}

/// Reports; fails when something is missing.
pub fn report(printer: &mut Printer) -> Result<(), Failure> {
    let findings =
        Findings { info: about()?, simd: simd(), system: std::env::consts::OS, architecture: std::env::consts::ARCH };
    printer.answer(&findings, text)?;
    if findings.info.problems.is_empty() { Ok(()) } else { Err(Failure::Reported(1)) }
}

/// Also where the data folder does not open: then that is the finding.
fn about() -> Result<AppInfo, Failure> {
    match App::open(None) {
        Ok(app) => Ok(app::about(app.home())),
        Err(error) => {
            let mut info = app::about(&app::data_folder(None)?);
            let problem = [Some(error.message), error.hint].into_iter().flatten().collect::<Vec<_>>().join("; ");
            info.problems.push(problem);
            Ok(info)
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn simd() -> Vec<&'static str> {
    let all = [
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("sse4.2", is_x86_feature_detected!("sse4.2")),
    ];
    all.into_iter().filter_map(|(name, found)| found.then_some(name)).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn simd() -> Vec<&'static str> {
    if cfg!(target_arch = "aarch64") { vec!["neon"] } else { Vec::new() }
}

fn text(findings: &Findings) -> String {
    let info = &findings.info;
    let mut facts = vec![
        ("version", info.code_version.clone()),
        ("system", format!("{}, {}", findings.system, findings.architecture)),
        (
            "memory",
            format!("{}, {} free", units::bytes(info.memory_total_bytes), units::bytes(info.memory_available_bytes)),
        ),
        ("threads", info.n_threads.to_string()),
        ("vector units", findings.simd.join(", ")),
    ];
    for device in &info.devices {
        let why = device.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let state = if device.available { "" } else { " (not usable)" };
        facts.push(("device", format!("{} - {}{state}{why}", device.id, device.name)));
    }
    let writable = if info.data_folder_writable { "writable" } else { "cannot be written" };
    facts.push(("data folder", format!("{} ({writable})", info.data_folder)));
    facts.push(("disk", format!("{} free", units::bytes(info.disk_available_bytes))));
    let mut text = pairs(&facts);
    if info.problems.is_empty() {
        return text + "\nall is well\n";
    }
    text += "\nto mend\n";
    info.problems.iter().for_each(|problem| text += &format!("  - {problem}\n"));
    text
}
