//! Learning from preferences over batches: asks the model and its reference what they hold of the answers, and hands both to
//! the criterion.

use std::collections::HashMap;

use lorikeet_data::{Batch, Prepared, Task};
use lorikeet_models::{Backend, Gradients, LossSum, Model, Recompute};

use crate::{
    Criterion, Goal, Judgement, Method, Result, Scores, Settings, TrainError, divergence, evaluate::tokens_of,
};

/// Judges the answers of one set of examples.
#[derive(Clone, Debug)]
pub struct Judge {
    criterion: Criterion,
    /// What the reference held of each example's answers and of its mismatched pair, as sums of `-log p`: taken down where
    /// every weight moves. Without it the base is asked with its adapter off.
    kept: Option<HashMap<u32, Vec<f64>>>,
}

impl Goal {
    /// What examples of this kind are for when nothing else is asked.
    fn of(examples: &Prepared) -> Self {
        match (examples.n_sequences(), examples.is_judged()) {
            (2, _) => Goal::Dpo,
            (_, true) => Goal::Kto,
            _ => Goal::Sft,
        }
    }
}

impl Criterion {
    fn of(goal: Goal, settings: &Settings) -> Self {
        Self {
            goal,
            beta: settings.beta,
            label_smoothing: settings.label_smoothing,
            desirable_weight: settings.desirable_weight,
            undesirable_weight: settings.undesirable_weight,
        }
    }
}

impl Judge {
    /// The judge of `examples` under `settings`; `None` where nothing is compared.
    ///
    /// # Errors
    /// [`TrainError::Conflict`] where the examples are of another kind than the objective needs.
    pub fn new(settings: &Settings, examples: &Prepared) -> Result<Option<Self>> {
        let natural = Goal::of(examples);
        let goal = settings.objective.unwrap_or(natural);
        let (fits, needs) = match goal {
            Goal::Sft => (natural == Goal::Sft, "examples without a rejected answer or a verdict"),
            Goal::Dpo | Goal::Orpo => (natural == Goal::Dpo, "rows with a `chosen` and a `rejected` answer"),
            Goal::Kto => (natural == Goal::Kto, "rows with a `completion` and a true or false `label`"),
        };
        if !fits {
            return Err(TrainError::Conflict(format!(
                "the objective `{}` needs {needs}; leave `objective` empty to learn what these examples are for",
                goal.name()
            )));
        }
        Ok(Self::under(Criterion::of(goal, settings)))
    }

    /// The judge of finished answers: by the `criterion` that they were learned with where it suits the examples, by the
    /// usual one otherwise; `None` where nothing is compared.
    pub fn of_result(criterion: Option<Criterion>, examples: &Prepared) -> Option<Self> {
        let natural = Goal::of(examples);
        let suits = |c: &Criterion| c.goal == natural || (c.goal == Goal::Orpo && natural == Goal::Dpo);
        Self::under(criterion.filter(suits).unwrap_or_else(|| Criterion::of(natural, &Settings::default())))
    }

    fn under(criterion: Criterion) -> Option<Self> {
        (criterion.goal != Goal::Sft).then_some(Self { criterion, kept: None })
    }

    /// The constants by which it judges.
    pub fn criterion(&self) -> Criterion {
        self.criterion
    }

    /// Takes down what the model holds of the answers now, before any weight moves, where `method` moves them all.
    ///
    /// # Errors
    /// Where the model refuses a batch.
    pub fn keep<B: Backend>(
        &mut self,
        model: &Model<B>,
        examples: &Prepared,
        (method, batch_size): (Method, usize),
    ) -> Result<()> {
        if method == Method::Lora || self.criterion.goal == Goal::Orpo {
            return Ok(());
        }
        let mut kept = HashMap::new();
        let all: Vec<u32> = (0..examples.len() as u32).collect();
        for chosen in all.chunks(batch_size.max(1)) {
            let answers = sums(model, examples.batch(chosen), true)?;
            let others = self.mismatched(model, examples, chosen, true)?;
            for (at, example) in chosen.iter().enumerate() {
                let n = examples.n_sequences();
                let mut numbers: Vec<f64> = answers[at * n..(at + 1) * n].iter().map(|s| s.sum).collect();
                numbers.extend(others.get(at).map(|s| s.sum));
                kept.insert(*example, numbers);
            }
        }
        self.kept = Some(kept);
        Ok(())
    }

