//! Files that are made to harm: every one is refused with the file and the mend, and none of them makes the reader ask for
//! memory that the file does not justify. What the process asks for is counted, so these tests are a program of their own and
//! take turns.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    fs,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use lorikeet_models::{AdapterConfig, Fused, Model, ModelConfig, ModelFiles};

/// One reader at a time, so that no other's memory is counted.
static TURN: Mutex<()> = Mutex::new(());

/// The largest single request of memory since it was last set to zero.
static LARGEST: AtomicUsize = AtomicUsize::new(0);

struct Watched;

#[allow(unsafe_code)]
// SAFETY: every request is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static WATCHED: Watched = Watched;

/// More than any reader needs for the small files here.
const MOST: usize = 1 << 20;

/// A safetensors file with this header.
fn safetensors(header: &str, data: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; data]].concat()
}

/// A GGUF file of the llama family with these fields and one tensor.
fn gguf(extra: &[(&str, u64)], dims: &[u64], format: u32, offset: u64) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let mut bytes = [&b"GGUF"[..], &3u32.to_le_bytes(), &1u64.to_le_bytes()].concat();
    bytes.extend((extra.len() as u64 + 1).to_le_bytes());
    bytes.extend([text("general.architecture"), 8u32.to_le_bytes().to_vec(), text("llama")].concat());
    for (key, n) in extra {
        bytes.extend([text(key), 10u32.to_le_bytes().to_vec(), n.to_le_bytes().to_vec()].concat());
    }
    bytes.extend([text("token_embd.weight"), (dims.len() as u32).to_le_bytes().to_vec()].concat());
    dims.iter().for_each(|d| bytes.extend(d.to_le_bytes()));
    bytes.extend([&format.to_le_bytes()[..], &offset.to_le_bytes()].concat());
    bytes.extend([0; 256]);
    bytes
}

/// A JSON text of arrays in arrays.
fn deep(key: &str) -> String {
    format!("{{\"{key}\": {}1{}}}", "[".repeat(500_000), "]".repeat(500_000))
}

/// The outcome of `read` on a folder with one file, with the largest request of memory.
fn outcome<T>(name: &str, bytes: &[u8], read: impl Fn(&Path) -> lorikeet_models::Result<T>) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), bytes).unwrap();
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    LARGEST.store(0, Ordering::Relaxed);
    let result = read(folder.path());
    let largest = LARGEST.load(Ordering::Relaxed);
    drop(turn);
    let allowed = MOST.max(2 * bytes.len());
    assert!(largest <= allowed, "{name} of {} bytes: {largest} bytes at once", bytes.len());
    let Err(error) = result else { panic!("{name} was not refused") };
    format!("{name}: {}", error.to_string().replace(&*folder.path().to_string_lossy(), "folder"))
}

fn weights(name: &str, bytes: &[u8]) -> String {
    outcome(name, bytes, |folder| {
        let files = ModelFiles::open(folder)?;
        let names: Vec<String> = files.names().map(str::to_owned).collect();
        names.iter().try_for_each(|name| files.matrix(name).map(drop))
    })
}

fn configuration(name: &str, bytes: &[u8]) -> String {
    outcome(name, bytes, |folder| ModelConfig::read(folder, None))
}

#[test]
fn safetensors_that_lie() {
    let st = |bytes: Vec<u8>| weights("model.safetensors", &bytes);
    let tensor = |shape: &str, from: u64, to: u64| {
        format!("{{\"x\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":[{from},{to}]}}}}")
    };
    let said = [
        st(u64::MAX.to_le_bytes().to_vec()),
        st([&(90u64 << 20).to_le_bytes()[..], b"{}"].concat()),
        st(safetensors(&tensor("[4]", 0, 1 << 40), 16)),
        st(safetensors(&tensor("[4]", u64::MAX - 15, u64::MAX), 16)),
        st(safetensors(&tensor("[4]", 16, 0), 16)),
        st(safetensors(&tensor("[4294967296,4294967296,4294967296]", 0, 16), 16)),
        st(safetensors(&tensor("[1000000000,1000000000]", 0, 16), 16)),
        st(safetensors(&deep("x"), 0)),
        st(b"PK\x03\x04 an archive as PyTorch writes it".to_vec()),
        st(b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01K\x01s.".to_vec()),
        weights("pytorch_model.bin", b"\x80\x02}q\x00."),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn gguf_files_that_lie() {
    let file = |bytes: Vec<u8>| weights("model.gguf", &bytes);
    let said = [
        file(gguf(&[], &[u64::MAX, u64::MAX], 0, 0)),
        file(gguf(&[], &[1 << 33, 1 << 33], 12, 0)),
        file(gguf(&[], &[256, 7 << 30], 0, 0)),
        file(gguf(&[], &[4], 0, u64::MAX - 8)),
        file(gguf(&[], &[4], 0, 1 << 40)),
        file(gguf(&[], &[100, 2], 12, 0)),
        file(gguf(&[], &[4], 10, 0)),
        file(gguf(&[("general.alignment", 12)], &[4], 0, 0)),
        file(b"PK\x03\x04 renamed".to_vec()),
        file(b"\x80\x04\x95\x0a\x00\x00\x00\x00\x00\x00\x00renamed".to_vec()),
        file(b"GGUF\x03\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec()),
        file(b"GGU".to_vec()),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn configurations_that_lie() {
    let huge = |key: &str, n: &str| {
        let mut raw = serde_json::json!({
            "model_type": "llama", "vocab_size": 13, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2,
            "num_attention_heads": 2, "max_position_embeddings": 16, "rms_norm_eps": 1e-5, "hidden_act": "silu"
        });
        raw[key] = serde_json::from_str(n).unwrap();
        raw.to_string()
    };
    let build =
        |name: &str, bytes: &[u8]| outcome(name, bytes, |folder| Model::open(Fused::new(1).unwrap(), folder).map(drop));
    let said = [
        configuration("config.json", deep("hidden_size").as_bytes()),
        configuration("config.json", b"\xff\xfe{}"),
        configuration("config.json", huge("vocab_size", "18446744073709551615").as_bytes()),
        configuration("config.json", huge("max_position_embeddings", "2000000000").as_bytes()),
        configuration("model.gguf", &gguf(&[("llama.block_count", u64::MAX)], &[4], 0, 0)),
        build("config.json", huge("num_hidden_layers", "2000000000").as_bytes()),
        outcome("adapter_config.json", deep("r").as_bytes(), AdapterConfig::read),
        outcome(
            "adapter_config.json",
            br#"{"peft_type":"LORA","r":1e30,"target_modules":["q_proj"]}"#,
            AdapterConfig::read,
        ),
        weights("model.safetensors.index.json", deep("weight_map").as_bytes()),
        weights("model.safetensors.index.json", br#"{"weight_map": {"x": "../../../etc/passwd"}}"#),
    ];
    insta::assert_snapshot!(said.join("\n"));
}
