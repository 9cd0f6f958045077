//! The machine that measures: what it is, and the peak of its matrix products.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Result;
use serde_json::Value;

use super::rows::{Row, median};
use super::sides::{Figures, Ours};
use crate::process::{program, read};

/// What is known of it.
pub struct Machine {
    name: String,
    version: String,
    /// 10⁹ operations a second of one thread, by precision.
    peaks: BTreeMap<String, f64>,
}

impl Machine {
    /// Looks at the machine and measures its peaks.
    ///
    /// # Errors
    /// Our program fails.
    pub fn look(ours: &Ours, threads: u64) -> Result<Self> {
        let peaks = ours.peaks(1)?;
        let peak = |peak: &Value| Some((peak["precision"].as_str()?.to_owned(), peak["gflops"].as_f64()?));
        let version = read(ours.command().arg("--version"))?.trim().to_owned();
        Ok(Self { name: name(threads), version, peaks: peaks.iter().filter_map(peak).collect() })
    }

    /// The machine on one line.
    pub fn text(&self) -> String {
        let peaks: Vec<String> = self.peaks.iter().map(|(name, g)| format!("{name} {g:.0} GFLOP/s a thread")).collect();
        format!("{}; {}", self.name, peaks.join(", "))
    }

    /// The part of one thread's peak that the figures, taken with one thread, amount to.
    pub fn share_of_peak(&self, precision: &str, figures: &[&Figures]) -> Option<f64> {
        let peak = self.peaks.get(precision)?;
        let operations = figures.first()?.operations?;
        Some(operations / median(figures.iter().map(|f| f.cpu_seconds)).max(1e-9) / 1e9 / peak)
    }

    /// A row that says where it was measured, and with what.
    pub fn stamped(&self, row: Row, peers: &BTreeMap<String, Value>) -> Row {
        let mut versions = peers.clone();
        versions.insert("lorikeet".to_owned(), Value::from(self.version.clone()));
        Row { machine: self.text(), versions, ..row }
    }
}

/// Processor, threads and memory.
fn name(threads: u64) -> String {
    let line = |file: &str, start: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let found = text.lines().find_map(|line| line.strip_prefix(start)).map(str::to_owned);
        found.map(|rest| rest.trim_start_matches([' ', '\t', ':']).trim().to_owned())
    };
    let asked = || read(program("sysctl").args(["-n", "machdep.cpu.brand_string"])).ok();
    let processor =
        line("/proc/cpuinfo", "model name").or_else(asked).unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let memory = line("/proc/meminfo", "MemTotal:").and_then(|m| m.trim_end_matches(" kB").parse::<f64>().ok());
    let memory = memory.map_or_else(String::new, |kib| format!(", {:.0} GB", kib * 1024.0 / 1e9));
    format!("{}, {threads} threads{memory}", processor.trim())
}
