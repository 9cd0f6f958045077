//! A model from a hub on loopback, through the command: it comes, is registered, and is used by its name; a token is kept
//! where only its owner reads it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;

use lorikeet_api::wire::{ErrorCode, HubSettingsRequest, ModelGetRequest, ModelRequest, Nothing};
use lorikeet_api::{App, hub, models};
use serde_json::json;

use crate::support::shared;

/// Serves the files of a folder as `tiny/llama` until the test ends; returns its address.
fn serve(folder: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, folder) = (format!("http://{}", listener.local_addr().unwrap()), folder.to_owned());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let path = lines.next().unwrap_or_default().split(' ').nth(1).unwrap_or_default().to_owned();
            lines.find(String::is_empty);
            let file = path.split("/resolve/abc/").nth(1).map(|name| folder.join(name));
            let body = match &file {
                Some(file) => std::fs::read(file).ok(),
                None if path.starts_with("/api/models/tiny/llama/") => {
                    let files = folder.read_dir().unwrap().map(|e| e.unwrap());
                    let files = files
                        .map(|e| json!({"rfilename": e.file_name().to_str(), "size": e.metadata().unwrap().len()}));
                    Some(json!({"sha": "abc", "siblings": files.collect::<Vec<_>>()}).to_string().into_bytes())
                }
                None => None,
            };
            let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
            let body = body.unwrap_or_default();
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    address
}

fn get(app: &App, model: &str) -> Result<lorikeet_api::wire::ModelSummary, lorikeet_api::ApiError> {
    hub::get(app, ModelGetRequest { model: model.into(), revision: None, file: None }, &mut |_| true)
}

#[test]
fn a_model_comes_from_a_hub_and_is_used_by_its_name() {
    let Some(model) = shared("gguf/tiny-llama-hf") else { return };
    let home = tempfile::tempdir().unwrap();
    let app = App::open(Some(home.path().to_owned())).unwrap();
    let endpoint = Some(serve(&model));
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
