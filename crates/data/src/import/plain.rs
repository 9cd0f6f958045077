//! Rows of plain text: paragraphs where blank lines separate them, else lines.

use std::io::{self, Read};

use serde_json::{Map, Value};

use crate::bad_row::BadRow;
use crate::import::lines::{Lines, MAX_ROW_BYTES, too_long};
use crate::import::row::{RawRow, RowResult, Rows, check_text};

/// The name the text of a row gets.
pub(crate) const TEXT: &str = "text";

/// What one row of a plain text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextUnit {
    /// Lines without a blank line between them; their line breaks are kept.
    Paragraph,
    /// One line; blank ones are passed over.
    Line,
}

/// Plain text cut into rows.
#[derive(Debug)]
pub(crate) struct PlainText<R> {
    lines: Lines<R>,
    unit: TextUnit,
}

impl<R: Read> PlainText<R> {
    pub(crate) fn new(input: R, unit: TextUnit) -> PlainText<R> {
        PlainText { lines: Lines::new(input), unit }
    }
}

impl<R: Read> Rows for PlainText<R> {
    fn next_row(&mut self) -> io::Result<Option<RowResult>> {
        let (mut start, mut text) = (0, Vec::new());
        while let Some(line) = self.lines.next_line()? {
            if line.is_too_long() {
                return Ok(Some(Err(BadRow::at(&line.bytes, line.number, 1, 0, too_long(line.n_bytes)))));
            }
            match (line.is_blank(), text.is_empty()) {
                (true, true) => continue,
                (true, false) => break,
                (false, true) => start = line.number,
                (false, false) => text.push(b'\n'),
            }
            text.extend_from_slice(&line.bytes);
            if self.unit == TextUnit::Line || text.len() > MAX_ROW_BYTES {
                break;
            }
        }
        Ok((!text.is_empty()).then(|| row(text, start)))
    }
}

fn row(bytes: Vec<u8>, line: u64) -> RowResult {
    if bytes.len() > MAX_ROW_BYTES {
        return Err(BadRow::at(&bytes, line, 1, 0, too_long(bytes.len() as u64)));
    }
    let text = check_text(&bytes, line, 1)?.to_owned();
    let values = Map::from_iter([(TEXT.to_owned(), Value::String(text))]);
    Ok(RawRow { line, column: 1, bytes, values, cells: vec![0] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str, unit: TextUnit) -> Vec<(u64, String)> {
        let mut rows = PlainText::new(text.as_bytes(), unit);
        let mut found = Vec::new();
        while let Some(row) = rows.next_row().unwrap() {
            let row = row.unwrap();
            found.push((row.line, row.values[TEXT].as_str().unwrap().to_owned()));
        }
        found
    }

    #[test]
    fn paragraphs_keep_their_lines_and_lines_stand_alone() {
        let text = "\n  one\ntwo\n\n \nthree";
        let owned = |rows: &[(u64, &str)]| rows.iter().map(|(l, t)| (*l, (*t).to_owned())).collect::<Vec<_>>();
        assert_eq!(rows(text, TextUnit::Paragraph), owned(&[(2, "  one\ntwo"), (6, "three")]));
        assert_eq!(rows(text, TextUnit::Line), owned(&[(2, "  one"), (3, "two"), (6, "three")]));
        assert_eq!(rows("", TextUnit::Line), []);
    }
}
