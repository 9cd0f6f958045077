//! Exports: a merged model and an adapter in another program's form say the same as the adapter over its base, and are
//! refused where they could not.

use std::{fs, path::Path};

use lorikeet_models::{
    AdapterFiles, AdapterForm, Fused, LoraSpec, Model, ModelConfig, ModelFiles, Precision, Targets, Trainable,
    WeightSource,
    export::{Merged, write_gguf_adapter, write_mlx, write_peft},
    gguf::GgufRecipe,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::zoo;

fn fused() -> Fused {
    Fused::new(1).unwrap()
}

/// A base, an adapter over it with random A and B, and their logits together.
fn adapted(name: &str, spec: LoraSpec) -> (TempDir, TempDir, Vec<f32>) {
    let (base, adapter) = (zoo::folder(name), tempfile::tempdir().unwrap());
    let config = ModelConfig::read(base.path(), None).unwrap();
    let source = WeightSource::Files(ModelFiles::open(base.path()).unwrap());
    let mut model = Model::build(fused(), config, &source, &Trainable::Lora(spec), 0).unwrap();
    zoo::disturb(&mut model);
    model.save_adapter(adapter.path(), "base").unwrap();
    let logits = zoo::logits(&model);
    (base, adapter, logits)
}

fn everything() -> LoraSpec {
    LoraSpec::new(2, 4.0, Targets::AllLinear, 3)
}

/// Modules with ranks and factors of their own.
fn patterned() -> LoraSpec {
    let mut spec = everything();
    spec.rank_stabilised = true;
    spec.rank_pattern = vec![("q_proj".to_owned(), 3)];
    spec.alpha_pattern = vec![("down_proj".to_owned(), 1.5)];
    spec
}

fn merge(base: &Path, adapter: Option<&Path>, precision: Option<Precision>, to: &Path) {
    let merged = Merged::open(fused(), base, adapter).unwrap();
    merged.write(to, precision, &[], &mut |_, _| true).unwrap();
}

fn apart(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |m, (a, b)| m.max((a - b).abs()))
}

#[test]
fn a_merged_model_says_what_the_adapter_said_over_its_base() {
    for (name, _) in zoo::configurations() {
        let (base, adapter, tuned) = adapted(name, everything());
        let out = tempfile::tempdir().unwrap();
        merge(base.path(), Some(adapter.path()), None, out.path());
        let merged = zoo::logits(&Model::open(fused(), out.path()).unwrap());
        assert!(apart(&merged, &tuned) < 1e-4, "{name}: {}", apart(&merged, &tuned));
        let stored = |folder: &Path| ModelFiles::open(folder).unwrap().names().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(stored(out.path()), stored(base.path()), "{name}");
    }
}

#[test]
fn a_merged_model_is_narrowed_once_at_the_end() {
    let (base, adapter, tuned) = adapted("qwen3", patterned());
    for (precision, name, tolerance) in [(Precision::F16, "float16", 0.1), (Precision::Bf16, "bfloat16", 0.6)] {
        let out = tempfile::tempdir().unwrap();
        merge(base.path(), Some(adapter.path()), Some(precision), out.path());
        let merged = zoo::logits(&Model::open(fused(), out.path()).unwrap());
        let difference = apart(&merged, &tuned);
        assert!(difference > 0.0 && difference < tolerance, "{name}: {difference}");
        let config: Value = serde_json::from_slice(&fs::read(out.path().join("config.json")).unwrap()).unwrap();
        assert_eq!(config["dtype"], json!(name));
    }
}

