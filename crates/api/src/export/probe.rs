//! The rows that an export and what it was made of are both asked: the first ones the run learned from where they are still
//! here, else a few fixed sentences.

use std::path::Path;

use lorikeet_data::{PrepareOptions, Task, Tokenizer, prepare};
use lorikeet_jobs::train::{ResultInfo, tokens_of};
use lorikeet_models::{ModelConfig, Tokens};

use crate::App;
use crate::wire::ApiError;

/// Rows that are asked.
const N_ROWS: u32 = 8;
/// Tokens after which a row is cut.
const MAX_LENGTH: usize = 96;

/// Sentences of different length, with figures, signs and letters beyond ASCII.
const FIXED: [&str; 8] = [
    "The ship left the harbour before sunrise.",
    "Please send 12 boxes to Leeds by 4 March.",
    "Why do leaves turn red in autumn?",
    "def add(a, b):\n    return a + b",
    "It was the best meal we have had all year, thank you!",
    "{\"name\": \"Ada\", \"age\": 36}",
    "Über den Dächern von Köln läuten die Glocken.",
    "Sorry, the parcel arrived late and the cup was broken.",
];

/// The rows as tokens.
pub fn tokens(app: &App, base: &Path, info: Option<&ResultInfo>) -> Result<Tokens, ApiError> {
    let (config, tokenizer) = (ModelConfig::read(base, None)?, Tokenizer::open(base)?);
    let task = match config.task() {
        lorikeet_models::Task::Causal => Task::Causal,
        lorikeet_models::Task::Classify => Task::Classify,
    };
    let max_length = MAX_LENGTH.min(config.max_positions());
    let own = info.and_then(|info| of_run(app, info, &tokenizer, task, max_length));
    match own {
        Some(tokens) => Ok(tokens),
        None => fixed(&tokenizer, task, max_length),
    }
}

/// Rows of the run's examples; `None` where they are gone or no longer suit, which is no reason not to compare.
fn of_run(app: &App, info: &ResultInfo, tokenizer: &Tokenizer, task: Task, max_length: usize) -> Option<Tokens> {
    let dataset = app.library.store.dataset(&info.dataset_hash).ok()?;
    let rows: Vec<u32> = (0..N_ROWS.min(dataset.len() as u32)).collect();
    let options = PrepareOptions::new(task, max_length);
    let prepared = prepare(&dataset, &rows, tokenizer, &options, None, &mut |_| {}).ok()?;
    let chosen: Vec<u32> = (0..N_ROWS.min(prepared.len() as u32)).collect();
    (!chosen.is_empty()).then(|| tokens_of(prepared.batch(&chosen), task).0)
}

fn fixed(tokenizer: &Tokenizer, task: Task, max_length: usize) -> Result<Tokens, ApiError> {
    let mut rows = Vec::new();
    for text in FIXED {
        let mut ids = match task {
            Task::Causal => tokenizer.text_prompt(text)?,
            Task::Classify => tokenizer.encode_for_classifier(text, None, max_length)?.ids,
        };
        ids.truncate(max_length);
        rows.push(ids);
    }
    rows.retain(|ids| !ids.is_empty());
    Ok(Tokens::from_sequences(&rows))
}
