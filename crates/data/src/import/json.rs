//! Rows of JSON Lines, and of JSON documents: an array of objects, or objects one after the other.
//!
//! An array is not parsed as a whole. Its elements are cut out by following brackets and strings, so that memory holds
//! one element, and the elements after a bad one can still be read.

use std::io::{self, BufRead, BufReader, Read};

use crate::bad_row::BadRow;
use crate::import::lines::{KEPT_OF_LONG_ROW, Lines, MAX_ROW_BYTES, too_long};
use crate::import::row::{RowResult, Rows, parse_object};

/// One JSON object a line; blank lines are passed over.
#[derive(Debug)]
pub(crate) struct JsonLines<R>(Lines<R>);

impl<R: Read> JsonLines<R> {
    pub(crate) fn new(input: R) -> JsonLines<R> {
        JsonLines(Lines::new(input))
    }
}

impl<R: Read> Rows for JsonLines<R> {
    fn next_row(&mut self) -> io::Result<Option<RowResult>> {
        while let Some(line) = self.0.next_line()? {
            if line.is_too_long() {
                return Ok(Some(Err(BadRow::at(&line.bytes, line.number, 1, 0, too_long(line.n_bytes)))));
            }
            if !line.is_blank() {
                return Ok(Some(parse_object(&line.bytes, line.number, 1)));
            }
        }
        Ok(None)
    }
}

/// Where in a document the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the first value.
    Start,
    /// In an array; the flag says that a comma has to come before the next element.
    Array { needs_comma: bool },
    /// In a row of values without an array around them.
    Values,
    /// Behind the end.
    End,
}

/// The values of a JSON document.
#[derive(Debug)]
pub(crate) struct JsonDocument<R> {
    input: Bytes<R>,
    place: Place,
}

impl<R: Read> JsonDocument<R> {
    /// Reads an array, or values one after the other.
    pub(crate) fn new(input: R) -> JsonDocument<R> {
        JsonDocument { input: Bytes::new(input), place: Place::Start }
    }

    fn complaint(&self, reason: &str) -> BadRow {
        BadRow { line: self.input.line, column: self.input.column, reason: reason.to_owned(), excerpt: String::new() }
    }

    /// Goes to the next value and tells whether there is one.
    fn find_value(&mut self) -> io::Result<Result<bool, BadRow>> {
        while let Some(byte) = self.input.peek()? {
            match (byte, self.place) {
                (b' ' | b'\t' | b'\r' | b'\n', _) => self.input.advance()?,
                (b'[', Place::Start) => {
                    self.place = Place::Array { needs_comma: false };
                    self.input.advance()?;
                }
                (b',', Place::Array { .. }) => {
                    self.place = Place::Array { needs_comma: false };
                    self.input.advance()?;
                }
                (b']', Place::Array { .. }) => {
                    self.place = Place::End;
                    self.input.advance()?;
                }
                (_, Place::End) => {
                    let complaint = self.complaint("there is text behind the end of the array");
                    while self.input.peek()?.is_some() {
                        self.input.advance()?;
                    }
                    return Ok(Err(complaint));
                }
                (b',' | b']' | b'}' | b':', _) => {
                    let complaint =
                        self.complaint(&format!("not valid JSON: `{}` where a row should begin", byte as char));
                    self.input.advance()?;
                    return Ok(Err(complaint));
                }
                (_, Place::Array { needs_comma: true }) => {
                    self.place = Place::Array { needs_comma: false };
                    return Ok(Err(self.complaint("a comma is missing before this row")));
                }
                (_, Place::Start) => {
                    self.place = Place::Values;
                    return Ok(Ok(true));
                }
                _ => return Ok(Ok(true)),
            }
        }
        if matches!(self.place, Place::Array { .. }) {
            self.place = Place::End;
            return Ok(Err(self.complaint("the file ends before its array does: it is cut off")));
        }
        Ok(Ok(false))
    }

    /// Reads the value that begins here.
    fn read_value(&mut self) -> io::Result<RowResult> {
        let (line, column) = (self.input.line, self.input.column);
        let mut value = Value::default();
        loop {
            let block = self.input.block()?;
            let (n_taken, is_over) = value.take(block);
            self.input.consume(n_taken);
            if is_over || n_taken == 0 {
                break;
            }
        }
        let is_cut_off = value.depth > 0 || value.in_string;
        match &mut self.place {
            place if is_cut_off => *place = Place::End,
            Place::Array { needs_comma } => *needs_comma = !value.took_comma,
            _ => {}
        }
        let complaint = |reason: String| Ok(Err(BadRow::at(&value.kept, line, column, 0, reason)));
        if is_cut_off {
            return complaint(
                "the file ends inside this row: a quote or bracket is missing, or it is cut off".to_owned(),
            );
        }
        if value.n_bytes > value.kept.len() as u64 {
            return complaint(too_long(value.n_bytes));
        }
        Ok(parse_object(&value.kept, line, column))
    }
}

