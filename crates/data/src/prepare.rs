//! A data set as tokens: every row dressed, cut, counted, and laid out flat, ready to be taken in batches.

use std::thread;

use crate::batch::Batch;
use crate::dataset::Dataset;
use crate::dress::{Dressed, PrepareOptions, dress};
use crate::error::{Error, Result};
use crate::example::{Example, Task};
use crate::labels::Labels;
use crate::record::Kind;
use crate::statistics::{Lengths, Statistics};
use crate::tokenizer::Tokenizer;

/// Rows each thread tokenizes before the results are put together and progress is told.
const ROWS_PER_THREAD: usize = 64;

/// How far preparing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrepareProgress {
    /// Rows done.
    pub n_done: usize,
    /// Rows to do.
    pub n_rows: usize,
}

/// Examples in one flat piece of memory: `E` examples of together `T` tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prepared {
    /// `T`.
    ids: Vec<u32>,
    /// `T`.
    trained: Vec<bool>,
    /// `T`, or empty where every token has type 0.
    token_types: Vec<u8>,
    /// `E + 1`.
    starts: Vec<usize>,
    /// `E`, or empty.
    label_ids: Vec<u32>,
    /// Row of the data set each example comes from, `E`.
    rows: Vec<u32>,
    labels: Labels,
    statistics: Statistics,
}

impl Prepared {
    /// Number of examples.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The classifier's labels; empty for a language model.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// How many examples have each of the classifier's labels.
    pub fn label_counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.labels.len()];
        for id in &self.label_ids {
            if let Some(count) = counts.get_mut(*id as usize) {
                *count += 1;
            }
        }
        counts
    }

    /// Counts and lengths.
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// Tokens of example `at`; 0 if there is no such example.
    pub fn n_tokens(&self, at: u32) -> usize {
        let at = at as usize;
        match (self.starts.get(at), self.starts.get(at + 1)) {
            (Some(from), Some(to)) => to - from,
            _ => 0,
        }
    }

    /// Row of the data set that example `at` comes from.
    pub fn row(&self, at: u32) -> Option<u32> {
        self.rows.get(at as usize).copied()
    }

    /// The examples named by `examples`, in that order, as one batch. Numbers beyond the last example are left out.
    pub fn batch(&self, examples: &[u32]) -> Batch {
        let mut batch = Batch::default();
        for at in examples {
            let at = *at as usize;
            let (Some(from), Some(to)) = (self.starts.get(at), self.starts.get(at + 1)) else { continue };
            let range = *from..*to;
            batch.push(
                self.ids.get(range.clone()).unwrap_or_default(),
                self.trained.get(range.clone()).unwrap_or_default(),
                self.token_types.get(range),
                self.label_ids.get(at).copied(),
            );
        }
        batch
    }

    /// The `n` longest examples, longest first: the batch that needs the most memory.
    pub fn longest(&self, n: usize) -> Vec<u32> {
        let mut by_length: Vec<u32> = (0..self.len() as u32).collect();
        by_length.sort_by_key(|at| (std::cmp::Reverse(self.n_tokens(*at)), *at));
        by_length.truncate(n);
        by_length
    }

    fn push(&mut self, row: u32, example: &Example) {
        if self.starts.is_empty() {
            self.starts.push(0);
        }
        let n_before = self.ids.len();
        self.ids.extend_from_slice(&example.ids);
        self.trained.extend_from_slice(&example.trained);
        // Most tokenizers know no second segment: types are kept from the first token on that has another one.
        if !self.token_types.is_empty() || example.token_types.iter().any(|kind| *kind != 0) {
            self.token_types.resize(n_before, 0);
            self.token_types.extend(example.token_types.iter().map(|kind| u8::from(*kind != 0)));
            self.token_types.resize(self.ids.len(), 0);
        }
        self.starts.push(self.ids.len());
        self.rows.push(row);
        self.statistics.n_examples += 1;
        self.statistics.n_tokens += example.ids.len() as u64;
        self.statistics.n_trained_tokens += example.n_trained() as u64;
    }

    fn finish(mut self, options: &PrepareOptions) -> Result<Prepared> {
        if self.is_empty() {
            let (n_rows, n_dropped) = (self.statistics.n_rows, self.statistics.n_dropped);
            return Err(Error::NothingToTrain { n_rows, n_dropped, max_length: options.max_length });
        }
        self.statistics.lengths = Lengths::of(self.starts.windows(2).map(|ends| ends[1] - ends[0]).collect());
        Ok(self)
    }
}

