//! The learning rate of each step: a linear warm-up, then constant, linear or cosine decay to zero. The formulas are those
//! of transformers' `get_*_schedule_with_warmup`.

/// The shape after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decay {
    /// Stays at the peak.
    Constant,
    /// Falls on a straight line to zero.
    Linear,
    /// Falls on half a cosine to zero.
    Cosine,
}

/// A learning rate over steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Highest rate.
    pub peak: f64,
    /// Steps that rise from zero.
    pub warmup_steps: u64,
    /// Steps in all.
    pub n_steps: u64,
    /// What follows the warm-up.
    pub decay: Decay,
}

impl Schedule {
    /// The rate of the step after `done` finished ones.
    pub fn rate(&self, done: u64) -> f64 {
        if done < self.warmup_steps {
            return self.peak * done as f64 / self.warmup_steps.max(1) as f64;
        }
        let left = self.n_steps.saturating_sub(done) as f64;
        let span = self.n_steps.saturating_sub(self.warmup_steps).max(1) as f64;
        self.peak
            * match self.decay {
                Decay::Constant => 1.0,
                Decay::Linear => left / span,
                Decay::Cosine => (0.5 * (1.0 + (std::f64::consts::PI * (1.0 - left / span)).cos())).max(0.0),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_rises_in_the_warm_up_and_ends_where_it_should() {
        let at = |decay, done| Schedule { peak: 1.0, warmup_steps: 4, n_steps: 20, decay }.rate(done);
        for decay in [Decay::Constant, Decay::Linear, Decay::Cosine] {
            assert_eq!((at(decay, 0), at(decay, 2), at(decay, 4)), (0.0, 0.5, 1.0));
        }
        assert_eq!(at(Decay::Constant, 20), 1.0);
        assert_eq!((at(Decay::Linear, 12), at(Decay::Linear, 20)), (0.5, 0.0));
        assert!((at(Decay::Cosine, 12) - 0.5).abs() < 1e-12 && at(Decay::Cosine, 20).abs() < 1e-12);
    }
}
