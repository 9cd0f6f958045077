//! Families and options that have no fixture elsewhere, against what transformers computed for tiny models; the script that
//! made them is `reference/record.py`. Logits, loss and gradients of a whole batch, and the last logits token by token.

use std::path::{Path, PathBuf};

use lorikeet_models::{
    Backend, Composed, Fused, Gradients, Model, ModelConfig, ModelFiles, Objective, Recompute, Tokens, Trainable,
    WeightSource,
};
use lorikeet_tests::fixture::{IGNORED, Recorded, read_tensors};

use crate::differences::Differences;

const LOGITS: f64 = 1e-4;
const LOSS: f64 = 1e-5;
const GRADIENT: f64 = 1e-4;

/// Tokens that a conversation begins with before it is read one by one.
const PROMPT: usize = 5;

/// Whether numbers were recorded of a model called `name`.
pub fn is_there(name: &str) -> bool {
    folders().iter().any(|folder| folder.file_name().is_some_and(|found| found == name))
}

fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("parity/recorded");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
    folders.retain(|f| f.join("recorded.safetensors").is_file());
    folders.sort();
    folders
}

/// The recorded batch as rows of ids.
fn sequences(ids: &Recorded) -> Vec<Vec<u32>> {
    ids.integers.chunks(ids.dims[1]).map(|row| row.iter().map(|id| *id as u32).collect()).collect()
}

fn compare<B: Backend>(folder: &Path, label: &str, backend: B) -> Differences {
    let name = folder.file_name().unwrap().to_string_lossy();
    let mut found = Differences::new(format!("{name} ({label})"));
    let recorded = read_tensors(&folder.join("recorded.safetensors"));
    let (rows, theirs) = (sequences(&recorded["input_ids"]), &recorded["logits"]);
    let config = ModelConfig::read(folder, None).unwrap();
    let source = WeightSource::Files(ModelFiles::open(folder).unwrap());
    let model = Model::build(backend, config, &source, &Trainable::Everything, 0).unwrap();
    let tokens = Tokens::from_sequences(&rows);
    found.lists("logits", LOGITS, &model.backend().download(&model.logits(&tokens).unwrap()).unwrap(), &theirs.floats);

    let next = rows.iter().flat_map(|row| row.iter().skip(1).copied().chain([IGNORED]));
    let targets: Vec<u32> = next.collect();
    let n = targets.iter().filter(|t| **t != IGNORED).count();
    let mut grads: Gradients<B> = model.gradients().unwrap();
    let mean = (&Objective::default(), 1.0 / n as f32);
    let loss = model.loss_and_gradients(&tokens, &targets, mean, Recompute::Never, &mut grads).unwrap();
    found.number("loss", LOSS, loss.mean(), f64::from(recorded["loss"].floats[0]));
    for (name, theirs) in recorded.iter().filter_map(|(n, t)| Some((n.strip_prefix("grad.")?, t))) {
        let i = model.parameters().iter().position(|p| p.name == name).unwrap();
        let ours = model.backend().download(&grads.0[i]).unwrap();
        found.check(ours.iter().any(|g| *g != 0.0), || format!("`{name}` receives no gradient"));
        found.lists("gradients", GRADIENT, &ours, &theirs.floats);
    }
    // Frequencies that grow with the text leave the keys of its beginning as they were, here and in transformers.
    if name != "llama-dynamic" {
        token_by_token(&mut found, &model, &rows[0], theirs);
    }
    found
}

fn token_by_token<B: Backend>(found: &mut Differences, model: &Model<B>, ids: &[u32], theirs: &Recorded) {
    let mut cache = model.cache(ids.len()).unwrap();
    let (prompt, rest) = ids.split_at(PROMPT);
    let mut last = model.next_logits(prompt, &mut cache).unwrap();
    for id in rest {
        last = model.next_logits(&[*id], &mut cache).unwrap();
    }
    let width = theirs.dims[2];
    found.lists("token by token", LOGITS, &last, &theirs.floats[(ids.len() - 1) * width..ids.len() * width]);
}

fn every_folder<B: Backend + Clone>(label: &str, backend: &B) {
    let found: Vec<Differences> =
        folders().iter().map(|folder| backend.run(|| compare(folder, label, backend.clone()))).collect();
    found.iter().for_each(|f| println!("{f}"));
    let failures: Vec<String> = found.iter().flat_map(Differences::failures).collect();
    assert!(found.len() >= 14 && found.iter().all(|f| f.compared("gradients")), "{} folders", found.len());
    assert!(failures.is_empty(), "{} of the numbers differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn parity_of_recorded_options_on_the_fused_back_end() {
    every_folder("fused", &Fused::new(2).unwrap());
}

#[test]
fn parity_of_recorded_options_on_the_composed_back_end() {
    every_folder("composed", &Composed::cpu());
}
