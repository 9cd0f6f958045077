//! Model folders as they are published: one file or several, 32-bit or 16-bit, with or without the family's prefix, with a
//! head or without.

use std::{collections::HashMap, fs, path::Path};

use lorikeet_models::{
    Backend, Composed, Fused, LoraSpec, Model, ModelConfig, ModelFiles, Precision, Targets, Trainable, WeightSource,
    hash_folder,
};
use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::json;

use crate::zoo;

fn fused() -> Fused {
    Fused::new(1).unwrap()
}

/// Writes the weights of `folder` again as `rewrite` likes them: file names with the tensors in each.
fn rewrite(folder: &Path, files: impl Fn(&str) -> Option<(String, String)>) {
    let path = folder.join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let mut parts: HashMap<String, HashMap<String, TensorView<'_>>> = HashMap::new();
    let whole = SafeTensors::deserialize(&bytes).unwrap();
    for (name, view) in whole.iter() {
        if let Some((file, name)) = files(name) {
            parts.entry(file).or_default().insert(name, view);
        }
    }
    fs::remove_file(&path).unwrap();
    let mut map = serde_json::Map::new();
    for (file, tensors) in parts {
        tensors.keys().for_each(|n| drop(map.insert(n.clone(), json!(file))));
        fs::write(folder.join(&file), safetensors::serialize(tensors, None).unwrap()).unwrap();
    }
    if !path.exists() {
        fs::write(folder.join("model.safetensors.index.json"), json!({"weight_map": map}).to_string()).unwrap();
    }
}

#[test]
fn a_whole_model_comes_back_as_it_went_out() {
    for (name, config) in zoo::configurations() {
        let folder = tempfile::tempdir().unwrap();
        let model = zoo::model(fused(), folder.path(), &config, &Trainable::Everything);
        let labels = ["down", "flat", "up"].map(str::to_owned);
        let labels = if model.config().labels.is_some() { labels.as_slice() } else { &[] };
        model.save_whole(folder.path(), Precision::F32, labels).unwrap();
        let again = Model::open(fused(), folder.path()).unwrap();
        assert_eq!(zoo::logits(&model), zoo::logits(&again), "{name}");
        assert_eq!(again.config().label_names, labels, "{name}");
        assert_eq!(again.parameters().len(), 0, "{name}");
    }
}

#[test]
fn shards_give_the_same_model() {
    let folder = zoo::folder("llama untied");
    let whole = zoo::logits(&Model::open(fused(), folder.path()).unwrap());
    let hash = hash_folder(folder.path()).unwrap();
    rewrite(folder.path(), |name| {
        let file = if name.contains("layers.0") { "model-00001-of-00002" } else { "model-00002-of-00002" };
        Some((format!("{file}.safetensors"), name.to_owned()))
    });
    assert_eq!(zoo::logits(&Model::open(fused(), folder.path()).unwrap()), whole);
    assert_ne!(hash_folder(folder.path()).unwrap(), hash);
}

/// XLM-RoBERTa has RoBERTa's names, positions and head.
#[test]
fn families_with_the_same_table_read_the_same_files() {
    let folder = zoo::folder("roberta");
    let known = zoo::logits(&Model::open(fused(), folder.path()).unwrap());
    let path = folder.path().join("config.json");
    let config = fs::read_to_string(&path).unwrap().replace("\"roberta\"", "\"xlm-roberta\"");
    fs::write(&path, config).unwrap();
    let model = Model::open(fused(), folder.path()).unwrap();
    assert_eq!((model.config().model_type.as_str(), zoo::logits(&model)), ("xlm-roberta", known));
}

