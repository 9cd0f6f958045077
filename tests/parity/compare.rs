//! One fixture through one back end: forward, gradients, merging, training, generation, files.

use lorikeet_models::{
    Backend, Gradients, LossSum, Model, ModelConfig, ModelError, ModelFiles, Objective, Recompute, Trainable,
    WeightSource,
};
use lorikeet_tests::fixture::{Batch, Fixture};
use lorikeet_train::{Decay, Optimiser, OptimiserSettings, Schedule, Settings, TrainError};
use serde_json::{Value, json};

use crate::differences::Differences;

pub const LOGITS: f64 = 1e-4;
pub const LOSS: f64 = 1e-5;
pub const GRADIENT: f64 = 1e-5;
pub const CURVE: f64 = 1e-4;
const TRAINED: f64 = 1e-3;
/// Norms of late steps carry the noise of the weights, as the trained logits do.
pub const NORM: f64 = 1e-3;
pub const RATE: f64 = 1e-12;

/// Entries of `fixture.json` that describe plain training on the mean loss; any other names a method of its own.
const PLAIN: [&str; 18] = [
    "about",
    "formula",
    "architecture",
    "model",
    "seed",
    "versions",
    "lora",
    "losses",
    "training",
    "float32_noise",
    "greedy_smallest_margin",
    "prompt_lengths",
    "sequence_lengths",
    "num_items_in_batch",
    "loraplus",
    "beta",
    "reward_margin",
    "reward_accuracy",
];

/// What became of a fixture.
pub enum Outcome {
    Compared(Differences),
    /// The product says that it does not have this yet.
    NotBuilt(String),
}

/// Entries whose settings this test applies: all of the objective.
const APPLIED: [&str; 3] = ["label_smoothing", "focal", "class_weights"];

/// The method that the fixture was trained with, where it is not the mean loss over the tokens and this test does not apply
/// it, and what the product says to it.
pub fn method(fixture: &Fixture) -> Option<(&str, Result<(), TrainError>)> {
    let mut entries = fixture.facts.as_object()?.iter();
    let (name, value) = entries.find(|(key, _)| !PLAIN.contains(&key.as_str()) && !APPLIED.contains(&key.as_str()))?;
    Some((name, Settings::default().set(name, value)))
}

/// What the fixture's training made small, through the product's own settings.
fn objective(fixture: &Fixture) -> Objective {
    let mut settings = Settings::default();
    let mut set = |name: &str, value: &Value| settings.set(name, value).unwrap();
    for name in ["label_smoothing", "class_weights"] {
        if let Some(value) = fixture.facts.get(name) {
            set(name, value);
        }
    }
    if let Some(focal) = fixture.facts.get("focal") {
        set("loss", &json!("focal"));
        set("focal_alpha", &focal["alpha"]);
        set("focal_gamma", &focal["gamma"]);
    }
    let n_labels = fixture.facts.get("class_weights").and_then(Value::as_array).map_or(0, Vec::len);
    settings.objective(&vec![1; n_labels]).unwrap()
}

/// Everything that was recorded, through the back ends that `make` makes.
pub fn compare<B: Backend>(fixture: &Fixture, label: &str, make: impl Fn() -> B) -> Outcome {
    let mut found = Differences::new(format!("{} ({label})", fixture.name));
    if fixture.number("/losses/dpo").is_some() {
        crate::dpo::compare(fixture, make, &mut found);
        return Outcome::Compared(found);
    }
    let run = Run { fixture, make, batches: fixture.batches(), objective: objective(fixture) };
    match run.everything(&mut found) {
        Ok(()) => {}
        Err(e @ (ModelError::UnknownFamily { .. } | ModelError::AdapterFeature { .. })) => {
            return Outcome::NotBuilt(e.to_string());
        }
        Err(e) => found.fault(e.to_string()),
    }
    match method(fixture) {
        Some((name, Ok(()))) => found.fault(format!("`{name}` is a setting now, and this test does not apply it")),
        Some((_, Err(e))) if found.is_empty() => return Outcome::NotBuilt(e.to_string()),
        _ => {}
    }
    Outcome::Compared(found)
}

struct Run<'a, F> {
    fixture: &'a Fixture,
    make: F,
    batches: Vec<Batch>,
    objective: Objective,
}

type Checked = Result<(), ModelError>;

