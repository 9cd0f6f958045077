//! How many tokens examples amount to for a model, counted once per data set, tokenizer and length, and kept while the
//! program runs: previews and estimates ask again at every change of a form.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use lorikeet_data::{Dataset, Error, Kind, LossOn, PrepareOptions, Prepared, Statistics, Task, Tokenizer, prepare};
use lorikeet_jobs::train::BatchSize;
use lorikeet_models::ModelConfig;

use crate::wire::{ApiError, LengthStatistics};

/// Most rows that are counted; larger data sets are judged by their first rows.
const MOST_COUNTED: usize = 20_000;
/// Counts that are kept.
const MOST_KEPT: usize = 32;
/// Tokenizers that are kept.
const MOST_TOKENIZERS: usize = 4;
/// Bins of the histogram, about.
const BINS: u64 = 24;
/// Longest examples that are kept: no batch has more.
const MOST_LONGEST: usize = 4096;
/// A length no example has: nothing is cut.
const UNCUT: usize = 1 << 40;

/// What examples amount to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Counted {
    /// Rows that were counted, and rows of the data set.
    pub n_rows: u64,
    pub n_rows_all: u64,
    /// Sequences they became, tokens in them after cutting, and trained ones of these.
    pub n_examples: u64,
    pub n_tokens: u64,
    pub n_trained: u64,
    pub n_truncated: u64,
    pub n_dropped: u64,
    pub n_end_trained: u64,
    /// The longest examples after cutting, longest first: tokens of each one's sequences, and supervised ones of them.
    pub longest: Vec<(Vec<usize>, usize)>,
    /// Lengths before cutting.
    pub lengths: LengthStatistics,
}

type Key = (String, String, bool, usize, LossOn);

/// Counts made so far, and the tokenizers they were made with.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    counted: Mutex<HashMap<Key, Arc<Counted>>>,
    tokenizers: Mutex<HashMap<Version, Arc<Tokenizer>>>,
}

/// A model's folder with the sizes and times of the files that make its tokenizer.
type Version = (PathBuf, Vec<Option<(u64, SystemTime)>>);

impl Counts {
    /// The tokenizer in `folder`: a large vocabulary takes longer to read than to use.
    pub fn tokenizer(&self, folder: &Path) -> Result<Arc<Tokenizer>, ApiError> {
        const FILES: [&str; 9] = [
            "tokenizer.json",
            "vocab.txt",
            "vocab.json",
            "merges.txt",
            "tokenizer_config.json",
            "special_tokens_map.json",
            "generation_config.json",
            "config.json",
            "chat_template.jinja",
        ];
        let about = |path: &Path| {
            let about = std::fs::metadata(path).ok()?;
            Some((about.len(), about.modified().ok()?))
        };
        let files = FILES.iter().map(|name| folder.join(name)).chain([folder.to_owned()]);
        let version = (folder.to_owned(), files.map(|path| about(&path)).collect());
        if let Some(known) = self.tokenizers.lock().unwrap_or_else(PoisonError::into_inner).get(&version) {
            return Ok(known.clone());
        }
        let tokenizer = Arc::new(Tokenizer::open(folder)?);
        let mut kept = self.tokenizers.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_TOKENIZERS {
            kept.clear();
        }
        kept.insert(version, tokenizer.clone());
        Ok(tokenizer)
    }

