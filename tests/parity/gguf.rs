//! GGUF files as they are: every format's numbers, logits and greedy texts against those that transformers computes from the
//! dequantised weights, and training over blocks against training over their numbers.

use std::{fs, path::Path};

use lorikeet_models::{
    Backend, Composed, Fused, HostMatrix, LoraSpec, Model, ModelConfig, ModelFiles, Objective, Recompute, Targets,
    Tokens, Trainable, WeightSource,
    gguf::{GgufRecipe, GgufTensor, write_gguf},
    random::Stream,
};
use lorikeet_tests::shared_data;
use lorikeet_train::{Optimiser, OptimiserSettings, Settings};
use safetensors::SafeTensors;

/// Largest difference of a logit from the reference.
const LOGITS: f32 = 1e-4;

/// What was recorded with a file.
struct Reference(Vec<u8>);

impl Reference {
    fn read(path: &Path) -> Self {
        Self(fs::read(path).unwrap())
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        SafeTensors::deserialize(&self.0).unwrap().tensor(name).unwrap().data().to_vec()
    }

    fn ids(&self, name: &str) -> Vec<u32> {
        self.bytes(name).as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as u32).collect()
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        self.bytes(name).as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |most, (a, b)| most.max((a - b).abs()))
}

/// The first two stored rows of a tensor; q lies in pairs in the llama architecture, so that its second stored row is the
/// first of the second half.
fn first_two_rows(matrix: &HostMatrix, second: usize) -> Vec<f32> {
    let mut rows = vec![0.0; 2 * matrix.cols()];
    let (first, last) = rows.split_at_mut(matrix.cols());
    matrix.widen_rows(0, first);
    matrix.widen_rows(second, last);
    rows
}

fn compare<B: Backend + Clone>(backend: &B, file: &Path, reference: &Reference) -> f32 {
    let files = ModelFiles::open(file).unwrap();
    let is_llama = file.to_string_lossy().contains("llama");
    let half = files.shape("model.layers.0.self_attn.q_proj.weight").unwrap()[0] / 4 / 2;
    for (ours, theirs, second) in [
        ("model.layers.0.self_attn.q_proj.weight", "blk.0.attn_q.weight", if is_llama { half } else { 1 }),
        ("model.layers.0.mlp.down_proj.weight", "blk.0.ffn_down.weight", 1),
        ("model.embed_tokens.weight", "token_embd.weight", 1),
    ] {
        let found = first_two_rows(&files.matrix(ours).unwrap().unwrap(), second);
        let expected = reference.floats(&format!("dequantised.{theirs}.first_two_rows"));
        assert_eq!(largest_difference(&found, &expected), 0.0, "{}: {theirs}", file.display());
    }
    let model = Model::open(backend.clone(), file).unwrap();
    let prompt = reference.ids("input_ids");
    let logits = model.logits(&Tokens::from_sequences(&[&prompt])).unwrap();
    let difference = largest_difference(&backend.download(&logits).unwrap(), &reference.floats("logits"));
    assert_eq!(greedy(&model, &prompt), reference.ids("greedy"), "{}", file.display());
    difference
}

fn greedy<B: Backend>(model: &Model<B>, prompt: &[u32]) -> Vec<u32> {
    let mut cache = model.cache(prompt.len() + 32).unwrap();
    let (mut ids, mut next) = (Vec::new(), prompt.to_vec());
    while ids.len() < 32 {
        let logits = model.next_logits(&next, &mut cache).unwrap();
        let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap() as u32;
        ids.push(best);
        next = vec![best];
    }
    ids
}

fn every_file<B: Backend + Clone>(label: &str, backend: &B) {
    let Some(root) = shared_data::find("gguf") else { return };
    let index: serde_json::Value = serde_json::from_str(&fs::read_to_string(root.join("index.json")).unwrap()).unwrap();
    let files = index["files"].as_object().unwrap();
    assert!(files.len() >= 8);
    let mut failures = Vec::new();
    for (name, about) in files {
        let reference = Reference::read(&root.join(about["reference"].as_str().unwrap()));
        let difference = backend.run(|| compare(backend, &root.join(name), &reference));
        println!("{name} ({label}): rows equal, logits within {difference:.1e}, 32 greedy tokens equal");
        if difference > LOGITS {
            failures.push(format!("{name}: {difference}"));
        }
    }
    assert!(failures.is_empty(), "{label}: logits differ: {}", failures.join(", "));
}

#[test]
fn parity_of_gguf_files_fused() {
    every_file("fused", &Fused::new(2).unwrap());
}

#[test]
fn parity_of_gguf_files_composed() {
    every_file("composed", &Composed::cpu());
}

