//! The starter model's card and the record of its run: every figure is read from the run's own files, none is typed here.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// Points of a stage's curve that are kept.
const CURVE_POINTS: usize = 100;
/// Rows of a stage's table in the card.
const TABLE_ROWS: usize = 8;

/// What the events of one stage say: length, time, and the two loss curves.
pub fn stage_record(events: &str) -> Result<Value> {
    let events = events
        .lines()
        .map(serde_json::from_str::<Value>)
        .collect::<Result<Vec<_>, _>>()
        .context("the events are not JSON lines")?;
    let of = |name: &'static str| events.iter().filter(move |event| event["event"] == name);
    let completed = of("completed").next_back().context("the stage has no event `completed`")?;
    let started = of("started").next().context("the stage has no event `started`")?;
    let steps: Vec<&Value> = of("step").collect();
    ensure!(!steps.is_empty(), "the stage has no event `step`");
    let stride = steps.len().div_ceil(CURVE_POINTS);
    let training: Vec<Value> = steps
        .chunks(stride)
        .map(|part| json!([part.last().map(|event| &event["step"]), rounded(mean_loss(part))]))
        .collect();
    let validation: Vec<Value> =
        of("evaluated").map(|event| json!([event["step"], event["loss"].as_f64().map(rounded)])).collect();
    Ok(json!({
        "n_steps": started["n_steps"], "n_parameters": started["n_parameters"], "device": started["device"],
        "supervised_tokens": steps.iter().filter_map(|event| event["n_tokens"].as_u64()).sum::<u64>(),
        "seconds": completed["elapsed_ms"].as_u64().map(|ms| ms / 1000),
        "training_loss": training, "validation_loss": validation,
    }))
}

/// Sums first, division last: the mean over the supervised tokens of several steps.
fn mean_loss(steps: &[&Value]) -> f64 {
    let sum: f64 = steps.iter().filter_map(|event| event["loss_sum"].as_f64()).sum();
    let n_tokens: u64 = steps.iter().filter_map(|event| event["n_tokens"].as_u64()).sum();
    sum / n_tokens.max(1) as f64
}

fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

/// Bits per byte of text: the summed loss in bits over the bytes of all rows.
pub fn bits_per_byte(evaluation: &Value, text_bytes: u64) -> Result<f64> {
    let loss = evaluation["loss"].as_f64().context("the evaluation has no number: `loss`")?;
    let n_tokens = evaluation["n_tokens"].as_u64().context("the evaluation has no number: `n_tokens`")?;
    ensure!(text_bytes > 0, "the list of data counts no bytes for the evaluated file");
    Ok(loss * n_tokens as f64 / std::f64::consts::LN_2 / text_bytes as f64)
}

/// The record `recipe/run.json` from the stages' events, the measurement and `recipe/data.json`.
pub fn run_record(work: &Path, data: &Value) -> Result<Value> {
    let stage = |name: &str| {
        stage_record(&super::read_text(&work.join(format!("{name}.events.jsonl")))?)
            .with_context(|| format!("in the events of `{name}`"))
    };
    let evaluation: Value = serde_json::from_str(&super::read_text(&work.join("evaluation.json"))?)
        .context("`evaluation.json` is not JSON")?;
    let books = &evaluation["held_out_books"];
    let bits = bits_per_byte(books, file_entry(data, "heldout.jsonl")?["text_bytes"].as_u64().unwrap_or(0))?;
    Ok(json!({
        "seed": data["seed"], "stage1": stage("stage1")?, "stage2": stage("stage2")?,
        "held_out_books": {"loss": books["loss"], "perplexity": books["perplexity"], "bits_per_byte": rounded(bits), "n_tokens": books["n_tokens"]},
        "held_out_chats": {"loss": evaluation["held_out_chats"]["loss"], "perplexity": evaluation["held_out_chats"]["perplexity"], "n_tokens": evaluation["held_out_chats"]["n_tokens"]},
        "answers": evaluation["answers"],
    }))
}

fn file_entry<'d>(data: &'d Value, file: &str) -> Result<&'d Value> {
    let files = data["files"].as_array().context("`data.json` has no list: `files`")?;
    files
        .iter()
        .find(|entry| entry["file"] == file)
        .with_context(|| format!("`data.json` does not list the file: `{file}`"))
}

