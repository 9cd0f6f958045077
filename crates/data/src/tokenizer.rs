//! A model's own tokenizer, its special tokens and its chat template, read from the model's folder.
//!
//! Padding and truncation written into `tokenizer.json` are switched off: lengths are decided by the run. What the model
//! itself is (its weights, its vocabulary size) is told to [`Tokenizer::check_fits`], not read here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tokenizers::Encoding;
use tokenizers::utils::truncation::{TruncationParams, truncate_encodings};

use crate::error::{Error, Result};
use crate::pieces::{Pieces, is_separable};
use crate::record::Chat;
use crate::template::ChatTemplate;
use crate::tokenizer_files::TokenizerFiles;

/// A special token by name and id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecialToken {
    /// As it is spelled.
    pub text: String,
    /// Its id.
    pub id: u32,
}

/// Text turned into tokens, with where each token ends in the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Token ids.
    pub ids: Vec<u32>,
    /// First byte of each token; where the tokenizer dropped blanks before a token, the first byte after them.
    pub starts: Vec<usize>,
    /// Byte after the last one of each token.
    pub ends: Vec<usize>,
}

/// A tokenizer with the model's special tokens and chat template.
#[derive(Debug)]
pub struct Tokenizer {
    folder: PathBuf,
    inner: tokenizers::Tokenizer,
    bos: Option<SpecialToken>,
    eos: Option<SpecialToken>,
    pad: Option<SpecialToken>,
    stop_ids: Vec<u32>,
    end_of_turn: Option<SpecialToken>,
    /// Whether the tokenizer puts the end token behind every text of its own accord.
    adds_end: bool,
    /// Whether it puts anything around texts of its own accord.
    adds_around: bool,
    /// What it made of pieces of texts, where texts may be encoded in pieces.
    pieces: Option<Pieces>,
    template: ChatTemplate,
}

impl Tokenizer {
    /// Reads `tokenizer.json` and, where they are, `tokenizer_config.json`, `special_tokens_map.json`,
    /// `generation_config.json`, `config.json` and `chat_template.jinja` from a model's folder; or the metadata of a
    /// GGUF file, given itself or as the only one of its folder.
    pub fn open(folder: &Path) -> Result<Tokenizer> {
        let files = TokenizerFiles::read(folder)?;
        let mut inner = files.tokenizer()?;
        inner.with_padding(None);
        let _ = inner.with_truncation(None).map_err(|cause| files.fault("tokenizer.json", &cause.to_string()))?;
        let special = |name: &str| {
            let text = files.special_token(name)?;
            inner.token_to_id(&text).map(|id| SpecialToken { text, id })
        };
        let (bos, eos, pad) = (special("bos_token"), special("eos_token"), special("pad_token"));
        let around = inner.encode("a", true).map_err(|cause| files.fault("tokenizer.json", &cause.to_string()))?;
        let around = around.get_ids();
        let bare = inner.encode("a", false).map_err(|cause| files.fault("tokenizer.json", &cause.to_string()))?;
        let adds_around = around != bare.get_ids();
        let pieces = is_separable(&inner).then(Pieces::default);
        let starts_with_bos = bos.as_ref().is_some_and(|bos| around.first() == Some(&bos.id));
        let adds_end = eos.as_ref().is_some_and(|eos| around.len() > 1 && around.last() == Some(&eos.id));
        let has = |token: &str| inner.token_to_id(token).is_some();
        let chat_ml = has("<|im_start|>") && has("<|im_end|>");
        let spelled = |token: &Option<SpecialToken>| token.as_ref().map(|token| token.text.clone()).unwrap_or_default();
        let template = match files.chat_template()? {
            Some(source) => ChatTemplate::of_model(folder, source, spelled(&bos), spelled(&eos))?,
            None => ChatTemplate::fallback(folder, chat_ml, starts_with_bos, spelled(&bos), spelled(&eos))?,
        };
        let mut stop_ids: BTreeSet<u32> = files.stop_ids()?;
        stop_ids.extend(eos.as_ref().map(|token| token.id));
        let folder = folder.to_owned();
        let (stop_ids_of_files, end_of_turn) = (stop_ids, None);
        let stop_ids = Vec::new();
        let mut tokenizer =
            Tokenizer { folder, inner, bos, eos, pad, stop_ids, end_of_turn, adds_end, adds_around, pieces, template };
        let mut stop_ids = stop_ids_of_files;
        tokenizer.end_of_turn = tokenizer.find_end_of_turn(&stop_ids);
        stop_ids.extend(tokenizer.end_of_turn.as_ref().map(|token| token.id));
        tokenizer.stop_ids = stop_ids.into_iter().collect();
        Ok(tokenizer)
    }

