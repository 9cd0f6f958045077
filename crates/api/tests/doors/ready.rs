//! Models that are there from the start, kept ready, or trained whole; the door of names and JSON.

use lorikeet_api::wire::{
    GenerateRequest, Method, ModelRequest, ModelSource, Nothing, PathKind, PathRequest, ServeRequest, ServedKind,
};
use lorikeet_api::{App, ErrorCode, Scope, app, dispatch, dispatch_stream, models, runs, serving, trying};
use serde_json::json;

use crate::support::{Bench, follow_all, id};

fn ask(model: &str, adapter: Option<&str>) -> GenerateRequest {
    GenerateRequest {
        model: model.into(),
        adapter: adapter.map(str::to_owned),
        prompt: Some("Hello".into()),
        messages: None,
        system: None,
        raw: false,
        max_tokens: Some(8),
        temperature: None,
        top_p: None,
        top_k: None,
        stop: None,
        seed: None,
        quantize: None,
    }
}

#[test]
fn the_starter_model_is_there_without_anything_else() {
    let home = tempfile::tempdir().unwrap();
    let app = App::open(Some(home.path().to_owned())).unwrap();
    let listed = models::list(&app, Nothing {}).unwrap();
    let Some(starter) = listed.first() else {
        // A build whose sources have no weights says so instead of failing later.
        let error = trying::generate(&app, ask("starter", None), &mut |_| true).unwrap_err();
        assert_eq!((error.code, error.message.as_str()), (ErrorCode::Unsupported, "this build has no starter model"));
        return;
    };
    assert_eq!((starter.id.as_str(), starter.source, &starter.path), ("starter", ModelSource::Starter, &None));
    assert!(starter.has_chat_template && starter.n_parameters > 1_000_000);
    let threads = [(); 4].map(|()| {
        let home = home.path().to_owned();
        std::thread::spawn(move || {
            let app = App::open(Some(home)).unwrap();
            models::inspect(&app, ModelRequest { model: "starter".into() }).unwrap().hash
        })
    });
    let hashes = threads.map(|thread| thread.join().unwrap());
    assert!(hashes.iter().all(|hash| *hash == hashes[0] && hash.len() == 64));
    let folders = std::fs::read_dir(home.path().join("models")).unwrap().count();
    assert_eq!(folders, 1, "the model lies there once, and nothing half-written beside it");
    let answer = trying::generate(&app, ask("starter", None), &mut |_| true).unwrap();
    assert!(answer.n_tokens > 0 && answer.n_prompt_tokens > 1);
}

#[test]
fn a_base_and_its_adapter_are_served_by_name() {
    let Some(bench) = Bench::new() else { return };
    bench.app.start_worker(Scope::Queue);
    let run = runs::start(&bench.app, bench.request()).unwrap().id;
    follow_all(&bench.app, &run);
    let request = ServeRequest { model: "tiny".into(), adapters: vec![run.clone()], port: None, quantize: None };
    let served = serving::open(&bench.app, &request).unwrap();
    let names: Vec<_> = served.models().into_iter().map(|m| (m.name, m.kind, m.run)).collect();
    let expected = [("tiny".to_owned(), ServedKind::Base, None), (run.clone(), ServedKind::Adapter, Some(run.clone()))];
    assert_eq!(names, expected);
    for (name, adapter) in [("tiny", None), (run.as_str(), Some(run.as_str()))] {
        let direct = trying::generate(&bench.app, ask("tiny", adapter), &mut |_| true).unwrap();
        assert_eq!(served.generate(ask(name, None), &mut |_| true).unwrap().text, direct.text);
    }
    assert_eq!(served.generate(ask("tinny", None), &mut |_| true).unwrap_err().code, ErrorCode::NotFound);
}

#[test]
fn a_run_of_all_weights_is_a_model_of_its_own() {
    let Some(bench) = Bench::new() else { return };
    let mut request = bench.request();
    request.method = Some(Method::Full);
    let output = bench.home.path().join("out/whole");
    request.output = Some(output.display().to_string());
    bench.app.start_worker(Scope::Queue);
    let run = runs::start(&bench.app, request).unwrap().id;
    follow_all(&bench.app, &run);
    let details = runs::show(&bench.app, id(&run)).unwrap();
    assert_eq!(details.adapter.as_deref(), output.to_str());
    assert!(details.metrics.loss.unwrap() < details.metrics.base_loss.unwrap());
    let whole = |model: &str, adapter| trying::generate(&bench.app, ask(model, adapter), &mut |_| true).unwrap().text;
    let text = whole("tiny", Some(run.as_str()));
    assert_eq!(text, whole(output.to_str().unwrap(), None));
    assert_eq!(text, whole(&run, None));
}

#[test]
fn a_door_of_names_and_json_reaches_every_body() {
    let Some(bench) = Bench::new() else { return };
    let info = dispatch(&bench.app, "app_info", json!({})).unwrap();
    assert_eq!(info["data_folder"], json!(bench.home.path()));
    assert_eq!(info["data_folder_writable"], json!(true));
    assert!(info["devices"].as_array().unwrap().iter().any(|d| d["id"] == "cpu" && d["available"] == true));
    assert!(info["disk_available_bytes"].as_u64().unwrap() > 0 && info["memory_total_bytes"].as_u64().unwrap() > 0);
    let set = dispatch(&bench.app, "app_set_preferences", json!({"theme": "dark"})).unwrap();
    assert_eq!(dispatch(&bench.open_again(), "app_preferences", json!(null)).unwrap(), set);
    let mut updates = 0;
    let request = json!({"model": "tiny", "prompt": "Hello", "max_tokens": 4});
    let answer = dispatch_stream(&bench.app, "generate", request, &mut |_| {
        updates += 1;
        true
    });
    assert!(answer.unwrap()["n_tokens"].as_u64().unwrap() <= 4 && updates > 0);
    assert_eq!(dispatch(&bench.app, "serve_status", json!({})).unwrap()["running"], json!(false));
    let kind = |path: &str| app::path_inspect(&bench.app, PathRequest { path: path.into() }).unwrap().kind;
    let home = bench.home.path().display().to_string();
    assert_eq!((kind(&home), kind(&format!("{home}/nothing"))), (PathKind::Other, PathKind::Missing));
}
