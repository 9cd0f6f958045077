//! How many tests passed and failed, read from what each runner leaves behind: nextest's JUnit file, vitest's JSON, the
//! lines of `cargo test`.

use std::ops::AddAssign;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Tests that passed and failed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Tests that passed.
    pub passed: usize,
    /// Tests that failed.
    pub failed: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Reads the counts of nextest's JUnit file: `<testsuites … tests="3" failures="1" errors="0" …>`.
///
/// # Errors
/// A file that is not one.
pub fn of_junit(text: &str) -> Result<Tally> {
    let start = text.find("<testsuites").context("there is no `testsuites` element")?;
    let element = text[start..].split('>').next().unwrap_or_default();
    let number = |name: &str| -> Result<usize> {
        let mark = format!(" {name}=\"");
        let at = element.find(&mark).with_context(|| format!("`testsuites` has no attribute: `{name}`"))?;
        let value = element[at + mark.len()..].split('"').next().unwrap_or_default();
        value.parse().with_context(|| format!("`{name}` is not a number: {value}"))
    };
    let failed = number("failures")? + number("errors")?;
    let tests = number("tests")?;
    ensure!(failed <= tests, "more tests failed than ran: {failed} of {tests}");
    Ok(Tally { passed: tests - failed, failed })
}

/// Reads the counts of vitest's JSON report.
///
/// # Errors
/// Text that is not one.
pub fn of_vitest(text: &str) -> Result<Tally> {
    let report: Value = serde_json::from_str(text).context("vitest's report is not JSON")?;
    let number = |name: &str| -> Result<usize> {
        let value = report[name].as_u64().with_context(|| format!("vitest's report lacks: `{name}`"))?;
        Ok(usize::try_from(value)?)
    };
    Ok(Tally { passed: number("numPassedTests")?, failed: number("numFailedTests")? })
}

/// Sums the lines `test result: ok. 3 passed; 1 failed; …` of `cargo test`.
#[must_use]
pub fn of_cargo_test(text: &str) -> Tally {
    let mut tally = Tally::default();
    for line in text.lines().filter(|line| line.starts_with("test result:")) {
        let before = |word: &str| {
            let part = line.split([';', '.']).find(|part| part.trim().ends_with(word))?;
            part.trim().strip_suffix(word)?.trim().parse::<usize>().ok()
        };
        tally += Tally { passed: before("passed").unwrap_or(0), failed: before("failed").unwrap_or(0) };
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junit() {
        let text = r#"<?xml version="1.0"?><testsuites name="nextest-run" tests="7" failures="2" errors="1" uuid="x">"#;
        assert_eq!(of_junit(text).unwrap(), Tally { passed: 4, failed: 3 });
        assert!(of_junit("<nothing>").is_err());
        assert!(of_junit(r#"<testsuites tests="1" failures="2" errors="0">"#).is_err());
    }

    #[test]
    fn vitest() {
        let text = r#"{"numTotalTests": 5, "numPassedTests": 4, "numFailedTests": 1}"#;
        assert_eq!(of_vitest(text).unwrap(), Tally { passed: 4, failed: 1 });
        assert!(of_vitest("{}").is_err());
    }

    #[test]
    fn cargo_test() {
        let text = "running 2 tests\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured\n\
                    test result: FAILED. 1 passed; 3 failed; 0 ignored\n";
        assert_eq!(of_cargo_test(text), Tally { passed: 3, failed: 3 });
        assert_eq!(of_cargo_test("nothing ran"), Tally::default());
    }
}
