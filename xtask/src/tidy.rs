//! `cargo xtask tidy`: the rules of the house that no compiler knows. A rule is a function from the repository's files to
//! what it found; each has a test that shows it finding something. Knows no rule's inside.

use std::fmt;

use anyhow::{Result, bail};

use crate::house;
use crate::say;

mod edges;
mod foreign;
mod headers;
mod lints;
mod names;
mod readme;
mod rooms;
mod rust_text;
mod sizes;
mod sources;
mod tiers;
mod voices;

use sources::Source;

/// Something against a rule, or worth a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `path` or `path:line`.
    pub place: String,
    /// What is wrong and how to mend it.
    pub text: String,
    /// Whether it only warns.
    pub warns: bool,
}

impl Finding {
    fn new(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { place: place.into(), text: text.into(), warns: false }
    }

    fn warning(place: impl Into<String>, text: impl Into<String>) -> Self {
        Self { warns: true, ..Self::new(place, text) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}: {}", self.place, self.text)
    }
}

/// What a rule finds in the files.
type Rule = fn(&[Source]) -> Vec<Finding>;

/// Holds the repository against every rule.
///
/// # Errors
/// Something is against a rule, or the repository cannot be read.
pub fn run() -> Result<()> {
    let findings = findings()?;
    let (warnings, errors): (Vec<_>, Vec<_>) = findings.iter().partition(|finding| finding.warns);
    for finding in &warnings {
        say::line(&say::amber(&format!("look: {finding}")))?;
    }
    for finding in &errors {
        say::line(&say::red(&format!("{finding}")))?;
    }
    if !errors.is_empty() {
        bail!("against the rules of the house: {} findings", errors.len());
    }
    say::line(&format!("tidy: nothing against the rules, {} files to look at", warnings.len()))?;
    Ok(())
}

fn findings() -> Result<Vec<Finding>> {
    let files = sources::read(&house::root())?;
    let mut findings = edges::find(&edges::packages(&house::metadata()?)?);
    findings.extend(edges::compare_drawing(&text_of(&files, "ARCHITECTURE.md")));
    let rules: [Rule; 8] =
        [headers::find, names::find, voices::find, lints::find, sizes::find, foreign::find, tiers::find, readme::find];
    findings.extend(rules.iter().flat_map(|rule| rule(&files)));
    Ok(findings)
}

/// The text of a file, empty where there is none.
fn text_of(files: &[Source], path: &str) -> String {
    files.iter().find(|file| file.path == path).map(|file| file.text.clone()).unwrap_or_default()
}

#[cfg(test)]
fn texts(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}
