//! Our adapter folders against the ones PEFT wrote: tensor names, shapes, bits, configuration keys; and an adapter that a
//! stranger published.

use std::{collections::BTreeMap, fs, path::Path};

use lorikeet_models::{
    AdapterConfig, Backend, Fused, Model, ModelConfig, ModelError, ModelFiles, Precision, Targets, Tokens, Trainable,
    WeightSource,
};
use lorikeet_tests::{fixture::Fixture, shared_data};
use serde_json::{Map, Value, json};

#[test]
fn parity_of_saved_adapters_with_the_folders_that_peft_wrote() {
    let Some(root) = shared_data::find("parity/fixtures") else { return };
    let mut n_compared = 0;
    for fixture in Fixture::all(&root) {
        for name in ["adapter", "adapter_trained"] {
            let Some(theirs) = fixture.adapter_folder(name) else { continue };
            match Model::open_with_adapter(Fused::new(1).unwrap(), &fixture.model_folder(), &theirs) {
                Ok(model) => {
                    let n_tensors = saves_what_peft_saved(&model, &fixture.model_folder(), &theirs);
                    println!("{}/{name}: {n_tensors} tensors with PEFT's names, shapes and bits", fixture.name);
                    n_compared += 1;
                }
                Err(e @ (ModelError::UnknownFamily { .. } | ModelError::AdapterFeature { .. })) => {
                    println!("not built yet: {}/{name}: {e}", fixture.name);
                }
                Err(e) => panic!("{}/{name}: {e}", fixture.name),
            }
        }
    }
    assert!(n_compared > 0, "no adapter in `{}` was compared", root.display());
}

pub fn saves_what_peft_saved(model: &Model<Fused>, base: &Path, theirs: &Path) -> usize {
    let ours = tempfile::tempdir().unwrap();
    let base_name = read_config(theirs)["base_model_name_or_path"].as_str().unwrap().to_owned();
    model.save_adapter(ours.path(), &base_name).unwrap();
    let tensors = read_tensors(ours.path());
    assert_eq!(tensors, read_tensors(theirs), "{}", theirs.display());
    compare_configs(&read_config(ours.path()), &read_config(theirs));
    assert_eq!(AdapterConfig::read(ours.path()).unwrap().lora, AdapterConfig::read(theirs).unwrap().lora);
    let again = Model::open_with_adapter(Fused::new(1).unwrap(), base, ours.path()).unwrap();
    let parameters = |m: &Model<Fused>| -> BTreeMap<String, Vec<u32>> {
        let bits = |t| m.backend().download(t).unwrap().iter().map(|v| v.to_bits()).collect();
        m.parameters().iter().map(|p| (p.name.clone(), bits(&p.value))).collect()
    };
    assert_eq!(parameters(model), parameters(&again), "{} changes when it is read back", theirs.display());
    tensors.len()
}

type Stored = BTreeMap<String, (Vec<usize>, Vec<u32>)>;

fn read_tensors(folder: &Path) -> Stored {
    let files = ModelFiles::open_file(&folder.join("adapter_model.safetensors")).unwrap();
    let stored = |name: &str| {
        let numbers = files.matrix(name).unwrap().unwrap().to_f32();
        (files.shape(name).unwrap().to_vec(), numbers.iter().map(|v| v.to_bits()).collect())
    };
    files.names().map(|n| (n.to_owned(), stored(n))).collect()
}

fn read_config(folder: &Path) -> Map<String, Value> {
    serde_json::from_str(&fs::read_to_string(folder.join("adapter_config.json")).unwrap()).unwrap()
}

