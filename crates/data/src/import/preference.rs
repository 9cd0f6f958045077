//! Rows about preferences: two answers to one prompt, or one answer with a verdict, in the spellings that data sets have.
//! Prompts and answers are texts, turns, or whole conversations that begin alike.

use serde_json::{Map, Value};

use crate::import::convert::{Fit, list, message, optional_text, system_turn, text, unfit};
use crate::import::shape::Asked;
use crate::record::{Judged, Message, Preference, Record, Role, Words};

type Values = Map<String, Value>;

/// A row with a chosen and a rejected answer.
pub(crate) fn pair(values: &Values, asked: &Asked, chosen: &str, rejected: &str) -> Fit<Record> {
    let prompt = prompt(values, asked)?;
    let (better, worse) = (words(values, chosen)?, words(values, rejected)?);
    let (prompt, better, worse) = match (prompt, better, worse) {
        (None, Words::Text(better), Words::Text(worse)) => {
            let at = shared_text(&better, &worse);
            let rest = |text: &str| Words::Text(text.get(at..).unwrap_or_default().to_owned());
            (Words::Text(better.get(..at).unwrap_or_default().to_owned()), rest(&better), rest(&worse))
        }
        (Some(Words::Text(prompt)), Words::Text(better), Words::Text(worse)) if !asked.is_turn => {
            (Words::Text(prompt), Words::Text(better), Words::Text(worse))
        }
        (prompt, better, worse) => {
            let mut before = prompt.map(|words| words.turns(Role::User)).unwrap_or_default();
            let [mut better, mut worse] = [better, worse].map(|words| words.turns(Role::Assistant));
            // Whole conversations repeat the prompt; what both begin with belongs to it.
            let repeated = better.iter().zip(&before).take_while(|(a, b)| a == b).count();
            if repeated == before.len() {
                let n = better.iter().zip(&worse).take_while(|(a, b)| a == b).count();
                let n = n.min(better.len().saturating_sub(1)).min(worse.len().saturating_sub(1));
                before = better.drain(..n).collect();
                worse.drain(..n);
            }
            (Words::Turns(before), Words::Turns(better), Words::Turns(worse))
        }
    };
    for (name, answer) in [(chosen, &better), (rejected, &worse)] {
        check(name, answer)?;
    }
    Ok(Record::Preference(Preference { prompt, chosen: better, rejected: worse }))
}

/// A row with one answer and a verdict.
pub(crate) fn judged(values: &Values, asked: &Asked, completion: Option<&str>, verdict: &str) -> Fit<Record> {
    let label = match values.get(verdict) {
        Some(Value::Bool(label)) => *label,
        Some(Value::String(word)) if word.trim().eq_ignore_ascii_case("true") => true,
        Some(Value::String(word)) if word.trim().eq_ignore_ascii_case("false") => false,
        _ => return unfit(verdict, format!("`{verdict}` is neither true nor false")),
    };
    let name = completion.or(asked.question.as_deref()).unwrap_or(verdict);
    let (prompt, completion) = match (prompt(values, asked)?, completion) {
        (Some(Words::Turns(mut turns)), None) => {
            let first = turns.iter().rposition(|turn| turn.role != Role::Assistant).map_or(0, |at| at + 1);
            let answer = turns.split_off(first);
            (Words::Turns(turns), Words::Turns(answer))
        }
        (Some(prompt), Some(name)) => match (prompt, words(values, name)?) {
            (Words::Text(prompt), Words::Text(answer)) => (Words::Text(prompt), Words::Text(answer)),
            (prompt, answer) => (Words::Turns(prompt.turns(Role::User)), Words::Turns(answer.turns(Role::Assistant))),
        },
        _ => return unfit(name, "the row has no prompt that the answer belongs to"),
    };
    check(name, &completion)?;
    Ok(Record::Judged(Judged { prompt, completion, label }))
}

fn prompt(values: &Values, asked: &Asked) -> Fit<Option<Words>> {
    let Some(name) = &asked.question else { return Ok(None) };
    let system = system_turn(values, asked.system.as_deref())?;
    let question = match words(values, name)? {
        Words::Text(question) => match optional_text(values, asked.input.as_deref())? {
            Some(input) => Words::Text(format!("{question}\n\n{input}")),
            None => Words::Text(question),
        },
        turns => turns,
    };
    match question {
        Words::Text(text) if system.is_empty() && !asked.is_turn => Ok(Some(Words::Text(text))),
        question => Ok(Some(Words::Turns(system.into_iter().chain(question.turns(Role::User)).collect()))),
    }
}

