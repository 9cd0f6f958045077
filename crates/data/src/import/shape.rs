//! What a row means, told from the names of its values: conversation, prompt and completion, text with a label, text.

use serde_json::{Map, Value};

use crate::record::Kind;

/// Names a text column usually has, the commonest first.
const TEXTS: &[&str] = &[
    "text",
    "sentence",
    "review",
    "content",
    "message",
    "comment",
    "tweet",
    "headline",
    "title",
    "body",
    "sms",
    "utterance",
    "question",
    "document",
    "description",
    "abstract",
    "article",
    "post",
    "query",
    "input",
    "premise",
    "phrase",
    "string",
];

/// Names a label column usually has, the commonest first.
const LABELS: &[&str] = &[
    "label",
    "labels",
    "class",
    "category",
    "sentiment",
    "target",
    "intent",
    "topic",
    "tag",
    "polarity",
    "stars",
    "rating",
    "emotion",
    "gold_label",
    "label_name",
    "label_text",
    "class index",
    "class_index",
    "y",
];

/// Names of two texts that are judged together.
const PAIRS: &[(&str, &str)] = &[
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("sentence_a", "sentence_b"),
    ("text", "text_pair"),
    ("question", "sentence"),
    ("query", "passage"),
    ("title", "description"),
];

/// A question and its answer, to be dressed as a conversation.
const TURNS: &[(&str, &str)] = &[
    ("prompt", "response"),
    ("question", "answer"),
    ("query", "response"),
    ("question", "response"),
    ("input", "output"),
    ("user", "assistant"),
    ("human", "assistant"),
];

/// Which values of a row mean what. The names are those of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A list of messages, in OpenAI's or ShareGPT's words.
    Messages { turns: String, tools: Option<String>, system: Option<String> },
    /// `instruction`, `input`, `output`, and perhaps `system` and `history`.
    Alpaca {
        instruction: String,
        input: Option<String>,
        output: String,
        system: Option<String>,
        history: Option<String>,
    },
    /// One question and one answer.
    Turn { question: String, answer: String, system: Option<String> },
    /// A prompt and its completion.
    Prompt { prompt: String, completion: String },
    /// One or two texts and a label.
    Labelled { text: String, pair: Option<String>, label: String },
    /// Plain text.
    Text { text: String },
    /// Two answers to one prompt, which may be what both conversations begin with.
    Preference { prompt: Asked, chosen: String, rejected: String },
    /// An answer and a verdict; without a `completion` the last turn of the prompt is the answer.
    Judged { prompt: Asked, completion: Option<String>, verdict: String },
    /// Recognised, and not trained on yet.
    Parallel,
}

/// Where the prompt of a preference stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// A text, or a list of turns.
    pub(crate) question: Option<String>,
    /// More words of a question, as Alpaca has them.
    pub(crate) input: Option<String>,
    pub(crate) system: Option<String>,
    /// Whether a text is the turn of a conversation rather than the beginning of a text.
    pub(crate) is_turn: bool,
}

