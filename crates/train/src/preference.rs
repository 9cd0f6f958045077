//! Learning from preferences: which of two answers is better (DPO, ORPO), or whether an answer is wanted (KTO). A criterion
//! turns the log-probabilities of whole answers into a loss, and into what each answer's own loss counts for in the
//! gradient. The reference is the base without its adapter; where every weight moves, its numbers are taken down before
//! the first step.
//!
//! Sources: Rafailov et al., "Direct Preference Optimization", 2023, with the smoothing of Mitchell, 2023; Hong, Lee and
//! Thorne, "ORPO", 2024; Ethayarajh et al., "KTO", 2024, with the estimate of the divergence that TRL uses. Rewards are
//! those of TRL, so that figures can be compared.

use lorikeet_data::Kind;
use lorikeet_models::LossSum;
use serde::{Deserialize, Serialize};

/// What is learned from the examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    /// To continue as the examples do, or to give their labels.
    Sft,
    /// To prefer the chosen answer to the rejected one more than the reference does.
    Dpo,
    /// To say the chosen answer, and to hold the rejected one less likely; without a reference.
    Orpo,
    /// To say what is wanted and not to say what is not, beyond what the reference does.
    Kto,
}

/// The constants of learning from preferences.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Criterion {
    /// DPO, ORPO or KTO.
    pub goal: Goal,
    /// How strongly rewards weigh; the weight of the odds ratio in ORPO.
    pub beta: f64,
    /// Share of pairs that are taken to be labelled the wrong way round; DPO only.
    pub label_smoothing: f64,
    /// Weight of wanted answers; KTO only.
    pub desirable_weight: f64,
    /// Weight of unwanted answers; KTO only.
    pub undesirable_weight: f64,
}

/// What a batch of answers gives: sums over its examples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// Loss of each example.
    pub losses: Vec<f64>,
    /// The derivative of the sum of losses by each answer's own summed `-log p`.
    pub weights: Vec<f64>,
    /// Rewards and log-probabilities.
    pub sums: PreferenceSums,
}

/// Sums over examples; division comes last.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PreferenceSums {
    /// Good answers: how many, their rewards and log-probabilities.
    pub chosen: AnswerSums,
    /// Bad answers.
    pub rejected: AnswerSums,
    /// Examples that were ordered (or judged) as the data says, and all of them.
    pub n_right: u64,
    /// Examples.
    pub n: u64,
}

/// Sums over answers of one side.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AnswerSums {
    /// Answers.
    pub n: u64,
    /// Sum of their rewards.
    pub reward: f64,
    /// Sum of their log-probabilities, in nats.
    pub log_probability: f64,
}

/// How well preferences are met.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreferenceScores {
    /// Mean reward of good answers less that of bad ones.
    pub margin: f64,
    /// Share of examples ordered (or judged) as the data says.
    pub accuracy: f64,
    /// Mean log-probability of good answers, in nats.
    pub chosen_log_probability: f64,
    /// Mean log-probability of bad answers, in nats.
    pub rejected_log_probability: f64,
}

impl Goal {
    /// Name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Goal::Sft => "sft",
            Goal::Dpo => "dpo",
            Goal::Orpo => "orpo",
            Goal::Kto => "kto",
        }
    }

    /// What examples of a kind are for.
    pub fn natural(kind: Kind) -> Self {
        match kind {
            Kind::Preference => Goal::Dpo,
            Kind::Judged => Goal::Kto,
            Kind::Chat | Kind::Prompt | Kind::Text | Kind::Labelled | Kind::Parallel => Goal::Sft,
        }
    }
}

impl AnswerSums {
    fn add(&mut self, reward: f64, log_probability: f64) {
        self.n += 1;
        self.reward += reward;
        self.log_probability += log_probability;
    }

    fn plus(self, other: Self) -> Self {
        Self {
            n: self.n + other.n,
            reward: self.reward + other.reward,
            log_probability: self.log_probability + other.log_probability,
        }
    }

    fn mean(self, sum: f64) -> f64 {
        sum / self.n.max(1) as f64
    }
}

impl PreferenceSums {
    /// Both sums together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            chosen: self.chosen.plus(other.chosen),
            rejected: self.rejected.plus(other.rejected),
            n_right: self.n_right + other.n_right,
            n: self.n + other.n,
        }
    }

    /// The means; a side without answers counts as zero.
    pub fn scores(self) -> PreferenceScores {
        let (good, bad) = (self.chosen, self.rejected);
        PreferenceScores {
            margin: good.mean(good.reward) - bad.mean(bad.reward),
            accuracy: self.n_right as f64 / self.n.max(1) as f64,
            chosen_log_probability: good.mean(good.log_probability),
            rejected_log_probability: bad.mean(bad.log_probability),
        }
    }
}