impl<B: Backend, F: Fn() -> B> Run<'_, F> {
    fn everything(&self, found: &mut Differences) -> Checked {
        let mut base = Model::open((self.make)(), &self.fixture.model_folder())?;
        let mut lora = self.adapted("adapter")?;
        self.logits(found, "base.logits", LOGITS, &base)?;
        self.logits(found, "lora.logits", LOGITS, &lora)?;
        self.legacy_configuration(found, &base)?;
        self.merged(found)?;
        self.greedy(found, "greedy.base", &mut base)?;
        self.greedy(found, "greedy.lora", &mut lora)?;
        if self.fixture.adapter_folder("adapter_trained").is_some() {
            self.logits(found, "trained.logits(read)", TRAINED, &self.adapted("adapter_trained")?)?;
        }
        if method(self.fixture).is_none() {
            self.losses(found, &base, "base")?;
            self.losses(found, &lora, "lora")?;
            self.gradients(found, &lora)?;
            self.training(found, lora)?;
        }
        Ok(())
    }

    fn adapted(&self, name: &str) -> Result<Model<B>, ModelError> {
        Model::open_with_adapter((self.make)(), &self.fixture.model_folder(), &self.fixture.folder.join(name))
    }

    /// Compares logits at every token (or sequence) that is not padding.
    fn logits(&self, found: &mut Differences, name: &str, tolerance: f64, model: &Model<B>) -> Checked {
        let recorded = name.trim_end_matches("(read)");
        let (Some(theirs), [batch]) = (self.fixture.tensors.get(recorded), self.batches.as_slice()) else {
            return Ok(());
        };
        let ours = model.backend().download(&model.logits(&batch.tokens)?)?;
        let width = *theirs.dims.last().unwrap();
        let rows: Vec<usize> =
            if theirs.dims.len() == 2 { (0..theirs.dims[0]).collect() } else { batch.places.clone() };
        let theirs: Vec<f32> = rows.iter().flat_map(|r| &theirs.floats[r * width..(r + 1) * width]).copied().collect();
        found.lists(name, tolerance, &ours, &theirs);
        Ok(())
    }

    /// transformers 4's field names describe the same model.
    fn legacy_configuration(&self, found: &mut Differences, base: &Model<B>) -> Checked {
        let folder = self.fixture.model_folder();
        let config = ModelConfig::read_file(&folder.join("config_legacy.json"), &folder, None)?;
        found.check(config.architecture == base.config().architecture, || {
            format!(
                "config_legacy.json reads as {:?}, config.json as {:?}",
                config.architecture,
                base.config().architecture
            )
        });
        let source = WeightSource::Files(ModelFiles::open(&folder)?);
        let model = Model::build((self.make)(), config, &source, &Trainable::Nothing, 0)?;
        self.logits(found, "base.logits", LOGITS, &model)
    }

    fn merged(&self, found: &mut Differences) -> Checked {
        let mut model = self.adapted("adapter")?;
        model.merge()?;
        self.logits(found, "merged.logits", LOGITS, &model)?;
        if method(self.fixture).is_none() { self.losses(found, &model, "merged") } else { Ok(()) }
    }

    /// The sum over all batches, divided last.
    fn loss(&self, model: &Model<B>) -> Result<f64, ModelError> {
        let mut sum = LossSum::default();
        for batch in &self.batches {
            sum = sum.plus(model.objective(&batch.tokens, &batch.targets, &self.objective)?);
        }
        Ok(sum.mean())
    }

    fn losses(&self, found: &mut Differences, model: &Model<B>, which: &str) -> Checked {
        if let Some(theirs) = self.fixture.number(&format!("/losses/{which}")) {
            found.number("loss", LOSS, self.loss(model)?, theirs);
        }
        Ok(())
    }

    fn accumulate(&self, model: &Model<B>, grads: &mut Gradients<B>, recompute: Recompute) -> Result<f64, ModelError> {
        let weight: f64 = self.batches.iter().map(|b| LossSum::weight_of(&b.targets, &self.objective)).sum();
        let scaled = (&self.objective, 1.0 / weight as f32);
        let mut sum = LossSum::default();
        for batch in &self.batches {
            sum = sum.plus(model.loss_and_gradients(&batch.tokens, &batch.targets, scaled, recompute, grads)?);
        }
        Ok(sum.mean())
    }

    fn gradients(&self, found: &mut Differences, model: &Model<B>) -> Checked {
        for recompute in [Recompute::Never, Recompute::EveryBlock] {
            let mut grads = model.gradients()?;
            let loss = self.accumulate(model, &mut grads, recompute)?;
            found.number("loss", LOSS, loss, self.fixture.number("/losses/lora").unwrap_or(f64::NAN));
            let mut theirs = self.fixture.gradients();
            for (p, g) in model.parameters().iter().zip(&grads.0) {
                let ours = model.backend().download(g)?;
                found.check(ours.iter().any(|v| *v != 0.0), || format!("`{}` receives no gradient", p.name));
                match theirs.remove(p.name.as_str()) {
                    Some(t) => {
                        found.check(t.dims == p.dims, || format!("`{}` is {:?}, not {:?}", p.name, p.dims, t.dims));
                        found.lists("gradients", GRADIENT, &ours, &t.floats);
                    }
                    None => found.fault(format!("no gradient was recorded for `{}`", p.name)),
                }
            }
            found.check(theirs.is_empty(), || format!("not trained here: {:?}", theirs.keys()));
        }
        Ok(())
    }

    fn training(&self, found: &mut Differences, mut model: Model<B>) -> Checked {
        let Some(theirs) = self.fixture.numbers("/training/losses") else { return Ok(()) };
        let (n_steps, schedule, settings) = self.settings(theirs.len() - 1);
        let mut optimiser = Optimiser::new(&model, settings).unwrap();
        let mut grads = model.gradients()?;
        let (mut losses, mut rates, mut norms) = (Vec::new(), Vec::new(), Vec::new());
        for step in 0..n_steps {
            grads.clear(model.backend())?;
            losses.push(self.accumulate(&model, &mut grads, Recompute::Never)?);
            rates.push(schedule.rate(step));
            norms.push(optimiser.step(&mut model, &grads, schedule.rate(step)).unwrap());
        }
        losses.push(self.loss(&model)?);
        found.lists("curve", CURVE, &losses, &theirs);
        found.lists("rates", RATE, &rates, &self.rates());
        let recorded = self.fixture.numbers("/training/gradient_norms_before_clipping").unwrap_or_default();
        found.lists("norms", NORM, &norms, &recorded);
        self.logits(found, "trained.logits", TRAINED, &model)
    }

    /// The recorded learning rate of each step; that of A where A and B learn at different ones.
    fn rates(&self) -> Vec<f64> {
        let recorded = self.fixture.facts.pointer("/training/learning_rates").and_then(|v| v.as_array());
        recorded.into_iter().flatten().filter_map(|v| v.as_f64().or_else(|| v.get(0)?.as_f64())).collect()
    }

    /// The recorded hyper-parameters; variants that leave them out use those of the main fixtures.
    fn settings(&self, n_steps: usize) -> (u64, Schedule, OptimiserSettings) {
        let or = |key: &str, usual: f64| self.fixture.number(&format!("/training/{key}")).unwrap_or(usual);
        let schedule = Schedule {
            peak: self.fixture.number("/loraplus/lr_A").unwrap_or(or("lr", 1e-2)),
            warmup_steps: or("warmup_steps", 4.0) as u64,
            n_steps: n_steps as u64,
            decay: Decay::Cosine,
        };
        let settings = OptimiserSettings {
            beta1: or("betas/0", 0.9),
            beta2: or("betas/1", 0.999),
            epsilon: or("eps", 1e-8),
            weight_decay: or("weight_decay", 0.01),
            max_gradient_norm: or("grad_clip_norm", 1.0),
            lora_plus_ratio: self.fixture.number("/loraplus/ratio").unwrap_or(1.0),
        };
        (n_steps as u64, schedule, settings)
    }

    /// The most probable continuation, a token at a time with the key/value cache.
    fn greedy(&self, found: &mut Differences, name: &str, model: &mut Model<B>) -> Checked {
        let (Some(theirs), Some(prompt)) = (self.fixture.tensors.get(name), self.fixture.tensors.get("greedy.prompt"))
        else {
            return Ok(());
        };
        let mut cache = model.cache(prompt.integers.len() + theirs.integers.len())?;
        let mut next: Vec<u32> = prompt.integers.iter().map(|i| *i as u32).collect();
        let mut ours = Vec::new();
        for _ in 0..theirs.integers.len() {
            let logits = model.next_logits(&next, &mut cache)?;
            let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
            ours.push(best as f64);
            next = vec![best as u32];
        }
        let theirs: Vec<f64> = theirs.integers.iter().map(|i| *i as f64).collect();
        found.lists("greedy", 0.0, &ours, &theirs);
        Ok(())
    }
}