impl Shape {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Shape::Messages { .. } | Shape::Alpaca { .. } | Shape::Turn { .. } => Kind::Chat,
            Shape::Prompt { .. } => Kind::Prompt,
            Shape::Labelled { .. } => Kind::Labelled,
            Shape::Text { .. } => Kind::Text,
            Shape::Preference { .. } => Kind::Preference,
            Shape::Judged { .. } => Kind::Judged,
            Shape::Parallel => Kind::Parallel,
        }
    }

    /// How the rows are written, by the field's names for it.
    pub(crate) fn layout(&self) -> &'static str {
        match self {
            Shape::Messages { turns, .. } if turns.trim().to_lowercase().starts_with("conversation") => "sharegpt",
            Shape::Messages { .. } => "messages",
            Shape::Alpaca { .. } => "alpaca",
            Shape::Turn { .. } | Shape::Prompt { .. } => "prompt_completion",
            Shape::Labelled { .. } => "text_label",
            Shape::Text { .. } => "text",
            Shape::Preference { .. } => "preference",
            Shape::Judged { .. } => "judged",
            Shape::Parallel => "parallel",
        }
    }

    /// The names of the values that are used, in the file's spelling.
    pub(crate) fn columns(&self) -> Vec<String> {
        let names: [Option<&String>; 5] = match self {
            Shape::Messages { turns, tools, system } => [Some(turns), tools.as_ref(), system.as_ref(), None, None],
            Shape::Alpaca { instruction, input, output, system, history } => {
                [Some(instruction), input.as_ref(), Some(output), system.as_ref(), history.as_ref()]
            }
            Shape::Turn { question, answer, system } => [Some(question), Some(answer), system.as_ref(), None, None],
            Shape::Prompt { prompt, completion } => [Some(prompt), Some(completion), None, None, None],
            Shape::Labelled { text, pair, label } => [Some(text), pair.as_ref(), Some(label), None, None],
            Shape::Text { text } => [Some(text), None, None, None, None],
            Shape::Preference { prompt: Asked { question, input, system, .. }, chosen, rejected } => {
                [question.as_ref(), input.as_ref(), system.as_ref(), Some(chosen), Some(rejected)]
            }
            Shape::Judged { prompt: Asked { question, input, system, .. }, completion, verdict } => {
                [question.as_ref(), input.as_ref(), system.as_ref(), completion.as_ref(), Some(verdict)]
            }
            Shape::Parallel => [None; 5],
        };
        names.into_iter().flatten().cloned().collect()
    }

    /// What such rows are called, for messages.
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Shape::Messages { .. } | Shape::Alpaca { .. } | Shape::Turn { .. } => "conversations",
            Shape::Prompt { .. } => "prompts with completions",
            Shape::Labelled { .. } => "texts with labels",
            Shape::Text { .. } => "plain text",
            Shape::Preference { .. } => "preference pairs (a chosen and a rejected answer)",
            Shape::Judged { .. } => "answers judged good or bad",
            Shape::Parallel => "texts with their translations",
        }
    }

    /// The most telling shape that the values of a row have; with `wanted`, the most telling one of that kind.
    pub(crate) fn of(values: &Map<String, Value>, wanted: Option<Kind>) -> Option<Shape> {
        let names = Names(values);
        let found = [
            names.preference(),
            names.messages(),
            names.alpaca(),
            names.prompt(),
            names.parallel(),
            names.turn(),
            names.labelled(),
            names.text(),
        ];
        found.into_iter().flatten().find(|shape| wanted.is_none_or(|kind| shape.kind() == kind))
    }
}

/// The names of a row's values.
struct Names<'a>(&'a Map<String, Value>);

