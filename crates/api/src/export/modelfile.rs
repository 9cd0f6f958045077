//! The Modelfile that makes a GGUF file an Ollama model: where the weights are, the chat template in Ollama's language (Go's),
//! and where an answer stops.
//!
//! A Jinja template cannot be translated in general. The layouts that most models use are in a table here; a model's own
//! template is rendered on a few conversations, and the layout that yields the same text, letter for letter, is taken. Where
//! none does, the template is left out and said so: a wrong one would spoil every answer unseen.

use std::fmt::Write as _;
use std::path::Path;

use lorikeet_data::{Chat, Message, Role, TemplateOrigin, Tokenizer};
use lorikeet_jobs::GGUF_MODEL;

use crate::wire::ApiError;

/// What stands before and after the words of each speaker.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    name: &'static str,
    /// `None` where the layout has no place for a system's words.
    system: Option<(&'static str, &'static str)>,
    user: (&'static str, &'static str),
    assistant: (&'static str, &'static str),
}

const LAYOUTS: [Layout; 6] = [
    Layout {
        name: "ChatML",
        system: Some(("<|im_start|>system\n", "<|im_end|>\n")),
        user: ("<|im_start|>user\n", "<|im_end|>\n"),
        assistant: ("<|im_start|>assistant\n", "<|im_end|>\n"),
    },
    Layout {
        name: "Llama 3",
        system: Some(("<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>")),
        user: ("<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"),
        assistant: ("<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>"),
    },
    Layout {
        name: "Gemma",
        system: None,
        user: ("<start_of_turn>user\n", "<end_of_turn>\n"),
        assistant: ("<start_of_turn>model\n", "<end_of_turn>\n"),
    },
    Layout {
        name: "Phi 3",
        system: Some(("<|system|>\n", "<|end|>\n")),
        user: ("<|user|>\n", "<|end|>\n"),
        assistant: ("<|assistant|>\n", "<|end|>\n"),
    },
    Layout {
        name: "Zephyr",
        system: Some(("<|system|>\n", "</s>\n")),
        user: ("<|user|>\n", "</s>\n"),
        assistant: ("<|assistant|>\n", "</s>\n"),
    },
    Layout { name: "Mistral", system: None, user: ("[INST] ", " [/INST]"), assistant: (" ", "</s>") },
];

/// Writes the Modelfile of the model in `folder`, made from `base`. Returns what to know about it.
pub fn write(base: &Path, folder: &Path) -> Result<Vec<String>, ApiError> {
    let tokenizer = Tokenizer::open(base)?;
    let mut text = format!("FROM ./{GGUF_MODEL}\n");
    let mut notes = Vec::new();
    let has_template = tokenizer.template().origin() == TemplateOrigin::Model;
    match translated(&tokenizer) {
        Some((layout, system)) => {
            let _ = writeln!(text, "TEMPLATE \"\"\"{}\"\"\"", layout.go());
            if let Some(system) = system {
                let _ = writeln!(text, "SYSTEM \"\"\"{system}\"\"\"");
            }
        }
        None if has_template => notes.push(
            "the chat template is of no layout that is known, so the Modelfile has none; Ollama uses the one inside the GGUF file"
                .to_owned(),
        ),
        None => notes.push("the model has no chat template, so the Modelfile has none".to_owned()),
    }
    let mut stops: Vec<&str> =
        [tokenizer.end_of_turn(), tokenizer.eos()].into_iter().flatten().map(|t| t.text.as_str()).collect();
    stops.dedup();
    for stop in stops {
        let _ = writeln!(text, "PARAMETER stop \"{stop}\"");
    }
    lorikeet_models::write_file(&folder.join("Modelfile"), text.as_bytes())?;
    Ok(notes)
}

