//! What a person does on the page and reads from it: waiting until something is there, clicking, typing, reading.

use std::time::{Duration, Instant};

use serde_json::Value;
use thirtyfour::prelude::*;

use crate::window::{LATER, SOON, Window, until};

/// The selector of an element by the name that the page gives it for tests.
pub fn id(name: &str) -> String {
    format!("[data-testid=\"{name}\"]")
}

impl Window {
    /// Runs a script in the page; its answer.
    pub async fn script(&self, script: &str) -> Value {
        self.driver.execute(script, vec![]).await.unwrap_or_else(|e| panic!("{script}: {e}")).json().clone()
    }

    /// Runs a script that hands its answer to its last argument when it has one.
    pub async fn script_slowly(&self, script: &str) -> Value {
        self.driver.set_script_timeout(LATER).await.unwrap();
        self.driver.execute_async(script, vec![]).await.unwrap_or_else(|e| panic!("{script}: {e}")).json().clone()
    }

    /// Whether `selector` finds something on the page.
    pub async fn has(&self, selector: &str) -> bool {
        self.script(&format!("return document.querySelector({selector:?}) !== null")).await == true
    }

    /// Waits until `selector` finds something.
    pub async fn see(&self, selector: &str) {
        self.see_within(selector, SOON).await;
    }

    /// Waits until `selector` finds something, up to `limit`.
    pub async fn see_within(&self, selector: &str, limit: Duration) {
        self.wait(selector, limit, async || self.has(selector).await.then_some(())).await;
    }

    /// Waits for an answer; where none comes, tells what the page shows.
    pub async fn wait<T>(&self, what: &str, limit: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
        let end = Instant::now() + limit;
        until(what, limit + SOON, async || {
            // Looked at before asking: on a busy computer one question may take as long as all of it.
            let is_late = Instant::now() > end;
            let answer = ask().await;
            if answer.is_none() && is_late {
                self.picture("failed").await;
                panic!("not so after {} s: {what}; the page shows:\n{}", limit.as_secs(), self.shown().await);
            }
            answer
        })
        .await
    }

    /// Everything that can be read on the page.
    pub async fn shown(&self) -> String {
        self.script("return document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    /// What is written in the first element that `selector` finds; waits for it.
    pub async fn text(&self, selector: &str) -> String {
        self.see(selector).await;
        let script = format!("return document.querySelector({selector:?})?.innerText ?? ''");
        self.script(&script).await.as_str().unwrap_or_default().replace('\u{a0}', " ")
    }

    /// An attribute of the first element that `selector` finds.
    pub async fn attribute(&self, selector: &str, name: &str) -> Option<String> {
        let script = format!("return document.querySelector({selector:?})?.getAttribute({name:?}) ?? null");
        self.script(&script).await.as_str().map(str::to_owned)
    }

    /// Clicks where the element lies, once it is there and takes clicks.
    pub async fn click(&self, selector: &str) {
        let clicked = async || {
            let element = self.driver.find(By::Css(selector)).await.ok()?;
            if !element.is_enabled().await.ok()? {
                return None;
            }
            element.click().await.ok()
        };
        self.wait(&format!("a click on {selector}"), SOON, clicked).await;
    }

    /// Writes into a field in place of what is there.
    pub async fn write(&self, selector: &str, text: &str) {
        self.see(selector).await;
        let field = self.driver.find(By::Css(selector)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Presses keys where the focus is.
    pub async fn press(&self, keys: impl Into<TypingData>) {
        self.driver.action_chain().send_keys(keys).perform().await.unwrap();
    }

    /// Presses a key while the control key is held.
    pub async fn press_with_control(&self, key: &str) {
        let keys = self.driver.action_chain().key_down(Key::Control).send_keys(key).key_up(Key::Control);
        keys.perform().await.unwrap();
    }

    /// Goes to a place by its entry in the sidebar.
    pub async fn go(&self, place: &str) {
        self.click(&id(&format!("place-{place}"))).await;
        self.see(&id(&format!("view-{place}"))).await;
    }

    /// Chooses the file of examples by writing its path into the visible field.
    pub async fn read_file(&self, path: &std::path::Path) {
        self.write(&id("data-path"), &path.to_string_lossy()).await;
        self.click(&id("data-read")).await;
    }

    /// The number in an attribute; 0 until there is one.
    pub async fn number(&self, selector: &str, attribute: &str) -> u64 {
        self.attribute(selector, attribute).await.and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Waits until the run that is shown has this status.
    pub async fn run_is(&self, status: &str, limit: Duration) {
        self.see_within(&format!("{}[data-status=\"{status}\"]", id("view-run")), limit).await;
    }
}
