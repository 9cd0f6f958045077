//! Answers of the small llama of the shared test material, with its own tokenizer.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "lints count only test functions as tests, not what they call"
)]

use std::path::PathBuf;

use lorikeet_generate::{
    Answer, DecodeError, GenerateError, GenerateSettings, Sampling, StopReason, TextDecoder, Update, generate,
};
use lorikeet_models::{Backend, Composed, Fused, Model};
use tokenizers::Tokenizer;

/// The model's folder, or nothing where the shared material is not here; on the build machine it must be.
fn folder() -> Option<PathBuf> {
    let shared = std::env::var_os("LORIKEET_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")), PathBuf::from);
    let folder = shared.join("gguf/tiny-llama-hf");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none(), "no test material at `{}`", folder.display());
    println!("skipped: no test material at `{}`", folder.display());
    None
}

/// Decodes all tokens again after each one and gives what is new.
struct Whole<'a> {
    tokenizer: &'a Tokenizer,
    ids: Vec<u32>,
    n_given: usize,
}

impl Whole<'_> {
    fn new(tokenizer: &Tokenizer) -> Whole<'_> {
        Whole { tokenizer, ids: Vec::new(), n_given: 0 }
    }

    fn advance(&mut self, is_last: bool) -> Result<Option<String>, DecodeError> {
        let text = self.tokenizer.decode(&self.ids, true)?;
        let new = text[self.n_given..].to_owned();
        if new.is_empty() || (new.ends_with('\u{fffd}') && !is_last) {
            return Ok(None);
        }
        self.n_given = text.len();
        Ok(Some(new))
    }
}

impl TextDecoder for Whole<'_> {
    fn push(&mut self, id: u32) -> Result<Option<String>, DecodeError> {
        self.ids.push(id);
        self.advance(false)
    }

    fn finish(mut self) -> Result<Option<String>, DecodeError> {
        self.advance(true)
    }
}

struct Bench<B: Backend> {
    model: Model<B>,
    tokenizer: Tokenizer,
}

fn bench() -> Option<Bench<Fused>> {
    bench_on(Fused::new(2).unwrap())
}

fn bench_on<B: Backend>(backend: B) -> Option<Bench<B>> {
    let folder = folder()?;
    let tokenizer = Tokenizer::from_file(folder.join("tokenizer.json")).unwrap();
    Some(Bench { model: Model::open(backend, &folder).unwrap(), tokenizer })
}

impl<B: Backend> Bench<B> {
    fn prompt(&self, text: &str) -> Vec<u32> {
        self.tokenizer.encode(text, false).unwrap().get_ids().to_vec()
    }

    fn answer(&self, prompt: &[u32], settings: &GenerateSettings) -> Answer {
        generate(&self.model, prompt, settings, Whole::new(&self.tokenizer), &mut |_| true).unwrap()
    }
}

impl<B: Backend> Bench<B> {
    /// The likeliest tokens, the whole text read at once for each.
    fn greedy(&self, prompt: &[u32], n: usize) -> Vec<u32> {
        let mut ids = prompt.to_vec();
        for _ in 0..n {
            let mut cache = self.model.cache(ids.len()).unwrap();
            let logits = self.model.next_logits(&ids, &mut cache).unwrap();
            ids.push((0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap() as u32);
        }
        ids.split_off(prompt.len())
    }
}

const PROMPT: &str = "<|im_start|>user\nTell me about birds<|im_end|>\n<|im_start|>assistant\n";

fn length(max_tokens: usize) -> GenerateSettings {
    GenerateSettings { max_tokens, ..GenerateSettings::default() }
}

fn warm(seed: u64, max_tokens: usize) -> GenerateSettings {
    let sampling = Sampling { temperature: 1.0, top_p: 0.95, seed, ..Sampling::default() };
    GenerateSettings { sampling, ..length(max_tokens) }
}

#[test]
fn greedy_answers_equal_reading_the_whole_text_again_for_each_token() {
    let Some(bench) = bench() else { return };
    let prompt = bench.prompt(PROMPT);
    let answer = bench.answer(&prompt, &length(24));
    assert_eq!(answer.ids, bench.greedy(&prompt, 24));
    assert_eq!((answer.n_tokens(), answer.stop_reason), (24, StopReason::Length));
}

#[test]
fn the_pieces_add_up_to_the_answer_and_to_the_decoded_tokens() {
    let Some(bench) = bench() else { return };
    let prompt = bench.prompt(PROMPT);
    let (mut pieces, mut counts) = (String::new(), Vec::new());
    let mut sink = |update: Update<'_>| {
        pieces.push_str(update.text);
        counts.push(update.n_tokens);
        true
    };
    let settings = warm(5, 60);
    let answer = generate(&bench.model, &prompt, &settings, Whole::new(&bench.tokenizer), &mut sink).unwrap();
    assert_eq!(pieces, answer.text);
    assert_eq!(answer.text, bench.tokenizer.decode(&answer.ids, true).unwrap());
    assert_eq!(answer.n_prompt_tokens, prompt.len());
    assert!(counts.is_sorted() && counts.contains(&1) && counts.last() == Some(&60), "{counts:?}");
    assert!(0.0 < answer.first_token_s && answer.first_token_s <= answer.seconds && answer.tokens_per_s > 0.0);
}

