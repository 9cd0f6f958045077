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
/// Conversations and story passages to watch a stage with.
const N_VALIDATION_CHATS: usize = 200;
const N_VALIDATION_PASSAGES: usize = 30;
/// Conversations are longer than this on average, so that enough of them are written.
const LEAST_CHAT_TOKENS: usize = 30;

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

/// Writes the JSONL files under `out`, and `recipe/data.json`; returns that list. `pretrain.jsonl` and `chat.jsonl` are
/// learned from, `…-validation.jsonl` watch the two stages, `heldout.jsonl` and `chat-heldout.jsonl` measure the result.
pub fn build(options: &CorpusOptions, starter: &Path) -> Result<Value> {
    let tokenizer = super::bpe::load(starter)?;
    let (books, held_out_books) =
        (training_books(&options.stories)?, super::files_in(&options.stories.join("heldout"), ".txt.gz")?);
    let mut stories = shuffled(passages(&books, &tokenizer, options.max_tokens)?, options.seed, "stories");
    let other_stories = split_at_tokens(&mut stories, options.story_tokens);
    let chats = Chats::write(options, starter)?;
    let mut packs = packed(&chats.first_stage, &tokenizer, options.max_tokens)?;
    split_at_tokens(&mut packs, options.chat_tokens);
    let mix = shuffled(stories.iter().chain(&packs).cloned().collect(), options.seed, "mix");
    let mut watched = packed(&chats.validation, &tokenizer, options.max_tokens)?;
    watched.extend(other_stories.into_iter().take(N_VALIDATION_PASSAGES));
    let held_out = passages(&held_out_books, &tokenizer, options.max_tokens)?;

    let texts =
        |name: &str, rows: &[Passage]| write_rows(&options.out.join(name), rows.iter().map(text_row), count(rows));
    let talks = |name: &str, rows: &[Chat]| {
        write_rows(&options.out.join(name), rows.iter().map(chat_row), count_chats(rows, &tokenizer)?)
    };
    let files = [
        texts("pretrain.jsonl", &mix)?,
        texts("pretrain-validation.jsonl", &watched)?,
        talks("chat.jsonl", &chats.second_stage)?,
        talks("chat-validation.jsonl", &chats.validation)?,
        texts("heldout.jsonl", &held_out)?,
        talks("chat-heldout.jsonl", &chats.held_out)?,
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

/// Conversations by their use; no two of them are alike.
struct Chats {
    held_out: Vec<Chat>,
    validation: Vec<Chat>,
    second_stage: Vec<Chat>,
    first_stage: Vec<Chat>,
}

impl Chats {
    fn write(options: &CorpusOptions, starter: &Path) -> Result<Self> {
        let writer = ChatWriter::from_folder(&starter.join("recipe/text"))?;
        let n_before = N_HELD_OUT_CHATS + N_VALIDATION_CHATS + options.second_stage_chats;
        let mut held_out = writer.write(n_before + options.chat_tokens / LEAST_CHAT_TOKENS, options.seed)?;
        ensure!(held_out.len() > n_before, "the templates yield too few conversations: {}", held_out.len());
        let first_stage = held_out.split_off(n_before);
        let second_stage = held_out.split_off(N_HELD_OUT_CHATS + N_VALIDATION_CHATS);
        let validation = held_out.split_off(N_HELD_OUT_CHATS);
        Ok(Self { held_out, validation, second_stage, first_stage })
    }
}

/// Passages of several books.
fn passages(books: &[PathBuf], tokenizer: &Tokenizer, max_tokens: usize) -> Result<Vec<Passage>> {
    let mut passages = Vec::new();
    for book in books {
        passages.extend(cut_passages(&read_paragraphs(book)?, tokenizer, max_tokens)?);
    }
    Ok(passages)
}

/// Several conversations to a row, so that rows of both kinds are of one length and no time goes into padding.
fn packed(chats: &[Chat], tokenizer: &Tokenizer, max_tokens: usize) -> Result<Vec<Passage>> {
    let mut rows = Vec::new();
    let mut open = Passage { text: String::new(), n_tokens: 0 };
    for chat in chats {
        let text = render(chat).trim_end().to_owned();
        let n_tokens = count_tokens(tokenizer, &text)? + 1;
        if open.n_tokens + n_tokens > max_tokens && open.n_tokens > 0 {
            rows.push(std::mem::replace(&mut open, Passage { text: String::new(), n_tokens: 0 }));
        }
        if !open.text.is_empty() {
            open.text.push_str(END_OF_TEXT);
        }
        open.text.push_str(&text);
        open.n_tokens += n_tokens;
    }
    rows.push(open);
    rows.retain(|row| row.n_tokens > 0);
    Ok(rows)
}

/// Leaves the first passages with at most `n_tokens` tokens and returns the others.
fn split_at_tokens(passages: &mut Vec<Passage>, n_tokens: usize) -> Vec<Passage> {
    let mut sum = 0;
    let n_kept = passages.iter().take_while(|passage| {
        sum += passage.n_tokens;
        sum <= n_tokens
    });
    let n_kept = n_kept.count();
    passages.split_off(n_kept)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::starter::folder;

    fn row(n_tokens: usize) -> Passage {
        Passage { text: "x".to_owned(), n_tokens }
    }

    #[test]
    fn a_split_keeps_what_fits_and_returns_the_others() {
        let mut rows = vec![row(3), row(3), row(3)];
        let others = split_at_tokens(&mut rows, 7);
        assert_eq!((total(&rows), total(&others)), (6, 3));
    }

    #[test]
    fn packed_conversations_stay_whole_and_within_the_limit() {
        let tokenizer = super::super::bpe::load(&folder()).expect("the tokenizer is in the repository");
        let chats = ChatWriter::from_folder(&folder().join("recipe/text"))
            .and_then(|writer| writer.write(60, 3))
            .expect("writes");
        let rows = packed(&chats, &tokenizer, 400).expect("packs");
        let pieces: Vec<&str> = rows.iter().flat_map(|row| row.text.split(END_OF_TEXT)).collect();
        let whole: Vec<String> = chats.iter().map(|chat| render(chat).trim_end().to_owned()).collect();
        assert_eq!(pieces, whole);
        assert!(rows.iter().all(|row| count_tokens(&tokenizer, &row.text).expect("counts") <= 400));
    }

    #[test]
    fn a_corpus_is_the_same_for_a_seed_and_lists_its_sources() {
        let Some(stories) = shared_stories() else { return };
        let out = std::env::temp_dir().join(format!("lorikeet-corpus-{}", std::process::id()));
        let (starter, books) = (out.join("starter"), out.join("books"));
        copy_recipe(&starter);
        std::fs::create_dir_all(books.join("heldout")).expect("a folder for the test");
        for book in ["potter_tales.txt.gz", "carroll_alice_wonderland.txt.gz", "heldout/sewell_black_beauty.txt.gz"] {
            std::fs::copy(stories.join(book), books.join(book)).expect("copies");
        }
        let options = CorpusOptions {
            stories: books,
            out,
            story_tokens: 20_000,
            chat_tokens: 20_000,
            second_stage_chats: 50,
            max_tokens: 400,
            seed: 4,
        };
        let list = build(&options, &starter).expect("builds");
        assert_eq!(list, build(&options, &starter).expect("builds again"));
        assert_eq!(list["sources"]["held_out_books"].as_array().map(Vec::len), Some(1));
        assert!(
            list["first_stage"]["story_tokens"].as_u64().is_some_and(|tokens| (15_000..=20_000).contains(&tokens)),
            "{list}"
        );
        let rows = std::fs::read_to_string(options.out.join("pretrain.jsonl")).expect("is written");
        assert!(rows.lines().all(|line| serde_json::from_str::<Value>(line).is_ok_and(|row| row["text"].is_string())));
        std::fs::remove_dir_all(&options.out).expect("clears up");
    }

    fn shared_stories() -> Option<PathBuf> {
        let shared = std::env::var_os("LORIKEET_SHARED")
            .map_or_else(|| super::super::repository().join("../shared"), PathBuf::from);
        let stories = shared.join("data/public_domain_stories");
        if stories.is_dir() {
            return Some(stories);
        }
        assert!(std::env::var_os("CI").is_none(), "the shared folder is missing: `{}`", stories.display());
        eprintln!("skipped: the shared folder is not there");
        None
    }

    fn copy_recipe(starter: &Path) {
        std::fs::create_dir_all(starter.join("recipe/text")).expect("a folder for the test");
        std::fs::copy(folder().join("tokenizer.json"), starter.join("tokenizer.json")).expect("copies");
        for path in super::super::files_in(&folder().join("recipe/text"), ".txt").expect("lists") {
            let name = path.file_name().expect("a name").to_owned();
            std::fs::copy(&path, starter.join("recipe/text").join(name)).expect("copies");
        }
    }
}
