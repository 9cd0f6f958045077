//! Files that cannot be used: the window says where, what and why, offers the mend, and keeps nothing.

use lorikeet_registry::Page;

use crate::{
    page::id,
    window::{SOON, Window},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_is_refused_with_its_lines_and_a_mend() {
    let window = Window::open().await;
    window.see(&id("drop-target")).await;
    let good = r#"{"instruction":"Say hello.","input":"","output":"Hello."}"#;
    let lines = [good, r#"{"instruction":"Say hello.","output":"#, good, r#"{"instruction":"Say hello."}"#, good];
    let file = window.desk.file("half good.jsonl", &format!("{}\n", lines.join("\n")));
    window.drop_file(&file).await;
    let said = window.text(&id("import-error")).await;
    assert!(said.contains("2 rows of half good.jsonl cannot be used"), "{said}");
    assert!(said.contains("Line 2, column") && said.contains("Line 4"), "the lines: {said}");
    let reasons = "return [...document.querySelectorAll('[data-testid=\"import-error\"] li span:last-child')].map((e) => e.innerText)";
    let reasons = window.script(reasons).await;
    assert!(
        reasons
            .as_array()
            .is_some_and(|all| all.len() == 2 && all.iter().all(|one| one.as_str().is_some_and(|one| one.len() > 10))),
        "{reasons}"
    );
    assert!(window.desk.registry().datasets().list(Page::first(10)).unwrap().rows.is_empty(), "nothing was kept");
    window.look_at("home-refused").await;

    assert_eq!(window.text(&id("keep-good")).await, "Keep the 3 good rows");
    window.click(&id("keep-good")).await;
    window.see(&id("recognised")).await;
    assert!(window.text(&id("drop-target")).await.contains("2 rows were left out"));
    let kept = window.desk.registry().datasets().list(Page::first(10)).unwrap().rows;
    assert_eq!(kept.len(), 1);
    window.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_leads_nowhere_and_an_empty_file_are_refused() {
    let window = Window::open().await;
    let missing = window.desk.home().join("nowhere.jsonl");
    window.read_file(&missing).await;
    let said = window.text(&id("import-error")).await;
    assert!(said.contains("nowhere.jsonl"), "{said}");
    window.script("document.querySelector('[data-testid=\"import-error\"] .actions button:last-child').click()").await;
    let empty = window.desk.file("empty.jsonl", "");
    window.read_file(&empty).await;
    let told = async || window.text(&id("import-error")).await.contains("empty").then_some(());
    window.wait("that the file is empty", SOON, told).await;
    assert!(window.desk.registry().datasets().list(Page::first(10)).unwrap().rows.is_empty());
    window.close().await;
}
