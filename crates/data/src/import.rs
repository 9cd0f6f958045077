//! From a file of any known form to records, row by row, in memory that does not grow with the file.
//!
//! The form is told by the content; every row that cannot be used is counted and the first ones are told with their
//! place. Where the records go is not known here.

mod columns;
mod convert;
mod delimited;
mod json;
mod lines;
mod plain;
mod preference;
mod row;
mod shape;
mod sniff;

use std::cell::Cell;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

pub use plain::TextUnit;

use crate::bad_row::{BadRow, BadRows};
use crate::error::{Error, Result};
use crate::import::lines::MAX_ROW_BYTES;
use crate::import::row::RawRow;
use crate::import::shape::Shape;
use crate::import::sniff::{Format, Head};
use crate::record::{Kind, Record};

/// Bytes read to find out what a file is; more if they hold no whole row.
const HEAD_BYTES: usize = 256 << 10;

/// Rows and bytes after which progress is told again.
const TOLD_ROWS: u64 = 1000;
const TOLD_BYTES: u64 = 4 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How far an import is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportProgress {
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes of the file; 0 where that is not known.
    pub bytes_total: u64,
    /// Rows seen, good and bad.
    pub rows: u64,
}

/// A file about to be imported.
pub(crate) struct Source<R> {
    pub(crate) path: PathBuf,
    pub(crate) input: R,
    pub(crate) bytes_total: u64,
    /// The kind asked for, if any.
    pub(crate) kind: Option<Kind>,
}

/// What a file turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) kind: Kind,
    pub(crate) format: &'static str,
    pub(crate) layout: &'static str,
    pub(crate) columns: Vec<String>,
    pub(crate) text_unit: Option<TextUnit>,
    pub(crate) bad: BadRows,
}

/// Reads all rows of `source` and hands each record to `take`.
pub(crate) fn read_records<R: Read>(
    source: Source<R>,
    take: &mut dyn FnMut(Record) -> Result<()>,
    progress: &mut dyn FnMut(ImportProgress),
) -> Result<Found> {
    let Source { path, mut input, bytes_total, kind } = source;
    let Opened { head, format, shape } = open(&path, &mut input, kind)?;
    let n_read = Cell::new(0);
    let mut rows = format.rows(Counting { input: head.as_slice().chain(input), n_read: &n_read });
    let mut bad = BadRows::default();
    let mut told = ImportProgress { bytes_total, ..ImportProgress::default() };
    while let Some(row) = rows.next_row().map_err(|cause| Error::read(&path, cause))? {
        match row.and_then(|row| convert(&row, shape.as_ref())) {
            Ok(record) => {
                bad.n_good += 1;
                take(record)?;
            }
            Err(complaint) => bad.push(complaint),
        }
        let now = ImportProgress { bytes_read: n_read.get(), bytes_total, rows: bad.n_bad + bad.n_good };
        if now.rows - told.rows >= TOLD_ROWS || now.bytes_read - told.bytes_read >= TOLD_BYTES {
            progress(now);
            told = now;
        }
    }
    progress(ImportProgress { bytes_read: n_read.get(), bytes_total, rows: bad.n_bad + bad.n_good });
    let text_unit = if let Format::Text(unit) = format { Some(unit) } else { None };
    Ok(Found {
        kind: shape.as_ref().map_or(Kind::Text, Shape::kind),
        format: format.name(),
        layout: shape.as_ref().map_or("text", Shape::layout),
        columns: if text_unit.is_some() { Vec::new() } else { shape.as_ref().map(Shape::columns).unwrap_or_default() },
        text_unit,
        bad,
    })
}

/// The record a row is. Conversations of one file may come in several spellings; other rows are all alike.
fn convert(row: &RawRow, shape: Option<&Shape>) -> std::result::Result<Record, BadRow> {
    let Some(shape) = shape else {
        return Err(row.complaint(None, format!("no known kind of row: {}", expected(&row.values))));
    };
    let own = match shape.kind() {
        kind @ (Kind::Chat | Kind::Preference | Kind::Judged) => Shape::of(&row.values, Some(kind)),
        _ => None,
    };
    convert::record(own.as_ref().unwrap_or(shape), &row.values)
        .map_err(|unfit| row.complaint(unfit.name.as_deref(), unfit.reason))
}

struct Opened {
    /// The bytes already read, without the byte order mark.
    head: Vec<u8>,
    format: Format,
    /// Nothing if no row could be read.
    shape: Option<Shape>,
}

