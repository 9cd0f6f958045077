//! Conversations from templates: reads `recipe/text`, draws templates by weight, and writes each conversation once.
//! It knows the notation of the text files, not tokens and not where the rows go.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

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
    habits: Habits,
}

/// What happens to a conversation beside its template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habits {
    /// Nothing: rows of a sample are as regular as their templates.
    Plain,
    /// Sometimes a system turn, careless typing, a change of subject.
    Everyday,
}

impl ChatWriter {
    /// Reads `lists-*.txt` (word lists) and every other `*.txt` (templates) of a folder.
    pub fn from_folder(folder: &Path) -> Result<Self> {
        let mut templates = Vec::new();
        for path in super::files_in(folder, ".txt")?.iter().filter(|path| !is_lists(path)) {
            templates.extend(read_templates(&super::read_text(path)?, &file_name(path))?);
        }
        Self::new(templates, &[folder.to_path_buf()], Habits::Everyday)
    }

    /// Reads the templates of one file over the word lists of several folders.
    pub fn from_template_file(file: &Path, list_folders: &[PathBuf]) -> Result<Self> {
        let templates = read_templates(&super::read_text(file)?, &file_name(file))?;
        Self::new(templates, list_folders, Habits::Plain)
    }

    fn new(templates: Vec<Template>, list_folders: &[PathBuf], habits: Habits) -> Result<Self> {
        let mut grammar = Grammar::default();
        for folder in list_folders {
            for path in super::files_in(folder, ".txt")?.iter().filter(|path| is_lists(path)) {
                grammar.read_lists(&super::read_text(path)?, &file_name(path))?;
            }
        }
        ensure!(!templates.is_empty(), "there are no templates beside the lists of: {list_folders:?}");
        let total_weight = templates.iter().map(|template| template.weight).sum();
        Ok(Self { grammar, templates, total_weight, habits })
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
            if self.habits == Habits::Everyday && random.percent(PERCENT_JOINED) {
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
        if self.habits == Habits::Everyday && !has_system && random.percent(12) {
            let content = self.grammar.expand("{system}", &mut draws, random)?;
            messages.push(Message { role: "system".to_owned(), content });
        }
        for (role, text) in &template.turns {
            let content = self.grammar.expand(text, &mut draws, random)?;
            let content =
                if *role == "user" && self.habits == Habits::Everyday { worn(content, random) } else { content };
            messages.push(Message { role: (*role).to_owned(), content });
        }
        Ok(Chat { messages })
    }
}

fn is_lists(path: &Path) -> bool {
    file_name(path).starts_with("lists-")
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// People type carelessly now and then: no full stop, no capital at the start; and an instruction often stands apart from its text.
fn worn(text: String, random: &mut Random) -> String {
    let mut text = text;
    if random.percent(35) {
        text = text.replacen('\n', "\n\n", 1);
    }
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::starter::folder;

    fn writer() -> ChatWriter {
        ChatWriter::from_folder(&folder().join("recipe/text")).expect("the text files are well formed")
    }

    #[test]
    fn a_seed_always_writes_the_same_conversations_and_none_twice() {
        let (first, again, other) = (
            writer().write(600, 5).expect("writes"),
            writer().write(600, 5).expect("writes"),
            writer().write(600, 6).expect("writes"),
        );
        assert_eq!(first, again);
        assert_ne!(first, other);
        assert_eq!(first.iter().collect::<HashSet<_>>().len(), 600);
    }

    #[test]
    fn every_template_expands_and_leaves_no_notation_behind() {
        for seed in 0..20 {
            for chat in writer().write_each(seed).expect("every template expands") {
                assert_eq!(chat.messages.last().map(|message| message.role.as_str()), Some("assistant"));
                for message in &chat.messages {
                    let text = message.content.replace("{\"", "").replace("\"}", "");
                    let text = if text.starts_with("thing\":") { text.replace('}', "") } else { text };
                    assert!(
                        !text.is_empty() && !text.contains(['[', ']', '{', '}', '|', '\\']) && !text.contains("(n)"),
                        "{message:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_samples_tasks_are_not_in_the_pretraining_text() {
        for chat in writer().write(3000, 9).expect("writes") {
            for message in &chat.messages {
                let text = &message.content;
                assert!(
                    !text.contains("\"item\"") && !text.contains("\"quantity\"") && !text.contains("Lark and Lane"),
                    "{text}"
                );
                assert!(!["praise", "complaint", "question"].contains(&text.as_str()), "{text}");
            }
        }
    }
}
