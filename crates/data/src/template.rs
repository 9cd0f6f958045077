//! Chat templates: Jinja, rendered with the options, filters and functions transformers renders them with.
//!
//! A template turns a conversation into the text the model reads. The same rendering serves training, chat, evaluation
//! and serving. Which parts of the text are trained is decided in [`crate::mask`].

mod bounded_text;

use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Serde, ValueKind};
use minijinja::{Environment, ErrorKind, State, UndefinedBehavior, Value};

use self::bounded_text::BoundedText;
use crate::error::{Error, Result};
use crate::python_text;
use crate::record::{Chat, Message, Role};

const NAME: &str = "chat";

/// Marks around what a `{% generation %}` block renders; noncharacters, which no text contains.
const SPAN_START: char = '\u{fdd0}';
const SPAN_END: char = '\u{fdd1}';

/// Words that stand for an assistant's answer when a template is tried out.
const PROBE: &str = "lorikeet probe";

/// Instructions that one rendering may take, which is a second or so: a template comes with a model, from anywhere.
const MOST_INSTRUCTIONS: u64 = 5_000_000;

/// Bytes that one rendering may write.
const MOST_BYTES: usize = 64 << 20;

/// The plain chat used for a model without a template and without ChatML tokens.
const PLAIN: &str = "{% for message in messages %}\
{% if message.role == 'system' %}{{ message.content + '\n\n' }}\
{% elif message.role == 'assistant' %}{{ 'Assistant: ' + message.content + eos_token + '\n' }}\
{% elif message.role == 'tool' %}{{ 'Tool: ' + message.content + '\n' }}\
{% else %}{{ 'User: ' + message.content + '\n' }}{% endif %}\
{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}";

/// The chat used for a model without a template whose vocabulary has the ChatML tokens.
const CHAT_ML: &str = "{% for message in messages %}\
{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}\
{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// Where a template comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateOrigin {
    /// The model's own files.
    Model,
    /// The model has none; its vocabulary has `<|im_start|>` and `<|im_end|>`, so ChatML is used.
    ChatMl,
    /// The model has none; `User: …` and `Assistant: …` lines are used.
    Plain,
}

/// A chat template ready to render.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    source: String,
    hash: String,
    origin: TemplateOrigin,
    has_generation_blocks: bool,
    variables: Vec<(String, Value)>,
    text_after_turn: Option<String>,
}

impl ChatTemplate {
    /// The template a model brings. `bos` and `eos` are its tokens as they are spelled, empty if it has none.
    pub fn of_model(folder: &Path, source: String, bos: String, eos: String) -> Result<ChatTemplate> {
        ChatTemplate::new(folder, source, TemplateOrigin::Model, bos, eos)
    }

    /// The documented default for a model that brings none: ChatML where the vocabulary has its tokens, else plain lines.
    pub fn fallback(folder: &Path, chat_ml: bool, with_bos: bool, bos: String, eos: String) -> Result<ChatTemplate> {
        let (body, origin) = if chat_ml { (CHAT_ML, TemplateOrigin::ChatMl) } else { (PLAIN, TemplateOrigin::Plain) };
        let source = if with_bos { format!("{{{{ bos_token }}}}{body}") } else { body.to_owned() };
        ChatTemplate::new(folder, source, origin, bos, eos)
    }

    fn new(folder: &Path, source: String, origin: TemplateOrigin, bos: String, eos: String) -> Result<ChatTemplate> {
        let (rewritten, has_generation_blocks) = with_span_filters(&source);
        let unreadable =
            |cause: minijinja::Error| Error::TemplateSyntax { path: folder.to_owned(), reason: reason(&cause) };
        let mut environment = environment().map_err(unreadable)?;
        environment.add_template_owned(NAME, rewritten).map_err(unreadable)?;
        let mut template = ChatTemplate {
            environment,
            hash: blake3::hash(source.as_bytes()).to_hex().to_string(),
            source,
            origin,
            has_generation_blocks,
            variables: vec![("bos_token".to_owned(), bos.into()), ("eos_token".to_owned(), eos.into())],
            text_after_turn: None,
        };
        template.text_after_turn = template.probe();
        Ok(template)
    }

