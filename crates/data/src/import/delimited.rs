//! Rows of cells: comma- or tab-separated values, read strictly, with the place of every fault.
//!
//! Quotes are read by RFC 4180: a cell that begins with a quote ends with one, and quotes inside are doubled. A quote that
//! is never closed would swallow the rest of the file; here it costs its own line, and reading goes on behind it.

use std::collections::VecDeque;
use std::io::{self, Read};

use serde_json::{Map, Value};

use crate::bad_row::BadRow;
use crate::import::lines::{Line, Lines, MAX_ROW_BYTES, too_long};
use crate::import::row::{RawRow, RowResult, Rows, check_text};

/// Lines a quoted cell may go over.
const MOST_LINES: usize = 100_000;

/// The same once the file has shown a quote that is never closed.
const CAUTIOUS_LINES: usize = 64;

/// How the cells of a file are separated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// Byte between two cells.
    pub(crate) delimiter: u8,
    /// Whether quotes around a cell are not part of it.
    pub(crate) has_quotes: bool,
}

/// The cells of one record, and where in its bytes each one begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cells {
    pub(crate) line: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) values: Vec<Vec<u8>>,
    pub(crate) places: Vec<usize>,
}

/// Cuts lines into cells.
#[derive(Debug)]
pub(crate) struct Records<R> {
    lines: Lines<R>,
    dialect: Dialect,
    /// Lines to be read again because a quoted cell that went over them was never closed.
    again: VecDeque<Line>,
    is_cautious: bool,
}

impl<R: Read> Records<R> {
    pub(crate) fn new(input: R, dialect: Dialect) -> Records<R> {
        Records { lines: Lines::new(input), dialect, again: VecDeque::new(), is_cautious: false }
    }

    /// The next record that is not blank.
    pub(crate) fn next_record(&mut self) -> io::Result<Option<Result<Cells, BadRow>>> {
        loop {
            let Some(line) = self.next_line()? else { return Ok(None) };
            if line.is_too_long() {
                return Ok(Some(Err(BadRow::at(&line.bytes, line.number, 1, 0, too_long(line.n_bytes)))));
            }
            if !line.bytes.is_empty() {
                return self.record_from(line).map(Some);
            }
        }
    }

    fn next_line(&mut self) -> io::Result<Option<Line>> {
        match self.again.pop_front() {
            Some(line) => Ok(Some(line)),
            None => self.lines.next_line(),
        }
    }

    /// Reads the record that begins with `first`, over as many lines as its quoted cells take.
    fn record_from(&mut self, first: Line) -> io::Result<Result<Cells, BadRow>> {
        let (number, first_length) = (first.number, first.bytes.len());
        let mut parser =
            Parser { dialect: self.dialect, cells: Cells { line: number, ..Cells::default() }, at: 0, is_open: false };
        let mut further: VecDeque<Line> = VecDeque::new();
        let mut progress = parser.feed(&first.bytes);
        while let Progress::Open = progress {
            let is_long = parser.cells.bytes.len() > MAX_ROW_BYTES;
            let most_lines = if self.is_cautious { CAUTIOUS_LINES } else { MOST_LINES };
            if is_long || further.len() >= most_lines {
                break;
            }
            let Some(line) = self.next_line()? else { break };
            let is_too_long = line.is_too_long();
            if !is_too_long {
                progress = parser.feed(&line.bytes);
            }
            further.push_back(line);
            if is_too_long {
                break;
            }
        }
        if matches!(progress, Progress::Done) {
            return Ok(Ok(parser.cells));
        }
        let first_line = parser.cells.bytes.get(..first_length).unwrap_or_default();
        let complaint = match progress {
            Progress::TextBehindQuote { at } if further.is_empty() => BadRow::at(
                first_line,
                number,
                1,
                at,
                "there is text behind a closing quote; double the quotes inside a cell",
            ),
            _ => {
                let at = parser.cells.places.iter().rfind(|place| **place < first_length).copied().unwrap_or(0);
                let reason = "the quote that begins this cell is not closed where the cell ends; double the quotes inside a cell";
                BadRow::at(first_line, number, 1, at, reason)
            }
        };
        if !further.is_empty() {
            // The fault is in the first line; the lines that its quote swallowed are rows of their own.
            self.is_cautious = true;
            further.append(&mut self.again);
            self.again = further;
        }
        Ok(Err(complaint))
    }
}

