//! A row of a known shape as a record, or the reason why not, with the name of the value that is to blame.

use serde_json::{Map, Value, json};

use crate::import::preference;
use crate::import::shape::Shape;
use crate::record::{Chat, Labelled, Message, Prompt, Record, Role, Text};

/// Why a row is not a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unfit {
    /// The value to blame.
    pub(crate) name: Option<String>,
    pub(crate) reason: String,
}

pub(crate) type Fit<T> = Result<T, Unfit>;

pub(crate) fn unfit<T>(name: &str, reason: impl Into<String>) -> Fit<T> {
    Err(Unfit { name: Some(name.to_owned()), reason: reason.into() })
}

/// Turns the values of a row into a record.
pub(crate) fn record(shape: &Shape, values: &Map<String, Value>) -> Fit<Record> {
    match shape {
        Shape::Messages { turns, tools, system } => messages(values, turns, tools.as_deref(), system.as_deref()),
        Shape::Alpaca { instruction, input, output, system, history } => {
            alpaca(values, instruction, input.as_deref(), output, system.as_deref(), history.as_deref())
        }
        Shape::Turn { question, answer, system } => {
            let mut messages = system_turn(values, system.as_deref())?;
            messages.push(Message::new(Role::User, text(values, question)?));
            messages.push(Message::new(Role::Assistant, text(values, answer)?));
            Ok(Record::Chat(Chat { messages, tools: Vec::new() }))
        }
        Shape::Prompt { prompt, completion } => {
            Ok(Record::Prompt(Prompt { prompt: text(values, prompt)?, completion: text(values, completion)? }))
        }
        Shape::Labelled { text: first, pair, label: name } => Ok(Record::Labelled(Labelled {
            text: text(values, first)?,
            text_pair: pair.as_deref().map(|pair| text(values, pair)).transpose()?,
            label: label(values, name)?,
        })),
        Shape::Text { text: name } => Ok(Record::Text(Text { text: text(values, name)? })),
        Shape::Preference { prompt, chosen, rejected } => preference::pair(values, prompt, chosen, rejected),
        Shape::Judged { prompt, completion, verdict } => {
            preference::judged(values, prompt, completion.as_deref(), verdict)
        }
        Shape::Parallel => {
            Err(Unfit { name: None, reason: "rows of this kind cannot be trained on in this version".to_owned() })
        }
    }
}

pub(crate) fn text(values: &Map<String, Value>, name: &str) -> Fit<String> {
    match values.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        None | Some(Value::Null) => unfit(name, format!("`{name}` is missing")),
        Some(_) => unfit(name, format!("`{name}` is not a text")),
    }
}

/// A text that may be missing; an empty one counts as missing.
pub(crate) fn optional_text(values: &Map<String, Value>, name: Option<&str>) -> Fit<Option<String>> {
    let Some(name) = name else { return Ok(None) };
    match values.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => text(values, name).map(|text| if text.is_empty() { None } else { Some(text) }),
    }
}

fn label(values: &Map<String, Value>, name: &str) -> Fit<String> {
    match values.get(name) {
        Some(Value::String(label)) if !label.trim().is_empty() => Ok(label.trim().to_owned()),
        Some(Value::Bool(label)) => Ok(label.to_string()),
        Some(Value::Number(label)) => match (label.as_i64(), label.as_f64()) {
            (Some(whole), _) => Ok(whole.to_string()),
            (None, Some(number)) if number.fract() == 0.0 => Ok(format!("{number:.0}")),
            _ => unfit(name, format!("the label `{label}` is not a class but a number with a fraction")),
        },
        None | Some(Value::Null | Value::String(_)) => {
            unfit(name, format!("`{name}` is missing: this row has no label"))
        }
        Some(_) => unfit(name, format!("`{name}` is neither a text nor a number")),
    }
}

pub(crate) fn system_turn(values: &Map<String, Value>, system: Option<&str>) -> Fit<Vec<Message>> {
    let text = optional_text(values, system)?;
    Ok(text.into_iter().map(|text| Message::new(Role::System, text)).collect())
}

fn alpaca(
    values: &Map<String, Value>,
    instruction: &str,
    input: Option<&str>,
    output: &str,
    system: Option<&str>,
    history: Option<&str>,
) -> Fit<Record> {
    let mut messages = system_turn(values, system)?;
    if let Some(name) = history {
        for turn in list(values, name)? {
            let (Some(question), Some(answer)) =
                (turn.get(0).and_then(Value::as_str), turn.get(1).and_then(Value::as_str))
            else {
                return unfit(name, format!("`{name}` must be a list of pairs of texts"));
            };
            messages.push(Message::new(Role::User, question));
            messages.push(Message::new(Role::Assistant, answer));
        }
    }
    let question = text(values, instruction)?;
    let question = match optional_text(values, input)? {
        Some(input) => format!("{question}\n\n{input}"),
        None => question,
    };
    messages.push(Message::new(Role::User, question));
    messages.push(Message::new(Role::Assistant, text(values, output)?));
    Ok(Record::Chat(Chat { messages, tools: Vec::new() }))
}

/// A list, also one written as text in a cell; missing counts as empty.
pub(crate) fn list(values: &Map<String, Value>, name: &str) -> Fit<Vec<Value>> {
    let parsed = match values.get(name) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(Vec::new()),
        Some(Value::String(text)) => match serde_json::from_str(text) {
            Ok(value) => value,
            Err(cause) => return unfit(name, format!("`{name}` is a text that is not valid JSON: {cause}")),
        },
        Some(value) => value.clone(),
    };
    match parsed {
        Value::Array(items) => Ok(items),
        _ => unfit(name, format!("`{name}` is not a list")),
    }
}