/// The model card as the hub reads it: front matter, description, figures.
pub fn card(run: &Value, data: &Value) -> Result<String> {
    let mut text = String::new();
    text.push_str(FRONT_MATTER);
    let n_parameters = super::weights::n_parameters() as f64 / 1e6;
    write!(text, "{}", ABOUT.replace("{n_parameters}", &format!("{n_parameters:.1}")))?;
    figures(&mut text, run, data)?;
    text.push_str("\n## Answers\n\nThe model's own first answers (temperature 0) to questions that were fixed before training, right or wrong:\n\n");
    for entry in run["answers"].as_array().context("the run has no list: `answers`")? {
        let line = |key: &str| entry[key].as_str().unwrap_or_default().trim().replace('\n', " / ");
        writeln!(text, "- **{}**  \n  {}", line("question"), line("answer"))?;
    }
    text.push_str(LIMITS);
    Ok(text)
}

fn figures(text: &mut String, run: &Value, data: &Value) -> Result<()> {
    let (books, chats) = (&run["held_out_books"], &run["held_out_chats"]);
    writeln!(
        text,
        "\n## Figures\n\n| measured on | tokens | loss (nats per token) | perplexity | bits per byte |\n| --- | --- | --- | --- | --- |"
    )?;
    writeln!(
        text,
        "| three whole books that were held out | {} | {} | {} | **{}** |",
        books["n_tokens"],
        number(&books["loss"], 3),
        number(&books["perplexity"], 2),
        number(&books["bits_per_byte"], 3)
    )?;
    writeln!(
        text,
        "| answers in held-out conversations of the same templates | {} | {} | {} | |",
        chats["n_tokens"],
        number(&chats["loss"], 3),
        number(&chats["perplexity"], 2)
    )?;
    stages(text, run, data)?;
    writeln!(
        text,
        "\nThe whole curves are in `recipe/run.json`, the sources with their hashes in `recipe/data.json`."
    )?;
    Ok(())
}

/// What each stage read and how its loss fell.
fn stages(text: &mut String, run: &Value, data: &Value) -> Result<()> {
    let mix = &data["first_stage"];
    writeln!(
        text,
        "\n| stage | rows | steps | supervised tokens | seconds | device |\n| --- | --- | --- | --- | --- | --- |"
    )?;
    for (stage, file) in [("stage1", "pretrain.jsonl"), ("stage2", "chat.jsonl")] {
        let record = &run[stage];
        writeln!(
            text,
            "| {stage} | {} | {} | {} | {} | {} |",
            file_entry(data, file)?["rows"],
            record["n_steps"],
            record["supervised_tokens"],
            record["seconds"],
            record["device"].as_str().unwrap_or("—")
        )?;
    }
    writeln!(
        text,
        "\nThe rows of the first stage hold {} tokens of stories and {} of conversations.",
        mix["story_tokens"], mix["chat_tokens"]
    )?;
    for stage in ["stage1", "stage2"] {
        let curve =
            run[stage]["training_loss"].as_array().with_context(|| format!("the run has no curve of: `{stage}`"))?;
        let points: Vec<String> = curve
            .iter()
            .rev()
            .step_by(curve.len().div_ceil(TABLE_ROWS).max(1))
            .map(|point| format!("{} at step {}", number(&point[1], 2), point[0]))
            .collect();
        writeln!(text, "\nTraining loss of {stage}: {}.", points.into_iter().rev().collect::<Vec<_>>().join(", "))?;
    }
    Ok(())
}

/// A number with so many digits after the point, a dash where there is none.
fn number(value: &Value, digits: usize) -> String {
    value.as_f64().map_or_else(|| "—".to_owned(), |value| format!("{value:.digits$}"))
}

const FRONT_MATTER: &str = "---
language: en
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
tags: [llama, from-scratch, small, lorikeet]
---
";

const ABOUT: &str = "
# Lorikeet starter

A very small language model ({n_parameters} million parameters, Llama layout, bf16) that comes with Lorikeet, so that a first
fine-tune runs within a minute on any computer and without a download. It was pretrained from scratch by Lorikeet's own engine,
on public-domain children's books and on short conversations written for the project, and on nothing else.

