//! `POST /v1/completions`: a text goes on, without a chat template.

use serde_json::Value;

use crate::asked::{Asked, COMPLETION_TOKENS};
use crate::fields::Fields;
use crate::refusal::Refusal;

/// The request of a body.
pub(crate) fn read(fields: &Fields) -> Result<Asked, Refusal> {
    let mut asked = Asked::read(fields, COMPLETION_TOKENS)?;
    let is_false = |value: &Value| *value == Value::Bool(false);
    fields.refuse_unless("echo", is_false, "asks for the prompt again, which this server does not send")?;
    fields.refuse_unless(
        "suffix",
        |value| value == "",
        "asks for words between two texts, which this server does not do",
    )?;
    asked.request.prompt = Some(prompt(fields)?);
    asked.request.raw = true;
    Ok(asked)
}

/// A text, or a list of one text.
fn prompt(fields: &Fields) -> Result<String, Refusal> {
    let needed = "`prompt` must be one text; several prompts or token ids are not read";
    let text = match fields.value("prompt") {
        None => return Err(fields.missing("prompt")),
        Some(Value::Array(texts)) if texts.len() == 1 => texts.first().and_then(Value::as_str),
        Some(value) => value.as_str(),
    };
    text.map(str::to_owned).ok_or_else(|| Refusal::field("prompt", needed))
}
