//! Sampling against what its definition says, over random scores.

use proptest::prelude::*;

use super::*;

fn softmax(logits: &[f32], temperature: f64) -> Vec<f64> {
    let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weights: Vec<f64> = logits.iter().map(|l| (f64::from(l - best) / temperature).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| w / sum).collect()
}

fn warm(seed: u64) -> Sampling {
    Sampling { temperature: 1.0, seed, ..Sampling::default() }
}

/// What a fresh sampler chooses, `n` times from the same scores.
fn draws(settings: &Sampling, logits: &[f32], n: usize) -> Vec<u32> {
    let mut sampler = Sampler::new(settings, &[]).unwrap();
    (0..n).map(|_| sampler.choose(logits.to_vec()).unwrap()).collect()
}

#[test]
fn greedy_takes_the_best_and_of_equals_the_first() {
    assert_eq!(draws(&Sampling::default(), &[0.0, 2.0, -1.0, 2.0], 3), [1, 1, 1]);
    assert_eq!(draws(&Sampling::default(), &[-0.0, 0.0], 1), [0]);
}

#[test]
fn frequencies_follow_the_softmax_at_the_temperature() {
    let (logits, n) = ([1.0f32, 0.0, -1.0, 0.5], 40_000);
    let settings = Sampling { temperature: 0.7, ..warm(11) };
    let drawn = draws(&settings, &logits, n);
    for (id, expected) in softmax(&logits, 0.7).into_iter().enumerate() {
        let share = drawn.iter().filter(|d| **d == id as u32).count() as f64 / n as f64;
        let deviation = (expected * (1.0 - expected) / n as f64).sqrt();
        assert!((share - expected).abs() < 4.0 * deviation, "token {id}: {share} for {expected}");
    }
}

#[test]
fn the_same_seed_draws_the_same_and_another_seed_does_not() {
    let logits: Vec<f32> = (0..50).map(|i| (i % 7) as f32 * 0.1).collect();
    assert_eq!(draws(&warm(3), &logits, 40), draws(&warm(3), &logits, 40));
    assert_ne!(draws(&warm(3), &logits, 40), draws(&warm(4), &logits, 40));
}

/// The worked example of the three truncations together, by hand.
#[test]
fn top_k_comes_before_top_p_and_min_p_is_relative_to_the_best() {
    let logits: Vec<f32> = [0.4f64, 0.3, 0.2, 0.1].iter().map(|p| p.ln() as f32).collect();
    let ids = |settings: Sampling| settings.distribution(&logits).iter().map(|(id, _)| *id).collect::<Vec<_>>();
    assert_eq!(ids(Sampling { top_p: 0.75, ..warm(0) }), [0, 1, 2]);
    // Of the two left by top-k the first has 4/7 of the mass: enough for 0.5, not for 0.6.
    assert_eq!(ids(Sampling { top_k: Some(2), top_p: 0.5, ..warm(0) }), [0]);
    assert_eq!(ids(Sampling { top_k: Some(2), top_p: 0.6, ..warm(0) }), [0, 1]);
    assert_eq!(ids(Sampling { min_p: 0.4, ..warm(0) }), [0, 1, 2]);
}

#[test]
fn penalties_touch_what_was_said_and_only_that() {
    let mut penalised = Sampler::new(&Sampling { repetition_penalty: 2.0, ..Sampling::default() }, &[0, 1, 9]).unwrap();
    // 3.0 / 2 = 1.5 loses to 2.0; then 2.0 / 2 = 1.0 loses to 1.5.
    assert_eq!(penalised.choose(vec![3.0, -1.0, 2.0]), Some(2));
    assert_eq!(penalised.choose(vec![3.0, -1.0, 2.0]), Some(0));
    let negative = Sampling { repetition_penalty: 2.0, ..Sampling::default() };
    assert_eq!(Sampler::new(&negative, &[0]).unwrap().choose(vec![-1.0, -1.5]), Some(1));
    let counted = Sampling { frequency_penalty: 0.4, presence_penalty: 0.3, ..Sampling::default() };
    // Token 0 falls from 1.0 to 0.3 after its first time; token 1 from 0.9 to 0.2, and so on.
    assert_eq!(draws(&counted, &[1.0, 0.9, 0.25], 4), [0, 1, 0, 2]);
}

#[test]
fn scores_that_are_no_numbers_choose_nothing() {
    for bad in [f32::NAN, f32::INFINITY] {
        assert_eq!(Sampler::new(&warm(0), &[]).unwrap().choose(vec![0.0, bad]), None);
    }
    assert_eq!(Sampler::new(&warm(0), &[]).unwrap().choose(vec![f32::NEG_INFINITY; 3]), None);
    assert_eq!(Sampler::new(&warm(0), &[]).unwrap().choose(Vec::new()), None);
}