    /// The first token of what the template writes after an assistant's words, if it is special or ends an answer.
    fn find_end_of_turn(&self, stop_ids: &BTreeSet<u32>) -> Option<SpecialToken> {
        let after = self.template.text_after_turn()?.trim_start();
        let id = *self.encode_continuation(after).ok()?.ids.first()?;
        let text = self.inner.id_to_token(id)?;
        let is_end = (self.is_special(id) || stop_ids.contains(&id)) && after.starts_with(&text);
        is_end.then_some(SpecialToken { text, id })
    }

    /// The folder this was read from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The model's chat template, or the documented plain one if the model has none (see [`ChatTemplate::origin`]).
    pub fn template(&self) -> &ChatTemplate {
        &self.template
    }

    /// Token that begins a text, if the model has one.
    pub fn bos(&self) -> Option<&SpecialToken> {
        self.bos.as_ref()
    }

    /// Token that ends a text, if the model has one.
    pub fn eos(&self) -> Option<&SpecialToken> {
        self.eos.as_ref()
    }

    /// Token for padding, if the model has one. Batches of this crate are not padded.
    pub fn pad(&self) -> Option<&SpecialToken> {
        self.pad.as_ref()
    }

    /// Ids that end a generated answer: the end-of-text token, those of `generation_config.json`, and the token the
    /// chat template puts after an assistant's turn. Ascending.
    pub fn stop_ids(&self) -> &[u32] {
        &self.stop_ids
    }

    /// The token the chat template puts right after an assistant's words, if it is a single special token.
    pub fn end_of_turn(&self) -> Option<&SpecialToken> {
        self.end_of_turn.as_ref()
    }

    /// One more than the largest id.
    pub fn vocab_size(&self) -> usize {
        self.largest().map_or(0, |(id, _)| id as usize + 1)
    }

    /// Refuses a model whose embedding has fewer than [`Tokenizer::vocab_size`] rows.
    pub fn check_fits(&self, vocab_size: usize) -> Result<()> {
        match self.largest() {
            Some((id, token)) if id as usize >= vocab_size => {
                Err(Error::TokenizerDoesNotFit { path: self.folder.clone(), id, token, vocab_size })
            }
            _ => Ok(()),
        }
    }

    fn largest(&self) -> Option<(u32, String)> {
        self.inner.get_vocab(true).into_iter().map(|(token, id)| (id, token)).max()
    }

    /// The id of a token as it is spelled in the vocabulary.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Whether the token is special (never part of ordinary text).
    pub fn is_special(&self, id: u32) -> bool {
        let added = self.inner.get_added_vocabulary();
        added.get_added_tokens_decoder().get(&id).is_some_and(|token| token.special)
    }

    /// How a single token is spelled: its text, or its name in the vocabulary where it is part of a character.
    pub fn token_text(&self, id: u32) -> String {
        let text = self.decode(&[id], false).unwrap_or_default();
        if text.is_empty() || text.contains(char::REPLACEMENT_CHARACTER) {
            return self.inner.id_to_token(id).unwrap_or(text);
        }
        text
    }

    /// Turns text into tokens. `add_special` adds what the tokenizer puts around a text of its own accord (a beginning
    /// token, `[CLS]` and `[SEP]`); rendered conversations bring their own and are encoded without. Special tokens
    /// spelled in the text become special tokens, as in transformers.
    pub fn encode(&self, text: &str, add_special: bool) -> Result<Encoded> {
        let whole = |text: &str| {
            let encoding = self.inner.encode(text, add_special).map_err(|cause| fault(text, &*cause))?;
            Ok(Encoded::from(&encoding))
        };
        match &self.pieces {
            Some(pieces) if !(add_special && self.adds_around) => pieces.encode(text, whole),
            _ => whole(text),
        }
    }

    /// Encodes a text, or a pair of texts, as the model's post-processor lays it out, cut to `max_length` tokens with
    /// the special tokens counted (of a pair, the longer text is cut first). The flag says whether anything was cut.
    pub fn encode_for_classifier(&self, text: &str, pair: Option<&str>, max_length: usize) -> Result<ClassifierInput> {
        use tokenizers::PostProcessor as _;
        let first = self.inner.encode(text, false).map_err(|cause| fault(text, &*cause))?;
        let second = match pair {
            Some(pair) => Some(self.inner.encode(pair, false).map_err(|cause| fault(pair, &*cause))?),
            None => None,
        };
        let n_added = self.inner.get_post_processor().map_or(0, |layout| layout.added_tokens(pair.is_some()));
        if max_length <= n_added {
            return Err(Error::MaxLengthTooSmall { max_length, least: n_added + 1 });
        }
        let n_text = first.len() + second.as_ref().map_or(0, Encoding::len);
        let limit = TruncationParams { max_length: max_length - n_added, ..TruncationParams::default() };
        let (first, second) = truncate_encodings(first, second, &limit).map_err(|cause| fault(text, &*cause))?;
        let whole = self.inner.post_process(first, second, true).map_err(|cause| fault(text, &*cause))?;
        Ok(ClassifierInput {
            ids: whole.get_ids().to_vec(),
            token_types: whole.get_type_ids().to_vec(),
            is_truncated: n_text > max_length - n_added,
        })
    }

