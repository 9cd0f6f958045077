//! What chats and completions ask for alike: how tokens are chosen, what ends the answer, how it is sent. What would change
//! the meaning of an answer and is not done is refused; what only hints is ignored.

use std::hash::{BuildHasher, RandomState};

use lorikeet_api::wire::GenerateRequest;
use serde_json::Value;

use crate::fields::Fields;
use crate::refusal::Refusal;

/// Longest answer of a chat that names none: the model ends its turn long before, or its longest text does.
pub(crate) const CHAT_TOKENS: u64 = 2048;

/// Longest answer of a completion that names none, as the dialect has it.
pub(crate) const COMPLETION_TOKENS: u64 = 16;

const STOPS: usize = 4;

/// A request to write, and how its answer is sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    pub(crate) request: GenerateRequest,
    /// Piece by piece.
    pub(crate) is_streamed: bool,
    /// With a last piece that counts tokens.
    pub(crate) includes_usage: bool,
}

impl Asked {
    /// Everything except the words. `max_tokens` is the longest answer if the request names none.
    pub(crate) fn read(fields: &Fields, max_tokens: u64) -> Result<Self, Refusal> {
        refuse_what_is_not_done(fields)?;
        let is_streamed = fields.flag("stream")?;
        let asked_tokens = match fields.whole("max_completion_tokens", 0..=u64::MAX)? {
            Some(n) => Some(n),
            None => fields.whole("max_tokens", 0..=u64::MAX)?,
        };
        let request = GenerateRequest {
            model: fields.needed_text("model")?.to_owned(),
            adapter: None,
            prompt: None,
            messages: None,
            system: None,
            raw: false,
            max_tokens: Some(asked_tokens.unwrap_or(max_tokens)),
            temperature: Some(fields.number("temperature", 0.0..=2.0)?.unwrap_or(1.0)),
            top_p: top_p(fields)?,
            top_k: top_k(fields)?,
            stop: stops(fields)?,
            seed: Some(seed(fields)?),
            quantize: None,
        };
        Ok(Self { request, is_streamed, includes_usage: includes_usage(fields, is_streamed)? })
    }
}

/// Fields that ask for something else than one plain answer.
fn refuse_what_is_not_done(fields: &Fields) -> Result<(), Refusal> {
    let is_one = |value: &Value| value.as_u64() == Some(1);
    let is_zero = |value: &Value| value.as_f64() == Some(0.0);
    let is_one_point = |value: &Value| value.as_f64() == Some(1.0);
    let is_empty = |value: &Value| {
        value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(serde_json::Map::is_empty)
    };
    let no_choice = |value: &Value| value == "none" || value == "auto";
    let is_false = |value: &Value| *value == Value::Bool(false);
    let is_text = |value: &Value| value.get("type").is_some_and(|kind| kind == "text");
    let only_text = |value: &Value| value.as_array().is_some_and(|kinds| kinds.iter().all(|kind| kind == "text"));
    let never = |_: &Value| false;
    fields.refuse_unless("n", is_one, "asks for several answers and this server writes one")?;
    fields.refuse_unless("best_of", is_one, "asks for several answers and this server writes one")?;
    for name in ["tools", "functions"] {
        fields.refuse_unless(name, is_empty, "lets the model call tools, which this server does not do")?;
    }
    for name in ["tool_choice", "function_call"] {
        fields.refuse_unless(name, no_choice, "lets the model call tools, which this server does not do")?;
    }
    fields.refuse_unless("logprobs", is_false, "asks for probabilities, which this server does not give")?;
    fields.refuse_unless("top_logprobs", is_zero, "asks for probabilities, which this server does not give")?;
    fields.refuse_unless("response_format", is_text, "constrains the answer, which this server does not do")?;
    fields.refuse_unless("modalities", only_text, "asks for more than text")?;
    fields.refuse_unless("audio", never, "asks for sound")?;
    fields.refuse_unless("web_search_options", never, "asks for a search of the web")?;
    fields.refuse_unless("logit_bias", is_empty, "changes how tokens are chosen in a way this server does not know")?;
    for name in ["frequency_penalty", "presence_penalty", "min_p"] {
        fields.refuse_unless(name, is_zero, "changes how tokens are chosen in a way this server does not know")?;
    }
    fields.refuse_unless(
        "repetition_penalty",
        is_one_point,
        "changes how tokens are chosen in a way this server does not know",
    )
}

fn top_p(fields: &Fields) -> Result<Option<f64>, Refusal> {
    match fields.number("top_p", 0.0..=1.0)? {
        Some(0.0) => Err(Refusal::field("top_p", "`top_p` must be above 0 and at most 1, found: 0")),
        top_p => Ok(top_p),
    }
}

/// Not of the dialect, but usual: 0 and -1 switch it off.
fn top_k(fields: &Fields) -> Result<Option<u64>, Refusal> {
    if fields.value("top_k").is_some_and(|value| value.as_i64() == Some(-1)) {
        return Ok(None);
    }
    Ok(fields.whole("top_k", 0..=u64::MAX)?.filter(|k| *k > 0))
}

/// One text, or up to four.
fn stops(fields: &Fields) -> Result<Option<Vec<String>>, Refusal> {
    let wrong =
        || Refusal::field("stop", format!("`stop` must be a text or a list of at most {STOPS} texts, none empty"));
    let texts = match fields.value("stop") {
        None => return Ok(None),
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(texts)) if texts.len() <= STOPS => {
            let text = |text: &Value| text.as_str().map(str::to_owned);
            texts.iter().map(text).collect::<Option<Vec<String>>>().ok_or_else(wrong)?
        }
        Some(_) => return Err(wrong()),
    };
    if texts.iter().any(String::is_empty) { Err(wrong()) } else { Ok(Some(texts)) }
}

/// Any whole number; another one each time where left out.
fn seed(fields: &Fields) -> Result<u64, Refusal> {
    match fields.value("seed") {
        None => Ok(RandomState::new().hash_one("seed")),
        Some(seed) => {
            let whole = seed.as_u64().or_else(|| seed.as_i64().map(i64::cast_unsigned));
            whole.ok_or_else(|| Refusal::field("seed", format!("`seed` must be a whole number, found: {seed}")))
        }
    }
}

fn includes_usage(fields: &Fields, is_streamed: bool) -> Result<bool, Refusal> {
    match fields.value("stream_options") {
        None => Ok(false),
        Some(_) if !is_streamed => {
            Err(Refusal::field("stream_options", "`stream_options` is only allowed together with `stream`: true"))
        }
        Some(options) => Fields::at("stream_options", options)?.flag("include_usage"),
    }
}