#[test]
fn a_body_published_alone_gets_its_prefix_back_with_the_head() {
    let (base, adapter, tuned) = adapted("bert", everything());
    // As sentence encoders are published: no prefix, no classifier.
    let files = ModelFiles::open(base.path()).unwrap();
    let bodies: Vec<(String, Vec<usize>, Vec<u8>)> = files
        .names()
        .filter_map(|name| {
            let short = name.strip_prefix("bert.")?.to_owned();
            let bytes = files.matrix(name).unwrap()?.to_f32().iter().flat_map(|v| v.to_le_bytes()).collect();
            Some((short, files.shape(name)?.to_vec(), bytes))
        })
        .collect();
    let views = bodies.iter().map(|(name, dims, bytes)| {
        (name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, dims.clone(), bytes).unwrap())
    });
    let body = tempfile::tempdir().unwrap();
    safetensors::serialize_to_file(views, None, &body.path().join("model.safetensors")).unwrap();
    let mut config: Value = serde_json::from_slice(&fs::read(base.path().join("config.json")).unwrap()).unwrap();
    config["architectures"] = json!(["BertModel"]);
    fs::write(body.path().join("config.json"), config.to_string()).unwrap();
    let out = tempfile::tempdir().unwrap();
    merge(body.path(), Some(adapter.path()), None, out.path());
    let merged = zoo::logits(&Model::open(fused(), out.path()).unwrap());
    assert!(apart(&merged, &tuned) < 1e-4, "{}", apart(&merged, &tuned));
    let stored = ModelFiles::open(out.path()).unwrap();
    assert!(stored.names().all(|name| name.starts_with("bert.") || name.starts_with("classifier.")));
    let config: Value = serde_json::from_slice(&fs::read(out.path().join("config.json")).unwrap()).unwrap();
    assert_eq!(config["architectures"], json!(["BertForSequenceClassification"]));
}

#[test]
fn an_adapter_goes_to_mlx_and_comes_back() {
    for (name, spec) in [("llama untied", everything()), ("qwen2", patterned()), ("qwen3", patterned())] {
        let (base, adapter, tuned) = adapted(name, spec);
        let (mlx, peft) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let files = AdapterFiles::open(adapter.path()).unwrap();
        write_mlx(&files, &ModelConfig::read(base.path(), None).unwrap(), "base", mlx.path()).unwrap();
        let read = AdapterFiles::open(mlx.path()).unwrap();
        assert_eq!((read.form, read.config.base_model.as_str()), (AdapterForm::Mlx, "base"));
        let said = zoo::logits(&Model::open_with_adapter(fused(), base.path(), mlx.path()).unwrap());
        assert!(apart(&said, &tuned) < 1e-4, "{name}: {}", apart(&said, &tuned));
        // And back: PEFT's form of MLX's adapter.
        write_peft(&read, peft.path()).unwrap();
        let said = zoo::logits(&Model::open_with_adapter(fused(), base.path(), peft.path()).unwrap());
        assert!(apart(&said, &tuned) < 1e-4, "{name}: {}", apart(&said, &tuned));
    }
}

#[test]
fn mlx_keeps_both_halves_transposed_and_the_scale_as_it_stands() {
    let (base, adapter, _) = adapted("llama untied", everything());
    let out = tempfile::tempdir().unwrap();
    let files = AdapterFiles::open(adapter.path()).unwrap();
    write_mlx(&files, &ModelConfig::read(base.path(), None).unwrap(), "base", out.path()).unwrap();
    let config: Value = serde_json::from_slice(&fs::read(out.path().join("adapter_config.json")).unwrap()).unwrap();
    assert_eq!(config["lora_parameters"]["scale"], json!(2.0));
    assert_eq!(config["num_layers"], json!(2));
    let keys = config["lora_parameters"]["keys"].as_array().unwrap();
    assert!(keys.contains(&json!("self_attn.q_proj")) && keys.len() == 7, "{keys:?}");
    let stored = ModelFiles::open_file(&out.path().join("adapters.safetensors")).unwrap();
    assert_eq!(stored.shape("model.layers.0.mlp.down_proj.lora_a"), Some([12, 2].as_slice()));
    assert_eq!(stored.shape("model.layers.0.mlp.down_proj.lora_b"), Some([2, 8].as_slice()));
}

#[test]
fn an_adapter_goes_to_gguf_and_comes_back_over_both_bases() {
    for (name, spec) in [("llama untied", everything()), ("llama tied", patterned()), ("qwen3", patterned())] {
        let (base, adapter, tuned) = adapted(name, spec);
        let (out, whole, peft) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (config, file) = (ModelConfig::read(base.path(), None).unwrap(), out.path().join("adapter.gguf"));
        write_gguf_adapter(&AdapterFiles::open(adapter.path()).unwrap(), &config, "base", &file).unwrap();
        let read = AdapterFiles::open(&file).unwrap();
        assert_eq!((read.form, read.config.base_model.as_str()), (AdapterForm::Gguf, "base"));
        assert_eq!(AdapterForm::of(out.path()), Some(AdapterForm::Gguf), "the folder that holds it is as good");
        for place in [file.as_path(), out.path()] {
            let said = zoo::logits(&Model::open_with_adapter(fused(), base.path(), place).unwrap());
            assert!(apart(&said, &tuned) < 1e-4, "{name}: {}", apart(&said, &tuned));
        }
        write_peft(&read.over(&config).unwrap(), peft.path()).unwrap();
        let said = zoo::logits(&Model::open_with_adapter(fused(), base.path(), peft.path()).unwrap());
        assert!(apart(&said, &tuned) < 1e-4, "{name}: {}", apart(&said, &tuned));
        let model = whole.path().join("base.gguf");
        let merged = Merged::open(fused(), base.path(), None).unwrap();
        merged.write_gguf(&model, GgufRecipe::F32, Vec::new(), &mut |_, _| true).unwrap();
        let said = zoo::logits(&Model::open_with_adapter(fused(), &model, &file).unwrap());
        assert!(apart(&said, &tuned) < 1e-4, "{name} over GGUF: {}", apart(&said, &tuned));
    }
}

