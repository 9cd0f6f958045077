//! From scores to a token: penalties, temperature, truncation, and a draw that a seed repeats.
//!
//! The n-th token of a seed draws the n-th number of a counter-based stream, so that the same seed gives the same text
//! whatever the number of threads, and an answer can be taken up in its middle. `candle_transformers`' `LogitsProcessor`
//! does not serve here: its generator is advanced in place (the n-th draw depends on every draw before it), top-k and
//! top-p are chosen by variant rather than together, and it has neither penalties nor a floor relative to the best token.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap, HashSet};

use lorikeet_models::random::Stream;

use crate::{GenerateError, Result};

/// Scores that are compared at a time.
const LANES: usize = 16;

/// The stream of a seed that belongs to sampling.
const STREAM: u64 = 0x7361_6d70_6c65;

/// How the next token is chosen. Steps apply in the order of the fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Divides positive scores of tokens already in the prompt or the answer and multiplies negative ones
    /// (Keskar et al., 2019). 1: off. Above 0.
    pub repetition_penalty: f64,
    /// Taken from the score of a token for each time it stands in the answer. 0: off.
    pub frequency_penalty: f64,
    /// Taken from the score of a token that stands in the answer. 0: off.
    pub presence_penalty: f64,
    /// Divides the scores. 0 takes the likeliest token each time (of equals the one with the smallest id).
    pub temperature: f64,
    /// Only so many likeliest tokens, at least 1. None: all.
    pub top_k: Option<usize>,
    /// Only the likeliest tokens that together have at least this share of what `top_k` left (Holtzman et al., 2020).
    /// 1: all. Above 0, at most 1.
    pub top_p: f64,
    /// Only tokens at least this fraction as likely as the likeliest. 0: all. Below 1.
    pub min_p: f64,
    /// Same seed, same answer.
    pub seed: u64,
}

impl Default for Sampling {
    /// Greedy.
    fn default() -> Self {
        Self {
            repetition_penalty: 1.0,
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            temperature: 0.0,
            top_k: None,
            top_p: 1.0,
            min_p: 0.0,
            seed: 0,
        }
    }
}

impl Sampling {
    /// Whether every setting is in its range.
    ///
    /// # Errors
    /// [`GenerateError::Setting`] names the first one that is not.
    pub fn check(&self) -> Result<()> {
        let rule = |name, value: f64, fits: bool, expected| {
            let found = value.to_string();
            if value.is_finite() && fits { Ok(()) } else { Err(GenerateError::Setting { name, expected, found }) }
        };
        rule("repetition_penalty", self.repetition_penalty, self.repetition_penalty > 0.0, "above 0")?;
        rule("frequency_penalty", self.frequency_penalty, true, "a number")?;
        rule("presence_penalty", self.presence_penalty, true, "a number")?;
        rule("temperature", self.temperature, self.temperature >= 0.0, "0 or above")?;
        rule("top_k", self.top_k.map_or(1.0, |k| k as f64), self.top_k != Some(0), "at least 1")?;
        rule("top_p", self.top_p, self.top_p > 0.0 && self.top_p <= 1.0, "above 0 and at most 1")?;
        rule("min_p", self.min_p, (0.0..1.0).contains(&self.min_p), "at least 0 and below 1")
    }

    /// The tokens that may be drawn and the probability of each: what temperature and truncation make of scores (V). The
    /// likeliest comes first where anything truncates, else ids ascend. At temperature 0 it is the likeliest one alone.
    pub fn distribution(&self, logits: &[f32]) -> Vec<(u32, f64)> {
        let Some(best) = best(logits) else { return Vec::new() };
        if self.temperature == 0.0 {
            return vec![(best.id, 1.0)];
        }
        let weight = |logit: f32| ((f64::from(logit) - f64::from(best.logit)) / self.temperature).exp();
        let truncates = self.top_k.is_some() || self.top_p < 1.0 || self.min_p > 0.0;
        let mut kept: Vec<(u32, f64)> = if truncates {
            self.likeliest(logits, weight)
        } else {
            (0..).zip(logits).map(|(id, logit)| (id, weight(*logit))).collect()
        };
        let mass: f64 = kept.iter().map(|(_, weight)| weight).sum();
        kept.iter_mut().for_each(|(_, weight)| *weight /= mass);
        kept
    }

    /// What top-k, top-p and min-p leave, the likeliest first, with weights relative to the likeliest. A heap gives out
    /// only as many as are kept: a large vocabulary is not sorted for each token.
    fn likeliest(&self, logits: &[f32], weight: impl Fn(f32) -> f64) -> Vec<(u32, f64)> {
        let mut heap: BinaryHeap<Scored> = scored(logits).collect();
        let descending = std::iter::from_fn(|| heap.pop()).map(|s| (s.id, weight(s.logit)));
        match self.top_k {
            Some(k) => {
                let first: Vec<(u32, f64)> = descending.take(k).collect();
                let mass = first.iter().map(|(_, w)| w).sum();
                self.nucleus(first.into_iter(), mass)
            }
            None => self.nucleus(descending, logits.iter().map(|logit| weight(*logit)).sum()),
        }
    }

