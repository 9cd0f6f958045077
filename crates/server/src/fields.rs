//! A request's body, field by field, so that a refusal names the field. `null` is the same as leaving a field out; fields
//! nobody asks for are ignored, as the dialect's clients expect.

use std::fmt::Display;
use std::ops::RangeInclusive;

use axum::http::StatusCode;
use serde_json::{Map, Value};

use crate::refusal::Refusal;

type Result<T> = std::result::Result<T, Refusal>;

/// The fields of a JSON object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fields {
    /// Where the object stands in the body, with a dot at the end; empty for the body itself.
    place: String,
    fields: Map<String, Value>,
}

impl Fields {
    /// The fields of a whole body.
    pub(crate) fn of_body(body: &[u8]) -> Result<Self> {
        let refused = |message| Refusal::new(StatusCode::BAD_REQUEST, "invalid_json", message);
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self { place: String::new(), fields }),
            Ok(other) => Err(refused(format!("the body must be a JSON object, found: {}", kind(&other)))),
            Err(error) => Err(refused(format!("the body is not valid JSON: {error}"))),
        }
    }

    /// The fields of an object at `place` in the body.
    pub(crate) fn at(place: &str, value: &Value) -> Result<Self> {
        match value {
            Value::Object(fields) => Ok(Self { place: format!("{place}."), fields: fields.clone() }),
            other => Err(Refusal::field(place, format!("`{place}` must be an object, found: {}", kind(other)))),
        }
    }

    /// A field's full name, for refusals.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}{name}", self.place)
    }

    /// A field that is there and not `null`.
    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// A text.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>> {
        self.typed(name, "a text", Value::as_str)
    }

    /// A text that must be there.
    pub(crate) fn needed_text(&self, name: &str) -> Result<&str> {
        self.text(name)?.ok_or_else(|| self.missing(name))
    }

    /// True or false; false where left out.
    pub(crate) fn flag(&self, name: &str) -> Result<bool> {
        Ok(self.typed(name, "true or false", Value::as_bool)?.unwrap_or(false))
    }

    /// A number in a range.
    pub(crate) fn number(&self, name: &str, range: RangeInclusive<f64>) -> Result<Option<f64>> {
        let number = self.typed(name, "a number", Value::as_f64)?;
        self.within(name, number, &range)
    }

    /// A whole number in a range.
    pub(crate) fn whole(&self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>> {
        let number = self.typed(name, "a whole number, 0 or above", Value::as_u64)?;
        self.within(name, number, &range)
    }

    /// A list.
    pub(crate) fn list(&self, name: &str) -> Result<Option<&Vec<Value>>> {
        self.typed(name, "a list", Value::as_array)
    }

    /// The refusal of a field that is not there.
    pub(crate) fn missing(&self, name: &str) -> Refusal {
        let name = self.name(name);
        let message = format!("the request has no `{name}`, which it needs");
        Refusal::field(name, message)
    }

    /// Refuses a field unless it says what would happen anyway.
    pub(crate) fn refuse_unless(&self, name: &str, is_neutral: impl Fn(&Value) -> bool, problem: &str) -> Result<()> {
        match self.value(name) {
            Some(value) if !is_neutral(value) => {
                let name = self.name(name);
                Err(Refusal::unsupported(&name, format!("`{name}` {problem}; leave it out")))
            }
            _ => Ok(()),
        }
    }

    fn typed<'a, T>(&'a self, name: &str, expected: &str, read: impl Fn(&'a Value) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let name = self.name(name);
        let wrong = || Refusal::field(&name, format!("`{name}` must be {expected}, found: {}", kind(value)));
        read(value).map(Some).ok_or_else(wrong)
    }

    fn within<T: PartialOrd + Display>(
        &self,
        name: &str,
        number: Option<T>,
        range: &RangeInclusive<T>,
    ) -> Result<Option<T>> {
        match number {
            Some(number) if !range.contains(&number) => {
                let (name, least, most) = (self.name(name), range.start(), range.end());
                let message = format!("`{name}` must be from {least} to {most}, found: {number}");
                Err(Refusal::field(name, message))
            }
            number => Ok(number),
        }
    }
}

/// What a JSON value is, for a refusal: short values in full.
fn kind(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) if text.chars().count() <= 40 => value.to_string(),
        Value::String(_) => "a long text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