fn messages(values: &Map<String, Value>, turns: &str, tools: Option<&str>, system: Option<&str>) -> Fit<Record> {
    let mut messages = system_turn(values, system)?;
    for (nth, turn) in list(values, turns)?.iter().enumerate() {
        match message(turn) {
            Ok(message) => messages.push(message),
            Err(reason) => return unfit(turns, format!("turn {} of `{turns}`: {reason}", nth + 1)),
        }
    }
    if !messages.iter().any(Message::is_trained) {
        return unfit(turns, format!("`{turns}` has no turn of the assistant, so there is nothing to learn"));
    }
    let tools = match tools {
        Some(name) => list(values, name)?.into_iter().map(described_tool).collect(),
        None => Vec::new(),
    };
    Ok(Record::Chat(Chat { messages, tools }))
}

/// A tool as chat templates read it; ShareGPT's data sets leave out the outer object.
fn described_tool(tool: Value) -> Value {
    let is_bare = tool.get("name").is_some() && tool.get("function").is_none();
    if is_bare { json!({"type": "function", "function": tool}) } else { tool }
}

pub(crate) fn message(turn: &Value) -> Result<Message, String> {
    let Value::Object(turn) = turn else { return Err("it is not an object `{…}`".to_owned()) };
    let said = |name: &str| turn.get(name).filter(|value| !value.is_null());
    let speaker = said("role")
        .or_else(|| said("from"))
        .and_then(Value::as_str)
        .ok_or("it does not say who speaks (`role` or `from`)")?;
    let calls = match said("tool_calls") {
        Some(Value::Array(calls)) => calls.iter().map(tool_call).collect::<Result<_, _>>()?,
        Some(_) => return Err("`tool_calls` is not a list".to_owned()),
        None => Vec::new(),
    };
    let words = match said("content").or_else(|| said("value")) {
        Some(words) => spoken(words)?,
        None if !calls.is_empty() => String::new(),
        None => return Err("it has no words (`content` or `value`)".to_owned()),
    };
    if speaker == "function_call" {
        let mut message = Message::new(Role::Assistant, "");
        message.tool_calls = function_calls(&words)?;
        return Ok(message);
    }
    let mut message = Message::new(role(speaker)?, words);
    message.tool_calls = calls;
    let owned = |name: &str| said(name).and_then(Value::as_str).map(str::to_owned);
    message.reasoning_content = owned("reasoning_content");
    message.name = owned("name");
    message.tool_call_id = owned("tool_call_id");
    let weight = said("weight").or_else(|| said("loss_weight")).and_then(Value::as_f64);
    message.weight = (message.role == Role::Assistant && weight == Some(0.0)).then_some(0);
    Ok(message)
}

fn role(speaker: &str) -> Result<Role, String> {
    match speaker.to_ascii_lowercase().as_str() {
        "system" | "developer" => Ok(Role::System),
        "user" | "human" | "prompter" => Ok(Role::User),
        "assistant" | "gpt" | "model" | "bot" | "chatgpt" | "bing" | "bard" => Ok(Role::Assistant),
        "tool" | "observation" | "function" | "function_response" | "ipython" => Ok(Role::Tool),
        _ => Err(format!("the speaker `{speaker}` is not known; use `system`, `user`, `assistant` or `tool`")),
    }
}

/// The words of a turn: a text, or a list of parts that are all text.
fn spoken(words: &Value) -> Result<String, String> {
    match words {
        Value::String(text) => Ok(text.clone()),
        Value::Array(parts) => parts.iter().map(part).collect(),
        _ => Err("its words are neither a text nor a list of texts".to_owned()),
    }
}

fn part(part: &Value) -> Result<String, String> {
    if let Value::String(text) = part {
        return Ok(text.clone());
    }
    let kind = part.get("type").and_then(Value::as_str).unwrap_or("text");
    let text = part.get("text").or_else(|| part.get("value")).and_then(Value::as_str);
    match (kind, text) {
        ("text", Some(text)) => Ok(text.to_owned()),
        ("text", None) => Err("a part of its words has no `text`".to_owned()),
        (other, _) => Err(format!("only text can be trained on in this version, and a part of it is `{other}`")),
    }
}

/// A tool call with its arguments as an object, as chat templates read it.
fn tool_call(call: &Value) -> Result<Value, String> {
    let mut call =
        if call.get("function").is_some() { call.clone() } else { json!({"type": "function", "function": call}) };
    let function = call.get_mut("function").and_then(Value::as_object_mut).ok_or("a tool call is not an object")?;
    if !function.get("name").is_some_and(Value::is_string) {
        return Err("a tool call has no `name`".to_owned());
    }
    if let Some(Value::String(text)) = function.get("arguments") {
        let arguments = serde_json::from_str(text)
            .map_err(|cause| format!("the arguments of a tool call are not valid JSON: {cause}"))?;
        function.insert("arguments".to_owned(), arguments);
    }
    Ok(call)
}

/// ShareGPT's `function_call`: one call or a list of them, written as JSON in the words of the turn.
fn function_calls(words: &str) -> Result<Vec<Value>, String> {
    let value: Value =
        serde_json::from_str(words).map_err(|cause| format!("the function call is not valid JSON: {cause}"))?;
    match value {
        Value::Array(calls) => calls.iter().map(tool_call).collect(),
        call => Ok(vec![tool_call(&call)?]),
    }
}
