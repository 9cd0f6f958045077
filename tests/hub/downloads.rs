//! What comes is what was announced, whatever the connection did.

use std::fs;
use std::path::Path;

use lorikeet_hub::{HubError, Progress, Wanted};
use lorikeet_tests::loopback_hub::{Misdeed, Server, noise};

const LARGE: usize = 900_000;

fn files() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("config.json", b"{\"model_type\": \"llama\"}".to_vec()),
        ("tokenizer.json", b"{}".to_vec()),
        ("model.safetensors", noise(LARGE, 7)),
        ("pytorch_model.bin", noise(2000, 3)),
    ]
}

fn wanted() -> Wanted {
    Wanted::new("owner/name", None, None).unwrap()
}

fn quietly(_: &Progress<'_>) -> bool {
    true
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_model_comes_whole_and_without_what_it_does_not_need() {
    let (server, home) = (Server::with(&files()), tempfile::tempdir().unwrap());
    let mut heard: Vec<(u64, u64, usize)> = Vec::new();
    let place = server.hub(None).get(&wanted(), home.path(), &mut |p| {
        heard.push((p.n_bytes, p.n_bytes_total, p.n_files_total));
        true
    });
    let place = place.unwrap();
    assert_eq!(names(home.path()), ["owner--name"]);
    assert_eq!(names(&place), ["config.json", "hub.json", "model.safetensors", "tokenizer.json"]);
    assert!(fs::read(place.join("model.safetensors")).unwrap() == noise(LARGE, 7));
    assert!(heard.windows(2).all(|w| w[0].0 <= w[1].0), "{heard:?}");
    let total = LARGE as u64 + 25;
    assert_eq!(heard.last(), Some(&(total, total, 3)));
    assert!(fs::read_to_string(place.join("hub.json")).unwrap().contains("\"commit\": \"0123456789abcdef"));
}

#[test]
fn a_model_that_is_there_asks_nobody() {
    let (server, home) = (Server::with(&files()), tempfile::tempdir().unwrap());
    server.hub(None).get(&wanted(), home.path(), &mut quietly).unwrap();
    let n_asked = server.asked().len();
    server.hub(None).get(&wanted(), home.path(), &mut quietly).unwrap();
    assert_eq!(server.asked().len(), n_asked);
}

#[test]
fn a_cut_connection_goes_on_inside_the_file() {
    let (server, home) = (Server::with(&files()), tempfile::tempdir().unwrap());
    server.misbehave("model.safetensors", &[Misdeed::Cut(100_000), Misdeed::Cut(1), Misdeed::Cut(400_000)]);
    let place = server.hub(None).get(&wanted(), home.path(), &mut quietly).unwrap();
    assert!(fs::read(place.join("model.safetensors")).unwrap() == noise(LARGE, 7));
    let ranges: Vec<_> = server.ranges("model.safetensors").into_iter().map(Option::unwrap_or_default).collect();
    assert_eq!(ranges, ["", "bytes=100000-", "bytes=100001-", "bytes=500001-"]);
}

#[test]
fn a_connection_that_falls_silent_counts_as_cut() {
    let (server, home) = (Server::with(&files()), tempfile::tempdir().unwrap());
    server.misbehave("model.safetensors", &[Misdeed::Stall(300_000)]);
    let place = server.hub(None).get(&wanted(), home.path(), &mut quietly).unwrap();
    assert!(fs::read(place.join("model.safetensors")).unwrap() == noise(LARGE, 7));
    assert_eq!(server.ranges("model.safetensors")[1].as_deref(), Some("bytes=300000-"));
}

#[test]
fn a_stopped_download_is_no_model_and_goes_on_the_next_time() {
    let (server, home) = (Server::with(&files()), tempfile::tempdir().unwrap());
    let hub = server.hub(None);
    // A process that is killed leaves the same behind: bytes under another name, in a folder that is none of a model's.
    let stopped = hub.get(&wanted(), home.path(), &mut |p| p.n_bytes < 300_000);
    assert!(matches!(stopped, Err(HubError::Stopped)), "{stopped:?}");
    assert!(!wanted().place(home.path()).exists());
    let partial = home.path().join(".owner--name.partial");
    assert!(!partial.join("model.safetensors").exists() && partial.join("model.safetensors.part").is_file());
    let there = fs::metadata(partial.join("model.safetensors.part")).unwrap().len();
    assert!(there > 200_000 && there < LARGE as u64, "{there}");
    let n_asked = server.asked().len();
    let mut first = None;
    let place = hub.get(&wanted(), home.path(), &mut |p| {
        first.get_or_insert(p.n_bytes);
        true
    });
    assert!(fs::read(place.unwrap().join("model.safetensors")).unwrap() == noise(LARGE, 7));
    assert_eq!(first, Some(there + 25), "what is there counts from the start");
    let asked = &server.asked()[n_asked..];
    assert_eq!(asked.len(), 1, "neither the list nor a whole file is asked for again: {asked:?}");
    assert_eq!(asked[0].range(), Some(format!("bytes={there}-").as_str()));
    assert_eq!(names(home.path()), ["owner--name"]);
}

#[test]
fn a_hub_that_cannot_resume_sends_everything_again() {
    let (server, home) = (Server::with(&files()), tempfile::tempdir().unwrap());
    server.misbehave("model.safetensors", &[Misdeed::Cut(100_000), Misdeed::NoRange]);
    let place = server.hub(None).get(&wanted(), home.path(), &mut quietly).unwrap();
    assert!(fs::read(place.join("model.safetensors")).unwrap() == noise(LARGE, 7));
}

#[test]
fn one_file_of_many_and_a_revision_have_places_of_their_own() {
    let all = [("a-Q8_0.gguf", noise(5000, 1)), ("sub/a-Q4_0.gguf", noise(4000, 2))];
    let (server, home) = (Server::with(&all), tempfile::tempdir().unwrap());
    let wanted = Wanted::new("owner/name", Some("v1.0"), Some("a-Q4_0.gguf")).unwrap();
    let place = server.hub(None).get(&wanted, home.path(), &mut quietly).unwrap();
    assert_eq!(place.file_name().unwrap(), "owner--name@v1.0--a-Q4_0");
    assert_eq!(names(&place), ["a-Q4_0.gguf", "hub.json"]);
    assert!(server.asked()[0].path.ends_with("/revision/v1.0?blobs=true"));
    assert!(server.asked()[1].path.ends_with("/sub/a-Q4_0.gguf"));
}

#[test]
fn two_programs_do_not_write_one_file() {
    let (server, home) = (Server::with(&files()), tempfile::tempdir().unwrap());
    let hub = server.hub(None);
    let mut second = None;
    hub.get(&wanted(), home.path(), &mut |_| {
        second.get_or_insert_with(|| hub.get(&wanted(), home.path(), &mut quietly));
        true
    })
    .unwrap();
    assert!(matches!(second, Some(Err(HubError::Busy { .. }))), "{second:?}");
}
