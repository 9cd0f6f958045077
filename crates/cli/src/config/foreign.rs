//! Configurations written for other trainers, mlx-lm's and Axolotl's, in our keys. One table each says which key is which of
//! ours; where the units differ a line of code says how. What has no counterpart is named to the user in one message, never
//! dropped in silence; what changes nothing about a result (where it is logged, how it is computed) is passed over.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Map, Value, json};

use lorikeet_api::wire::SettingCondition;

use crate::declared;

/// A configuration in our keys.
#[derive(Debug, Default, PartialEq)]
pub struct Translated {
    /// Whose it was.
    pub trainer: &'static str,
    /// Our keys.
    pub keys: BTreeMap<String, Value>,
    /// Keys that have no counterpart, as they were written.
    pub left: Vec<String>,
    /// Adapters only on so many last layers.
    pub last_layers: Option<u64>,
}

/// A key of another trainer and its counterpart here.
type Row = (&'static str, &'static str);

const MLX: &[Row] = &[
    ("model", "model"),
    ("batch_size", "batch_size"),
    ("learning_rate", "learning_rate"),
    ("max_seq_length", "max_length"),
    ("grad_accumulation_steps", "gradient_accumulation"),
    ("seed", "seed"),
    ("adapter_path", "output"),
    ("resume_adapter_file", "initial_adapter"),
];

/// What changes nothing about a result.
const MLX_PASSED_OVER: &[&str] = &[
    "train",
    "test",
    "test_batches",
    "val_batches",
    "steps_per_report",
    "wandb",
    "report_to",
    "project_name",
    "config",
    "clear_cache_threshold",
];

const AXOLOTL: &[Row] = &[
    ("base_model", "model"),
    ("output_dir", "output"),
    ("sequence_len", "max_length"),
    ("micro_batch_size", "batch_size"),
    ("gradient_accumulation_steps", "gradient_accumulation"),
    ("num_epochs", "epochs"),
    ("max_steps", "steps"),
    ("learning_rate", "learning_rate"),
    ("weight_decay", "weight_decay"),
    ("warmup_ratio", "warmup"),
    ("warmup_steps", "warmup_steps"),
    ("max_grad_norm", "max_gradient_norm"),
    ("adam_beta1", "beta1"),
    ("adam_beta2", "beta2"),
    ("adam_epsilon", "epsilon"),
    ("eval_steps", "evaluate_every"),
    ("save_steps", "save_every"),
    ("save_total_limit", "keep_checkpoints"),
    ("early_stopping_patience", "early_stopping"),
    ("lora_r", "rank"),
    ("lora_alpha", "alpha"),
    ("lora_dropout", "dropout"),
    ("peft_use_dora", "dora"),
    ("peft_use_rslora", "rank_stabilised"),
    ("loraplus_lr_ratio", "lora_plus_ratio"),
    ("neftune_noise_alpha", "neftune_alpha"),
    ("label_smoothing_factor", "label_smoothing"),
    ("sample_packing", "packing"),
    ("lora_model_dir", "initial_adapter"),
    ("val_set_size", "validation_split"),
    ("seed", "seed"),
];

const AXOLOTL_PASSED_OVER: &[&str] = &[
    "model_type",
    "tokenizer_type",
    "tokenizer_use_fast",
    "is_llama_derived_model",
    "trust_remote_code",
    "strict",
    "dataset_prepared_path",
    "dataset_processes",
    "pad_to_sequence_len",
    "eval_sample_packing",
    "group_by_length",
    "bf16",
    "fp16",
    "tf32",
    "bfloat16",
    "float16",
    "logging_steps",
    "flash_attention",
    "xformers_attention",
    "sdp_attention",
    "debug",
    "deepspeed",
    "fsdp",
    "fsdp_config",
    "local_rank",
    "hub_model_id",
    "hub_strategy",
    "save_safetensors",
    "wandb_project",
    "wandb_entity",
    "wandb_watch",
    "wandb_name",
    "wandb_log_model",
    "wandb_run_id",
    "mlflow_tracking_uri",
    "auto_resume_from_checkpoints",
    "lora_fan_in_fan_out",
    "gradient_checkpointing_kwargs",
    "liger_rope",
    "liger_rms_norm",
    "liger_glu_activation",
    "plugins",
];

