//! Decoders that give labels, against transformers and PEFT: logits of the last token, losses, gradients, training, and the
//! adapter folder with its `score`. The numbers lie beside this file with the script that made them; the bases are those of
//! the fixtures.

use std::path::Path;

use lorikeet_models::{Backend, Composed, Fused, Model};
use lorikeet_tests::{fixture::Fixture, shared_data};
use serde_json::json;

use crate::{
    adapters::saves_what_peft_saved,
    compare::{Outcome, compare},
};

/// Families whose numbers must be equal.
pub const REQUIRED: [&str; 5] = ["llama-untied", "qwen3", "gemma2", "phi3", "gpt2"];

/// The recorded runs on bases that are present.
fn recorded() -> Option<Vec<Fixture>> {
    let bases = shared_data::find("parity/fixtures")?;
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("parity/recorded/decoder-labels");
    let mut fixtures = Fixture::all(&recorded);
    for fixture in &mut fixtures {
        let base = bases.join(fixture.facts["model"].as_str().unwrap());
        fixture.facts["model"] = json!(base.to_str().unwrap());
    }
    Some(fixtures)
}

fn decoders_give_the_recorded_labels<B: Backend + Clone>(label: &str, backend: &B) {
    let Some(fixtures) = recorded() else { return };
    let mut failures = Vec::new();
    for fixture in fixtures {
        let required = REQUIRED.contains(&fixture.name.as_str());
        match backend.run(|| compare(&fixture, &format!("labels, {label}"), || backend.clone())) {
            Outcome::Compared(found) => {
                println!("{found}");
                failures.extend(found.failures());
                for what in ["lora.logits", "loss", "gradients", "curve", "trained.logits"] {
                    assert!(found.compared(what), "{}: {what} was not compared", fixture.name);
                }
            }
            Outcome::NotBuilt(reason) => {
                println!("not built yet: labels of {}: {reason}", fixture.name);
                assert!(!required, "{} must be built: {reason}", fixture.name);
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn parity_of_decoders_that_give_labels_on_the_fused_back_end() {
    decoders_give_the_recorded_labels("fused, 2 threads", &Fused::new(2).unwrap());
}

#[test]
fn parity_of_decoders_that_give_labels_on_the_composed_back_end() {
    decoders_give_the_recorded_labels("composed", &Composed::cpu());
}

#[test]
fn parity_of_saved_adapters_of_decoders_that_give_labels() {
    let Some(fixtures) = recorded() else { return };
    for fixture in fixtures.iter().filter(|f| REQUIRED.contains(&f.name.as_str())) {
        let adapter = fixture.adapter_folder("adapter").unwrap();
        let model = Model::open_with_adapter(Fused::new(1).unwrap(), &fixture.model_folder(), &adapter).unwrap();
        assert_eq!(model.config().labels, Some(3));
        saves_what_peft_saved(&model, &fixture.model_folder(), &adapter);
    }
}
