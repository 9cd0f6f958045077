//! The columns of a table: which byte separates them, whether the first record names them, and which is the label.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::import::delimited::Dialect;
use crate::import::shape::Shape;
use crate::import::sniff::first_records;

/// Longest label, in bytes; a longer cell is a text.
const LABEL_BYTES: usize = 64;

/// Most different labels that a column without a telling name may have.
const MOST_LABELS: usize = 100;

/// The columns of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Columns {
    /// Names, made up where the file has none.
    pub(crate) names: Vec<String>,
    /// How many of them, from the left, may hold values.
    pub(crate) n_named: usize,
    /// Whether the first record holds the names.
    pub(crate) has_header: bool,
    /// What the columns mean, where their content says it and not their names.
    pub(crate) shape: Option<Shape>,
}

/// Finds out whether the beginning of a file is a table.
pub(crate) fn find(bytes: &[u8], extension: &str, most: usize) -> Option<(Dialect, Columns)> {
    let is_named = matches!(extension, "csv" | "tsv" | "tab");
    let candidates = [b'\t', b',', b';', b'|'].map(|delimiter| {
        let has_quotes = delimiter != b'\t' || is_quoted(bytes, most);
        let dialect = Dialect { delimiter, has_quotes };
        (dialect, first_records(bytes, dialect, most))
    });
    let by_header = candidates.iter().find_map(|(dialect, records)| Some((*dialect, by_names(records, is_named)?)));
    let by_content = || candidates.iter().find_map(|(dialect, records)| Some((*dialect, by_content(records)?)));
    // A file called a table is read as one even if its columns are not understood: its faults are then told.
    let by_extension = || {
        let widest = candidates.iter().filter(|(_, records)| is_named && !records.is_empty());
        let (dialect, records) = widest.max_by_key(|(_, records)| records.first().map_or(0, Vec::len))?;
        Some((*dialect, header(records.first()?)))
    };
    by_header.or_else(by_content).or_else(by_extension)
}

/// Whether cells separated by tabs have quotes around them: most texts would then begin and end with one.
fn is_quoted(bytes: &[u8], most: usize) -> bool {
    let records = first_records(bytes, Dialect { delimiter: b'\t', has_quotes: false }, most);
    let is_quoted = |cell: &&String| cell.len() > 1 && cell.starts_with('"') && cell.ends_with('"');
    let n_with = records.iter().filter(|cells| cells.iter().any(|cell| is_quoted(&cell))).count();
    n_with * 2 > records.len()
}

/// Columns named by a first record, those at the right end that have no name left out.
fn header(names: &[String]) -> Columns {
    let n_named = names.iter().rposition(|name| !name.trim().is_empty()).map_or(0, |last| last + 1);
    let name = |(nth, name): (usize, &String)| match name.trim() {
        "" => format!("column {}", nth + 1),
        name => name.to_owned(),
    };
    let mut seen = BTreeSet::new();
    let unique = |(nth, name): (usize, String)| match seen.insert(name.clone()) {
        true => name,
        false => format!("{name} (column {})", nth + 1),
    };
    let names = names.iter().enumerate().map(name).enumerate().map(unique).collect();
    Columns { names, n_named, has_header: true, shape: None }
}

/// A header whose names say what the columns are.
fn by_names(records: &[Vec<String>], is_named: bool) -> Option<Columns> {
    let names = records.first()?;
    let columns = header(names);
    // A cell may hold a list of messages; whether it does is seen in the first row.
    let cells = records.get(1);
    let value = |nth: usize| cells.and_then(|cells| cells.get(nth)).cloned().unwrap_or_default();
    let values: Map<String, Value> =
        columns.names.iter().enumerate().map(|(nth, name)| (name.clone(), Value::String(value(nth)))).collect();
    let is_table = names.len() > 1 || is_named;
    (is_table && Shape::of(&values, None).is_some()).then_some(columns)
}

/// Columns that show what they are: one with few, short, repeated values, and one or two with text.
fn by_content(records: &[Vec<String>]) -> Option<Columns> {
    let width = common_width(records)?;
    let body: Vec<&Vec<String>> = records.iter().skip(1).filter(|cells| cells.len() == width).collect();
    let column =
        |nth: usize| body.iter().filter_map(|cells| cells.get(nth)).map(|cell| cell.trim()).collect::<Vec<_>>();
    let label = (0..width).filter(|nth| is_label(&column(*nth))).min_by_key(|nth| different(&column(*nth)))?;
    let texts: Vec<usize> = (0..width).filter(|nth| *nth != label && is_text(&column(*nth))).collect();
    let (text, pair) = match texts.as_slice() {
        [text] => (*text, None),
        [text, pair] => (*text, Some(*pair)),
        _ => return None,
    };
    let first = records.first()?;
    let first_label = first.get(label)?.trim();
    let has_header = !column(label).contains(&first_label) && !is_whole_number(first_label);
    let mut columns = header(first);
    if !has_header {
        let names = (1..=width).map(|nth| format!("column {nth}")).collect();
        columns = Columns { names, n_named: width, has_header, shape: None };
    }
    let name = |nth: usize| columns.names.get(nth).cloned();
    columns.shape =
        Some(Shape::Labelled { text: name(text)?, pair: pair.map(name).unwrap_or_default(), label: name(label)? });
    Some(columns)
}

/// The number of cells that nine of ten records have, if it is more than one.
fn common_width(records: &[Vec<String>]) -> Option<usize> {
    let mut widths: Vec<usize> = records.iter().map(Vec::len).collect();
    widths.sort_unstable();
    let width = *widths.get(widths.len() / 2)?;
    let n_alike = widths.iter().filter(|other| **other == width).count();
    (width > 1 && records.len() > 1 && n_alike * 10 >= records.len() * 9).then_some(width)
}

fn different(cells: &[&str]) -> usize {
    cells.iter().collect::<BTreeSet<_>>().len()
}

fn is_whole_number(cell: &str) -> bool {
    cell.len() <= 4 && cell.parse::<i32>().is_ok()
}

/// Few different short values, at least two, each used again; or small whole numbers.
fn is_label(cells: &[&str]) -> bool {
    let n_different = different(cells);
    let is_short = cells.iter().all(|cell| !cell.is_empty() && cell.len() <= LABEL_BYTES);
    let is_repeated = (2..=MOST_LABELS).contains(&n_different) && n_different * 2 <= cells.len();
    let is_number = cells.iter().all(|cell| is_whole_number(cell)) && n_different <= MOST_LABELS;
    is_short && (is_repeated || is_number)
}

/// Mostly filled, and mostly words.
fn is_text(cells: &[&str]) -> bool {
    let n_words = cells.iter().filter(|cell| cell.parse::<f64>().is_err() && !cell.is_empty()).count();
    n_words * 2 > cells.len()
}
