//! What would make a run fit that does not: each way with what it would need.

use std::path::Path;

use lorikeet_models::Recompute;
use serde_json::{Value, json};

use super::{BatchSize, Footprint, Scale};
use crate::{Method, QuantiseChoice, RecomputeChoice, Result, Settings, error::gigabytes, settings::Values};

/// A run whose memory is in question.
#[derive(Clone, Debug)]
pub struct Needs<'a> {
    /// Folder of the base.
    pub folder: &'a Path,
    /// The run's settings.
    pub settings: &'a Settings,
    /// What moves.
    pub method: Method,
    /// Classes, when classifying.
    pub labels: Option<usize>,
    /// Its longest batch.
    pub batch: BatchSize,
    /// What the process holds besides.
    pub held_bytes: u64,
}

/// Settings with which a run would fit.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    /// What a button says.
    pub label: String,
    /// The settings that change.
    pub settings: Values,
    /// What the process would hold at its most.
    pub needed_bytes: u64,
}

impl Way {
    /// As a part of a sentence, with the settings to type.
    pub fn sentence(&self) -> String {
        let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let words: Vec<String> =
            self.settings.iter().map(|(name, value)| format!("`{name}` {}", word(value))).collect();
        format!("{} ({})", words.join(" with "), gigabytes(self.needed_bytes))
    }
}

impl Needs<'_> {
    fn scale(&self, settings: &Settings) -> Result<Scale> {
        Scale::new(self.folder, settings, self.method, self.labels)
    }

    /// How much the run computes again to stay within a budget, and what it then holds besides what is held already.
    ///
    /// # Errors
    /// Where the model cannot be put together as the settings ask.
    pub fn within(&self, budget: Option<u64>) -> Result<(Recompute, Footprint)> {
        let mut scale = self.scale(self.settings)?;
        let left = budget.map(|budget| budget.saturating_sub(self.held_bytes));
        let recompute = scale.choose(&self.batch, self.settings.recompute, left)?;
        Ok((recompute, scale.weigh(&self.batch, recompute)?))
    }

    /// The ways in which the run would fit into `budget` bytes: each alone where one is enough, else together. None where
    /// nothing would do.
    ///
    /// # Errors
    /// As [`Needs::within`].
    pub fn ways(&self, budget: u64) -> Result<Vec<Way>> {
        let (mut found, kinds) = (Vec::new(), self.candidates());
        for kind in &kinds {
            for (label, changes) in kind {
                if let Some(way) = self.way(label.clone(), changes.clone(), budget)? {
                    found.push(way);
                    break;
                }
            }
        }
        if found.is_empty() {
            found.extend(self.all_together(kinds, budget)?);
        }
        Ok(found)
    }

    /// The most of every kind; examples are cut last and least, because what is cut is not learned.
    fn all_together(&self, mut kinds: Vec<Vec<(String, Values)>>, budget: u64) -> Result<Option<Way>> {
        let lengths = kinds.pop().unwrap_or_default();
        let most: Values =
            kinds.into_iter().filter_map(|mut kind| kind.pop()).flat_map(|(_, changes)| changes).collect();
        let cuts = lengths.into_iter().map(|(_, cut)| cut);
        for cut in std::iter::once(Values::new()).chain(cuts) {
            let changes = most.clone().into_iter().chain(cut).collect();
            if let Some(way) = self.way("Do all that saves memory".to_owned(), changes, budget)? {
                return Ok(Some(way));
            }
        }
        Ok(None)
    }

    /// Changes that need less: kinds of them, and of each the mildest first.
    fn candidates(&self) -> Vec<Vec<(String, Values)>> {
        let s = self.settings;
        let values = |pairs: &[(&str, Value)]| pairs.iter().map(|(name, v)| ((*name).to_owned(), v.clone())).collect();
        let [mut again, mut bits, mut batches, mut lengths] = [const { Vec::new() }; 4];
        if s.recompute == RecomputeChoice::Off {
            again.push(("Use gradient checkpointing".to_owned(), values(&[("recompute", json!("auto"))])));
        }
        if s.quantize == QuantiseChoice::None && self.method == Method::Lora {
            for (word, n) in [("q8_0", 8), ("q4_k", 4)] {
                bits.push((format!("Keep the base in {n} bits"), values(&[("quantize", json!(word))])));
            }
        }
        let mut batch = s.batch_size;
        while batch > 1 {
            batch = batch.div_ceil(2);
            let accumulation = s.gradient_accumulation * s.batch_size.div_ceil(batch);
            let changes = values(&[("batch_size", json!(batch)), ("gradient_accumulation", json!(accumulation))]);
            batches.push((format!("Use batches of {batch}, {accumulation} to a step"), changes));
        }
        let longest = self.batch.sequences.iter().max().copied().unwrap_or_default();
        let mut length = longest;
        while length > 64 {
            length = (length / 2).next_multiple_of(16);
            lengths.push((format!("Cut examples at {length} tokens"), values(&[("max_length", json!(length))])));
        }
        vec![again, batches, bits, lengths]
    }

    /// The changes as a way, where the run fits with them.
    fn way(&self, label: String, changes: Values, budget: u64) -> Result<Option<Way>> {
        let mut settings = self.settings.clone();
        changes.iter().try_for_each(|(name, value)| settings.set(name, value))?;
        let per_example = self.batch.sequences.len().div_ceil(self.settings.batch_size.max(1) as usize);
        let n = settings.batch_size as usize * per_example.max(1);
        let batch = self.batch.cut(n, settings.max_length as usize);
        let changed = Needs { settings: &settings, batch, ..self.clone() };
        let (_, footprint) = changed.within(Some(budget))?;
        let needed_bytes = self.held_bytes + footprint.total();
        Ok((needed_bytes <= budget).then_some(Way { label, settings: changes, needed_bytes }))
    }
}
