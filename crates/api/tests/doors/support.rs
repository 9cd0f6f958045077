//! A data folder, the tiny model among the shared test material, and short ways to run things.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lorikeet_api::wire::{
    DatasetDetails, Method, ModelAddRequest, RunEvent, RunFollowRequest, RunIdRequest, RunRequest, RunStatus,
    SampleRequest, SettingValue,
};
use lorikeet_api::{App, data, models, runs};
use serde_json::{Value, json};

/// A folder of the shared test material; `None`, with a line that says so, where it is not there. Fails under CI.
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("LORIKEET_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    assert!(std::env::var_os("CI").is_none(), "the shared test material is missing: {}", found.display());
    println!("skipped: there is no `{}`", found.display());
    None
}

/// An app over an empty data folder with the tiny model `tiny` and the sample `support-replies`.
pub struct Bench {
    pub app: App,
    pub home: tempfile::TempDir,
    pub data: DatasetDetails,
}

impl Bench {
    pub fn new() -> Option<Bench> {
        let model = shared("gguf/tiny-llama-hf")?;
        let home = tempfile::tempdir().unwrap();
        let app = App::open(Some(home.path().to_owned())).unwrap();
        let path = model.display().to_string();
        models::add(&app, ModelAddRequest { path, name: Some("tiny".into()) }).unwrap();
        let data = data::sample_import(&app, SampleRequest { id: "support-replies".into() }).unwrap();
        Some(Bench { app, home, data })
    }

    /// Another look at the same data folder, as another program has it.
    pub fn open_again(&self) -> App {
        App::open(Some(self.home.path().to_owned())).unwrap()
    }

    /// Twelve steps on the sample, saved and checked at every fourth.
    pub fn request(&self) -> RunRequest {
        let integer = |n: i64| SettingValue::Integer(n);
        let settings = [
            ("steps", integer(12)),
            ("batch_size", integer(2)),
            ("max_length", integer(96)),
            ("evaluate_every", integer(4)),
            ("save_every", integer(2)),
            ("sample_tokens", integer(8)),
            ("samples", integer(1)),
            ("threads", integer(1)),
            ("validation_split", SettingValue::Number(0.05)),
        ];
        run_request("tiny", &self.data.summary.id, settings)
    }

    /// The status of a run.
    pub fn status(&self, id: &str) -> RunStatus {
        runs::show(&self.app, RunIdRequest { id: id.into() }).unwrap().summary.status
    }

    /// The adapter's weights.
    pub fn adapter_bytes(&self, id: &str) -> Vec<u8> {
        let details = runs::show(&self.app, RunIdRequest { id: id.into() }).unwrap();
        std::fs::read(Path::new(&details.adapter.unwrap()).join("adapter_model.safetensors")).unwrap()
    }
}

/// LoRA of `model` on `data`, with nothing said but these settings.
pub fn run_request<'a>(
    model: &str,
    data: &str,
    settings: impl IntoIterator<Item = (&'a str, SettingValue)>,
) -> RunRequest {
    RunRequest {
        model: model.to_owned(),
        data: data.to_owned(),
        validation: None,
        name: None,
        task: None,
        method: Some(Method::Lora),
        preset: None,
        settings: settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        output: None,
    }
}

/// Writes the tiny BERT among the shared test material as the folder `to`, with a tokenizer made of the words of `texts`.
pub fn tiny_bert(to: &Path, texts: &str) -> Option<()> {
    let from = shared("parity/fixtures/bert/model")?;
    std::fs::create_dir(to).unwrap();
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for word in texts.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        *counts.entry(word.to_owned()).or_default() += 1;
    }
    let mut words: Vec<(usize, String)> = counts.into_iter().map(|(word, n)| (n, word)).collect();
    words.sort_by(|a, b| b.cmp(a));
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", ".", ",", "?", "!"].map(str::to_owned);
    let spelled = special.into_iter().chain(words.into_iter().map(|(_, word)| word)).take(256);
    let vocabulary: serde_json::Map<String, Value> = spelled.enumerate().map(|(id, w)| (w, json!(id))).collect();
    let token = |name: &str, id: u32| json!({"SpecialToken": {"id": name, "type_id": id}});
    let sequence = |name: &str, id: u32| json!({"Sequence": {"id": name, "type_id": id}});
    let added = |id: u32, content: &str| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    };
    let special_token = |id: u32, name: &str| json!({"id": name, "ids": [id], "tokens": [name]});
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [added(0, "[PAD]"), added(1, "[UNK]"), added(2, "[CLS]"), added(3, "[SEP]")],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                       "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing",
            "single": [token("[CLS]", 0), sequence("A", 0), token("[SEP]", 0)],
            "pair": [token("[CLS]", 0), sequence("A", 0), token("[SEP]", 0), sequence("B", 1), token("[SEP]", 1)],
            "special_tokens": {"[CLS]": special_token(2, "[CLS]"), "[SEP]": special_token(3, "[SEP]")}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocabulary},
    });
    std::fs::write(to.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    Some(())
}

/// Every event of a run until it ends or `enough` says so.
pub fn follow(app: &App, id: &str, since: Option<u64>, enough: &mut dyn FnMut(&RunEvent) -> bool) -> Vec<RunEvent> {
    let mut all = Vec::new();
    runs::follow(app, RunFollowRequest { id: id.into(), since_seq: since }, &mut |batch| {
        let mut more = true;
        for event in batch.events {
            more = more && !enough(&event);
            all.push(event);
        }
        more
    })
    .unwrap();
    all
}

/// The whole of a run.
pub fn follow_all(app: &App, id: &str) -> Vec<RunEvent> {
    follow(app, id, None, &mut |_| false)
}

pub fn id(id: &str) -> RunIdRequest {
    RunIdRequest { id: id.into() }
}
