//! The training loop: from a job to a result, saying everything it does, saving everything it needs to go on.

use std::time::Instant;

use lorikeet_data::{Prepared, Tokenizer, epoch_order};
use lorikeet_models::{Backend, Gradients, LossSum, Model, Recompute};
use serde_json::{Value, json};

use crate::{
    Control, Event, EventKind, Examples, Method, Observer, Optimiser, Outcome, Phase, Plan, Progress, RecomputeChoice,
    Result, Scores, Summary, TrainError, TrainJob, checkpoint,
    evaluate::{evaluate, tokens_of},
    prepare, result, samples,
};

/// Steps whose mean loss is reported at the end.
const RECENT: usize = 20;

/// Entries of `trainer_state.json` a run should have about.
const LOG_ENTRIES: u64 = 500;

/// Trains as `job` says on `backend`; goes on from the newest checkpoint in the job's folder, where there is one.
///
/// # Errors
/// Where the model, the examples or the settings do not fit, the disk refuses, or the loss is no longer a number. What was
/// saved before stays.
pub fn train<B: Backend + Clone>(
    backend: &B,
    job: &TrainJob,
    observer: &mut (dyn Observer + Send),
) -> Result<Outcome> {
    backend.run(|| {
        checkpoint::sweep(&job.folder)?;
        let Some((examples, model)) = prepare::load(backend, job, observer)? else { return Ok(Outcome::Cancelled) };
        Session::new(job, observer, examples, model)?.run()
    })
}

struct Session<'a, B: Backend + Clone> {
    job: &'a TrainJob,
    observer: &'a mut (dyn Observer + Send),
    plan: Plan,
    examples: Prepared,
    validation: Option<Prepared>,
    tokenizer: Tokenizer,
    questions: Vec<samples::Question>,
    model: Model<B>,
    grads: Gradients<B>,
    optimiser: Optimiser<B>,
    progress: Progress,
    log: Vec<Value>,
    /// The order of the examples in an epoch, kept while it lasts.
    order: (u64, Vec<u32>),
    since: Instant,
    resumed: bool,
}

/// What a request between two batches leads to.
enum Next {
    Go,
    Cancel,
}

impl<'a, B: Backend + Clone> Session<'a, B> {
    fn new(
        job: &'a TrainJob,
        observer: &'a mut (dyn Observer + Send),
        examples: Examples,
        mut model: Model<B>,
    ) -> Result<Self> {
        let Examples { train, validation, tokenizer, questions, since } = examples;
        let plan = Plan::new(&job.settings, job.task, job.method, train.len(), validation.is_some());
        let mut optimiser = Optimiser::new(&model, plan.settings.optimiser())?;
        let fingerprint = prepare::fingerprint(job, &plan);
        let newest = checkpoint::checkpoints(&job.folder)?.pop();
        let resumed = newest.is_some();
        let (progress, log) = match newest {
            Some(folder) => checkpoint::restore(&folder, &mut model, &mut optimiser, job.method, &fingerprint)?,
            None => (Progress::new(fingerprint), Vec::new()),
        };
        let grads = model.gradients()?;
        Ok(Self {
            job,
            observer,
            plan,
            examples: train,
            validation,
            tokenizer,
            questions,
            model,
            grads,
            optimiser,
            progress,
            log,
            order: (u64::MAX, Vec::new()),
            since,
            resumed,
        })
    }

    fn run(mut self) -> Result<Outcome> {
        if self.resumed {
            self.tell_checkpoint()?;
        }
        self.emit(EventKind::Started {
            n_steps: self.plan.n_steps,
            n_epochs: self.plan.settings.epochs,
            n_trainable: self.model.n_trainable() as u64,
            n_parameters: self.model.n_parameters() as u64,
            device: self.model.backend().device_name(),
        });
        self.warn();
        self.probe()?;
        if self.progress.step == 0 && matches!(self.check(true)?, Next::Cancel) {
            return self.cancelled();
        }
        let mut stopped_early = false;
        while self.progress.step < self.plan.n_steps && !stopped_early {
            if matches!(self.step()?, Next::Cancel) || matches!(self.after_step(&mut stopped_early)?, Next::Cancel) {
                return self.cancelled();
            }
        }
        self.complete(stopped_early)
    }

