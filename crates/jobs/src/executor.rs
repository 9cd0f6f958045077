//! A loaded model that answers: writes, judges, is measured. Where it is computed is not known above.

use std::path::{Path, PathBuf};

use lorikeet_data::{Prepared, Task, Tokenizer};
use lorikeet_generate::{Answer, GenerateSettings, Update, generate};
use lorikeet_models::{Backend, Model, ModelConfig, ModelFiles, Pooling, Quantise, Tokens, Trainable, WeightSource};
use lorikeet_train::{Criterion, Decoding, Judge, Measured, measure, softmax};

use crate::device::{Place, Work, compute, threads_or_all};
use crate::{Failure, codes};

/// What is loaded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// Folder of the base, or of a whole model.
    pub folder: PathBuf,
    /// Folder of a PEFT adapter.
    pub adapter: Option<PathBuf>,
    /// Labels of a classifier whose folder does not tell.
    pub n_labels: Option<usize>,
    /// The base is kept in fewer bits than its files have.
    pub quantise: Option<Quantise>,
}

/// A loaded model. With an adapter it can also answer as the base alone.
pub trait Executor: Send {
    /// Continues token ids; `sink` ends the answer by returning false.
    ///
    /// # Errors
    /// Where the prompt does not fit or the model does not write.
    fn generate(
        &mut self,
        with_adapter: bool,
        prompt: &[u32],
        settings: &GenerateSettings,
        tokenizer: &Tokenizer,
        sink: &mut dyn FnMut(Update<'_>) -> bool,
    ) -> Result<Answer, Failure>;

    /// Scores on examples, by the task, and by the criterion that preferences were learned with; `None` where `progress` (batches done, batches in all) returned false.
    ///
    /// # Errors
    /// Where an example does not fit.
    fn measure(
        &mut self,
        with_adapter: bool,
        examples: &Prepared,
        measured: (Task, Option<Criterion>),
        batch_size: usize,
        progress: &mut (dyn FnMut(u64, u64) -> bool + Send),
    ) -> Result<Option<Measured>, Failure>;

    /// Probabilities of a classifier's labels for one text.
    ///
    /// # Errors
    /// Where the text is too long.
    fn judge(&mut self, ids: &[u32], token_types: &[u32]) -> Result<Vec<f64>, Failure>;

    /// Logits, a row for each token, or for each text of a classifier.
    ///
    /// # Errors
    /// Where a text is too long.
    fn logits(&mut self, with_adapter: bool, tokens: &Tokens) -> Result<Vec<f32>, Failure>;

    /// A vector of length one for each text.
    ///
    /// # Errors
    /// Where a text is too long or has no token.
    fn embed(&mut self, with_adapter: bool, texts: &Tokens, pooling: Pooling) -> Result<Vec<Vec<f32>>, Failure>;

    /// What the model's folder says, with the number of labels in use.
    fn config(&self) -> &ModelConfig;

    /// Bytes of its weights in memory.
    fn n_parameters(&self) -> usize;
}

/// Loads a model at `place`.
///
/// # Errors
/// Where the files are missing, damaged or do not fit together.
pub fn open(source: &Source, place: Place, threads: Option<u64>) -> Result<Box<dyn Executor>, Failure> {
    compute(place, threads_or_all(threads), lorikeet_train::PrecisionChoice::F32, Opening(source))?
}

struct Opening<'a>(&'a Source);

impl Work for Opening<'_> {
    type Output = Result<Box<dyn Executor>, Failure>;

    fn on<B: Backend + Clone + 'static>(self, backend: B) -> Self::Output {
        let Source { folder, adapter, n_labels, quantise } = self.0;
        let model = match (adapter, n_labels) {
            (None, Some(n)) => open_with_labels(backend, folder, *n, *quantise)?,
            (adapter, _) => Model::open_quantised(backend, folder, adapter.as_deref(), *quantise)?,
        };
        Ok(Box::new(Loaded(model)))
    }
}

/// A classifier whose base has no head yet: the fresh one guesses, which is what a base does before training.
fn open_with_labels<B: Backend>(
    backend: B,
    folder: &Path,
    n_labels: usize,
    quantise: Option<Quantise>,
) -> Result<Model<B>, Failure> {
    let config = ModelConfig::read(folder, Some(n_labels))?;
    let files = WeightSource::Files(ModelFiles::open(folder)?.quantised(quantise));
    Ok(Model::build(backend, config, &files, &Trainable::Nothing, 0)?)
}

struct Loaded<B: Backend>(Model<B>);

impl<B: Backend> Executor for Loaded<B> {
    fn generate(
        &mut self,
        with_adapter: bool,
        prompt: &[u32],
        settings: &GenerateSettings,
        tokenizer: &Tokenizer,
        sink: &mut dyn FnMut(Update<'_>) -> bool,
    ) -> Result<Answer, Failure> {
        self.0.set_adapters(with_adapter);
        Ok(generate(&self.0, prompt, settings, Decoding(tokenizer.stream(true)), sink)?)
    }

    fn measure(
        &mut self,
        with_adapter: bool,
        examples: &Prepared,
        (task, criterion): (Task, Option<Criterion>),
        batch_size: usize,
        progress: &mut (dyn FnMut(u64, u64) -> bool + Send),
    ) -> Result<Option<Measured>, Failure> {
        self.0.set_adapters(with_adapter);
        let model = &self.0;
        let judge = if task == Task::Causal { Judge::of_result(criterion, examples) } else { None };
        let measured = (task, judge.as_ref());
        model.backend().run(|| measure(model, examples, measured, batch_size, progress).map_err(Failure::from))
    }

    fn judge(&mut self, ids: &[u32], token_types: &[u32]) -> Result<Vec<f64>, Failure> {
        if self.0.config().task() != lorikeet_models::Task::Classify {
            let family = &self.0.config().model_type;
            let message = format!("a `{family}` model writes texts and has no labels");
            return Err(Failure::new(codes::MISMATCH, message).with_hint("use it with `generate`"));
        }
        self.0.set_adapters(true);
        let mut tokens = Tokens::from_sequences(&[ids]);
        tokens.token_types = token_types.to_vec();
        let model = &self.0;
        let logits = model.backend().run(|| model.logits(&tokens))?;
        let numbers = model.backend().download(&logits).map_err(Failure::from)?;
        Ok(softmax(&numbers))
    }

    fn logits(&mut self, with_adapter: bool, tokens: &Tokens) -> Result<Vec<f32>, Failure> {
        self.0.set_adapters(with_adapter);
        let model = &self.0;
        let logits = model.backend().run(|| model.logits(tokens))?;
        model.backend().download(&logits).map_err(Failure::from)
    }

    fn embed(&mut self, with_adapter: bool, texts: &Tokens, pooling: Pooling) -> Result<Vec<Vec<f32>>, Failure> {
        self.0.set_adapters(with_adapter);
        let model = &self.0;
        Ok(model.backend().run(|| model.embeddings(texts, pooling))?)
    }

    fn config(&self) -> &ModelConfig {
        self.0.config()
    }

    fn n_parameters(&self) -> usize {
        self.0.n_parameters()
    }
}
