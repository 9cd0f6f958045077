//! The sample data sets of `assets/samples`: small, regular tasks that the starter model can learn within a minute and
//! that its pretraining does not hold in this form. It knows the three row shapes they come in.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::chats::{Chat, ChatWriter};

/// The shape of a sample's rows.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// `text`, `label`.
    TextLabel,
    /// `messages` in the OpenAI form.
    Messages,
    /// `instruction`, `input`, `output` with one instruction for all rows; the assistant's turn is the label.
    Labelling(&'static str),
    /// `instruction`, `input`, `output`: the system turn is the instruction, the user's turn the input.
    Instruction,
}

/// Name of the JSONL file, name of the template file, rows, shape.
const SAMPLES: [(&str, &str, usize, Shape); 4] = [
    ("orders", "orders", 500, Shape::Instruction),
    ("reviews", "reviews", 420, Shape::TextLabel),
    ("review-instructions", "reviews", 420, Shape::Labelling("Is this praise, a complaint or a question?")),
    ("support-replies", "support-replies", 400, Shape::Messages),
];

/// Every sample as (file name, text of the file), the same for the same seed.
pub fn build(recipe: &Path, seed: u64) -> Result<Vec<(String, String)>> {
    SAMPLES
        .iter()
        .map(|(name, templates, n_rows, shape)| {
            let templates = recipe.join("samples").join(format!("{templates}.txt"));
            let writer = ChatWriter::from_template_file(&templates, &[recipe.join("text"), recipe.join("samples")])?;
            let chats = writer.write(*n_rows, seed)?;
            ensure!(chats.len() == *n_rows, "the templates of the sample `{name}` yield too few rows: {}", chats.len());
            let rows = chats.iter().map(|chat| row(chat, *shape)).collect::<Result<Vec<_>>>()?;
            let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
            Ok((format!("{name}.jsonl"), lines))
        })
        .collect()
}

fn row(chat: &Chat, shape: Shape) -> Result<Value> {
    let said = |role: &str| {
        let turn = chat.messages.iter().find(|message| message.role == role);
        turn.map(|message| message.content.trim())
            .with_context(|| format!("a sample's template lacks the turn of: `{role}`"))
    };
    Ok(match shape {
        Shape::TextLabel => json!({"text": said("user")?, "label": said("assistant")?}),
        Shape::Labelling(instruction) => {
            json!({"instruction": instruction, "input": said("user")?, "output": said("assistant")?})
        }
        Shape::Messages => json!({"messages": chat.messages}),
        Shape::Instruction => {
            json!({"instruction": said("system")?, "input": said("user")?, "output": said("assistant")?})
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::starter::{corpus, folder, repository};

    fn rows(file: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(repository().join("assets/samples").join(file))
            .expect("the sample is in the repository");
        assert!(text.len() < 150_000, "{file} is too large: {}", text.len());
        text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
    }

    #[test]
    fn the_committed_samples_are_what_the_templates_write() {
        for (file, text) in build(&folder().join("recipe"), corpus::DEFAULT_SEED).expect("builds") {
            let committed = std::fs::read_to_string(repository().join("assets/samples").join(&file))
                .expect("the sample is in the repository");
            assert_eq!(committed, text, "run `cargo xtask starter samples`: {file}");
        }
    }

    #[test]
    fn every_order_names_five_facts_that_stand_in_its_sentence() {
        for row in rows("orders.jsonl") {
            let (input, output) = (row["input"].as_str().expect("text"), row["output"].as_str().expect("text"));
            let order: Value = serde_json::from_str(output).expect("the output is JSON");
            let keys: Vec<&str> = order.as_object().expect("an object").keys().map(String::as_str).collect();
            assert_eq!(keys, ["item", "colour", "quantity", "city", "day"]);
            let said = input.to_lowercase();
            for key in ["item", "colour", "city", "day"] {
                assert!(said.contains(&order[key].as_str().expect("text").to_lowercase()), "{row}");
            }
            assert!(order["quantity"].as_u64().is_some_and(|quantity| (2..=10).contains(&quantity)), "{row}");
        }
    }

    #[test]
    fn reviews_have_three_labels_of_like_size_and_no_text_twice() {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut texts = BTreeSet::new();
        let rows = rows("reviews.jsonl");
        for row in &rows {
            *counts.entry(row["label"].as_str().expect("text").to_owned()).or_default() += 1;
            assert!(texts.insert(row["text"].as_str().expect("text").to_owned()), "{row}");
        }
        assert_eq!(counts.keys().collect::<Vec<_>>(), ["complaint", "praise", "question"]);
        assert!(counts.values().all(|count| count * 5 > rows.len()), "{counts:?}");
    }

    #[test]
    fn the_index_names_files_that_are_there() {
        let folder = repository().join("assets/samples");
        let index: Value =
            serde_json::from_str(&std::fs::read_to_string(folder.join("samples.json")).expect("the index is there"))
                .expect("is JSON");
        let entries = index.as_array().expect("a list");
        assert_eq!(entries.len(), 5);
        for entry in entries {
            assert!(folder.join(entry["file"].as_str().expect("a file")).is_file(), "{entry}");
            assert!(["causal", "classify"].contains(&entry["task"].as_str().expect("a task")), "{entry}");
            assert!(["id", "title", "sentence", "licence"].iter().all(|key| entry[*key].is_string()), "{entry}");
        }
    }
}
