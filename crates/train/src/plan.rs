//! Settings as meant: what was left open is decided from the task, the method and the number of examples.

use lorikeet_models::{LoraSpec, ModelConfig, Noise, Objective, RowLoss, Trainable};

use crate::{
    ClassWeights, LossChoice, Method, OptimiserSettings, Result, Schedule, Settings, TrainError, Work, adapters,
};

/// A run in which nothing is open any more.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The settings with every open one filled in.
    pub settings: Settings,
    /// Optimiser steps.
    pub n_steps: u64,
    /// Batches that read every example once.
    pub batches_per_epoch: u64,
    /// Steps between checks; `None` where nothing is kept aside.
    pub evaluate_every: Option<u64>,
    /// Steps between saves.
    pub save_every: u64,
}

/// Checks of a run when nothing is said.
const CHECKS: u64 = 10;

impl Plan {
    /// Decides what `settings` leaves open for `n_examples` to learn from, with the model of `config`.
    pub fn new(settings: &Settings, method: Method, config: &ModelConfig, n_examples: usize, checks: bool) -> Self {
        let mut s = settings.clone();
        let batches_per_epoch = (n_examples as u64).div_ceil(s.batch_size).max(1);
        let by_epochs = (s.epochs * batches_per_epoch as f64 / s.gradient_accumulation as f64).ceil() as u64;
        let n_steps = s.steps.unwrap_or(by_epochs).max(1);
        s.steps = Some(n_steps);
        s.epochs = (n_steps * s.gradient_accumulation) as f64 / batches_per_epoch as f64;
        s.learning_rate.get_or_insert(method.learning_rate(config.width()));
        s.warmup_steps.get_or_insert((s.warmup * n_steps as f64).ceil() as u64);
        let every = *s.evaluate_every.get_or_insert(n_steps.div_ceil(CHECKS));
        let save_every = *s.save_every.get_or_insert(every);
        if s.target_modules.is_none() && method == Method::Lora {
            s.target_modules = Some(usual_targets(config));
        }
        Self { n_steps, batches_per_epoch, evaluate_every: checks.then_some(every), save_every, settings: s }
    }

    /// The learning rate over the steps.
    pub fn schedule(&self) -> Schedule {
        Schedule {
            peak: self.settings.learning_rate.unwrap_or_default(),
            warmup_steps: self.settings.warmup_steps.unwrap_or_default(),
            n_steps: self.n_steps,
            decay: self.settings.schedule,
        }
    }

    /// Passes finished after `step` steps.
    pub fn epoch(&self, step: u64) -> f64 {
        (step * self.settings.gradient_accumulation) as f64 / self.batches_per_epoch as f64
    }
}

fn usual_targets(config: &ModelConfig) -> Vec<String> {
    config.usual_targets().into_iter().map(str::to_owned).collect()
}

impl Settings {
    /// What may change under `method` in a model of `config`.
    pub fn trainable(&self, method: Method, config: &ModelConfig) -> Trainable {
        if method == Method::Full {
            return Trainable::Everything;
        }
        let names = self.target_modules.clone().unwrap_or_else(|| usual_targets(config));
        let mut lora = LoraSpec::new(self.rank as usize, self.alpha, adapters::targets(&names), self.seed);
        lora.rank_stabilised = self.rank_stabilised;
        lora.dora = self.dora;
        lora.dropout = self.dropout;
        lora.exclude = self.exclude_modules.as_deref().map(adapters::targets);
        // What cannot be read as layers was refused by `check`.
        lora.layers = self.layers.as_deref().and_then(adapters::layers);
        lora.rank_pattern = self.rank_pattern.0.iter().map(|(name, r)| (name.clone(), *r as usize)).collect();
        lora.alpha_pattern = self.alpha_pattern.0.clone();
        Trainable::Lora(lora)
    }