/// The configuration in our keys, where its own keys tell that it is another trainer's. `exists` says whether a file is there.
pub fn translate(raw: &BTreeMap<String, Value>, exists: &dyn Fn(&Path) -> bool) -> Option<Translated> {
    let has = |key: &str| raw.contains_key(key);
    if has("base_model") && ["datasets", "micro_batch_size", "sequence_len", "adapter"].into_iter().any(has) {
        return Some(axolotl(raw));
    }
    let is_mlx = ["iters", "lora_parameters", "fine_tune_type", "steps_per_eval", "num_layers"].into_iter().any(has);
    is_mlx.then(|| mlx(raw, exists))
}

/// The work on one configuration: keys that are taken from it, one after the other.
struct Work {
    from: BTreeMap<String, Value>,
    to: Translated,
    /// What they call our settings.
    theirs: BTreeMap<&'static str, &'static str>,
}

impl Work {
    fn new(trainer: &'static str, raw: &BTreeMap<String, Value>, passed_over: &[&str], rows: &[Row]) -> Self {
        let mut from = raw.clone();
        // An empty key says nothing, as in their own readers.
        from.retain(|key, value| !value.is_null() && !passed_over.contains(&key.as_str()));
        let to = Translated { trainer, ..Translated::default() };
        let mut work = Self { from, to, theirs: rows.iter().map(|(theirs, ours)| (*ours, *theirs)).collect() };
        for (theirs, ours) in rows {
            if is_known(ours)
                && let Some(value) = work.from.remove(*theirs)
            {
                work.set(ours, value);
            }
        }
        work
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.from.remove(key)
    }

    fn set(&mut self, ours: &str, value: impl Into<Value>) {
        self.to.keys.insert(ours.to_owned(), value.into());
    }

    /// Whatever is left has no counterpart, and neither has what does not matter for the method: their files often keep the
    /// shape of an adapter where none is trained.
    fn done(mut self) -> Translated {
        let method = self.to.keys.get("method").and_then(Value::as_str).unwrap_or("lora").to_owned();
        let unmet = |when: &SettingCondition| when.subject == "method" && !when.words.contains(&method);
        for spec in declared::settings().iter().filter(|spec| spec.when.iter().any(unmet)) {
            if self.to.keys.remove(&spec.name).is_some() {
                let theirs = self.theirs.get(spec.name.as_str()).map_or(spec.name.as_str(), |theirs| theirs);
                self.to.left.push(theirs.to_owned());
            }
        }
        self.to.left.extend(self.from.into_keys());
        self.to.left.sort();
        self.to
    }

    fn leave(&mut self, key: &str) {
        self.to.left.push(key.to_owned());
    }
}

fn is_known(ours: &str) -> bool {
    super::WORDS.contains(&ours) || declared::settings().iter().any(|spec| spec.name == ours)
}