    /// Evaluates and saves where this step is due for it, or is the last.
    fn after_step(&mut self, stopped_early: &mut bool) -> Result<Next> {
        let (step, last) = (self.progress.step, self.progress.step == self.plan.n_steps);
        let mut best = false;
        if self.plan.evaluate_every.is_some_and(|every| step.is_multiple_of(every)) || last {
            let before = self.progress.best_step;
            if matches!(self.check(false)?, Next::Cancel) {
                return Ok(Next::Cancel);
            }
            best = self.progress.best_step == step && before != step;
            let patience = self.plan.settings.early_stopping;
            *stopped_early = !last && patience.is_some_and(|p| self.progress.checks_without_gain >= p);
        }
        if step.is_multiple_of(self.plan.save_every) || last || best || *stopped_early {
            self.save()?;
        }
        Ok(Next::Go)
    }

    /// The examples of micro-batch number `n`, counted over all epochs.
    fn micro_batch(&mut self, n: u64) -> Vec<u32> {
        let (epoch, place) = (n / self.plan.batches_per_epoch, n % self.plan.batches_per_epoch);
        if self.order.0 != epoch {
            let count = self.examples.len();
            let order = match self.plan.settings.shuffle {
                true => epoch_order(count, self.plan.settings.seed, epoch),
                false => (0..count as u32).collect(),
            };
            self.order = (epoch, order);
        }
        let size = self.plan.settings.batch_size as usize;
        self.order.1.iter().skip(place as usize * size).take(size).copied().collect()
    }

    fn recompute(&self) -> Recompute {
        match self.plan.settings.recompute {
            RecomputeChoice::Never => Recompute::Never,
            RecomputeChoice::Blocks => Recompute::EveryBlock,
        }
    }

    /// One optimiser step: gradients of all its batches are divided by the supervised tokens of all of them.
    fn step(&mut self) -> Result<Next> {
        let started = Instant::now();
        let accumulation = self.plan.settings.gradient_accumulation;
        let first = self.progress.step * accumulation;
        let batches: Vec<_> = (first..first + accumulation).map(|n| self.micro_batch(n)).collect();
        let batches: Vec<_> = batches.iter().map(|chosen| self.examples.batch(chosen)).collect();
        let n_supervised: usize = batches.iter().map(|b| b.n_supervised).sum();
        let n_tokens: usize = batches.iter().map(|b| b.ids.len()).sum();
        let scale = 1.0 / n_supervised.max(1) as f32;
        let (recompute, mut loss) = (self.recompute(), LossSum::default());
        self.grads.clear(self.model.backend())?;
        for batch in batches {
            if matches!(self.obey()?, Next::Cancel) {
                return Ok(Next::Cancel);
            }
            let (tokens, targets) = tokens_of(batch, self.job.task);
            let part = self.model.loss_and_gradients(&tokens, &targets, scale, recompute, &mut self.grads)?;
            loss = loss.plus(part);
        }
        let learning_rate = self.plan.schedule().rate(self.progress.step);
        let finite = loss.sum.is_finite();
        let norm = if finite { self.optimiser.step(&mut self.model, &self.grads, learning_rate)? } else { f64::NAN };
        if !finite || !norm.is_finite() {
            let step = self.progress.step + 1;
            return Err(TrainError::Diverged { loss: loss.mean(), step, learning_rate });
        }
        self.account(loss, n_tokens, started);
        self.tell_step(loss, norm, learning_rate, n_tokens, started);
        Ok(Next::Go)
    }

    fn account(&mut self, loss: LossSum, n_tokens: usize, started: Instant) {
        let p = &mut self.progress;
        p.step += 1;
        p.n_tokens += n_tokens as u64;
        p.n_trained_tokens += loss.count as u64;
        p.step_ms += started.elapsed().as_secs_f64() * 1e3;
        p.recent.push((loss.sum, loss.count as u64));
        if p.recent.len() > RECENT {
            p.recent.remove(0);
        }
    }