#[test]
fn a_merged_model_goes_to_gguf() {
    for name in ["llama untied", "llama tied", "qwen2", "qwen3"] {
        let (base, adapter, tuned) = adapted(name, everything());
        let out = tempfile::tempdir().unwrap();
        let merged = Merged::open(fused(), base.path(), Some(adapter.path())).unwrap();
        for (recipe, tolerance) in [(GgufRecipe::F32, 1e-4), (GgufRecipe::F16, 0.1)] {
            let file = out.path().join(format!("{}.gguf", recipe.name()));
            merged.write_gguf(&file, recipe, Vec::new(), &mut |_, _| true).unwrap();
            let said = zoo::logits(&Model::open(fused(), &file).unwrap());
            assert!(apart(&said, &tuned) < tolerance, "{name} {}: {}", recipe.name(), apart(&said, &tuned));
        }
        let file = out.path().join("stopped.gguf");
        let stopped = merged.write_gguf(&file, GgufRecipe::F32, Vec::new(), &mut |done, _| done < 3);
        assert!(stopped.is_err() && !file.exists());
        assert_eq!(fs::read_dir(out.path()).unwrap().count(), 2);
    }
}

#[test]
fn what_has_no_place_in_a_form_is_refused() {
    let (base, adapter, _) = adapted("bert", everything());
    let out = tempfile::tempdir().unwrap();
    let files = AdapterFiles::open(adapter.path()).unwrap();
    let refused = write_mlx(&files, &ModelConfig::read(base.path(), None).unwrap(), "base", out.path());
    insta::assert_snapshot!(zoo::message(refused, out.path()), @"a `bert` model gives labels, and mlx-lm loads adapters of models that write only; export as `peft` or `merged`");
    let nothing = AdapterFiles::open(out.path());
    insta::assert_snapshot!(zoo::message(nothing, out.path()), @"`folder` holds no adapter: expected `adapter_config.json` with `adapter_model.safetensors` (PEFT) or `adapters.safetensors` (MLX), or a GGUF adapter");
    fs::remove_file(adapter.path().join("adapter_model.safetensors")).unwrap();
    fs::write(adapter.path().join("adapter_model.bin"), [0x80, 0x02]).unwrap();
    let pickle = AdapterFiles::open(adapter.path());
    insta::assert_snapshot!(zoo::message(pickle, adapter.path()), @"the adapter in `folder` uses `adapter_model.bin, a pickle; save it again as adapter_model.safetensors`, which Lorikeet does not read");
    let (_other, foreign, _) = adapted("qwen3", everything());
    let Err(error) = Merged::open(fused(), base.path(), Some(foreign.path())) else { panic!("it was not refused") };
    let said = error.to_string().replace(&*foreign.path().to_string_lossy(), "folder");
    insta::assert_snapshot!(said, @"the adapter in `folder` does not fit this model: the model has no `model.layers.0.mlp.down_proj`");
}

#[test]
fn a_stopped_merge_leaves_no_model_behind() {
    let (base, adapter, _) = adapted("llama tied", everything());
    let out = tempfile::tempdir().unwrap();
    let merged = Merged::open(fused(), base.path(), Some(adapter.path())).unwrap();
    let mut heard = Vec::new();
    let stopped = merged.write(out.path(), None, &[], &mut |done, total| {
        heard.push((done, total));
        heard.len() < 3
    });
    assert_eq!(zoo::message(stopped, out.path()), "it was stopped, and nothing was kept");
    assert!(heard.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 == pair[1].1));
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}
