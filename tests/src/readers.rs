//! Every reader of files that other people made, as a function of the file's bytes: what the fuzz targets call, and what an
//! ordinary test calls with changed seeds. A reader may refuse whatever it likes; it may not panic, hang or ask for memory
//! that the file does not justify.

use std::{
    cell::RefCell,
    fs,
    path::{Path, PathBuf},
};

use lorikeet_data::{Chat, ChatTemplate, ImportOptions, Store, Tokenizer};
use lorikeet_models::{AdapterConfig, ModelConfig, ModelFiles};
use tempfile::TempDir;

/// A reader: its name, which is that of its fuzz target and of its folder of seeds, and what it does with a file's bytes.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// Name of the target.
    pub name: &'static str,
    /// Reads the bytes as the file in question.
    pub read: fn(&[u8]),
}

/// All readers.
pub const READERS: [Reader; 7] = [
    Reader { name: "safetensors", read: safetensors },
    Reader { name: "gguf", read: gguf },
    Reader { name: "config", read: config },
    Reader { name: "adapter", read: adapter },
    Reader { name: "tokenizer", read: tokenizer },
    Reader { name: "template", read: template },
    Reader { name: "dataset", read: dataset },
];

/// Gives `bytes` to the reader called `name`.
///
/// # Panics
/// Where there is no such reader, and where the reader has a fault.
pub fn read(name: &str, bytes: &[u8]) {
    let reader = READERS.iter().find(|reader| reader.name == name).expect("a target is called like its reader");
    (reader.read)(bytes);
}

/// The folder of a reader's seeds.
pub fn seeds(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name)
}

/// Numbers that are widened at most: more only costs time.
const MOST_NUMBERS: usize = 1 << 16;

fn safetensors(bytes: &[u8]) {
    if let Ok(files) = ModelFiles::open_file(&written("model.safetensors", bytes)) {
        widen(&files);
    }
}

/// Weights, configuration, tokenizer and template of one file.
fn gguf(bytes: &[u8]) {
    let file = written("model.gguf", bytes);
    if let Ok(files) = ModelFiles::open(&file) {
        widen(&files);
    }
    if let Ok(config) = ModelConfig::read(&file, None) {
        assert!(config.vocabulary() > 0 && config.width() > 0);
    }
    if let Ok(tokenizer) = Tokenizer::open(&file) {
        let _ = tokenizer.encode("The bird sings.", true).map(|e| tokenizer.decode(&e.ids, true));
    }
}

fn widen(files: &ModelFiles) {
    let names: Vec<String> = files.names().map(str::to_owned).collect();
    for name in names {
        if let Ok(Some(matrix)) = files.matrix(&name)
            && matrix.rows().saturating_mul(matrix.cols()) <= MOST_NUMBERS
        {
            assert_eq!(matrix.to_f32().len(), matrix.rows() * matrix.cols(), "{name}");
        }
    }
    let _ = (files.n_bytes(), files.n_parameters());
}

fn config(bytes: &[u8]) {
    let file = written("config.json", bytes);
    let folder = file.parent().unwrap_or(&file);
    for labels in [None, Some(3)] {
        if let Ok(config) = ModelConfig::read(folder, labels) {
            assert!(config.vocabulary() > 0 && config.width() > 0 && config.max_positions() > 0);
        }
    }
}

fn adapter(bytes: &[u8]) {
    let file = written("adapter_config.json", bytes);
    if let Ok(config) = AdapterConfig::read(file.parent().unwrap_or(&file)) {
        assert!(config.lora.rank > 0);
        let _ = config.to_json();
    }
}

fn tokenizer(bytes: &[u8]) {
    let file = written("tokenizer.json", bytes);
    if let Ok(tokenizer) = Tokenizer::open(file.parent().unwrap_or(&file)) {
        let _ = tokenizer.encode("The bird, née 1871, sings.", true).map(|e| tokenizer.decode(&e.ids, true));
    }
}

fn template(bytes: &[u8]) {
    let Ok(source) = std::str::from_utf8(bytes) else { return };
    let spelled = || ("<s>".to_owned(), "</s>".to_owned());
    let (bos, eos) = spelled();
    let Ok(template) = ChatTemplate::of_model(Path::new("model"), source.to_owned(), bos, eos) else { return };
    let chat = r#"{"messages": [{"role": "user", "content": "How?"}, {"role": "assistant", "content": "Well."}]}"#;
    let chat: Chat = serde_json::from_str(chat).expect("this is a conversation");
    let _ = template.render(&chat, true, Some(0));
}

fn dataset(bytes: &[u8]) {
    let file = written("rows", bytes);
    let Ok(store) = Store::open(&file.with_extension("store")) else { return };
    let Ok(imported) = store.import(&file, &ImportOptions { keep_good: true, ..ImportOptions::default() }, &mut |_| ())
    else {
        return;
    };
    let Ok(rows) = store.dataset(&imported.hash) else { panic!("what was imported cannot be opened") };
    assert_eq!(rows.iter().filter(Result::is_ok).count(), imported.n_rows as usize);
    drop(fs::remove_dir_all(store.root()));
}

thread_local! {
    static FOLDER: RefCell<Option<TempDir>> = const { RefCell::new(None) };
}

/// The bytes as a file of that name, alone in a folder in memory where the system has one.
fn written(name: &str, bytes: &[u8]) -> PathBuf {
    FOLDER.with_borrow_mut(|kept| {
        let folder = kept.get_or_insert_with(|| {
            let memory = Path::new("/dev/shm");
            let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
            made.expect("a folder can be made")
        });
        let path = folder.path().join(name);
        fs::write(&path, bytes).expect("a file can be written");
        path
    })
}
