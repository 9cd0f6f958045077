//! What the hub refuses, or gets wrong, is said with what to do; nothing of it is ever seen as a model.

use std::fs;
use std::path::Path;

use lorikeet_hub::{Hub, Progress, Wanted};
use lorikeet_tests::loopback_hub::{Misdeed, Server, noise};

fn wanted() -> Wanted {
    Wanted::new("owner/name", None, None).unwrap()
}

fn quietly(_: &Progress<'_>) -> bool {
    true
}

fn server() -> Server {
    Server::with(&[("config.json", b"{}".to_vec()), ("model.safetensors", noise(50_000, 9))])
}

/// What a download says, without the port; and that no model is there.
fn said(hub: &Hub, server: &Server, home: &Path) -> String {
    let error = hub.get(&wanted(), home, &mut quietly).unwrap_err().to_string();
    assert!(!wanted().place(home).exists());
    let address = format!("{:?}", server.hub(None));
    let address = address.split('"').nth(1).unwrap();
    error.replace(address, "ADDRESS")
}

#[test]
fn a_token_is_sent_and_a_wrong_one_is_said() {
    let (server, home) = (server(), tempfile::tempdir().unwrap());
    server.demand_token("hf_right");
    insta::assert_snapshot!(said(&server.hub(None), &server, home.path()), @"the hub at `ADDRESS` does not give `owner/name` without a token: status 401");
    let wrong = said(&server.hub(Some("hf_wrong")), &server, home.path());
    insta::assert_snapshot!(wrong, @"the hub at `ADDRESS` does not give `owner/name` to this token: status 401");
    assert!(!wrong.contains("hf_"));
    let place = server.hub(Some("hf_right")).get(&wanted(), home.path(), &mut quietly).unwrap();
    assert!(place.join("model.safetensors").is_file());
    let leaked = fs::read_dir(&place)
        .unwrap()
        .any(|entry| String::from_utf8_lossy(&fs::read(entry.unwrap().path()).unwrap()).contains("hf_right"));
    assert!(!leaked);
}

#[test]
fn what_is_not_there_is_said() {
    let (server, home) = (server(), tempfile::tempdir().unwrap());
    server.misbehave("list", &[Misdeed::Status(404)]);
    insta::assert_snapshot!(said(&server.hub(None), &server, home.path()), @"the hub at `ADDRESS` has no `owner/name`, or does not show it without a token");
    server.misbehave("model.safetensors", &[Misdeed::Status(404)]);
    insta::assert_snapshot!(said(&server.hub(None), &server, home.path()), @"the hub at `ADDRESS` has no `model.safetensors`, or does not show it without a token");
}

#[test]
fn a_hub_that_is_busy_is_asked_again() {
    let (server, home) = (server(), tempfile::tempdir().unwrap());
    server.misbehave("list", &[Misdeed::Status(429), Misdeed::Status(503)]);
    server.misbehave("model.safetensors", &[Misdeed::Status(500), Misdeed::Cut(20_000), Misdeed::Status(502)]);
    let place = server.hub(None).get(&wanted(), home.path(), &mut quietly).unwrap();
    assert!(fs::read(place.join("model.safetensors")).unwrap() == noise(50_000, 9));
}

#[test]
fn a_hub_that_never_answers_well_is_given_up() {
    let (server, home) = (server(), tempfile::tempdir().unwrap());
    server.misbehave("list", &[Misdeed::Status(500); 9]);
    insta::assert_snapshot!(said(&server.hub(None), &server, home.path()), @"the hub at `ADDRESS` did not give `owner/name` in 4 tries; the last one: status 500");
    assert_eq!(server.asked().len(), 4);
}

#[test]
fn wrong_bytes_come_again_once_and_are_never_kept() {
    let (server, home) = (server(), tempfile::tempdir().unwrap());
    server.misbehave("model.safetensors", &[Misdeed::WrongBytes]);
    let place = server.hub(None).get(&wanted(), home.path(), &mut quietly).unwrap();
    assert!(fs::read(place.join("model.safetensors")).unwrap() == noise(50_000, 9));
    let home = tempfile::tempdir().unwrap();
    server.misbehave("model.safetensors", &[Misdeed::WrongBytes, Misdeed::WrongBytes]);
    let said = said(&server.hub(None), &server, home.path());
    assert!(said.starts_with("`model.safetensors` came twice with other bytes than the hub announced ("), "{said}");
    let partial = home.path().join(".owner--name.partial");
    assert!(!partial.join("model.safetensors").exists() && !partial.join("model.safetensors.part").exists());
}

#[test]
fn a_file_that_shrank_comes_again() {
    let (server, home) = (server(), tempfile::tempdir().unwrap());
    let partial = home.path().join(".owner--name.partial");
    fs::create_dir_all(&partial).unwrap();
    // Longer than announced, and not the same bytes.
    fs::write(partial.join("model.safetensors.part"), noise(60_000, 1)).unwrap();
    let place = server.hub(None).get(&wanted(), home.path(), &mut quietly).unwrap();
    assert!(fs::read(place.join("model.safetensors")).unwrap() == noise(50_000, 9));
}
