//! The keys of a `config.json`, each read with an error that names it.

use std::path::Path;

use lorikeet_kernels::Activation;
use serde_json::{Map, Value};

use super::{Architecture, Rope, RopeScaling};
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

    /// The longest text: tables are made for all its places at once.
    pub fn positions(&self) -> Result<usize> {
        let key = "max_position_embeddings";
        match self.count(key)? {
            n if n > MOST_POSITIONS => {
                Err(self.bad(key, &Value::from(n), "is more than the two million that are built"))
            }
            n => Ok(n),
        }
    }

    pub fn number(&self, key: &'static str) -> Result<f64> {
        let v = self.get(key).ok_or_else(|| self.missing(key))?;
        v.as_f64().filter(|n| n.is_finite() && *n > 0.0).ok_or_else(|| self.bad(key, v, "is not a positive number"))
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

    /// `rope_parameters` of transformers 5, or `rope_theta` with `rope_scaling` of transformers 4.
    pub fn rope(&self, head_dim: usize) -> Result<Rope> {
        let empty = Map::new();
        let nested = self.get("rope_parameters").or_else(|| self.get("rope_scaling"));
        let scaling = nested.and_then(Value::as_object).unwrap_or(&empty);
        let in_scaling = |key: &str| scaling.get(key).and_then(Value::as_f64);
        let theta = in_scaling("rope_theta").or_else(|| self.get("rope_theta").and_then(Value::as_f64));
        let theta = theta.unwrap_or(10_000.0);
        let kind = scaling.get("rope_type").or_else(|| scaling.get("type")).and_then(Value::as_str);
        let need = |key: &'static str| match scaling.get(key) {
            None => Err(self.missing(key)),
            Some(v) => v.as_f64().filter(|n| *n > 0.0).ok_or_else(|| self.bad(key, v, "is not a positive number")),
        };
        let scaling = match kind.unwrap_or("default") {
            "default" => RopeScaling::None,
            "linear" => RopeScaling::Linear { factor: need("factor")? },
            "llama3" => RopeScaling::Llama3 {
                factor: need("factor")?,
                low_frequency: need("low_freq_factor")?,
                high_frequency: need("high_freq_factor")?,
                original_positions: need("original_max_position_embeddings")?,
            },
            other => {
                return Err(self.bad(
                    "rope_type",
                    &Value::from(other),
                    "is not a scaling that is built (default, linear, llama3)",
                ));
            }
        };
        Ok(Rope { theta, dim: head_dim, scaling })
    }

    /// Sizes that must fit together.
    pub fn check(&self, architecture: &Architecture) -> Result<()> {
        let (heads, width, head_dim, kv) = match architecture {
            Architecture::Decoder(d) => (d.heads, d.heads * d.head_dim, d.head_dim, d.kv_heads),
            Architecture::Encoder(e) => (e.heads, e.width, e.width / e.heads, e.heads),
        };
        if head_dim * heads != width {
            return Err(self.bad("num_attention_heads", &Value::from(heads), "does not divide the width"));
        }
        if !heads.is_multiple_of(kv) {
            return Err(self.bad("num_key_value_heads", &Value::from(kv), "does not divide `num_attention_heads`"));
        }
        if matches!(architecture, Architecture::Decoder(_)) && !head_dim.is_multiple_of(2) {
            return Err(self.bad("head_dim", &Value::from(head_dim), "is odd; rotary embeddings need pairs"));
        }
        Ok(())
    }
}
