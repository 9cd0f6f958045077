//! What is said of weight files that cannot be used, however hostile; nothing may crash or ask for absurd memory.

use std::{collections::HashMap, fs, path::Path};

use lorikeet_models::{Fused, LoraSpec, Model, ModelConfig, ModelFiles, Targets, Trainable, WeightSource};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::json;

use crate::zoo;

fn refusal(folder: &Path) -> String {
    zoo::message(Model::open(Fused::new(1).unwrap(), folder), folder)
}

/// The refusal of a Llama whose weight file has these bytes.
fn with_bytes(bytes: &[u8]) -> String {
    let folder = zoo::folder("llama untied");
    fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
    refusal(folder.path())
}

/// A file with this header and `n_bytes` zeros behind it.
fn with_header(header: &str, n_bytes: usize) -> String {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + n_bytes, 0);
    with_bytes(&bytes)
}

/// The refusal of a Llama with one tensor replaced, or left out.
fn with_tensor(name: &str, replacement: Option<(Dtype, Vec<usize>)>) -> String {
    let folder = zoo::folder("llama untied");
    let path = folder.path().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut views: HashMap<String, TensorView<'_>> = file.iter().map(|(n, v)| (n.to_owned(), v)).collect();
    assert!(views.remove(name).is_some(), "{name}");
    let zeros = vec![0; 1 << 12];
    if let Some((dtype, dims)) = replacement {
        let n_bytes = dims.iter().product::<usize>() * dtype.bitsize() / 8;
        views.insert(name.to_owned(), TensorView::new(dtype, dims, &zeros[..n_bytes]).unwrap());
    }
    fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    refusal(folder.path())
}

#[test]
fn a_file_that_is_cut_off() {
    let folder = zoo::folder("llama untied");
    let whole = fs::read(folder.path().join("model.safetensors")).unwrap();
    insta::assert_snapshot!(with_bytes(&whole[..whole.len() - 4]), @"`folder/model.safetensors` is not a complete safetensors file (incomplete metadata, file not fully covered); copy or download it again");
    insta::assert_snapshot!(with_bytes(&whole[..100]), @"`folder/model.safetensors` is not a complete safetensors file (invalid header length); copy or download it again");
    insta::assert_snapshot!(with_bytes(&whole[..5]), @"`folder/model.safetensors` is not a complete safetensors file (header too small); copy or download it again");
    insta::assert_snapshot!(with_bytes(&[]), @"`folder/model.safetensors` is not a complete safetensors file (header too small); copy or download it again");
}

/// Wherever the file is cut, it is refused.
#[test]
fn every_cut_is_refused() {
    let folder = zoo::folder("llama untied");
    let path = folder.path().join("model.safetensors");
    let whole = fs::read(&path).unwrap();
    for n in (0..whole.len()).step_by(97) {
        fs::write(&path, &whole[..n]).unwrap();
        assert!(refusal(folder.path()).contains("is not a complete safetensors file"), "cut at {n}");
    }
}

