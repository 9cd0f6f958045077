//! Adapters: their folders go out and come back the same, they can be switched off and merged, and what does not fit is
//! refused.

use std::{fs, path::Path};

use lorikeet_models::{Fused, LoraSpec, Model, ModelConfig, ModelFiles, Targets, Trainable, WeightSource};
use serde_json::{Value, json};

use crate::zoo;

fn fused() -> Fused {
    Fused::new(1).unwrap()
}

fn spec(targets: &[&str]) -> LoraSpec {
    let targets = targets.iter().map(|t| (*t).to_owned()).collect();
    LoraSpec::new(2, 4.0, Targets::Named(targets), 3)
}

/// The model in `folder` with an adapter whose A and B are both random.
fn adapted(folder: &Path, spec: LoraSpec) -> Model<Fused> {
    let config = ModelConfig::read(folder, None).unwrap();
    let source = WeightSource::Files(ModelFiles::open(folder).unwrap());
    let mut model = Model::build(fused(), config, &source, &Trainable::Lora(spec), 0).unwrap();
    zoo::disturb(&mut model);
    model
}

/// Largest difference.
fn apart(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |m, (a, b)| m.max((a - b).abs()))
}

#[test]
fn a_fresh_adapter_changes_nothing_and_a_trained_one_can_be_switched_off_and_merged() {
    let names = ["llama untied", "qwen2", "bert", "distilbert", "roberta", "albert", "llama for labels"];
    for (name, dora) in names.into_iter().flat_map(|name| [(name, false), (name, true)]) {
        let folder = zoo::folder(name);
        let base = zoo::logits(&Model::open(fused(), folder.path()).unwrap());
        let everything = || LoraSpec { dora, ..LoraSpec::new(2, 4.0, Targets::AllLinear, 3) };
        let config = ModelConfig::read(folder.path(), None).unwrap();
        let source = WeightSource::Files(ModelFiles::open(folder.path()).unwrap());
        let fresh = Model::build(fused(), config, &source, &Trainable::Lora(everything()), 0).unwrap();
        let off = apart(&zoo::logits(&fresh), &base);
        assert!(if dora { off < 1e-4 } else { off == 0.0 }, "{name}: {off}");
        let mut model = adapted(folder.path(), everything());
        let tuned = zoo::logits(&model);
        assert!(apart(&tuned, &base) > 0.1, "{name}: {}", apart(&tuned, &base));
        model.set_adapters(false);
        if model.config().labels.is_none() {
            assert_eq!(zoo::logits(&model), base, "{name}");
        }
        let switched_off = zoo::logits(&model);
        assert!(apart(&tuned, &switched_off) > 0.05, "{name}");
        model.set_adapters(true);
        model.merge().unwrap();
        let merged = zoo::logits(&model);
        let largest = tuned.iter().fold(1f32, |m, v| m.max(v.abs()));
        let tolerance = if dora { 1e-4 } else { 3e-5 };
        assert!(apart(&merged, &tuned) < tolerance * largest, "{name}: {}", apart(&merged, &tuned));
    }
}