impl Criterion {
    /// Judges pairs: `policy` and `reference` hold the chosen and the rejected answer of each pair in turn, as sums of
    /// `-log p`. ORPO reads no reference.
    pub fn judge_pairs(&self, policy: &[LossSum], reference: &[f64]) -> Judgement {
        let mut found = Judgement::default();
        for (at, pair) in policy.chunks_exact(2).enumerate() {
            let reference = |side: usize| reference.get(2 * at + side).copied().unwrap_or_default();
            let (loss, weights, rewards) = match self.goal {
                Goal::Orpo => self.odds(pair),
                _ => self.direct(pair, [reference(0), reference(1)]),
            };
            found.losses.push(loss);
            found.weights.extend(weights);
            found.sums.chosen.add(rewards[0], -pair[0].sum);
            found.sums.rejected.add(rewards[1], -pair[1].sum);
            found.sums.n_right += u64::from(rewards[0] > rewards[1]);
            found.sums.n += 1;
        }
        found
    }

    /// `-(1 - e) log s(d) - e log s(-d)` with `d = beta ((p_c - r_c) - (p_r - r_r))`.
    fn direct(&self, pair: &[LossSum], reference: [f64; 2]) -> (f64, [f64; 2], [f64; 2]) {
        let rewards = [0, 1].map(|side| self.beta * (reference[side] - pair[side].sum));
        let (d, e) = (rewards[0] - rewards[1], self.label_smoothing);
        let loss = -(1.0 - e) * log_sigmoid(d) - e * log_sigmoid(-d);
        let slope = e * sigmoid(d) - (1.0 - e) * sigmoid(-d);
        (loss, [-slope * self.beta, slope * self.beta], rewards)
    }

    /// `-l_c - beta log s(log odds(l_c) - log odds(l_r))` with the mean log-probability `l` of an answer's tokens and
    /// `odds(l) = exp(l) / (1 - exp(l))`.
    fn odds(&self, pair: &[LossSum]) -> (f64, [f64; 2], [f64; 2]) {
        let mean = [0, 1].map(|side| -pair[side].sum / pair[side].count.max(1) as f64);
        // An answer that is certain has no finite odds.
        let rest = mean.map(|l| (-l.exp_m1()).max(1e-12));
        let ratio = (mean[0] - rest[0].ln()) - (mean[1] - rest[1].ln());
        let loss = -mean[0] - self.beta * log_sigmoid(ratio);
        let slope = -self.beta * sigmoid(-ratio);
        let by_mean = [-1.0 + slope / rest[0], -slope / rest[1]];
        let weights = [0, 1].map(|side: usize| -by_mean[side] / pair[side].count.max(1) as f64);
        (loss, weights, mean.map(|l| self.beta * l))
    }

    /// Judges single answers: `1 - s(beta (p - r - z))` of a wanted one, `1 - s(beta (z - p + r))` of another, each times
    /// its weight. `divergence` is `z`, how far the policy is from the reference as answers to other prompts tell it; it is
    /// a constant in the gradient.
    pub fn judge_answers(
        &self,
        policy: &[LossSum],
        reference: &[f64],
        verdicts: &[bool],
        divergence: f64,
    ) -> Judgement {
        let mut found = Judgement::default();
        for ((answer, reference), wanted) in policy.iter().zip(reference).zip(verdicts) {
            let reward = self.beta * (reference - answer.sum);
            let excess = reward - self.beta * divergence;
            let (sign, weight) = if *wanted { (1.0, self.desirable_weight) } else { (-1.0, self.undesirable_weight) };
            let value = sigmoid(sign * excess);
            found.losses.push(weight * (1.0 - value));
            found.weights.push(sign * weight * value * (1.0 - value) * self.beta);
            let side = if *wanted { &mut found.sums.chosen } else { &mut found.sums.rejected };
            side.add(reward, -answer.sum);
            found.sums.n_right += u64::from(sign * excess > 0.0);
            found.sums.n += 1;
        }
        found
    }
}

