//! A base that is kept in fewer bits while it is used.

use lorikeet_models::{
    Backend, Composed, Fused, LoraSpec, Misfits, Model, ModelConfig, ModelFiles, Precision, Quantise, Targets, Tokens,
    Trainable, WeightSource,
};
use serde_json::json;

use crate::zoo;

/// A model with rows of 256 and of 96 numbers.
fn wide() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({
        "model_type": "llama", "vocab_size": 40, "hidden_size": 256, "intermediate_size": 96, "num_hidden_layers": 1,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 16, "rms_norm_eps": 1e-5,
        "hidden_act": "silu", "tie_word_embeddings": false
    });
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let read = ModelConfig::read(folder.path(), None).unwrap();
    let source = WeightSource::Fresh { folder: folder.path().to_owned(), seed: 5, deviation: 0.06 };
    let model = Model::build(Fused::new(1).unwrap(), read, &source, &Trainable::Everything, 5).unwrap();
    model.save_whole(folder.path(), Precision::Bf16, &[]).unwrap();
    folder
}

fn logits<B: Backend>(model: &Model<B>) -> Vec<f32> {
    let tokens = Tokens::from_sequences(&[[3u32, 39, 0, 7, 7, 21]]);
    model.backend().download(&model.logits(&tokens).unwrap()).unwrap()
}

fn relative(found: &[f32], expected: &[f32]) -> f32 {
    let squares = |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|v| v * v).sum::<f32>();
    (squares(&mut found.iter().zip(expected).map(|(a, b)| a - b)) / squares(&mut expected.iter().copied())).sqrt()
}

#[test]
fn fewer_bits_blur_a_model_and_no_more() {
    let folder = wide();
    let dense = logits(&Model::open(Fused::new(1).unwrap(), folder.path()).unwrap());
    for (quantise, most, misfits) in [
        (Quantise::Q8_0, 0.02, Misfits::default()),
        // The down projection has rows of 96 numbers.
        (Quantise::Q4K, 0.15, Misfits { in_q8_0: 1, as_stored: 0 }),
    ] {
        let model = Model::open_quantised(Fused::new(1).unwrap(), folder.path(), None, Some(quantise)).unwrap();
        let found = logits(&model);
        let blur = relative(&found, &dense);
        assert!(blur > 0.0 && blur < most, "{}: {blur}", quantise.name());
        assert_eq!((model.quantised(), model.misfits()), (Some(quantise), &misfits));
        let composed = Model::open_quantised(Composed::cpu(), folder.path(), None, Some(quantise)).unwrap();
        assert!(relative(&logits(&composed), &found) < 1e-5, "{}", quantise.name());
    }
}

#[test]
fn an_adapter_is_read_back_over_the_same_bits() {
    let (folder, out) = (wide(), tempfile::tempdir().unwrap());
    let config = ModelConfig::read(folder.path(), None).unwrap();
    let source = WeightSource::Files(ModelFiles::open(folder.path()).unwrap().quantised(Some(Quantise::Q4K)));
    let lora = Trainable::Lora(LoraSpec::new(2, 4.0, Targets::AllLinear, 1));
    let backend = Fused::new(1).unwrap();
    let mut model = Model::build(backend.clone(), config, &source, &lora, 0).unwrap();
    zoo::disturb(&mut model);
    model.save_adapter(out.path(), "base").unwrap();
    let probe = Tokens::from_sequences(&[[1u32, 2, 3]]);
    let difference = model.compare_with_adapter(out.path(), &probe).unwrap();
    assert_eq!(difference, 0.0);
    let dense = Model::open_with_adapter(backend, folder.path(), out.path()).unwrap();
    assert!(relative(&logits(&dense), &logits(&model)) > 0.0);
}

#[test]
fn what_does_not_fit_is_said() {
    let folder = zoo::folder("llama untied");
    let model = Model::open_quantised(Fused::new(1).unwrap(), folder.path(), None, Some(Quantise::Q4K)).unwrap();
    assert_eq!(zoo::logits(&model), zoo::logits(&Model::open(Fused::new(1).unwrap(), folder.path()).unwrap()));
    let told = model.misfits().sentence().unwrap();
    assert_eq!(told, "of the base's matrices, whose rows are no whole number of blocks, 16 stay as they are");
    let both = Misfits { in_q8_0: 2, as_stored: 1 }.sentence().unwrap();
    assert!(both.ends_with("blocks, 2 are kept in q8_0 and 1 stay as they are"), "{both}");
    assert_eq!(Misfits::default().sentence(), None);
}

#[test]
fn a_gguf_file_is_not_trained_whole() {
    let folder = zoo::folder("llama untied");
    let file = folder.path().join("model.gguf");
    crate::gguf::write(folder.path(), &file, lorikeet_models::gguf::GgufRecipe::F32).unwrap();
    let config = ModelConfig::read(&file, None).unwrap();
    let source = WeightSource::Files(ModelFiles::open(&file).unwrap());
    let refused = Model::build(Fused::new(1).unwrap(), config, &source, &Trainable::Everything, 0);
    insta::assert_snapshot!(zoo::message(refused, folder.path()), @"a `llama` model in a GGUF file cannot be trained whole; train an adapter on it, or take its safetensors");
}