    /// The same template with a further variable, such as `enable_thinking` or `date_string`.
    pub fn with_variable(mut self, name: &str, value: serde_json::Value) -> ChatTemplate {
        self.variables.push((name.to_owned(), Serde(value).into()));
        self.text_after_turn = self.probe();
        self
    }

    /// The Jinja source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// BLAKE3 of the source, in hexadecimal.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Where the template comes from.
    pub fn origin(&self) -> TemplateOrigin {
        self.origin
    }

    /// What the template writes after the words of an assistant's last turn.
    pub(crate) fn text_after_turn(&self) -> Option<&str> {
        self.text_after_turn.as_deref()
    }

    /// Renders a conversation. `add_generation_prompt` ends it with what asks the model for its turn. `now_unix_s` is
    /// the time that templates which print the date see (in UTC); without it, the clock of this computer.
    pub fn render(&self, chat: &Chat, add_generation_prompt: bool, now_unix_s: Option<i64>) -> Result<String> {
        self.render_messages(&chat.messages, &chat.tools, add_generation_prompt, now_unix_s)
    }

    pub(crate) fn render_messages(
        &self,
        messages: &[Message],
        tools: &[serde_json::Value],
        add_generation_prompt: bool,
        now_unix_s: Option<i64>,
    ) -> Result<String> {
        let mut text = self.render_marked(messages, tools, add_generation_prompt, now_unix_s)?;
        if self.has_generation_blocks {
            text.retain(|c| c != SPAN_START && c != SPAN_END);
        }
        Ok(text)
    }

    /// Byte ranges of a rendering that lie inside `{% generation %}` blocks; nothing if the template has none.
    pub(crate) fn generation_spans(&self, chat: &Chat, now_unix_s: Option<i64>) -> Result<Vec<(usize, usize)>> {
        if !self.has_generation_blocks {
            return Ok(Vec::new());
        }
        let marked = self.render_marked(&chat.messages, &chat.tools, false, now_unix_s)?;
        let (mut spans, mut start, mut at) = (Vec::new(), 0, 0);
        for c in marked.chars() {
            match c {
                SPAN_START => start = at,
                SPAN_END => spans.push((start, at)),
                c => at += c.len_utf8(),
            }
        }
        Ok(spans)
    }

    fn render_marked(
        &self,
        messages: &[Message],
        tools: &[serde_json::Value],
        add_generation_prompt: bool,
        now_unix_s: Option<i64>,
    ) -> Result<String> {
        let mut context: Vec<(String, Value)> = self.variables.clone();
        context.push(("messages".to_owned(), Serde(messages).into()));
        let tools = if tools.is_empty() { Value::from(()) } else { Serde(tools).into() };
        context.push(("tools".to_owned(), tools));
        context.push(("documents".to_owned(), Value::from(())));
        context.push(("add_generation_prompt".to_owned(), add_generation_prompt.into()));
        context.push(("strftime_now".to_owned(), strftime_now(now_unix_s)));
        let refused = |cause: minijinja::Error| Error::TemplateRefused { reason: reason(&cause) };
        let template = self.environment.get_template(NAME).map_err(refused)?;
        let mut text = BoundedText::new(MOST_BYTES);
        template.render_captured_to(Value::from_pairs(context), &mut text).map_err(refused)?;
        text.into_string().map_err(|reason| Error::TemplateRefused { reason })
    }

    fn probe(&self) -> Option<String> {
        let turns = [Message::new(Role::User, "lorikeet asks"), Message::new(Role::Assistant, PROBE)];
        let text = self.render_messages(&turns, &[], false, None).ok()?;
        let (_, after) = text.rsplit_once(PROBE)?;
        (!after.is_empty()).then(|| after.to_owned())
    }
}

