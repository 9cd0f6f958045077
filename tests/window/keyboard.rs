//! Without a mouse: the palette, the way through the controls of a page, and a mark where the focus is.

use std::collections::BTreeSet;

use thirtyfour::prelude::*;

use crate::{
    page::id,
    window::{Desk, SOON, Window},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_palette_opens_finds_and_goes() {
    let window = Window::open().await;
    window.see(&id("drop-target")).await;
    open_palette(&window).await;
    window.press("setti").await;
    window.see("[role=\"option\"][aria-selected=\"true\"]").await;
    window.picture("palette").await;
    window.press(Key::Enter).await;
    window.see(&id("view-settings")).await;
    palette_is_gone(&window).await;

    open_palette(&window).await;
    let selected = "return document.querySelector('[role=\"option\"][aria-selected=\"true\"]')?.dataset.testid ?? ''";
    let first = window.script(selected).await;
    window.press(Key::Down + Key::Down).await;
    window.wait("the arrows move", SOON, async || (window.script(selected).await != first).then_some(())).await;
    window.press(Key::Up + Key::Up).await;
    window.wait("and back", SOON, async || (window.script(selected).await == first).then_some(())).await;
    assert_eq!(first, "offer-new-run");
    window.press(Key::Enter).await;
    window.see(&id("view-new-run")).await;
    palette_is_gone(&window).await;

    open_palette(&window).await;
    window.press(Key::Escape).await;
    palette_is_gone(&window).await;
    window.close().await;
}

/// Opens the palette by its keys and waits until the field has the focus.
async fn open_palette(window: &Window) {
    window.press_with_control("k").await;
    window.see(&format!("{}:focus", id("palette-input"))).await;
}

async fn palette_is_gone(window: &Window) {
    let gone = async || (!window.has(&id("palette")).await).then_some(());
    window.wait("the palette closes", SOON, gone).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tab_walks_through_every_control_and_the_focus_is_seen() {
    let desk = Desk::new();
    desk.lorikeet(&["data", "import", &desk.sample("orders.jsonl", 30).to_string_lossy()]);
    let window = Window::open_on(desk, &[]).await;
    window.see(&id("drop-target")).await;
    window.without_transitions().await;
    let wanted = window.script(REACHABLE).await;
    let wanted: BTreeSet<&str> = wanted.as_array().unwrap().iter().filter_map(|name| name.as_str()).collect();
    assert!(wanted.contains("data-path") && wanted.contains("place-serve"), "{wanted:?}");
    let mut reached = BTreeSet::new();
    for _ in 0..wanted.len() + 15 {
        window.press(Key::Tab).await;
        let step = window.script(FOCUSED).await;
        if step.is_null() {
            continue;
        }
        assert_eq!(step["visible"], true, "no mark where the focus is: {}", step["what"]);
        reached.insert(step["name"].as_str().unwrap_or_default().to_owned());
    }
    let missed: Vec<&&str> = wanted.iter().filter(|name| !reached.contains(**name)).collect();
    assert!(missed.is_empty(), "Tab does not reach {missed:?}; it reached {reached:?}");
    window.close().await;
}

/// The controls that are there to be reached, by their names for tests.
const REACHABLE: &str = "return [...document.querySelectorAll('a[href], button, input')]
    .filter((e) => e.checkVisibility() && !e.disabled && e.tabIndex >= 0 && e.dataset.testid).map((e) => e.dataset.testid)";

/// Where the focus is, and whether it looks other than without it, alone or by what holds it.
const FOCUSED: &str = "
const e = document.activeElement;
if (!e || e === document.body) return null;
const looks = () => [e, e.parentElement, e.parentElement?.parentElement].map((one) => { const s = one ? getComputedStyle(one) : {}; return [s.outlineStyle, s.outlineColor, s.outlineWidth, s.boxShadow].join(); }).join('|');
const focused = looks();
e.blur();
const plain = looks();
e.focus();
return { name: e.dataset.testid ?? '', what: e.outerHTML.slice(0, 160), visible: focused !== plain };
";
