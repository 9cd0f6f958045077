//! The pretraining corpus: books and conversations, cut, mixed and shuffled by a seed into JSONL files, with the list of
//! their sources. It knows files and counts; how a model learns from them is the engine's business.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokenizers::Tokenizer;

use super::bpe::{END_OF_TEXT, count_tokens, render};
use super::chats::{Chat, ChatWriter};
use super::random::Random;
use super::stories::{Passage, cut_passages, read_paragraphs};

/// Harder reading than a model of this size can use: legal wit, thick dialect, adult non-fiction.
const BOOKS_LEFT_OUT: [&str; 9] = [
    "dickens_childs_history_england",
    "doyle_adventures_holmes",
    "o_henry_short_fiction_part",
    "pyle_robin_hood",
    "stevenson_kidnapped",
    "verne_eighty_days",
    "washington_up_from_slavery",
    "wells_time_machine",
    "wells_war_worlds",
];
/// Conversations kept apart to measure on.
const N_HELD_OUT_CHATS: usize = 400;

/// Seed of the corpus, the samples and the first weights.
pub const DEFAULT_SEED: u64 = 2024;

/// What goes into the corpus and where it comes from.
#[derive(Debug, Clone, clap::Args)]
pub struct CorpusOptions {
    /// Folder of the gzipped public-domain books, with `heldout/` inside.
    #[arg(long, default_value = "../shared/data/public_domain_stories")]
    pub stories: PathBuf,
    /// Folder the JSONL files are written to.
    #[arg(long, default_value = "target/starter")]
    pub out: PathBuf,
    /// Tokens of stories in the first stage.
    #[arg(long, default_value_t = 4_400_000)]
    pub story_tokens: usize,
    /// Tokens of conversations in the first stage.
    #[arg(long, default_value_t = 3_600_000)]
    pub chat_tokens: usize,
    /// Conversations of the second stage, other ones than those of the first.
    #[arg(long, default_value_t = 12_000)]
    pub second_stage_chats: usize,
    /// Longest passage in tokens.
    #[arg(long, default_value_t = 400)]
    pub max_tokens: usize,
    /// Seed of every choice.
    #[arg(long, default_value_t = DEFAULT_SEED)]
    pub seed: u64,
}

/// The books to train on, in order of name.
pub fn training_books(stories: &Path) -> Result<Vec<PathBuf>> {
    let books = super::files_in(stories, ".txt.gz")?;
    ensure!(!books.is_empty(), "no books (`*.txt.gz`) in the folder; name it with --stories: `{}`", stories.display());
    Ok(books.into_iter().filter(|path| !BOOKS_LEFT_OUT.contains(&book_name(path).as_str())).collect())
}

fn book_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().replace(".txt.gz", "")).unwrap_or_default()
}

/// Writes `pretrain.jsonl`, `chat.jsonl`, `chat-heldout.jsonl`, `heldout.jsonl` under `out`, and `recipe/data.json`.
/// Returns that list.
pub fn build(options: &CorpusOptions, starter: &Path) -> Result<Value> {
    let tokenizer = super::bpe::load(starter)?;
    let books = training_books(&options.stories)?;
    let held_out_books = super::files_in(&options.stories.join("heldout"), ".txt.gz")?;
    let (stories, held_out) =
        (passages(&books, &tokenizer, options.max_tokens)?, passages(&held_out_books, &tokenizer, options.max_tokens)?);
    let (packs, second_stage, held_out_chats) = chats(options, starter, &tokenizer)?;
    let stories = take_tokens(shuffled(stories, options.seed, "stories"), options.story_tokens);
    let mix = shuffled(stories.iter().chain(&packs).cloned().collect(), options.seed, "mix");

    let out = &options.out;
    let files = [
        write_rows(&out.join("pretrain.jsonl"), mix.iter().map(text_row), count(&mix))?,
        write_rows(
            &out.join("chat.jsonl"),
            second_stage.iter().map(chat_row),
            count_chats(&second_stage, &tokenizer)?,
        )?,
        write_rows(
            &out.join("chat-heldout.jsonl"),
            held_out_chats.iter().map(chat_row),
            count_chats(&held_out_chats, &tokenizer)?,
        )?,
        write_rows(&out.join("heldout.jsonl"), held_out.iter().map(text_row), count(&held_out))?,
    ];
    let list = json!({
        "seed": options.seed, "max_tokens": options.max_tokens,
        "first_stage": {"story_tokens": total(&stories), "chat_tokens": total(&packs)},
        "files": files,
        "sources": {
            "training_books": sources(&books, "public domain")?, "held_out_books": sources(&held_out_books, "public domain")?,
            "own_text": sources(&super::files_in(&starter.join("recipe/text"), ".txt")?, "MIT OR Apache-2.0, written for this project")?,
            "tokenizer": sources(&[starter.join("tokenizer.json")], "trained on the above")?,
        },
    });
    super::write_json(&starter.join("recipe/data.json"), &list)?;
    Ok(list)
}