enum Progress {
    /// The record is whole.
    Done,
    /// A quoted cell goes on in the next line.
    Open,
    /// A quoted cell is followed by something that is not a delimiter.
    TextBehindQuote { at: usize },
}

struct Parser {
    dialect: Dialect,
    cells: Cells,
    /// Next byte to look at.
    at: usize,
    /// Whether that byte lies in a quoted cell.
    is_open: bool,
}

impl Parser {
    /// Adds a line. After [`Progress::Open`], the quoted cell goes on with it.
    fn feed(&mut self, line: &[u8]) -> Progress {
        if self.is_open {
            self.cells.bytes.push(b'\n');
        }
        self.cells.bytes.extend_from_slice(line);
        loop {
            if !self.is_open {
                self.begin_cell();
            }
            if self.is_open {
                match self.quoted() {
                    Progress::Done => self.is_open = false,
                    fault => return fault,
                }
            }
            if self.at >= self.cells.bytes.len() {
                return Progress::Done;
            }
            // The delimiter.
            self.at += 1;
        }
    }

    /// Reads a plain cell to its end, or the quote that begins a quoted one.
    fn begin_cell(&mut self) {
        self.cells.places.push(self.at);
        let rest = self.cells.bytes.get(self.at..).unwrap_or_default();
        if self.dialect.has_quotes && rest.first() == Some(&b'"') {
            self.cells.values.push(Vec::new());
            self.is_open = true;
            self.at += 1;
            return;
        }
        let length = rest.iter().position(|byte| *byte == self.dialect.delimiter).unwrap_or(rest.len());
        self.cells.values.push(rest.get(..length).unwrap_or_default().to_vec());
        self.at += length;
    }

    /// Reads on in a quoted cell.
    fn quoted(&mut self) -> Progress {
        let Some(cell) = self.cells.values.last_mut() else { return Progress::Open };
        while let Some(byte) = self.cells.bytes.get(self.at).copied() {
            self.at += 1;
            if byte != b'"' {
                cell.push(byte);
                continue;
            }
            match self.cells.bytes.get(self.at).copied() {
                Some(b'"') => {
                    cell.push(b'"');
                    self.at += 1;
                }
                Some(next) if next != self.dialect.delimiter => return Progress::TextBehindQuote { at: self.at },
                _ => return Progress::Done,
            }
        }
        Progress::Open
    }
}

/// The records of a file with names for their cells.
#[derive(Debug)]
pub(crate) struct Table<R> {
    records: Records<R>,
    columns: Vec<String>,
    /// Whether the first record is the header, not a row.
    is_header_ahead: bool,
    n_named: usize,
}

impl<R: Read> Table<R> {
    /// `columns` names every column; those behind the first `n_named` have no name in the file and must be empty.
    pub(crate) fn new(input: R, dialect: Dialect, columns: Vec<String>, n_named: usize, has_header: bool) -> Table<R> {
        Table { records: Records::new(input, dialect), columns, is_header_ahead: has_header, n_named }
    }

    fn row(&self, cells: Cells) -> RowResult {
        let Cells { line, bytes, values, places } = cells;
        let text = check_text(&bytes, line, 1)?;
        let n_found = values.len();
        let complaint = |at: usize, reason: String| Err(BadRow::at(text.as_bytes(), line, 1, at, reason));
        if n_found < self.n_named {
            return complaint(
                bytes.len(),
                format!("this row has {n_found} of {} cells; is a delimiter missing?", self.n_named),
            );
        }
        for (nth, value) in values.iter().enumerate().skip(self.n_named) {
            if !value.iter().all(u8::is_ascii_whitespace) {
                let at = places.get(nth).copied().unwrap_or(0);
                let named = self.n_named;
                return complaint(
                    at,
                    format!(
                        "this cell stands behind the {named} columns that have a name; put quotes around a text that contains the delimiter"
                    ),
                );
            }
        }
        let mut named = Map::new();
        for (name, value) in self.columns.iter().zip(values).take(self.n_named) {
            // The whole row is valid UTF-8 and quotes are ASCII, so every cell is.
            named.insert(name.clone(), Value::String(String::from_utf8_lossy(&value).into_owned()));
        }
        Ok(RawRow { line, column: 1, values: named, cells: places, bytes })
    }
}

