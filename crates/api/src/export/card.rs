//! The model card of an export: the front matter that model hubs read, the words of the card it comes with, and what was
//! compared.

use std::fmt::Write as _;
use std::path::Path;

use lorikeet_jobs::{Comparison, ExportForm, GGUF_ADAPTER, GGUF_MODEL};
use lorikeet_models::gguf::GgufRecipe;
use serde_norway::{Mapping, Value};

use super::Found;
use crate::failure::io;
use crate::wire::{ApiError, ErrorCode, ExportForm as Asked, ExportUse};

/// What a card tells of.
pub(super) struct Made<'a> {
    pub found: &'a Found,
    pub form: ExportForm,
    pub recipe: GgufRecipe,
    pub compared: &'a Comparison,
}

/// The card, made from the one in `source` where there is one.
pub(super) fn text(made: &Made<'_>, source: &Path) -> Result<String, ApiError> {
    let place = source.join("README.md");
    let old = match std::fs::read_to_string(&place) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(io("read", &place)(error)),
    };
    let (front, body) = parts(&old);
    let written = serde_norway::to_string(&Value::Mapping(front_matter(made, front)))
        .map_err(|error| ApiError::new(ErrorCode::Internal, format!("the model card cannot be written: {error}")))?;
    let mut text = format!("---\n{written}---\n\n");
    match body.trim() {
        "" => {
            let _ = writeln!(text, "# {}\n", made.found.name);
        }
        body => {
            let _ = writeln!(text, "{body}\n");
        }
    }
    let _ = writeln!(text, "## This export\n\n{}\n", sentence(made));
    let c = made.compared;
    let _ = writeln!(
        text,
        "| compared on {} positions | |\n| --- | --- |\n| difference of the logits, of their size | {:.2e} (at most {:.0e}) |\n\
         | largest difference of a logit | {:.2e} |\n| same likeliest answer | {:.1} % |",
        c.n_rows,
        c.relative,
        c.tolerance,
        c.largest,
        100.0 * c.same_best
    );
    Ok(text)
}

/// Front matter and body of a card; what is no mapping is no front matter.
fn parts(card: &str) -> (Mapping, &str) {
    let split = card.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n"));
    let Some((front, body)) = split else { return (Mapping::new(), card) };
    (serde_norway::from_str(front).unwrap_or_default(), body)
}

fn front_matter(made: &Made<'_>, mut front: Mapping) -> Mapping {
    let (library, relation) = match made.form {
        ExportForm::Peft => ("peft", "adapter"),
        ExportForm::Mlx => ("mlx", "adapter"),
        ExportForm::GgufAdapter => ("gguf", "adapter"),
        ExportForm::Gguf => ("gguf", "quantized"),
        ExportForm::Merged => ("transformers", "finetune"),
    };
    front.insert("library_name".into(), library.into());
    let base = made.found.base_name.as_str();
    // A whole model that nothing was trained on is not a child of itself.
    if made.found.adapter.is_some() || made.found.info.is_some() {
        front.insert("base_model".into(), base.into());
        front.insert("base_model_relation".into(), relation.into());
    }
    let mut tags: Vec<Value> = front.get("tags").and_then(Value::as_sequence).cloned().unwrap_or_default();
    for tag in ["lorikeet", library] {
        if !tags.contains(&tag.into()) {
            tags.push(tag.into());
        }
    }
    front.insert("tags".into(), Value::Sequence(tags));
    front
}

fn sentence(made: &Made<'_>) -> String {
    let base = &made.found.base_name;
    match (made.form, &made.found.adapter) {
        (ExportForm::Peft, _) => {
            format!("A PEFT adapter for `{base}`; PEFT, transformers and vLLM load it over that base.")
        }
        (ExportForm::Mlx, _) => format!("An adapter for `{base}` in the form of mlx-lm."),
        (ExportForm::Merged, Some(_)) => {
            format!("`{base}` with the adapter added to its weights, in 32-bit floats, narrowed once at the end.")
        }
        (ExportForm::Merged, None) => "The whole model.".to_owned(),
        (ExportForm::GgufAdapter, _) => format!("An adapter for `{base}` as a GGUF file, for llama.cpp."),
        (ExportForm::Gguf, Some(_)) => format!(
            "`{base}` with the adapter added to its weights in 32-bit floats, then stored once as `{}` in a GGUF file.",
            made.recipe.name()
        ),
        (ExportForm::Gguf, None) => format!("The whole model, stored as `{}` in a GGUF file.", made.recipe.name()),
    }
}