impl<R: Read> Rows for JsonDocument<R> {
    fn next_row(&mut self) -> io::Result<Option<RowResult>> {
        match self.find_value()? {
            Ok(true) => self.read_value().map(Some),
            Ok(false) => Ok(None),
            Err(complaint) => Ok(Some(Err(complaint))),
        }
    }
}

/// A value being cut out: its bytes, and how deep in brackets and strings its end is.
#[derive(Debug, Default)]
struct Value {
    kept: Vec<u8>,
    n_bytes: u64,
    depth: u64,
    in_string: bool,
    is_escaped: bool,
    was_bracket: bool,
    /// Closing brackets, and whether there is a comma, since the last other character of a string.
    n_closing: u64,
    has_comma: bool,
    /// Whether the value ended with a string that lost its quote and took the comma behind the value along.
    took_comma: bool,
}

impl Value {
    /// Whether a bare value (a number, a word) ends before this byte.
    fn is_over_before(&self, byte: u8) -> bool {
        let is_bare = self.n_bytes > 0 && self.depth == 0 && !self.in_string;
        is_bare && matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b',' | b']' | b'}' | b'{' | b'[' | b'"')
    }

    /// Whether a bracketed value has just been closed.
    fn is_over(&self) -> bool {
        self.was_bracket && self.depth == 0 && !self.in_string
    }

    /// Takes the bytes of `block` that belong to the value; tells how many, and whether the value ends there.
    fn take(&mut self, block: &[u8]) -> (usize, bool) {
        for (nth, byte) in block.iter().enumerate() {
            if self.is_over_before(*byte) {
                return (nth, true);
            }
            self.push(*byte);
            if self.is_over() {
                return (nth + 1, true);
            }
        }
        (block.len(), false)
    }

    fn push(&mut self, byte: u8) {
        if self.kept.len() as u64 == self.n_bytes && self.kept.len() < MAX_ROW_BYTES {
            self.kept.push(byte);
        } else {
            self.kept.truncate(KEPT_OF_LONG_ROW);
            self.kept.shrink_to_fit();
        }
        self.n_bytes += 1;
        if self.in_string {
            self.push_in_string(byte);
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => {
                self.depth += 1;
                self.was_bracket = true;
            }
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }

    fn push_in_string(&mut self, byte: u8) {
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' => self.is_escaped = true,
            b'"' => self.in_string = false,
            // A string cannot go over a line break: its quote is missing. Brackets at the end of the line were meant as
            // brackets, so that the rows behind are not lost.
            b'\n' => {
                self.in_string = false;
                self.depth = self.depth.saturating_sub(self.n_closing);
                self.took_comma = self.depth == 0 && self.has_comma;
            }
            _ => {}
        }
        match byte {
            b'}' | b']' => self.n_closing += 1,
            b',' => self.has_comma = true,
            b' ' | b'\t' | b'\r' => {}
            _ => (self.n_closing, self.has_comma) = (0, false),
        }
    }
}

/// Bytes with the place of the next one.
#[derive(Debug)]
struct Bytes<R> {
    input: BufReader<R>,
    line: u64,
    column: u64,
}

impl<R: Read> Bytes<R> {
    fn new(input: R) -> Bytes<R> {
        Bytes { input: BufReader::with_capacity(1 << 16, input), line: 1, column: 1 }
    }