/// Every key that we write is one of PEFT's and has PEFT's value.
fn compare_configs(ours: &Map<String, Value>, theirs: &Map<String, Value>) {
    for (key, value) in ours {
        let expected = theirs.get(key).unwrap_or_else(|| panic!("PEFT writes no `{key}`"));
        match key.as_str() {
            "target_modules" => assert_eq!(names(value), names(expected), "`{key}`"),
            // PEFT adds every usual name of a head, whether the model has it or not.
            "modules_to_save" => {
                let usual = |n: &&String| !["classifier", "score"].contains(&n.as_str());
                assert!(names(value).iter().all(|n| names(expected).contains(n)), "`{key}`: {value}");
                assert!(names(expected).iter().filter(usual).all(|n| names(value).contains(n)), "`{key}`: {value}");
            }
            _ => assert_eq!(value, expected, "`{key}`"),
        }
    }
    for key in ["peft_type", "task_type", "r", "lora_alpha", "target_modules", "bias", "use_rslora", "use_dora"] {
        assert!(ours.contains_key(key), "`{key}` is not written");
    }
}

fn names(list: &Value) -> Vec<String> {
    let mut names: Vec<String> =
        list.as_array().into_iter().flatten().map(|v| v.as_str().unwrap().to_owned()).collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn parity_of_an_adapter_that_a_stranger_published() {
    let Some(folder) = shared_data::find("adapters/albert-app-reviews") else { return };
    let config = AdapterConfig::read(&folder).unwrap();
    assert_eq!((config.base_model.as_str(), config.task_type.as_str()), ("albert-base-v2", "SEQ_CLS"));
    assert_eq!((config.lora.rank, config.lora.alpha), (4, 64.0));
    let targets = ["attention.dense", "attention.key", "attention.query", "attention.value", "ffn"];
    assert_eq!(config.lora.targets, Targets::Named(targets.map(str::to_owned).to_vec()));
    assert_eq!(config.modules_to_save, ["classifier", "score"]);
    let files = ModelFiles::open_file(&folder.join("adapter_model.safetensors")).unwrap();
    let head: Vec<&str> = files.names().filter(|n| !n.contains(".lora_")).collect();
    assert_eq!(head, ["base_model.model.classifier.bias", "base_model.model.classifier.weight"]);
    assert_eq!(files.shape(head[1]), Some([4, 768].as_slice()));
    fits_a_base_of_its_shape(&folder);
}

/// The stranger's base is not at hand; one of its sizes with random numbers takes the adapter and gives it back.
fn fits_a_base_of_its_shape(adapter: &Path) {
    let base = tempfile::tempdir().unwrap();
    let config = json!({
        "model_type": "albert", "architectures": ["AlbertForMaskedLM"], "vocab_size": 50, "embedding_size": 128,
        "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_hidden_groups": 1,
        "inner_group_num": 1, "num_attention_heads": 12, "max_position_embeddings": 32, "type_vocab_size": 2,
        "layer_norm_eps": 1e-12, "hidden_act": "gelu_new"
    });
    fs::write(base.path().join("config.json"), config.to_string()).unwrap();
    let (config, fused) = (ModelConfig::read(base.path(), None).unwrap(), || Fused::new(2).unwrap());
    let source = WeightSource::Fresh { folder: base.path().to_owned(), seed: 1, deviation: 0.02 };
    let random = Model::build(fused(), config, &source, &Trainable::Everything, 1).unwrap();
    random.save_whole(base.path(), Precision::F32, &[]).unwrap();

    let mut model = Model::open_with_adapter(fused(), base.path(), adapter).unwrap();
    assert_eq!(model.config().labels, Some(4));
    assert_eq!(model.adapted_modules(), ["dense", "ffn", "key", "query", "value"]);
    let tokens = Tokens::from_sequences(&[vec![2, 7, 9, 3], vec![2, 8, 3]]);
    let logits = |model: &Model<Fused>| {
        let logits = model.logits(&tokens).unwrap();
        assert_eq!(model.backend().shape(&logits), (2, 4));
        model.backend().download(&logits).unwrap()
    };
    let adapted = logits(&model);
    model.set_adapters(false);
    assert!(adapted.iter().zip(logits(&model)).any(|(with, without)| (with - without).abs() > 1e-3));
    let ours = tempfile::tempdir().unwrap();
    model.save_adapter(ours.path(), "albert-base-v2").unwrap();
    assert_eq!(read_tensors(ours.path()), read_tensors(adapter));
}