/// An engine with transformers' options: blocks swallow their line, loop controls, Python's methods and spellings.
fn environment() -> std::result::Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_fuel(Some(MOST_INSTRUCTIONS));
    environment.set_undefined_behavior(UndefinedBehavior::Lenient);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_formatter(|out, state, value| match value.kind() {
        ValueKind::Bool | ValueKind::None | ValueKind::Seq | ValueKind::Map | ValueKind::Number => {
            let text = python_text::text(&plain(value)?);
            out.write_str(&text).map_err(minijinja::Error::from)
        }
        _ => minijinja::escape_formatter(out, state, value),
    });
    environment.add_filter("tojson", to_json);
    environment.add_filter("string", |value: Value| plain(&value).map(|value| python_text::text(&value)));
    environment.add_filter("generation_span", |body: String| format!("{SPAN_START}{body}{SPAN_END}"));
    environment.add_function("raise_exception", |message: String| -> std::result::Result<Value, minijinja::Error> {
        Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
    });
    Ok(environment)
}

fn plain(value: &Value) -> std::result::Result<serde_json::Value, minijinja::Error> {
    serde_json::to_value(value).map_err(|cause| {
        minijinja::Error::new(ErrorKind::BadSerialization, "the value cannot be written").with_source(cause)
    })
}

fn to_json(_: &State<'_, '_>, value: Value, options: Kwargs) -> std::result::Result<Value, minijinja::Error> {
    let indent: Option<usize> = options.get("indent")?;
    let _: Option<bool> = options.get("ensure_ascii")?;
    options.assert_all_used()?;
    Ok(Value::from(python_text::json(&plain(&value)?, indent)))
}

/// `strftime_now(format)` for a fixed second (UTC) or for this computer's clock.
fn strftime_now(now_unix_s: Option<i64>) -> Value {
    Value::from_function(move |format: String| -> std::result::Result<String, minijinja::Error> {
        let invalid = |cause: jiff::Error| {
            minijinja::Error::new(ErrorKind::InvalidOperation, "the date cannot be written").with_source(cause)
        };
        let now = match now_unix_s {
            Some(second) => jiff::Timestamp::from_second(second).map_err(invalid)?.to_zoned(jiff::tz::TimeZone::UTC),
            None => jiff::Zoned::now(),
        };
        jiff::fmt::strtime::format(&format, &now).map_err(invalid)
    })
}

/// The source with `{% generation %}` blocks turned into filter blocks, which keep the tags' treatment of white space.
fn with_span_filters(source: &str) -> (String, bool) {
    let (mut out, mut rest, mut found) = (String::with_capacity(source.len()), source, false);
    while let Some(open) = rest.find("{%") {
        let (before, tag) = rest.split_at(open);
        out.push_str(before);
        let Some(close) = tag.find("%}") else {
            rest = tag;
            break;
        };
        let (tag, after) = tag.split_at(close + 2);
        let word = tag.trim_start_matches("{%").trim_end_matches("%}").trim_matches(['-', '+']).trim();
        match word {
            "generation" => out.push_str(&tag.replacen("generation", "filter generation_span", 1)),
            "endgeneration" => out.push_str(&tag.replacen("endgeneration", "endfilter", 1)),
            _ => out.push_str(tag),
        }
        found |= word == "generation";
        rest = after;
    }
    out.push_str(rest);
    (out, found)
}

