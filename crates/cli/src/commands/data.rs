//! `lorikeet data …`: importing examples and looking at them.

use std::path::PathBuf;

use lorikeet_api::wire::{
    BadRow, DataImportRequest, DataPreview, DataPreviewRequest, DatasetDetails, DatasetKind, DatasetRequest,
    DatasetSummary, ErrorDetails, Nothing, PreviewRow, PreviewToken, SampleRequest, SampleSummary, Task,
};

use super::{Session, absolute, name_or_path, quoted};
use crate::{
    args::DataCommand,
    failure::{Failure, place_and_reason},
    table::{Edge, Table, pairs, shortened},
    units,
};

/// Columns of an example's text.
const N_COLUMNS: usize = 160;

/// Carries out a command on examples.
pub fn run(session: &mut Session<'_>, command: DataCommand) -> Result<(), Failure> {
    match command {
        DataCommand::Import(args) => match (args.sample, args.file) {
            (Some(id), _) => {
                let details = lorikeet_api::data::sample_import(&session.app, SampleRequest { id })?;
                session.printer.answer(&details, imported)
            }
            (None, file) => import(session, file.unwrap_or_default(), args.name, args.keep_good),
        },
        DataCommand::List => {
            let datasets = lorikeet_api::data::list(&session.app, Nothing {})?;
            session.printer.answer(&datasets, |datasets| list(datasets))
        }
        DataCommand::Show { id } => {
            let details = lorikeet_api::data::show(&session.app, DatasetRequest { id })?;
            session.printer.answer(&details, show)
        }
        DataCommand::Preview(args) => {
            let request = DataPreviewRequest {
                id: args.id,
                model: name_or_path(args.model)?,
                offset: args.offset,
                limit: Some(args.limit),
                max_length: args.max_length,
                settings: [].into(),
            };
            let rows = lorikeet_api::data::preview(&session.app, request)?;
            session.printer.answer(&rows, preview)
        }
        DataCommand::Samples => {
            let samples = lorikeet_api::data::samples(&session.app, Nothing {})?;
            session.printer.answer(&samples, |samples| sample_list(samples))
        }
    }
}

fn import(session: &mut Session<'_>, file: PathBuf, name: Option<String>, keep_good: bool) -> Result<(), Failure> {
    let request = DataImportRequest { path: absolute(&file)?, name, keep_good };
    let details = session.import(request).map_err(|failure| with_way_out(failure, &file.display().to_string()))?;
    session.printer.answer(&details, imported)
}

/// A file refused for its bad rows, with the words that keep the good ones.
pub fn with_way_out(failure: Failure, file: &str) -> Failure {
    let Failure::Command(error) = failure else { return failure };
    match error.details {
        Some(ErrorDetails::BadRows { n_good: 1.., .. }) => error
            .with_hint(format!("keep the good rows with: lorikeet data import {} --keep-good", quoted(file)))
            .into(),
        _ => (*error).into(),
    }
}

fn imported(details: &DatasetDetails) -> String {
    let summary = &details.summary;
    let mut text = format!(
        "{}: {} of {} imported, id {}\n",
        summary.name,
        units::counted(summary.n_rows, "row", "rows"),
        kind(summary.kind),
        summary.id
    );
    text += &left_out(summary.n_bad, &details.bad_rows);
    let model = if summary.task == Task::Causal { "starter" } else { "FOLDER_OF_AN_ENCODER" };
    text + &format!("train on it: lorikeet train --model {model} --data {}\n", summary.id)
}

fn left_out(n_bad: u64, first: &[BadRow]) -> String {
    if n_bad == 0 {
        return String::new();
    }
    let mut text = format!("left out: {}\n", units::counted(n_bad, "bad row", "bad rows"));
    first.iter().for_each(|row| text += &format!("  {}\n", place_and_reason(row)));
    let n_more = n_bad.saturating_sub(first.len() as u64);
    if n_more > 0 {
        text += &format!("  and {} more\n", units::count(n_more));
    }
    text
}

/// What the examples are, in plain words.
fn kind(kind: DatasetKind) -> &'static str {
    match kind {
        DatasetKind::Alpaca => "instruction and output",
        DatasetKind::Sharegpt | DatasetKind::Messages => "conversations",
        DatasetKind::PromptCompletion => "prompt and completion",
        DatasetKind::TextLabel => "text and label",
        DatasetKind::Text => "plain text",
        DatasetKind::Preference => "chosen and rejected answers",
        DatasetKind::Judged => "answers judged good or bad",
    }
}

/// What is learned, in plain words.
pub fn task(task: Task) -> &'static str {
    match task {
        Task::Causal => "write text",
        Task::Classify => "sort text",
    }
}

fn list(datasets: &[DatasetSummary]) -> String {
    if datasets.is_empty() {
        return "no dataset yet; import one: lorikeet data import FILE\n".to_owned();
    }
    let mut table = Table::new([
        ("ID", Edge::Left),
        ("NAME", Edge::Left),
        ("ROWS", Edge::Right),
        ("SIZE", Edge::Right),
        ("KIND", Edge::Left),
        ("IMPORTED", Edge::Left),
    ]);
    for dataset in datasets {
        table.row([
            dataset.id.clone(),
            shortened(&dataset.name, 40),
            units::count(dataset.n_rows),
            units::bytes(dataset.n_bytes),
            kind(dataset.kind).to_owned(),
            units::instant(dataset.created_at_ms),
        ]);
    }
    table.text()
}