/// How the export is used elsewhere.
pub(super) fn use_it(form: Asked, folder: &Path, found: &Found) -> Vec<ExportUse> {
    let (base, name) = (&found.base_name, lorikeet_registry::slug(&found.name, "model"));
    let task = match &found.info {
        Some(info) if !info.labels.is_empty() => "SequenceClassification",
        _ => "CausalLM",
    };
    let place = |file: &str| typed(&folder.join(file));
    let with = |with: &str, command: String| ExportUse { with: with.to_owned(), command };
    match form {
        Asked::Peft => {
            let needs = format!("in Python, with PEFT, where `base` is the model `{base}`");
            vec![with(&needs, format!("PeftModel.from_pretrained(base, {folder:?})"))]
        }
        Asked::Merged => vec![
            with("in Python, with transformers", format!("AutoModelFor{task}.from_pretrained({folder:?})")),
            with("with vLLM", format!("vllm serve {}", typed(folder))),
        ],
        Asked::Gguf => {
            let command = format!("llama-cli -m {}", place(GGUF_MODEL));
            vec![with("with llama.cpp; LM Studio and llama-server open the same file", command)]
        }
        Asked::GgufAdapter => {
            let command = format!("llama-cli -m BASE.gguf --lora {}", place(GGUF_ADAPTER));
            vec![with(&format!("with llama.cpp, where BASE.gguf is `{base}` as a GGUF file"), command)]
        }
        Asked::Ollama => vec![with("with Ollama", format!("ollama create {name} -f {}", place("Modelfile")))],
        Asked::Mlx => {
            let command = format!("mlx_lm.chat --model {} --adapter-path {}", quoted(base), typed(folder));
            vec![with("with mlx-lm", command)]
        }
    }
}

/// A path as shells read it.
fn typed(path: &Path) -> String {
    quoted(&path.display().to_string())
}

fn quoted(word: &str) -> String {
    let is_plain = word.chars().all(|c| c.is_alphanumeric() || "/\\:._-+@~".contains(c));
    if is_plain { word.to_owned() } else { format!("\"{word}\"") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(adapter: bool) -> Found {
        Found {
            name: "orders-1".into(),
            base: "/models/starter".into(),
            base_name: "starter".into(),
            adapter: adapter.then(|| "/runs/orders-1/adapter".into()),
            is_dora: false,
            info: None,
        }
    }

    #[test]
    fn a_card_keeps_what_was_known_and_says_what_was_made() {
        let compared = Comparison { n_rows: 96, largest: 1.5e-6, relative: 2e-7, same_best: 1.0, tolerance: 1e-4 };
        let folder = tempfile::tempdir().unwrap();
        let old = "---\nlibrary_name: peft\nbase_model: x\ntags:\n- lorikeet\n- lora\ndatasets:\n- orders\nmetrics:\n- loss\n\
                   model-index:\n- name: orders-1\n---\n\n# orders-1\n\nA LoRA adapter.\n";
        std::fs::write(folder.path().join("README.md"), old).unwrap();
        let found = found(true);
        let made = Made { found: &found, form: ExportForm::Merged, recipe: GgufRecipe::F16, compared: &compared };
        insta::assert_snapshot!(text(&made, folder.path()).unwrap(), @"
        ---
        library_name: transformers
        base_model: starter
        tags:
        - lorikeet
        - lora
        - transformers
        datasets:
        - orders
        metrics:
        - loss
        model-index:
        - name: orders-1
        base_model_relation: finetune
        ---

        # orders-1

        A LoRA adapter.

        ## This export

        `starter` with the adapter added to its weights, in 32-bit floats, narrowed once at the end.

        | compared on 96 positions | |
        | --- | --- |
        | difference of the logits, of their size | 2.00e-7 (at most 1e-4) |
        | largest difference of a logit | 1.50e-6 |
        | same likeliest answer | 100.0 % |
        ");
    }

    #[test]
    fn a_card_is_made_where_there_was_none() {
        let compared = Comparison { n_rows: 8, largest: 0.0, relative: 0.0, same_best: 1.0, tolerance: 1e-4 };
        let found = found(true);
        let made = Made { found: &found, form: ExportForm::Mlx, recipe: GgufRecipe::F16, compared: &compared };
        let card = text(&made, Path::new("nowhere")).unwrap();
        assert!(
            card.starts_with("---\nlibrary_name: mlx\nbase_model: starter\nbase_model_relation: adapter\n"),
            "{card}"
        );
        assert!(card.contains("# orders-1\n\n## This export\n"), "{card}");
    }
    #[test]
    fn every_form_is_used_by_a_command_that_can_be_copied() {
        let forms = [Asked::Peft, Asked::Merged, Asked::Gguf, Asked::GgufAdapter, Asked::Ollama, Asked::Mlx];
        let said = |folder: &str| {
            let uses = forms.into_iter().flat_map(|form| use_it(form, Path::new(folder), &found(true)));
            uses.map(|one| format!("{}: {}", one.with, one.command)).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(said("/e/orders"), @r#"
        in Python, with PEFT, where `base` is the model `starter`: PeftModel.from_pretrained(base, "/e/orders")
        in Python, with transformers: AutoModelForCausalLM.from_pretrained("/e/orders")
        with vLLM: vllm serve /e/orders
        with llama.cpp; LM Studio and llama-server open the same file: llama-cli -m /e/orders/model.gguf
        with llama.cpp, where BASE.gguf is `starter` as a GGUF file: llama-cli -m BASE.gguf --lora /e/orders/adapter.gguf
        with Ollama: ollama create orders-1 -f /e/orders/Modelfile
        with mlx-lm: mlx_lm.chat --model starter --adapter-path /e/orders
        "#);
        assert!(said("/my e/orders").contains("vllm serve \"/my e/orders\""));
    }
}
