//! One record as tokens: dressed by the model's template or laid out by its tokenizer, with what is learnt marked.

use crate::error::{Error, Result};
use crate::example::{Example, Task};
use crate::mask;
use crate::record::{Chat, Kind, Labelled, Prompt, Record};
use crate::tokenizer::{Encoded, Tokenizer};

/// What of a row is learnt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LossOn {
    /// The last answer of a conversation, the completion of a prompt.
    Completion,
    /// Every answer of a conversation, the completion of a prompt.
    #[default]
    Assistant,
    /// Everything, the prompts too.
    All,
}

/// How rows become examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrepareOptions {
    /// What is learnt.
    pub task: Task,
    /// Most tokens of a sequence.
    pub max_length: usize,
    /// The time that chat templates which print the date see (seconds since 1970, UTC); a run stores it, so that a resumed
    /// run makes the same tokens. Without it, this computer's clock.
    pub now_unix_s: Option<i64>,
    /// What is learnt of a conversation or a prompt; plain text is always learnt whole.
    pub loss_on: LossOn,
    /// Threads to tokenize with; 0 for as many as this computer has.
    pub n_threads: usize,
}

impl PrepareOptions {
    /// Options for `task` with sequences of at most `max_length` tokens.
    pub fn new(task: Task, max_length: usize) -> PrepareOptions {
        PrepareOptions { task, max_length, now_unix_s: None, loss_on: LossOn::default(), n_threads: 0 }
    }
}

/// A whole row as tokens, before it is cut.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dressed {
    pub(crate) ids: Vec<u32>,
    pub(crate) trained: Vec<bool>,
    pub(crate) token_types: Vec<u32>,
    /// The text each token stands for; empty for a classifier's rows, and where nobody looks at it.
    pub(crate) pieces: Vec<String>,
    wants_pieces: bool,
    pub(crate) label: Option<String>,
    pub(crate) is_truncated: bool,
}

/// Turns one record into tokens, with their texts if `wants_pieces`. Only a classifier's rows are already cut to
/// `max_length`. Of a preference it is the chosen answer.
pub(crate) fn dress(
    record: &Record,
    tokenizer: &Tokenizer,
    options: &PrepareOptions,
    wants_pieces: bool,
) -> Result<Dressed> {
    let dressed = Dressed { wants_pieces, ..Dressed::default() };
    match (record, options.task) {
        (Record::Labelled(row), Task::Classify) => labelled(row, tokenizer, options.max_length),
        (_, Task::Classify) => Err(Error::KindDoesNotSuit {
            kind: record.kind(),
            task: "train a classifier",
            hint: "a classifier needs a text and a label in each row; to learn from these rows, choose the task `causal`",
        }),
        (Record::Labelled(_), Task::Causal) => Err(Error::KindDoesNotSuit {
            kind: Kind::Labelled,
            task: "train a language model",
            hint: "to learn the labels, choose the task `classify`",
        }),
        (Record::Chat(row), Task::Causal) => chat(dressed, row, tokenizer, options),
        (Record::Prompt(row), Task::Causal) => prompt(dressed, row, tokenizer, options.loss_on),
        (Record::Text(row), Task::Causal) => text(dressed, &row.text, tokenizer),
        (Record::Preference(row), Task::Causal) => {
            let [chosen, _] = row.answers();
            dress(&chosen, tokenizer, options, wants_pieces)
        }
        (Record::Judged(row), Task::Causal) => dress(&row.answer(), tokenizer, options, wants_pieces),
    }
}

/// The sequences of one record, with their texts if `wants_pieces`: the chosen and the rejected answer of a preference, one
/// of everything else.
pub(crate) fn dress_all(
    record: &Record,
    tokenizer: &Tokenizer,
    options: &PrepareOptions,
    wants_pieces: bool,
) -> Result<Vec<Dressed>> {
    let answers_only = PrepareOptions { loss_on: LossOn::Assistant, ..*options };
    match (record, options.task) {
        (Record::Judged(row), Task::Causal) => Ok(vec![dress(&row.answer(), tokenizer, &answers_only, wants_pieces)?]),
        (Record::Preference(row), Task::Causal) => {
            row.answers().iter().map(|answer| dress(answer, tokenizer, &answers_only, wants_pieces)).collect()
        }
        _ => Ok(vec![dress(record, tokenizer, options, wants_pieces)?]),
    }
}

fn labelled(row: &Labelled, tokenizer: &Tokenizer, max_length: usize) -> Result<Dressed> {
    let input = tokenizer.encode_for_classifier(&row.text, row.text_pair.as_deref(), max_length)?;
    Ok(Dressed {
        trained: vec![false; input.ids.len()],
        ids: input.ids,
        token_types: input.token_types,
        label: Some(row.label.clone()),
        is_truncated: input.is_truncated,
        ..Dressed::default()
    })
}

fn chat(mut dressed: Dressed, row: &Chat, tokenizer: &Tokenizer, options: &PrepareOptions) -> Result<Dressed> {
    let end_of_turn = tokenizer.end_of_turn();
    let rendered =
        mask::render(tokenizer.template(), row, end_of_turn.map(|token| token.text.as_str()), options.now_unix_s)?;
    let spans = match (options.loss_on, rendered.spans.as_slice()) {
        (LossOn::Completion, [.., last]) => vec![*last],
        (LossOn::All, _) => vec![(0, rendered.text.len())],
        (_, spans) => spans.to_vec(),
    };
    dressed.push_spans(tokenizer, &rendered.text, &spans, true)?;
    let ends_with_answer = row.messages.last().is_some_and(|message| message.is_trained());
    if end_of_turn.is_none() && ends_with_answer {
        dressed.push_end(tokenizer);
    }
    Ok(dressed)
}