#[test]
fn a_seed_repeats_its_answer_whatever_the_threads_and_the_device() {
    let Some(two) = bench() else { return };
    let one = bench_on(Fused::new(1).unwrap()).unwrap();
    let composed = bench_on(Composed::cpu()).unwrap();
    let prompt = two.prompt(PROMPT);
    let answer = two.answer(&prompt, &warm(7, 40));
    assert_eq!(one.answer(&prompt, &warm(7, 40)).ids, answer.ids);
    assert_eq!(composed.answer(&prompt, &warm(7, 40)).ids, answer.ids);
    assert_ne!(two.answer(&prompt, &warm(8, 40)).ids, answer.ids);
}

#[test]
fn a_stop_token_ends_the_answer_and_is_no_part_of_it() {
    let Some(bench) = bench() else { return };
    let prompt = bench.prompt(PROMPT);
    let free = bench.answer(&prompt, &warm(5, 30));
    let stop = free.ids[9];
    let first = free.ids.iter().position(|id| *id == stop).unwrap();
    let stopped = bench.answer(&prompt, &GenerateSettings { stop_ids: vec![stop], ..warm(5, 30) });
    assert_eq!((stopped.ids.as_slice(), stopped.stop_reason), (&free.ids[..first], StopReason::Stop));
}

#[test]
fn a_stop_text_ends_the_answer_across_tokens_and_is_never_shown() {
    let Some(bench) = bench() else { return };
    let prompt = bench.prompt(PROMPT);
    let free = bench.answer(&prompt, &warm(5, 60)).text;
    // Nine characters from the middle: more than any token of this small vocabulary spells.
    let stop: String = free.chars().skip(20).take(9).collect();
    let settings = GenerateSettings { stop_texts: vec![stop.clone()], ..warm(5, 60) };
    let mut shown = String::new();
    let mut sink = |update: Update<'_>| {
        shown.push_str(update.text);
        true
    };
    let answer = generate(&bench.model, &prompt, &settings, Whole::new(&bench.tokenizer), &mut sink).unwrap();
    assert_eq!(answer.text, free[..free.find(&stop).unwrap()]);
    assert_eq!((shown, answer.stop_reason), (answer.text, StopReason::Stop));
}

#[test]
fn a_listener_that_had_enough_keeps_what_it_heard() {
    let Some(bench) = bench() else { return };
    let prompt = bench.prompt(PROMPT);
    let mut sink = |update: Update<'_>| update.n_tokens < 5;
    let answer = generate(&bench.model, &prompt, &length(50), Whole::new(&bench.tokenizer), &mut sink).unwrap();
    assert_eq!((answer.n_tokens(), answer.stop_reason), (5, StopReason::Cancelled));
    assert_eq!(answer.ids, bench.answer(&prompt, &length(5)).ids);
    let mut deaf = |_: Update<'_>| false;
    let none = generate(&bench.model, &prompt, &length(50), Whole::new(&bench.tokenizer), &mut deaf).unwrap();
    assert_eq!((none.n_tokens(), none.text.as_str(), none.stop_reason), (0, "", StopReason::Cancelled));
}

#[test]
fn the_models_longest_text_ends_an_answer_and_bounds_a_prompt() {
    let Some(bench) = bench() else { return };
    let limit = bench.model.config().max_positions();
    let prompt: Vec<u32> = bench.prompt(PROMPT).into_iter().cycle().take(limit - 3).collect();
    let answer = bench.answer(&prompt, &length(50));
    assert_eq!((answer.n_tokens(), answer.stop_reason), (3, StopReason::Length));
    // A prompt of this length is read in several pieces.
    assert_eq!(answer.ids, bench.greedy(&prompt, 3));
    let refused = |prompt: &[u32]| {
        generate(&bench.model, prompt, &length(5), Whole::new(&bench.tokenizer), &mut |_| true).unwrap_err()
    };
    let full: Vec<u32> = prompt.iter().copied().cycle().take(limit).collect();
    assert_eq!(
        refused(&full).to_string(),
        "the prompt has 256 tokens and this model reads texts of at most 256 tokens, answer included; shorten the prompt \
         to fewer than: 256"
    );
    assert!(matches!(refused(&[]), GenerateError::EmptyPrompt));
}

#[test]
fn no_tokens_asked_for_is_an_empty_answer() {
    let Some(bench) = bench() else { return };
    let answer = bench.answer(&bench.prompt(PROMPT), &length(0));
    assert_eq!((answer.text.as_str(), answer.n_tokens(), answer.stop_reason), ("", 0, StopReason::Length));
}
