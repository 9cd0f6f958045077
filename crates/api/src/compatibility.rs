//! Where a result loads: one table by family, method and head, read before a run and written into the documentation.
//!
//! What a program loads is a fact of that program; `cargo xtask interop` tries PEFT, transformers and llama.cpp. The others are
//! stated from their own documentation.

use std::fmt::Write as _;

use crate::wire::{LoadsIn, Method};

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

/// How a program loads a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// As it is saved.
    Saved,
    /// In this form of an export.
    Export(&'static str),
    /// Not.
    No(&'static str),
}

/// The programs, in the order of a list, each with the way it loads a result.
fn ways(kind: Kind<'_>) -> [(&'static str, Way); 7] {
    let family = FAMILIES.iter().find(|family| family.name == kind.family);
    let is_adapter = kind.method == Method::Lora;
    let whole = if is_adapter { Way::Export("merged") } else { Way::Saved };
    let peft = if is_adapter { Way::Saved } else { Way::No("there is no adapter") };
    let plain = is_adapter && !kind.is_dora;
    let writing = |has: fn(&Family) -> bool, adapter: Way, model: Way| match family {
        _ if kind.labels => Way::No("it loads models that write"),
        Some(family) if has(family) => {
            if plain {
                adapter
            } else {
                model
            }
        }
        _ => Way::No("it does not have this family"),
    };
    let vllm = match family {
        Some(family) if family.vllm && plain && !kind.labels => Way::Saved,
        _ => whole,
    };
    let gguf = Way::Export("gguf");
    [
        ("PEFT", peft),
        ("transformers", whole),
        ("vLLM", vllm),
        ("llama.cpp", writing(|f| f.gguf, Way::Export("gguf-adapter"), gguf)),
        ("Ollama", writing(|f| f.gguf, Way::Export("ollama"), Way::Export("ollama"))),
        ("LM Studio", writing(|f| f.gguf, gguf, gguf)),
        ("MLX", writing(|f| f.mlx, Way::Export("mlx"), whole)),
    ]
}

/// Where a result loads, for a plan.
pub(crate) fn loads_in(kind: Kind<'_>) -> Vec<LoadsIn> {
    let told = ways(kind).map(|(program, way)| {
        let (loads, why) = match way {
            Way::Saved => (true, None),
            Way::Export(form) => (true, Some(format!("with `lorikeet export --to {form}`"))),
            Way::No(why) => (false, Some(why.to_owned())),
        };
        LoadsIn { program: program.to_owned(), loads, why }
    });
    told.into()
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
                Way::Saved => "saved",
                Way::Export(form) => form,
                Way::No(_) => "–",
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
        let told = loads_in(kind).into_iter().map(|place| match (place.loads, place.why) {
            (true, None) => place.program,
            (true, Some(why)) => format!("{} {why}", place.program),
            (false, why) => format!("not {}: {}", place.program, why.unwrap_or_default()),
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
        transformers with `lorikeet export --to merged`
        vLLM
        llama.cpp with `lorikeet export --to gguf-adapter`
        Ollama with `lorikeet export --to ollama`
        LM Studio with `lorikeet export --to gguf`
        MLX with `lorikeet export --to mlx`
        ");
        insta::assert_snapshot!(line(kind("gpt2", true, false)), @"
        PEFT
        transformers with `lorikeet export --to merged`
        vLLM with `lorikeet export --to merged`
        llama.cpp with `lorikeet export --to gguf`
        Ollama with `lorikeet export --to ollama`
        LM Studio with `lorikeet export --to gguf`
        MLX with `lorikeet export --to merged`
        ");
        insta::assert_snapshot!(line(kind("bert", false, true)), @"
        PEFT
        transformers with `lorikeet export --to merged`
        vLLM with `lorikeet export --to merged`
        not llama.cpp: it loads models that write
        not Ollama: it loads models that write
        not LM Studio: it loads models that write
        not MLX: it loads models that write
        ");
    }
}
