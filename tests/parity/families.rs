//! Every fixture folder, through every back end.

use lorikeet_models::{Backend, Composed, Fused};
use lorikeet_tests::{fixture::Fixture, shared_data};

use crate::compare::{Outcome, compare, method};

/// Fixtures that must be equal wherever their folder is present.
const REQUIRED: [&str; 26] = [
    "llama-untied",
    "llama-tied",
    "smollm2",
    "qwen2",
    "qwen3",
    "phi3",
    "gemma2",
    "gemma3",
    "gpt2",
    "bert",
    "distilbert",
    "roberta",
    "albert",
    "llama-label-smoothing",
    "bert-focal",
    "bert-label-smoothing",
    "bert-weighted-ce",
    "llama-qv-only",
    "llama-completion-only",
    "llama-grad-accumulation",
    "llama-packed",
    "llama-rslora",
    "llama-rank-pattern",
    "llama-dora",
    "llama-loraplus",
    "llama-dpo",
];

/// Whether everything recorded in the fixture called `name` must be equal.
pub fn is_required(name: &str) -> bool {
    REQUIRED.contains(&name)
}

/// What is to be said of all fixtures.
#[derive(Default)]
struct Report {
    lines: Vec<String>,
    n_compared: usize,
    failures: Vec<String>,
}

impl Report {
    fn add(&mut self, fixture: &Fixture, outcome: Outcome) {
        let required = REQUIRED.contains(&fixture.name.as_str());
        match outcome {
            Outcome::Compared(found) => {
                self.lines.push(found.to_string());
                if let Some((_, Err(e))) = method(fixture) {
                    self.lines.push(format!("not built yet: {}: losses, gradients and training: {e}", fixture.name));
                }
                self.n_compared += 1;
                self.failures.extend(found.failures());
                if required && !["gradients", "curve"].iter().all(|what| found.compared(what)) {
                    self.failures.push(format!("{}: gradients and training were not compared", fixture.name));
                }
            }
            Outcome::NotBuilt(reason) => {
                self.lines.push(format!("not built yet: {}: {reason}", fixture.name));
                if required {
                    self.failures.push(format!("{} must be built: {reason}", fixture.name));
                }
            }
        }
    }
}

fn every_fixture<B: Backend + Clone>(label: &str, backend: &B) {
    let Some(root) = shared_data::find("parity/fixtures") else { return };
    let mut report = Report::default();
    for fixture in Fixture::all(&root) {
        // On the back end's own worker threads, as the product runs.
        let outcome = backend.run(|| compare(&fixture, label, || backend.clone()));
        report.add(&fixture, outcome);
    }
    report.lines.iter().for_each(|line| println!("{line}"));
    let Report { n_compared, failures, .. } = report;
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
