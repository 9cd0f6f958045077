//! Learning what is preferred through the command line, on real pairs and verdicts.

use std::{
    fs,
    path::{Path, PathBuf},
};

use lorikeet_tests::{
    material,
    terminal::{Ended, Terminal},
};
use serde_json::Value;

use crate::spine::completed;

/// A terminal with a tiny model, which finds real answers cut short in its folder.
struct Preferring {
    terminal: Terminal,
    model: String,
    data: PathBuf,
}

impl Preferring {
    fn new() -> Option<Self> {
        let (model, data) = (material::tiny_llama()?, lorikeet_tests::shared_data::find("data/preference")?);
        Some(Self { terminal: Terminal::new(), model: model.display().to_string(), data })
    }

    /// Writes the first rows of `file`, each cut short, as `name`.
    fn write(&self, file: &str, name: &str, shorten: fn(&Value) -> Value) {
        let rows: Vec<Value> = serde_json::from_slice(&fs::read(self.data.join(file)).unwrap()).unwrap();
        let lines: String = rows.iter().take(48).map(|row| format!("{}\n", shorten(row))).collect();
        fs::write(self.terminal.path(name), lines).unwrap();
    }

    fn train(&self, data: &str, rest: &str) -> Ended {
        self.terminal.run(&format!("train --json --model {} --data {data} --max-length 192 {rest}", self.model))
    }

    /// The margin of the run `stricter` by the preferences in the file of pairs.
    fn margin(&self) -> f64 {
        let words = format!("evaluate --model {} --adapter stricter --data pairs.jsonl --limit 8 --json", self.model);
        let found = self.terminal.run(&words).well().json();
        assert!(found["perplexity"].is_null() && found["preference"]["accuracy"].is_number(), "{found}");
        found["preference"]["margin"].as_f64().unwrap()
    }
}

fn short(text: &Value) -> String {
    text.as_str().unwrap().chars().take(120).collect()
}

fn short_pair(row: &Value) -> Value {
    let asked = short(&row["conversations"][0]["value"]);
    serde_json::json!({"conversations": [{"from": "human", "value": asked}],
        "chosen": {"from": "gpt", "value": short(&row["chosen"]["value"])},
        "rejected": {"from": "gpt", "value": short(&row["rejected"]["value"])}})
}

fn short_verdict(row: &Value) -> Value {
    let turns = row["messages"].as_array().unwrap();
    let turns: Vec<Value> =
        turns.iter().map(|t| serde_json::json!({"role": t["role"], "content": short(&t["content"])})).collect();
    serde_json::json!({"messages": turns, "label": row["label"]})
}

#[test]
fn preferences_are_learned_from_the_command_line() {
    let Some(bench) = Preferring::new() else { return };
    for (file, objective, shorten) in [
        ("dpo_en.json", "dpo", short_pair as fn(&Value) -> Value),
        ("dpo_en.json", "orpo", short_pair),
        ("kto_en.json", "kto", short_verdict),
    ] {
        bench.write(file, "answers.jsonl", shorten);
        let ended = bench.train(
            "answers.jsonl",
            &format!(
                "--objective {objective} --beta 0.1 --steps 8 --batch-size 4 --learning-rate 5e-3 --threads 1 \
                 --validation-split 0.25 --samples 1 --sample-tokens 4 --name {objective}"
            ),
        );
        let ended = ended.well();
        let last = completed(&ended);
        let (metrics, events) = (&last["metrics"], ended.json_lines());
        assert!(metrics["reward_accuracy"].is_number() && metrics["reward_margin"].is_number(), "{metrics}");
        assert!(metrics["perplexity"].is_null(), "{metrics}");
        let steps: Vec<&Value> = events.iter().filter(|e| e["event"] == "step").collect();
        assert_eq!(steps.len(), 8, "{objective}");
        assert!(steps.iter().all(|step| step["preference"]["margin"].is_number()), "{}", steps[0]);
        let checks: Vec<&Value> = events.iter().filter(|e| e["event"] == "evaluated").collect();
        assert!(checks.iter().all(|check| check["preference"]["accuracy"].is_number()), "{}", checks[0]);
    }
    let refused = bench.train("answers.jsonl", "--objective dpo --steps 1");
    assert!(refused.error.contains("are not what the objective `dpo` learns from"), "{}", refused.error);
}

/// Without what the result remembers the usual strength counts, which is a fifth of it.
#[test]
fn a_result_remembers_how_its_answers_were_judged() {
    let Some(bench) = Preferring::new() else { return };
    bench.write("dpo_en.json", "pairs.jsonl", short_pair);
    completed(&bench.train("pairs.jsonl", "--beta 0.5 --steps 6 --learning-rate 0.005 --samples 0 --name stricter"));
    let remembered = bench.margin();
    let shown = bench.terminal.run("runs show stricter --json").well().json();
    let beside = Path::new(shown["adapter"].as_str().unwrap()).join("lorikeet.json");
    let mut info: Value = serde_json::from_slice(&fs::read(&beside).unwrap()).unwrap();
    assert_eq!(info["preference"]["beta"], 0.5);
    info.as_object_mut().unwrap().remove("preference");
    fs::write(&beside, info.to_string()).unwrap();
    let forgotten = bench.margin();
    assert!(remembered.abs() > 1e-4 && (remembered / forgotten - 5.0).abs() < 1e-6, "{remembered} {forgotten}");
}

#[test]
fn preferences_go_on_from_an_adapter_in_its_own_shape() {
    let Some(bench) = Preferring::new() else { return };
    bench.write("kto_en.json", "answers.jsonl", short_verdict);
    completed(&bench.train("answers.jsonl", "--steps 2 --samples 0 --name kto"));
    completed(&bench.train("answers.jsonl", "--adapter kto --steps 2 --samples 0 --name further"));
    let shown = bench.terminal.run("runs show further --json").well().json();
    assert_eq!(shown["settings"]["rank"], 8);
    let refused = bench.train("answers.jsonl", "--adapter kto --rank 4");
    assert!(refused.error.contains("has `rank` 8, and 4 was asked for"), "{}", refused.error);
}