impl<R: Read> Rows for Table<R> {
    fn next_row(&mut self) -> io::Result<Option<RowResult>> {
        if std::mem::take(&mut self.is_header_ahead) && self.records.next_record()?.is_none() {
            return Ok(None);
        }
        Ok(self.records.next_record()?.map(|record| record.and_then(|cells| self.row(cells))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMA: Dialect = Dialect { delimiter: b',', has_quotes: true };

    fn rows(text: &[u8], columns: &[&str]) -> String {
        let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        let n_named = columns.len();
        let mut table = Table::new(text, COMMA, columns, n_named, false);
        let mut found = Vec::new();
        while let Some(row) = table.next_row().unwrap() {
            found.push(match row {
                Ok(row) => format!("{} {}", row.line, serde_json::to_string(&row.values).unwrap()),
                Err(bad) => bad.to_string(),
            });
        }
        found.join("\n")
    }

    #[test]
    fn quotes_delimiters_and_line_breaks_inside_cells_are_read() {
        insta::assert_snapshot!(rows(b"a,\"b,\"\"c\"\"\nd\"\r\n\n,\"\"\n1,2,\n", &["x", "y"]), @r#"
        1 {"x":"a","y":"b,\"c\"\nd"}
        4 {"x":"","y":""}
        5 {"x":"1","y":"2"}
        "#);
    }

    #[test]
    fn a_quote_never_closed_costs_one_line() {
        insta::assert_snapshot!(rows(b"a,b\nc,\"d\ne,f\n\"g\",h\n", &["x", "y"]), @r#"
        1 {"x":"a","y":"b"}
        line 2, column 3: the quote that begins this cell is not closed where the cell ends; double the quotes inside a cell: `c,"d`
        3 {"x":"e","y":"f"}
        4 {"x":"g","y":"h"}
        "#);
        insta::assert_snapshot!(rows(b"a,\"b\"c,d\n1,2\n", &["x", "y"]), @r#"
        line 1, column 6: there is text behind a closing quote; double the quotes inside a cell: `a,"b"c,d`
        2 {"x":"1","y":"2"}
        "#);
    }

    #[test]
    fn ragged_rows_are_told_with_their_place() {
        insta::assert_snapshot!(rows(b"a\nb,c,d\ne,\xff\nf,\0\n", &["x", "y"]), @r#"
        line 1, column 2: this row has 1 of 2 cells; is a delimiter missing?: `a`
        line 2, column 5: this cell stands behind the 2 columns that have a name; put quotes around a text that contains the delimiter: `b,c,d`
        line 3, column 3: byte 0xff is not UTF-8: `e,�`
        line 4, column 3: a NUL byte is not text; remove it: `f,\u{0}`
        "#);
    }

    #[test]
    fn many_quotes_never_closed_stay_fast() {
        let text = "a,\"b\n1,2\n".repeat(20_000) + "c,\"";
        assert_eq!(rows(text.as_bytes(), &["x", "y"]).lines().count(), 39_999);
    }

    proptest::proptest! {
        /// What another writer of the same standard writes is read back cell by cell.
        #[test]
        fn standard_tables_are_read_back(rows in proptest::collection::vec(proptest::collection::vec("[a\"\u{e9}, \n;]{0,6}", 2..4), 1..6)) {
            let width = rows[0].len();
            let rows: Vec<Vec<String>> = rows.into_iter().filter(|row| row.len() == width).collect();
            let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let text = writer.into_inner().unwrap();
            let mut records = Records::new(text.as_slice(), COMMA);
            for row in rows {
                let cells = records.next_record().unwrap().unwrap().unwrap();
                let read: Vec<String> = cells.values.into_iter().map(|cell| String::from_utf8(cell).unwrap()).collect();
                proptest::prop_assert_eq!(read, row);
            }
            proptest::prop_assert!(records.next_record().unwrap().is_none());
        }
    }
}