/// Passages of several books.
fn passages(books: &[PathBuf], tokenizer: &Tokenizer, max_tokens: usize) -> Result<Vec<Passage>> {
    let mut passages = Vec::new();
    for book in books {
        passages.extend(cut_passages(&read_paragraphs(book)?, tokenizer, max_tokens)?);
    }
    Ok(passages)
}

/// Conversations packed into rows for the first stage, single ones for the second, and held-out ones; no two alike.
fn chats(
    options: &CorpusOptions,
    starter: &Path,
    tokenizer: &Tokenizer,
) -> Result<(Vec<Passage>, Vec<Chat>, Vec<Chat>)> {
    let writer = ChatWriter::from_folder(&starter.join("recipe/text"))?;
    let generous = options.chat_tokens / 30;
    let mut chats = writer.write(N_HELD_OUT_CHATS + options.second_stage_chats + generous, options.seed)?;
    ensure!(
        chats.len() > N_HELD_OUT_CHATS + options.second_stage_chats,
        "the templates yield too few conversations: {}",
        chats.len()
    );
    let rest = chats.split_off(N_HELD_OUT_CHATS + options.second_stage_chats);
    let second_stage = chats.split_off(N_HELD_OUT_CHATS);
    Ok((take_tokens(packed(&rest, tokenizer, options.max_tokens)?, options.chat_tokens), second_stage, chats))
}

/// Several conversations to a row, so that rows of both kinds are of one length and no time goes into padding.
fn packed(chats: &[Chat], tokenizer: &Tokenizer, max_tokens: usize) -> Result<Vec<Passage>> {
    let mut rows = Vec::new();
    let mut open = Passage { text: String::new(), n_tokens: 0 };
    for chat in chats {
        let text = render(chat) + END_OF_TEXT;
        let n_tokens = count_tokens(tokenizer, &text)?;
        if open.n_tokens + n_tokens > max_tokens {
            rows.push(std::mem::replace(&mut open, Passage { text: String::new(), n_tokens: 0 }));
        }
        open.text.push_str(&text);
        open.n_tokens += n_tokens;
    }
    rows.push(open);
    rows.retain(|row| row.n_tokens > 0);
    Ok(rows)
}

fn take_tokens(passages: Vec<Passage>, n_tokens: usize) -> Vec<Passage> {
    let mut sum = 0;
    passages
        .into_iter()
        .take_while(|passage| {
            sum += passage.n_tokens;
            sum <= n_tokens
        })
        .collect()
}

fn shuffled<T>(mut items: Vec<T>, seed: u64, part: &str) -> Vec<T> {
    Random::for_part(seed, part).shuffle(&mut items);
    items
}

fn total(passages: &[Passage]) -> usize {
    passages.iter().map(|passage| passage.n_tokens).sum()
}

/// Tokens, and bytes of text (for bits per byte).
fn count(passages: &[Passage]) -> (usize, usize) {
    (total(passages), passages.iter().map(|passage| passage.text.len()).sum())
}

fn count_chats(chats: &[Chat], tokenizer: &Tokenizer) -> Result<(usize, usize)> {
    chats.iter().try_fold((0, 0), |(tokens, bytes), chat| {
        let text = render(chat);
        Ok((tokens + count_tokens(tokenizer, &text)?, bytes + text.len()))
    })
}

fn text_row(passage: &Passage) -> Value {
    json!({"text": passage.text})
}

fn chat_row(chat: &Chat) -> Value {
    json!({"messages": chat.messages})
}

fn write_rows(path: &Path, rows: impl Iterator<Item = Value>, (n_tokens, text_bytes): (usize, usize)) -> Result<Value> {
    let lines: Vec<String> = rows.map(|row| row.to_string()).collect();
    let text = lines.join("\n") + "\n";
    super::write_text(path, &text)?;
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(
        json!({"file": file, "rows": lines.len(), "tokens": n_tokens, "text_bytes": text_bytes, "blake3": blake3::hash(text.as_bytes()).to_hex().as_str()}),
    )
}

fn sources(paths: &[PathBuf], licence: &str) -> Result<Vec<Value>> {
    paths.iter().map(|path| {
        let bytes = std::fs::read(path).with_context(|| format!("cannot read the file: `{}`", path.display()))?;
        let file = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(json!({"file": file, "licence": licence, "bytes": bytes.len(), "blake3": blake3::hash(&bytes).to_hex().as_str()}))
    }).collect()
}