/// Turns the rows named by `rows` (row numbers counted from 0, in that order) into examples.
///
/// For a classifier, `labels` are those of the training rows; without them these rows are the training rows and their
/// labels are numbered here. A label that is not among `labels` is an error that names it and its row.
pub fn prepare(
    dataset: &Dataset,
    rows: &[u32],
    tokenizer: &Tokenizer,
    options: &PrepareOptions,
    labels: Option<&Labels>,
    progress: &mut dyn FnMut(PrepareProgress),
) -> Result<Prepared> {
    if options.task == Task::Causal && options.max_length < 2 {
        return Err(Error::MaxLengthTooSmall { max_length: options.max_length, least: 2 });
    }
    let n_threads = match options.n_threads {
        0 => thread::available_parallelism().map_or(1, usize::from),
        n => n,
    };
    let mut collected = Collected { names: Vec::new(), prepared: Prepared::default() };
    for block in rows.chunks(n_threads * ROWS_PER_THREAD) {
        for (row, dressed) in dress_block(dataset, block, tokenizer, options, n_threads)? {
            collected.add(row, dressed, dataset.kind(), tokenizer, options);
        }
        progress(PrepareProgress { n_done: collected.prepared.statistics.n_rows, n_rows: rows.len() });
    }
    let Collected { names, mut prepared } = collected;
    if options.task == Task::Classify {
        prepared.labels = match labels {
            Some(labels) => labels.clone(),
            None => training_labels(&names)?,
        };
        prepared.label_ids = number(&names, &prepared.rows, &prepared.labels)?;
    }
    prepared.finish(options)
}

fn training_labels(names: &[String]) -> Result<Labels> {
    let labels = Labels::sorted(names.iter().map(String::as_str));
    if labels.len() < 2 { Err(Error::TooFewLabels { found: labels.listed() }) } else { Ok(labels) }
}

fn number(names: &[String], rows: &[u32], labels: &Labels) -> Result<Vec<u32>> {
    let number = |(name, row): (&String, &u32)| {
        labels.index_of(name).ok_or_else(|| Error::UnknownLabel {
            label: name.clone(),
            number: *row as usize + 1,
            known: labels.listed(),
        })
    };
    names.iter().zip(rows).map(number).collect()
}

/// Tokenizes one block of rows on several threads; the result is in the order of the rows.
fn dress_block(
    dataset: &Dataset,
    rows: &[u32],
    tokenizer: &Tokenizer,
    options: &PrepareOptions,
    n_threads: usize,
) -> Result<Vec<(u32, Dressed)>> {
    let one = |row: &u32| -> Result<(u32, Dressed)> {
        let at = *row as usize;
        let record = dataset.row(at)?;
        Ok((*row, dress(&record, tokenizer, options, false).map_err(|cause| cause.in_row(at))?))
    };
    let pieces = rows.chunks(rows.len().div_ceil(n_threads).max(1));
    if n_threads == 1 {
        return rows.iter().map(one).collect();
    }
    let results: Vec<Result<Vec<(u32, Dressed)>>> = thread::scope(|scope| {
        let workers: Vec<_> = pieces.map(|piece| scope.spawn(move || piece.iter().map(one).collect())).collect();
        let joined = workers.into_iter().map(|worker| worker.join());
        joined.map(|result| result.unwrap_or_else(|cause| std::panic::resume_unwind(cause))).collect()
    });
    let mut dressed = Vec::with_capacity(rows.len());
    for result in results {
        dressed.extend(result?);
    }
    Ok(dressed)
}

struct Collected {
    /// Label of each example so far.
    names: Vec<String>,
    prepared: Prepared,
}

impl Collected {
    fn add(&mut self, row: u32, dressed: Dressed, kind: Kind, tokenizer: &Tokenizer, options: &PrepareOptions) {
        let label = dressed.label.clone();
        let cut = dressed.into_examples(kind, options.max_length);
        let is_classifier = options.task == Task::Classify;
        let statistics = &mut self.prepared.statistics;
        statistics.n_rows += 1;
        statistics.n_truncated += usize::from(cut.is_truncated);
        let used: Vec<&Example> =
            cut.examples.iter().filter(|example| is_classifier || example.n_trained() > 0).collect();
        statistics.n_dropped += usize::from(used.is_empty());
        statistics.n_split += usize::from(used.len() > 1);
        statistics.n_end_trained += usize::from(used.last().is_some_and(|example| ends_trained(example, tokenizer)));
        for example in used {
            self.prepared.push(row, example);
            self.names.extend(label.clone());
        }
    }
}

/// Whether the last learnt token is one that ends an answer.
fn ends_trained(example: &Example, tokenizer: &Tokenizer) -> bool {
    let last = example.ids.iter().zip(&example.trained).rfind(|(_, trained)| **trained);
    last.is_some_and(|(id, _)| tokenizer.stop_ids().contains(id))
}
