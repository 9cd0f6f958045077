//! In full-parameter mode every parameter of every family receives a gradient, and it is the slope of the loss.

use lorikeet_models::{
    Backend, Composed, Fused, Gradients, Model, Objective, Recompute, Tokens, Trainable, random::Stream,
};

use crate::zoo;

const PROBES: u64 = 3;
const TOLERANCE: f64 = 2e-2;

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
    let loss = model.loss(tokens, targets).unwrap().sum;
    let (backend, parameters) = model.parameters_mut();
    backend.overwrite(&mut parameters[i].value, &before).unwrap();
    loss
}

/// The slope by central differences at two widths, extrapolated (Richardson): the error is of the fourth order, so that the
/// step can be wide enough for 32-bit losses.
fn slope<B: Backend>(model: &mut Model<B>, batch: &(Tokens, Vec<u32>), at: (usize, usize)) -> f64 {
    let mut central = |h: f32| (moved(model, batch, at, h) - moved(model, batch, at, -h)) / (2.0 * f64::from(h));
    (4.0 * central(0.01) - central(0.02)) / 3.0
}

/// Softmax does not notice a number that is added to all its scores. Without rotary positions a bias on the keys is one.
fn is_flat(name: &str) -> bool {
    ["self.key.bias", "attention.key.bias", "k_lin.bias"].iter().any(|end| name.ends_with(end))
}

fn every_parameter_receives_its_slope<B: Backend + Clone>(backend: &B) {
    for (family, config) in zoo::configurations() {
        let folder = tempfile::tempdir().unwrap();
        let mut model = zoo::model(backend.clone(), folder.path(), &config, &Trainable::Everything);
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
            assert!(size > 1e-4, "{family}: `{name}` receives no gradient: {size}");
            for probe in 0..PROBES {
                let at = (Stream::new(probe, i as u64).uniform(0) * grad.len() as f32) as usize;
                let (numeric, ours) = (slope(&mut model, &batch, (i, at)), f64::from(grad[at]));
                let off = (numeric - ours).abs() / ours.abs().max(size);
                assert!(off < TOLERANCE, "{family}: `{name}`[{at}] has slope {numeric:.5}, gradient {ours:.5}");
            }
        }
    }
}

#[test]
fn every_parameter_receives_its_slope_on_the_fused_back_end() {
    every_parameter_receives_its_slope(&Fused::new(1).unwrap());
}

#[test]
fn every_parameter_receives_its_slope_on_the_composed_back_end() {
    every_parameter_receives_its_slope(&Composed::cpu());
}
