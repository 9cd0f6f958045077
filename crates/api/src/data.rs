//! Examples: importing, samples, listing, and looking at rows as a model sees them.

use std::path::Path;

use lorikeet_data::{ImportOptions, Imported, Kind, PrepareOptions, Record, Role, preview as preview_rows};
use lorikeet_jobs::train::Goal;
use lorikeet_registry::{DatasetRow, NewDataset, Page};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::embedded::SAMPLES;
use crate::failure::{bad_row, io};
use crate::library::Library;
use crate::models::template_info;
use crate::wire::{
    ApiError, BadRow, ChatMessage, DataImportRequest, DataPreview, DataPreviewRequest, DatasetDetails, DatasetKind,
    DatasetRequest, DatasetSummary, ErrorCode, Example, ImportProgress, LabelCount, Method, Nothing, PreviewRow,
    PreviewToken, SampleRequest, SampleSummary, Task,
};
use crate::{App, counting, places, settings};

/// Rows shown as examples.
const EXAMPLES: usize = 3;
/// Most rows of one preview.
const MOST_PREVIEWED: u64 = 200;
/// Characters of a row's title.
const TITLE_CHARS: usize = 80;

/// What the registry keeps of a data set besides its columns.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Details {
    format: String,
    columns: Vec<String>,
    n_file_bytes: u64,
    bad_rows: Vec<BadRow>,
}

/// Body of `data_import`.
pub fn import(
    app: &App,
    request: DataImportRequest,
    sink: &mut dyn FnMut(ImportProgress) -> bool,
) -> Result<DatasetDetails, ApiError> {
    let path = places::expand(&request.path)?;
    let options = ImportOptions { name: request.name, keep_good: request.keep_good, kind: None };
    let row = import_file(&app.library, &path, &options, Some(&path), sink)?;
    details(&app.library, &row)
}

/// Imports a file and registers it; rows that are known already keep their name and origin.
fn import_file(
    library: &Library,
    path: &Path,
    options: &ImportOptions,
    origin: Option<&Path>,
    sink: &mut dyn FnMut(ImportProgress) -> bool,
) -> Result<DatasetRow, ApiError> {
    if !path.exists() {
        let message = format!("there is no file `{}`", path.display());
        return Err(ApiError::new(ErrorCode::NotFound, message));
    }
    let n_file_bytes = std::fs::metadata(path).map_err(io("read", path))?.len();
    let mut told = ImportProgress { n_bytes: 0, n_bytes_total: n_file_bytes, n_rows: 0, n_bad: 0 };
    let imported = library.store.import(path, options, &mut |progress| {
        told = ImportProgress {
            n_bytes: progress.bytes_read,
            n_bytes_total: progress.bytes_total,
            n_rows: progress.rows,
            n_bad: 0,
        };
        sink(told);
    })?;
    sink(ImportProgress { n_bytes: n_file_bytes, n_rows: imported.n_rows, n_bad: imported.n_bad, ..told });
    register(library, imported, n_file_bytes, origin)
}

fn register(
    library: &Library,
    imported: Imported,
    n_file_bytes: u64,
    origin: Option<&Path>,
) -> Result<DatasetRow, ApiError> {
    let Imported { hash, name, format, layout, columns, n_rows, n_bad, bad_rows, n_bytes, labels, .. } = imported;
    let bad_rows = bad_rows.iter().map(bad_row).collect();
    let details = Details { format: format.to_owned(), columns, n_file_bytes, bad_rows };
    let mut counts: Vec<LabelCount> =
        labels.into_iter().map(|label| LabelCount { label: label.name, n_rows: label.n_rows }).collect();
    counts.sort_by_key(|label| std::cmp::Reverse(label.n_rows));
    let written = |error: serde_json::Error| ApiError::new(ErrorCode::Internal, error.to_string());
    Ok(library.registry.datasets().insert(&NewDataset {
        name,
        hash,
        kind: layout.to_owned(),
        n_rows,
        n_bad,
        n_bytes,
        source_path: origin.map(|path| path.display().to_string()),
        labels: Some(serde_json::to_value(counts).map_err(written)?),
        details: Some(serde_json::to_value(details).map_err(written)?),
    })?)
}

