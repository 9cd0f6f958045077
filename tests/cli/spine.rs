//! From a file of examples to a tuned model that answers, with the field names that scripts rely on.

use std::{fs, path::Path};

use lorikeet_tests::{
    material,
    terminal::{Ended, Terminal},
};
use serde_json::Value;

fn has(value: &Value, names: &[&str]) {
    for name in names {
        assert!(!value[*name].is_null(), "no `{name}` in {value}");
    }
}

/// A run's events are numbered and belong to it; the last one says that it is completed.
pub fn completed(ended: &Ended) -> Value {
    let events = ended.json_lines();
    for event in &events {
        has(event, &["event", "run", "seq", "step"]);
        assert_eq!(event["run"], events[0]["run"]);
    }
    let numbered: Vec<u64> =
        events.iter().filter(|e| e["event"] != "phase").map(|e| e["seq"].as_u64().unwrap()).collect();
    assert!(numbered.is_sorted_by(|one, next| one < next), "{numbered:?}");
    let last = events.last().unwrap().clone();
    assert_eq!(last["event"], "completed", "{}", ended.error);
    has(&last, &["adapter", "metrics"]);
    last
}

#[test]
fn a_model_that_writes_is_trained_measured_and_asked() {
    let Some(model) = material::tiny_llama() else { return };
    let (terminal, model) = (Terminal::new(), model.display());
    material::write_questions(&terminal.path("questions.jsonl"), 60);

    let imported = terminal.run("data import questions.jsonl --json").well().json();
    has(&imported, &["id", "hash", "kind", "n_rows", "n_bad"]);
    assert_eq!((imported["kind"].as_str(), imported["n_rows"].as_u64()), (Some("alpaca"), Some(60)));
    let id = imported["id"].as_str().unwrap();
    assert_eq!(terminal.run("data list --json").well().json()[0]["id"], id);
    assert_eq!(terminal.run(&format!("data show {id} --json")).well().json()["hash"], imported["hash"]);
    let again = terminal.run("data import questions.jsonl --json").well().json();
    assert_eq!((&again["id"], &again["hash"]), (&imported["id"], &imported["hash"]));

    let words = format!(
        "train --json --model {model} --data {id} --steps 6 --batch-size 4 --learning-rate 1e-2 --rank 4 --seed 3 --threads 1 \
         --max-length 128 --name first --output out"
    );
    let last = completed(&terminal.run(&words).well());
    let adapter = last["adapter"].as_str().unwrap();
    assert_eq!(Path::new(adapter), terminal.path("out").as_path());
    for file in ["adapter_config.json", "adapter_model.safetensors", "README.md"] {
        assert!(terminal.path("out").join(file).is_file(), "no `{file}`");
    }
    let metrics = &last["metrics"];
    assert!(metrics["loss"].as_f64().unwrap() < metrics["base_loss"].as_f64().unwrap(), "{metrics}");

    let run = last["run"].as_str().unwrap();
    assert_eq!(run, "first");
    let shown = terminal.run(&format!("runs show {run} --json")).well().json();
    has(&shown, &["id", "status", "settings", "metrics", "checkpoints", "dataset_hash", "model_hash", "code_version"]);
    assert_eq!((&shown["status"], &shown["settings"]["rank"]), (&Value::from("completed"), &Value::from(4)));
    assert_eq!(terminal.run("runs list --json").well().json()["runs"][0]["id"], "first");

    let evaluate = |adapter: &str| {
        let words = format!("evaluate --json --model {model} --data {id} {adapter}");
        let found = terminal.run(&words).well().json();
        has(&found, &["n", "loss", "perplexity"]);
        found["loss"].as_f64().unwrap()
    };
    assert!(evaluate("--adapter out") < evaluate(""));
    assert_eq!(evaluate("--adapter first").to_bits(), evaluate(&format!("--adapter {adapter}")).to_bits());

    let words =
        ["generate", "--json", "--model", &model.to_string(), "--adapter", run, "--max-tokens", "5", "--prompt"];
    let answer = |prompt| terminal.run_words(words.into_iter().chain([prompt])).well().json();
    let said = answer("What about the food?");
    has(&said, &["text", "n_tokens", "stop_reason"]);
    assert!((1..=5).contains(&said["n_tokens"].as_u64().unwrap()), "{said}");
    assert_eq!(said["text"], answer("What about the food?")["text"]);
}

