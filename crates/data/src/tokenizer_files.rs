//! The files of a model's folder that say how text becomes tokens, and where in them each thing is found.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use crate::error::{Error, Result};
use crate::gguf::{self, GgufFiles};
use crate::vocabulary_files;

/// What was read; files that are not there are empty.
#[derive(Debug)]
pub(crate) struct TokenizerFiles {
    folder: PathBuf,
    tokenizer: Vec<u8>,
    config: Map<String, Value>,
    special_tokens: Map<String, Value>,
    generation: Map<String, Value>,
    model: Map<String, Value>,
}

impl TokenizerFiles {
    /// Reads the files of `folder`, of which only `tokenizer.json`, or the vocabulary files from before it, must be there;
    /// or the metadata of the GGUF file that `folder` is or holds, as those files.
    pub(crate) fn read(folder: &Path) -> Result<TokenizerFiles> {
        let located = lorikeet_gguf::locate(folder);
        let located =
            located.map_err(|cause| Error::TokenizerFile { path: folder.to_owned(), reason: cause.to_string() });
        if let Some(file) = located? {
            let GgufFiles { tokenizer, config, generation } = gguf::read(&file)?;
            let (special_tokens, model) = (Map::new(), Map::new());
            let tokenizer = tokenizer.to_string().into_bytes();
            return Ok(TokenizerFiles { folder: file, tokenizer, config, special_tokens, generation, model });
        }
        let mut files = TokenizerFiles {
            folder: folder.to_owned(),
            tokenizer: Vec::new(),
            config: read_object(&folder.join("tokenizer_config.json"))?,
            special_tokens: read_object(&folder.join("special_tokens_map.json"))?,
            generation: read_object(&folder.join("generation_config.json"))?,
            model: read_object(&folder.join("config.json"))?,
        };
        let path = folder.join("tokenizer.json");
        files.tokenizer = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => files.older_tokenizer()?,
            Err(cause) => return Err(Error::read(&path, cause)),
        };
        Ok(files)
    }

    fn older_tokenizer(&self) -> Result<Vec<u8>> {
        let assembled = vocabulary_files::assemble(&self.folder, &self.config, |name| self.special_token(name))?;
        let Some(tokenizer) = assembled else {
            let only_pieces = ["tokenizer.model", "spiece.model"].iter().any(|name| self.folder.join(name).is_file());
            let reason = if only_pieces {
                "the file does not exist, and a SentencePiece model alone is not read; save the tokenizer once with a \
                 recent version of transformers, which writes it"
            } else {
                "the file does not exist; a model's folder needs it (or `vocab.txt`, or `vocab.json` with `merges.txt`) \
                 beside its weights"
            };
            return Err(self.fault("tokenizer.json", reason));
        };
        serde_json::to_vec(&tokenizer).map_err(|cause| self.fault("tokenizer.json", &cause.to_string()))
    }

    /// An error about one of the files.
    pub(crate) fn fault(&self, name: &str, reason: &str) -> Error {
        let path = if self.folder.is_file() { self.folder.clone() } else { self.folder.join(name) };
        Error::TokenizerFile { path, reason: reason.to_owned() }
    }

    /// `tokenizer.json` as the library writes it, with the added tokens of every file.
    pub(crate) fn parsed(&self) -> Result<Value> {
        let text =
            self.tokenizer()?.to_string(false).map_err(|cause| self.fault("tokenizer.json", &cause.to_string()))?;
        serde_json::from_str(&text).map_err(|cause| self.fault("tokenizer.json", &cause.to_string()))
    }

    /// The tokenizer of `tokenizer.json`, with the added tokens that only `tokenizer_config.json` lists.
    pub(crate) fn tokenizer(&self) -> Result<tokenizers::Tokenizer> {
        let broken = |reason: &dyn std::fmt::Display| self.fault("tokenizer.json", &reason.to_string());
        // The library takes for granted in places what it has not checked, and panics there. To skip over JSON would leave the
        // characters that its escapes spell unchecked.
        serde_json::from_slice::<Value>(&self.tokenizer).map_err(|cause| broken(&cause))?;
        let read = std::panic::catch_unwind(|| tokenizers::Tokenizer::from_bytes(&self.tokenizer));
        let read = read.map_err(|_| broken(&"its parts contradict each other"))?;
        let mut tokenizer = read.map_err(|cause| broken(&cause))?;
        for (id, token) in self.added_tokens()? {
            if tokenizer.token_to_id(&token.content).is_some() {
                continue;
            }
            let text = token.content.clone();
            tokenizer.add_tokens([token]).map_err(|cause| self.fault("tokenizer_config.json", &cause.to_string()))?;
            if tokenizer.token_to_id(&text) != Some(id) {
                let reason = format!("the added token `{text}` cannot get the id it is listed with: {id}");
                return Err(self.fault("tokenizer_config.json", &reason));
            }
        }
        Ok(tokenizer)
    }

    fn added_tokens(&self) -> Result<Vec<(u32, AddedToken)>> {
        let Some(Value::Object(listed)) = self.config.get("added_tokens_decoder") else { return Ok(Vec::new()) };
        let mut tokens = Vec::with_capacity(listed.len());
        for (id, token) in listed {
            let id: u32 = id.parse().map_err(|_| {
                self.fault("tokenizer_config.json", &format!("an added token's id is not a number: {id}"))
            })?;
            let Some(content) = token.get("content").and_then(Value::as_str) else { continue };
            let flag = |name: &str, usual: bool| token.get(name).and_then(Value::as_bool).unwrap_or(usual);
            let special = flag("special", false);
            let added = AddedToken::from(content.to_owned(), special)
                .single_word(flag("single_word", false))
                .lstrip(flag("lstrip", false))
                .rstrip(flag("rstrip", false))
                .normalized(flag("normalized", !special));
            tokens.push((id, added));
        }
        tokens.sort_by_key(|(id, _)| *id);
        Ok(tokens)
    }

    /// How a special token (`bos_token`, `eos_token`, …) is spelled.
    pub(crate) fn special_token(&self, name: &str) -> Option<String> {
        let spelled = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Object(token) => token.get("content").and_then(Value::as_str).map(str::to_owned),
            _ => None,
        };
        // A `null` in the first file is an answer: the model has no such token.
        let value = self.config.get(name).or_else(|| self.special_tokens.get(name))?;
        spelled(value)
    }

    /// The ids that `generation_config.json` (or else `config.json`) lists as ends.
    pub(crate) fn stop_ids(&self) -> Result<BTreeSet<u32>> {
        let (file, value) = match (self.generation.get("eos_token_id"), self.model.get("eos_token_id")) {
            (Some(value), _) => ("generation_config.json", value),
            (None, Some(value)) => ("config.json", value),
            (None, None) => return Ok(BTreeSet::new()),
        };
        let id = |value: &Value| {
            value
                .as_u64()
                .and_then(|id| u32::try_from(id).ok())
                .ok_or_else(|| self.fault(file, &format!("`eos_token_id` is not a token id: {value}")))
        };
        match value {
            Value::Null => Ok(BTreeSet::new()),
            Value::Array(ids) => ids.iter().map(id).collect(),
            one => id(one).map(|id| BTreeSet::from([id])),
        }
    }

    /// The model's chat template: `chat_template.jinja`, or `chat_template` of the configuration (a text, or a list of
    /// named ones of which `default` is taken).
    pub(crate) fn chat_template(&self) -> Result<Option<String>> {
        let path = self.folder.join("chat_template.jinja");
        match fs::read_to_string(&path) {
            Ok(text) => return Ok(Some(text)),
            Err(cause) if is_absent(&cause) => {}
            Err(cause) => return Err(Error::read(&path, cause)),
        }
        let older = read_object(&self.folder.join("chat_template.json"))?;
        match self.config.get("chat_template").or_else(|| older.get("chat_template")) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Array(named)) => self.named_template(named).map(Some),
            Some(_) => {
                Err(self.fault("tokenizer_config.json", "`chat_template` is neither a text nor a list of named texts"))
            }
        }
    }

    fn named_template(&self, named: &[Value]) -> Result<String> {
        let text = |entry: &Value| entry.get("template").and_then(Value::as_str).map(str::to_owned);
        let is_default = |entry: &&Value| entry.get("name").and_then(Value::as_str) == Some("default");
        let chosen = named.iter().find(is_default).or(if named.len() == 1 { named.first() } else { None });
        chosen.and_then(text).ok_or_else(|| {
            self.fault("tokenizer_config.json", "`chat_template` lists several templates and none is named `default`")
        })
    }
}

/// There is no such file; nothing lies inside a model that is a file itself.
fn is_absent(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// A JSON object, empty if there is no such file.
fn read_object(path: &Path) -> Result<Map<String, Value>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(cause) if is_absent(&cause) => return Ok(Map::new()),
        Err(cause) => return Err(Error::read(path, cause)),
    };
    serde_json::from_slice(&bytes)
        .map_err(|cause| Error::TokenizerFile { path: path.to_owned(), reason: cause.to_string() })
}