    /// What `dataset` amounts to with `tokenizer` when rows are cut at `max_length` tokens.
    pub fn of(
        &self,
        dataset: &Dataset,
        tokenizer: &Tokenizer,
        (task, loss_on): (Task, LossOn),
        max_length: usize,
    ) -> Result<Arc<Counted>, ApiError> {
        let folder = tokenizer.folder().display().to_string();
        let key = (dataset.hash().to_owned(), folder, task == Task::Classify, max_length, loss_on);
        if let Some(counted) = self.lock().get(&key) {
            return Ok(counted.clone());
        }
        let counted = Arc::new(count(dataset, tokenizer, (task, loss_on), max_length)?);
        let mut kept = self.lock();
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(key, counted.clone());
        Ok(counted)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<Counted>>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task whose rows a kind's are.
pub(crate) fn task_of_kind(kind: Kind) -> Task {
    if kind == Kind::Labelled { Task::Classify } else { Task::Causal }
}

/// A length that the model at `folder` can read.
pub(crate) fn limit(folder: &Path, max_length: u64) -> Result<usize, ApiError> {
    Ok((max_length as usize).min(ModelConfig::read(folder, None)?.max_positions()))
}

fn count(
    dataset: &Dataset,
    tokenizer: &Tokenizer,
    (task, loss_on): (Task, LossOn),
    max_length: usize,
) -> Result<Counted, ApiError> {
    let rows: Vec<u32> = (0..dataset.len().min(MOST_COUNTED) as u32).collect();
    let options = |length| PrepareOptions { loss_on, ..PrepareOptions::new(task, length) };
    let prepared = |length| prepare(dataset, &rows, tokenizer, &options(length), None, &mut |_| {});
    let whole = prepared(UNCUT)?;
    let mut longest = Vec::new();
    let cut = match prepared(max_length) {
        Ok(cut) => {
            longest = longest_of(&cut);
            cut.statistics().clone()
        }
        // Cut so short that nothing is left: every row is cut and dropped.
        Err(Error::NothingToTrain { n_rows, n_dropped, .. }) => {
            Statistics { n_rows, n_dropped, n_truncated: n_dropped, ..Statistics::default() }
        }
        Err(error) => return Err(error.into()),
    };
    let statistics = &cut;
    Ok(Counted {
        n_rows: rows.len() as u64,
        n_rows_all: dataset.len() as u64,
        n_examples: statistics.n_examples as u64,
        n_tokens: statistics.n_tokens,
        n_trained: if task == Task::Classify { statistics.n_examples as u64 } else { statistics.n_trained_tokens },
        n_truncated: statistics.n_truncated as u64,
        n_dropped: statistics.n_dropped as u64,
        n_end_trained: statistics.n_end_trained as u64,
        longest,
        lengths: lengths(&whole),
    })
}

fn longest_of(cut: &Prepared) -> Vec<(Vec<usize>, usize)> {
    let size = |at: u32| {
        let batch = BatchSize::of(&cut.batch(&[at]));
        (batch.sequences, batch.n_supervised)
    };
    cut.longest(MOST_LONGEST).into_iter().map(size).collect()
}

fn lengths(whole: &Prepared) -> LengthStatistics {
    let of = |at: u32| whole.n_tokens(at) as u64;
    let longest_example = (0..whole.len() as u32).max_by_key(|at| (of(*at), std::cmp::Reverse(*at)));
    let longest = longest_example.map_or(0, of);
    let bin_width = round_width(longest);
    let mut bins = vec![0; longest.div_ceil(bin_width).max(1) as usize];
    for at in 0..whole.len() as u32 {
        let last = bins.len() - 1;
        bins[((of(at) / bin_width) as usize).min(last)] += 1;
    }
    LengthStatistics {
        median: whole.statistics().lengths.p50 as u64,
        p95: whole.statistics().lengths.p95 as u64,
        longest,
        longest_row: longest_example.and_then(|at| whole.row(at)).unwrap_or_default().into(),
        bin_width,
        bins,
    }
}

/// A width of 1, 2 or 5 times a power of ten (or of 16 from there on) that makes about [`BINS`] bins.
fn round_width(longest: u64) -> u64 {
    let least = longest.div_ceil(BINS).max(1);
    [1, 2, 4, 5, 8, 10, 16, 20, 25, 32, 50, 64, 100, 128, 200, 256, 500, 512, 1000, 2000, 5000, 10_000, 50_000]
        .into_iter()
        .find(|width| *width >= least)
        .unwrap_or(least)
}
