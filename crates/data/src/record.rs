//! One row as the product knows it, whatever file it came from.
//!
//! The stored form of each kind is the field's own plain JSON (`messages`, `prompt` and `completion`, `text` and `label`,
//! `text`), so that a stored data set can be read by any other tool. A record knows nothing of tokens.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the rows of a data set are. All rows of one data set have the same kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Conversations.
    Chat,
    /// A prompt and its completion.
    Prompt,
    /// Plain text.
    Text,
    /// A text, or a pair of texts, with a label.
    Labelled,
    /// A chosen and a rejected answer.
    Preference,
    /// An answer judged good or bad.
    Judged,
    /// A text and its translation; recognised, not trained on yet.
    Parallel,
}

impl Kind {
    /// The word for this kind in files, commands and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Chat => "chat",
            Kind::Prompt => "prompt",
            Kind::Text => "text",
            Kind::Labelled => "labelled",
            Kind::Preference => "preference",
            Kind::Judged => "judged",
            Kind::Parallel => "parallel",
        }
    }

    /// Whether this version can train on rows of this kind.
    pub fn is_trainable(self) -> bool {
        self != Kind::Parallel
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who speaks in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions for the whole conversation.
    System,
    /// The person.
    User,
    /// The model; what is trained.
    Assistant,
    /// The result of a tool the model called.
    Tool,
}

/// One turn of a conversation, in the shape chat templates read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said; empty for a turn that only calls tools.
    pub content: String,
    /// Tool calls of an assistant turn: `{"type":"function","function":{"name":…,"arguments":{…}}}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<Value>,
    /// Thoughts of an assistant turn, for templates that show them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Name of the tool whose result this is, or of the speaker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which tool call this result answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// 0 for an assistant turn that is context only; absent means it is trained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u8>,
}

impl Message {
    /// A turn of plain text.
    pub fn new(role: Role, content: impl Into<String>) -> Message {
        let content = content.into();
        Message {
            role,
            content,
            tool_calls: Vec::new(),
            reasoning_content: None,
            name: None,
            tool_call_id: None,
            weight: None,
        }
    }

    /// Whether the model learns to say this turn.
    pub fn is_trained(&self) -> bool {
        self.role == Role::Assistant && self.weight != Some(0)
    }
}

/// A conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Chat {
    /// The turns in order.
    pub messages: Vec<Message>,
    /// Descriptions of the tools the model may call, in the shape chat templates read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Value>,
}

/// A prompt and what is to follow it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// What is given; not trained.
    pub prompt: String,
    /// What is to follow; trained.
    pub completion: String,
}

/// Plain text, all of it trained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// The text.
    pub text: String,
}

/// A text with a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labelled {
    /// The text to judge, or the first of a pair.
    pub text: String,
    /// The second text of a pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_pair: Option<String>,
    /// The label's name; whole numbers are kept as their digits.
    pub label: String,
}

/// The prompt or the answer of a row about preferences: plain text, or turns of a conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Words {
    /// Plain text.
    Text(String),
    /// Turns in order.
    Turns(Vec<Message>),
}

/// Two answers to one prompt. All three are texts, or all three are turns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preference {
    /// What is given.
    pub prompt: Words,
    /// The better answer.
    pub chosen: Words,
    /// The worse answer.
    pub rejected: Words,
}

/// An answer and whether it is wanted. Prompt and answer are texts, or both are turns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// What is given.
    pub prompt: Words,
    /// The answer.
    pub completion: Words,
    /// Whether such answers are wanted.
    pub label: bool,
}

impl Words {
    fn is_empty(&self) -> bool {
        match self {
            Words::Text(text) => text.trim().is_empty(),
            Words::Turns(turns) => {
                turns.iter().all(|turn| turn.content.trim().is_empty() && turn.tool_calls.is_empty())
            }
        }
    }

    /// This prompt with `answer` as a row of its own, in which only the answer is learnt.
    fn answered(&self, answer: &Words) -> Record {
        match (self, answer) {
            (Words::Text(prompt), Words::Text(completion)) => {
                Record::Prompt(Prompt { prompt: prompt.clone(), completion: completion.clone() })
            }
            (prompt, answer) => {
                let context = prompt.turns(Role::User).into_iter().map(|mut turn| {
                    turn.weight = turn.is_trained().then_some(0).or(turn.weight);
                    turn
                });
                let messages = context.chain(answer.turns(Role::Assistant)).collect();
                Record::Chat(Chat { messages, tools: Vec::new() })
            }
        }
    }

    /// The turns; a text is said by `speaker`.
    pub(crate) fn turns(&self, speaker: Role) -> Vec<Message> {
        match self {
            Words::Text(text) if text.is_empty() => Vec::new(),
            Words::Text(text) => vec![Message::new(speaker, text.as_str())],
            Words::Turns(turns) => turns.clone(),
        }
    }
}

impl Preference {
    /// The chosen and the rejected answer as rows of their own.
    pub fn answers(&self) -> [Record; 2] {
        [self.prompt.answered(&self.chosen), self.prompt.answered(&self.rejected)]
    }
}

impl Judged {
    /// The answer as a row of its own.
    pub fn answer(&self) -> Record {
        self.prompt.answered(&self.completion)
    }
}

/// One row of a data set.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Record {
    /// See [`Kind::Chat`].
    Chat(Chat),
    /// See [`Kind::Prompt`].
    Prompt(Prompt),
    /// See [`Kind::Labelled`].
    Labelled(Labelled),
    /// See [`Kind::Preference`].
    Preference(Preference),
    /// See [`Kind::Judged`].
    Judged(Judged),
    /// See [`Kind::Text`].
    Text(Text),
}

impl Record {
    /// The kind this record is of.
    pub fn kind(&self) -> Kind {
        match self {
            Record::Chat(_) => Kind::Chat,
            Record::Prompt(_) => Kind::Prompt,
            Record::Labelled(_) => Kind::Labelled,
            Record::Preference(_) => Kind::Preference,
            Record::Judged(_) => Kind::Judged,
            Record::Text(_) => Kind::Text,
        }
    }

    /// Whether what is to be learnt (or judged) is empty: an answer without words, an empty text.
    pub fn is_empty(&self) -> bool {
        match self {
            Record::Chat(chat) => {
                let said = |turn: &&Message| turn.is_trained();
                chat.messages
                    .iter()
                    .filter(said)
                    .all(|turn| turn.content.trim().is_empty() && turn.tool_calls.is_empty())
            }
            Record::Prompt(row) => row.completion.trim().is_empty(),
            Record::Labelled(row) => row.text.trim().is_empty(),
            Record::Preference(row) => row.chosen.is_empty() || row.rejected.is_empty(),
            Record::Judged(row) => row.completion.is_empty(),
            Record::Text(row) => row.text.trim().is_empty(),
        }
    }

    /// Reads a stored line of a data set of kind `kind`.
    pub fn from_stored(kind: Kind, line: &[u8]) -> Result<Record, serde_json::Error> {
        use serde::de::Error as _;

        match kind {
            Kind::Chat => serde_json::from_slice(line).map(Record::Chat),
            Kind::Prompt => serde_json::from_slice(line).map(Record::Prompt),
            Kind::Labelled => serde_json::from_slice(line).map(Record::Labelled),
            Kind::Preference => serde_json::from_slice(line).map(Record::Preference),
            Kind::Judged => serde_json::from_slice(line).map(Record::Judged),
            Kind::Text => serde_json::from_slice(line).map(Record::Text),
            other => Err(serde_json::Error::custom(format!("rows of this kind are not stored: {other}"))),
        }
    }
}
