//! Where the system names no language, the webview calls it "C", and what formats numbers would end before it draws.

use crate::{
    page::id,
    window::{Desk, Window},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_window_is_not_blank_where_lang_is_c() {
    let none = [("LANG", "C"), ("LC_ALL", "C"), ("LANGUAGE", "")];
    let window = Window::open_on(Desk::new(), &none).await;
    assert_eq!(window.text("h1").await, "Train a model on your examples");
    window.see(&id("drop-target")).await;
    let formats = "return new Intl.NumberFormat(navigator.language).format(1)";
    assert_eq!(window.script(formats).await, "1");
    window.close().await;
}
