//! In full-parameter mode every parameter of every family receives a gradient, and it is the slope of the loss.

use lorikeet_models::{
    Backend, Composed, Fused, Gradients, LoraSpec, Model, Noise, Objective, Recompute, Targets, Tokens, Trainable,
    random::Stream,
};

use crate::zoo;

/// Numbers of each parameter that are moved. The composed back end is slow on tiny tensors, and held against the fused one
/// elsewhere.
const PROBES: u64 = 3;
const COMPOSED_PROBES: u64 = 1;
const TOLERANCE: f64 = 2e-2;
/// Slopes below this are lost in the noise of 32-bit losses.
const FLOOR: f64 = 1e-2;

fn gradients<B: Backend>(
    model: &Model<B>,
    (tokens, targets): &(Tokens, Vec<u32>),
    recompute: Recompute,
) -> Vec<Vec<f32>> {
    let mut grads: Gradients<B> = model.gradients().unwrap();
    model.loss_and_gradients(tokens, targets, (&Objective::default(), 1.0), recompute, &mut grads).unwrap();
    grads.0.iter().map(|g| model.backend().download(g).unwrap()).collect()
}

/// The loss with one number of one parameter moved by `step`.
fn moved<B: Backend>(
    model: &mut Model<B>,
    (tokens, targets): &(Tokens, Vec<u32>),
    (i, n): (usize, usize),
    step: f32,
) -> f64 {
    let (backend, parameters) = model.parameters_mut();
    let before = backend.download(&parameters[i].value).unwrap();
    let mut after = before.clone();
    after[n] += step;
    backend.overwrite(&mut parameters[i].value, &after).unwrap();
    // The loss as training sees it, with its noise; the gradients of zero times it go nowhere.
    let mut nowhere = model.gradients().unwrap();
    let loss = model
        .loss_and_gradients(tokens, targets, (&Objective::default(), 0.0), Recompute::Never, &mut nowhere)
        .unwrap()
        .sum;
    let (backend, parameters) = model.parameters_mut();
    backend.overwrite(&mut parameters[i].value, &before).unwrap();
    loss
}

/// The slope by central differences at two widths, extrapolated (Richardson): the error is of the fourth order, so that the
/// step can be wide enough for 32-bit losses.
fn slope<B: Backend>(model: &mut Model<B>, batch: &(Tokens, Vec<u32>), at: (usize, usize), width: f32) -> f64 {
    let mut central = |h: f32| (moved(model, batch, at, h) - moved(model, batch, at, -h)) / (2.0 * f64::from(h));
    (4.0 * central(width) - central(2.0 * width)) / 3.0
}

/// Widths of a step: a wide one crosses the kink of a `Relu` now and then, and is too wide for layers that are shared.
const WIDTHS: [f32; 3] = [0.01, 0.002, 0.0005];

/// Softmax does not notice a number that is added to all its scores. Without rotary positions a bias on the keys is one.
fn is_flat(name: &str) -> bool {
    ["self.key.bias", "attention.key.bias", "k_lin.bias"].iter().any(|end| name.ends_with(end))
}

fn every_parameter_receives_its_slope<B: Backend + Clone>(
    backend: &B,
    n_probes: u64,
    trainable: &Trainable,
    noise: Option<Noise>,
) {
    for (family, config) in zoo::configurations() {
        let folder = tempfile::tempdir().unwrap();
        let mut model = zoo::model(backend.clone(), folder.path(), &config, trainable);
        model.set_noise(noise);
        let batch = zoo::batch(&model);
        let analytic = gradients(&model, &batch, Recompute::Never);
        assert_eq!(
            analytic,
            gradients(&model, &batch, Recompute::EveryBlock),
            "{family}: recompute changes the gradients"
        );
        for (i, grad) in analytic.iter().enumerate() {
            let name = model.parameters()[i].name.clone();
            let size = grad.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>() / grad.len() as f64;
            let size = size.sqrt();
            if is_flat(&name) {
                assert!(size < 1e-5, "{family}: the loss should not depend on `{name}`: {size}");
                continue;
            }
            let least = if matches!(trainable, Trainable::Lora(_)) { 1e-6 } else { 1e-4 };
            assert!(size > least, "{family}: `{name}` receives no gradient: {size}");
            if is_not_a_slope(&name, trainable) {
                continue;
            }
            for probe in 0..n_probes {
                let at = (Stream::new(probe, i as u64).uniform(0) * grad.len() as f32) as usize;
                let ours = f64::from(grad[at]);
                let slopes = WIDTHS.iter().map(|width| slope(&mut model, &batch, (i, at), *width));
                let off = |numeric: &f64| (numeric - ours).abs() / ours.abs().max(size).max(FLOOR);
                let missed: Vec<f64> = slopes.take_while(|numeric| off(numeric) >= TOLERANCE).collect();
                let is_slope = missed.len() < WIDTHS.len();
                assert!(is_slope, "{family}: `{name}`[{at}] has slopes {missed:.5?}, gradient {ours:.5}");
            }
        }
    }
}

