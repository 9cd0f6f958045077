//! What a file is, told from its first bytes. The file's name only decides where the content leaves it open.

use std::io;

use serde_json::{Map, Value};

use crate::import::columns::{self, Columns};
use crate::import::delimited::{Dialect, Records, Table};
use crate::import::json::{JsonDocument, JsonLines};
use crate::import::lines::Lines;
use crate::import::plain::{PlainText, TextUnit};
use crate::import::row::Rows;

/// Most rows of the beginning that are looked at.
const LOOKED_AT: usize = 400;

/// How the rows of a file are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// One JSON object a line.
    JsonLines,
    /// A JSON array, or objects one after the other.
    Json,
    /// Cells.
    Table { dialect: Dialect, columns: Columns },
    /// Plain text.
    Text(TextUnit),
}

impl Format {
    /// The usual ending of such files.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Format::JsonLines => "jsonl",
            Format::Json => "json",
            Format::Table { dialect, .. } if dialect.delimiter == b'\t' => "tsv",
            Format::Table { .. } => "csv",
            Format::Text(_) => "text",
        }
    }

    /// Reads the rows of `input`.
    pub(crate) fn rows<'a, R: io::Read + 'a>(&self, input: R) -> Box<dyn Rows + 'a> {
        match self {
            Format::JsonLines => Box::new(JsonLines::new(input)),
            Format::Json => Box::new(JsonDocument::new(input)),
            Format::Table { dialect, columns } => {
                Box::new(Table::new(input, *dialect, columns.names.clone(), columns.n_named, columns.has_header))
            }
            Format::Text(unit) => Box::new(PlainText::new(input, *unit)),
        }
    }
}

/// The first bytes of a file, without the byte order mark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) bytes: &'a [u8],
    /// Whether that is the whole file.
    pub(crate) is_all: bool,
    /// The end of the file's name behind the last point, in small letters.
    pub(crate) extension: &'a str,
}

