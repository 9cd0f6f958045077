//! What a measurement is asked for and what it gives.

use std::collections::BTreeMap;

use lorikeet_jobs::{Failure, peak_memory_bytes};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Material, Work, Workload, reading, training, writing};

/// How a workload is measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// Threads.
    pub threads: u64,
    /// Seconds that are measured, about; one repetition at least.
    pub seconds: f64,
    /// Repetitions that are measured, in place of seconds.
    pub steps: Option<u64>,
    /// Settings of a training run that differ from the workload's, by name.
    pub settings: BTreeMap<String, Value>,
}

/// What a process that measures is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// The workload's name.
    pub workload: String,
    /// Its files.
    pub material: Material,
    /// How it is measured.
    pub options: Options,
}

/// A workload's figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The workload's name.
    pub workload: String,
    /// What a person reads.
    pub title: String,
    /// In which numbers are multiplied: `f32`, `bf16`; or how the base is stored.
    pub precision: String,
    /// Threads.
    pub threads: u64,
    /// Repetitions measured: steps, answers, prompts, files.
    pub n_repetitions: u64,
    /// Tokens of a repetition.
    pub n_tokens: u64,
    /// Seconds of a repetition: the median.
    pub seconds: f64,
    /// Seconds of all processors together: the median.
    pub cpu_seconds: f64,
    /// Tokens by `seconds`.
    pub tokens_per_s: f64,
    /// Operations of a repetition, counted from shapes; `None` where counting them says nothing.
    pub operations: Option<f64>,
    /// Loss of the first step.
    pub loss: Option<f64>,
    /// Most memory that the process ever held.
    pub peak_memory_bytes: u64,
    /// What was foretold.
    pub estimated_memory_bytes: Option<u64>,
    /// How much the process held more after the last repetition than after the hundredth, where there were that many.
    pub growth_bytes: Option<i64>,
}

/// One repetition: seconds, and seconds of all processors.
pub(crate) type Lap = (f64, f64);

impl Measured {
    /// Figures of `laps` repetitions.
    pub(crate) fn of(workload: &Workload, options: &Options, n_tokens: u64, laps: &[Lap]) -> Self {
        let seconds = median(laps.iter().map(|lap| lap.0));
        Self {
            workload: workload.name.to_owned(),
            title: workload.title.to_owned(),
            precision: workload.stored.name().to_owned(),
            threads: options.threads,
            n_repetitions: laps.len() as u64,
            n_tokens,
            seconds,
            cpu_seconds: median(laps.iter().map(|lap| lap.1)),
            tokens_per_s: n_tokens as f64 / seconds.max(1e-9),
            ..Self::default()
        }
    }
}

/// Measures `workload` in this process, which shall have done nothing before.
///
/// # Errors
/// Where the material is damaged or the work fails.
pub fn measure(workload: &Workload, material: &Material, options: &Options) -> Result<Measured, Failure> {
    let measured = match workload.work {
        Work::Train { .. } => training::measure(workload, material, options)?,
        Work::Write { .. } | Work::Read { .. } => writing::measure(workload, material, options)?,
        Work::Import { .. } => reading::measure(workload, material, options)?,
    };
    Ok(Measured { peak_memory_bytes: peak_memory_bytes(), ..measured })
}

/// The middle of the numbers; 0 of none.
pub(crate) fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = numbers.collect();
    sorted.sort_by(f64::total_cmp);
    let at = |i: usize| sorted.get(i).copied().unwrap_or_default();
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => at(n / 2),
        n => (at(n / 2 - 1) + at(n / 2)) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
        assert_eq!(median(std::iter::empty()), 0.0);
    }
}