impl Library {
    /// The data set that `given` names: an id, a name, or a file, which is imported.
    pub(crate) fn use_dataset(&self, given: &str) -> Result<DatasetRow, ApiError> {
        let missing = if places::is_path_like(given) {
            None
        } else {
            match self.registry.datasets().get(given) {
                Ok(row) => return Ok(row),
                Err(error) => Some(error),
            }
        };
        let path = places::expand(given)?;
        if path.is_file() {
            return import_file(self, &path, &ImportOptions::default(), Some(&path), &mut |_| true);
        }
        let hint = "give the name of imported examples, or a file";
        Err(match missing {
            Some(error) => ApiError::from(error).with_hint(hint),
            None => {
                ApiError::new(ErrorCode::NotFound, format!("there is no file `{}`", path.display())).with_hint(hint)
            }
        })
    }
}

/// Body of `data_list`.
pub fn list(app: &App, _: Nothing) -> Result<Vec<DatasetSummary>, ApiError> {
    let rows = app.registry().datasets().list(Page::first(Page::MAX_LIMIT))?.rows;
    Ok(rows.iter().map(summary).collect())
}

/// Body of `data_show`.
pub fn show(app: &App, request: DatasetRequest) -> Result<DatasetDetails, ApiError> {
    details(&app.library, &app.registry().datasets().get(&request.id)?)
}

pub(crate) fn kind_of(row: &DatasetRow) -> DatasetKind {
    serde_json::from_value(Value::from(row.kind.as_str())).unwrap_or(DatasetKind::Text)
}

/// What a data set is good for unless the user says otherwise.
pub(crate) fn natural_task(row: &DatasetRow) -> Task {
    if kind_of(row) == DatasetKind::TextLabel { Task::Classify } else { Task::Causal }
}

/// What is learned from a data set where no objective is chosen.
pub(crate) fn natural_goal(row: &DatasetRow) -> Goal {
    Goal::natural(match kind_of(row) {
        DatasetKind::Alpaca | DatasetKind::Sharegpt | DatasetKind::Messages => Kind::Chat,
        DatasetKind::PromptCompletion => Kind::Prompt,
        DatasetKind::TextLabel => Kind::Labelled,
        DatasetKind::Text => Kind::Text,
        DatasetKind::Preference => Kind::Preference,
        DatasetKind::Judged => Kind::Judged,
    })
}

fn stored_details(row: &DatasetRow) -> Details {
    row.details.clone().and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default()
}

fn summary(row: &DatasetRow) -> DatasetSummary {
    let Details { format, n_file_bytes, .. } = stored_details(row);
    DatasetSummary {
        id: row.id.clone(),
        hash: row.hash.clone(),
        kind: kind_of(row),
        n_rows: row.n_rows,
        n_bad: row.n_bad,
        name: row.name.clone(),
        format,
        n_bytes: n_file_bytes,
        task: natural_task(row),
        objective: natural_goal(row).name().to_owned(),
        source_path: row.source_path.clone(),
        created_at_ms: row.created_at_ms,
    }
}

fn details(library: &Library, row: &DatasetRow) -> Result<DatasetDetails, ApiError> {
    let Details { columns, bad_rows, .. } = stored_details(row);
    let dataset = library.store.dataset(&row.hash)?;
    let examples = dataset.rows(0..EXAMPLES).map(|record| record.map(example)).collect::<Result<_, _>>()?;
    let labels = row.labels.clone().and_then(|labels| serde_json::from_value(labels).ok()).unwrap_or_default();
    Ok(DatasetDetails { summary: summary(row), columns, labels, examples, bad_rows })
}