fn show(details: &DatasetDetails) -> String {
    let summary = &details.summary;
    let mut text = pairs(&[
        ("id", summary.id.clone()),
        ("name", summary.name.clone()),
        ("rows", units::count(summary.n_rows)),
        ("kind", kind(summary.kind).to_owned()),
        ("good for", task(summary.task).to_owned()),
        ("columns", details.columns.join(", ")),
        ("file", format!("{}, {}", summary.format, units::bytes(summary.n_bytes))),
        ("from", summary.source_path.clone().unwrap_or_else(|| "a sample".to_owned())),
        ("imported", units::instant(summary.created_at_ms)),
        ("hash", summary.hash.clone()),
    ]);
    if !details.labels.is_empty() {
        let mut table = Table::new([("LABEL", Edge::Left), ("ROWS", Edge::Right)]);
        details.labels.iter().for_each(|label| table.row([label.label.clone(), units::count(label.n_rows)]));
        text += &format!("\n{}", table.text());
    }
    for (number, example) in details.examples.iter().enumerate() {
        text += &format!("\nexample {}\n", number + 1);
        for turn in &example.turns {
            text += &format!("  {}: {}\n", turn.role, shortened(&turn.content, N_COLUMNS));
        }
        text += &example.label.as_ref().map(|label| format!("  label: {label}\n")).unwrap_or_default();
    }
    if summary.n_bad > 0 {
        text += &format!("\n{}", left_out(summary.n_bad, &details.bad_rows));
    }
    text
}

fn preview(preview: &DataPreview) -> String {
    let mut facts = vec![
        ("rows", units::count(preview.n_rows)),
        ("tokens", format!("{} in {} rows", units::count(preview.n_tokens), units::count(preview.n_rows_counted))),
        ("learned", format!("{} tokens, marked ⟦ ⟧ below", units::count(preview.n_trained))),
        (
            "length",
            format!(
                "half up to {}, the longest {} tokens (row {})",
                preview.lengths.median, preview.lengths.longest, preview.lengths.longest_row
            ),
        ),
        ("cut", format!("{} after {} tokens", units::counted(preview.n_truncated, "row", "rows"), preview.max_length)),
    ];
    if let Some(n_with_end) = preview.n_with_trained_end {
        facts.push(("with a learned end", units::counted(n_with_end, "row", "rows")));
    }
    let rows = preview.rows.iter().map(row).collect::<String>();
    pairs(&facts) + &rows
}

/// A row's text, with what is learned between marks.
fn row(row: &PreviewRow) -> String {
    let mut text = format!("\nrow {}: {} tokens, {} learned", row.index, row.n_tokens, row.n_trained);
    text += &row.label.as_ref().map(|label| format!(", label {label}")).unwrap_or_default();
    text.push('\n');
    match &row.rejected {
        None => text += &marked(&row.tokens),
        Some(rejected) => {
            text += &format!("chosen:   {}rejected: {}", marked(&row.tokens), marked(rejected));
        }
    }
    text
}

fn marked(tokens: &[PreviewToken]) -> String {
    let (mut text, mut inside) = (String::new(), false);
    for token in tokens {
        if token.trained != inside {
            text.push(if token.trained { '⟦' } else { '⟧' });
            inside = token.trained;
        }
        text += &token.text;
    }
    text + if inside { "⟧\n" } else { "\n" }
}

fn sample_list(samples: &[SampleSummary]) -> String {
    let mut table = Table::new([
        ("SAMPLE", Edge::Left),
        ("NAME", Edge::Left),
        ("ROWS", Edge::Right),
        ("WHAT IT TEACHES", Edge::Left),
    ]);
    for sample in samples {
        table.row([sample.id.clone(), sample.name.clone(), units::count(sample.n_rows), sample.sentence.clone()]);
    }
    table.text() + "import one: lorikeet data import --sample SAMPLE\n"
}

#[cfg(test)]
mod tests {
    use lorikeet_api::wire::{ApiError, ErrorCode};

    use super::*;

    #[test]
    fn bad_rows_come_with_the_way_out() {
        let refused = |n_good| {
            let details = ErrorDetails::BadRows { n_good, n_bad: 2, first: Vec::new() };
            let error = ApiError::new(ErrorCode::BadRows, "`my file.csv` has rows that cannot be used: 2");
            with_way_out(error.with_details(details).into(), "my file.csv").text()
        };
        let text = refused(1);
        let expected = "help: keep the good rows with: lorikeet data import 'my file.csv' --keep-good";
        assert!(text.ends_with(expected), "{text}");
        assert!(!refused(0).contains("help:"), "there is nothing to keep");
    }

    #[test]
    fn what_is_learned_stands_between_marks() {
        let token =
            |text: &str, trained| PreviewToken { text: text.into(), id: 1, trained, special: false, role: None };
        let tokens =
            vec![token("Q? ", false), token("A", true), token(".", true), token("\n", false), token("B", true)];
        let title = "Q?".to_owned();
        let shown = row(&PreviewRow {
            index: 4,
            title,
            label: None,
            n_tokens: 5,
            n_trained: 3,
            truncated: false,
            tokens,
            rejected: None,
        });
        assert_eq!(shown, "\nrow 4: 5 tokens, 3 learned\nQ? ⟦A.⟧\n⟦B⟧\n");
    }
}
