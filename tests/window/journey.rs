//! The whole way: a file dropped on a first window, a model trained on it, an answer of it read.

use lorikeet_registry::{MetricKind, RunStatus};

use crate::{
    page::id,
    window::{LATER, SOON, Window},
};

/// Steps of the run: enough to reload the window in the middle.
const N_STEPS: u64 = 80;

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_file_becomes_a_tuned_model() {
    let window = Window::open().await;
    drop_examples(&window).await;
    read_the_preview(&window).await;
    start_a_short_run(&window).await;
    let run = watch_it_train(&window).await;
    find_it_in_the_list(&window, &run).await;
    hold_it_against_the_tables(&window, &run);
    export_it(&window, &run).await;
    read_answers(&window, &run).await;
    window.close().await;
}

async fn drop_examples(window: &Window) {
    window.see(&id("drop-target")).await;
    window.look_at("home-first-run").await;
    let file = window.desk.sample("orders.jsonl", 200);
    window.drop_file(&file).await;
    let recognised = window.text(&id("recognised")).await;
    assert_eq!(recognised, "Instructions with answers, ready to train");
    assert_eq!(window.text(&id("dataset-name")).await, "orders");
    let about = window.text(&id("drop-target")).await;
    assert!(about.contains("200 examples") && about.contains("Every row can be used"), "{about}");
}

async fn read_the_preview(window: &Window) {
    window.click(&id("preview")).await;
    window.see(&id("tokens")).await;
    // What is trained is tinted, what is only read is not.
    let tints =
        "const of = (trained) => [...new Set([...document.querySelectorAll(`[data-trained=\"${trained}\"]:not(.sp)`)]
        .map((token) => getComputedStyle(token).backgroundColor))]; return [of(true), of(false)]";
    let tints = window.script(tints).await;
    let (trained, read) = (tints[0].as_array().unwrap(), tints[1].as_array().unwrap());
    assert!(trained.len() == 1 && !read.is_empty() && !read.contains(&trained[0]), "{tints}");
    let answer = "return [...document.querySelectorAll('[data-trained=\"true\"]')].map((e) => e.textContent).join('')";
    let answer = window.script(answer).await.to_string();
    assert!(answer.contains("towel") && answer.contains("Exeter") && !answer.contains("ordered"), "{answer}");
    window.look_at("dataset-preview").await;
}

async fn start_a_short_run(window: &Window) {
    window.go("home").await;
    window.see(&id("recognised")).await;
    window.click("[data-testid^=\"model-\"][role=\"radio\"]:not([disabled])").await;
    let chosen = window.text("[data-testid^=\"model-\"][aria-checked=\"true\"]").await;
    assert!(chosen.contains("starter"), "{chosen}");
    let takes = async || window.text(&id("promise")).await.contains("180 examples").then_some(());
    window.wait("what will happen is said", LATER, takes).await;
    window.look_at("home-file-recognised").await;
    window.click(&id("change-settings")).await;
    window.click(&id("preset-quick")).await;
    window.click(&id("advanced")).await;
    window.write(&id("input-steps"), &N_STEPS.to_string()).await;
    let counted = async || (window.text(&id("estimate-steps")).await == N_STEPS.to_string()).then_some(());
    window.wait("the estimate knows the steps", LATER, counted).await;
    window.look_at("new-run").await;
    window.click(&id("train")).await;
}