impl Names<'_> {
    /// The file's spelling of a name; capitals and blanks around it do not matter.
    fn get(&self, name: &str) -> Option<String> {
        self.0.keys().find(|key| key.trim().eq_ignore_ascii_case(name)).cloned()
    }

    fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.get(name))
    }

    fn pair(&self, pairs: &[(&str, &str)]) -> Option<(String, String)> {
        pairs.iter().find_map(|(first, second)| Some((self.get(first)?, self.get(second)?)))
    }

    /// A truth value under the name `label`, also as the text that a cell holds.
    fn verdict(&self) -> Option<String> {
        let label = self.get("label")?;
        let is_truth = match self.0.get(&label)? {
            Value::Bool(_) => true,
            Value::String(text) => matches!(text.trim().to_ascii_lowercase().as_str(), "true" | "false"),
            _ => false,
        };
        is_truth.then_some(label)
    }

    /// The prompt of a preference; none is needed where both conversations are whole.
    fn asked(&self) -> Asked {
        let turns = self.first(&["messages", "conversations", "conversation"]).filter(|name| is_list(&self.0[name]));
        let texts = ["prompt", "question", "instruction", "query"];
        let question = turns.or_else(|| self.first(&texts));
        let is_turn = question.as_ref().is_some_and(|name| !name.trim().eq_ignore_ascii_case("prompt"));
        let input = self.get("instruction").filter(|name| question.as_ref() == Some(name)).and(self.get("input"));
        Asked { question, input, system: self.get("system"), is_turn }
    }

    fn preference(&self) -> Option<Shape> {
        let (chosen, rejected) = self.pair(&[("chosen", "rejected")])?;
        Some(Shape::Preference { prompt: self.asked(), chosen, rejected })
    }

    fn messages(&self) -> Option<Shape> {
        let turns = self.first(&["messages", "conversations", "conversation"])?;
        if !self.0.get(&turns).is_some_and(is_list) {
            return None;
        }
        if let Some(verdict) = self.verdict() {
            return Some(Shape::Judged { prompt: self.asked(), completion: None, verdict });
        }
        Some(Shape::Messages { turns, tools: self.get("tools"), system: self.get("system") })
    }

    fn alpaca(&self) -> Option<Shape> {
        Some(Shape::Alpaca {
            instruction: self.get("instruction")?,
            input: self.first(&["input", "context"]),
            output: self.first(&["output", "response"])?,
            system: self.get("system"),
            history: self.get("history"),
        })
    }

    fn prompt(&self) -> Option<Shape> {
        let (prompt, completion) = self.pair(&[("prompt", "completion")])?;
        Some(match self.verdict() {
            Some(verdict) => {
                let prompt = Asked { question: Some(prompt), system: self.get("system"), ..Asked::default() };
                Shape::Judged { prompt, completion: Some(completion), verdict }
            }
            None => Shape::Prompt { prompt, completion },
        })
    }

    fn parallel(&self) -> Option<Shape> {
        let is_nested = self.get("translation").is_some_and(|name| self.0.get(&name).is_some_and(Value::is_object));
        (is_nested || self.pair(&[("source", "target")]).is_some()).then_some(Shape::Parallel)
    }

    fn turn(&self) -> Option<Shape> {
        let (question, answer) = self.pair(TURNS)?;
        // A question with an answer and a label is something to judge.
        self.first(&["label", "labels"]).is_none().then(|| Shape::Turn { question, answer, system: self.get("system") })
    }

    fn labelled(&self) -> Option<Shape> {
        let label = self.first(LABELS)?;
        let (text, pair) = match self.pair(PAIRS) {
            Some((text, pair)) => (text, Some(pair)),
            None => (self.first(TEXTS)?, None),
        };
        (text != label).then_some(Shape::Labelled { text, pair, label })
    }

    fn text(&self) -> Option<Shape> {
        let text = self.first(&["text", "content", "document", "body", "story", "article"])?;
        Some(Shape::Text { text })
    }
}

/// A list, or the text of one as a cell holds it.
fn is_list(value: &Value) -> bool {
    match value {
        Value::Array(_) => true,
        Value::String(text) => text.trim_start().starts_with('['),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind(values: Value) -> Option<&'static str> {
        Shape::of(values.as_object().unwrap(), None).map(|shape| shape.words())
    }

    #[test]
    fn rows_are_told_apart_by_their_names() {
        for (values, expected) in [
            (json!({"messages": []}), "conversations"),
            (json!({"conversations": [], "tools": "[]"}), "conversations"),
            (json!({"instruction": "", "input": "", "output": ""}), "conversations"),
            (json!({"instruction": "", "context": "", "response": "", "category": ""}), "conversations"),
            (json!({"question": "", "answer": ""}), "conversations"),
            (json!({"input": "", "output": ""}), "conversations"),
            (json!({"prompt": "", "completion": ""}), "prompts with completions"),
            (json!({"Label": 1, " Review ": ""}), "texts with labels"),
            (json!({"premise": "", "hypothesis": "", "label": 0}), "texts with labels"),
            (json!({"text": "", "id": 1}), "plain text"),
            (
                json!({"conversations": [], "chosen": {}, "rejected": {}}),
                "preference pairs (a chosen and a rejected answer)",
            ),
            (json!({"messages": [], "label": true}), "answers judged good or bad"),
            (json!({"prompt": "", "completion": "", "label": false}), "answers judged good or bad"),
            (json!({"prompt": "", "completion": "", "label": "True"}), "answers judged good or bad"),
            (json!({"source": "", "target": ""}), "texts with their translations"),
        ] {
            assert_eq!(kind(values.clone()), Some(expected), "{values}");
        }
        assert_eq!(kind(json!({"a": 1})), None);
        assert_eq!(kind(json!({"messages": 3})), None);
    }

    #[test]
    fn a_kind_can_be_asked_for() {
        let values = json!({"text": "", "label": 1});
        let shape = Shape::of(values.as_object().unwrap(), Some(Kind::Text));
        assert_eq!(shape, Some(Shape::Text { text: "text".to_owned() }));
        assert_eq!(Shape::of(values.as_object().unwrap(), Some(Kind::Chat)), None);
    }
}