#[test]
fn a_classifier_is_trained_measured_and_asked() {
    let terminal = Terminal::new();
    if material::tiny_classifier(&terminal.path("bert")).is_none() {
        return;
    }
    material::write_reviews(&terminal.path("reviews.csv"), 96);
    let words = "train --json --model ./bert --data reviews.csv --task classify --steps 60 --batch-size 16 \
                 --learning-rate 1e-2 --threads 1 --validation-split 0.25";
    let last = completed(&terminal.run(words).well());
    assert!(last["metrics"]["accuracy"].as_f64().unwrap() > 0.9, "{}", last["metrics"]);
    let run = last["run"].as_str().unwrap();

    let found =
        terminal.run(&format!("evaluate --json --model ./bert --adapter {run} --data reviews.csv")).well().json();
    has(&found, &["n", "loss", "accuracy", "f1_macro"]);
    assert!(found["accuracy"].as_f64().unwrap() > 0.9, "{found}");
    has(
        &found["labels"],
        &["per_label", "confusion", "balanced_accuracy", "matthews", "kappa", "roc_auc", "f1_weighted"],
    );
    let counts: Vec<Vec<u64>> = serde_json::from_value(found["labels"]["confusion"].clone()).unwrap();
    let right = (counts[0][0] + counts[1][1]) as f64 / 96.0;
    assert!((right - found["accuracy"].as_f64().unwrap()).abs() < 1e-12, "{found}");

    let words = ["predict", "--json", "--model", "./bert", "--adapter", run, "--text", "food was dirty and cold"];
    let prediction = terminal.run_words(words).well().json();
    assert_eq!(prediction["label"], "bad", "{prediction}");
    let shares: Vec<f64> =
        prediction["probabilities"].as_object().unwrap().values().filter_map(Value::as_f64).collect();
    assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-5 && shares.len() == 2, "{prediction}");
}

/// Texts become vectors of length one, by an encoder and by a model that writes.
#[test]
fn texts_become_vectors() {
    let Some(model) = material::tiny_llama() else { return };
    let terminal = Terminal::new();
    material::tiny_classifier(&terminal.path("bert")).unwrap();
    fs::write(terminal.path("texts.txt"), "food was lovely\n\nbed was dark\nfood was lovely\n").unwrap();
    for (model, dimensions) in [("./bert".to_owned(), 64), (model.display().to_string(), 64)] {
        let found = terminal.run(&format!("embed --json --model {model} --file texts.txt")).well().json();
        has(&found, &["embeddings", "n_dimensions", "pooling", "n_tokens", "n_truncated", "seconds"]);
        assert_eq!((found["n_dimensions"].as_u64(), found["pooling"].as_str()), (Some(dimensions), Some("mean")));
        let vectors: Vec<Vec<f64>> = serde_json::from_value(found["embeddings"].clone()).unwrap();
        let product = |a: usize, b: usize| vectors[a].iter().zip(&vectors[b]).map(|(x, y)| x * y).sum::<f64>();
        assert_eq!(vectors.len(), 3);
        assert!((product(0, 0) - 1.0).abs() < 1e-6 && (product(0, 2) - 1.0).abs() < 1e-6, "{model}");
        assert!(product(0, 1) < 0.999, "{model}: {}", product(0, 1));
        let alone = terminal.run_words(["embed", "--json", "--model", &model, "bed was dark"]).well().json();
        let alone: Vec<f64> = serde_json::from_value(alone["embeddings"][0].clone()).unwrap();
        assert!(alone.iter().zip(&vectors[1]).all(|(a, b)| (a - b).abs() < 1e-6), "{model}");
        let shown = terminal.run(&format!("embed --model {model} --file texts.txt")).well().out;
        assert!(shown.contains("LIKE THE FIRST") && shown.contains("1.000"), "{shown}");
    }
    let nothing = terminal.run("embed --model ./bert --file nothing.txt").with_code(2);
    assert!(nothing.error.contains("nothing.txt"), "{}", nothing.error);
}

/// Every objective is a setting, and a run with it learns; the checks tell plain cross-entropy.
#[test]
fn a_classifier_learns_by_every_objective() {
    let terminal = Terminal::new();
    if material::tiny_classifier(&terminal.path("bert")).is_none() {
        return;
    }
    material::write_reviews(&terminal.path("reviews.csv"), 96);
    let train = |name: &str, more: &str| {
        let words = format!(
            "train --json --model ./bert --data reviews.csv --steps 60 --batch-size 16 --learning-rate 1e-2 --threads 1 \
             --validation-split 0.25 --name {name} {more}"
        );
        terminal.run(&words)
    };
    let objectives = [
        ("smooth", "--label-smoothing 0.1"),
        ("focal", "--loss focal --focal-alpha 0.5 --focal-gamma 1"),
        ("weighted", "--class-weights 0.5,2"),
        ("balanced", "--class-weights balanced"),
    ];
    let mut first_losses = Vec::new();
    for (name, more) in objectives {
        let ended = train(name, more).well();
        let last = completed(&ended);
        assert!(last["metrics"]["accuracy"].as_f64().unwrap() > 0.9, "{name}: {}", last["metrics"]);
        let evaluated = ended.json_lines().into_iter().find(|e| e["event"] == "evaluated").unwrap();
        let step = ended.json_lines().into_iter().find(|e| e["event"] == "step").unwrap();
        first_losses.push((evaluated["loss"].as_f64().unwrap(), step["loss"].as_f64().unwrap()));
    }
    // Before the first step all stand at the same place; what they make small differs.
    assert!(first_losses.iter().all(|(check, _)| *check == first_losses[0].0), "{first_losses:?}");
    assert!(first_losses[1].1 < 0.6 * first_losses[0].1 && first_losses[2].1 != first_losses[3].1, "{first_losses:?}");
    let shown = terminal.run("runs show weighted --json").well().json();
    assert_eq!(shown["settings"]["class_weights"], serde_json::json!(["0.5", "2"]));
    let refused = train("odd", "--class-weights 1,2,3").with_code(1);
    assert!(refused.error.contains("`class_weights` lists 3 weights for 2 labels"), "{}", refused.error);
}