    /// Encodes `text` as the continuation of another text: without a beginning token and without the blank that some
    /// tokenizers put before the first word of a text.
    pub(crate) fn encode_continuation(&self, text: &str) -> Result<Encoded> {
        const GUARD: &str = "\n";
        let guard = self.encode(GUARD, false)?.ids;
        let guarded = self.encode(&format!("{GUARD}{text}"), false)?;
        let Some(rest) = guarded.ids.strip_prefix(guard.as_slice()) else { return self.encode(text, false) };
        let shifted = |places: &[usize]| {
            places.iter().skip(guard.len()).map(|place| place.saturating_sub(GUARD.len())).collect::<Vec<usize>>()
        };
        Ok(Encoded { ids: rest.to_vec(), starts: shifted(&guarded.starts), ends: shifted(&guarded.ends) })
    }

    /// Turns tokens into text. `skip_special` leaves special tokens out.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        self.inner.decode(ids, skip_special).map_err(|cause| Error::Tokenize { n_bytes: 0, reason: cause.to_string() })
    }

    /// The prompt that asks the model for its next turn, as token ids: what the trained rows begin with, token for token.
    pub fn chat_prompt(&self, chat: &Chat) -> Result<Vec<u32>> {
        let text = self.template.render(chat, true, None)?;
        Ok(self.encode(&text, false)?.ids)
    }

    /// The prompt of a bare text, as token ids.
    pub fn text_prompt(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.encode_open(text)?.ids)
    }

    /// Encodes a text that something is to follow: with the beginning token, where the tokenizer adds one, and without
    /// the end token.
    pub(crate) fn encode_open(&self, text: &str) -> Result<Encoded> {
        let mut encoded = self.encode(text, true)?;
        if self.adds_end {
            encoded.ids.pop();
            encoded.starts.pop();
            encoded.ends.pop();
        }
        Ok(encoded)
    }

    /// A decoder for tokens that arrive one by one.
    pub fn stream(&self, skip_special: bool) -> TextStream<'_> {
        TextStream { tokenizer: self, skip_special, ids: Vec::new(), n_given: 0 }
    }
}

/// A row encoded for a classifier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassifierInput {
    /// Token ids with the special tokens.
    pub ids: Vec<u32>,
    /// Segment of each token.
    pub token_types: Vec<u32>,
    /// Whether the text was cut.
    pub is_truncated: bool,
}

/// Text from tokens that arrive one by one: a piece is given out once its characters are whole.
#[derive(Debug)]
pub struct TextStream<'a> {
    tokenizer: &'a Tokenizer,
    skip_special: bool,
    /// Tokens not yet given out, after those of the piece before: blanks between words depend on what came before.
    ids: Vec<u32>,
    n_given: usize,
}

impl TextStream<'_> {
    /// Adds a token; gives the text that became readable, if any.
    pub fn push(&mut self, id: u32) -> Result<Option<String>> {
        self.ids.push(id);
        self.advance(false)
    }

    /// The text that is left at the end, characters that never became whole included.
    pub fn finish(mut self) -> Result<Option<String>> {
        self.advance(true)
    }

    fn advance(&mut self, is_last: bool) -> Result<Option<String>> {
        let (given, _) = self.ids.split_at(self.n_given.min(self.ids.len()));
        let n_given_bytes = self.tokenizer.decode(given, self.skip_special)?.len();
        let text = self.tokenizer.decode(&self.ids, self.skip_special)?;
        let Some(new) = text.get(n_given_bytes..).filter(|new| !new.is_empty()) else { return Ok(None) };
        if new.ends_with(char::REPLACEMENT_CHARACTER) && !is_last {
            return Ok(None);
        }
        self.ids.drain(..self.n_given);
        self.n_given = self.ids.len();
        Ok(Some(new.to_owned()))
    }
}

impl From<&Encoding> for Encoded {
    fn from(encoding: &Encoding) -> Encoded {
        let offsets = encoding.get_offsets();
        Encoded {
            ids: encoding.get_ids().to_vec(),
            starts: offsets.iter().map(|range| range.0).collect(),
            ends: offsets.iter().map(|range| range.1).collect(),
        }
    }
}

fn fault(text: &str, cause: &(dyn std::error::Error + 'static)) -> Error {
    Error::Tokenize { n_bytes: text.len(), reason: cause.to_string() }
}
