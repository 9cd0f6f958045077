//! Every fixture folder, through every back end.

use lorikeet_models::{Backend, Composed, Fused};
use lorikeet_tests::{fixture::Fixture, shared_data};

use crate::compare::{Outcome, compare, method};

/// Fixtures that must be equal wherever their folder is present.
const REQUIRED: [&str; 10] = [
    "llama-untied",
    "llama-tied",
    "smollm2",
    "qwen2",
    "qwen3",
    "bert",
    "distilbert",
    "llama-qv-only",
    "llama-completion-only",
    "llama-grad-accumulation",
];

/// On the back end's own worker threads, as the product runs.
fn every_fixture<B: Backend + Clone>(label: &str, backend: &B) {
    backend.run(|| compare_all(label, || backend.clone()));
}

fn compare_all<B: Backend>(label: &str, make: impl Fn() -> B) {
    let Some(root) = shared_data::find("parity/fixtures") else { return };
    let (mut n_compared, mut failures) = (0, Vec::new());
    for fixture in Fixture::all(&root) {
        match compare(&fixture, label, &make) {
            Outcome::Compared(found) => {
                println!("{found}");
                if let Some((_, Err(e))) = method(&fixture) {
                    println!("not built yet: {}: losses, gradients and training: {e}", fixture.name);
                }
                n_compared += 1;
                failures.extend(found.failures());
                let whole = ["gradients", "curve"].iter().all(|what| found.compared(what));
                if REQUIRED.contains(&fixture.name.as_str()) && !whole {
                    failures.push(format!("{}: gradients and training were not compared", fixture.name));
                }
            }
            Outcome::NotBuilt(reason) => {
                println!("not built yet: {}: {reason}", fixture.name);
                if REQUIRED.contains(&fixture.name.as_str()) {
                    failures.push(format!("{} must be built: {reason}", fixture.name));
                }
            }
        }
    }
    assert!(n_compared > 0, "no fixture in `{}` was compared", root.display());
    assert!(failures.is_empty(), "{} of the numbers differ:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn parity_of_the_fused_back_end_with_one_thread() {
    every_fixture("fused, 1 thread", &Fused::new(1).unwrap());
}

#[test]
fn parity_of_the_fused_back_end_with_two_threads() {
    every_fixture("fused, 2 threads", &Fused::new(2).unwrap());
}

#[test]
fn parity_of_the_composed_back_end() {
    every_fixture("composed", &Composed::cpu());
}
