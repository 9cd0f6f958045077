//! Sentence embeddings: the last hidden states of a text made into one vector of length one, as sentence-transformers does.

use std::path::Path;

use lorikeet_kernels::Backend;
use serde_json::{Map, Value};

use crate::{Model, ModelError, Result, Tokens};

/// What a text's vector is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The mean of all tokens.
    Mean,
    /// The first token, which many encoders are trained to put a text's sense into.
    First,
    /// The last token, the only one of a decoder that has read the whole text.
    Last,
}

/// How a model's folder says that sentences become vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbeddingSettings {
    /// From `1_Pooling/config.json`; the mean where there is none.
    pub pooling: Pooling,
    /// Longest text, in tokens, from `sentence_bert_config.json`; as long as the model reads where there is none.
    pub max_length: Option<usize>,
}

impl EmbeddingSettings {
    /// Reads the files of sentence-transformers in `folder`, where it has them.
    ///
    /// # Errors
    /// Where one cannot be read, or asks for a pooling that is not built.
    pub fn read(folder: &Path) -> Result<Self> {
        let pooling = match object(&folder.join("1_Pooling").join("config.json"))? {
            Some(raw) => pooling(&folder.join("1_Pooling").join("config.json"), &raw)?,
            None => Pooling::Mean,
        };
        let settings = object(&folder.join("sentence_bert_config.json"))?;
        let length = settings.as_ref().and_then(|raw| raw.get("max_seq_length")).and_then(Value::as_u64);
        Ok(Self { pooling, max_length: length.filter(|n| *n > 0).map(|n| n as usize) })
    }
}

fn object(path: &Path) -> Result<Option<Map<String, Value>>> {
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path).map_err(ModelError::io("read", path))?;
    serde_json::from_str(&text).map(Some).map_err(ModelError::json(path))
}

/// The one mode that is on: several would be put one behind the other, which is not built.
fn pooling(path: &Path, raw: &Map<String, Value>) -> Result<Pooling> {
    let on: Vec<&str> = match raw.get("pooling_mode").and_then(Value::as_str) {
        Some(mode) => vec![mode],
        None => raw
            .iter()
            .filter(|(_, is_on)| **is_on == Value::Bool(true))
            .filter_map(|(key, _)| key.strip_prefix("pooling_mode_"))
            .collect(),
    };
    match on.as_slice() {
        ["mean_tokens" | "mean"] => Ok(Pooling::Mean),
        ["cls_token" | "cls"] => Ok(Pooling::First),
        ["lasttoken"] => Ok(Pooling::Last),
        other => Err(ModelError::BadValue {
            path: path.to_owned(),
            key: "pooling_mode".to_owned(),
            value: other.join(", "),
            problem: "is not built (mean, cls and lasttoken are)".to_owned(),
        }),
    }
}

impl<B: Backend> Model<B> {
    /// A vector of length one for each sequence: `S` rows of `C` channels. A decoder's states are those behind its final
    /// norm.
    ///
    /// # Errors
    /// As [`Model::logits`], and for a sequence without tokens.
    pub fn embeddings(&self, tokens: &Tokens, pooling: Pooling) -> Result<Vec<Vec<f32>>> {
        if tokens.spans.queries.iter().any(|rows| rows.is_empty()) {
            return Err(ModelError::NoTokens);
        }
        let hidden = self.last_hidden(tokens)?;
        let (_, width) = self.backend().shape(&hidden);
        let states = self.backend().download(&hidden)?;
        let sentence = |rows: &std::ops::Range<usize>| {
            let rows = match pooling {
                Pooling::Mean => rows.clone(),
                Pooling::First => rows.start..rows.start + 1,
                Pooling::Last => rows.end - 1..rows.end,
            };
            unit(states.get(rows.start * width..rows.end * width).unwrap_or_default(), width)
        };
        Ok(tokens.spans.queries.iter().map(sentence).collect())
    }
}

/// The sum of rows at length one: the mean has the same direction.
fn unit(rows: &[f32], width: usize) -> Vec<f32> {
    let mut sum = vec![0f64; width];
    for row in rows.chunks_exact(width) {
        sum.iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v));
    }
    let length = sum.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-12);
    sum.into_iter().map(|v| (v / length) as f32).collect()
}