    /// The first of `tokens` that together reach `top_p` of `mass`, as long as they are likely enough for `min_p`.
    fn nucleus(&self, tokens: impl Iterator<Item = (u32, f64)>, mass: f64) -> Vec<(u32, f64)> {
        let share = if self.top_p < 1.0 { self.top_p * mass } else { f64::INFINITY };
        let mut before = 0.0;
        let is_kept = |(_, w): &(u32, f64)| {
            let is_kept = before < share && *w >= self.min_p;
            before += w;
            is_kept
        };
        tokens.take_while(is_kept).collect()
    }
}

/// Chooses the tokens of one answer, one after the other.
#[derive(Clone, Debug)]
pub struct Sampler {
    settings: Sampling,
    stream: Stream,
    prompt: HashSet<u32>,
    /// How often each token stands in the answer.
    written: HashMap<u32, u32>,
    n_chosen: u64,
}

impl Sampler {
    /// A sampler for the answer to `prompt`.
    ///
    /// # Errors
    /// Where a setting is out of its range.
    pub fn new(settings: &Sampling, prompt: &[u32]) -> Result<Self> {
        settings.check()?;
        Ok(Self {
            stream: Stream::new(settings.seed, STREAM),
            settings: settings.clone(),
            prompt: prompt.iter().copied().collect(),
            written: HashMap::new(),
            n_chosen: 0,
        })
    }

    /// Chooses the next token from its scores (V). None where the scores hold no number to choose by.
    pub fn choose(&mut self, mut logits: Vec<f32>) -> Option<u32> {
        if is_no_score(&logits) {
            return None;
        }
        self.penalise(&mut logits);
        let best = best(&logits).filter(|best| best.logit > f32::NEG_INFINITY)?;
        let draw = self.draw();
        let id = if self.settings.temperature == 0.0 {
            best.id
        } else {
            let mut sum = 0.0;
            let passes = |(_, probability): &&(u32, f64)| {
                sum += probability;
                draw < sum
            };
            self.settings.distribution(&logits).iter().find(passes).map_or(best.id, |(id, _)| *id)
        };
        self.n_chosen += 1;
        *self.written.entry(id).or_default() += 1;
        Some(id)
    }

    /// The number that belongs to this token: uniform in `[0, 1)`, with 53 bits.
    fn draw(&self) -> f64 {
        let [high, low, ..] = self.stream.block(self.n_chosen);
        let bits = (u64::from(high) << 21) | (u64::from(low) >> 11);
        bits as f64 / (1u64 << 53) as f64
    }

    fn penalise(&self, logits: &mut [f32]) {
        let s = &self.settings;
        if s.repetition_penalty != 1.0 {
            for id in self.prompt.iter().chain(self.written.keys().filter(|id| !self.prompt.contains(id))) {
                if let Some(logit) = logits.get_mut(*id as usize) {
                    let penalty = s.repetition_penalty as f32;
                    *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
                }
            }
        }
        for (id, n) in &self.written {
            if let Some(logit) = logits.get_mut(*id as usize) {
                *logit -= (s.frequency_penalty * f64::from(*n) + s.presence_penalty) as f32;
            }
        }
    }
}

/// A token with its score; the greatest has the highest score and, of equals, the smallest id.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Scored {
    logit: f32,
    id: u32,
}

impl Eq for Scored {}

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> Ordering {
        // Negative zero is zero: `total_cmp` alone would tell them apart.
        (self.logit + 0.0).total_cmp(&(other.logit + 0.0)).then(Reverse(self.id).cmp(&Reverse(other.id)))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn scored(logits: &[f32]) -> impl Iterator<Item = Scored> {
    (0..).zip(logits).map(|(id, logit)| Scored { logit: *logit, id })
}

/// The highest score and, of equals, the smallest id; two passes, which processors do many scores at a time.
fn best(logits: &[f32]) -> Option<Scored> {
    let (chunks, rest) = logits.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (lane, logit) in lanes.iter_mut().zip(chunk) {
            *lane = if *logit > *lane { *logit } else { *lane };
        }
    }
    let highest = lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |most, logit| most.max(*logit));
    scored(logits).find(|scored| scored.logit == highest)
}

/// Whether a score cannot be compared with others, or leaves them no share.
fn is_no_score(logits: &[f32]) -> bool {
    let is_bad = |logit: &f32| logit.is_nan() | (*logit == f32::INFINITY);
    logits.chunks(LANES * LANES).any(|chunk| chunk.iter().fold(false, |found, logit| found | is_bad(logit)))
}

#[cfg(test)]
mod tests;