#[test]
fn settings_out_of_range_are_named() {
    let refused = |settings: Sampling| settings.check().unwrap_err().to_string();
    assert_eq!(refused(Sampling { top_p: 0.0, ..warm(0) }), "`top_p` must be above 0 and at most 1, found: 0");
    assert_eq!(refused(Sampling { temperature: f64::NAN, ..warm(0) }), "`temperature` must be 0 or above, found: NaN");
    assert_eq!(refused(Sampling { top_k: Some(0), ..warm(0) }), "`top_k` must be at least 1, found: 0");
    assert_eq!(refused(Sampling { min_p: 1.0, ..warm(0) }), "`min_p` must be at least 0 and below 1, found: 1");
}

fn any_logits() -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(prop_oneof![9 => -12.0f32..12.0, 1 => Just(f32::NEG_INFINITY)], 2..60)
        .prop_filter("some score is a number", |logits| logits.iter().any(|l| l.is_finite()))
}

proptest! {
    #[test]
    fn probabilities_add_up_and_keep_their_proportions(
        logits in any_logits(),
        temperature in 0.05f64..3.0,
        top_k in prop::option::of(1usize..70),
        top_p in prop_oneof![Just(1.0), 0.01f64..1.0],
        min_p in prop_oneof![Just(0.0), 0.0f64..0.9],
    ) {
        let settings = Sampling { temperature, top_k, top_p, min_p, ..Sampling::default() };
        let (whole, kept) = (softmax(&logits, temperature), settings.distribution(&logits));
        prop_assert!((kept.iter().map(|(_, p)| p).sum::<f64>() - 1.0).abs() < 1e-9);
        let mass: f64 = kept.iter().map(|(id, _)| whole[*id as usize]).sum();
        for (id, p) in &kept {
            prop_assert!((p - whole[*id as usize] / mass).abs() < 1e-5, "token {}", id);
        }
        prop_assert!(top_k.is_none_or(|k| kept.len() <= k));
        let best = whole.iter().copied().fold(0.0, f64::max);
        prop_assert!(kept.iter().all(|(id, _)| whole[*id as usize] >= min_p * best * (1.0 - 1e-5)));
        // Nothing left out is likelier than anything kept.
        let least = kept.iter().map(|(id, _)| whole[*id as usize]).fold(f64::INFINITY, f64::min);
        let is_out = |id: usize| kept.iter().all(|(k, _)| *k as usize != id);
        prop_assert!((0..logits.len()).filter(|id| is_out(*id)).all(|id| whole[id] <= least));
    }

    #[test]
    fn top_p_keeps_the_smallest_set_with_its_share(logits in any_logits(), top_p in 0.01f64..0.99) {
        let whole = softmax(&logits, 1.0);
        let kept = Sampling { top_p, ..warm(0) }.distribution(&logits);
        let mass: f64 = kept.iter().map(|(id, _)| whole[*id as usize]).sum();
        let last = kept.last().map_or(0.0, |(id, _)| whole[*id as usize]);
        prop_assert!(mass >= top_p - 1e-5, "{} of {}", mass, top_p);
        prop_assert!(mass - last < top_p + 1e-5, "one fewer would do: {} of {}", mass - last, top_p);
    }

    #[test]
    fn only_tokens_with_a_probability_are_chosen(logits in any_logits(), seed: u64, top_p in 0.1f64..1.0) {
        let settings = Sampling { top_p, temperature: 1.3, seed, ..Sampling::default() };
        let possible: Vec<u32> = settings.distribution(&logits).into_iter().filter(|(_, p)| *p > 0.0).map(|(id, _)| id).collect();
        prop_assert!(draws(&settings, &logits, 20).iter().all(|id| possible.contains(id)));
    }

    #[test]
    fn a_tiny_temperature_is_greedy(logits in any_logits(), seed: u64) {
        let cold = Sampling { temperature: 1e-6, seed, ..Sampling::default() };
        let ties = logits.iter().filter(|l| **l == logits.iter().copied().fold(f32::NEG_INFINITY, f32::max)).count();
        prop_assume!(ties == 1);
        let mut sorted = logits.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        prop_assume!(sorted[0] - sorted[1] > 1e-3);
        prop_assert_eq!(draws(&cold, &logits, 5), draws(&Sampling::default(), &logits, 5));
    }
}