/// 16-bit weights are used where they lie; both back ends widen them to the same numbers.
#[test]
fn sixteen_bits_give_nearly_the_same_model() {
    let folder = zoo::folder("qwen3");
    let source = WeightSource::Files(ModelFiles::open(folder.path()).unwrap());
    let config = ModelConfig::read(folder.path(), None).unwrap();
    let model = Model::build(fused(), config, &source, &Trainable::Everything, 0).unwrap();
    let exact = zoo::logits(&model);
    let narrow = tempfile::tempdir().unwrap();
    model.save_whole(narrow.path(), Precision::Bf16, &[]).unwrap();
    let n_bytes = |f: &Path| fs::metadata(f.join("model.safetensors")).unwrap().len();
    assert!(n_bytes(narrow.path()) < n_bytes(folder.path()) * 3 / 4);
    let (a, b) = (Model::open(fused(), narrow.path()).unwrap(), Model::open(Composed::cpu(), narrow.path()).unwrap());
    let (a, b) = (zoo::logits(&a), zoo::logits(&b));
    let apart = |x: &[f32], y: &[f32]| x.iter().zip(y).fold(0f32, |m, (x, y)| m.max((x - y).abs()));
    let largest = exact.iter().fold(0f32, |m, v| m.max(v.abs()));
    assert!(apart(&a, &b) < 1e-5 * largest, "{}", apart(&a, &b));
    assert!(apart(&a, &exact) < 0.05 * largest && a != exact, "{}", apart(&a, &exact));
}

/// A published encoder has no head and leaves out the prefix `bert.`: its head is made from the seed.
#[test]
fn an_encoder_without_prefix_and_head_gets_a_head_from_the_seed() {
    let folder = zoo::folder("bert");
    let with_head = zoo::logits(&Model::open(fused(), folder.path()).unwrap());
    rewrite(folder.path(), |name| {
        let name = name.strip_prefix("bert.")?;
        Some(("model.safetensors".to_owned(), name.to_owned()))
    });
    let open = |seed: u64, labels: usize| {
        let config = ModelConfig::read(folder.path(), Some(labels)).unwrap();
        let source = WeightSource::Files(ModelFiles::open(folder.path()).unwrap());
        zoo::logits(&Model::build(fused(), config, &source, &Trainable::Nothing, seed).unwrap())
    };
    assert_eq!((open(1, 3), open(1, 5).len()), (open(1, 3), 15));
    assert!(open(1, 3) != open(2, 3) && open(1, 3) != with_head);
}

/// A head for other labels than the file's is made anew for training; whoever only uses the model is told.
#[test]
fn a_head_of_another_size_is_replaced_for_training_alone() {
    for name in ["distilbert", "roberta", "llama for labels"] {
        let folder = zoo::folder(name);
        let build = |trainable: &Trainable| {
            let config = ModelConfig::read(folder.path(), Some(7)).unwrap();
            let source = WeightSource::Files(ModelFiles::open(folder.path()).unwrap());
            Model::build(fused(), config, &source, trainable, 0)
        };
        let lora = Trainable::Lora(LoraSpec::new(2, 4.0, Targets::AllLinear, 3));
        for trainable in [Trainable::Everything, lora] {
            let model = build(&trainable).unwrap();
            let logits = model.logits(&zoo::batch(&model).0).unwrap();
            assert_eq!(model.backend().shape(&logits), (3, 7), "{name}");
        }
        let said = zoo::message(build(&Trainable::Nothing), folder.path());
        assert_eq!(
            said,
            "the classifier in `folder` tells 3 labels apart where 7 are asked for; use it with the labels it was trained on, or train it for the new ones",
            "{name}"
        );
    }
}

/// An encoder as it is published, without a classifier, opens for use and says so when it is asked for labels.
#[test]
fn an_encoder_without_a_head_gives_no_labels() {
    let folder = zoo::folder("bert");
    rewrite(folder.path(), |name| {
        let name = name.strip_prefix("bert.").filter(|name| !name.starts_with("pooler."))?;
        Some(("model.safetensors".to_owned(), name.to_owned()))
    });
    let model = Model::open(fused(), folder.path()).unwrap();
    let logits = model.logits(&zoo::batch(&model).0);
    insta::assert_snapshot!(zoo::message(logits.map(drop), folder.path()), @"a `bert` model without a classifier gives no labels; train one, or add an adapter that has one");
}
