//! The steps of a longer command: each announced, timed, and remembered with how it ended. Knows no step by name.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::say;
use crate::tally::Tally;

/// The steps so far.
#[derive(Debug, Default)]
pub struct Ledger {
    steps: Vec<Step>,
    /// Tests that were counted; a step that failed without a failed test counts as one.
    pub tally: Tally,
}

#[derive(Debug)]
struct Step {
    name: String,
    took: Duration,
    ended: Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Well,
    Badly,
    Left,
}

impl Ledger {
    /// Does a step. Returns whether it ended well; a failure is told at once and remembered.
    ///
    /// # Errors
    /// A standard output that is closed.
    pub fn step(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> Result<bool> {
        self.counted(name, || (Tally::default(), work()))
    }

    /// As [`Ledger::step`], for work that also counts tests.
    ///
    /// # Errors
    /// A standard output that is closed.
    pub fn counted(&mut self, name: &str, work: impl FnOnce() -> (Tally, Result<()>)) -> Result<bool> {
        say::line(&say::bold(&format!("\n── {name}")))?;
        let start = Instant::now();
        let (tally, told) = work();
        let took = start.elapsed();
        self.tally += tally;
        if told.is_err() && tally.failed == 0 {
            self.tally.failed += 1;
        }
        if let Err(error) = &told {
            say::line(&say::red(&format!("{name}: {error:#}")))?;
        }
        let ended = if told.is_ok() { Ended::Well } else { Ended::Badly };
        self.steps.push(Step { name: name.to_owned(), took, ended });
        Ok(told.is_ok())
    }

    /// Remembers a step that was not done because one before it failed.
    pub fn left(&mut self, name: &str) {
        self.tally.failed += 1;
        self.steps.push(Step { name: name.to_owned(), took: Duration::ZERO, ended: Ended::Left });
    }

    /// Whether every step ended well and every test passed.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.tally.failed == 0 && self.steps.iter().all(|step| step.ended == Ended::Well)
    }

    /// A line per step, and the whole time.
    #[must_use]
    pub fn table(&self) -> Vec<String> {
        let width = self.steps.iter().map(|step| step.name.chars().count()).max().unwrap_or_default().max(5);
        let mut lines: Vec<String> = self.steps.iter().map(|step| step.line(width)).collect();
        let whole: Duration = self.steps.iter().map(|step| step.took).sum();
        lines.push(format!("{:width$}  {:>8}", "total", clock(whole)));
        lines
    }
}

impl Step {
    fn line(&self, width: usize) -> String {
        let ended = match self.ended {
            Ended::Well => say::green("ok"),
            Ended::Badly => say::red("FAILED"),
            Ended::Left => say::red("NOT DONE: a step before it failed"),
        };
        format!("{:width$}  {:>8}  {ended}", self.name, clock(self.took))
    }
}

/// Minutes and seconds.
#[must_use]
pub fn clock(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let whole = time.as_secs();
    format!("{}:{:02} min", whole / 60, whole % 60)
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn a_failed_or_omitted_step_is_not_well() {
        let mut ledger = Ledger::default();
        assert!(ledger.step("one", || Ok(())).unwrap());
        assert!(ledger.is_well());
        assert!(!ledger.step("two", || bail!("no")).unwrap());
        assert!(!ledger.is_well());
        assert_eq!(ledger.tally, Tally { passed: 0, failed: 1 });
        let mut ledger = Ledger::default();
        ledger.left("three");
        assert!(!ledger.is_well());
        assert!(ledger.table()[0].contains("NOT DONE"));
    }

    #[test]
    fn a_failed_test_is_not_well_even_when_its_step_is() {
        let mut ledger = Ledger::default();
        ledger.counted("tests", || (Tally { passed: 2, failed: 1 }, Ok(()))).unwrap();
        assert!(!ledger.is_well());
        let told = Err(anyhow::anyhow!("tests failed"));
        ledger.counted("more", || (Tally { passed: 1, failed: 2 }, told)).unwrap();
        assert_eq!(ledger.tally, Tally { passed: 3, failed: 3 });
    }

    #[test]
    fn times_read_well() {
        assert_eq!(clock(Duration::from_millis(1240)), "1.2 s");
        assert_eq!(clock(Duration::from_secs(125)), "2:05 min");
    }
}
