//! `cargo xtask starter …`: makes the embedded starter model's tokenizer, corpus, samples, weight files and card.
//! The training itself is done by the engine through the `lorikeet` command line; `models/starter/recipe/README.md` has the order.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

pub mod bpe;
pub mod card;
#[cfg(test)]
mod catalogue;
pub mod chats;
pub mod corpus;
pub mod grammar;
pub mod random;
pub mod samples;
pub mod stories;
pub mod training;
pub mod weights;

use corpus::CorpusOptions;
use training::TrainingOptions;

/// How often a word that shall be one token is shown to the tokenizer's training.
const WORD_WEIGHT: usize = 1000;

/// The steps of the starter model's recipe.
#[derive(Debug, clap::Subcommand)]
pub enum Starter {
    /// Train the tokenizer on the books and conversations and write models/starter/tokenizer.json and its siblings.
    Tokenizer(CorpusOptions),
    /// Write the training and held-out rows as JSONL, and models/starter/recipe/data.json.
    Corpus(CorpusOptions),
    /// Write the sample data sets of assets/samples.
    Samples,
    /// Print one conversation of every template, to read by eye.
    Read {
        /// Seed of the choices.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Write a model folder with seeded random weights, from which the first stage starts.
    Init {
        /// Folder of the untrained model.
        #[arg(long, default_value = "target/starter/init")]
        out: PathBuf,
        /// Seed of the weights.
        #[arg(long, default_value_t = corpus::DEFAULT_SEED)]
        seed: u64,
    },
    /// Train both stages with the engine and store the result in models/starter/model.safetensors.
    Train(TrainingOptions),
    /// Measure the model in models/starter on held-out rows and ask it the card's questions.
    Measure(TrainingOptions),
    /// Write models/starter/README.md and recipe/run.json from the run's own files.
    Card {
        /// Folder with the events of the stages and `evaluation.json`.
        #[arg(long, default_value = "target/starter")]
        work: PathBuf,
    },
    /// Store trained weights as bf16 in models/starter/model.safetensors.
    Pack {
        /// The trained model.safetensors (f32 or bf16).
        #[arg(long)]
        trained: PathBuf,
    },
}

/// Where the model lies in the repository.
#[must_use]
pub fn folder() -> PathBuf {
    repository().join("models/starter")
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

/// Runs one step and returns what to tell the person.
pub fn run(step: &Starter) -> Result<String> {
    match step {
        Starter::Tokenizer(options) => tokenizer(options),
        Starter::Corpus(options) => Ok(serde_json::to_string_pretty(&corpus::build(options, &folder())?)?),
        Starter::Samples => samples(),
        Starter::Read { seed } => read(*seed),
        Starter::Init { out, seed } => init(out, *seed),
        Starter::Train(options) => pack(&training::train(options, &folder())?),
        Starter::Measure(options) => measure(options),
        Starter::Card { work } => card(work),
        Starter::Pack { trained } => pack(trained),
    }
}

/// Trains the tokenizer on all books and a like amount of conversations.
pub fn tokenizer(options: &CorpusOptions) -> Result<String> {
    let starter = folder();
    let mut texts = Vec::new();
    for book in corpus::training_books(&options.stories)? {
        texts.extend(stories::read_paragraphs(&book)?);
    }
    let writer = chats::ChatWriter::from_folder(&starter.join("recipe/text"))?;
    let words = token_words(writer.grammar())?;
    texts.extend(words.iter().map(|word| format!("\"{word}\" {word}\n").repeat(WORD_WEIGHT)));
    let chats = writer.write(options.chat_tokens / 60, options.seed)?;
    texts.extend(chats.iter().flat_map(|chat| &chat.messages).map(|message| format!("\n{}\n", message.content)));
    let tokenizer = bpe::train(&texts)?;
    bpe::write_files(&tokenizer, &starter)?;
    write_json(&starter.join("config.json"), &weights::config())?;
    Ok(format!("{} tokens from {} texts are in {}", tokenizer.get_vocab_size(true), texts.len(), starter.display()))
}

/// The single words that shall be one token with and without a space before them, so that copying a word from a sentence
/// into JSON is one step for the model.
fn token_words(grammar: &grammar::Grammar) -> Result<BTreeSet<String>> {
    let mut words: BTreeSet<&str> = grammar.values("token_words", "one")?.into_iter().collect();
    for (list, field) in grammar.values("token_lists", "one")?.into_iter().zip(grammar.values("token_lists", "field")?)
    {
        words.extend(grammar.values(list, field)?);
    }
    Ok(words.into_iter().filter(|word| word.chars().all(char::is_alphabetic)).map(str::to_owned).collect())
}

/// One conversation of every template as text.
pub fn read(seed: u64) -> Result<String> {
    let writer = chats::ChatWriter::from_folder(&folder().join("recipe/text"))?;
    let shown = writer.write_each(seed)?;
    let lines = shown.iter().map(|chat| {
        let turns: Vec<String> =
            chat.messages.iter().map(|message| format!("{}: {}", message.role, message.content)).collect();
        turns.join("\n")
    });
    Ok(lines.collect::<Vec<_>>().join("\n\n"))
}

/// Writes the sample data sets.
pub fn samples() -> Result<String> {
    let out = repository().join("assets/samples");
    let files = samples::build(&folder().join("recipe"), corpus::DEFAULT_SEED)?;
    for (file, text) in &files {
        write_text(&out.join(file), text)?;
    }
    Ok(format!("{} sample files are in {}", files.len(), out.display()))
}

/// Writes the untrained model: the tokenizer's files, the configuration with f32, and random weights.
pub fn init(out: &Path, seed: u64) -> Result<String> {
    let starter = folder();
    std::fs::create_dir_all(out).with_context(|| format!("cannot make the folder: `{}`", out.display()))?;
    for name in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json"] {
        std::fs::copy(starter.join(name), out.join(name))
            .with_context(|| format!("cannot copy (first run `cargo xtask starter tokenizer`): `{name}`"))?;
    }
    let mut config = weights::config();
    for key in ["dtype", "torch_dtype"] {
        config[key] = "float32".into();
    }
    write_json(&out.join("config.json"), &config)?;
    weights::write_initial(&out.join("model.safetensors"), seed)?;
    Ok(format!("an untrained model with {} parameters is in {}", weights::n_parameters(), out.display()))
}

/// Measures the shipped model and keeps the result as `evaluation.json` in the work folder.
pub fn measure(options: &TrainingOptions) -> Result<String> {
    let evaluation = training::measure(options, &folder())?;
    write_json(&options.work.join("evaluation.json"), &evaluation)?;
    Ok(serde_json::to_string_pretty(&evaluation)?)
}

/// Writes the record of the run and the card.
pub fn card(work: &Path) -> Result<String> {
    let starter = folder();
    let data: serde_json::Value =
        serde_json::from_str(&read_text(&starter.join("recipe/data.json"))?).context("`data.json` is not JSON")?;
    let run = card::run_record(work, &data)?;
    write_json(&starter.join("recipe/run.json"), &run)?;
    write_text(&starter.join("README.md"), &card::card(&run, &data)?)?;
    Ok(format!("the card is in {}", starter.join("README.md").display()))
}

/// Stores trained weights in the repository as bf16.
pub fn pack(trained: &Path) -> Result<String> {
    let path = folder().join("model.safetensors");
    weights::write_shipped(trained, &path)?;
    write_json(&folder().join("config.json"), &weights::config())?;
    Ok(format!("{} bytes are in {}", std::fs::metadata(&path)?.len(), path.display()))
}

/// Files of a folder whose name ends in `ending`, in order of name.
fn files_in(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read the folder: `{}`", folder.display()))?;
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    paths.retain(|path| path.is_file() && path.to_string_lossy().ends_with(ending));
    paths.sort();
    Ok(paths)
}

fn read_text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read the file: `{}`", path.display()))
}

/// Writes a text file whole or not at all.
fn write_text(path: &Path, text: &str) -> Result<()> {
    let place = || format!("cannot write the file: `{}`", path.display());
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(place)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".partial");
    std::fs::write(&beside, text).with_context(place)?;
    std::fs::rename(&beside, path).with_context(place)
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    write_text(path, &(serde_json::to_string_pretty(value)? + "\n"))
}