    /// Bytes that are there without waiting; none at the end.
    fn block(&mut self) -> io::Result<&[u8]> {
        loop {
            match self.input.fill_buf() {
                Ok(_) => break,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
        Ok(self.input.buffer())
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.block()?.first().copied())
    }

    fn advance(&mut self) -> io::Result<()> {
        if self.peek()?.is_some() {
            self.consume(1);
        }
        Ok(())
    }

    /// Goes `n` bytes on.
    fn consume(&mut self, n: usize) {
        for byte in self.input.buffer().iter().take(n) {
            match byte {
                b'\n' => (self.line, self.column) = (self.line + 1, 1),
                // Continuation bytes belong to a character already counted.
                byte if byte & 0xc0 == 0x80 => {}
                _ => self.column += 1,
            }
        }
        self.input.consume(n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(mut rows: impl Rows) -> Vec<String> {
        let mut found = Vec::new();
        while let Some(row) = rows.next_row().unwrap() {
            found.push(match row {
                Ok(row) => format!("{}:{} {}", row.line, row.column, serde_json::to_string(&row.values).unwrap()),
                Err(bad) => bad.to_string(),
            });
        }
        found
    }

    #[test]
    fn an_array_is_cut_into_its_elements() {
        let text = "[\n {\"a\": \"é]}\\\"\"}, {\"a\": [1, {\"b\": 2}]}\n]\n";
        insta::assert_snapshot!(rows(JsonDocument::new(text.as_bytes())).join("\n"), @r#"
        2:2 {"a":"é]}\""}
        2:18 {"a":[1,{"b":2}]}
        "#);
    }

    #[test]
    fn rows_behind_a_bad_one_are_still_read() {
        let text = "[{\"a\": 1},\n {\"a\": \"open},\n {\"a\" 3},\n 4, [5], null {\"a\": 6}]x";
        insta::assert_snapshot!(rows(JsonDocument::new(text.as_bytes())).join("\n"), @r#"
        1:2 {"a":1}
        line 2, column 15: not valid JSON: a text is not closed where its line ends: `{"a": "open},\n`
        line 3, column 7: not valid JSON: expected `:`: `{"a" 3}`
        line 4, column 2: a row must be an object `{…}`, and this is a number: `4`
        line 4, column 5: a row must be an object `{…}`, and this is a list: `[5]`
        line 4, column 10: a row must be an object `{…}`, and this is null: `null`
        line 4, column 15: a comma is missing before this row
        4:15 {"a":6}
        line 4, column 24: there is text behind the end of the array
        "#);
    }

    #[test]
    fn a_document_cut_off_says_so() {
        insta::assert_snapshot!(rows(JsonDocument::new(&b"[{\"a\": 1}, {\"a\": "[..])).join("\n"), @r#"
        1:2 {"a":1}
        line 1, column 12: the file ends inside this row: a quote or bracket is missing, or it is cut off: `{"a": `
        "#);
        insta::assert_snapshot!(rows(JsonDocument::new(&b"[{\"a\": 1},"[..])).join("\n"), @r#"
        1:2 {"a":1}
        line 1, column 11: the file ends before its array does: it is cut off
        "#);
    }

    #[test]
    fn objects_need_no_array_around_them() {
        insta::assert_snapshot!(rows(JsonDocument::new(&b"{\"a\":\n1}\n{\"a\": 2}"[..])).join("\n"), @r#"
        1:1 {"a":1}
        3:1 {"a":2}
        "#);
    }

    #[test]
    fn lines_are_told_with_the_place_of_the_fault() {
        let text = "{\"a\": 1}\n\n{\"a\": \"\u{e9}\", b}\n[1]\n{\"a\": \"\u{1}\"}\n";
        insta::assert_snapshot!(rows(JsonLines::new(text.as_bytes())).join("\n"), @r#"
        1:1 {"a":1}
        line 3, column 12: not valid JSON: key must be a string: `{"a": "é", b}`
        line 4, column 1: a row must be an object `{…}`, and this is a list: `[1]`
        line 5, column 8: not valid JSON: control character (\u0000-\u001F) found while parsing a string: `{"a": "\u{1}"}`
        "#);
        insta::assert_snapshot!(rows(JsonLines::new(&b"{\"a\": \"caf\xe9\"}\n{\"a\":\"\0\"}"[..])).join("\n"), @r#"
        line 1, column 11: byte 0xe9 is not UTF-8: `{"a": "caf�"}`
        line 2, column 7: a NUL byte is not text; remove it: `{"a":"\u{0}"}`
        "#);
    }

    #[test]
    fn deep_nesting_is_refused() {
        let text = format!("[{{\"a\": {}{}}}]", "[".repeat(10_000), "]".repeat(10_000));
        assert!(rows(JsonDocument::new(text.as_bytes())).first().unwrap().contains("recursion limit"));
    }

    #[test]
    fn a_long_element_is_reported_and_passed_over() {
        let head: &[u8] = b"[{\"a\": \"";
        let input = head.chain(io::repeat(b'x').take(20 << 20)).chain(&b"\"}, {\"a\": 1}]"[..]);
        let found = rows(JsonDocument::new(input));
        assert_eq!(found.len(), 2);
        assert!(found[0].contains("longer than 16 MiB"), "{}", found[0]);
        assert!(found[1].ends_with("{\"a\":1}"), "{}", found[1]);
    }
}