    /// Judges without learning.
    ///
    /// # Errors
    /// Where the model refuses the batch.
    pub fn measure<B: Backend>(&self, model: &Model<B>, examples: &Prepared, chosen: &[u32]) -> Result<Judgement> {
        let policy = sums(model, examples.batch(chosen), true)?;
        let (reference, apart) = self.reference(model, examples, chosen)?;
        Ok(self.judge(examples, chosen, &policy, (&reference, apart)))
    }

    /// Judges, and adds the gradients of `scale` times the sum of the losses to `grads`.
    ///
    /// # Errors
    /// Where the model refuses the batch.
    pub fn gradients<B: Backend>(
        &self,
        model: &Model<B>,
        (examples, chosen): (&Prepared, &[u32]),
        (scale, recompute): (f64, Recompute),
        grads: &mut Gradients<B>,
    ) -> Result<Judgement> {
        let (reference, apart) = self.reference(model, examples, chosen)?;
        let (tokens, targets) = tokens_of(examples.batch(chosen), Task::Causal);
        let mut found = Judgement::default();
        model.weighted_gradients(&tokens, &targets, recompute, grads, &mut |policy| {
            found = self.judge(examples, chosen, policy, (&reference, apart));
            found.weights.iter().map(|weight| (weight * scale) as f32).collect()
        })?;
        Ok(found)
    }

    fn judge(
        &self,
        examples: &Prepared,
        chosen: &[u32],
        policy: &[LossSum],
        (reference, apart): (&[f64], f64),
    ) -> Judgement {
        match self.criterion.goal {
            Goal::Kto => {
                let verdicts = examples.batch(chosen).verdicts;
                self.criterion.judge_answers(policy, reference, &verdicts, apart)
            }
            _ => self.criterion.judge_pairs(policy, reference),
        }
    }

    /// What the reference holds of the answers, and how far the policy is from it on answers to other prompts.
    fn reference<B: Backend>(&self, model: &Model<B>, examples: &Prepared, chosen: &[u32]) -> Result<(Vec<f64>, f64)> {
        if self.criterion.goal == Goal::Orpo {
            return Ok((Vec::new(), 0.0));
        }
        let n = examples.n_sequences();
        let (answers, others): (Vec<f64>, Vec<f64>) = match &self.kept {
            Some(kept) => {
                let numbers: Vec<&Vec<f64>> = chosen.iter().filter_map(|example| kept.get(example)).collect();
                let answers = numbers.iter().flat_map(|of| of.iter().take(n)).copied();
                (answers.collect(), numbers.iter().filter_map(|of| of.get(n)).copied().collect())
            }
            None => {
                let answers = sums(model, examples.batch(chosen), false)?;
                let others = self.mismatched(model, examples, chosen, false)?;
                (answers.iter().map(|s| s.sum).collect(), others.iter().map(|s| s.sum).collect())
            }
        };
        let policy = self.mismatched(model, examples, chosen, true)?;
        Ok((answers, divergence(&policy, &others)))
    }

    fn mismatched<B: Backend>(
        &self,
        model: &Model<B>,
        examples: &Prepared,
        chosen: &[u32],
        adapters: bool,
    ) -> Result<Vec<LossSum>> {
        if self.criterion.goal == Goal::Kto {
            sums(model, examples.mismatched(chosen), adapters)
        } else {
            Ok(Vec::new())
        }
    }
}

fn sums<B: Backend>(model: &Model<B>, batch: Batch, adapters: bool) -> Result<Vec<LossSum>> {
    let (tokens, targets) = tokens_of(batch, Task::Causal);
    Ok(model.sequence_losses(&tokens, &targets, adapters)?)
}

impl Judgement {
    /// The sum of losses over its examples.
    pub fn loss(&self) -> LossSum {
        LossSum::of(self.losses.iter().sum(), self.losses.len())
    }

    /// The judgement as scores.
    pub(crate) fn scores(loss: LossSum, sums: crate::PreferenceSums) -> Scores {
        Scores { loss, labels: None, preference: Some(sums.scores()) }
    }
}