/// The same numbers as 32-bit floats in a file of their own.
fn dense_copy(file: &Path, to: &Path) {
    let (config, files) = (ModelConfig::read(file, None).unwrap(), ModelFiles::open(file).unwrap());
    let tensor = |name: &str| GgufTensor { name: name.to_owned(), dims: files.shape(name).unwrap().to_vec() };
    let tensors: Vec<GgufTensor> = files.names().map(tensor).collect();
    let matrix = |t: &GgufTensor| Ok(files.matrix(&t.name)?.unwrap());
    write_gguf(to, &config, Vec::new(), &tensors, GgufRecipe::F32, matrix).unwrap();
}

fn with_lora<B: Backend>(backend: B, file: &Path) -> Model<B> {
    let trainable = Trainable::Lora(LoraSpec::new(8, 16.0, Targets::AllLinear, 3));
    let source = WeightSource::Files(ModelFiles::open(file).unwrap());
    let mut model = Model::build(backend, ModelConfig::read(file, None).unwrap(), &source, &trainable, 3).unwrap();
    // B starts at zero, which would leave A without a gradient.
    let (backend, parameters) = model.parameters_mut();
    for (i, p) in parameters.iter_mut().enumerate().filter(|(_, p)| p.name.ends_with("lora_B.weight")) {
        let stream = Stream::new(4, i as u64);
        let numbers: Vec<f32> = (0..p.dims.iter().product::<usize>() as u64).map(|n| 0.02 * stream.normal(n)).collect();
        backend.overwrite(&mut p.value, &numbers).unwrap();
    }
    model
}

/// The prompt of the fixture and the tokens to be predicted.
fn lesson(reference: &Reference) -> (Tokens, Vec<u32>) {
    let prompt = reference.ids("input_ids");
    let targets = prompt[1..].iter().copied().chain([u32::MAX]).collect();
    (Tokens::from_sequences(&[&prompt]), targets)
}

fn gradients<B: Backend>(model: &Model<B>, reference: &Reference) -> Vec<Vec<f32>> {
    let ((tokens, targets), mut grads) = (lesson(reference), model.gradients().unwrap());
    model.loss_and_gradients(&tokens, &targets, (&Objective::default(), 0.05), Recompute::Never, &mut grads).unwrap();
    grads.0.iter().map(|g| model.backend().download(g).unwrap()).collect()
}

fn gradients_agree<B: Backend + Clone>(label: &str, backend: &B) {
    let Some(root) = shared_data::find("gguf") else { return };
    let reference = Reference::read(&root.join("tiny-llama-wide-q4_k_m.reference.safetensors"));
    let (file, folder) = (root.join("tiny-llama-wide-q4_k_m.gguf"), tempfile::tempdir().unwrap());
    let dense = folder.path().join("dense.gguf");
    dense_copy(&file, &dense);
    let (blocks, dense) = backend.run(|| {
        let of = |file: &Path| gradients(&with_lora(backend.clone(), file), &reference);
        (of(&file), of(&dense))
    });
    let largest = dense.iter().flatten().fold(0f32, |most, v| most.max(v.abs()));
    let difference = blocks.iter().zip(&dense).map(|(a, b)| largest_difference(a, b)).fold(0.0, f32::max);
    println!(
        "LoRA over Q4_K ({label}): gradients within {difference:.1e} of those over its numbers, largest {largest:.2}"
    );
    assert!(blocks.len() == 28 && largest > 0.1 && difference < 1e-4);
}

#[test]
fn parity_of_gradients_over_blocks_fused() {
    gradients_agree("fused", &Fused::new(2).unwrap());
}

#[test]
fn parity_of_gradients_over_blocks_composed() {
    gradients_agree("composed", &Composed::cpu());
}

#[test]
fn parity_lora_over_q4_k_learns() {
    let Some(root) = shared_data::find("gguf") else { return };
    let reference = Reference::read(&root.join("tiny-llama-wide-q4_k_m.reference.safetensors"));
    let mut model = with_lora(Fused::new(2).unwrap(), &root.join("tiny-llama-wide-q4_k_m.gguf"));
    let settings = OptimiserSettings { weight_decay: 0.0, ..Settings::default().optimiser() };
    let mut optimiser = Optimiser::new(&model, settings).unwrap();
    let ((tokens, targets), mut grads) = (lesson(&reference), model.gradients().unwrap());
    let curve: Vec<f64> = (0..40)
        .map(|_| {
            grads.clear(model.backend()).unwrap();
            let loss = model
                .loss_and_gradients(
                    &tokens,
                    &targets,
                    (&Objective::default(), 1.0 / 30.0),
                    Recompute::Never,
                    &mut grads,
                )
                .unwrap()
                .mean();
            optimiser.step(&mut model, &grads, 5e-3).unwrap();
            loss
        })
        .collect();
    let shown: Vec<String> = curve.iter().step_by(5).chain(curve.last()).map(|loss| format!("{loss:.3}")).collect();
    println!("LoRA over Q4_K, loss every 5 steps: {}", shown.join(" "));
    assert!(curve.windows(2).filter(|w| w[1] < w[0]).count() > 30 && curve[39] < 0.5 * curve[0]);
}
