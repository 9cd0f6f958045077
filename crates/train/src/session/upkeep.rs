//! What a session does between its steps: tries the longest batch, checks, saves, and does what is asked of it.

use std::time::Instant;

use lorikeet_data::Prepared;
use lorikeet_models::Backend;
use serde_json::json;

use super::{Next, Session};
use crate::{
    Control, Event, EventKind, Phase, Result, Scores, Settings, checkpoint,
    evaluate::{evaluate, tokens_of},
    order, prepare, samples,
};

/// The examples of the batch that needs the most memory.
pub(super) fn longest(examples: &Prepared, settings: &Settings) -> Vec<u32> {
    if !settings.packing {
        return examples.longest(settings.batch_size as usize);
    }
    let tokens = |unit: &Vec<u32>| unit.iter().map(|at| examples.n_tokens(*at)).sum::<usize>();
    let mut units = order::units(examples, settings, 0);
    units.sort_by_key(|unit| std::cmp::Reverse(tokens(unit)));
    units.into_iter().take(settings.batch_size as usize).flatten().collect()
}

impl<B: Backend + Clone> Session<'_, B> {
    /// Tries the longest batch before the first step, so that memory runs out at once or not at all.
    pub(super) fn probe(&mut self) -> Result<()> {
        let batch = self.examples.batch(&self.longest);
        let n_tokens = batch.ids.len() as u64;
        self.emit(EventKind::Phase { phase: Phase::Probing, done: 0, total: Some(n_tokens) });
        let (tokens, targets) = tokens_of(batch, self.job.task);
        let scaled = (&self.objective, 0.0);
        self.model.loss_and_gradients(&tokens, &targets, scaled, self.recompute, &mut self.grads)?;
        self.emit(EventKind::Phase { phase: Phase::Probing, done: n_tokens, total: Some(n_tokens) });
        Ok(())
    }

    pub(super) fn warn(&mut self) {
        let misfits = self.model.misfits().sentence();
        for message in prepare::warnings(&self.examples, self.job).into_iter().chain(misfits) {
            self.emit(EventKind::Warning { message });
        }
    }

    /// Measures on the examples kept aside and answers the sample questions.
    pub(super) fn check(&mut self, base: bool) -> Result<Next> {
        let Some(validation) = &self.validation else { return Ok(Next::Go) };
        let (step, elapsed_ms, mut seq) = (self.progress.step, self.elapsed_ms(), self.progress.seq);
        let (observer, mut cancelled) = (&mut *self.observer, false);
        let scores = evaluate(
            &self.model,
            validation,
            (self.job.task, self.judges.as_ref().and_then(|(_, held_out)| held_out.as_ref())),
            self.plan.settings.batch_size as usize,
            &mut |done, total| {
                cancelled = observer.control() == Control::Cancel;
                seq += 1;
                let what = EventKind::Phase { phase: Phase::Evaluating, done, total: Some(total) };
                observer.event(Event { seq, step, elapsed_ms, what });
                !cancelled
            },
        )?;
        self.progress.seq = seq;
        let Some(scores) = scores else { return Ok(Next::Cancel) };
        self.remember(scores, base);
        for question in std::mem::take(&mut self.questions) {
            let length = self.plan.settings.sample_tokens as usize;
            let sample = samples::answer(&mut self.model, &self.tokenizer, &question, length)?;
            self.emit(sample);
            self.questions.push(question);
        }
        Ok(Next::Go)
    }

    /// Notes the scores of a check, in the log and as the best where they are.
    pub(super) fn remember(&mut self, scores: Scores, base: bool) {
        let step = self.progress.step;
        let mean = |s: Scores| s.loss.mean();
        let best = !base && self.progress.best.is_none_or(|b| mean(scores) < mean(b.into()));
        if base {
            self.progress.base = Some(scores.into());
        } else if best {
            self.progress.best = Some(scores.into());
            self.progress.best_step = step;
            self.progress.checks_without_gain = 0;
        } else {
            self.progress.checks_without_gain += 1;
        }
        let mut entry = json!({"epoch": self.plan.epoch(step), "eval_loss": mean(scores), "step": step});
        if let (Some(labels), Some(map)) = (scores.labels, entry.as_object_mut()) {
            map.insert("eval_accuracy".to_owned(), json!(labels.accuracy));
            map.insert("eval_f1_macro".to_owned(), json!(labels.f1_macro));
        }
        if let (Some(p), Some(map)) = (scores.preference, entry.as_object_mut()) {
            map.insert("eval_rewards/margins".to_owned(), json!(p.margin));
            map.insert("eval_rewards/accuracies".to_owned(), json!(p.accuracy));
            map.insert("eval_logps/chosen".to_owned(), json!(p.chosen_log_probability));
            map.insert("eval_logps/rejected".to_owned(), json!(p.rejected_log_probability));
        }
        self.log.push(entry);
        self.emit(EventKind::Evaluated { scores, best });
    }

    pub(super) fn save(&mut self) -> Result<()> {
        self.emit(EventKind::Phase { phase: Phase::Saving, done: 0, total: None });
        self.progress.elapsed_ms = self.elapsed_ms();
        let base = (self.job.method, self.job.model_name.as_str());
        checkpoint::save(&self.job.folder, &self.model, &self.optimiser, base, &self.progress, &self.log)?;
        self.since = Instant::now();
        let best = self.progress.best.map(|_| self.progress.best_step);
        checkpoint::prune(&self.job.folder, self.plan.settings.keep_checkpoints as usize, best)?;
        self.tell_checkpoint()
    }

    /// Says that the newest checkpoint stands; said again after a resume, which continues from just before this event.
    pub(super) fn tell_checkpoint(&mut self) -> Result<()> {
        let path = self.job.folder.join(format!("checkpoint-{}", self.progress.step));
        let best = self.progress.best.is_some() && self.progress.best_step == self.progress.step;
        let n_bytes = checkpoint::size_of_folder(&path)?;
        self.emit(EventKind::Checkpoint { path, best, n_bytes });
        Ok(())
    }

    /// Does what was asked for between two batches.
    pub(super) fn obey(&mut self) -> Result<Next> {
        match self.observer.control() {
            Control::Go => Ok(Next::Go),
            Control::Cancel => Ok(Next::Cancel),
            Control::Checkpoint => self.save().map(|()| Next::Go),
            Control::Pause => {
                self.save()?;
                self.emit(EventKind::Paused);
                let next = loop {
                    match self.observer.control() {
                        Control::Pause | Control::Checkpoint => {}
                        Control::Go => break Next::Go,
                        Control::Cancel => break Next::Cancel,
                    }
                };
                self.since = Instant::now();
                if matches!(next, Next::Go) {
                    self.emit(EventKind::Resumed);
                }
                Ok(next)
            }
        }
    }
}
