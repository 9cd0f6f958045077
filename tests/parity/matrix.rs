//! Every family with every method: its gradient is held against the loss itself, by moving along it. With what is compared
//! with recorded numbers this makes the table in `docs/families.md`; with `LORIKEET_FAMILIES=write` the test writes it.

use std::{fmt::Write as _, fs, path::Path};

use lorikeet_models::{
    Backend, Fused, LoraSpec, LossSum, Model, ModelConfig, ModelFiles, Noise, Objective, Quantise, Recompute, RowLoss,
    Targets, Task, Tokens, Trainable, WeightSource,
};
use lorikeet_tests::shared_data;
use lorikeet_train::{Criterion, Goal};

use crate::{families::is_required, labels, recorded};

/// Families as a person knows them, and the fixture that is one of them, or else the model in `recorded`.
const FAMILIES: [(&str, &str); 16] = [
    ("Llama", "llama-untied"),
    ("Llama 3.x", "llama-tied"),
    ("SmolLM2", "smollm2"),
    ("Qwen2, Qwen2.5", "qwen2"),
    ("Qwen3", "qwen3"),
    ("Phi-3, Phi-4", "phi3"),
    ("Gemma 2", "gemma2"),
    ("Gemma 3", "gemma3"),
    ("GPT-2", "gpt2"),
    ("BERT", "bert"),
    ("DistilBERT", "distilbert"),
    ("RoBERTa", "roberta"),
    ("ALBERT", "albert"),
    ("Mistral", "mistral-window"),
    ("SmolLM3", "smollm3"),
    ("Gemma", "gemma"),
];

/// A way to train, as a column of the table.
struct Method {
    name: &'static str,
    trainable: fn(LoraSpec) -> Trainable,
    noise: Option<Noise>,
    objective: fn() -> Objective,
    /// What is to be learned.
    lesson: Lesson,
    /// What the base's matrices are kept in.
    quantise: Option<Quantise>,
    /// Fixtures in which transformers and PEFT recorded this method.
    recorded: &'static [&'static str],
    /// Whether it was recorded with a family besides.
    also: fn(&str) -> bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Lesson {
    /// The next token, or the label of a family that gives labels.
    Usual,
    /// Labels.
    Labels,
    /// Which of two answers is better.
    Preference,
}

const PLAIN: Method = Method {
    name: "LoRA",
    trainable: Trainable::Lora,
    noise: None,
    objective: Objective::default,
    lesson: Lesson::Usual,
    quantise: None,
    recorded: &[],
    also: |_| false,
};

fn methods() -> Vec<Method> {
    let smoothed = || Objective { loss: RowLoss::CrossEntropy { smoothing: 0.1 }, class_weights: Vec::new() };
    let focal = || Objective { loss: RowLoss::Focal { alpha: 0.25, gamma: 2.0 }, class_weights: Vec::new() };
    let weighted = || Objective { class_weights: vec![0.5, 1.0, 2.0], ..Objective::default() };
    let patterns = |plain: LoraSpec| {
        Trainable::Lora(LoraSpec { layers: Some(vec![0]), rank_pattern: vec![(".*".to_owned(), 3)], ..plain })
    };
    vec![
        PLAIN,
        Method {
            name: "rsLoRA",
            trainable: |plain| Trainable::Lora(LoraSpec { rank_stabilised: true, ..plain }),
            recorded: &["llama-rslora"],
            ..PLAIN
        },
        Method {
            name: "DoRA",
            trainable: |plain| Trainable::Lora(LoraSpec { dora: true, ..plain }),
            recorded: &["llama-dora"],
            ..PLAIN
        },
        Method { name: "layers, ranks", trainable: patterns, recorded: &["llama-rank-pattern"], ..PLAIN },
        Method {
            name: "dropout, NEFTune",
            noise: Some(Noise { seed: 3, batch: 1, dropout: 0.2, embedding: 5.0 }),
            ..PLAIN
        },
        Method {
            name: "label smoothing",
            objective: smoothed,
            recorded: &["llama-label-smoothing", "bert-label-smoothing"],
            ..PLAIN
        },
        Method { name: "focal loss", objective: focal, lesson: Lesson::Labels, recorded: &["bert-focal"], ..PLAIN },
        Method {
            name: "class weights",
            objective: weighted,
            lesson: Lesson::Labels,
            recorded: &["bert-weighted-ce"],
            ..PLAIN
        },
        Method { name: "labels", lesson: Lesson::Labels, also: |name| labels::REQUIRED.contains(&name), ..PLAIN },
        Method { name: "preferences", lesson: Lesson::Preference, recorded: &["llama-dpo"], ..PLAIN },
        Method { name: "8-bit base", quantise: Some(Quantise::Q8_0), ..PLAIN },
        Method { name: "all weights", trainable: |_| Trainable::Everything, also: recorded::is_there, ..PLAIN },
    ]
}