    fn tell_step(&mut self, loss: LossSum, gradient_norm: f64, learning_rate: f64, n_tokens: usize, started: Instant) {
        let epoch = self.plan.epoch(self.progress.step);
        let memory_bytes = self.observer.memory_bytes();
        self.progress.peak_memory_bytes = self.progress.peak_memory_bytes.max(memory_bytes);
        if self.progress.step.is_multiple_of(self.plan.n_steps.div_ceil(LOG_ENTRIES)) {
            let step = self.progress.step;
            self.log.push(json!({"epoch": epoch, "grad_norm": gradient_norm, "learning_rate": learning_rate,
                "loss": loss.mean(), "step": step}));
        }
        let tokens_per_s = n_tokens as f64 / started.elapsed().as_secs_f64().max(1e-9);
        let (loss_sum, n_supervised) = (loss.sum, loss.count as u64);
        self.emit(EventKind::Step {
            epoch,
            loss_sum,
            n_supervised,
            learning_rate,
            gradient_norm,
            tokens_per_s,
            memory_bytes,
        });
    }

    /// Measures on the examples kept aside and answers the sample questions.
    fn check(&mut self, base: bool) -> Result<Next> {
        let Some(validation) = &self.validation else { return Ok(Next::Go) };
        let (step, elapsed_ms, mut seq) = (self.progress.step, self.elapsed_ms(), self.progress.seq);
        let (observer, mut cancelled) = (&mut *self.observer, false);
        let scores = evaluate(
            &self.model,
            validation,
            self.job.task,
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
    fn remember(&mut self, scores: Scores, base: bool) {
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
        self.log.push(entry);
        self.emit(EventKind::Evaluated { scores, best });
    }

    /// Tries the longest batch before the first step, so that memory runs out at once or not at all.
    fn probe(&mut self) -> Result<()> {
        let longest = self.examples.longest(self.plan.settings.batch_size as usize);
        let batch = self.examples.batch(&longest);
        let n_tokens = batch.ids.len() as u64;
        self.emit(EventKind::Phase { phase: Phase::Probing, done: 0, total: Some(n_tokens) });
        let (tokens, targets) = tokens_of(batch, self.job.task);
        let recompute = self.recompute();
        self.model.loss_and_gradients(&tokens, &targets, 0.0, recompute, &mut self.grads)?;
        self.emit(EventKind::Phase { phase: Phase::Probing, done: n_tokens, total: Some(n_tokens) });
        Ok(())
    }

    fn warn(&mut self) {
        for message in prepare::warnings(&self.examples, self.job) {
            self.emit(EventKind::Warning { message });
        }
    }

    fn save(&mut self) -> Result<()> {
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
    fn tell_checkpoint(&mut self) -> Result<()> {
        let path = self.job.folder.join(format!("checkpoint-{}", self.progress.step));
        let best = self.progress.best.is_some() && self.progress.best_step == self.progress.step;
        let n_bytes = checkpoint::size_of_folder(&path)?;
        self.emit(EventKind::Checkpoint { path, best, n_bytes });
        Ok(())
    }

    /// Does what was asked for between two batches.
    fn obey(&mut self) -> Result<Next> {
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

    fn cancelled(mut self) -> Result<Outcome> {
        let saved = checkpoint::newest_progress(&self.job.folder)?.map(|p| p.step);
        if self.progress.step > 0 && saved != Some(self.progress.step) {
            self.save()?;
        }
        self.emit(EventKind::Cancelled);
        Ok(Outcome::Cancelled)
    }

    /// Takes up the best checkpoint, writes the result and compares it with what is in memory.
    fn complete(mut self, stopped_early: bool) -> Result<Outcome> {
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
        let probe = self.examples.batch(&(0..8).collect::<Vec<u32>>());
        let (probe, _) = tokens_of(probe, self.job.task);
        let card = result::Card { job: self.job, plan: &self.plan, summary: &summary, labels: self.examples.labels() };
        result::write(&self.model, &card, &self.tokenizer, &probe)?;
        self.emit(EventKind::Completed { result: self.job.result.clone(), summary: summary.clone() });
        Ok(Outcome::Completed(summary))
    }

    fn summary(&self, best_step: u64, stopped_early: bool) -> Summary {
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

    fn elapsed_ms(&self) -> u64 {
        self.progress.elapsed_ms + self.since.elapsed().as_millis() as u64
    }

    fn emit(&mut self, what: EventKind) {
        self.progress.seq += 1;
        let event =
            Event { seq: self.progress.seq, step: self.progress.step, elapsed_ms: self.elapsed_ms(), what };
        self.observer.event(event);
    }
}