#[test]
fn an_adapter_comes_back_as_it_went_out() {
    let mut patterns = spec(&["q_proj", "layers.1.mlp.down_proj"]);
    patterns.rank_stabilised = true;
    patterns.rank_pattern = vec![("q_proj".to_owned(), 3)];
    patterns.alpha_pattern = vec![("down_proj".to_owned(), 1.5)];
    let all = LoraSpec::new(2, 4.0, Targets::AllLinear, 3);
    let left_out = Some(Targets::Named(vec!["k_proj".to_owned()]));
    let cases = [
        ("llama untied", patterns),
        ("llama biased", LoraSpec { dora: true, dropout: 0.25, ..all.clone() }),
        ("bert", LoraSpec { dora: true, ..all.clone() }),
        ("llama tied", LoraSpec { layers: Some(vec![1]), exclude: left_out, ..all }),
        ("qwen3", LoraSpec::new(3, 6.0, Targets::AllLinear, 3)),
        ("bert", LoraSpec::new(2, 2.0, Targets::AllLinear, 3)),
        ("distilbert", spec(&["q_lin", "v_lin"])),
        // Maps outside the blocks get an adapter where they are named, as with PEFT.
        ("bert", spec(&["query", "dense"])),
        ("albert", spec(&["query", "embedding_hidden_mapping_in", "pooler"])),
        ("roberta", LoraSpec::new(2, 2.0, Targets::AllLinear, 3)),
        ("llama for labels", LoraSpec::new(2, 2.0, Targets::AllLinear, 3)),
    ];
    for (name, spec) in cases {
        let (base, out) = (zoo::folder(name), tempfile::tempdir().unwrap());
        let mut model = adapted(base.path(), spec);
        model.save_adapter(out.path(), "base").unwrap();
        let mut written: Vec<String> =
            fs::read_dir(out.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        written.sort();
        assert_eq!(written, ["adapter_config.json", "adapter_model.safetensors"], "{name}");
        let again = Model::open_with_adapter(fused(), base.path(), out.path()).unwrap();
        assert_eq!(zoo::logits(&model), zoo::logits(&again), "{name}");
        let probe = zoo::batch(&model).0;
        assert_eq!(model.compare_with_adapter(out.path(), &probe).unwrap(), 0.0);
    }
}

#[test]
fn the_target_modules_on_disk_mean_what_was_adapted_and_nothing_else() {
    let targets_of = |name: &str, spec: LoraSpec| {
        let (base, out) = (zoo::folder(name), tempfile::tempdir().unwrap());
        adapted(base.path(), spec).save_adapter(out.path(), "base").unwrap();
        let text = fs::read_to_string(out.path().join("adapter_config.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()["target_modules"].clone()
    };
    let all = || LoraSpec::new(2, 4.0, Targets::AllLinear, 3);
    assert_eq!(
        targets_of("llama tied", all()),
        json!(["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"])
    );
    // `dense` alone would reach BERT's pooler too.
    assert_eq!(targets_of("bert", all()), json!(["intermediate.dense", "key", "output.dense", "query", "value"]));
    assert_eq!(targets_of("llama tied", spec(&["1.self_attn.q_proj"])), json!(["1.self_attn.q_proj"]));
    let pattern = Targets::Pattern(r".*\.(q|v)_proj".to_owned());
    assert_eq!(targets_of("llama tied", LoraSpec { targets: pattern, ..all() }), json!(["q_proj", "v_proj"]));
    let last = LoraSpec { layers: Some(vec![1]), ..spec(&["q_proj"]) };
    assert_eq!(targets_of("llama tied", last), json!(["q_proj"]));
}

/// What is said of an adapter for a tiny Llama after `edit` has been at its folder.
fn refusal(edit: impl FnOnce(&Path)) -> String {
    let (base, adapter) = (zoo::folder("llama untied"), tempfile::tempdir().unwrap());
    adapted(base.path(), spec(&["q_proj", "v_proj"])).save_adapter(adapter.path(), "base").unwrap();
    edit(adapter.path());
    zoo::message(Model::open_with_adapter(fused(), base.path(), adapter.path()), adapter.path())
}

/// As [`refusal`], with one key of the configuration set.
fn with(key: &str, value: Value) -> String {
    refusal(|folder| {
        let path = folder.join("adapter_config.json");
        let mut config: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        config[key] = value;
        fs::write(path, config.to_string()).unwrap();
    })
}

#[test]
fn an_adapter_folder_that_is_not_whole() {
    insta::assert_snapshot!(refusal(|f| fs::remove_file(f.join("adapter_config.json")).unwrap()), @"`folder` holds no adapter: expected `adapter_config.json` with `adapter_model.safetensors` (PEFT) or `adapters.safetensors` (MLX), or a GGUF adapter");
    insta::assert_snapshot!(refusal(|f| fs::remove_file(f.join("adapter_model.safetensors")).unwrap()), @"cannot read `folder/adapter_model.safetensors`: No such file or directory (os error 2)");
    insta::assert_snapshot!(refusal(|f| fs::write(f.join("adapter_config.json"), "{").unwrap()), @"`folder/adapter_config.json` is not valid JSON (line 1, column 1): EOF while parsing an object at line 1 column 1");
    insta::assert_snapshot!(refusal(|f| {
        let path = f.join("adapter_model.safetensors");
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    }), @"`folder/adapter_model.safetensors` is not a complete safetensors file (invalid header length); copy or download it again");
}

#[test]
fn an_adapter_that_does_not_fit() {
    insta::assert_snapshot!(with("r", json!(3)), @"the adapter in `folder` does not fit this model: `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight` has shape [2, 8] instead of [3, 8]");
    insta::assert_snapshot!(with("r", json!(0)), @"`folder/adapter_config.json` says `r`: 0, which is not a positive whole number");
    insta::assert_snapshot!(with("target_modules", json!(["q_proj"])), @"the adapter in `folder` does not fit this model: the model has no place for `base_model.model.model.layers.0.self_attn.v_proj.lora_A.weight`");
    insta::assert_snapshot!(with("target_modules", json!(["q_proj", "v_proj", "o_proj"])), @"the adapter in `folder` does not fit this model: it lacks `base_model.model.model.layers.0.self_attn.o_proj.lora_A.weight`");
    insta::assert_snapshot!(with("target_modules", json!(["q_proj", "v_proj", "query"])), @"no module of this model is called `query`; it has down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj");
    insta::assert_snapshot!(with("target_modules", json!(7)), @"`folder/adapter_config.json` says `target_modules`: 7, which is neither a list of names nor a pattern");
    insta::assert_snapshot!(with("target_modules", json!("q_(proj")), @"`q_(proj` is not a pattern of module names: unclosed group");
    insta::assert_snapshot!(with("layers_to_transform", json!([0, 7])), @"no module of layer 7 gets an adapter; layers are counted from 0, up to the model's last one");
}

#[test]
fn adapters_of_other_kinds() {
    insta::assert_snapshot!(with("use_dora", json!(true)), @"the adapter in `folder` does not fit this model: it lacks `base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector`");
    insta::assert_snapshot!(with("init_lora_weights", json!("pissa")), @r#"the adapter in `folder` uses `init_lora_weights: "pissa"`, which Lorikeet does not read"#);
    insta::assert_snapshot!(with("peft_type", json!("LOHA")), @r#"the adapter in `folder` uses `peft_type: "LOHA"`, which Lorikeet does not read"#);
    insta::assert_snapshot!(with("bias", json!("all")), @r#"the adapter in `folder` uses `bias: "all"`, which Lorikeet does not read"#);
    insta::assert_snapshot!(with("layers_to_transform", json!([1])), @"the adapter in `folder` does not fit this model: the model has no place for `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`");
}

#[test]
fn a_target_that_names_nothing() {
    let folder = zoo::folder("bert");
    let config = ModelConfig::read(folder.path(), None).unwrap();
    let source = WeightSource::Files(ModelFiles::open(folder.path()).unwrap());
    let lora = Trainable::Lora(spec(&["q_proj", "query"]));
    insta::assert_snapshot!(zoo::message(Model::build(fused(), config, &source, &lora, 0), folder.path()), @"no module of this model is called `q_proj`; it has dense, key, query, value");
}

#[test]
fn a_model_without_an_adapter_has_none_to_save() {
    let folder = zoo::folder("qwen2");
    let model = Model::open(fused(), folder.path()).unwrap();
    insta::assert_snapshot!(zoo::message(model.save_adapter(folder.path(), "base"), folder.path()), @"a `qwen2` model without an adapter has none to save; save the whole model");
    assert!(!folder.path().join("adapter_config.json").exists());
}