#[test]
fn a_header_that_lies() {
    let mut endless = u64::MAX.to_le_bytes().to_vec();
    endless.resize(64, b' ');
    insta::assert_snapshot!(with_bytes(&endless), @"`folder/model.safetensors` is not a complete safetensors file (header too large); copy or download it again");
    let mut longer = 1_000_000u64.to_le_bytes().to_vec();
    longer.resize(64, b' ');
    insta::assert_snapshot!(with_bytes(&longer), @"`folder/model.safetensors` is not a complete safetensors file (invalid header length); copy or download it again");
    insta::assert_snapshot!(with_header("not json at all", 8), @"`folder/model.safetensors` is not a complete safetensors file (invalid JSON in header: expected ident at line 1 column 2); copy or download it again");
    let tensor = |dims: &str, from: u64, to: u64| {
        format!(r#"{{"lm_head.weight":{{"dtype":"F32","shape":{dims},"data_offsets":[{from},{to}]}}}}"#)
    };
    insta::assert_snapshot!(with_header(&tensor("[2,2]", 0, 4_000_000_000_000), 16), @"`folder/model.safetensors` is not a complete safetensors file (invalid shape, data type, or offset for tensor); copy or download it again");
    insta::assert_snapshot!(with_header(&tensor("[2,2]", 16, 0), 16), @"`folder/model.safetensors` is not a complete safetensors file (invalid offset for tensor `lm_head.weight`); copy or download it again");
    insta::assert_snapshot!(with_header(&tensor("[4611686018427387904,4]", 0, 16), 16), @"`folder/model.safetensors` is not a complete safetensors file (overflow computing buffer size from shape and/or element type); copy or download it again");
    insta::assert_snapshot!(with_header(&tensor("[0,4611686018427387904,16]", 0, 0), 0), @"`folder` has no weight `model.embed_tokens.weight`, which the configuration asks for");
}

#[test]
fn a_weight_that_does_not_fit() {
    let name = "model.layers.1.mlp.up_proj.weight";
    insta::assert_snapshot!(with_tensor(name, None), @"`folder` has no weight `model.layers.1.mlp.up_proj.weight`, which the configuration asks for");
    insta::assert_snapshot!(with_tensor(name, Some((Dtype::F32, vec![12, 7]))), @"the weight `model.layers.1.mlp.up_proj.weight` in `folder` has shape [12, 7] where the configuration asks for [12, 8]; `config.json` and the weights are not of one model");
    insta::assert_snapshot!(with_tensor(name, Some((Dtype::F32, vec![8, 12]))), @"the weight `model.layers.1.mlp.up_proj.weight` in `folder` has shape [8, 12] where the configuration asks for [12, 8]; `config.json` and the weights are not of one model");
    insta::assert_snapshot!(with_tensor(name, Some((Dtype::I64, vec![12, 8]))), @"the weight `model.layers.1.mlp.up_proj.weight` in `folder/model.safetensors` is stored as I64; F32, F16 and BF16 are read, and in GGUF files Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K and Q6_K");
    insta::assert_snapshot!(with_tensor("model.norm.weight", Some((Dtype::F32, vec![9]))), @"the weight `model.norm.weight` in `folder` has shape [9] where the configuration asks for [8]; `config.json` and the weights are not of one model");
}

#[test]
fn an_index_that_leads_nowhere() {
    let folder = zoo::folder("llama untied");
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    insta::assert_snapshot!(refusal(folder.path()), @"`folder` holds no model: expected `config.json` with `model.safetensors` or `model.safetensors.index.json`");
    let with_index = |value: serde_json::Value| {
        fs::write(folder.path().join("model.safetensors.index.json"), value.to_string()).unwrap();
        refusal(folder.path())
    };
    insta::assert_snapshot!(with_index(json!({"weight_map": {"lm_head.weight": "lost.safetensors"}})), @"cannot read `folder/lost.safetensors`: No such file or directory (os error 2)");
    insta::assert_snapshot!(with_index(json!({"weight_map": {"lm_head.weight": "../../secret.safetensors"}})), @"`folder/model.safetensors.index.json` says `weight_map`: ../../secret.safetensors, which is not a file in the same folder");
    insta::assert_snapshot!(with_index(json!({"metadata": {}})), @"`folder/model.safetensors.index.json` has no `weight_map`, which a model in several files needs; take the file from where it was published");
    insta::assert_snapshot!(with_index(json!({"weight_map": {}})), @"`folder` has no weight `model.embed_tokens.weight`, which the configuration asks for");
}

#[test]
fn weights_that_the_model_has_no_place_for() {
    let folder = zoo::folder("llama tied");
    let path = folder.path().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let zeros = [0; 32];
    let open_with = |names: &[&str]| {
        let mut views: HashMap<String, TensorView<'_>> = file.iter().map(|(n, v)| (n.to_owned(), v)).collect();
        views.extend(names.iter().map(|n| ((*n).to_owned(), TensorView::new(Dtype::F32, vec![8], &zeros).unwrap())));
        fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
        Model::open(Fused::new(1).unwrap(), folder.path())
    };
    // A copy of the embedding and the buffers of old files are of no use.
    assert!(open_with(&["lm_head.weight", "model.layers.0.self_attn.rotary_emb.inv_freq"]).is_ok());
    let strange = open_with(&["model.layers.1.mlp.gate_proj.bias", "model.layers.2.input_layernorm.weight"]);
    insta::assert_snapshot!(zoo::message(strange, folder.path()), @"`folder` holds 2 weights that a model of its configuration has no place for, such as `model.layers.1.mlp.gate_proj.bias`; computing without them would not be the model that was published");
}

/// The decoder of a model that sees pictures is found where it was published, and its adapter is named after its class.
#[test]
fn a_decoder_inside_a_model_that_sees_pictures() {
    let (text, whole) = (zoo::folder("gemma3"), tempfile::tempdir().unwrap());
    let bytes = fs::read(text.path().join("model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let picture = TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap();
    let inside = |name: &str| name.replacen("model.", "language_model.model.", 1);
    let views = file.iter().map(|(name, view)| (inside(name), view));
    let views = views.chain([("vision_tower.patch.weight".to_owned(), picture)]);
    fs::write(whole.path().join("model.safetensors"), safetensors::serialize(views, None).unwrap()).unwrap();
    let config = json!({"model_type": "gemma3", "text_config": zoo::configuration("gemma3")});
    fs::write(whole.path().join("config.json"), config.to_string()).unwrap();

    let [ours, theirs] = [&whole, &text].map(|f| zoo::logits(&Model::open(Fused::new(1).unwrap(), f.path()).unwrap()));
    assert_eq!(ours, theirs);
    let spec = LoraSpec::new(2, 2.0, Targets::Named(vec!["q_proj".to_owned()]), 3);
    let config = ModelConfig::read(whole.path(), None).unwrap();
    let source = WeightSource::Files(ModelFiles::open(whole.path()).unwrap());
    let model = Model::build(Fused::new(1).unwrap(), config, &source, &Trainable::Lora(spec), 0).unwrap();
    let first = "base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight";
    assert_eq!(model.parameters()[0].name, first);
    let everything = Model::build(Fused::new(1).unwrap(), model.config().clone(), &source, &Trainable::Everything, 0);
    insta::assert_snapshot!(zoo::message(everything, whole.path()), @"a `gemma3` model with a part that sees pictures, which would be lost, cannot be trained whole; train an adapter on it");
}