/// mlx-lm counts iterations, of which `grad_accumulation_steps` make a step; its scale is a factor, ours alpha over rank.
fn mlx(raw: &BTreeMap<String, Value>, exists: &dyn Fn(&Path) -> bool) -> Translated {
    let mut work = Work::new("mlx-lm", raw, MLX_PASSED_OVER, MLX);
    let per_step = raw.get("grad_accumulation_steps").and_then(Value::as_u64).unwrap_or(1).max(1);
    for (theirs, ours) in [("iters", "steps"), ("steps_per_eval", "evaluate_every"), ("save_every", "save_every")] {
        if let Some(n) = work.take(theirs).as_ref().and_then(Value::as_u64) {
            work.set(ours, n.div_ceil(per_step));
        }
    }
    match work.take("fine_tune_type").as_ref().and_then(Value::as_str) {
        Some("full") => work.set("method", "full"),
        Some("dora") => work.set("dora", true),
        _ => {}
    }
    // Minus one, like nothing, means all of them.
    let layers = work.take("num_layers").as_ref().and_then(Value::as_u64);
    work.to.last_layers = layers.filter(|n| *n > 0);
    if let Some(Value::Object(lora)) = work.take("lora_parameters") {
        mlx_adapter(&mut work, lora);
    }
    // What is asked is never learned from here.
    if work.take("mask_prompt") == Some(json!(false)) {
        work.leave("mask_prompt");
    }
    if work.take("grad_checkpoint") == Some(json!(true)) {
        work.set("recompute", "on");
    }
    match work.take("optimizer").as_ref().and_then(Value::as_str) {
        // Their Adam has no decay of weights.
        Some("adam") => work.set("weight_decay", 0.0),
        Some("adamw") | None => {}
        Some(_) => work.leave("optimizer"),
    }
    if let Some(Value::Object(schedule)) = work.take("lr_schedule") {
        mlx_schedule(&mut work, &schedule);
    }
    if let Some(data) = work.take("data").as_ref().and_then(Value::as_str) {
        let folder = Path::new(data);
        let part = |name: &str| Some(folder.join(name)).filter(|file| exists(file));
        match part("train.jsonl") {
            Some(file) => work.set("data", file.display().to_string()),
            None => work.set("data", data),
        }
        if let Some(file) = part("valid.jsonl") {
            work.set("validation", file.display().to_string());
        }
    }
    work.done()
}

fn mlx_adapter(work: &mut Work, mut lora: Map<String, Value>) {
    let rank = lora.remove("rank");
    let scale = lora.remove("scale").as_ref().and_then(Value::as_f64);
    // Their rank is 8 where none is given.
    let of_scale = rank.as_ref().and_then(Value::as_f64).unwrap_or(8.0);
    if let Some(scale) = scale {
        work.set("alpha", scale * of_scale);
    }
    if let Some(rank) = rank {
        work.set("rank", rank);
    }
    for (theirs, ours) in [("dropout", "dropout"), ("keys", "target_modules")] {
        if let Some(value) = lora.remove(theirs) {
            work.set(ours, value);
        }
    }
    for key in lora.into_iter().map(|(key, _)| key) {
        work.leave(&format!("lora_parameters.{key}"));
    }
}

fn mlx_schedule(work: &mut Work, schedule: &Map<String, Value>) {
    match schedule.get("name").and_then(Value::as_str) {
        Some("cosine_decay") => work.set("schedule", "cosine"),
        Some("linear_schedule") => work.set("schedule", "linear"),
        _ => return work.leave("lr_schedule"),
    }
    if let Some(peak) = schedule.get("arguments").and_then(|list| list.get(0)).filter(|peak| peak.is_number()) {
        work.set("learning_rate", peak.clone());
    }
    if let Some(warmup) = schedule.get("warmup").filter(|n| n.is_u64()) {
        work.set("warmup_steps", warmup.clone());
    }
}