const CLASSES: usize = 3;

/// The model in `folder` under a method, with nothing at zero.
fn model(folder: &Path, method: &Method) -> Model<Fused> {
    let spec = LoraSpec::new(2, 4.0, Targets::AllLinear, 3);
    let labels = method.lesson == Lesson::Labels || gives_labels(folder);
    let config = ModelConfig::read(folder, labels.then_some(CLASSES)).unwrap();
    let source = WeightSource::Files(ModelFiles::open(folder).unwrap().quantised(method.quantise));
    let backend = Fused::new(1).unwrap();
    let mut model = Model::build(backend, config, &source, &(method.trainable)(spec), 7).unwrap();
    let (backend, parameters) = model.parameters_mut();
    for (i, p) in parameters.iter_mut().enumerate() {
        let stream = lorikeet_models::random::Stream::new(11, i as u64);
        let mut numbers = backend.download(&p.value).unwrap();
        numbers.iter_mut().enumerate().for_each(|(n, v)| *v += 0.05 * stream.normal(n as u64));
        backend.overwrite(&mut p.value, &numbers).unwrap();
    }
    model.set_noise(method.noise);
    model
}

fn gives_labels(folder: &Path) -> bool {
    ModelConfig::read(folder, None).unwrap().task() == Task::Classify
}

/// Four sequences, and what is to be learned from them.
fn batch(model: &Model<Fused>) -> (Tokens, Vec<u32>) {
    let vocabulary = model.config().vocabulary() as u32;
    let sequence = |length: u32, step: u32| (0..length).map(|n| 2 + (n * step + step) % (vocabulary - 2)).collect();
    let tokens =
        Tokens::from_sequences::<Vec<u32>>(&[sequence(9, 3), sequence(14, 7), sequence(5, 11), sequence(7, 2)]);
    let targets = match model.config().task() {
        Task::Classify => vec![2, 0, 1, 2],
        Task::Causal => tokens.ids.iter().map(|id| (id * 5 + 1) % vocabulary).collect(),
    };
    (tokens, targets)
}

/// The loss as training sees it, and its gradients.
fn loss(model: &Model<Fused>, method: &Method, (tokens, targets): &(Tokens, Vec<u32>)) -> (f64, Vec<Vec<f32>>) {
    let (mut grads, mut sum) = (model.gradients().unwrap(), 0.0);
    if method.lesson == Lesson::Preference {
        let reference = model.sequence_losses(tokens, targets, false).unwrap();
        let reference: Vec<f64> = reference.iter().map(|loss| loss.sum).collect();
        let mut weigh = |policy: &[LossSum]| {
            let judged = CRITERION.judge_pairs(policy, &reference);
            sum = judged.losses.iter().sum();
            judged.weights.iter().map(|weight| *weight as f32).collect()
        };
        model.weighted_gradients(tokens, targets, Recompute::Never, &mut grads, &mut weigh).unwrap();
    } else {
        let objective = (method.objective)();
        let found = model.loss_and_gradients(tokens, targets, (&objective, 1.0), Recompute::Never, &mut grads);
        sum = found.unwrap().sum;
    }
    (sum, grads.0.iter().map(|g| model.backend().download(g).unwrap()).collect())
}

const CRITERION: Criterion =
    Criterion { goal: Goal::Dpo, beta: 0.1, label_smoothing: 0.0, desirable_weight: 1.0, undesirable_weight: 1.0 };

/// DoRA's length of a weight is a constant in the gradient of A and B: only the lengths are moved along.
fn is_moved(model: &Model<Fused>, name: &str) -> bool {
    !model.lora().is_some_and(|spec| spec.dora) || name.ends_with("lora_magnitude_vector")
}

