//! How a session ends: with its result, or with a save that it can go on from.

use std::time::Instant;

use lorikeet_models::{Backend, Tokens};

use super::Session;
use crate::{EventKind, Method, Outcome, Result, Summary, checkpoint, evaluate::tokens_of, result};

impl<B: Backend + Clone> Session<'_, B> {
    pub(super) fn cancelled(mut self) -> Result<Outcome> {
        let saved = checkpoint::newest_progress(&self.job.folder)?.map(|p| p.step);
        if self.progress.step > 0 && saved != Some(self.progress.step) {
            self.save()?;
        }
        self.emit(EventKind::Cancelled);
        Ok(Outcome::Cancelled)
    }

    /// Takes up the best checkpoint, writes the result and compares it with what is in memory.
    pub(super) fn complete(mut self, stopped_early: bool) -> Result<Outcome> {
        self.progress.elapsed_ms = self.elapsed_ms();
        self.since = Instant::now();
        let best_step = self.progress.best.map_or(self.progress.step, |_| self.progress.best_step);
        if best_step != self.progress.step {
            let folder = self.job.folder.join(format!("checkpoint-{best_step}"));
            match self.job.method {
                Method::Lora => self.model.load_adapter(&folder)?,
                Method::Full => self.model.load_whole(&folder)?,
            }
        }
        let summary = self.summary(best_step, stopped_early);
        let probe = self.probe_of_result();
        let card = result::Card {
            job: self.job,
            plan: &self.plan,
            summary: &summary,
            labels: self.examples.labels(),
            preference: self.judges.as_ref().map(|(judge, _)| judge.criterion()),
        };
        result::write(&mut self.model, &card, &self.tokenizer, &probe)?;
        self.emit(EventKind::Completed { result: self.job.result.clone(), summary: summary.clone() });
        Ok(Outcome::Completed(summary))
    }

    /// The first examples, few enough that all their logits together are no more than training ever holds.
    fn probe_of_result(&self) -> Tokens {
        const LOGITS: usize = 1 << 22;
        let config = self.model.config();
        let rows = (LOGITS / config.labels.unwrap_or(config.vocabulary()).max(1)).max(8);
        let (tokens, _) = tokens_of(self.examples.batch(&(0..8).collect::<Vec<u32>>()), self.job.task);
        if config.labels.is_some() { tokens } else { tokens.first(rows) }
    }

    pub(super) fn summary(&self, best_step: u64, stopped_early: bool) -> Summary {
        let p = &self.progress;
        let (sum, count) = p.recent.iter().fold((0.0, 0), |(s, n), (a, b)| (s + a, n + b));
        Summary {
            best: p.best.map(Into::into),
            base: p.base.map(Into::into),
            best_step,
            n_steps: p.step,
            train_loss: (count > 0).then(|| sum / count as f64),
            stopped_early,
            n_trained_tokens: p.n_trained_tokens,
            seconds: p.elapsed_ms as f64 / 1e3,
            tokens_per_s: p.n_tokens as f64 / (p.step_ms / 1e3).max(1e-9),
            peak_memory_bytes: p.peak_memory_bytes,
        }
    }
}
