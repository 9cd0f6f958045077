//! The one table of which crate may use which. ARCHITECTURE.md draws the same; `edges` compares both with the manifests.

/// A crate of the house.
#[derive(Debug)]
pub struct Room {
    /// Its folder's name; `desktop` is the root package.
    pub name: &'static str,
    /// The crates of the house it uses.
    pub uses: &'static [&'static str],
}

/// From the ground up: a room uses only rooms above it in this list.
pub const ROOMS: &[Room] = &[
    Room { name: "kernels", uses: &[] },
    Room { name: "gguf", uses: &[] },
    Room { name: "data", uses: &["gguf"] },
    Room { name: "registry", uses: &[] },
    Room { name: "hub", uses: &[] },
    Room { name: "models", uses: &["kernels", "gguf"] },
    Room { name: "generate", uses: &["models"] },
    Room { name: "train", uses: &["kernels", "models", "data", "generate"] },
    Room { name: "jobs", uses: &["train", "generate", "data", "models", "registry"] },
    Room { name: "bench", uses: &["jobs", "generate", "data", "models"] },
    Room { name: "api", uses: &["jobs", "registry", "data", "generate", "models", "hub"] },
    Room { name: "server", uses: &["api"] },
    Room { name: "cli", uses: &["api", "server", "bench"] },
    Room { name: "desktop", uses: &["api", "server"] },
    Room { name: "xtask", uses: &[] },
];

/// Crates of the workspace that hold tests only: they may look everywhere.
pub const TESTS: &[&str] = &["tests"];

/// Libraries that one room keeps to itself, so that the others do not know them: how their names begin, and where they live. The
/// first that fits counts.
pub const HOMES: &[(&str, &[&str])] = &[
    ("candle-transformers", &["tests"]),
    ("candle", &["kernels"]),
    ("gemm", &["kernels"]),
    ("rayon", &["kernels"]),
    ("tokenizers", &["data", "xtask"]),
    ("minijinja", &["data"]),
    ("rusqlite", &["registry"]),
    ("plotters", &["api"]),
    ("ts-rs", &["api"]),
    ("ureq", &["hub"]),
    ("hf-hub", &["hub"]),
    ("axum", &["server"]),
    ("tokio", &["server", "desktop"]),
    ("clap", &["cli", "xtask"]),
    ("indicatif", &["cli"]),
    ("tauri", &["desktop"]),
];

/// Asynchronous runtimes and their like: only a library with a home above may bring one.
pub const ASYNCHRONOUS: &[&str] = &["async", "futures", "smol", "hyper", "reqwest"];