/// A row as people read it.
fn example(record: Record) -> Example {
    let turn = |role: &str, content: String| ChatMessage { role: role.to_owned(), content };
    match record {
        Record::Chat(chat) => {
            let turns = chat.messages.into_iter().map(|message| turn(role_word(message.role), message.content));
            Example { turns: turns.collect(), label: None }
        }
        Record::Prompt(row) => {
            Example { turns: vec![turn("user", row.prompt), turn("assistant", row.completion)], label: None }
        }
        Record::Labelled(row) => {
            let texts = [Some(row.text), row.text_pair].into_iter().flatten();
            Example { turns: texts.map(|text| turn("text", text)).collect(), label: Some(row.label) }
        }
        Record::Text(row) => Example { turns: vec![turn("text", row.text)], label: None },
        Record::Preference(row) => {
            let [better, worse] = row.answers().map(example);
            // What both answers follow is shown once.
            let rest = worse.turns.into_iter().rev().take_while(|turn| turn.role == "assistant").collect::<Vec<_>>();
            Example { turns: better.turns.into_iter().chain(rest.into_iter().rev()).collect(), label: None }
        }
        Record::Judged(row) => Example { label: Some(row.label.to_string()), ..example(row.answer()) },
    }
}

fn role_word(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

/// Body of `data_preview`.
pub fn preview(app: &App, request: DataPreviewRequest) -> Result<DataPreview, ApiError> {
    let row = app.registry().datasets().get(&request.id)?;
    let model = app.library.find_model(&request.model)?;
    let tokenizer = app.counts.tokenizer(&model.folder)?;
    let dataset = app.library.store.dataset(&row.hash)?;
    let chosen = settings::with_values(None, Method::Lora, &request.settings)?;
    let max_length = counting::limit(&model.folder, request.max_length.unwrap_or(chosen.max_length))?;
    let task = counting::task_of_kind(dataset.kind());
    let options = PrepareOptions { loss_on: chosen.loss_on, ..PrepareOptions::new(task, max_length) };
    let limit = request.limit.unwrap_or(20).min(MOST_PREVIEWED);
    let range = request.offset as usize..request.offset.saturating_add(limit) as usize;
    let seen = preview_rows(&dataset, range, &tokenizer, &options)?;
    let rows = seen.into_iter().map(|seen| Ok(preview_row(dataset.row(seen.row)?, seen)));
    let rows = rows.collect::<Result<Vec<_>, ApiError>>()?;
    let counted = app.counts.of(&dataset, &tokenizer, (task, chosen.loss_on), max_length)?;
    let source = model.row.map_or_else(|| places::last_part(&model.folder), |row| row.name);
    Ok(DataPreview {
        rows,
        n_rows: row.n_rows,
        n_rows_counted: counted.n_rows,
        n_tokens: counted.n_tokens,
        n_trained: counted.n_trained,
        n_truncated: counted.n_truncated,
        n_with_trained_end: (task == lorikeet_data::Task::Causal).then_some(counted.n_end_trained),
        max_length: max_length as u64,
        lengths: counted.lengths.clone(),
        template: (dataset.kind() == Kind::Chat).then(|| template_info(&source, &tokenizer)),
    })
}

fn preview_row(record: Record, seen: lorikeet_data::PreviewRow) -> PreviewRow {
    let (tokens, rejected) = (preview_tokens(seen.tokens), seen.rejected.map(preview_tokens));
    let n_trained = tokens.iter().chain(rejected.iter().flatten()).filter(|token| token.trained).count() as u64;
    PreviewRow {
        index: seen.row as u64,
        title: title(record),
        n_tokens: seen.n_tokens as u64,
        n_trained,
        truncated: seen.is_truncated,
        tokens,
        rejected,
        label: seen.label,
    }
}

fn preview_tokens(seen: Vec<lorikeet_data::PreviewToken>) -> Vec<PreviewToken> {
    let token = |token: lorikeet_data::PreviewToken| PreviewToken {
        text: token.text,
        id: token.id,
        trained: token.trained,
        special: token.special,
        role: None,
    };
    seen.into_iter().map(token).collect()
}

/// The first words of a row: of the question for a conversation.
fn title(record: Record) -> String {
    let text = match record {
        Record::Chat(chat) => {
            let asked = chat.messages.iter().position(|m| m.role == Role::User).unwrap_or(0);
            chat.messages.into_iter().nth(asked).map(|m| m.content).unwrap_or_default()
        }
        Record::Prompt(row) => row.prompt,
        Record::Labelled(row) => row.text,
        Record::Text(row) => row.text,
        Record::Preference(row) => {
            let [chosen, _] = row.answers();
            return title(chosen);
        }
        Record::Judged(row) => return title(row.answer()),
    };
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match flat.char_indices().nth(TITLE_CHARS) {
        Some((end, _)) => format!("{}…", &flat[..flat[..end].char_indices().last().map_or(0, |(at, _)| at)]),
        None => flat,
    }
}

/// A sample as its list tells it.
#[derive(Clone, Debug, Deserialize)]
struct Sample {
    id: String,
    title: String,
    sentence: String,
    file: String,
    task: Task,
}

fn sample_list() -> Result<Vec<Sample>, ApiError> {
    let list = sample_bytes("samples.json")?;
    serde_json::from_slice(list)
        .map_err(|e| ApiError::new(ErrorCode::Internal, format!("the list of samples cannot be read: {e}")))
}

fn sample_bytes(file: &str) -> Result<&'static [u8], ApiError> {
    let found = SAMPLES.iter().find(|(name, _)| *name == file).map(|(_, bytes)| *bytes);
    found.ok_or_else(|| ApiError::new(ErrorCode::Internal, format!("the sample file `{file}` is not in this build")))
}

