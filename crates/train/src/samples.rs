//! Sample answers: a few questions from the examples kept aside, answered by the model as it stands, so that one reads
//! progress instead of guessing it from a number.

use lorikeet_data::{Chat, Dataset, Record, Role, TextStream, Tokenizer};
use lorikeet_generate::{DecodeError, GenerateSettings, Sampling, StopReason, TextDecoder, generate};
use lorikeet_models::{Backend, Model, ModelConfig};

use crate::{EventKind, Examples, Result, TrainJob};

/// A question as a person reads it and as the model reads it.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    shown: String,
    ids: Vec<u32>,
}

/// Characters of a plain text that are given as its beginning.
const BEGINNING_CHARS: usize = 80;

/// The first questions among the examples kept aside (of those learned from, where none are).
pub(crate) fn questions(job: &TrainJob, examples: &Examples, config: &ModelConfig) -> Result<Vec<Question>> {
    let held_out = examples.validation.as_ref();
    let dataset = if held_out.is_some() { job.validation.as_ref().unwrap_or(&job.dataset) } else { &job.dataset };
    let source = held_out.unwrap_or(&examples.train);
    let room = config.max_positions().saturating_sub(job.settings.sample_tokens as usize);
    let mut found = Vec::new();
    for row in (0..source.len() as u32).filter_map(|i| source.row(i)) {
        if found.len() >= job.settings.samples as usize {
            break;
        }
        if let Some(q) =
            question(dataset, row, &examples.tokenizer)?.filter(|q| !q.ids.is_empty() && q.ids.len() < room)
        {
            found.push(q);
        }
    }
    Ok(found)
}

fn question(dataset: &Dataset, row: u32, tokenizer: &Tokenizer) -> Result<Option<Question>> {
    asked(dataset.row(row as usize)?, tokenizer)
}

fn asked(record: Record, tokenizer: &Tokenizer) -> Result<Option<Question>> {
    Ok(match record {
        Record::Preference(row) => {
            let [chosen, _] = row.answers();
            return asked(chosen, tokenizer);
        }
        Record::Judged(row) => return asked(row.answer(), tokenizer),
        Record::Chat(chat) => {
            let Some(last) = chat.messages.iter().rposition(|m| m.role == Role::Assistant) else { return Ok(None) };
            let before = Chat { messages: chat.messages[..last].to_vec(), tools: chat.tools };
            let Some(asked) = before.messages.iter().rfind(|m| m.role == Role::User) else { return Ok(None) };
            Some(Question { shown: asked.content.clone(), ids: tokenizer.chat_prompt(&before)? })
        }
        Record::Prompt(p) => Some(Question { ids: tokenizer.text_prompt(&p.prompt)?, shown: p.prompt }),
        Record::Text(t) => {
            let cut = t.text.char_indices().nth(BEGINNING_CHARS).map_or(t.text.len(), |(i, _)| i);
            let end = t.text[..cut].rfind(char::is_whitespace).unwrap_or(cut);
            let beginning = &t.text[..end];
            Some(Question { ids: tokenizer.text_prompt(beginning)?, shown: beginning.to_owned() })
        }
        Record::Labelled(_) => None,
    })
}

/// The model's greedy answer as an event.
pub(crate) fn answer<B: Backend>(
    model: &mut Model<B>,
    tokenizer: &Tokenizer,
    question: &Question,
    max_tokens: usize,
) -> Result<EventKind> {
    let settings = GenerateSettings {
        max_tokens,
        stop_ids: tokenizer.stop_ids().to_vec(),
        sampling: Sampling::default(),
        ..GenerateSettings::default()
    };
    let decoder = Decoding(tokenizer.stream(true));
    let answer = generate(model, &question.ids, &settings, decoder, &mut |_| true)?;
    Ok(EventKind::Sample {
        prompt: question.shown.clone(),
        answer: answer.text,
        ended: answer.stop_reason == StopReason::Stop,
    })
}

/// A tokenizer's streaming decoder as generation takes it.
pub struct Decoding<'a>(pub TextStream<'a>);

impl TextDecoder for Decoding<'_> {
    fn push(&mut self, id: u32) -> std::result::Result<Option<String>, DecodeError> {
        self.0.push(id).map_err(Into::into)
    }

    fn finish(self) -> std::result::Result<Option<String>, DecodeError> {
        self.0.finish().map_err(Into::into)
    }
}
