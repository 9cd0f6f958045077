//! Models from elsewhere: which hub, with which token, a download whose connection is cut, and what other programs left on
//! this computer.

use std::path::Path;

use lorikeet_registry::Page;
use lorikeet_tests::{
    loopback_hub::{Misdeed, Server},
    material,
};

use crate::{
    page::id,
    window::{Desk, LATER, SOON, Window},
};

const TOKEN: &str = "hf_of_this_test";
/// Where the connection is cut: inside the file of weights.
const CUT_AT: usize = 100_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_model_comes_from_the_hub_of_the_settings_though_the_connection_is_cut() {
    let Some(model) = material::tiny_llama() else { return };
    let server = Server::of_folder("tiny/llama", &model);
    server.demand_token(TOKEN);
    let window = Window::open().await;
    name_the_hub(&window, server.address()).await;

    window.go("models").await;
    window.write(&id("model-path"), "tiny/llama").await;
    window.click(&id("model-path-add")).await;
    let refused = window.text(&id("download-failed")).await;
    assert!(refused.contains("tiny/llama") && refused.contains("token"), "{refused}");
    window.look_at("download-refused").await;
    give_the_token(&window).await;

    server.misbehave("model.safetensors", &[Misdeed::Stall(CUT_AT), Misdeed::Cut(CUT_AT)]);
    window.go("models").await;
    window.click(&id("download-again")).await;
    let begun = async || Some(window.text(&id("download")).await).filter(|shown| shown.contains("model.safetensors"));
    let shown = window.wait("a part of the file", SOON, begun).await;
    assert!(shown.contains("tiny/llama") && shown.contains(" kB of "), "{shown}");
    window.picture("download").await;
    let row = format!("{} tr.on", id("models"));
    window.wait("the model in the list", LATER, async || window.text(&row).await.contains("llama").then_some(())).await;
    assert!(!window.has(&id("download")).await && !window.has(&id("download-failed")).await);
    window.look_at("models-two").await;

    let came = window.desk.home().join("models/tiny--llama");
    for file in ["model.safetensors", "config.json", "tokenizer.json"] {
        assert!(std::fs::read(came.join(file)).unwrap() == std::fs::read(model.join(file)).unwrap(), "{file}");
    }
    let ranges: Vec<String> = server.ranges("model.safetensors").into_iter().map(Option::unwrap_or_default).collect();
    assert_eq!(ranges, ["", "bytes=100000-", "bytes=200000-"], "each try goes on where the one before was cut");
    window.close().await;
}

async fn name_the_hub(window: &Window, address: &str) {
    window.go("settings").await;
    window.write(&id("hub-endpoint"), address).await;
    window.click(&id("hub-endpoint-save")).await;
    let is_saved = async || (!window.has(&id("hub-endpoint-save")).await).then_some(());
    window.wait("the address is kept", SOON, is_saved).await;
    window.go("home").await;
    window.go("settings").await;
    let field = format!("return document.querySelector({:?})?.value ?? ''", id("hub-endpoint"));
    let kept = async || (window.script(&field).await == address).then_some(());
    window.wait("the address after coming back", SOON, kept).await;
    assert_eq!(window.text(&id("hub-token-state")).await, "none");
}

/// Writes the token; after that the page says that there is one and holds it nowhere, also after a reload.
async fn give_the_token(window: &Window) {
    window.go("settings").await;
    window.write(&id("hub-token"), TOKEN).await;
    window.click(&id("hub-token-save")).await;
    let told = async || (window.text(&id("hub-token-state")).await == "one is set").then_some(());
    window.wait("the token is kept", SOON, told).await;
    let held = format!(
        "return document.documentElement.outerHTML.includes({TOKEN:?}) || [...document.querySelectorAll('input')].some((e) => e.value.includes({TOKEN:?}))"
    );
    assert_eq!(window.script(&held).await, false, "the page holds the token");
    window.go("home").await;
    window.go("settings").await;
    window.wait("the token is still kept", SOON, told).await;
    assert_eq!(window.script(&held).await, false, "the page got the token back");
    window.look_at("settings-hub").await;
    let registry = std::fs::read(window.desk.home().join("registry.sqlite")).unwrap();
    assert!(!String::from_utf8_lossy(&registry).contains(TOKEN), "the registry holds the token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_forgotten_when_asked() {
    let window = Window::open().await;
    give_the_token(&window).await;
    window.click(&id("hub-token-forget")).await;
    let gone = async || (window.text(&id("hub-token-state")).await == "none").then_some(());
    window.wait("the token is gone", SOON, gone).await;
    assert!(!window.desk.home().join("hub-token").exists());
    window.close().await;
}

/// Leaves `model` in the cache of another program, as `tiny/NAME`.
fn fetched_elsewhere(desk: &Desk, model: &Path, name: &str) -> std::path::PathBuf {
    let repository = desk.hub_cache().join(format!("models--tiny--{name}"));
    let snapshot = repository.join("snapshots/abc");
    material::copied(model, &snapshot);
    std::fs::create_dir_all(repository.join("refs")).unwrap();
    std::fs::write(repository.join("refs/main"), "abc").unwrap();
    snapshot
}

#[tokio::test(flavor = "multi_thread")]
async fn what_other_programs_fetched_is_found_and_used_where_it_lies() {
    let Some(model) = material::tiny_llama() else { return };
    let desk = Desk::new();
    let (one, two) = (fetched_elsewhere(&desk, &model, "one"), fetched_elsewhere(&desk, &model, "two"));
    let window = Window::open_on(desk, &[]).await;
    let found = window.text(&id("found-models")).await;
    assert!(found.contains("tiny/one") && found.contains("tiny/two"), "{found}");
    window.look_at("home-found").await;
    window.go("models").await;
    window.look_at("models-found").await;
    let use_it = |name: &str| format!("[aria-label=\"Use tiny/{name}\"]");
    window.click(&use_it("one")).await;
    let row = format!("{} tr.on", id("models"));
    window.wait("the first in the list", LATER, async || window.text(&row).await.contains("one").then_some(())).await;
    window.wait("one left", SOON, async || (!window.has(&use_it("one")).await).then_some(())).await;
    window.click(&use_it("two")).await;
    window.wait("none left", SOON, async || (!window.has(&id("found-models")).await).then_some(())).await;
    let models = window.desk.registry().models().list(Page::first(10)).unwrap().rows;
    let places: Vec<&Path> = models.iter().map(|model| Path::new(&model.path)).collect();
    assert!(places.contains(&one.as_path()) && places.contains(&two.as_path()), "{places:?}");
    assert!(!window.desk.home().join("models/tiny--one").exists(), "used where it lies");
    window.close().await;
}
