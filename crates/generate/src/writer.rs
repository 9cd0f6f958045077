//! An answer in the making, without the model: takes the scores of each next token, says which token to read next, and
//! hands out text as soon as it is certain.

use crate::{GenerateError, GenerateSettings, Result, Sampler, StopReason, StopTexts};

/// Why tokens do not become text, as the tokenizer says it.
pub type DecodeError = Box<dyn std::error::Error + Send + Sync>;

/// Turns tokens that arrive one by one into text: a tokenizer's streaming decoder.
pub trait TextDecoder {
    /// Adds a token; gives the text that became readable, if any.
    ///
    /// # Errors
    /// Where the tokenizer cannot decode.
    fn push(&mut self, id: u32) -> std::result::Result<Option<String>, DecodeError>;

    /// The text that is left at the end: characters that never became whole.
    ///
    /// # Errors
    /// Where the tokenizer cannot decode.
    fn finish(self) -> std::result::Result<Option<String>, DecodeError>;
}

/// What comes after a token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    /// Text to give out now, often empty.
    pub(crate) text: String,
    /// The token to read next, or why there is none.
    pub(crate) next: std::result::Result<u32, StopReason>,
}

/// An answer in the making.
pub(crate) struct Writer<'a, D> {
    settings: &'a GenerateSettings,
    decoder: D,
    sampler: Sampler,
    stops: StopTexts,
    n_prompt: usize,
    /// Most tokens of this answer: what was asked for, or what the model has places for.
    room: usize,
    ids: Vec<u32>,
}

impl<'a, D: TextDecoder> Writer<'a, D> {
    /// An answer to `prompt` by a model that reads texts of `limit` tokens.
    pub(crate) fn new(settings: &'a GenerateSettings, prompt: &[u32], limit: usize, decoder: D) -> Result<Self> {
        settings.check()?;
        match prompt.len() {
            0 => return Err(GenerateError::EmptyPrompt),
            n_tokens if n_tokens >= limit => return Err(GenerateError::PromptTooLong { n_tokens, limit }),
            _ => {}
        }
        Ok(Self {
            sampler: Sampler::new(&settings.sampling, prompt)?,
            stops: StopTexts::new(&settings.stop_texts),
            n_prompt: prompt.len(),
            room: settings.max_tokens.min(limit - prompt.len()),
            ids: Vec::new(),
            settings,
            decoder,
        })
    }

    /// Most tokens of this answer.
    pub(crate) fn room(&self) -> usize {
        self.room
    }

    /// Tokens written so far.
    pub(crate) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Chooses a token from its scores (V).
    pub(crate) fn step(&mut self, logits: Vec<f32>) -> Result<Step> {
        let position = self.n_prompt + self.ids.len();
        let id = self.sampler.choose(logits).ok_or(GenerateError::NotANumber { position })?;
        if self.settings.stop_ids.contains(&id) {
            return Ok(Step { text: String::new(), next: Err(StopReason::Stop) });
        }
        self.ids.push(id);
        let readable = self.decoder.push(id).map_err(GenerateError::Text)?.unwrap_or_default();
        let held = self.stops.push(&readable);
        let next = match (held.is_stopped, self.ids.len() >= self.room) {
            (true, _) => Err(StopReason::Stop),
            (false, true) => Err(StopReason::Length),
            (false, false) => Ok(id),
        };
        Ok(Step { text: held.text, next })
    }

    /// What is left at the end of an answer that ended because of `reason`.
    pub(crate) fn finish(mut self, reason: StopReason) -> Result<Rest> {
        let readable = self.decoder.finish().map_err(GenerateError::Text)?.unwrap_or_default();
        let held = self.stops.push(&readable);
        let reason = if held.is_stopped { StopReason::Stop } else { reason };
        Ok(Rest { text: held.text + &self.stops.finish(), ids: self.ids, reason })
    }
}

/// What is left at the end of an answer.
pub(crate) struct Rest {
    /// Text not given out before.
    pub(crate) text: String,
    /// Every token of the answer.
    pub(crate) ids: Vec<u32>,
    /// Why it ended; the left-over text may hold a stop text after all.
    pub(crate) reason: StopReason,
}
