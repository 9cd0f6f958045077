//! Rows that cannot be used: all of them counted, the first ones in full.

use std::fmt;

/// How many bad rows are kept in full.
pub const KEPT_BAD_ROWS: usize = 10;

/// Longest excerpt, in characters.
const EXCERPT_CHARS: usize = 80;

/// One row that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// Line of the file, counted from 1.
    pub line: u64,
    /// Character of the line where the trouble is, counted from 1.
    pub column: u64,
    /// What is wrong and how to mend it.
    pub reason: String,
    /// The text around the place, control characters escaped.
    pub excerpt: String,
}

impl BadRow {
    /// A bad row at byte `at` of `row`, the bytes of the file that begin in line `line` at character `column`.
    pub fn at(row: &[u8], line: u64, column: u64, at: usize, reason: impl Into<String>) -> BadRow {
        let at = at.min(row.len());
        let before = row.get(..at).unwrap_or_default();
        let line_breaks = before.iter().filter(|byte| **byte == b'\n').count() as u64;
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let n_chars = String::from_utf8_lossy(before.get(line_start..).unwrap_or_default()).chars().count() as u64;
        BadRow {
            line: line + line_breaks,
            column: if line_breaks == 0 { column + n_chars } else { 1 + n_chars },
            reason: reason.into(),
            excerpt: excerpt(row, at),
        }
    }
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.reason)?;
        if !self.excerpt.is_empty() {
            write!(f, ": `{}`", self.excerpt)?;
        }
        Ok(())
    }
}

/// At most [`EXCERPT_CHARS`] characters of `row`, of which about a quarter lie before byte `at`.
fn excerpt(row: &[u8], at: usize) -> String {
    let from = at.saturating_sub(EXCERPT_CHARS / 4);
    // Not in the middle of a character: at most three continuation bytes are skipped.
    let from =
        (from..row.len().min(from + 4)).find(|i| row.get(*i).is_some_and(|byte| byte & 0xc0 != 0x80)).unwrap_or(from);
    let window = row.get(from..row.len().min(from + EXCERPT_CHARS * 4)).unwrap_or_default();
    let text = String::from_utf8_lossy(window);
    let mut shown: String = text.chars().take(EXCERPT_CHARS).flat_map(escaped).collect();
    if from > 0 {
        shown.insert(0, '…');
    }
    if text.chars().count() > EXCERPT_CHARS {
        shown.push('…');
    }
    shown
}

fn escaped(c: char) -> impl Iterator<Item = char> {
    let (plain, written) = if c.is_control() { (None, Some(c.escape_default())) } else { (Some(c), None) };
    plain.into_iter().chain(written.into_iter().flatten())
}

/// What is said once below rows of which some are not UTF-8.
const UTF_8_HINT: &str =
    "save the file as UTF-8; it is often Windows-1252, then `iconv -f windows-1252 -t utf-8` does it";

/// What such a row's reason says.
pub(crate) const NOT_UTF_8: &str = "is not UTF-8";

/// Bad rows of one file. Displayed as a line for each of the first ones, each line begun with a line break.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BadRows {
    /// All bad rows.
    pub n_bad: u64,
    /// Rows that can be used.
    pub n_good: u64,
    /// The first [`KEPT_BAD_ROWS`] in full.
    pub first: Vec<BadRow>,
}

impl BadRows {
    /// Counts one more, and keeps it if it is among the first.
    pub fn push(&mut self, row: BadRow) {
        self.n_bad += 1;
        if self.first.len() < KEPT_BAD_ROWS {
            self.first.push(row);
        }
    }
}

impl fmt::Display for BadRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.first {
            write!(f, "\n  {row}")?;
        }
        let more = self.n_bad.saturating_sub(self.first.len() as u64);
        if more > 0 {
            write!(f, "\n  and {more} more")?;
        }
        if self.first.iter().any(|row| row.reason.ends_with(NOT_UTF_8)) {
            write!(f, "\n  {UTF_8_HINT}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_over_line_breaks() {
        let row = "é,\"two\nlines\"x".as_bytes();
        let bad = BadRow::at(row, 7, 3, 3, "wrong");
        assert_eq!((bad.line, bad.column), (7, 5));
        let bad = BadRow::at(row, 7, 3, row.len() - 1, "wrong");
        assert_eq!((bad.line, bad.column), (8, 7));
        assert_eq!(bad.excerpt, "é,\"two\\nlines\"x");
    }

    #[test]
    fn only_the_first_ten_are_kept() {
        let mut bad = BadRows { n_good: 5, ..BadRows::default() };
        for line in 0..12 {
            bad.push(BadRow::at(b"x", line, 1, 0, "wrong"));
        }
        assert_eq!((bad.n_bad, bad.first.len()), (12, 10));
        assert!(bad.to_string().ends_with("\n  and 2 more"));
        bad.first[9].reason = format!("byte 0xe9 {NOT_UTF_8}");
        assert!(bad.to_string().ends_with(UTF_8_HINT));
    }
}
