//! Models into GGUF files and back.

use std::{fs, path::Path};

use lorikeet_models::{
    Composed, Fused, HostMatrix, Model, ModelConfig, ModelFiles, Precision,
    gguf::{GgufNames, GgufRecipe, GgufTensor, write_adapter_tensors, write_gguf},
    hash_folder,
};
use serde_json::{Map, Value};

use crate::zoo;

fn fused() -> Fused {
    Fused::new(1).unwrap()
}

/// The model in `folder` as a GGUF file.
pub fn write(folder: &Path, to: &Path, recipe: GgufRecipe) -> lorikeet_models::Result<Vec<(String, Precision)>> {
    let (config, files) = (ModelConfig::read(folder, None)?, ModelFiles::open(folder)?);
    let tensor = |name: &str| GgufTensor { name: name.to_owned(), dims: files.shape(name).unwrap().to_vec() };
    let tensors: Vec<GgufTensor> = files.names().map(tensor).collect();
    write_gguf(to, &config, Vec::new(), &tensors, recipe, |t| Ok(files.matrix(&t.name)?.unwrap()))
}

fn decoders() -> impl Iterator<Item = &'static str> {
    // Those whose options all have a place in the metadata.
    let told = |name: &str| ["llama", "qwen", "gpt2"].iter().any(|family| name.starts_with(family)) || name == "gemma";
    let in_gguf = |config: &Value| GgufNames::of_model_type(config["model_type"].as_str().unwrap()).is_some();
    let found = zoo::configurations().into_iter().filter(move |(name, config)| in_gguf(config) && told(name));
    found.map(|(name, _)| name).filter(|name| !name.contains("labels"))
}

#[test]
fn a_model_is_the_same_in_a_gguf_file() {
    for name in decoders() {
        let (folder, out) = (zoo::folder(name), tempfile::tempdir().unwrap());
        let file = out.path().join("model.gguf");
        write(folder.path(), &file, GgufRecipe::F32).unwrap();
        let (ours, theirs) = (ModelConfig::read(folder.path(), None).unwrap(), ModelConfig::read(&file, None).unwrap());
        assert_eq!(ours.architecture, theirs.architecture, "{name}");
        let expected = zoo::logits(&Model::open(fused(), folder.path()).unwrap());
        // The file itself, and the folder that holds it.
        for path in [&*file, out.path()] {
            let found = zoo::logits(&Model::open(fused(), path).unwrap());
            // GPT-2's weights lie the other way round there, and sums in another order; Gemma's norms are one larger.
            let apart = found.iter().zip(&expected).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
            assert!(found == expected || (["gpt2", "gemma"].contains(&name) && apart < 1e-5), "{name}: {apart}");
        }
        let composed = zoo::logits(&Model::open(Composed::cpu(), &file).unwrap());
        assert!(composed.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-4), "{name}");
        assert_eq!(hash_folder(&file).unwrap(), hash_folder(out.path()).unwrap());
    }
}

#[test]
fn a_recipe_chooses_for_each_tensor() {
    let (folder, out) = (zoo::folder("llama untied"), tempfile::tempdir().unwrap());
    let file = out.path().join("model.gguf");
    let chosen = write(folder.path(), &file, GgufRecipe::Q4KM).unwrap();
    let of = |name: &str| chosen.iter().find(|(n, _)| n == name).unwrap().1;
    // Rows of 8 and 12 numbers are no whole number of blocks.
    assert_eq!((of("output.weight"), of("blk.1.ffn_down.weight")), (Precision::F16, Precision::F16));
    assert_eq!((of("output_norm.weight"), of("blk.0.attn_norm.weight")), (Precision::F32, Precision::F32));
    let dense = zoo::logits(&Model::open(fused(), folder.path()).unwrap());
    let found = zoo::logits(&Model::open(fused(), &file).unwrap());
    assert!(found != dense && found.iter().zip(&dense).all(|(a, b)| (a - b).abs() < 0.05));
}

