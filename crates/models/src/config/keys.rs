//! The keys of a `config.json`, each read with an error that names it.

use std::path::Path;

use lorikeet_kernels::Activation;
use serde_json::{Map, Value};

use super::Architecture;
use crate::{ModelError, Result};

const MOST_POSITIONS: usize = 1 << 21;

/// The file's keys.
pub(super) struct Keys<'a> {
    pub raw: &'a Map<String, Value>,
    pub path: &'a Path,
    pub model_type: &'a str,
}

impl Keys<'_> {
    pub fn missing(&self, key: &'static str) -> ModelError {
        let needed_by =
            if key == "model_type" { "every model".to_owned() } else { format!("a `{}` model", self.model_type) };
        ModelError::MissingKey { path: self.path.to_owned(), key, needed_by }
    }

    pub fn bad(&self, key: &str, value: &Value, problem: &str) -> ModelError {
        ModelError::BadValue {
            path: self.path.to_owned(),
            key: key.to_owned(),
            value: value.to_string(),
            problem: problem.to_owned(),
        }
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.raw.get(key).filter(|v| !v.is_null())
    }

    pub fn count_or(&self, key: &'static str, default: Option<usize>) -> Result<usize> {
        match (self.get(key), default) {
            (Some(v), _) => v
                .as_u64()
                .filter(|n| (1..=1 << 31).contains(n))
                .map(|n| n as usize)
                .ok_or_else(|| self.bad(key, v, "is not a positive whole number")),
            (None, Some(default)) => Ok(default),
            (None, None) => Err(self.missing(key)),
        }
    }

    pub fn count(&self, key: &'static str) -> Result<usize> {
        self.count_or(key, None)
    }

    /// The longest text, in tokens.
    pub fn positions(&self, key: &'static str) -> Result<usize> {
        match self.count(key)? {
            n if n > MOST_POSITIONS => {
                Err(self.bad(key, &Value::from(n), "is more than the two million that are built"))
            }
            n => Ok(n),
        }
    }

    pub fn number(&self, key: &'static str) -> Result<f64> {
        self.number_or_none(key)?.ok_or_else(|| self.missing(key))
    }

    pub fn number_or_none(&self, key: &'static str) -> Result<Option<f64>> {
        let positive = |v: &Value| v.as_f64().filter(|n| n.is_finite() && *n > 0.0);
        let read = |v| positive(v).ok_or_else(|| self.bad(key, v, "is not a positive number"));
        self.get(key).map(read).transpose()
    }

    pub fn count_or_none(&self, key: &'static str) -> Result<Option<usize>> {
        self.get(key).map(|_| self.count(key)).transpose()
    }

    /// A list with an entry for each of `n` layers, where the file has it.
    pub fn per_layer<T>(
        &self,
        key: &'static str,
        n: usize,
        problem: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<Vec<T>>> {
        let Some(v) = self.get(key) else { return Ok(None) };
        let Some(entries) = v.as_array().filter(|entries| entries.len() >= n) else {
            return Err(self.bad(key, v, "is not a list with an entry for each layer"));
        };
        let found = entries.iter().take(n).map(|entry| read(entry).ok_or_else(|| self.bad(key, entry, problem)));
        found.collect::<Result<_>>().map(Some)
    }

    pub fn flag(&self, key: &str, default: bool) -> bool {
        self.get(key).and_then(Value::as_bool).unwrap_or(default)
    }

    pub fn activation(&self, key: &'static str) -> Result<Activation> {
        let v = self.get(key).ok_or_else(|| self.missing(key))?;
        match v.as_str().unwrap_or_default() {
            "silu" | "swish" => Ok(Activation::Silu),
            "gelu" => Ok(Activation::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
            "relu" => Ok(Activation::Relu),
            _ => Err(self.bad(
                key,
                v,
                "is not an activation that is built (silu, gelu, gelu_new, gelu_pytorch_tanh, relu)",
            )),
        }
    }

    /// The names of the classes that read the file.
    pub fn classes(&self) -> impl Iterator<Item = &str> {
        self.get("architectures").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// Sizes that must fit together.
    pub fn check(&self, architecture: &Architecture) -> Result<()> {
        let (heads, kv) = match architecture {
            Architecture::Decoder(d) => (d.heads, d.kv_heads),
            Architecture::Encoder(e) => (e.heads, e.heads),
        };
        if let Architecture::Encoder(e) = architecture
            && !e.width.is_multiple_of(heads)
        {
            return Err(self.bad("num_attention_heads", &Value::from(heads), "does not divide the width"));
        }
        if !heads.is_multiple_of(kv) {
            return Err(self.bad("num_key_value_heads", &Value::from(kv), "does not divide `num_attention_heads`"));
        }
        Ok(())
    }
}