/// DoRA's length of a weight is a constant in the gradient of A and B (PEFT's recorded ones are compared elsewhere).
fn is_not_a_slope(name: &str, trainable: &Trainable) -> bool {
    matches!(trainable, Trainable::Lora(spec) if spec.dora) && !name.ends_with("lora_magnitude_vector")
}

const NOISE: Option<Noise> = Some(Noise { seed: 3, batch: 17, dropout: 0.3, embedding: 2.0 });

/// Adapters on everything: plain with noise, with other ranks, and with learned lengths.
fn adapters() -> [(Trainable, Option<Noise>); 3] {
    let plain = LoraSpec::new(2, 4.0, Targets::AllLinear, 3);
    let rank_pattern = vec![("[qkv]_.*".to_owned(), 3)];
    let patterns = LoraSpec { rank_pattern, rank_stabilised: true, ..plain.clone() };
    let dora = LoraSpec { dora: true, ..plain.clone() };
    [(Trainable::Lora(plain), NOISE), (Trainable::Lora(patterns), None), (Trainable::Lora(dora), NOISE)]
}

#[test]
fn every_parameter_receives_its_slope_on_the_fused_back_end() {
    every_parameter_receives_its_slope(&Fused::new(1).unwrap(), PROBES, &Trainable::Everything, None);
}

#[test]
fn every_parameter_receives_its_slope_on_the_composed_back_end() {
    every_parameter_receives_its_slope(&Composed::cpu(), COMPOSED_PROBES, &Trainable::Everything, None);
}

#[test]
fn every_adapter_receives_its_slope_on_the_fused_back_end() {
    for (trainable, noise) in adapters() {
        every_parameter_receives_its_slope(&Fused::new(1).unwrap(), PROBES, &trainable, noise);
    }
}

#[test]
fn every_adapter_receives_its_slope_on_the_composed_back_end() {
    let [_, _, (dora, noise)] = adapters();
    every_parameter_receives_its_slope(&Composed::cpu(), COMPOSED_PROBES, &dora, noise);
}

#[test]
fn noise_is_the_same_everywhere_and_absent_from_evaluation() {
    fn losses<B: Backend>(backend: B) -> [f64; 4] {
        let (folder, spec) = (tempfile::tempdir().unwrap(), LoraSpec::new(2, 4.0, Targets::AllLinear, 3));
        let config = zoo::configuration("qwen3");
        let mut model = zoo::model(backend, folder.path(), &config, &Trainable::Lora(spec));
        let (tokens, targets) = zoo::batch(&model);
        let mut training = |noise| {
            model.set_noise(noise);
            let mut grads = model.gradients().unwrap();
            model
                .loss_and_gradients(&tokens, &targets, (&Objective::default(), 1.0), Recompute::Never, &mut grads)
                .unwrap()
                .sum
        };
        let next = NOISE.map(|noise| Noise { batch: noise.batch + 1, ..noise });
        let [plain, first, second] = [None, NOISE, next].map(&mut training);
        [plain, first, second, model.loss(&tokens, &targets).unwrap().sum]
    }
    let (one, two, composed) = (Fused::new(1).unwrap(), Fused::new(2).unwrap(), losses(Composed::cpu()));
    let fused = losses(one);
    assert_eq!(fused, losses(two), "threads change the noise");
    assert_eq!(fused[0], fused[3], "evaluation hears noise");
    assert!(fused[0] != fused[1] && fused[1] != fused[2], "{fused:?}");
    for (a, b) in fused.iter().zip(composed) {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
}