#[test]
fn names_lead_there_and_back() {
    for (model_type, name, theirs) in [
        ("llama", "model.layers.11.self_attn.q_proj.weight", "blk.11.attn_q.weight"),
        ("mistral", "model.embed_tokens.weight", "token_embd.weight"),
        ("qwen3", "model.layers.0.self_attn.k_norm.weight", "blk.0.attn_k_norm.weight"),
        ("gemma", "model.layers.2.post_attention_layernorm.weight", "blk.2.ffn_norm.weight"),
        ("gemma2", "model.layers.2.post_feedforward_layernorm.weight", "blk.2.post_ffw_norm.weight"),
        ("gemma3_text", "model.layers.2.pre_feedforward_layernorm.weight", "blk.2.ffn_norm.weight"),
        ("phi3", "model.layers.7.mlp.gate_up_proj.weight", "blk.7.ffn_up.weight"),
        ("gpt2", "transformer.h.3.attn.c_attn.bias", "blk.3.attn_qkv.bias"),
    ] {
        let names = GgufNames::of_model_type(model_type).unwrap();
        let (found, change) = names.to_gguf(name).unwrap();
        assert_eq!(found, theirs, "{model_type}");
        assert_eq!(names.to_hugging_face(&found), Some((name.to_owned(), change)), "{model_type}");
        assert!(names.to_gguf("model.layers.x.nothing.weight").is_none() && names.to_hugging_face("blk.1").is_none());
    }
}

#[test]
fn the_rows_of_an_adapter_lie_as_those_of_its_base() {
    let (folder, out) = (zoo::folder("llama untied"), tempfile::tempdir().unwrap());
    let (file, config) = (out.path().join("adapter.gguf"), ModelConfig::read(folder.path(), None).unwrap());
    let column: Vec<f32> = (0..8).map(|n| n as f32).collect();
    let name = |part: &str| format!("model.layers.0.self_attn.q_proj.weight.{part}");
    let tensors = [
        (name("lora_a"), HostMatrix::from_f32(&column, 1, 8).unwrap()),
        (name("lora_b"), HostMatrix::from_f32(&column, 8, 1).unwrap()),
    ];
    write_adapter_tensors(&file, &config, &[], &tensors).unwrap();
    let bytes = fs::read(&file).unwrap();
    let header = lorikeet_gguf::Header::parse(&bytes).unwrap();
    let numbers = |i: usize| -> Vec<f32> {
        let start = header.tensors[i].start;
        bytes[start..start + 32].as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    };
    assert_eq!(
        (&*header.tensors[0].name, header.tensors[0].dims.as_slice()),
        ("blk.0.attn_q.weight.lora_a", &[1, 8][..])
    );
    assert_eq!(
        (&*header.tensors[1].name, header.tensors[1].dims.as_slice()),
        ("blk.0.attn_q.weight.lora_b", &[8, 1][..])
    );
    assert_eq!(numbers(0), column);
    // Two heads of four rows: first and second half interleaved.
    assert_eq!(numbers(1), [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
}

#[test]
fn llama_3_keeps_its_frequencies() {
    let (folder, out) = (zoo::folder("llama untied"), tempfile::tempdir().unwrap());
    let path = folder.path().join("config.json");
    let mut raw: Map<String, Value> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let scaling = serde_json::json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192});
    raw.insert("rope_scaling".to_owned(), scaling);
    raw.insert("rope_theta".to_owned(), 50_000_000.0.into());
    raw.insert("head_dim".to_owned(), 4.into());
    fs::write(&path, Value::Object(raw).to_string()).unwrap();
    let file = out.path().join("model.gguf");
    write(folder.path(), &file, GgufRecipe::F32).unwrap();
    let (ours, theirs) = (ModelConfig::read(folder.path(), None).unwrap(), ModelConfig::read(&file, None).unwrap());
    assert_eq!(ours.architecture, theirs.architecture);
}

#[test]
fn what_gguf_has_no_place_for_is_said() {
    let (folder, out) = (zoo::folder("bert"), tempfile::tempdir().unwrap());
    let refused = write(folder.path(), &out.path().join("model.gguf"), GgufRecipe::F32);
    insta::assert_snapshot!(zoo::message(refused, folder.path()), @"a `bert` model has no form in GGUF here; these have: llama, smollm3, qwen2, qwen3, gemma, gemma2, gemma3, phi3, gpt2");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}