/// How far the policy is from the reference on answers to other prompts, never below zero.
pub fn divergence(policy: &[LossSum], reference: &[f64]) -> f64 {
    let sum: f64 = policy.iter().zip(reference).map(|(p, r)| r - p.sum).sum();
    (sum / policy.len().max(1) as f64).max(0.0)
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `log(1 / (1 + exp(-x)))` without overflow.
fn log_sigmoid(x: f64) -> f64 {
    x.min(0.0) - (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn criterion(goal: Goal) -> Criterion {
        Criterion { goal, beta: 0.3, label_smoothing: 0.1, desirable_weight: 1.3, undesirable_weight: 0.7 }
    }

    fn answers(sums: [f64; 4]) -> Vec<LossSum> {
        sums.into_iter().zip([7, 3, 12, 5]).map(|(sum, count)| LossSum::of(sum, count)).collect()
    }

    const SUMS: [f64; 4] = [9.0, 4.5, 20.0, 11.0];
    const REFERENCE: [f64; 4] = [8.0, 5.5, 22.5, 10.0];
    const VERDICTS: [bool; 4] = [true, false, false, true];

    /// The weights are the slopes of the summed losses.
    fn weights_are_slopes(judge: impl Fn(&[LossSum]) -> Judgement) {
        let found = judge(&answers(SUMS));
        assert_eq!(found.weights.len(), 4);
        for (at, weight) in found.weights.iter().enumerate() {
            let moved = |by: f64| {
                let mut sums = SUMS;
                sums[at] += by;
                judge(&answers(sums)).losses.iter().sum::<f64>()
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((weight - slope).abs() < 1e-8, "answer {at}: weight {weight}, slope {slope}");
        }
    }

    #[test]
    fn every_weight_is_the_slope_of_the_loss() {
        for objective in [Goal::Dpo, Goal::Orpo] {
            weights_are_slopes(|policy| criterion(objective).judge_pairs(policy, &REFERENCE));
        }
        weights_are_slopes(|policy| criterion(Goal::Kto).judge_answers(policy, &REFERENCE, &VERDICTS, 0.4));
    }

    #[test]
    fn losses_have_their_values_by_hand() {
        let at_reference: Vec<LossSum> = answers(REFERENCE);
        let dpo = criterion(Goal::Dpo).judge_pairs(&at_reference, &REFERENCE);
        assert!(dpo.losses.iter().all(|loss| (loss - 2f64.ln()).abs() < 1e-12), "{dpo:?}");
        let kto = criterion(Goal::Kto).judge_answers(&at_reference, &REFERENCE, &VERDICTS, 0.0);
        assert_eq!(kto.losses, [0.65, 0.35, 0.35, 0.65]);
        // Equal answers of two tokens with probability 1/2 each: odds 1, and `-l` is log 2.
        let equal = [LossSum::of(2.0 * 2f64.ln(), 2); 2];
        let orpo = criterion(Goal::Orpo).judge_pairs(&equal, &[]);
        assert!((orpo.losses[0] - 1.3 * 2f64.ln()).abs() < 1e-12, "{orpo:?}");
    }

    #[test]
    fn scores_are_divided_last() {
        let plain = Criterion { label_smoothing: 0.0, ..criterion(Goal::Dpo) };
        let sums = plain.judge_pairs(&answers(SUMS), &REFERENCE).sums;
        let scores = sums.plus(plain.judge_pairs(&answers(REFERENCE)[..2], &REFERENCE[..2]).sums).scores();
        // Rewards: -0.3 and 0.3, 0.75 and -0.3, 0 and 0.
        assert!((scores.margin - 0.15).abs() < 1e-12, "{scores:?}");
        assert!((scores.accuracy - 1.0 / 3.0).abs() < 1e-12, "{scores:?}");
        assert!((scores.chosen_log_probability + 37.0 / 3.0).abs() < 1e-12, "{scores:?}");
    }

    #[test]
    fn the_divergence_is_a_mean_and_never_negative() {
        assert_eq!(divergence(&answers(SUMS)[..2], &[10.0, 6.5]), 1.5);
        assert_eq!(divergence(&answers(SUMS)[..2], &[0.0, 0.0]), 0.0);
    }

    #[test]
    fn extreme_answers_stay_finite() {
        let far = answers([1e4, 0.0, 0.0, 1e4]);
        for objective in [Goal::Dpo, Goal::Orpo] {
            let found = criterion(objective).judge_pairs(&far, &[0.0; 4]);
            assert!(found.losses.iter().chain(&found.weights).all(|v| v.is_finite()), "{found:?}");
        }
    }
}