fn prompt(mut dressed: Dressed, row: &Prompt, tokenizer: &Tokenizer, loss_on: LossOn) -> Result<Dressed> {
    let text = format!("{}{}", row.prompt, row.completion);
    dressed.push_spans(
        tokenizer,
        &text,
        &[(if loss_on == LossOn::All { 0 } else { row.prompt.len() }, text.len())],
        false,
    )?;
    dressed.push_end(tokenizer);
    Ok(dressed)
}

fn text(mut dressed: Dressed, text: &str, tokenizer: &Tokenizer) -> Result<Dressed> {
    let encoded = tokenizer.encode_open(text)?;
    dressed.push(&encoded, text, |_, _| true);
    dressed.push_end(tokenizer);
    Ok(dressed)
}

/// Whether a token begins before byte `place` and ends behind it.
fn straddles(encoded: &Encoded, place: usize) -> bool {
    ranges(encoded).any(|(from, to)| from < place && place < to)
}

/// The bytes each token stands for, blanks that belong to no token counted with the token after them. Tokens that share
/// a character have the same range.
fn ranges(encoded: &Encoded) -> impl Iterator<Item = (usize, usize)> {
    let mut before = 0;
    encoded.starts.iter().zip(&encoded.ends).map(move |(start, end)| {
        let from = before.min(*start);
        before = before.max(*end);
        (from, *end)
    })
}

impl Dressed {
    /// Encodes `text` in one go, as it is at inference, and marks the tokens inside `spans`. What a template rendered
    /// brings its own special tokens. Where a token would reach over the beginning of a span, the text is encoded in two
    /// pieces there: at inference the prompt ends at that place.
    fn push_spans(
        &mut self,
        tokenizer: &Tokenizer,
        text: &str,
        spans: &[(usize, usize)],
        is_rendered: bool,
    ) -> Result<()> {
        let encode = |text: &str| if is_rendered { tokenizer.encode(text, false) } else { tokenizer.encode_open(text) };
        let whole = encode(text)?;
        if !spans.iter().any(|span| straddles(&whole, span.0)) {
            self.push(&whole, text, |from, to| spans.iter().any(|span| to > span.0 && from < span.1));
            return Ok(());
        }
        let (mut at, mut trained_to) = (0, 0);
        for span in spans.iter().copied().chain([(text.len(), text.len())]) {
            let piece = text.get(at..span.0).unwrap_or_default();
            let encoded = if at == 0 { encode(piece)? } else { tokenizer.encode_continuation(piece)? };
            self.push(&encoded, piece, |from, to| to > 0 && from < trained_to);
            (at, trained_to) = (span.0, span.1 - span.0);
        }
        Ok(())
    }

    fn push(&mut self, encoded: &Encoded, text: &str, is_trained: impl Fn(usize, usize) -> bool) {
        let mut shown = 0;
        for (id, (from, to)) in encoded.ids.iter().zip(ranges(encoded)) {
            self.ids.push(*id);
            self.trained.push(is_trained(from, to));
            if self.wants_pieces {
                self.pieces.push(text.get(shown..to.max(shown)).unwrap_or_default().to_owned());
                shown = shown.max(to);
            }
        }
    }

    /// Adds the token that ends a text, trained, unless the tokens already end with it.
    fn push_end(&mut self, tokenizer: &Tokenizer) {
        let Some(eos) = tokenizer.eos() else { return };
        match (self.ids.last(), self.trained.last_mut()) {
            (Some(last), Some(trained)) if *last == eos.id => *trained = true,
            _ => {
                self.ids.push(eos.id);
                self.trained.push(true);
                if self.wants_pieces {
                    self.pieces.push(eos.text.clone());
                }
            }
        }
    }

    /// Cuts the row at `max_length` tokens: plain text into sequences that overlap by one token, so that every token but
    /// the first is predicted once; everything else at the end.
    pub(crate) fn into_examples(mut self, kind: Kind, max_length: usize) -> Cut {
        let is_long = self.ids.len() > max_length;
        if kind == Kind::Text && is_long {
            let step = max_length.saturating_sub(1).max(1);
            let n_windows = (self.ids.len() - 1).div_ceil(step);
            let window = |nth: usize| {
                let (from, to) = (nth * step, (nth * step + max_length).min(self.ids.len()));
                Example {
                    ids: self.ids.get(from..to).unwrap_or_default().to_vec(),
                    trained: self.trained.get(from..to).unwrap_or_default().to_vec(),
                    token_types: Vec::new(),
                    label: None,
                }
            };
            return Cut { examples: (0..n_windows).map(window).collect(), is_truncated: false };
        }
        self.ids.truncate(max_length);
        self.trained.truncate(max_length);
        let example = Example { ids: self.ids, trained: self.trained, token_types: self.token_types, label: None };
        Cut { examples: vec![example], is_truncated: is_long || self.is_truncated }
    }
}

/// What a row became once it was cut.
#[derive(Debug)]
pub(crate) struct Cut {
    pub(crate) examples: Vec<Example>,
    pub(crate) is_truncated: bool,
}