/// A base that writes learns labels with a new head, as adapter and as a whole model; what it was told stays with the result.
#[test]
fn a_model_that_writes_learns_to_sort() {
    let Some(model) = material::tiny_llama() else { return };
    let (terminal, model) = (Terminal::new(), model.display());
    material::write_reviews(&terminal.path("reviews.csv"), 400);
    for (method, rate) in [("lora", "3e-3"), ("full", "1e-3")] {
        let words = format!(
            "train --json --model {model} --data reviews.csv --method {method} --steps 100 --batch-size 16 \
             --learning-rate {rate} --threads 1 --validation-split 0.25 --name {method}"
        );
        let last = completed(&terminal.run(&words).well());
        assert!(last["metrics"]["accuracy"].as_f64().unwrap() > 0.9, "{method}: {}", last["metrics"]);
        let found = terminal.run(&format!("evaluate --json --model {model} --adapter {method} --data reviews.csv"));
        let found = found.well().json();
        assert!(found["accuracy"].as_f64().unwrap() > 0.9, "{method}: {found}");
        let model = model.to_string();
        let asked = ["predict", "--json", "--model", &model, "--adapter", method, "--text", "pool was kind and bright"];
        let prediction = terminal.run_words(asked).well().json();
        assert_eq!(prediction["label"], "good", "{method}: {prediction}");
    }
    // The base alone still writes, beside the adapter that sorts.
    let model = model.to_string();
    let words = ["generate", "--json", "--model", &model, "--max-tokens", "3", "--prompt", "What about the food?"];
    assert!(terminal.run_words(words).well().json()["n_tokens"].as_u64().unwrap() > 0);
    let said =
        terminal.run_words(["generate", "--model", &model, "--adapter", "lora", "--prompt", "What?"]).with_code(1);
    assert!(said.error.contains("gives labels and does not continue texts"), "{}", said.error);
}

#[test]
fn a_run_is_repeated_from_its_own_file() {
    let Some(model) = material::tiny_llama() else { return };
    let terminal = Terminal::new();
    material::write_questions(&terminal.path("questions.jsonl"), 30);
    let words = format!(
        "train --json --model {} --data questions.jsonl --steps 3 --batch-size 4 --threads 1 --max-length 128",
        model.display()
    );
    let first = completed(&terminal.run(&words).well());
    let shown = terminal.run(&format!("runs show {} --json", first["run"].as_str().unwrap())).well().json();
    let file = Path::new(shown["folder"].as_str().unwrap()).join("run.yaml");
    let words = ["train", "--json", "--config", file.to_str().unwrap()];
    let again = completed(&terminal.run_words(words).well());
    assert_ne!(first["run"], again["run"]);
    let adapter = |event: &Value| {
        fs::read(Path::new(event["adapter"].as_str().unwrap()).join("adapter_model.safetensors")).unwrap()
    };
    assert!(adapter(&first) == adapter(&again), "the repeated run ends with another adapter");
}

#[test]
fn what_people_read_has_units_and_a_verdict() {
    let Some(model) = material::tiny_llama() else { return };
    let terminal = Terminal::new();
    material::write_questions(&terminal.path("questions.jsonl"), 30);
    let imported = terminal.run("data import questions.jsonl").well();
    assert!(imported.out.starts_with("questions: 30 rows of instruction and output imported"), "{}", imported.out);
    let words = format!(
        "train --model {} --data questions --steps 3 --batch-size 4 --threads 1 --max-length 128 --name plain",
        model.display()
    );
    let trained = terminal.run(&words).well();
    for part in [
        "loads in",
        "run plain",
        "step 3 of 3",
        "tokens/s",
        "finished in",
        "validation loss",
        "try it: lorikeet generate",
    ] {
        assert!(trained.out.contains(part), "no `{part}` in:\n{}", trained.out);
    }
    assert!(
        !trained.out.contains('\u{1b}') && !trained.error.contains('\u{1b}'),
        "control sequences outside a terminal"
    );
    let list = terminal.run("runs list").well().out;
    assert!(list.starts_with("ID") && list.contains("plain  completed"), "{list}");
    let shown = terminal.run("runs show plain").well().out;
    for part in ["status", "completed", "Learning\n", "batch_size", "4 examples"] {
        assert!(shown.contains(part), "no `{part}` in:\n{shown}");
    }
}

#[test]
fn the_doctor_answers_before_anything_was_done() {
    let terminal = Terminal::new();
    let found = terminal.run("doctor --json").json();
    has(&found, &["version", "code_version", "data_folder", "devices", "n_threads", "memory_total_bytes", "simd"]);
    assert_eq!(found["data_folder_writable"], true);
    assert_eq!(Path::new(found["data_folder"].as_str().unwrap()), terminal.home());
    assert!(terminal.run("doctor").out.contains("data folder"));
}
