//! One answer by one model: the prompt is read in pieces, then token after token, until something ends it.

use std::time::Instant;

use lorikeet_models::{Backend, KeyValueCache, Model};

use crate::writer::Writer;
use crate::{GenerateSettings, Result, TextDecoder};

/// Tokens of a prompt that are read at once: bounds the memory of a long prompt and lets a listener end it early.
const PROMPT_PIECE_TOKENS: usize = 128;

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// The model ended its turn, or a stop text came.
    Stop,
    /// The longest answer, or the model's longest text, was reached.
    Length,
    /// The listener wanted no more.
    Cancelled,
}

/// How far an answer has come. There is one after each piece of the prompt and one after each token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update<'a> {
    /// Text to append; empty while nothing new is certain.
    pub text: &'a str,
    /// Tokens of the prompt read so far.
    pub n_prompt_read: usize,
    /// Tokens written so far.
    pub n_tokens: usize,
    /// Speed since the first token, 0 until the second.
    pub tokens_per_s: f64,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What was written, without the stop text that ended it.
    pub text: String,
    /// The tokens written: those that spell a stop text are among them, the token that ended the answer is not.
    pub ids: Vec<u32>,
    /// Tokens of the prompt.
    pub n_prompt_tokens: usize,
    /// Why it ended.
    pub stop_reason: StopReason,
    /// Seconds until the first token was chosen; all of them where none was.
    pub first_token_s: f64,
    /// Seconds of all of it.
    pub seconds: f64,
    /// Speed of writing since the first token, 0 for fewer than two.
    pub tokens_per_s: f64,
}

impl Answer {
    /// Tokens written.
    pub fn n_tokens(&self) -> usize {
        self.ids.len()
    }
}

/// Continues `prompt` (T token ids) with `model`. `sink` hears of each [`Update`] and ends the answer by returning false;
/// what was written until then is the answer.
///
/// # Errors
/// Where a setting is out of its range, the prompt is empty or leaves no place for an answer, the model is a classifier or
/// computes no numbers, or the decoder refuses a token.
pub fn generate<B: Backend, D: TextDecoder>(
    model: &Model<B>,
    prompt: &[u32],
    settings: &GenerateSettings,
    decoder: D,
    sink: &mut dyn FnMut(Update<'_>) -> bool,
) -> Result<Answer> {
    let mut writer = Writer::new(settings, prompt, model.config().max_positions(), decoder)?;
    let mut told = Told { sink, text: String::new(), clock: Clock::start(), n_prompt_read: 0 };
    let stop_reason =
        if writer.room() == 0 { StopReason::Length } else { write(model, prompt, &mut writer, &mut told)? };
    let rest = writer.finish(stop_reason)?;
    if !rest.text.is_empty() && stop_reason != StopReason::Cancelled {
        told.tell(&rest.text, rest.ids.len());
    } else {
        told.text.push_str(&rest.text);
    }
    let Told { text, clock, .. } = told;
    let seconds = clock.seconds();
    Ok(Answer {
        text,
        n_prompt_tokens: prompt.len(),
        stop_reason: rest.reason,
        first_token_s: clock.first_token_s.unwrap_or(seconds),
        seconds,
        tokens_per_s: clock.tokens_per_s(rest.ids.len()),
        ids: rest.ids,
    })
}

/// Reads the prompt and writes until something ends the answer.
fn write<B: Backend, D: TextDecoder>(
    model: &Model<B>,
    prompt: &[u32],
    writer: &mut Writer<'_, D>,
    told: &mut Told<'_>,
) -> Result<StopReason> {
    let mut cache = model.cache(prompt.len() + writer.room())?;
    let mut logits = Vec::new();
    for piece in prompt.chunks(PROMPT_PIECE_TOKENS) {
        logits = read(model, piece, &mut cache)?;
        told.n_prompt_read += piece.len();
        if !told.tell("", 0) {
            return Ok(StopReason::Cancelled);
        }
    }
    loop {
        let step = writer.step(logits)?;
        told.clock.token();
        let is_wanted = told.tell(&step.text, writer.ids().len());
        match step.next {
            Err(reason) => return Ok(reason),
            Ok(_) if !is_wanted => return Ok(StopReason::Cancelled),
            Ok(id) => logits = read(model, &[id], &mut cache)?,
        }
    }
}

/// Reads `ids` on the device's own threads: scores of the token that follows (V).
fn read<B: Backend>(model: &Model<B>, ids: &[u32], cache: &mut KeyValueCache<B>) -> Result<Vec<f32>> {
    Ok(model.backend().run(|| model.next_logits(ids, cache))?)
}

/// The listener, and what it was told.
struct Told<'s> {
    sink: &'s mut dyn FnMut(Update<'_>) -> bool,
    text: String,
    clock: Clock,
    n_prompt_read: usize,
}

impl Told<'_> {
    fn tell(&mut self, text: &str, n_tokens: usize) -> bool {
        self.text.push_str(text);
        let tokens_per_s = self.clock.tokens_per_s(n_tokens);
        (self.sink)(Update { text, n_prompt_read: self.n_prompt_read, n_tokens, tokens_per_s })
    }
}

struct Clock {
    start: Instant,
    first_token_s: Option<f64>,
}

impl Clock {
    fn start() -> Self {
        Self { start: Instant::now(), first_token_s: None }
    }

    fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    fn token(&mut self) {
        let now = self.seconds();
        self.first_token_s.get_or_insert(now);
    }

    fn tokens_per_s(&self, n_tokens: usize) -> f64 {
        let since = self.first_token_s.map_or(0.0, |first| self.seconds() - first);
        if n_tokens < 2 || since <= 0.0 { 0.0 } else { (n_tokens - 1) as f64 / since }
    }
}
