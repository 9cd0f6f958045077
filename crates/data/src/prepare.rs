//! A data set as tokens: every row dressed, cut, counted, and laid out flat, ready to be taken in batches.

use std::{ops::Range, thread};

use crate::batch::Batch;
use crate::dataset::Dataset;
use crate::dress::{Dressed, PrepareOptions, dress_all};
use crate::error::{Error, Result};
use crate::example::{Example, Task};
use crate::labels::Labels;
use crate::record::{Kind, Record};
use crate::statistics::{Lengths, Statistics};
use crate::token_store::{Sequence, TokenStore, TokenWriter};
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

/// Examples one behind the other, in memory or on the disk: `E` examples of together `T` tokens. An example is one sequence, or two where the
/// rows are pairs of a chosen and a rejected answer, which stay together: `S` sequences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prepared {
    /// `T`.
    tokens: TokenStore,
    /// `S + 1`.
    starts: Vec<usize>,
    /// Whether an example is two sequences.
    is_paired: bool,
    /// Whether each answer is wanted, `E`, or empty.
    verdicts: Vec<bool>,
    /// Most tokens of a sequence.
    max_length: usize,
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

    /// Sequences that make one example: 2 for pairs of answers, of which the chosen one comes first.
    pub fn n_sequences(&self) -> usize {
        if self.is_paired { 2 } else { 1 }
    }

    /// Whether the examples are answers with a verdict.
    pub fn is_judged(&self) -> bool {
        !self.verdicts.is_empty()
    }

    /// Tokens of the longest sequence of example `at`; 0 if there is no such example.
    pub fn n_tokens(&self, at: u32) -> usize {
        self.sequences(at).map(|sequence| self.range(sequence).len()).max().unwrap_or(0)
    }

    /// Tokens of all sequences of example `at`.
    fn n_tokens_in_all(&self, at: u32) -> usize {
        self.sequences(at).map(|sequence| self.range(sequence).len()).sum()
    }

    fn sequences(&self, at: u32) -> Range<usize> {
        let (n, first) = (self.n_sequences(), at as usize * self.n_sequences());
        first..first + n
    }

    /// The tokens of a sequence; nothing if there is none.
    fn range(&self, sequence: usize) -> Range<usize> {
        match (self.starts.get(sequence), self.starts.get(sequence + 1)) {
            (Some(from), Some(to)) => *from..*to,
            _ => 0..0,
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
            for range in self.sequences(*at).map(|sequence| self.range(sequence)).filter(|range| !range.is_empty()) {
                let Sequence { ids, trained, token_types } = self.tokens.read(range);
                batch.push(&ids, &trained, Some(&token_types), self.label_ids.get(*at as usize).copied());
            }
            batch.verdicts.extend(self.verdicts.get(*at as usize));
        }
        batch
    }

    /// The prompts of the examples named by `examples`, each with the answer to another one: that of the example that
    /// follows it. What a model holds likely of such pairs is not due to the prompt (Ethayarajh et al., "KTO", 2024).
    pub fn mismatched(&self, examples: &[u32]) -> Batch {
        let mut batch = Batch::default();
        for at in examples.iter().filter(|at| (**at as usize) < self.len()) {
            let (own, other) = (self.range(*at as usize), self.range((*at as usize + 1) % self.len()));
            let (own, other) = (self.tokens.read(own), self.tokens.read(other));
            let (own, own_trained, other, other_trained) = (&own.ids, &own.trained, &other.ids, &other.trained);
            let begin = |trained: &[bool]| trained.iter().position(|t| *t).unwrap_or(trained.len());
            let (prompt, answer) = (own.get(..begin(own_trained)), begin(other_trained));
            let (prompt, said) = (prompt.unwrap_or_default(), other.get(answer..).unwrap_or_default());
            let marks = other_trained.get(answer..).unwrap_or_default();
            let mut ids = [prompt, said].concat();
            let mut trained = [vec![false; prompt.len()].as_slice(), marks].concat();
            ids.truncate(self.max_length);
            trained.truncate(self.max_length);
            batch.push(&ids, &trained, None, None);
        }
        batch
    }

    /// The `n` longest examples, longest first: the batch that needs the most memory.
    pub fn longest(&self, n: usize) -> Vec<u32> {
        let mut by_length: Vec<u32> = (0..self.len() as u32).collect();
        by_length.sort_by_key(|at| (std::cmp::Reverse(self.n_tokens_in_all(*at)), *at));
        by_length.truncate(n);
        by_length
    }

    /// Appends an example of one sequence or two.
    fn push(&mut self, tokens: &mut TokenWriter, row: u32, sequences: &[&Example]) -> Result<()> {
        for sequence in sequences {
            self.push_sequence(tokens, sequence)?;
        }
        self.rows.push(row);
        self.statistics.n_examples += 1;
        Ok(())
    }

    fn push_sequence(&mut self, tokens: &mut TokenWriter, example: &Example) -> Result<()> {
        if self.starts.is_empty() {
            self.starts.push(0);
        }
        tokens.push(example)?;
        self.starts.push(tokens.len());
        self.statistics.n_tokens += example.ids.len() as u64;
        self.statistics.n_trained_tokens += example.n_trained() as u64;
        Ok(())
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
    let is_paired = dataset.kind() == Kind::Preference;
    let prepared = Prepared { is_paired, max_length: options.max_length, ..Prepared::default() };
    let folder = dataset.folder().parent().unwrap_or(dataset.folder());
    let mut collected = Collected { names: Vec::new(), prepared, tokens: TokenWriter::new(folder) };
    for block in rows.chunks(n_threads * ROWS_PER_THREAD) {
        for (row, dressed) in dress_block(dataset, block, tokenizer, options, n_threads)? {
            collected.add(row, dressed, dataset.kind(), tokenizer, options)?;
        }
        progress(PrepareProgress { n_done: collected.prepared.statistics.n_rows, n_rows: rows.len() });
    }
    let Collected { names, mut prepared, tokens } = collected;
    prepared.tokens = tokens.finish()?;
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
) -> Result<Vec<(u32, DressedRow)>> {
    let one = |row: &u32| -> Result<(u32, DressedRow)> {
        let at = *row as usize;
        let record = dataset.row(at)?;
        let verdict = if let Record::Judged(row) = &record { Some(row.label) } else { None };
        let sequences = dress_all(&record, tokenizer, options, false).map_err(|cause| cause.in_row(at))?;
        Ok((*row, DressedRow { sequences, verdict }))
    };
    let pieces = rows.chunks(rows.len().div_ceil(n_threads).max(1));
    if n_threads == 1 {
        return rows.iter().map(one).collect();
    }
    let results: Vec<Result<Vec<(u32, DressedRow)>>> = thread::scope(|scope| {
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

/// A row as tokens: one sequence, or a chosen and a rejected one.
struct DressedRow {
    sequences: Vec<Dressed>,
    verdict: Option<bool>,
}

struct Collected {
    /// Label of each example so far.
    names: Vec<String>,
    prepared: Prepared,
    tokens: TokenWriter,
}

impl Collected {
    fn add(
        &mut self,
        row: u32,
        dressed: DressedRow,
        kind: Kind,
        tokenizer: &Tokenizer,
        options: &PrepareOptions,
    ) -> Result<()> {
        let DressedRow { sequences, verdict } = dressed;
        let label = sequences.iter().find_map(|sequence| sequence.label.clone());
        let (mut examples, mut is_truncated) = (Vec::new(), false);
        for sequence in sequences {
            let cut = sequence.into_examples(kind, options.max_length);
            is_truncated |= cut.is_truncated;
            examples.extend(cut.examples);
        }
        let is_used = |example: &&Example| options.task == Task::Classify || example.n_trained() > 0;
        let mut used: Vec<&Example> = examples.iter().filter(is_used).collect();
        if self.prepared.is_paired && used.len() < examples.len() {
            // One answer teaches nothing without the other.
            used.clear();
        }
        let n_sequences = self.prepared.n_sequences();
        let statistics = &mut self.prepared.statistics;
        statistics.n_rows += 1;
        statistics.n_truncated += usize::from(is_truncated);
        statistics.n_dropped += usize::from(used.is_empty());
        statistics.n_split += usize::from(used.len() > n_sequences);
        statistics.n_end_trained += usize::from(used.last().is_some_and(|example| ends_trained(example, tokenizer)));
        for example in used.chunks(n_sequences) {
            self.prepared.push(&mut self.tokens, row, example)?;
            self.prepared.verdicts.extend(verdict);
            self.names.extend(label.clone());
        }
        Ok(())
    }
}

/// Whether the last learnt token is one that ends an answer.
fn ends_trained(example: &Example, tokenizer: &Tokenizer) -> bool {
    let last = example.ids.iter().zip(&example.trained).rfind(|(_, trained)| **trained);
    last.is_some_and(|(id, _)| tokenizer.stop_ids().contains(id))
}