/// Axolotl's batches are ours; its share kept aside may also be a number of rows.
fn axolotl(raw: &BTreeMap<String, Value>) -> Translated {
    let mut work = Work::new("Axolotl", raw, AXOLOTL_PASSED_OVER, AXOLOTL);
    match work.take("adapter").as_ref().and_then(Value::as_str) {
        Some("lora") => {}
        Some("qlora") if is_known("quantize") => work.set("quantize", "q4_k"),
        Some("") | None => work.set("method", "full"),
        Some(other) => work.leave(&format!("adapter: {other}")),
    }
    for (key, kind) in [("load_in_4bit", "q4_k"), ("load_in_8bit", "q8_0")] {
        match work.take(key) {
            Some(Value::Bool(true)) if is_known("quantize") => work.set("quantize", kind),
            Some(Value::Bool(true)) => work.leave(key),
            _ => {}
        }
    }
    let modules = work.take("lora_target_modules");
    match work.take("lora_target_linear") {
        Some(Value::Bool(true)) => work.set("target_modules", json!(["all-linear"])),
        _ => drop(modules.map(|modules| work.set("target_modules", modules))),
    }
    if let Some(Value::Array(layers)) = work.take("peft_layers_to_transform") {
        work.set("layers", layers.iter().map(|n| Value::from(n.to_string())).collect::<Vec<_>>());
    }
    if work.take("gradient_checkpointing").is_some_and(|value| value != json!(false)) {
        work.set("recompute", "on");
    }
    match work.take("lr_scheduler").as_ref().and_then(Value::as_str) {
        Some(name @ ("cosine" | "linear" | "constant")) => work.set("schedule", name),
        Some("constant_with_warmup") => work.set("schedule", "constant"),
        Some(_) => work.leave("lr_scheduler"),
        None => {}
    }
    match work.take("optimizer").as_ref().and_then(Value::as_str) {
        None => {}
        // Variants of one optimiser that differ in how it is computed.
        Some(name) if name.contains("adamw") => {}
        Some(_) => work.leave("optimizer"),
    }
    // Completions only are learned from anyway; whole conversations are not.
    if work.take("train_on_inputs") == Some(json!(true)) {
        work.leave("train_on_inputs");
    }
    // More than a share is a number of rows, which is not known here as a share.
    if work.to.keys.get("validation_split").and_then(Value::as_f64).is_some_and(|share| share >= 1.0) {
        work.to.keys.remove("validation_split");
        work.leave("val_set_size");
    }
    axolotl_data(&mut work);
    work.done()
}

