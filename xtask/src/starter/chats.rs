//! Conversations from templates: reads `recipe/text`, draws templates by weight, and writes each conversation once.
//! It knows the notation of the text files, not tokens and not where the rows go.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::grammar::{Draws, Grammar};
use super::random::Random;

/// Share of conversations that go on with a second, unrelated template, as people change the subject.
const PERCENT_JOINED: usize = 10;

/// Who speaks, and what, in the OpenAI messages form.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// The text.
    pub content: String,
}

/// One conversation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Chat {
    /// The turns in order; the last one is the assistant's.
    pub messages: Vec<Message>,
}

/// A conversation with slots: the turns as written, and how often it is drawn beside the others.
#[derive(Debug)]
struct Template {
    weight: usize,
    turns: Vec<(&'static str, String)>,
}

/// Everything read from one folder of text files.
#[derive(Debug)]
pub struct ChatWriter {
    grammar: Grammar,
    templates: Vec<Template>,
    total_weight: usize,
}

impl ChatWriter {
    /// Reads `lists-*.txt` (word lists) and every other `*.txt` (templates) of a folder.
    pub fn from_folder(folder: &Path) -> Result<Self> {
        let mut grammar = Grammar::default();
        let mut templates = Vec::new();
        for path in super::files_in(folder, ".txt")? {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read the file: `{}`", path.display()))?;
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.starts_with("lists-") {
                grammar.read_lists(&text, &name)?;
            } else {
                templates.extend(read_templates(&text, &name)?);
            }
        }
        ensure!(!templates.is_empty(), "the folder holds no templates: `{}`", folder.display());
        let total_weight = templates.iter().map(|template| template.weight).sum();
        Ok(Self { grammar, templates, total_weight })
    }

    /// How many templates there are.
    #[must_use]
    pub fn n_templates(&self) -> usize {
        self.templates.len()
    }

    /// The word lists, for checks.
    #[must_use]
    pub fn grammar(&self) -> &Grammar {
        &self.grammar
    }

    /// Up to `n_chats` conversations, no two alike; fewer when the templates are exhausted.
    pub fn write(&self, n_chats: usize, seed: u64) -> Result<Vec<Chat>> {
        let mut random = Random::for_part(seed, "chats");
        let mut seen = HashSet::new();
        let mut chats = Vec::with_capacity(n_chats);
        for _ in 0..n_chats.saturating_mul(20) {
            if chats.len() == n_chats {
                break;
            }
            let mut chat = self.write_one(&mut random)?;
            if random.percent(PERCENT_JOINED) {
                let more = self.write_one(&mut random)?.messages;
                chat.messages.extend(more.into_iter().filter(|message| message.role != "system"));
            }
            if seen.insert(chat.clone()) {
                chats.push(chat);
            }
        }
        Ok(chats)
    }

    /// One conversation of every template in order, to read by eye and to find broken templates.
    pub fn write_each(&self, seed: u64) -> Result<Vec<Chat>> {
        let mut random = Random::for_part(seed, "each");
        self.templates.iter().map(|template| self.dress(template, &mut random)).collect()
    }

    fn write_one(&self, random: &mut Random) -> Result<Chat> {
        let mut ticket = random.below(self.total_weight);
        for template in &self.templates {
            if ticket < template.weight {
                return self.dress(template, random);
            }
            ticket -= template.weight;
        }
        bail!("the weights of the templates do not add up")
    }

    fn dress(&self, template: &Template, random: &mut Random) -> Result<Chat> {
        let mut draws = Draws::default();
        let mut messages = Vec::with_capacity(template.turns.len() + 1);
        let has_system = template.turns.iter().any(|(role, _)| *role == "system");
        if !has_system && random.percent(12) {
            let content = self.grammar.expand("{system}", &mut draws, random)?;
            messages.push(Message { role: "system".to_owned(), content });
        }
        for (role, text) in &template.turns {
            let content = self.grammar.expand(text, &mut draws, random)?;
            let content = if *role == "user" { worn(content, random) } else { content };
            messages.push(Message { role: (*role).to_owned(), content });
        }
        Ok(Chat { messages })
    }
}

/// People type carelessly now and then: no full stop, no capital at the start.
fn worn(text: String, random: &mut Random) -> String {
    let mut text = text;
    if random.percent(8) && text.ends_with(['.', '?', '!']) {
        text.pop();
    }
    let starts_with_i = text.starts_with("I ") || text.starts_with("I'");
    if random.percent(6) && !starts_with_i && text.starts_with(|c: char| c.is_ascii_uppercase()) {
        text[..1].make_ascii_lowercase();
    }
    text
}

/// Reads templates: blocks of `S:`, `U:`, `A:` lines between empty lines; `= 3` sets the weight of one block, `== 3` of
/// all blocks that follow in the file.
fn read_templates(text: &str, origin: &str) -> Result<Vec<Template>> {
    let mut templates = Vec::new();
    let mut file_weight = 1;
    let mut open = Template { weight: file_weight, turns: Vec::new() };
    for (index, line) in text.lines().chain([""]).enumerate() {
        let place = || format!("in `{origin}`, line {}: `{line}`", index + 1);
        let line = line.trim();
        if line.is_empty() {
            if !open.turns.is_empty() {
                ensure!(
                    open.turns.last().is_some_and(|(role, _)| *role == "assistant"),
                    "a conversation must end with the assistant {}",
                    place()
                );
                templates.push(open);
            }
            open = Template { weight: file_weight, turns: Vec::new() };
        } else if let Some(weight) = line.strip_prefix("==") {
            file_weight = weight.trim().parse().with_context(place)?;
            open.weight = file_weight;
        } else if let Some(weight) = line.strip_prefix('=') {
            open.weight = weight.trim().parse().with_context(place)?;
        } else if !line.starts_with('#') {
            open.turns.push(read_turn(line).with_context(place)?);
        }
    }
    Ok(templates)
}

fn read_turn(line: &str) -> Result<(&'static str, String)> {
    let (mark, text) = line.split_once(": ").context("a turn needs a speaker, as in `U: Hello.`")?;
    let role = match mark {
        "S" => "system",
        "U" => "user",
        "A" => "assistant",
        other => bail!("the speaker must be S, U or A: `{other}`"),
    };
    Ok((role, text.trim().to_owned()))
}