/// Reads as much of the beginning as is needed to see what the file is.
fn open(path: &Path, input: &mut impl Read, wanted: Option<Kind>) -> Result<Opened> {
    let extension = path.extension().map(|end| end.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let mut bytes = Vec::new();
    let mut limit = HEAD_BYTES;
    loop {
        let missing = limit.saturating_sub(bytes.len());
        bytes.reserve_exact(missing);
        input.by_ref().take(missing as u64).read_to_end(&mut bytes).map_err(|cause| Error::read(path, cause))?;
        let is_end = bytes.len() < limit;
        if bytes.starts_with(BYTE_ORDER_MARK) {
            bytes.drain(..BYTE_ORDER_MARK.len());
        }
        if is_end && bytes.trim_ascii().is_empty() {
            return Err(Error::EmptyFile { path: path.to_owned() });
        }
        // Nothing that does not end within the longest row will be understood by reading on.
        let is_all = is_end || bytes.len() > MAX_ROW_BYTES;
        let head = Head { bytes: &bytes, is_all, extension: &extension };
        if let Some((what, hint)) = head.is_not_text() {
            return Err(Error::NotText { path: path.to_owned(), what, hint });
        }
        if let Some(format) = head.format() {
            let rows = head.first_rows(&format);
            if is_all || !rows.is_empty() {
                let shape = shape_of(path, &format, &rows, wanted)?;
                return Ok(Opened { head: bytes, format, shape });
            }
        }
        limit = (limit * 4).min(MAX_ROW_BYTES + HEAD_BYTES);
    }
}

/// What most of the first rows are.
fn shape_of(path: &Path, format: &Format, rows: &[Map<String, Value>], wanted: Option<Kind>) -> Result<Option<Shape>> {
    if let Format::Table { columns, .. } = format
        && let Some(shape) = columns.shape.clone()
        && wanted.is_none_or(|kind| kind == Kind::Labelled)
    {
        return Ok(Some(shape));
    }
    let mut shapes: Vec<(Shape, usize)> = Vec::new();
    for shape in rows.iter().filter_map(|values| Shape::of(values, wanted)) {
        match shapes.iter_mut().find(|(known, _)| *known == shape) {
            Some((_, n)) => *n += 1,
            None => shapes.push((shape, 1)),
        }
    }
    let commonest = shapes.into_iter().rev().max_by_key(|(_, n)| *n).map(|(shape, _)| shape);
    match (commonest, rows.first()) {
        (Some(shape), _) if !shape.kind().is_trainable() => {
            Err(Error::NotTrainable { path: path.to_owned(), kind: shape.kind(), what: shape.words() })
        }
        (None, Some(values)) => {
            let reason = match wanted {
                Some(kind) => format!("they are not of the kind `{kind}` that was asked for; {}", expected(values)),
                None => expected(values),
            };
            Err(Error::Unrecognised { path: path.to_owned(), reason })
        }
        (shape, _) => Ok(shape),
    }
}

/// What a row has and what it would have to have.
fn expected(values: &Map<String, Value>) -> String {
    const KNOWN: &[&str] =
        &["messages", "conversations", "instruction", "output", "prompt", "completion", "text", "label", "response"];
    const MOST: usize = 12;
    let names: Vec<&str> = values.keys().map(String::as_str).collect();
    let near = names.iter().find_map(|name| {
        let small = name.trim().to_lowercase();
        let is_near = |known: &&&str| (1..=2).contains(&strsim::damerau_levenshtein(known, &small)) && small.len() > 3;
        KNOWN.iter().find(is_near).map(|known| format!("; is `{name}` meant to be `{known}`?"))
    });
    let mut listed: String = names.iter().take(MOST).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > MOST {
        listed.push_str(", …");
    }
    if listed.is_empty() {
        listed.push_str("nothing");
    }
    let is_list_of_rows = |value: &Value| {
        let first = value.as_array().and_then(|rows| rows.first()).and_then(Value::as_object);
        first.is_some_and(|row| Shape::of(row, None).is_some())
    };
    if let Some((name, _)) = values.iter().find(|(_, value)| is_list_of_rows(value)) {
        return format!("the rows are in its list `{name}`; save that list alone as the file");
    }
    format!(
        "a row has {listed}; expected `messages`, `conversations`, `instruction` with `output`, `prompt` with `completion`, `chosen` with `rejected`, a text with a `label`, or `text`{}",
        near.unwrap_or_default()
    )
}

/// A reader that counts.
struct Counting<'a, R> {
    input: R,
    n_read: &'a Cell<u64>,
}

impl<R: Read> Read for Counting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buffer)?;
        self.n_read.set(self.n_read.get() + n as u64);
        Ok(n)
    }
}
