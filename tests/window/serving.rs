//! The switch on the Serve page: other programs are answered while it is on, and by nobody once it is off.

use std::net::TcpStream;

use serde_json::{Value, json};

use crate::{
    page::id,
    window::{Desk, LATER, SOON, Window},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_switch_serves_the_base_and_the_run_over_http() {
    let desk = Desk::new();
    let run = desk.trained("orders.jsonl", 60, 24);
    let window = Window::open_on(desk, &[]).await;
    window.go("serve").await;
    window.see(&id(&format!("serve-{run}"))).await;
    assert_eq!(window.text(&id("serve-state")).await, "Not answering");
    window.look_at("serve-off").await;
    let address = switch_on(&window).await;
    assert!(address.starts_with("http://127.0.0.1:"), "other computers cannot: {address}");

    let health = ureq::get(address.replace("/v1", "/health")).call().unwrap();
    assert_eq!(health.status(), 200);
    let listed: Value = ureq::get(format!("{address}/models")).call().unwrap().body_mut().read_json().unwrap();
    let names: Vec<&str> = listed["data"].as_array().unwrap().iter().filter_map(|model| model["id"].as_str()).collect();
    assert!(names.len() == 2 && names.contains(&run.as_str()), "{listed}");
    let answers: Vec<String> = names.iter().map(|name| ask(&address, name)).collect();
    assert_ne!(answers[0], answers[1], "both names answer with the same model");
    // What was asked for is counted on the page.
    let counts =
        "return [...document.querySelectorAll('[data-testid=\"served\"] td.num')].map((e) => e.innerText).join()";
    window.wait("the requests are counted", SOON, async || (window.script(counts).await == "1,1").then_some(())).await;
    window.look_at("serve").await;

    window.click(&id("serve-switch")).await;
    window.see(&format!("{}[data-running=\"false\"]", id("view-serve"))).await;
    let host = address.trim_start_matches("http://").trim_end_matches("/v1").to_owned();
    let refused = async || TcpStream::connect(&host).is_err().then_some(());
    window.wait("nobody answers any more", SOON, refused).await;
    window.close().await;
}

/// Switches on, on any free port where the usual one is taken. Returns the address that the page shows.
async fn switch_on(window: &Window) -> String {
    window.click(&id("serve-switch")).await;
    let on = format!("{}[data-running=\"true\"]", id("view-serve"));
    let mend = format!("{} button", id("serve-error"));
    let is_on = async || {
        if window.has(&mend).await {
            window.click(&mend).await;
        }
        window.has(&on).await.then_some(())
    };
    window.wait("it serves", LATER, is_on).await;
    window.text(&id("serve-address")).await
}

fn ask(address: &str, model: &str) -> String {
    let question = "Write down the order. Mrs. Hill ordered nine blue bowls. They go to Leeds on Monday.";
    let request = json!({
        "model": model,
        "messages": [{ "role": "user", "content": question }],
        "max_tokens": 24,
        "temperature": 0,
    });
    let mut response = ureq::post(format!("{address}/chat/completions")).send_json(&request).unwrap();
    let answer: Value = response.body_mut().read_json().unwrap();
    assert_eq!((&answer["object"], &answer["model"]), (&json!("chat.completion"), &json!(model)), "{answer}");
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned();
    assert!(!text.is_empty() && answer["usage"]["completion_tokens"].as_u64() > Some(0), "{answer}");
    text
}