impl Head<'_> {
    /// What else than text the file is, and what to do about it.
    pub(crate) fn is_not_text(&self) -> Option<(&'static str, &'static str)> {
        const UNPACK: &str = "unpack it first";
        const KINDS: &[(&[u8], &str, &str)] = &[
            (b"\x1f\x8b", "a gzip archive", UNPACK),
            (b"\x28\xb5\x2f\xfd", "a Zstandard archive", UNPACK),
            (b"PK\x03\x04", "a zip archive or an office document", "unpack it, or save the table as CSV"),
            (b"BZh", "a bzip2 archive", UNPACK),
            (b"\xfd7zXZ", "an xz archive", UNPACK),
            (b"PAR1", "a Parquet file", "save it as JSON Lines or CSV; this version does not read Parquet"),
            (b"%PDF", "a PDF document", "save its text as a text file"),
            (b"SQLite format 3", "an SQLite database", "save the table as CSV"),
            (b"\xd0\xcf\x11\xe0", "an office document", "save the table as CSV"),
            (b"GGUF", "a model", "choose it as a model, not as data"),
            (b"\x7fELF", "a program", "choose a file of examples"),
        ];
        let known = KINDS.iter().find(|(magic, _, _)| self.bytes.starts_with(magic));
        if let Some((_, what, hint)) = known {
            return Some((what, hint));
        }
        let n_nul = self.bytes.iter().filter(|byte| **byte == 0).count();
        let is_utf_16 = self.bytes.starts_with(b"\xff\xfe") || self.bytes.starts_with(b"\xfe\xff");
        if is_utf_16 || (self.bytes.len() >= 16 && n_nul * 5 > self.bytes.len() * 2 && self.is_nul_every_other()) {
            return Some(("UTF-16", "save the file as UTF-8"));
        }
        let is_control = |byte: &&u8| **byte < 0x20 && !matches!(**byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b);
        let n_control = self.bytes.iter().filter(is_control).count();
        (n_control * 20 > self.bytes.len()).then_some(("binary data", "choose a file of text, CSV or JSON"))
    }

    fn is_nul_every_other(&self) -> bool {
        let nul_at = |odd: usize| self.bytes.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
        let half = self.bytes.len() / 2;
        nul_at(0) * 5 > half * 4 || nul_at(1) * 5 > half * 4
    }

    /// How the rows are written. Nothing is decided where the beginning holds no whole row yet.
    pub(crate) fn format(&self) -> Option<Format> {
        if let Some(format) = self.json() {
            return format;
        }
        if !self.is_all && !self.bytes.contains(&b'\n') {
            return None;
        }
        let whole = self.whole_lines();
        if let Some((dialect, columns)) = columns::find(whole, self.extension, LOOKED_AT) {
            return Some(Format::Table { dialect, columns });
        }
        // What is called JSON and is nothing else is read as JSON, so that its faults are told.
        let format = if self.is_named_json() { Format::JsonLines } else { Format::Text(self.text_unit(whole)) };
        Some(format)
    }

    fn is_named_json(&self) -> bool {
        matches!(self.extension, "json" | "jsonl" | "ndjson")
    }

    /// The bytes up to the last line break, or all of them.
    fn whole_lines(&self) -> &[u8] {
        match self.bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(end) if !self.is_all => self.bytes.get(..=end).unwrap_or_default(),
            _ => self.bytes,
        }
    }

    /// Outer nothing: not JSON. Inner nothing: JSON of which no row can be seen yet.
    fn json(&self) -> Option<Option<Format>> {
        let text = self.bytes.trim_ascii_start();
        let behind = text.get(1..).unwrap_or_default().trim_ascii_start().first().copied();
        let is_named = self.is_named_json();
        match text.first()? {
            b'[' if matches!(behind, Some(b'{' | b']' | b'[' | b'"')) || (is_named || behind.is_none()) => {
                Some(Some(Format::Json))
            }
            b'{' if matches!(behind, Some(b'"' | b'}')) || is_named || behind.is_none() => Some(self.json_objects()),
            _ if self.has_object_lines() => Some(Some(Format::JsonLines)),
            _ => None,
        }
    }

    /// Whether most of the first lines are JSON objects: a file whose first line is damaged is JSON Lines all the same.
    fn has_object_lines(&self) -> bool {
        let lines = self.first_lines();
        lines.iter().filter(|line| is_object(line)).count() * 2 > lines.len()
    }

    fn first_lines(&self) -> Vec<Vec<u8>> {
        let mut lines = Lines::new(self.whole_lines());
        let next = || lines.next_line().ok().flatten().map(|line| line.bytes);
        std::iter::from_fn(next).filter(|line| !line.trim_ascii().is_empty()).take(LOOKED_AT).collect()
    }

    fn json_objects(&self) -> Option<Format> {
        let lines = self.first_lines();
        if lines.iter().any(|line| is_object(line)) {
            return Some(Format::JsonLines);
        }
        let text = self.bytes.trim_ascii_start();
        let first_line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        if !self.is_all && first_line.len() == text.len() {
            return None;
        }
        // A line that is closed was meant to be a row of its own.
        let is_closed = first_line.trim_ascii_end().ends_with(b"}");
        Some(if is_closed { Format::JsonLines } else { Format::Json })
    }

    fn text_unit(&self, whole: &[u8]) -> TextUnit {
        let text = whole.trim_ascii();
        let mut is_blank = false;
        let has_blank_line = text.iter().any(|byte| match byte {
            b'\n' if is_blank => true,
            b'\n' => {
                is_blank = true;
                false
            }
            byte if byte.is_ascii_whitespace() => false,
            _ => {
                is_blank = false;
                false
            }
        });
        if has_blank_line { TextUnit::Paragraph } else { TextUnit::Line }
    }

    /// The values of the first rows that can be read.
    pub(crate) fn first_rows(&self, format: &Format) -> Vec<Map<String, Value>> {
        let mut rows = format.rows(self.bytes);
        let mut found = Vec::new();
        for _ in 0..LOOKED_AT {
            match rows.next_row() {
                Ok(Some(Ok(row))) => found.push(row.values),
                Ok(Some(Err(_))) => {}
                Ok(None) | Err(_) => break,
            }
        }
        found
    }
}

fn is_object(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"{") && serde_json::from_slice::<Map<String, Value>>(line).is_ok()
}

/// The first records of a table as text, for a look at their columns.
pub(crate) fn first_records(bytes: &[u8], dialect: Dialect, most: usize) -> Vec<Vec<String>> {
    let mut records = Records::new(bytes, dialect);
    let mut found = Vec::new();
    while found.len() < most {
        match records.next_record() {
            Ok(Some(Ok(cells))) => {
                found.push(cells.values.iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect());
            }
            Ok(Some(Err(_))) => {}
            Ok(None) | Err(_) => break,
        }
    }
    found
}