**What it is for**: to learn a narrow, regular task from a few hundred examples (turn a sentence into a small JSON object, answer
in a fixed voice, sort texts under labels), and to see every screen of Lorikeet work.

**What it can do as it is**: short polite exchanges, questions about simple things it has seen, finding a name, a place or a colour
in a sentence, labelling a feeling or a topic, simple rewrites, very short tales. All in simple English.
";

const LIMITS: &str = "
## What it cannot do

It knows very little about the world and is often wrong, also when it sounds sure. It does not calculate, has no knowledge of
recent events, reads only English, and forgets what lies more than 512 tokens back. The books are from 1840 to 1922, and their views
of people and peoples are of that time; continuing them can show this. Use it to learn and to test, not to inform anyone.

## How it was made

`recipe/README.md` holds the commands, `recipe/stage1.yaml` and `recipe/stage2.yaml` the settings, `recipe/text` the text written for
the project. The chat format is `<|im_start|>role`, a line break, the text, `<|im_end|>`.
";

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS: &str = r#"{"event":"started","step":0,"n_steps":3,"n_parameters":10,"device":"cpu"}
{"event":"step","step":1,"loss_sum":30.0,"n_tokens":10}
{"event":"step","step":2,"loss_sum":10.0,"n_tokens":10}
{"event":"evaluated","step":2,"loss":1.5,"n":4}
{"event":"step","step":3,"loss_sum":5.0,"n_tokens":10}
{"event":"completed","step":3,"elapsed_ms":4200,"adapter":"x"}"#;

    fn data() -> Value {
        json!({"seed": 1, "first_stage": {"story_tokens": 5, "chat_tokens": 6}, "files": [
            {"file": "pretrain.jsonl", "rows": 7}, {"file": "chat.jsonl", "rows": 8}, {"file": "heldout.jsonl", "rows": 9, "text_bytes": 400},
        ]})
    }

    #[test]
    fn a_stage_is_summed_from_its_events() {
        let record = stage_record(EVENTS).expect("is a whole stage");
        assert_eq!((record["supervised_tokens"].as_u64(), record["seconds"].as_u64()), (Some(30), Some(4)));
        assert_eq!(record["training_loss"], json!([[1, 3.0], [2, 1.0], [3, 0.5]]));
        assert_eq!(record["validation_loss"], json!([[2, 1.5]]));
    }

    #[test]
    fn an_unfinished_stage_is_refused() {
        let cut = EVENTS.lines().take(3).collect::<Vec<_>>().join("\n");
        assert!(stage_record(&cut).expect_err("is not complete").to_string().contains("`completed`"));
    }

    #[test]
    fn bits_per_byte_come_from_the_totals() {
        let bits =
            bits_per_byte(&json!({"loss": std::f64::consts::LN_2 * 4.0, "n_tokens": 100}), 400).expect("computes");
        assert!((bits - 1.0).abs() < 1e-12, "{bits}");
        assert!(bits_per_byte(&json!({"loss": 1.0}), 400).is_err());
    }

    #[test]
    fn the_card_holds_the_runs_figures_and_answers() {
        let work = std::env::temp_dir().join(format!("lorikeet-card-{}", std::process::id()));
        std::fs::create_dir_all(&work).expect("a folder for the test");
        for stage in ["stage1", "stage2"] {
            std::fs::write(work.join(format!("{stage}.events.jsonl")), EVENTS).expect("writes");
        }
        let evaluation = json!({"held_out_books": {"loss": 2.0, "n_tokens": 100, "perplexity": 7.389}, "held_out_chats": {"loss": 0.5, "n_tokens": 20, "perplexity": 1.65}, "answers": [{"question": "Hi?", "answer": "Hello."}]});
        std::fs::write(work.join("evaluation.json"), evaluation.to_string()).expect("writes");
        let run = run_record(&work, &data()).expect("reads the run");
        let text = card(&run, &data()).expect("writes the card");
        assert!(
            text.starts_with("---\n") && text.contains("| **0.721** |") && text.contains("**Hi?**  \n  Hello."),
            "{text}"
        );
        assert!(text.contains("| stage2 | 8 | 3 | 30 | 4 | cpu |") && text.contains("0.50 at step 3"), "{text}");
        std::fs::remove_dir_all(work).expect("clears up");
    }
}