/// The layout of a model's template, and what it tells the model where nobody speaks for the system.
fn translated(tokenizer: &Tokenizer) -> Option<(&'static Layout, Option<String>)> {
    let rendered = |messages: &[(Role, &str)]| {
        let messages = messages.iter().map(|(role, words)| Message::new(*role, *words)).collect();
        let text = tokenizer.template().render(&Chat { messages, tools: Vec::new() }, true, None).ok()?;
        // Who runs the model puts the beginning token there itself.
        let begin = tokenizer.bos().map_or("", |bos| bos.text.as_str());
        Some(text.strip_prefix(begin).unwrap_or(&text).to_owned())
    };
    let turns = [(Role::User, "What is it?"), (Role::Assistant, "A bird."), (Role::User, "Which one?")];
    let plain = rendered(&turns)?;
    LAYOUTS.iter().find_map(|layout| {
        let own = layout.render(&turns);
        let unsaid = match (plain == own, layout.system) {
            (true, _) => None,
            (false, Some((before, after))) => {
                let said = plain.strip_suffix(&own)?.strip_prefix(before)?.strip_suffix(after)?;
                Some(said.to_owned())
            }
            (false, None) => return None,
        };
        if layout.system.is_some() {
            let told: Vec<(Role, &str)> = [(Role::System, "Be brief.")].into_iter().chain(turns).collect();
            (rendered(&told)? == layout.render(&told)).then_some(())?;
        }
        Some((layout, unsaid))
    })
}

impl Layout {
    fn around(&self, role: Role) -> (&'static str, &'static str) {
        match role {
            Role::System => self.system.unwrap_or_default(),
            Role::Assistant => self.assistant,
            _ => self.user,
        }
    }

    /// A conversation that waits for the assistant.
    fn render(&self, messages: &[(Role, &str)]) -> String {
        let turn = |(role, words): &(Role, &str)| {
            let (before, after) = self.around(*role);
            format!("{before}{words}{after}")
        };
        messages.iter().map(turn).collect::<String>() + self.opening()
    }

    /// What asks the assistant for its turn; blanks are the model's to write.
    fn opening(&self) -> &'static str {
        self.assistant.0.trim_end_matches(' ')
    }

    /// The same in Go's template language.
    fn go(&self) -> String {
        let ((u0, u1), (a0, a1)) = (self.user, self.assistant);
        let system = self.system.map_or(String::new(), |(s0, s1)| {
            format!("{{{{ if eq .Role \"system\" }}}}{s0}{{{{ .Content }}}}{s1}{{{{ end }}}}")
        });
        let user = format!("{{{{ if eq .Role \"user\" }}}}{u0}{{{{ .Content }}}}{u1}{{{{ end }}}}");
        let assistant = format!("{{{{ if eq .Role \"assistant\" }}}}{a0}{{{{ .Content }}}}{a1}{{{{ end }}}}");
        format!("{{{{ range .Messages }}}}{system}{user}{assistant}{{{{ end }}}}{}", self.opening())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_in_go_reads_like_this() {
        insta::assert_snapshot!(LAYOUTS[1].go(), @r#"
        {{ range .Messages }}{{ if eq .Role "system" }}<|start_header_id|>system<|end_header_id|>

        {{ .Content }}<|eot_id|>{{ end }}{{ if eq .Role "user" }}<|start_header_id|>user<|end_header_id|>

        {{ .Content }}<|eot_id|>{{ end }}{{ if eq .Role "assistant" }}<|start_header_id|>assistant<|end_header_id|>

        {{ .Content }}<|eot_id|>{{ end }}{{ end }}<|start_header_id|>assistant<|end_header_id|>
        "#);
        assert_eq!(
            LAYOUTS[5].render(&[(Role::User, "Hi"), (Role::Assistant, "Ho"), (Role::User, "Hm")]),
            "[INST] Hi [/INST] Ho</s>[INST] Hm [/INST]"
        );
    }

    #[test]
    fn the_starters_template_is_found_and_translated() {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/starter");
        let (layout, unsaid) = translated(&Tokenizer::open(&base).unwrap()).unwrap();
        assert_eq!((layout.name, unsaid), ("ChatML", None));
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(write(&base, folder.path()).unwrap(), Vec::<String>::new());
        insta::assert_snapshot!(std::fs::read_to_string(folder.path().join("Modelfile")).unwrap(), @r#"
        FROM ./model.gguf
        TEMPLATE """{{ range .Messages }}{{ if eq .Role "system" }}<|im_start|>system
        {{ .Content }}<|im_end|>
        {{ end }}{{ if eq .Role "user" }}<|im_start|>user
        {{ .Content }}<|im_end|>
        {{ end }}{{ if eq .Role "assistant" }}<|im_start|>assistant
        {{ .Content }}<|im_end|>
        {{ end }}{{ end }}<|im_start|>assistant
        """
        PARAMETER stop "<|im_end|>"
        "#);
    }
}