/// Body of `samples_list`.
pub fn samples(_: &App, _: Nothing) -> Result<Vec<SampleSummary>, ApiError> {
    let summary = |sample: Sample| {
        let bytes = sample_bytes(&sample.file)?;
        let first = serde_json::from_slice::<Value>(bytes.split(|b| *b == b'\n').next().unwrap_or_default()).ok();
        let has = |key: &str| first.as_ref().is_some_and(|row| row.get(key).is_some());
        let kind = match () {
            () if has("messages") => DatasetKind::Messages,
            () if has("conversations") => DatasetKind::Sharegpt,
            () if has("output") => DatasetKind::Alpaca,
            () if has("completion") => DatasetKind::PromptCompletion,
            () if has("label") => DatasetKind::TextLabel,
            () => DatasetKind::Text,
        };
        let n_rows = if kind == DatasetKind::Text && first.is_none() { paragraphs(bytes) } else { lines(bytes) };
        let Sample { id, title, sentence, task, .. } = sample;
        Ok(SampleSummary { id, name: title, sentence, kind, task, n_rows })
    };
    sample_list()?.into_iter().map(summary).collect()
}

fn lines(bytes: &[u8]) -> u64 {
    bytes.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty()).count() as u64
}

/// Pieces of plain text with empty lines between.
fn paragraphs(bytes: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(bytes);
    text.split("\n\n").filter(|piece| !piece.trim().is_empty()).count() as u64
}

/// Body of `sample_import`.
pub fn sample_import(app: &App, request: SampleRequest) -> Result<DatasetDetails, ApiError> {
    let list = sample_list()?;
    let Some(sample) = list.iter().find(|sample| sample.id == request.id) else {
        let known = list.iter().map(|s| format!("`{}`", s.id)).collect::<Vec<_>>().join(", ");
        let message = format!("there is no sample `{}`; there are {known}", request.id);
        return Err(ApiError::new(ErrorCode::NotFound, message));
    };
    let bytes = sample_bytes(&sample.file)?;
    // The importer reads files, so the sample becomes one for a moment.
    let folder = tempfile::tempdir_in(app.home()).map_err(io("write in", app.home()))?;
    let path = folder.path().join(&sample.file);
    std::fs::write(&path, bytes).map_err(io("write", &path))?;
    let options = ImportOptions { name: Some(sample.title.clone()), ..ImportOptions::default() };
    let row = import_file(&app.library, &path, &options, None, &mut |_| true)?;
    details(&app.library, &row)
}
