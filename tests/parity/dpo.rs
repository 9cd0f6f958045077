//! The fixture of preference training: log-probabilities, rewards, losses, gradients and the curve of twenty steps.

use lorikeet_models::{Backend, Gradients, LossSum, Model, ModelError, Recompute};
use lorikeet_tests::fixture::{Batch, Fixture};
use lorikeet_train::{Criterion, Decay, Goal, Judgement, Optimiser, Schedule, Settings};

use crate::{
    compare::{CURVE, GRADIENT, LOGITS, LOSS, NORM, RATE},
    differences::Differences,
};

pub fn compare<B: Backend>(fixture: &Fixture, make: impl Fn() -> B, found: &mut Differences) {
    let model = Model::open_with_adapter(make(), &fixture.model_folder(), &fixture.folder.join("adapter"));
    match model.and_then(|model| everything(fixture, model, found)) {
        Ok(()) => {}
        Err(e) => found.fault(e.to_string()),
    }
}

/// Both answers of every pair, as the fixture has them: a batch of chosen ones and a batch of rejected ones.
struct Pairs<'a> {
    fixture: &'a Fixture,
    sides: [Batch; 2],
    criterion: Criterion,
}

fn everything<B: Backend>(fixture: &Fixture, mut model: Model<B>, found: &mut Differences) -> Result<(), ModelError> {
    let beta = fixture.number("/beta").unwrap_or(f64::NAN);
    let criterion =
        Criterion { goal: Goal::Dpo, beta, label_smoothing: 0.0, desirable_weight: 1.0, undesirable_weight: 1.0 };
    let sides = ["chosen.", "rejected."].map(|side| fixture.batch(side));
    let pairs = Pairs { fixture, sides, criterion };
    pairs.probabilities(&model, found)?;
    let mut grads = model.gradients()?;
    let judged = pairs.gradients(&model, Recompute::Never, &mut grads)?;
    found.lists("losses", LOSS, &judged.losses, fixture.floats("losses").unwrap_or_default());
    found.number("loss", LOSS, judged.loss().mean(), fixture.number("/losses/dpo").unwrap_or(f64::NAN));
    let scores = judged.sums.scores();
    found.number("margin", LOSS, scores.margin, fixture.number("/reward_margin").unwrap_or(f64::NAN));
    found.number("accuracy", 1e-12, scores.accuracy, fixture.number("/reward_accuracy").unwrap_or(f64::NAN));
    pairs.compare_gradients(&model, &grads, found)?;
    let mut again = model.gradients()?;
    pairs.gradients(&model, Recompute::EveryBlock, &mut again)?;
    pairs.compare_gradients(&model, &again, found)?;
    pairs.training(&mut model, found)
}

impl Pairs<'_> {
    fn sums<B: Backend>(&self, model: &Model<B>, adapters: bool) -> Result<[Vec<LossSum>; 2], ModelError> {
        let of = |side: &Batch| model.sequence_losses(&side.tokens, &side.targets, adapters);
        Ok([of(&self.sides[0])?, of(&self.sides[1])?])
    }

    fn probabilities<B: Backend>(&self, model: &Model<B>, found: &mut Differences) -> Result<(), ModelError> {
        for (whose, adapters) in [("policy", true), ("reference", false)] {
            for (side, sums) in ["chosen", "rejected"].into_iter().zip(self.sums(model, adapters)?) {
                let ours: Vec<f64> = sums.iter().map(|s| -s.sum).collect();
                let theirs = self.fixture.floats(&format!("{whose}.{side}_logps")).unwrap_or_default();
                found.lists("log-probabilities", LOGITS, &ours, theirs);
            }
        }
        let [policy, reference] = [self.sums(model, true)?, self.sums(model, false)?];
        for (at, side) in ["chosen", "rejected"].into_iter().enumerate() {
            let pairs = policy[at].iter().zip(&reference[at]);
            let ours: Vec<f64> = pairs.map(|(p, r)| self.criterion.beta * (r.sum - p.sum)).collect();
            found.lists("rewards", LOSS, &ours, self.fixture.floats(&format!("rewards.{side}")).unwrap_or_default());
        }
        Ok(())
    }

    /// The judgement of all pairs, whose mean loss gives the gradients: one side after the other.
    fn gradients<B: Backend>(
        &self,
        model: &Model<B>,
        recompute: Recompute,
        grads: &mut Gradients<B>,
    ) -> Result<Judgement, ModelError> {
        let [policy, reference] = [self.sums(model, true)?, self.sums(model, false)?];
        let turned = |sides: &[Vec<LossSum>; 2]| -> Vec<LossSum> {
            sides[0].iter().zip(&sides[1]).flat_map(|(chosen, rejected)| [*chosen, *rejected]).collect()
        };
        let reference: Vec<f64> = turned(&reference).iter().map(|s| s.sum).collect();
        let judged = self.criterion.judge_pairs(&turned(&policy), &reference);
        let scale = 1.0 / judged.losses.len() as f64;
        for (at, side) in self.sides.iter().enumerate() {
            let weights: Vec<f32> = judged.weights.iter().skip(at).step_by(2).map(|w| (w * scale) as f32).collect();
            let weigh = &mut |_: &[LossSum]| weights.clone();
            model.weighted_gradients(&side.tokens, &side.targets, recompute, grads, weigh)?;
        }
        Ok(judged)
    }

    fn compare_gradients<B: Backend>(
        &self,
        model: &Model<B>,
        grads: &Gradients<B>,
        found: &mut Differences,
    ) -> Result<(), ModelError> {
        let mut theirs = self.fixture.gradients();
        for (p, g) in model.parameters().iter().zip(&grads.0) {
            let ours = model.backend().download(g)?;
            match theirs.remove(p.name.as_str()) {
                Some(t) => found.lists("gradients", GRADIENT, &ours, &t.floats),
                None => found.fault(format!("no gradient was recorded for `{}`", p.name)),
            }
        }
        found.check(theirs.is_empty(), || format!("not trained here: {:?}", theirs.keys()));
        Ok(())
    }

    fn training<B: Backend>(&self, model: &mut Model<B>, found: &mut Differences) -> Result<(), ModelError> {
        let theirs = |key: &str| self.fixture.numbers(&format!("/training/{key}")).unwrap_or_default();
        let schedule = Schedule { peak: 1e-2, warmup_steps: 4, n_steps: 20, decay: Decay::Cosine };
        let mut optimiser = Optimiser::new(model, Settings::default().optimiser()).unwrap();
        let mut grads = model.gradients()?;
        let (mut losses, mut rates, mut norms) = (Vec::new(), Vec::new(), Vec::new());
        for step in 0..20 {
            grads.clear(model.backend())?;
            losses.push(self.gradients(model, Recompute::Never, &mut grads)?.loss().mean());
            rates.push(schedule.rate(step));
            norms.push(optimiser.step(model, &grads, schedule.rate(step)).unwrap());
        }
        grads.clear(model.backend())?;
        losses.push(self.gradients(model, Recompute::Never, &mut grads)?.loss().mean());
        found.lists("curve", CURVE, &losses, &theirs("losses"));
        found.lists("rates", RATE, &rates, &theirs("learning_rates"));
        found.lists("norms", NORM, &norms, &theirs("gradient_norms_before_clipping"));
        Ok(())
    }
}
