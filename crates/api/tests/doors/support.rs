//! A data folder, the tiny model among the shared test material, and short ways to run things.

use std::path::{Path, PathBuf};

use lorikeet_api::wire::{
    DatasetDetails, Method, ModelAddRequest, RunEvent, RunFollowRequest, RunIdRequest, RunRequest, RunStatus,
    SampleRequest, SettingValue,
};
use lorikeet_api::{App, data, models, runs};

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
        RunRequest {
            model: "tiny".into(),
            data: self.data.summary.id.clone(),
            validation: None,
            name: None,
            task: None,
            method: Some(Method::Lora),
            preset: None,
            settings: settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            output: None,
        }
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
