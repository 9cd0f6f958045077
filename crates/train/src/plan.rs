//! Settings as meant: what was left open is decided from the task, the method and the number of examples.

use lorikeet_models::{LoraSpec, ModelConfig, Targets, Trainable};

use crate::{Method, OptimiserSettings, Result, Schedule, Settings, TrainError};

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
        let is_all = names.iter().any(|n| n == "all-linear");
        let targets = if is_all { Targets::AllLinear } else { Targets::Named(names) };
        let mut lora = LoraSpec::new(self.rank as usize, self.alpha, targets, self.seed);
        lora.rank_stabilised = self.rank_stabilised;
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
        }
    }

    /// Refuses what does not go together.
    ///
    /// # Errors
    /// [`TrainError::Conflict`] with the mend.
    pub fn check(&self, method: Method) -> Result<()> {
        if self.from_scratch && method == Method::Lora {
            let reason = "`from_scratch` starts from random weights, which an adapter cannot make useful; choose the method `full`";
            return Err(TrainError::Conflict(reason.to_owned()));
        }
        Ok(())
    }
}
