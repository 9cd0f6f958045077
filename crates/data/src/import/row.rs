//! One row as the file has it: named values, with the place it was found at.

use std::io;

use serde_json::{Map, Value};

use crate::bad_row::{BadRow, NOT_UTF_8};

/// A row before it is known what it means.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RawRow {
    /// Line it begins in, counted from 1.
    pub(crate) line: u64,
    /// Character of that line it begins at, counted from 1.
    pub(crate) column: u64,
    /// Its bytes in the file.
    pub(crate) bytes: Vec<u8>,
    /// Its values by name.
    pub(crate) values: Map<String, Value>,
    /// Where in `bytes` each value begins, for rows of cells.
    pub(crate) cells: Vec<usize>,
}

impl RawRow {
    /// A complaint about the value named `name`, or about the row.
    pub(crate) fn complaint(&self, name: Option<&str>, reason: String) -> BadRow {
        let at = name.and_then(|name| self.place_of(name)).unwrap_or(0);
        BadRow::at(&self.bytes, self.line, self.column, at, reason)
    }

    fn place_of(&self, name: &str) -> Option<usize> {
        if !self.cells.is_empty() {
            let nth = self.values.keys().position(|key| key == name)?;
            return self.cells.get(nth).copied();
        }
        let quoted = serde_json::to_vec(name).ok()?;
        self.bytes.windows(quoted.len()).position(|window| window == quoted)
    }
}

/// A row, or what is wrong with it.
pub(crate) type RowResult = Result<RawRow, BadRow>;

/// Rows of a file, one after the other, in bounded memory.
pub(crate) trait Rows {
    /// The next row; nothing at the end of the file.
    fn next_row(&mut self) -> io::Result<Option<RowResult>>;
}

/// A complaint about bytes that are not UTF-8, or about a NUL byte: neither is text.
pub(crate) fn check_text(bytes: &[u8], line: u64, column: u64) -> Result<&str, BadRow> {
    let text = std::str::from_utf8(bytes).map_err(|cause| {
        let at = cause.valid_up_to();
        let byte = bytes.get(at).copied().unwrap_or_default();
        BadRow::at(bytes, line, column, at, format!("byte 0x{byte:02x} {NOT_UTF_8}"))
    })?;
    match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => Err(BadRow::at(bytes, line, column, at, "a NUL byte is not text; remove it")),
        None => Ok(text),
    }
}

/// The values of a JSON object.
pub(crate) fn parse_object(bytes: &[u8], line: u64, column: u64) -> RowResult {
    let text = check_text(bytes, line, column)?;
    let complaint = |at: usize, reason: String| BadRow::at(bytes, line, column, at, reason);
    match serde_json::from_str(text) {
        Ok(Value::Object(values)) => Ok(RawRow { line, column, bytes: bytes.to_vec(), values, cells: Vec::new() }),
        Ok(other) => {
            let found = match other {
                Value::Array(_) => "a list",
                Value::String(_) => "a text",
                Value::Number(_) => "a number",
                Value::Bool(_) => "a truth value",
                _ => "null",
            };
            Err(complaint(0, format!("a row must be an object `{{…}}`, and this is {found}")))
        }
        Err(cause) => {
            let at = place(text, &cause);
            let is_open = text.as_bytes().get(at) == Some(&b'\n');
            let why = match (text.as_bytes().get(at), words(&cause)) {
                _ if is_open => "a text is not closed where its line ends".to_owned(),
                (Some(b'\''), _) => "names and texts stand in double quotes".to_owned(),
                (_, words) => words,
            };
            Err(complaint(at, format!("not valid JSON: {why}")))
        }
    }
}

/// The byte a JSON error points at; column 0 is the line break before the line.
fn place(text: &str, cause: &serde_json::Error) -> usize {
    let line_start = match cause.line().checked_sub(2) {
        Some(nth) => text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').nth(nth).map_or(0, |(at, _)| at + 1),
        None => 0,
    };
    (line_start + cause.column()).saturating_sub(1)
}

/// The error without its own place, which is relative to the row.
fn words(cause: &serde_json::Error) -> String {
    let text = cause.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(words, _)| words.to_owned())
}
