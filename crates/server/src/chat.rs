//! `POST /v1/chat/completions`: the conversation, as the dialect writes it.

use lorikeet_api::wire::ChatMessage;
use serde_json::Value;

use crate::asked::{Asked, CHAT_TOKENS};
use crate::fields::Fields;
use crate::refusal::Refusal;

/// The request of a body.
pub(crate) fn read(fields: &Fields) -> Result<Asked, Refusal> {
    let mut asked = Asked::read(fields, CHAT_TOKENS)?;
    let messages = fields.list("messages")?.ok_or_else(|| fields.missing("messages"))?;
    if messages.is_empty() {
        return Err(Refusal::field("messages", "`messages` must hold at least one message, found: none"));
    }
    asked.request.messages = Some((0..).zip(messages).map(|(i, value)| message(i, value)).collect::<Result<_, _>>()?);
    Ok(asked)
}

fn message(i: usize, value: &Value) -> Result<ChatMessage, Refusal> {
    let fields = Fields::at(&format!("messages[{i}]"), value)?;
    let no_calls = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    fields.refuse_unless("tool_calls", no_calls, "is a call of a tool, which this server does not pass on")?;
    fields.refuse_unless("function_call", |_| false, "is a call of a tool, which this server does not pass on")?;
    Ok(ChatMessage { role: role(&fields)?, content: content(&fields)? })
}

fn role(fields: &Fields) -> Result<String, Refusal> {
    match fields.needed_text("role")? {
        // The dialect's newer name for the same thing; templates know the older one.
        "developer" => Ok("system".to_owned()),
        role @ ("system" | "user" | "assistant" | "tool") => Ok(role.to_owned()),
        other => {
            let name = fields.name("role");
            let known = "`system`, `developer`, `user`, `assistant` or `tool`";
            Err(Refusal::field(&name, format!("`{name}` must be {known}, found: `{other}`")))
        }
    }
}

/// A text, or a list of text parts, which are put on lines of their own.
fn content(fields: &Fields) -> Result<String, Refusal> {
    let name = fields.name("content");
    match fields.value("content") {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Array(parts)) => {
            let texts = (0..).zip(parts).map(|(i, value)| part(&format!("{name}[{i}]"), value));
            Ok(texts.collect::<Result<Vec<String>, Refusal>>()?.join("\n"))
        }
        Some(_) => Err(Refusal::field(&name, format!("`{name}` must be a text or a list of text parts"))),
        None => Err(fields.missing("content")),
    }
}

fn part(place: &str, value: &Value) -> Result<String, Refusal> {
    let fields = Fields::at(place, value)?;
    match fields.needed_text("type")? {
        "text" => Ok(fields.needed_text("text")?.to_owned()),
        other => {
            let message = format!("`{place}` is `{other}`, and this server reads only parts of type `text`");
            Err(Refusal::unsupported(&fields.name("type"), message))
        }
    }
}
