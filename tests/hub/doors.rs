//! A model from a hub on loopback, through the command: it comes, is registered, and is used by its name; a token is kept
//! where only its owner reads it. What another program fetched is used where it lies.

use lorikeet_api::wire::{ErrorCode, HubSettingsRequest, ModelGetRequest, ModelRequest, Nothing};
use lorikeet_api::{App, hub, models};
use lorikeet_tests::{loopback_hub::Server, material};

fn get(app: &App, model: &str) -> Result<lorikeet_api::wire::ModelSummary, lorikeet_api::ApiError> {
    hub::get(app, ModelGetRequest { model: model.into(), revision: None, file: None }, &mut |_| true)
}

#[test]
fn a_model_comes_from_a_hub_and_is_used_by_its_name() {
    let Some(model) = material::tiny_llama() else { return };
    let home = tempfile::tempdir().unwrap();
    let app = App::open(Some(home.path().to_owned())).unwrap().with_hub_cache(home.path().join("no-cache"));
    let server = Server::of_folder("tiny/llama", &model);
    let endpoint = Some(server.address().to_owned());
    let set =
        hub::set(&app, HubSettingsRequest { endpoint: endpoint.clone(), token: Some("hf_secret".into()) }).unwrap();
    assert_eq!((Some(set.endpoint), set.has_token), (endpoint, true));
    let came = get(&app, "tiny/llama").unwrap();
    assert_eq!((came.id.as_str(), came.family.as_str()), ("llama", "llama"));
    assert_eq!(models::inspect(&app, ModelRequest { model: "llama".into() }).unwrap().n_layers, 2);
    assert_eq!(get(&app, "tiny/llama").unwrap().id, "llama", "a second time nothing comes and the name stays");
    let error = get(&app, "tiny/other").unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound);
    assert!(!error.message.contains("secret") && error.hint.is_some());
    assert_eq!(get(&app, "other").unwrap_err().code, ErrorCode::InvalidRequest);
    let file = home.path().join("hub-token");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0);
    }
    let registry = std::fs::read(home.path().join("registry.sqlite")).unwrap();
    assert!(!String::from_utf8_lossy(&registry).contains("hf_secret"));
    hub::set(&app, HubSettingsRequest { endpoint: Some(String::new()), token: Some(String::new()) }).unwrap();
    let cleared = hub::settings(&app, Nothing {}).unwrap();
    assert!(!cleared.has_token && !file.exists() && cleared.endpoint.starts_with("https://"));
}

#[test]
fn a_model_that_another_program_fetched_is_used_where_it_lies() {
    let Some(model) = material::tiny_llama() else { return };
    let (home, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let fetched = |name: &str, revision: &str| {
        let repository = cache.path().join(format!("models--tiny--{name}"));
        let snapshot = repository.join("snapshots").join("abc");
        std::fs::create_dir_all(&snapshot).unwrap();
        std::fs::create_dir_all(repository.join("refs")).unwrap();
        std::fs::write(repository.join("refs").join(revision), "abc").unwrap();
        for entry in model.read_dir().unwrap().map(Result::unwrap) {
            std::fs::write(snapshot.join(entry.file_name()), std::fs::read(entry.path()).unwrap()).unwrap();
        }
        snapshot
    };
    let (one, _) = (fetched("one", "main"), fetched("two", "dev"));
    std::fs::write(fetched("odd", "main").join("config.json"), "{\"model_type\": \"mystery\"}").unwrap();
    let app = App::open(Some(home.path().to_owned())).unwrap().with_hub_cache(cache.path().to_owned());
    hub::set(&app, HubSettingsRequest { endpoint: Some("http://127.0.0.1:9".into()), token: None }).unwrap();
    let names = || hub::found(&app, Nothing {}).unwrap().into_iter().map(|model| model.name).collect::<Vec<_>>();
    assert_eq!(names(), ["tiny/one", "tiny/two"], "a family that is not read is not offered");

    let got = get(&app, "tiny/one").unwrap();
    assert_eq!((got.id.as_str(), got.path.as_deref()), ("one", one.to_str()));
    assert_eq!(names(), ["tiny/two"], "what is registered is found no longer");
    assert!(!home.path().join("models").join("tiny--one").exists());
    let request =
        |revision: &str| ModelGetRequest { model: "tiny/two".into(), revision: Some(revision.into()), file: None };
    let stopped = hub::get(&app, request("main"), &mut |_| false).unwrap_err();
    assert_eq!(stopped.code, ErrorCode::Cancelled, "the main branch of it is not there, so the hub is asked");
    assert_eq!(hub::get(&app, request("dev"), &mut |_| false).unwrap().id, "two");
    assert!(names().is_empty());
}
