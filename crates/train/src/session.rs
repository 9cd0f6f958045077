//! The training loop: from a job to a result, saying everything it does, saving everything it needs to go on.

mod ending;
mod fit;
mod upkeep;

use std::time::Instant;

use lorikeet_data::{Prepared, Task, Tokenizer};
use lorikeet_models::{Backend, Gradients, LossSum, Model, Objective, Recompute};
use serde_json::{Value, json};

use crate::{
    Event, EventKind, Examples, Judge, Observer, Optimiser, Outcome, Plan, PreferenceScores, PreferenceSums, Progress,
    Result, TrainError, TrainJob, checkpoint, evaluate::tokens_of, order, prepare, samples,
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
pub fn train<B: Backend + Clone>(backend: &B, job: &TrainJob, observer: &mut (dyn Observer + Send)) -> Result<Outcome> {
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
    objective: Objective,
    /// Present where answers are compared: for the examples learned from, and for those kept aside.
    judges: Option<(Judge, Option<Judge>)>,
    grads: Gradients<B>,
    optimiser: Optimiser<B>,
    progress: Progress,
    log: Vec<Value>,
    /// The examples of the batch that needs the most memory.
    longest: Vec<u32>,
    recompute: Recompute,
    /// The places of an epoch's batches, kept while it lasts.
    order: (u64, Vec<Vec<u32>>),
    since: Instant,
    resumed: bool,
}

/// What the micro-batches of one step gave.
struct Learned {
    loss: LossSum,
    n_tokens: usize,
    preference: Option<PreferenceScores>,
}

/// The judges of the examples learned from and of those kept aside, where answers are compared. What a reference holds is
/// taken down before a checkpoint overwrites the base.
fn judges<B: Backend>(
    job: &TrainJob,
    model: &Model<B>,
    train: &Prepared,
    validation: Option<&Prepared>,
) -> Result<Option<(Judge, Option<Judge>)>> {
    if job.task == Task::Classify {
        return Ok(None);
    }
    let judge = |examples: &Prepared| -> Result<Option<Judge>> {
        let Some(mut judge) = Judge::new(&job.settings, examples)? else { return Ok(None) };
        judge.keep(model, examples, (job.method, job.settings.batch_size as usize))?;
        Ok(Some(judge))
    };
    let held_out = validation.map(judge).transpose()?.flatten();
    Ok(judge(train)?.map(|learned| (learned, held_out)))
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
        let Examples { train, validation, tokenizer, questions, since, held_bytes } = examples;
        let n_units = order::n_units(&train, &job.settings);
        let plan = Plan::new(&job.settings, job.method, model.config(), n_units, validation.is_some());
        let judges = judges(job, &model, &train, validation.as_ref())?;
        let objective = job.settings.objective(&train.label_counts())?;
        let mut optimiser = Optimiser::new(&model, plan.settings.optimiser())?;
        let fingerprint = prepare::fingerprint(job, &plan);
        let newest = checkpoint::checkpoints(&job.folder)?.pop();
        let resumed = newest.is_some();
        let (progress, log) = match newest {
            Some(folder) => checkpoint::restore(&folder, &mut model, &mut optimiser, job.method, &fingerprint)?,
            None => (Progress::new(fingerprint), Vec::new()),
        };
        let grads = model.gradients()?;
        let longest = upkeep::longest(&train, &plan.settings);
        let recompute = fit::recompute(job, &train, &longest, (held_bytes, observer.memory_budget_bytes()))?;
        Ok(Self {
            job,
            observer,
            plan,
            examples: train,
            validation,
            tokenizer,
            questions,
            model,
            objective,
            judges,
            grads,
            optimiser,
            progress,
            log,
            longest,
            recompute,
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
            self.order = (epoch, order::units(&self.examples, &self.plan.settings, epoch));
        }
        let size = self.plan.settings.batch_size as usize;
        self.order.1.iter().skip(place as usize * size).take(size).flatten().copied().collect()
    }

    /// One optimiser step: gradients of all its batches are divided by the weight of the supervised tokens of all of them.
    fn step(&mut self) -> Result<Next> {
        let started = Instant::now();
        let accumulation = self.plan.settings.gradient_accumulation;
        let first = self.progress.step * accumulation;
        let batches: Vec<_> = (first..first + accumulation).map(|n| self.micro_batch(n)).collect();
        self.grads.clear(self.model.backend())?;
        let Some(Learned { loss, n_tokens, preference }) = self.learn(first, &batches)? else {
            return Ok(Next::Cancel);
        };
        let learning_rate = self.plan.schedule().rate(self.progress.step);
        let finite = loss.sum.is_finite();
        let norm = if finite { self.optimiser.step(&mut self.model, &self.grads, learning_rate)? } else { f64::NAN };
        if !finite || !norm.is_finite() {
            let step = self.progress.step + 1;
            return Err(TrainError::Diverged { loss: loss.mean(), step, learning_rate });
        }
        self.account(loss, n_tokens, started);
        self.tell_step((loss, preference), norm, learning_rate, n_tokens, started);
        Ok(Next::Go)
    }

    /// Adds the gradients of the micro-batches, of which the first one has the number `first`; `None` where the run is to end.
    fn learn(&mut self, first: u64, batches: &[Vec<u32>]) -> Result<Option<Learned>> {
        if self.judges.is_some() {
            return self.compare(first, batches);
        }
        let batches = batches.iter().map(|chosen| tokens_of(self.examples.batch(chosen), self.job.task));
        let batches: Vec<_> = batches.collect();
        let weight: f64 = batches.iter().map(|(_, targets)| LossSum::weight_of(targets, &self.objective)).sum();
        let n_tokens = batches.iter().map(|(tokens, _)| tokens.ids.len()).sum();
        // Rows that all weigh nothing have no loss to divide.
        let scale = if weight > 0.0 { 1.0 / weight as f32 } else { 0.0 };
        let (recompute, mut loss) = (self.recompute, LossSum::default());
        for (n, (tokens, targets)) in (first..).zip(batches) {
            if matches!(self.obey()?, Next::Cancel) {
                return Ok(None);
            }
            self.model.set_noise(self.plan.settings.noise(n));
            let scaled = (&self.objective, scale);
            let part = self.model.loss_and_gradients(&tokens, &targets, scaled, recompute, &mut self.grads)?;
            loss = loss.plus(part);
        }
        Ok(Some(Learned { loss, n_tokens, preference: None }))
    }

    /// [`Session::learn`] from preferences: every example weighs the same.
    fn compare(&mut self, first: u64, batches: &[Vec<u32>]) -> Result<Option<Learned>> {
        let n_examples: usize = batches.iter().map(Vec::len).sum();
        let (scale, recompute) = (1.0 / n_examples.max(1) as f64, self.recompute);
        let (mut loss, mut sums, mut n_tokens) = (LossSum::default(), PreferenceSums::default(), 0);
        for (n, chosen) in (first..).zip(batches) {
            if matches!(self.obey()?, Next::Cancel) {
                return Ok(None);
            }
            let Some((judge, _)) = &self.judges else { return Ok(None) };
            self.model.set_noise(self.plan.settings.noise(n));
            let what = (&self.examples, chosen.as_slice());
            let found = judge.gradients(&self.model, what, (scale, recompute), &mut self.grads)?;
            (loss, sums) = (loss.plus(found.loss()), sums.plus(found.sums));
            n_tokens += self.examples.batch(chosen).n_tokens();
        }
        Ok(Some(Learned { loss, n_tokens, preference: Some(sums.scores()) }))
    }

    fn account(&mut self, loss: LossSum, n_tokens: usize, started: Instant) {
        let p = &mut self.progress;
        p.step += 1;
        p.n_tokens += n_tokens as u64;
        p.n_trained_tokens += loss.count as u64;
        p.step_ms += started.elapsed().as_secs_f64() * 1e3;
        p.recent.push((loss.sum_of_count(), loss.count as u64));
        if p.recent.len() > RECENT {
            p.recent.remove(0);
        }
    }

    fn tell_step(
        &mut self,
        (loss, preference): (LossSum, Option<PreferenceScores>),
        gradient_norm: f64,
        learning_rate: f64,
        n_tokens: usize,
        started: Instant,
    ) {
        let epoch = self.plan.epoch(self.progress.step);
        let memory_bytes = self.observer.memory_bytes();
        self.progress.peak_memory_bytes = self.progress.peak_memory_bytes.max(memory_bytes);
        if self.progress.step.is_multiple_of(self.plan.n_steps.div_ceil(LOG_ENTRIES)) {
            let step = self.progress.step;
            self.log.push(json!({"epoch": epoch, "grad_norm": gradient_norm, "learning_rate": learning_rate,
                "loss": loss.mean(), "step": step}));
        }
        let tokens_per_s = n_tokens as f64 / started.elapsed().as_secs_f64().max(1e-9);
        let (loss_sum, n_supervised) = (loss.sum_of_count(), loss.count as u64);
        self.emit(EventKind::Step {
            epoch,
            loss_sum,
            n_supervised,
            learning_rate,
            gradient_norm,
            tokens_per_s,
            memory_bytes,
            preference,
        });
    }

    fn elapsed_ms(&self) -> u64 {
        self.progress.elapsed_ms + self.since.elapsed().as_millis() as u64
    }

    fn emit(&mut self, what: EventKind) {
        self.progress.seq += 1;
        let event = Event { seq: self.progress.seq, step: self.progress.step, elapsed_ms: self.elapsed_ms(), what };
        self.observer.event(event);
    }
}
