//! The rotary embedding that a configuration asks for: `rope_parameters` of transformers 5, or `rope_theta` with
//! `rope_scaling` of transformers 4.

use serde_json::{Map, Value};

use super::{Rope, RopeScaling, keys::Keys};
use crate::Result;

/// The base of wavelengths that every class of transformers takes for granted.
const USUAL_THETA: f64 = 10_000.0;

/// The keys of one rotary embedding, and what the rest of the file says of it.
pub(super) struct RopeKeys<'a> {
    keys: &'a Keys<'a>,
    /// The inner table.
    raw: &'a Map<String, Value>,
    head_dim: usize,
    positions: usize,
}

/// The table of rotary keys, empty where there is none.
pub(super) fn table<'a>(keys: &'a Keys<'a>, empty: &'a Map<String, Value>) -> &'a Map<String, Value> {
    let nested = keys.get("rope_parameters").or_else(|| keys.get("rope_scaling"));
    nested.and_then(Value::as_object).unwrap_or(empty)
}

/// The one rotary embedding of most families.
pub(super) fn rope(keys: &Keys<'_>, head_dim: usize, positions: usize) -> Result<Rope> {
    let (empty, theta) = (Map::new(), keys.number_or_none("rope_theta")?.unwrap_or(USUAL_THETA));
    RopeKeys::new(keys, table(keys, &empty), head_dim, positions).read(theta)
}

impl<'a> RopeKeys<'a> {
    pub fn new(keys: &'a Keys<'a>, raw: &'a Map<String, Value>, head_dim: usize, positions: usize) -> Self {
        Self { keys, raw, head_dim, positions }
    }

    /// The embedding; `theta` is its base where the table has none.
    pub fn read(&self, theta: f64) -> Result<Rope> {
        let theta = self.number("rope_theta")?.unwrap_or(theta);
        let share = match self.number("partial_rotary_factor")? {
            Some(share) => share,
            None => self.keys.number_or_none("partial_rotary_factor")?.unwrap_or(1.0),
        };
        let dim = (self.head_dim as f64 * share) as usize;
        if dim == 0 || dim > self.head_dim || !dim.is_multiple_of(2) {
            let problem = "channels of a head are to be rotated; that must be pairs within the head";
            return Err(self.keys.bad("head_dim", &Value::from(self.head_dim), &format!("means that {dim} {problem}")));
        }
        Ok(Rope { theta, dim, scaling: self.scaling(dim)? })
    }

    fn scaling(&self, dim: usize) -> Result<RopeScaling> {
        let kind = self.raw.get("rope_type").or_else(|| self.raw.get("type")).and_then(Value::as_str);
        // Phi-3 called its LongRoPE by the names that were there before it.
        let is_phi = self.keys.model_type == "phi3";
        Ok(match kind.unwrap_or("default") {
            "default" => RopeScaling::None,
            "linear" => RopeScaling::Linear { factor: self.need("factor")? },
            "dynamic" => RopeScaling::Dynamic { factor: self.need("factor")?, max_positions: self.positions as f64 },
            "llama3" => RopeScaling::Llama3 {
                factor: self.need("factor")?,
                low_frequency: self.need("low_freq_factor")?,
                high_frequency: self.need("high_freq_factor")?,
                original_positions: self.original_positions()?,
            },
            "yarn" if !is_phi => self.yarn()?,
            "longrope" | "su" | "yarn" => self.long(dim)?,
            other => {
                return Err(self.keys.bad(
                    "rope_type",
                    &Value::from(other),
                    "is not a scaling that is built (default, linear, dynamic, llama3, yarn, longrope)",
                ));
            }
        })
    }

    fn yarn(&self) -> Result<RopeScaling> {
        let original_positions = self.original_positions()?;
        let factor = self.number("factor")?.unwrap_or(self.positions as f64 / original_positions);
        let usual = |factor: f64, scale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * scale * factor.ln() + 1.0 };
        let attention_factor =
            match (self.number("attention_factor")?, self.number("mscale")?, self.number("mscale_all_dim")?) {
                (Some(given), ..) => given,
                (None, Some(scale), Some(all)) => usual(factor, scale) / usual(factor, all),
                _ => usual(factor, 1.0),
            };
        Ok(RopeScaling::Yarn {
            factor,
            fast_turns: self.number("beta_fast")?.unwrap_or(32.0),
            slow_turns: self.number("beta_slow")?.unwrap_or(1.0),
            original_positions,
            whole_pairs: self.raw.get("truncate").and_then(Value::as_bool).unwrap_or(true),
            attention_factor,
        })
    }

    fn long(&self, dim: usize) -> Result<RopeScaling> {
        let original_positions = self.original_positions()?;
        let factor = self.number("factor")?.unwrap_or(self.positions as f64 / original_positions);
        let usual = || if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / original_positions.ln()).sqrt() };
        Ok(RopeScaling::Long {
            short: self.divisors("short_factor", dim / 2)?,
            long: self.divisors("long_factor", dim / 2)?,
            original_positions,
            attention_factor: self.number("attention_factor")?.unwrap_or_else(usual),
        })
    }

    /// Length of the original training texts: beside the table first, as Phi-3 writes it.
    fn original_positions(&self) -> Result<f64> {
        let key = "original_max_position_embeddings";
        match self.keys.number_or_none(key)? {
            Some(beside) => Ok(beside),
            None => Ok(self.number(key)?.unwrap_or(self.positions as f64)),
        }
    }

    fn divisors(&self, key: &'static str, n: usize) -> Result<Vec<f64>> {
        let v = self.raw.get(key).ok_or_else(|| self.keys.missing(key))?;
        let positive = |v: &Value| v.as_f64().filter(|n| n.is_finite() && *n > 0.0);
        let read = v.as_array().filter(|list| list.len() == n).and_then(|list| list.iter().map(positive).collect());
        read.ok_or_else(|| self.keys.bad(key, v, &format!("is not a list of {n} positive numbers")))
    }

    fn need(&self, key: &'static str) -> Result<f64> {
        self.number(key)?.ok_or_else(|| self.keys.missing(key))
    }

    fn number(&self, key: &str) -> Result<Option<f64>> {
        let positive = |v: &Value| v.as_f64().filter(|n| n.is_finite() && *n > 0.0);
        let read = |v| positive(v).ok_or_else(|| self.keys.bad(key, v, "is not a positive number"));
        self.raw.get(key).filter(|v| !v.is_null()).map(read).transpose()
    }
}