/// A text, a turn, or a list of turns.
fn words(values: &Values, name: &str) -> Fit<Words> {
    let read = |turn: &Value, nth: usize| match message(turn) {
        Ok(message) => Ok(message),
        Err(reason) => unfit(name, format!("turn {nth} of `{name}`: {reason}")),
    };
    match values.get(name) {
        Some(turn @ Value::Object(_)) => Ok(Words::Turns(vec![read(turn, 1)?])),
        Some(Value::Array(_)) => {
            let turns = list(values, name)?;
            let turns = turns.iter().enumerate().map(|(nth, turn)| read(turn, nth + 1));
            Ok(Words::Turns(turns.collect::<Fit<Vec<Message>>>()?))
        }
        _ => text(values, name).map(Words::Text),
    }
}

/// An answer is words, or turns that the assistant says something in.
fn check(name: &str, answer: &Words) -> Fit<()> {
    let is_said = match answer {
        Words::Text(text) => !text.trim().is_empty(),
        Words::Turns(turns) => turns.iter().any(Message::is_trained),
    };
    if is_said { Ok(()) } else { unfit(name, format!("`{name}` has no answer of the assistant")) }
}

/// Bytes that two texts share at their beginning, cut before the last word of it: a word is never divided between prompt
/// and answer.
fn shared_text(a: &str, b: &str) -> usize {
    let common =
        a.char_indices().zip(b.chars()).find(|((_, x), y)| x != y).map_or(a.len().min(b.len()), |((at, _), _)| at);
    let shared = a.get(..common).unwrap_or_default();
    shared.rfind(char::is_whitespace).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::import::{convert::record, shape::Shape};

    fn stored(values: Value) -> Value {
        let values = values.as_object().unwrap();
        let shape = Shape::of(values, None).unwrap();
        serde_json::to_value(record(&shape, values).unwrap()).unwrap()
    }

    fn said(role: &str, content: &str) -> Value {
        json!({"role": role, "content": content})
    }

    #[test]
    fn pairs_come_in_many_spellings() {
        let turns = json!({"prompt": [said("user", "q")], "chosen": [said("assistant", "a")], "rejected": [said("assistant", "b")]});
        for row in [
            turns.clone(),
            json!({"conversations": [{"from": "human", "value": "q"}], "chosen": {"from": "gpt", "value": "a"}, "rejected": {"from": "gpt", "value": "b"}}),
            json!({"question": "q", "chosen": "a", "rejected": "b"}),
            json!({"chosen": [said("user", "q"), said("assistant", "a")], "rejected": [said("user", "q"), said("assistant", "b")]}),
            json!({"prompt": "q", "chosen": [said("user", "q"), said("assistant", "a")], "rejected": [said("user", "q"), said("assistant", "b")]}),
        ] {
            assert_eq!(stored(row.clone()), turns, "{row}");
        }
        let text = json!({"prompt": "q", "chosen": " a", "rejected": " b"});
        assert_eq!(stored(text.clone()), text);
        let whole = json!({"chosen": "q is ab", "rejected": "q is ac"});
        assert_eq!(stored(whole), json!({"prompt": "q is", "chosen": " ab", "rejected": " ac"}));
        let system = json!({"system": "s", "instruction": "i", "input": "x", "chosen": "a", "rejected": "b"});
        assert_eq!(stored(system)["prompt"], json!([said("system", "s"), said("user", "i\n\nx")]));
    }

    #[test]
    fn verdicts_come_with_text_or_turns() {
        let row = json!({"prompt": "q", "completion": " a", "label": false});
        assert_eq!(stored(row.clone()), row);
        let turns = json!({"messages": [said("user", "q"), said("assistant", "a")], "label": "True"});
        let expected = json!({"prompt": [said("user", "q")], "completion": [said("assistant", "a")], "label": true});
        assert_eq!(stored(turns), expected);
    }

    #[test]
    fn an_answer_that_says_nothing_is_to_blame() {
        let values = json!({"prompt": "q", "chosen": "a", "rejected": "  "});
        let values = values.as_object().unwrap();
        let unfit = record(&Shape::of(values, None).unwrap(), values).unwrap_err();
        assert_eq!(
            (unfit.name.as_deref(), unfit.reason.as_str()),
            (Some("rejected"), "`rejected` has no answer of the assistant")
        );
    }
}
