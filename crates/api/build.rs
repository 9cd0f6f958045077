//! Puts the starter model and the samples into the program, and stamps it with its commit: one file is all there is to
//! install, and a run remembers which code made it.
#![allow(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, process::Command};

/// Files of a model that are taken; the recipe beside them is not.
const MODEL_FILES: [&str; 9] = [
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "README.md",
    "LICENSE",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../..").canonicalize()?;
    let (starter, samples) = (root.join("models/starter"), root.join("assets/samples"));
    println!("cargo::rerun-if-changed={}", samples.display());
    let model: Vec<PathBuf> = MODEL_FILES.iter().map(|name| starter.join(name)).filter(|path| path.is_file()).collect();
    for name in MODEL_FILES {
        // A file that does not exist yet counts as changed on every build, so only its folder is watched.
        let path = starter.join(name);
        println!("cargo::rerun-if-changed={}", if path.is_file() { path } else { starter.clone() }.display());
    }
    let whole = model.iter().any(|path| path.ends_with("model.safetensors"));
    if !whole && env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo::error=models/starter has no model.safetensors: a release must have its starter model");
    }
    let mut source = String::new();
    let model = if whole { model } else { Vec::new() };
    write_list(&mut source, "STARTER", "Files of the starter model; none in a build without it.", &model)?;
    writeln!(source, "/// Tells starter models apart.\npub(crate) const STARTER_HASH: &str = {:?};", hash(&model)?)?;
    let mut found: Vec<PathBuf> = fs::read_dir(&samples)?.map(|e| Ok(e?.path())).collect::<std::io::Result<_>>()?;
    found.retain(|path| path.is_file());
    found.sort();
    write_list(&mut source, "SAMPLES", "The samples and their list.", &found)?;
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("embedded.rs"), source)?;
    println!("cargo::rustc-env=LORIKEET_CODE_VERSION={}", code_version(&root)?);
    Ok(())
}

fn write_list(source: &mut String, name: &str, doc: &str, files: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    writeln!(source, "/// {doc}\npub(crate) const {name}: &[(&str, &[u8])] = &[")?;
    for path in files {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        writeln!(source, "    ({file:?}, include_bytes!({:?})),", path.display().to_string())?;
    }
    writeln!(source, "];")?;
    Ok(())
}

/// The first digits of BLAKE3 over names and contents.
fn hash(files: &[PathBuf]) -> Result<String, Box<dyn Error>> {
    let mut hasher = blake3::Hasher::new();
    for path in files {
        hasher.update(path.file_name().unwrap_or_default().as_encoded_bytes()).update(&[0]);
        hasher.update(&fs::read(path)?);
    }
    Ok(hasher.finalize().to_hex().chars().take(8).collect())
}

/// The version, with the commit where the sources are a checkout.
fn code_version(root: &Path) -> Result<String, Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=LORIKEET_COMMIT");
    let head = root.join(".git/HEAD");
    if head.is_file() {
        println!("cargo::rerun-if-changed={}", head.display());
    }
    let version = env::var("CARGO_PKG_VERSION")?;
    let commit = env::var("LORIKEET_COMMIT").ok().or_else(|| {
        let asked = Command::new("git").args(["rev-parse", "--short=10", "HEAD"]).current_dir(root).output().ok()?;
        asked.status.success().then(|| String::from_utf8_lossy(&asked.stdout).trim().to_owned())
    });
    Ok(commit.map_or_else(|| version.clone(), |commit| format!("{version}+{commit}")))
}
