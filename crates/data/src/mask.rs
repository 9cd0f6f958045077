//! Which part of a row is learnt: the assistant's turns of a conversation, found in what the chat template renders.
//!
//! The turn of message `k` is what the template adds between the conversation before it, ending with the generation
//! prompt, and the conversation with it: exactly what the model has to say at inference. Templates that show earlier
//! turns differently once more turns follow (dropped thoughts, a system text moved to the last question) are met by
//! writing a mark into the turn and seeing where it comes out; `{% generation %}` blocks are the last resort.

use crate::error::{Error, Result};
use crate::record::{Chat, Message};
use crate::template::ChatTemplate;

/// A mark no text contains (a noncharacter), written beside a turn to see where the template puts it.
const MARK: &str = "\u{fdd2}";

/// A rendered conversation and the byte ranges of it that are learnt, ascending and apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rendered {
    pub(crate) text: String,
    pub(crate) spans: Vec<(usize, usize)>,
}

/// Renders `chat` and finds its trained turns. `end_of_turn` is the token after an assistant's words; a turn ends with
/// it, whatever line break the template writes behind.
pub(crate) fn render(
    template: &ChatTemplate,
    chat: &Chat,
    end_of_turn: Option<&str>,
    now_unix_s: Option<i64>,
) -> Result<Rendered> {
    let turns = Turns { template, chat, now_unix_s, text: template.render(chat, false, now_unix_s)? };
    let mut spans: Vec<(usize, usize)> = Vec::new();
    for (at, message) in chat.messages.iter().enumerate() {
        if !message.is_trained() {
            continue;
        }
        let (start, limit) = turns.span(at)?;
        let start = start.max(spans.last().map_or(0, |span| span.1));
        let said = turns.text.get(start..limit).unwrap_or_default();
        let end = match end_of_turn.and_then(|token| said.find(token).map(|place| place + token.len())) {
            Some(length) => start + length,
            None => limit,
        };
        if end > start {
            spans.push((start, end));
        }
    }
    Ok(Rendered { text: turns.text, spans })
}

struct Turns<'a> {
    template: &'a ChatTemplate,
    chat: &'a Chat,
    now_unix_s: Option<i64>,
    /// The whole conversation.
    text: String,
}

impl Turns<'_> {
    /// Where the turn of message `at` begins and where what belongs to it ends at the latest.
    fn span(&self, at: usize) -> Result<(usize, usize)> {
        let start = match self.start_by_prompt(at) {
            Some(start) => Some(start),
            None => self.marked(at, |content| format!("{MARK}{content}")).map(|(before, _)| before),
        };
        if let (Some(start), Some(end)) = (start, self.end(at))
            && self.text.get(start..end).is_some()
        {
            return Ok((start, end));
        }
        self.span_by_generation_block(at)
    }

    fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Option<String> {
        self.template.render_messages(messages, &self.chat.tools, add_generation_prompt, self.now_unix_s).ok()
    }

    /// The end of the prompt that asks for this turn, if the whole conversation begins with that prompt. A prompt that
    /// ends with words the template leaves out of finished turns (an opened thought) counts up to those words.
    fn start_by_prompt(&self, at: usize) -> Option<usize> {
        let before = self.chat.messages.get(..at)?;
        let prompt = self.render(before, true)?;
        if self.text.starts_with(&prompt) {
            return Some(prompt.len());
        }
        let without_prompt = self.render(before, false)?;
        let common = common_prefix(&self.text, &prompt);
        let is_prompt_only = self.text.starts_with(&without_prompt) && prompt.starts_with(&without_prompt);
        (is_prompt_only && common > without_prompt.len()).then_some(common)
    }

    /// The end of the conversation up to this turn, if the whole conversation begins with it; else the place after the
    /// turn's words and whatever the template writes between them and the next turn.
    fn end(&self, at: usize) -> Option<usize> {
        if at + 1 == self.chat.messages.len() {
            return Some(self.text.len());
        }
        let until = self.render(self.chat.messages.get(..=at)?, false)?;
        if self.text.starts_with(&until) {
            return Some(until.len());
        }
        let (_, words_end) = self.marked(at, |content| format!("{content}{MARK}"))?;
        let after = self.text.get(words_end..)?;
        let closing = self.template.text_after_turn().unwrap_or_default();
        Some(words_end + common_prefix(after, closing))
    }

    /// Renders the conversation with the words of message `at` replaced; gives the bytes before the mark, and the bytes
    /// of the unchanged text up to where it goes on as behind the mark.
    fn marked(&self, at: usize, replace: impl Fn(&str) -> String) -> Option<(usize, usize)> {
        let mut messages = self.chat.messages.clone();
        let message = messages.get_mut(at)?;
        message.content = replace(&message.content);
        let text = self.render(&messages, false)?;
        let (before, after) = text.split_once(MARK)?;
        let is_same = !after.contains(MARK) && self.text.ends_with(after);
        let start = common_prefix(&self.text, before);
        is_same.then(|| (start, self.text.len() - after.len()))
    }

    /// The `{% generation %}` block of this turn: blocks and assistant turns correspond one to one.
    fn span_by_generation_block(&self, at: usize) -> Result<(usize, usize)> {
        let blocks = self.template.generation_spans(self.chat, self.now_unix_s)?;
        let is_assistant = |message: &&Message| message.role == crate::record::Role::Assistant;
        let nth = self.chat.messages.iter().take(at).filter(is_assistant).count();
        let n_turns = self.chat.messages.iter().filter(is_assistant).count();
        let fault = |reason: &str| Error::CannotMask { turn: at + 1, reason: reason.to_owned() };
        if blocks.len() != n_turns {
            return Err(fault(
                "the text before the turn changes once the turn is there, and the template marks no `{% generation %}` block for it",
            ));
        }
        blocks.get(nth).copied().ok_or_else(|| fault("the template's `{% generation %}` blocks do not cover it"))
    }
}

/// Bytes that two texts share at their beginning, cut to whole characters.
fn common_prefix(a: &str, b: &str) -> usize {
    a.char_indices().zip(b.chars()).find(|((_, x), y)| x != y).map_or(a.len().min(b.len()), |((place, _), _)| place)
}
