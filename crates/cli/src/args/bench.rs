//! `lorikeet bench`: what is measured and for how long.

use std::path::PathBuf;

use clap::Args;

/// Flags of `bench`.
#[derive(Debug, Args)]
#[command(
    long_about = "Say how fast this computer is.\n\n\
                  Models of published sizes with random weights are trained, written with and read with, each in a process of \
                  its own, by the same code as every run. Weights are written to a folder first and taken away afterwards; \
                  the largest model takes 2 GB of disk and 4 GB of memory, and is measured only when it is asked for.",
    after_help = "Workloads:\n  \
                  a  train a small Llama            b  train SmolLM2 135M       c  train MiniLM to classify\n  \
                  d  train Qwen2.5 0.5B             e  train SmolLM2 over 8 and 4 bits\n  \
                  f  write with SmolLM2             g  read a prompt            h  turn 200 MB of text into tokens\n\n\
                  Examples:\n  \
                  lorikeet bench\n  \
                  lorikeet bench --only b,b-recompute --threads 1\n\n\
                  JSON: peaks, measured (each with workload, precision, seconds, cpu_seconds, tokens_per_s, peak_memory_bytes, …)"
)]
pub struct BenchArgs {
    /// Measure these: letters or names such as `b-recompute` [default: those that take a minute or two]
    #[arg(long, value_name = "A,B", value_delimiter = ',', conflicts_with = "all")]
    pub only: Vec<String>,
    /// Measure everything
    #[arg(long)]
    pub all: bool,
    /// Processor threads [default: as many as there are cores]
    #[arg(long, value_name = "THREADS", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub threads: Option<u64>,
    /// How long each is measured
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    pub seconds: f64,
    /// How often each is done, in place of seconds
    #[arg(long, value_name = "TIMES", value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: Option<u64>,
    /// Another value for a setting of the training runs, such as `recompute=on`; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Use no wider vector instructions than these, where the processor has them
    #[arg(long, value_name = "SIMD", value_parser = ["portable", "avx2", "avx512", "avx512-bf16"])]
    pub simd: Option<String>,
    /// Keep weights and examples in this folder for the next time [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Only write weights and examples, and say where they are
    #[arg(long, hide = true, requires = "folder")]
    pub material: bool,
    /// Measure the matrix peak alone
    #[arg(long, hide = true)]
    pub peak_only: bool,
    /// A word of `--only` is a whole name
    #[arg(long, hide = true)]
    pub exactly: bool,
    /// Leave out the matrix peak
    #[arg(long, hide = true)]
    pub no_peak: bool,
    /// Measure one workload in this process: what to do, as JSON
    #[arg(long, hide = true)]
    pub assignment: Option<String>,
}
