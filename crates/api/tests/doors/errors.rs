//! What failures say: the code, the sentence, and how to mend it.

use std::path::Path;

use lorikeet_api::wire::{
    ApiError, DataImportRequest, GenerateRequest, ModelAddRequest, RunRequest, SampleRequest, SettingValue, Task,
};
use lorikeet_api::{App, ErrorCode, data, models, runs, trying};

use crate::support::{Bench, id, shared};

/// The failure as a person reads it, with the places of this test made plain.
fn words(bench: &Bench, error: ApiError) -> String {
    let code = serde_json::to_value(error.code).unwrap();
    let hint = error.hint.map(|hint| format!("\n  {hint}")).unwrap_or_default();
    let text = format!("{}: {}{hint}", code.as_str().unwrap(), error.message);
    text.replace(&bench.home.path().display().to_string(), "HOME")
}

fn refused(bench: &Bench, change: impl FnOnce(&mut RunRequest)) -> String {
    let mut request = bench.request();
    change(&mut request);
    words(bench, runs::start(&bench.app, request).unwrap_err())
}

fn set(name: &str, value: SettingValue) -> impl FnOnce(&mut RunRequest) {
    let name = name.to_owned();
    move |request| drop(request.settings.insert(name, value))
}

#[test]
fn a_run_that_cannot_start_says_why() {
    let Some(bench) = Bench::new() else { return };
    data::sample_import(&bench.app, SampleRequest { id: "reviews".into() }).unwrap();
    let full = bench.home.path().join("full");
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("thesis.txt"), "all of it").unwrap();
    let said = [
        refused(&bench, set("learning_rat", SettingValue::Number(0.1))),
        refused(&bench, set("learning_rat", SettingValue::Null)),
        refused(&bench, set("batch_size", SettingValue::Integer(0))),
        refused(&bench, set("schedule", SettingValue::Text("cosin".into()))),
        refused(&bench, set("device", SettingValue::Text("metal".into()))),
        refused(&bench, set("from_scratch", SettingValue::Bool(true))),
        refused(&bench, |r| r.preset = Some("fast".into())),
        refused(&bench, |r| r.data = "suport-replies".into()),
        refused(&bench, |r| r.data = "./nothing.jsonl".into()),
        refused(&bench, |r| {
            r.data = "reviews".into();
            r.task = Some(Task::Causal);
        }),
        refused(&bench, |r| r.model = "tinny".into()),
        refused(&bench, |r| r.model = "/nowhere/at/all".into()),
        refused(&bench, |r| r.output = Some(full.display().to_string())),
    ]
    .join("\n");
    let here = std::env::current_dir().unwrap().display().to_string();
    insta::assert_snapshot!(said.replace(&here, "HERE"));
    assert!(full.join("thesis.txt").exists());
    assert_eq!(runs::list(&bench.app, Default::default()).unwrap().n_total, 0, "nothing was half started");
}

#[test]
fn a_file_that_cannot_be_read_says_where() {
    let Some(bench) = Bench::new() else { return };
    let import = |name: &str, content: &str| {
        let path = bench.home.path().join(name);
        std::fs::write(&path, content).unwrap();
        let request = DataImportRequest { path: path.display().to_string(), name: None, keep_good: false };
        data::import(&bench.app, request, &mut |_| true).unwrap_err()
    };
    let bad = import("bad.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"prompt\": \"a\",\n{\"prompt\": 3}\n");
    let Some(lorikeet_api::wire::ErrorDetails::BadRows { n_good, n_bad, first }) = &bad.details else {
        panic!("no rows are told: {bad:?}");
    };
    assert_eq!((*n_good, *n_bad, first.len(), first[0].line), (1, 2, 2, 2));
    let said = [bad, import("empty.csv", ""), import("other.json", "[{\"a\": 1}]")].map(|error| words(&bench, error));
    insta::assert_snapshot!(said.join("\n"));
}

fn copy_model(to: &Path) {
    let from = shared("gguf/tiny-llama-hf").unwrap();
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_damaged_model_says_what_is_wrong_with_it() {
    let Some(bench) = Bench::new() else { return };
    let add = |name: &str, damage: &dyn Fn(&Path)| {
        let folder = bench.home.path().join(name);
        copy_model(&folder);
        damage(&folder);
        let request = ModelAddRequest { path: folder.display().to_string(), name: None };
        words(&bench, models::add(&bench.app, request).unwrap_err())
    };
    let edit = |folder: &Path, file: &str, from: &str, to: &str| {
        let path = folder.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        std::fs::write(path, text.replace(from, to)).unwrap();
    };
    let said = [
        add("cut", &|folder| {
            let path = folder.join("model.safetensors");
            let bytes = std::fs::read(&path).unwrap();
            std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        }),
        add("keyless", &|folder| edit(folder, "config.json", "\"num_hidden_layers\"", "\"layers\"")),
        add("foreign", &|folder| {
            edit(folder, "config.json", "\"llama\"", "\"lama\"");
            edit(folder, "config.json", "LlamaForCausalLM", "LamaForCausalLM");
        }),
        add("narrow", &|folder| edit(folder, "config.json", "\"vocab_size\": 512", "\"vocab_size\": 500")),
        add("wordless", &|folder| std::fs::remove_file(folder.join("tokenizer.json")).unwrap()),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn questions_that_make_no_sense_are_refused() {
    let Some(bench) = Bench::new() else { return };
    let ask = |prompt: Option<&str>, adapter: Option<&str>, top_p: Option<f64>| {
        let request = GenerateRequest {
            model: "tiny".into(),
            adapter: adapter.map(str::to_owned),
            prompt: prompt.map(str::to_owned),
            messages: None,
            system: None,
            raw: false,
            max_tokens: Some(1),
            temperature: Some(1.0),
            top_p,
            top_k: None,
            stop: None,
            seed: None,
            quantize: None,
        };
        words(&bench, trying::generate(&bench.app, request, &mut |_| true).unwrap_err())
    };
    let queued = runs::start(&bench.app, bench.request()).unwrap().id;
    let said = [
        ask(None, None, None),
        ask(Some("a"), Some("./nothing"), None),
        ask(Some("a"), Some("no-such-run"), None),
        ask(Some("a"), Some(&queued), None),
        ask(Some("a"), None, Some(2.0)),
        ask(Some(&"word ".repeat(2000)), None, None),
        words(&bench, runs::checkpoint(&bench.app, id(&queued)).unwrap_err()),
        words(&bench, runs::show(&bench.app, id("suport-replies-1")).unwrap_err()),
    ]
    .join("\n");
    let here = std::env::current_dir().unwrap().display().to_string();
    insta::assert_snapshot!(said.replace(&here, "HERE"));
}

#[test]
fn a_data_folder_that_cannot_be_made_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "not a folder").unwrap();
    let error = App::open(Some(file.join("home"))).err().unwrap();
    assert!(error.message.contains("cannot create the folder"), "{}", error.message);
    assert!(matches!(error.code, ErrorCode::ReadOnly | ErrorCode::UnreadableFile), "{:?}", error.code);
    assert!(error.hint.unwrap().contains("LORIKEET_HOME"));
}
