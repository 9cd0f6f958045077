//! Every place of the window, in both sizes and both looks: nothing lies outside it, and whatever can be pressed or filled
//! in has a name for a screen reader.

use crate::{
    page::id,
    window::{Desk, Window},
};

#[tokio::test(flavor = "multi_thread")]
async fn every_place_fits_and_names_its_controls() {
    let desk = Desk::new();
    let run = desk.trained("review-instructions.jsonl", 120, 8);
    let window = Window::open_on(desk, &[]).await;
    window.see("main").await;
    window.without_transitions().await;
    for place in ["home", "data", "models", "runs", "try", "serve", "settings"] {
        window.go(place).await;
        window.see("main h1").await;
        check(&window, place).await;
    }
    window.go("data").await;
    window.click("[data-testid^=\"dataset-\"] .name").await;
    window.see(&id("tokens")).await;
    check(&window, "dataset").await;
    window.click(&id("train-on")).await;
    window.see(&id("preset-quick")).await;
    window.click(&id("advanced")).await;
    window.see(&id("input-steps")).await;
    check(&window, "new-run-advanced").await;
    window.go("runs").await;
    window.click(&format!("{} .name", id(&format!("run-{run}")))).await;
    window.see(&id("run-done")).await;
    check(&window, "run-finished").await;
    window.close().await;
}

async fn check(window: &Window, place: &str) {
    window.look_at(&format!("place-{place}")).await;
    let nameless = window.script(NAMELESS).await;
    assert_eq!(nameless, serde_json::json!([]), "{place}: without a name for a screen reader");
    let faint = window.script(FAINT).await;
    assert_eq!(faint, serde_json::json!([]), "{place}: contrast below 4.5 : 1");
}

/// Controls that a screen reader could only call "button" or "field".
const NAMELESS: &str = r#"
const controls = 'button, a[href], input, textarea, select, [role="radio"], [role="switch"], [role="option"], [role="listbox"], [role="img"], [role="progressbar"], [tabindex="0"]';
const text = (e) => (e?.innerText || e?.textContent || '').trim();
const name = (e) => e.getAttribute('aria-label')?.trim()
  || (e.getAttribute('aria-labelledby') ?? '').split(/\s+/).filter(Boolean).map((id) => text(document.getElementById(id))).join(' ').trim()
  || [...(e.labels ?? [])].map(text).join(' ').trim()
  || (e.matches('input, textarea, select') ? '' : text(e))
  || e.getAttribute('title')?.trim();
return [...document.querySelectorAll(controls)].filter((e) => !e.closest('[aria-hidden="true"]') && e.getClientRects().length && !name(e)).map((e) => e.outerHTML.slice(0, 160));
"#;

/// Words that are hard to read before what lies behind them. Disabled controls are left out.
const FAINT: &str = r#"
const canvas = document.createElement('canvas'); canvas.width = canvas.height = 1;
const ink = canvas.getContext('2d', { willReadFrequently: true });
const rgba = (css) => { ink.clearRect(0, 0, 1, 1); ink.fillStyle = css; ink.fillRect(0, 0, 1, 1); const d = ink.getImageData(0, 0, 1, 1).data; return [d[0], d[1], d[2], d[3] / 255]; };
const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
const behind = (e) => { const layers = []; for (let at = e; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor)); return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]); };
const light = (c) => { const f = (v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * f(c[0]) + 0.7152 * f(c[1]) + 0.0722 * f(c[2]); };
const found = new Set();
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const e = walk.currentNode.parentElement;
  if (!walk.currentNode.data.trim() || !e.checkVisibility() || e.closest('.sr, script, style, svg, :disabled, [data-disabled]')) continue;
  const back = behind(e);
  const [a, b] = [light(over(rgba(getComputedStyle(e).color), back)), light(back)].sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < 4.49) found.add(`${ratio.toFixed(2)} ${walk.currentNode.data.trim().slice(0, 40)}`);
}
return [...found].slice(0, 12);
"#;