/// One data set of a file; its form is told by its content here.
fn axolotl_data(work: &mut Work) {
    for (theirs, ours) in [("datasets", "data"), ("test_datasets", "validation")] {
        let Some(Value::Array(sets)) = work.take(theirs) else { continue };
        let first = sets.first().and_then(|set| set.get("data_files").or_else(|| set.get("path")));
        let first = first.map(|file| file.get(0).unwrap_or(file)).and_then(Value::as_str);
        if let Some(file) = first {
            work.set(ours, file);
        }
        if sets.len() > 1 {
            work.leave(&format!("{theirs} after the first"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, files: &[&str]) -> String {
        let raw: BTreeMap<String, Value> = serde_norway::from_str(text).unwrap();
        let translated = translate(&raw, &|path| files.iter().any(|file| Path::new(file) == path)).unwrap();
        let keys = translated.keys.iter().map(|(key, value)| format!("{key}: {value}\n")).collect::<String>();
        let layers = translated.last_layers.map(|n| format!("last layers: {n}\n")).unwrap_or_default();
        format!("{} in our keys:\n{keys}{layers}left: {}", translated.trainer, translated.left.join(", "))
    }

    #[test]
    fn a_file_of_mlx_lm() {
        let text = "model: \"models/SmolLM2-135M-Instruct\"\ntrain: true\nfine_tune_type: lora\noptimizer: adamw\n\
                    data: \"mine\"\nseed: 0\nnum_layers: 16\nbatch_size: 4\niters: 1000\ngrad_accumulation_steps: 4\n\
                    val_batches: 25\nlearning_rate: 1e-5\nsteps_per_report: 10\nsteps_per_eval: 200\n\
                    resume_adapter_file: null\nadapter_path: \"adapters\"\nsave_every: 100\ntest: false\n\
                    max_seq_length: 2048\ngrad_checkpoint: true\nmask_prompt: true\n\
                    lora_parameters:\n  keys: [\"self_attn.q_proj\", \"self_attn.v_proj\"]\n  rank: 16\n  scale: 2.5\n  dropout: 0.05\n\
                    lr_schedule:\n  name: cosine_decay\n  warmup: 100\n  warmup_init: 1e-7\n  arguments: [1.0e-4, 1000, 1.0e-7]\n";
        insta::assert_snapshot!(told(text, &["mine/train.jsonl", "mine/valid.jsonl"]), @r#"
        mlx-lm in our keys:
        alpha: 40.0
        batch_size: 4
        data: "mine/train.jsonl"
        dropout: 0.05
        evaluate_every: 50
        gradient_accumulation: 4
        learning_rate: 0.0001
        max_length: 2048
        model: "models/SmolLM2-135M-Instruct"
        output: "adapters"
        rank: 16
        recompute: "on"
        save_every: 25
        schedule: "cosine"
        seed: 0
        steps: 250
        target_modules: ["self_attn.q_proj","self_attn.v_proj"]
        validation: "mine/valid.jsonl"
        warmup_steps: 100
        last layers: 16
        left:
        "#);
    }

    #[test]
    fn a_file_of_axolotl() {
        let text = "base_model: NousResearch/Llama-3.2-1B\nmodel_type: LlamaForCausalLM\nload_in_8bit: false\n\
                    datasets:\n  - path: data/orders.jsonl\n    type: alpaca\nval_set_size: 0.05\noutput_dir: ./out\n\
                    adapter: lora\nsequence_len: 1024\nsample_packing: false\nlora_r: 32\nlora_alpha: 16\nlora_dropout: 0.05\n\
                    lora_target_linear: true\nlora_target_modules:\n  - q_proj\npeft_use_rslora: true\n\
                    gradient_accumulation_steps: 4\nmicro_batch_size: 2\nnum_epochs: 3\noptimizer: adamw_bnb_8bit\n\
                    lr_scheduler: cosine\nlearning_rate: 2.0e-4\ntrain_on_inputs: false\nbf16: auto\ntf32: false\n\
                    gradient_checkpointing: true\nwarmup_ratio: 0.1\nevals_per_epoch: 4\nweight_decay: 0.0\n\
                    special_tokens:\n  pad_token: \"<|end_of_text|>\"\nflash_attention: true\nwandb_project: x\n";
        insta::assert_snapshot!(told(text, &[]), @r#"
        Axolotl in our keys:
        alpha: 16
        batch_size: 2
        data: "data/orders.jsonl"
        dropout: 0.05
        epochs: 3
        gradient_accumulation: 4
        learning_rate: 0.0002
        max_length: 1024
        model: "NousResearch/Llama-3.2-1B"
        output: "./out"
        packing: false
        rank: 32
        rank_stabilised: true
        recompute: "on"
        schedule: "cosine"
        target_modules: ["all-linear"]
        validation_split: 0.05
        warmup: 0.1
        weight_decay: 0.0
        left: evals_per_epoch, special_tokens
        "#);
    }

    #[test]
    fn whole_weights_and_other_optimisers() {
        let full = "base_model: m\ndatasets:\n  - {path: a.jsonl}\n  - {path: b.jsonl}\nval_set_size: 200\noptimizer: lion_8bit\n";
        insta::assert_snapshot!(told(full, &[]), @r#"
        Axolotl in our keys:
        data: "a.jsonl"
        method: "full"
        model: "m"
        left: datasets after the first, optimizer, val_set_size
        "#);
        let mlx = "model: m\ndata: mine\niters: 7\nfine_tune_type: dora\noptimizer: adam\nnum_layers: -1\n";
        insta::assert_snapshot!(told(mlx, &[]), @r#"
        mlx-lm in our keys:
        data: "mine"
        dora: true
        model: "m"
        steps: 7
        weight_decay: 0.0
        left:
        "#);
    }

    #[test]
    fn our_own_files_are_left_alone() {
        let raw: BTreeMap<String, Value> =
            serde_norway::from_str("model: m\ndata: d\nsteps: 4\nsave_every: 2\n").unwrap();
        assert_eq!(translate(&raw, &|_| false), None);
    }
}
