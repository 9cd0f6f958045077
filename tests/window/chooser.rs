//! The system's own file chooser, which lies outside the page.

use crate::{page::id, window::Window};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_chosen_in_the_systems_dialog() {
    let window = Window::open().await;
    let file = window.desk.sample("reviews.jsonl", 40);
    window.click(&id("choose-file")).await;
    window.choose_in_system_dialog("A file of examples", &file, &id("recognised")).await;
    assert_eq!(window.text(&id("recognised")).await, "Texts with labels, ready to train");
    assert_eq!(window.text(&id("dataset-name")).await, "reviews");
    window.close().await;
}
