//! Rows as the model sees them, token by token, for a person to look at.

use std::ops::Range;

use crate::dataset::Dataset;
use crate::dress::{Dressed, PrepareOptions, dress_all};
use crate::error::Result;
use crate::tokenizer::Tokenizer;

/// One token of a previewed row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviewToken {
    /// The text it stands for; empty for the later tokens of a character that takes several.
    pub text: String,
    /// Its id.
    pub id: u32,
    /// Whether it is learnt.
    pub trained: bool,
    /// Whether it is a special token.
    pub special: bool,
}

/// A row as the model sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviewRow {
    /// The row, counted from 0.
    pub row: usize,
    /// Its tokens, at most the maximum length; of a preference, those of the chosen answer.
    pub tokens: Vec<PreviewToken>,
    /// The rejected answer of a preference, in the same way.
    pub rejected: Option<Vec<PreviewToken>>,
    /// Tokens of the whole row, before it was cut; of a preference, those of its longer answer.
    pub n_tokens: usize,
    /// Whether the row was cut.
    pub is_truncated: bool,
    /// The label of a classifier's row.
    pub label: Option<String>,
}

/// The rows of `range` (cut to what there is) as they enter training.
pub fn preview(
    dataset: &Dataset,
    range: Range<usize>,
    tokenizer: &Tokenizer,
    options: &PrepareOptions,
) -> Result<Vec<PreviewRow>> {
    let one = |row: usize| {
        let record = dataset.row(row)?;
        let dressed = dress_all(&record, tokenizer, options, true).map_err(|cause| cause.in_row(row))?;
        let n_tokens = dressed.iter().map(|sequence| sequence.ids.len()).max().unwrap_or_default();
        let is_truncated = n_tokens > options.max_length || dressed.iter().any(|sequence| sequence.is_truncated);
        let label = dressed.first().and_then(|sequence| sequence.label.clone());
        let mut shown = dressed.iter().map(|sequence| tokens_of(sequence, tokenizer, options.max_length));
        let (tokens, rejected) = (shown.next().unwrap_or_default(), shown.next());
        Ok(PreviewRow { row, tokens, rejected, n_tokens, is_truncated, label })
    };
    (range.start..range.end.min(dataset.len())).map(one).collect()
}

fn tokens_of(dressed: &Dressed, tokenizer: &Tokenizer, max_length: usize) -> Vec<PreviewToken> {
    let token = |(at, id): (usize, &u32)| PreviewToken {
        text: dressed.pieces.get(at).cloned().unwrap_or_else(|| tokenizer.token_text(*id)),
        id: *id,
        trained: at > 0 && dressed.trained.get(at).copied().unwrap_or(false),
        special: tokenizer.is_special(*id),
    };
    dressed.ids.iter().enumerate().take(max_length).map(token).collect()
}