/// The template's own words where it raised an exception, else the engine's description with its place.
fn reason(cause: &minijinja::Error) -> String {
    match cause.detail() {
        Some(detail) if cause.kind() == ErrorKind::InvalidOperation => detail.to_owned(),
        _ => cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(source: &str, chat: &Chat) -> Result<String> {
        let template = ChatTemplate::of_model(Path::new("model"), source.to_owned(), "<s>".into(), "</s>".into())?;
        template.render(chat, true, Some(1_795_176_000))
    }

    fn chat() -> Chat {
        let messages = vec![Message::new(Role::User, "a"), Message::new(Role::Assistant, "b")];
        Chat { messages, tools: vec![json!({"type": "function", "b": 1.0, "a": {"é<'": [true, null]}})] }
    }

    #[test]
    fn values_are_written_as_python_writes_them() {
        let rendered = render(
            "{{ tools[0] | tojson }}\n{{ tools[0] | tojson(indent=2) }}\n{{ tools[0] | string }}\n{{ tools[0] }} \
             {{ true }} {{ none }} {{ 1.0 }} {{ [1, 'x'] }} {{ missing }}|{{ messages[0].weight }}",
            &chat(),
        );
        insta::assert_snapshot!(rendered.unwrap(), @r#"
        {"type": "function", "b": 1.0, "a": {"é<'": [true, null]}}
        {
          "type": "function",
          "b": 1.0,
          "a": {
            "é<'": [
              true,
              null
            ]
          }
        }
        {'type': 'function', 'b': 1.0, 'a': {"é<'": [True, None]}}
        {'type': 'function', 'b': 1.0, 'a': {"é<'": [True, None]}} True None 1.0 [1, 'x'] |
        "#);
    }

    #[test]
    fn functions_and_loop_controls_of_transformers_are_there() {
        let source = "{{ strftime_now('%d %B %Y') }}{% for m in messages %}{% if loop.index0 == 1 %}{% break %}{% endif %}\n    {{ m['content'].strip().upper() }}\n  {% endfor %}{{ bos_token + eos_token }}";
        assert_eq!(render(source, &chat()).unwrap(), "20 November 2026    A\n<s></s>");
        let refused = render("{{ raise_exception('no ' + messages[0].role) }}", &chat()).unwrap_err();
        assert_eq!(refused.to_string(), "the model's chat template refuses this conversation: no user");
    }

    #[test]
    fn a_template_with_faults_says_where() {
        let unread = render("{% for m in messages %}", &chat()).unwrap_err().to_string();
        insta::assert_snapshot!(unread, @r#"the chat template of `model` cannot be read: syntax error: unexpected end of input, expected end of block (in chat:1)"#);
        let failed = render("{{ messages | no_such_filter }}", &chat()).unwrap_err().to_string();
        insta::assert_snapshot!(failed, @r#"the model's chat template refuses this conversation: unknown filter: filter no_such_filter is unknown (in chat:1)"#);
        let failed = render("{{ messages[0].content.no_such_method() }}", &chat()).unwrap_err().to_string();
        insta::assert_snapshot!(failed, @r#"the model's chat template refuses this conversation: unknown method: string has no method named no_such_method (in chat:1)"#);
    }

    #[test]
    fn generation_blocks_are_found_and_do_not_show() {
        let source =
            "{% for m in messages %}\n  {%- generation %}\n<{{ m.content }}>\n  {%- endgeneration %}\n.{% endfor %}";
        let template =
            ChatTemplate::of_model(Path::new("model"), source.to_owned(), String::new(), String::new()).unwrap();
        let text = template.render(&chat(), false, None).unwrap();
        assert_eq!(text, "<a>.<b>.");
        assert_eq!(template.generation_spans(&chat(), None).unwrap(), [(0, 3), (4, 7)]);
    }

    #[test]
    fn the_hash_is_that_of_the_source() {
        let template = ChatTemplate::fallback(Path::new("model"), true, false, String::new(), String::new()).unwrap();
        assert_eq!(template.hash(), blake3::hash(template.source().as_bytes()).to_hex().as_str());
        assert_eq!(template.origin(), TemplateOrigin::ChatMl);
        assert_eq!(template.text_after_turn(), Some("<|im_end|>\n"));
    }
}
