//! Where a result loads: one table by family, method and head, read before a run and written into the documentation.
//!
//! What a program loads is a fact of that program; `cargo xtask interop` tries PEFT, transformers and llama.cpp. The others are
//! stated from their own documentation.

use std::fmt::Write as _;

use crate::wire::{ExportForm, LoadingWay, LoadsIn, Method, NotLoaded};

/// A family that writes, and which programs have it besides transformers.
struct Family {
    /// `model_type` of its configuration.
    name: &'static str,
    /// vLLM serves it with adapters.
    vllm: bool,
    /// llama.cpp, and so LM Studio and Ollama.
    gguf: bool,
    mlx: bool,
}

const fn everywhere(name: &'static str) -> Family {
    Family { name, vllm: true, gguf: true, mlx: true }
}

const FAMILIES: [Family; 10] = [
    everywhere("llama"),
    everywhere("mistral"),
    everywhere("qwen2"),
    everywhere("qwen3"),
    everywhere("phi3"),
    everywhere("gemma"),
    everywhere("gemma2"),
    everywhere("gemma3_text"),
    everywhere("smollm3"),
    // vLLM serves GPT-2, but without adapters.
    Family { vllm: false, ..everywhere("gpt2") },
];

/// What decides where a result loads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind<'a> {
    /// `model_type` of the base.
    pub family: &'a str,
    /// What moves.
    pub method: Method,
    /// Whether the adapter has magnitudes.
    pub is_dora: bool,
    /// Whether it gives labels.
    pub labels: bool,
}

/// The programs, in the order of a list, each with the way it loads a result.
fn ways(kind: Kind<'_>) -> [(&'static str, LoadingWay); 7] {
    use ExportForm as To;
    let family = FAMILIES.iter().find(|family| family.name == kind.family);
    let is_adapter = kind.method == Method::Lora;
    let whole = if is_adapter { LoadingWay::Export { form: To::Merged } } else { LoadingWay::Saved };
    let peft = if is_adapter { LoadingWay::Saved } else { LoadingWay::Not { why: NotLoaded::NoAdapter } };
    let plain = is_adapter && !kind.is_dora;
    let writing = |has: fn(&Family) -> bool, adapter: LoadingWay, model: LoadingWay| match family {
        _ if kind.labels => LoadingWay::Not { why: NotLoaded::GivesLabels },
        Some(family) if has(family) => {
            if plain {
                adapter
            } else {
                model
            }
        }
        _ => LoadingWay::Not { why: NotLoaded::UnknownFamily },
    };
    let vllm = match family {
        Some(family) if family.vllm && plain && !kind.labels => LoadingWay::Saved,
        _ => whole,
    };
    let gguf = LoadingWay::Export { form: To::Gguf };
    let export = |form| LoadingWay::Export { form };
    [
        ("PEFT", peft),
        ("transformers", whole),
        ("vLLM", vllm),
        ("llama.cpp", writing(|f| f.gguf, export(To::GgufAdapter), gguf)),
        ("Ollama", writing(|f| f.gguf, export(To::Ollama), export(To::Ollama))),
        ("LM Studio", writing(|f| f.gguf, gguf, gguf)),
        ("MLX", writing(|f| f.mlx, export(To::Mlx), whole)),
    ]
}

/// Where a result loads, for a plan.
pub(crate) fn loads_in(kind: Kind<'_>) -> Vec<LoadsIn> {
    ways(kind).map(|(program, way)| LoadsIn { program: program.to_owned(), way }).into()
}

/// The programs that load a result in this form of an export; `saved` is the form that it is saved in.
pub(crate) fn programs(kind: Kind<'_>, form: ExportForm, saved: ExportForm) -> Vec<String> {
    let takes = |way: &LoadingWay| match way {
        LoadingWay::Saved => form == saved,
        LoadingWay::Export { form: wanted } => form == *wanted,
        LoadingWay::Not { .. } => false,
    };
    ways(kind).into_iter().filter(|(_, way)| takes(way)).map(|(program, _)| program.to_owned()).collect()
}

/// `docs/compatibility.md`.
pub fn document() -> String {
    let mut text = "# Where a result loads\n\nMade from the table in `crates/api/src/compatibility.rs` (`cargo xtask docs`). *saved*: the \
                    folder of the result as it is; a word: what `lorikeet export --to` writes for it; –: not.\n"
        .to_owned();
    let kind = |family, method, is_dora, labels| Kind { family, method, is_dora, labels };
    let sections: [(&str, Method, bool, bool); 5] = [
        ("LoRA and rsLoRA of a model that writes", Method::Lora, false, false),
        ("DoRA of a model that writes", Method::Lora, true, false),
        ("All weights of a model that writes", Method::Full, false, false),
        ("An adapter with a head that gives labels", Method::Lora, false, true),
        ("All weights with a head that gives labels", Method::Full, false, true),
    ];
    for (title, method, is_dora, labels) in sections {
        let head: Vec<&str> = ways(kind("llama", method, is_dora, labels)).map(|(program, _)| program).into();
        let _ =
            write!(text, "\n## {title}\n\n| family | {} |\n|{}\n", head.join(" | "), " --- |".repeat(head.len() + 1));
        let families: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
        for family in if labels { vec!["any"] } else { families } {
            let cells = ways(kind(family, method, is_dora, labels)).map(|(_, way)| match way {
                LoadingWay::Saved => "saved",
                LoadingWay::Export { form } => crate::export::word(form),
                LoadingWay::Not { .. } => "–",
            });
            let _ = writeln!(text, "| {family} | {} |", cells.join(" | "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use lorikeet_models::gguf::GgufNames;

    use super::*;

    fn line(kind: Kind<'_>) -> String {
        let told = loads_in(kind).into_iter().map(|place| match place.way {
            LoadingWay::Saved => place.program,
            LoadingWay::Export { form } => format!("{} as {form:?}", place.program),
            LoadingWay::Not { why } => format!("not {}: {why:?}", place.program),
        });
        told.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_is_said_to_go_to_gguf_has_names_there() {
        for family in FAMILIES.iter().filter(|family| family.gguf) {
            assert!(GgufNames::of_model_type(family.name).is_some(), "{}", family.name);
        }
    }

    #[test]
    fn the_same_adapter_loads_elsewhere_by_its_method_and_head() {
        let kind = |family, is_dora, labels| Kind { family, method: Method::Lora, is_dora, labels };
        insta::assert_snapshot!(line(kind("llama", false, false)), @"
        PEFT
        transformers as Merged
        vLLM
        llama.cpp as GgufAdapter
        Ollama as Ollama
        LM Studio as Gguf
        MLX as Mlx
        ");
        insta::assert_snapshot!(line(kind("gpt2", true, false)), @"
        PEFT
        transformers as Merged
        vLLM as Merged
        llama.cpp as Gguf
        Ollama as Ollama
        LM Studio as Gguf
        MLX as Merged
        ");
        insta::assert_snapshot!(line(kind("bert", false, true)), @"
        PEFT
        transformers as Merged
        vLLM as Merged
        not llama.cpp: GivesLabels
        not Ollama: GivesLabels
        not LM Studio: GivesLabels
        not MLX: GivesLabels
        ");
    }
}