    /// The optimiser's constants.
    pub fn optimiser(&self) -> OptimiserSettings {
        OptimiserSettings {
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
            weight_decay: self.weight_decay,
            max_gradient_norm: self.max_gradient_norm,
            lora_plus_ratio: self.lora_plus_ratio,
        }
    }

    /// What training makes small, over rows of which each class has so many: `counts` is empty for texts.
    ///
    /// # Errors
    /// [`TrainError::Conflict`] where the weights are not one for each class.
    pub fn objective(&self, counts: &[u64]) -> Result<Objective> {
        let loss = match self.loss {
            LossChoice::CrossEntropy => RowLoss::CrossEntropy { smoothing: self.label_smoothing as f32 },
            LossChoice::Focal => RowLoss::Focal { alpha: self.focal_alpha as f32, gamma: self.focal_gamma as f32 },
        };
        let n_rows: u64 = counts.iter().sum();
        let balanced =
            |count: &u64| if *count == 0 { 1.0 } else { n_rows as f32 / (counts.len() as u64 * count) as f32 };
        let class_weights = match &self.class_weights {
            None => Vec::new(),
            Some(ClassWeights::Balanced) => counts.iter().map(balanced).collect(),
            Some(ClassWeights::Listed(weights)) if weights.len() != counts.len() => {
                let (given, labels) = (weights.len(), counts.len());
                return Err(TrainError::Conflict(format!(
                    "`class_weights` lists {given} weights for {labels} labels; give one for each, or `balanced`"
                )));
            }
            Some(ClassWeights::Listed(weights)) => weights.iter().map(|w| *w as f32).collect(),
        };
        Ok(Objective { loss, class_weights })
    }

    /// The random part of batch number `batch` of a run.
    pub fn noise(&self, batch: u64) -> Option<Noise> {
        let (dropout, embedding) = (self.dropout as f32, self.neftune_alpha as f32);
        (dropout > 0.0 || embedding > 0.0).then_some(Noise { seed: self.seed, batch, dropout, embedding })
    }

    /// Refuses what does not go together, and what does not matter for `work`.
    ///
    /// # Errors
    /// [`TrainError::Conflict`] with the mend.
    pub fn check(&self, work: &Work) -> Result<()> {
        self.check_mattering(work)?;
        adapters::check(self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn objective(name: &str, value: serde_json::Value, counts: &[u64]) -> Result<Objective> {
        let mut settings = Settings::default();
        settings.set(name, &value)?;
        settings.objective(counts)
    }

    #[test]
    fn class_weights_are_balanced_or_listed() {
        let weights = |value, counts: &[u64]| objective("class_weights", value, counts).map(|o| o.class_weights);
        assert_eq!(weights(json!("balanced"), &[6, 2, 0]).unwrap(), [8.0 / 18.0, 8.0 / 6.0, 1.0]);
        assert_eq!(weights(json!("0.5, 2"), &[6, 2]).unwrap(), [0.5, 2.0]);
        assert_eq!(weights(json!([0.5, 2]), &[6, 2]).unwrap(), [0.5, 2.0]);
        let said = |value, counts: &[u64]| weights(value, counts).unwrap_err().to_string();
        assert_eq!(
            said(json!([1, 2, 3]), &[6, 2]),
            "`class_weights` lists 3 weights for 2 labels; give one for each, or `balanced`"
        );
        assert_eq!(
            said(json!("1,-2"), &[6, 2]),
            "`class_weights` takes `balanced`, or a weight from 0 to 1000000 for each label, not: \"1,-2\""
        );
        assert!(weights(json!([0, 0]), &[6, 2]).is_err() && weights(json!("often"), &[6, 2]).is_err());
    }

    #[test]
    fn plain_cross_entropy_is_what_nothing_said_means() {
        assert_eq!(Settings::default().objective(&[3, 4]).unwrap(), Objective::default());
        let smoothed = objective("label_smoothing", json!(0.1), &[]).unwrap();
        assert_eq!(smoothed.loss, RowLoss::CrossEntropy { smoothing: 0.1 });
    }
}