/// Watches the curve grow, reloads the window meanwhile, and waits for the end. Returns the run's name.
async fn watch_it_train(window: &Window) -> String {
    let chart = id("loss-chart");
    window.run_is("running", LATER).await;
    let name = window.text(&id("run-title")).await;
    let points = async || window.number(&chart, "data-points").await;
    let first = window.wait("points on the curve", LATER, async || Some(points().await).filter(|n| *n >= 2)).await;
    let speed =
        async || window.text(&id("now-tps")).await.replace([' ', ','], "").parse::<u64>().ok().filter(|n| *n > 0);
    window.wait("tokens per second", LATER, speed).await;
    let more = window.wait("the curve moves", LATER, async || Some(points().await).filter(|n| *n > first)).await;
    let last = window.number(&chart, "data-last").await;
    assert_eq!(
        window.attribute(&id("view-run"), "data-status").await.as_deref(),
        Some("running"),
        "reloaded meanwhile"
    );
    window.script("window.before = true; location.reload()").await;
    window
        .wait("a page that began anew", SOON, async || {
            (window.script("return window.before ?? null").await.is_null()).then_some(())
        })
        .await;
    window.see(&chart).await;
    let kept = window.wait("the curve is back", SOON, async || Some(points().await).filter(|n| *n >= more)).await;
    assert!(
        kept >= more && window.number(&chart, "data-last").await >= last,
        "{kept} of {more} points after the reload"
    );
    assert_eq!(window.text(&id("run-title")).await, name);
    window.look_at("run-live").await;
    window.see_within(&id("run-done"), LATER).await;
    let verdict = window.text(&id("verdict")).await;
    assert_eq!(verdict, "It learned to answer like your examples.");
    let words = window.text(&id("run-done")).await;
    assert!(words.contains("Validation loss fell from") && words.contains("Perplexity"), "{words}");
    window.look_at("run-finished").await;
    name
}

async fn find_it_in_the_list(window: &Window, run: &str) {
    window.go("runs").await;
    let row = id(&format!("run-{run}"));
    let text = window.text(&row).await;
    assert!(text.contains("Done") && text.contains("starter") && text.contains(&N_STEPS.to_string()), "{text}");
    assert_eq!(window.attribute(&row, "data-status").await.as_deref(), Some("completed"));
    window.look_at("runs").await;
}

fn hold_it_against_the_tables(window: &Window, run: &str) {
    let registry = window.desk.registry();
    assert_eq!(registry.check().unwrap(), Vec::<String>::new());
    let row = registry.runs().get(run).unwrap();
    assert_eq!((row.status, row.step, row.task.as_str()), (RunStatus::Completed, N_STEPS, "causal"));
    assert_eq!(row.settings["steps"], N_STEPS);
    let metrics = registry.metrics().since(run, 0, 1000).unwrap();
    let n_steps = metrics.iter().filter(|metric| metric.kind == MetricKind::Train).count();
    assert_eq!(n_steps as u64, N_STEPS, "a row per step, none lost by the reload");
    let losses: Vec<f64> = metrics.iter().map(|metric| metric.loss_sum / metric.n_tokens as f64).collect();
    assert!(losses.last().unwrap() < losses.first().unwrap(), "{losses:?}");
    let best = registry.checkpoints().best(run).unwrap().expect("a best checkpoint");
    assert!(std::path::Path::new(&best.path).is_dir(), "{}", best.path);
}

async fn export_it(window: &Window, run: &str) {
    window.click(&format!("{} .name", id(&format!("run-{run}")))).await;
    window.click(&id("export-it")).await;
    window.see(&id("export-dialog")).await;
    window.look_at("export").await;
    window.click(&id("export-gguf")).await;
    window.click(&id("export-start")).await;
    window.see_within(&id("export-done"), LATER).await;
    let folder = window.attribute(&id("export-folder"), "title").await.expect("the dialog names the folder");
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let written: Vec<_> = files.filter(|file| file.extension().is_some_and(|ending| ending == "gguf")).collect();
    assert!(written.len() == 1 && written[0].metadata().unwrap().len() > 1 << 20, "{folder}: {written:?}");
    window.look_at("export-done").await;
    window.press(thirtyfour::Key::Escape).await;
}

async fn read_answers(window: &Window, run: &str) {
    window.go("runs").await;
    window.click(&format!("{} .name", id(&format!("run-{run}")))).await;
    window.click(&id("try-it")).await;
    window
        .write(&id("prompt"), "Write down the order. Mrs. Hill ordered nine blue bowls. They go to Leeds on Monday.")
        .await;
    window.click(&id("send")).await;
    let mut answers = Vec::new();
    for who in ["answer-base", "answer-tuned"] {
        window.see_within(&format!("{}[data-state=\"done\"]", id(who)), LATER).await;
        answers.push(window.text(&format!("{} .text", id(who))).await);
    }
    assert!(answers.iter().all(|answer| !answer.trim().is_empty()), "{answers:?}");
    assert_ne!(answers[0], answers[1], "training moved nothing");
    window.look_at("try").await;
}
