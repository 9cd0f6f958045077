//! What the page asks of the program is answered, every time: questions in several lanes at once, and streams whose answer
//! comes after many updates.

use crate::{page::id, window::Window};

#[tokio::test(flavor = "multi_thread")]
async fn every_question_of_the_page_is_answered() {
    let window = Window::open().await;
    window.see(&id("drop-target")).await;
    for script in [CALLS, STREAMS] {
        let unanswered = window.script_slowly(&format!("{ASK}{script}")).await;
        assert_eq!(unanswered, serde_json::json!([]));
    }
    window.close().await;
}

/// `within` waits for an answer and notes what got none; `finish` tells what was noted.
const ASK: &str = "
const done = arguments[arguments.length - 1];
const { invoke, transformCallback } = window.__TAURI_INTERNALS__;
const missing = [];
const within = (answer, what) => Promise.race([answer, new Promise((go) => setTimeout(() => { missing.push(what()); go(); }, 20000))]);
const finish = (work) => work.then(() => done(missing), (error) => done([String(error?.message ?? error)]));
";

/// Six lanes of questions.
const CALLS: &str = "
const lane = async (lane) => {
  for (let nth = 0; nth < 200 && missing.length === 0; nth++) await within(invoke('call', { name: 'settings_schema', request: {} }), () => `${lane}: ${nth}`);
};
finish(Promise.all([...Array(6).keys()].map(lane)));
";

/// Answers of the starter model, one after the other.
const STREAMS: &str = "
const once = async (nth) => {
  let updates = 0;
  const channel = transformCallback(() => updates++);
  const request = { model: 'starter', prompt: 'Write a word.', max_tokens: 20, temperature: 1, seed: nth };
  await within(invoke('stream', { id: 1000000 + nth, name: 'generate', request, channel: `__CHANNEL__:${channel}` }), () => `${nth} after ${updates} updates`);
};
finish((async () => { for (let nth = 0; nth < 60 && missing.length === 0; nth++) await once(nth); })());
";
