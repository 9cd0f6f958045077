//! AdamW with moments that can be saved, and clipping by the norm of all gradients together.

use lorikeet_models::{AdamWStep, Backend, Gradients, Model, Parameter};

use crate::Result;

/// The constants of AdamW and of clipping.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimiserSettings {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay, on every parameter.
    pub weight_decay: f64,
    /// Largest norm of the gradient; 0 leaves it as it is.
    pub max_gradient_norm: f64,
    /// How many times as fast B, vectors and biases learn as A (Hayou et al., "LoRA+", 2024); 1 for all alike.
    pub lora_plus_ratio: f64,
}

impl OptimiserSettings {
    /// What multiplies a parameter's learning rate: PEFT's LoRA+ counts B and whatever has one dimension as fast.
    fn haste<B: Backend>(&self, p: &Parameter<B>) -> f64 {
        if p.name.contains("lora_B") || p.dims.len() == 1 { self.lora_plus_ratio } else { 1.0 }
    }
}

/// First and second moments of every parameter, and how many steps were made.
pub struct Optimiser<B: Backend> {
    settings: OptimiserSettings,
    moments: Vec<(B::Tensor, B::Tensor)>,
    step: u64,
}

/// The moments of one parameter on the host.
pub struct Moments {
    /// The parameter's name.
    pub name: String,
    /// First moment.
    pub first: Vec<f32>,
    /// Second moment.
    pub second: Vec<f32>,
}

impl<B: Backend> Optimiser<B> {
    /// Moments of zero for every parameter of `model`.
    ///
    /// # Errors
    /// Where the device has no memory for them.
    pub fn new(model: &Model<B>, settings: OptimiserSettings) -> Result<Self> {
        let zeros = |p: &Parameter<B>| {
            let (rows, cols) = model.backend().shape(&p.value);
            Ok((model.backend().zeros(rows, cols)?, model.backend().zeros(rows, cols)?))
        };
        let moments = model.parameters().iter().map(zeros).collect::<Result<_>>()?;
        Ok(Self { settings, moments, step: 0 })
    }

    /// Clips, updates every parameter, and returns the gradient's norm before clipping.
    ///
    /// # Errors
    /// Where the device refuses.
    pub fn step(&mut self, model: &mut Model<B>, grads: &Gradients<B>, learning_rate: f64) -> Result<f64> {
        let (backend, parameters) = model.parameters_mut();
        let mut squares = 0.0;
        for g in &grads.0 {
            squares += backend.sum_of_squares(g)?;
        }
        let (norm, limit) = (squares.sqrt(), self.settings.max_gradient_norm);
        // PyTorch's clip_grad_norm_ divides by the norm plus 1e-6.
        let gradient_scale = if limit > 0.0 { (limit / (norm + 1e-6)).min(1.0) } else { 1.0 };
        self.step += 1;
        let OptimiserSettings { beta1, beta2, epsilon, weight_decay, .. } = self.settings;
        for ((p, g), (m, v)) in parameters.iter_mut().zip(&grads.0).zip(&mut self.moments) {
            let learning_rate = learning_rate * self.settings.haste(p);
            let step =
                AdamWStep { learning_rate, beta1, beta2, epsilon, weight_decay, step: self.step, gradient_scale };
            backend.adamw(&mut p.value, g, (m, v), &step)?;
        }
        Ok(norm)
    }

    /// Steps made.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// First and second moment of every parameter with its name, for a checkpoint.
    pub fn moments<'o>(
        &'o self,
        model: &'o Model<B>,
    ) -> impl Iterator<Item = (&'o str, &'o B::Tensor, &'o B::Tensor)> + 'o {
        model.parameters().iter().zip(&self.moments).map(|(p, (first, second))| (p.name.as_str(), first, second))
    }

    /// Takes up the moments of a checkpoint, in the order of the parameters.
    ///
    /// # Errors
    /// Where their sizes are not those of the parameters.
    pub fn restore(&mut self, model: &Model<B>, moments: &[Moments], step: u64) -> Result<()> {
        for ((m, v), saved) in self.moments.iter_mut().zip(moments) {
            model.backend().overwrite(m, &saved.first)?;
            model.backend().overwrite(v, &saved.second)?;
        }
        self.step = step;
        Ok(())
    }
}
