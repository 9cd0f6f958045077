//! What a run will hold in memory, found before it starts: the model's own forward, backward and optimiser run over sizes
//! alone ([`Tally`]), with the run's adapters, its longest batch and what it computes again. So the estimate follows the code,
//! whatever family, adapter or setting, and a budget can be met by computing just as many blocks again as it takes.

mod ways;

use std::path::Path;

use lorikeet_data::Batch;
use lorikeet_models::{
    Gradients, Model, ModelConfig, ModelFiles, Objective, Recompute, Spans, Tally, Tokens, Trainable, WeightSource,
};

use crate::{Method, Optimiser, PrecisionChoice, RecomputeChoice, Result, Settings};

/// What a run holds besides what is counted: code touched for the first time, stacks of threads, the tokenizer. Measured: 17 to
/// 22 MB over models of 12 to 135 million parameters with vocabularies of 8,192 to 49,152 tokens.
const REST_BYTES: u64 = 18_000_000;

/// The sequences that are computed together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchSize {
    /// Tokens of each sequence.
    pub sequences: Vec<usize>,
    /// Tokens with a loss, of all sequences together.
    pub n_supervised: usize,
}

impl BatchSize {
    /// Of a batch that is there.
    pub fn of(batch: &Batch) -> Self {
        let sequences = batch.starts.windows(2).map(|ends| ends[1] - ends[0]).collect();
        Self { sequences, n_supervised: batch.n_supervised }
    }

    /// The first `n` sequences, each of at most so many tokens.
    pub fn cut(&self, n: usize, tokens: usize) -> Self {
        let sequences: Vec<usize> = self.sequences.iter().take(n).map(|length| (*length).min(tokens)).collect();
        let share = sequences.iter().sum::<usize>() as f64 / self.sequences.iter().sum::<usize>().max(1) as f64;
        Self { sequences, n_supervised: (self.n_supervised as f64 * share).ceil() as usize }
    }
}

/// Bytes that a run holds at its most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// The base, as it is kept, and what every run holds.
    pub base_bytes: u64,
    /// What is trained: values, gradients, both moments.
    pub trained_bytes: u64,
    /// The longest batch.
    pub batch_bytes: u64,
}

pub use ways::{Needs, Way};

impl Footprint {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.base_bytes + self.trained_bytes + self.batch_bytes
    }
}

/// A model whose runs are weighed: it has sizes and no numbers.
pub struct Scale {
    tally: Tally,
    model: Model<Tally>,
    grads: Gradients<Tally>,
    /// Held for its size.
    _optimiser: Optimiser<Tally>,
    base_bytes: u64,
    trained_bytes: u64,
    n_blocks: usize,
}

impl Scale {
    /// The model in `folder` with what `settings` train in it; `labels` is the number of classes, when classifying.
    ///
    /// # Errors
    /// Where the model cannot be put together as the settings ask.
    pub fn new(folder: &Path, settings: &Settings, method: Method, labels: Option<usize>) -> Result<Self> {
        let config = ModelConfig::read(folder, labels)?;
        let trainable = settings.trainable(method, &config);
        let files = ModelFiles::open(folder)?;
        let base_bytes = match (&trainable, settings.quantize.wanted()) {
            (Trainable::Everything, _) => 0,
            (_, Some(quantise)) => quantise.n_bytes(files.n_parameters() as u64, files.n_bytes() as u64),
            (_, None) => files.n_bytes() as u64,
        };
        let base_bytes = base_bytes + REST_BYTES;
        let n_blocks = config.n_blocks();
        let tally = Tally::default();
        let is_narrow = settings.precision == PrecisionChoice::Bf16;
        let tally = if is_narrow { tally.with_bf16() } else { tally };
        let model = Model::build(tally.clone(), config, &WeightSource::Files(files), &trainable, settings.seed)?;
        let grads = model.gradients()?;
        let optimiser = Optimiser::new(&model, settings.optimiser())?;
        let trained_bytes = tally.used_bytes() as u64;
        Ok(Self { tally, model, grads, _optimiser: optimiser, base_bytes, trained_bytes, n_blocks })
    }

    /// Numbers that training changes.
    pub fn n_trainable(&self) -> usize {
        self.model.n_trainable()
    }

    /// What a run holds whose longest batch is this.
    ///
    /// # Errors
    /// Where the model does not take such a batch.
    pub fn weigh(&mut self, batch: &BatchSize, recompute: Recompute) -> Result<Footprint> {
        let (tokens, targets) = self.stand_in(batch);
        self.tally.forget();
        let objective = Objective::default();
        self.model.loss_and_gradients(&tokens, &targets, (&objective, 0.0), recompute, &mut self.grads)?;
        let held = self.tally.held_bytes() as u64;
        let (base_bytes, trained_bytes) = (self.base_bytes, self.trained_bytes);
        Ok(Footprint { base_bytes, trained_bytes, batch_bytes: held.saturating_sub(trained_bytes) })
    }

    /// Whatever has these sizes.
    fn stand_in(&self, batch: &BatchSize) -> (Tokens, Vec<u32>) {
        let longest = self.model.config().max_positions();
        let lengths = || batch.sequences.iter().map(|n| (*n).min(longest));
        let starts = lengths().scan(0, |end, n| {
            *end += n;
            Some(*end)
        });
        let starts: Vec<usize> = std::iter::once(0).chain(starts).collect();
        let positions: Vec<u32> = lengths().flat_map(|n| 0..n as u32).collect();
        let n = positions.len();
        let targets = match self.model.config().labels {
            Some(_) => vec![0; batch.sequences.len()],
            None => (0..n).map(|i| if i < batch.n_supervised { 0 } else { u32::MAX }).collect(),
        };
        let tokens = Tokens { ids: vec![0; n], positions, token_types: vec![0; n], spans: Spans::from_starts(&starts) };
        (tokens, targets)
    }

    /// How much is computed again: what the choice says, or by itself just enough for `budget` bytes; nothing where the
    /// budget is not known.
    ///
    /// # Errors
    /// As [`Scale::weigh`].
    pub fn choose(&mut self, batch: &BatchSize, choice: RecomputeChoice, budget: Option<u64>) -> Result<Recompute> {
        match (choice, budget) {
            (RecomputeChoice::On, _) => return Ok(Recompute::EveryBlock),
            (RecomputeChoice::Off, _) | (RecomputeChoice::Auto, None) => return Ok(Recompute::Never),
            (RecomputeChoice::Auto, Some(budget)) if self.weigh(batch, Recompute::Never)?.total() <= budget => {
                return Ok(Recompute::Never);
            }
            _ => {}
        }
        let budget = budget.unwrap_or(u64::MAX);
        let (mut least, mut most) = (1, self.n_blocks);
        while least < most {
            let middle = usize::midpoint(least, most);
            if self.weigh(batch, Recompute::Lowest(middle))?.total() <= budget {
                most = middle;
            } else {
                least = middle + 1;
            }
        }
        Ok(if least >= self.n_blocks { Recompute::EveryBlock } else { Recompute::Lowest(least) })
    }
}
