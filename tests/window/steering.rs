//! A run is paused, resumed and stopped from its page, and what was done lies in the tables.

use lorikeet_registry::{Page, RunFilter, RunStatus};

use crate::{
    page::id,
    window::{LATER, Window},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_pauses_goes_on_and_stops_when_asked() {
    let window = Window::open().await;
    let file = window.desk.sample("orders.jsonl", 60);
    window.read_file(&file).await;
    window.see(&id("recognised")).await;
    window.click(&id("change-settings")).await;
    window.write(&id("run-name"), "long way").await;
    window.click(&id("advanced")).await;
    window.write(&id("input-steps"), "5000").await;
    window.click(&id("train")).await;
    let chart = id("loss-chart");
    let points = async || window.number(&chart, "data-points").await;
    window.wait("a step", LATER, async || Some(points().await).filter(|n| *n >= 2)).await;

    window.click(&id("pause")).await;
    window.run_is("paused", LATER).await;
    let run = window.desk.registry().runs().list(&RunFilter::default(), Page::first(10)).unwrap().rows[0].clone();
    assert_eq!((run.name.as_str(), run.status), ("long way", RunStatus::Paused));
    let at_pause = run.step;
    // The page hears of the last steps a moment after the tables hold them.
    let told =
        async || window.text(&id("time-left")).await.replace(',', "").contains(&at_pause.to_string()).then_some(());
    window.wait("the step it paused at", LATER, told).await;
    window.look_at("run-paused").await;
    assert_eq!(window.desk.registry().runs().get(&run.id).unwrap().step, at_pause, "a paused run does no step");

    window.click(&id("resume")).await;
    window.run_is("running", LATER).await;
    let on = async || Some(window.number(&chart, "data-last").await).filter(|step| *step > at_pause);
    window.wait("steps after the pause", LATER, on).await;

    window.click(&id("stop")).await;
    window.click(&id("confirm-no")).await;
    window.run_is("running", LATER).await;
    window.click(&id("stop")).await;
    window.click(&id("confirm-yes")).await;
    window.run_is("cancelled", LATER).await;
    let words = window.text(&id("view-run")).await;
    assert!(words.contains("was stopped after step") && words.contains("What it had saved is kept."), "{words}");
    let row = window.desk.registry().runs().get(&run.id).unwrap();
    assert!(row.status == RunStatus::Cancelled && row.step > at_pause && row.ended_at_ms.is_some(), "{row:?}");
    window.close().await;
}