/// Moves the parameters by `step` along `direction`.
fn walk(model: &mut Model<Fused>, direction: &[Vec<f32>], step: f32) {
    let (backend, parameters) = model.parameters_mut();
    for (p, d) in parameters.iter_mut().zip(direction) {
        let mut numbers = backend.download(&p.value).unwrap();
        numbers.iter_mut().zip(d).for_each(|(n, d)| *n += step * d);
        backend.overwrite(&mut p.value, &numbers).unwrap();
    }
}

const STEP: f32 = 4e-3;
const TOLERANCE: f64 = 1e-2;

/// How far the slope of the loss along its gradient is from the gradient's length, as a share of it.
fn error_of_slope(folder: &Path, method: &Method) -> f64 {
    let mut model = model(folder, method);
    let batch = batch(&model);
    let (_, mut direction) = loss(&model, method, &batch);
    for (p, d) in model.parameters().iter().zip(&mut direction) {
        assert!(
            d.iter().any(|g| *g != 0.0),
            "{}, {}: `{}` receives no gradient",
            folder.display(),
            method.name,
            p.name
        );
        if !is_moved(&model, &p.name) {
            d.fill(0.0);
        }
    }
    let length = direction.iter().flatten().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
    direction.iter_mut().flatten().for_each(|g| *g /= length as f32);
    let mut at = |step: f32| {
        walk(&mut model, &direction, step);
        let (sum, _) = loss(&model, method, &batch);
        walk(&mut model, &direction, -step);
        sum
    };
    let mut central = |h: f32| (at(h) - at(-h)) / (2.0 * f64::from(h));
    // Extrapolated from two widths (Richardson).
    let slope = (4.0 * central(STEP) - central(2.0 * STEP)) / 3.0;
    (slope - length).abs() / length
}

/// What is known of a family under a method: `name` is its fixture, `folder` its model.
fn cell(name: &str, folder: &Path, method: &Method, failures: &mut Vec<String>) -> &'static str {
    if method.lesson == Lesson::Preference && gives_labels(folder) {
        return "·";
    }
    let error = error_of_slope(folder, method);
    println!("{name}, {}: slope off by {error:.1e}", method.name);
    if error.is_nan() || error > TOLERANCE {
        failures
            .push(format!("{name}, {}: the loss falls otherwise than its gradient says, by {error:.1e}", method.name));
    }
    let recorded = method.recorded.iter().any(|fixture| is_required(fixture) && base_of(fixture) == name);
    let gives_own_labels =
        method.lesson == Lesson::Labels && (method.objective)() == Objective::default() && gives_labels(folder);
    let is_own = is_required(name) && (method.name == PLAIN.name || gives_own_labels);
    if recorded || is_own || (method.also)(name) { "**=**" } else { "✓" }
}

/// The fixture whose base a variant uses.
fn base_of(variant: &str) -> &str {
    if variant.starts_with("llama-") { "llama-untied" } else { "bert" }
}

#[test]
fn every_family_learns_by_every_method() {
    let Some(root) = shared_data::find("parity/fixtures") else { return };
    let (methods, mut failures) = (methods(), Vec::new());
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("parity/recorded");
    let mut table = format!("| Family | {} |\n", methods.iter().map(|m| m.name).collect::<Vec<_>>().join(" | "));
    writeln!(table, "| --- |{}", " :-: |".repeat(methods.len())).unwrap();
    for (family, name) in FAMILIES {
        let folder = [root.join(name).join("model"), recorded.join(name)].into_iter().find(|f| f.is_dir()).unwrap();
        let cells: Vec<_> = methods.iter().map(|method| cell(name, &folder, method, &mut failures)).collect();
        writeln!(table, "| {family} | {} |", cells.join(" | ")).unwrap();
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    compare_with_document(&table);
}

/// The table stands between two marks in the document.
fn compare_with_document(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/families.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once("<!-- table -->\n").expect("the document has a mark before its table");
    let (found, after) = rest.split_once("<!-- end -->").expect("the document has a mark after its table");
    if std::env::var_os("LORIKEET_FAMILIES").is_some() {
        fs::write(&path, format!("{before}<!-- table -->\n{table}<!-- end -->{after}")).unwrap();
        return;
    }
    assert_eq!(found, table, "docs/families.md is out of date: write it with LORIKEET_FAMILIES=write");
}
