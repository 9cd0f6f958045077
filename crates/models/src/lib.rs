//! Model families over projections and adapters: a configuration and weights come in from a folder, a model that runs
//! forward and backward on any [`Backend`] stands in memory, adapters go out to a folder. This
//! crate knows neither text nor training: it is given token ids and returns numbers.
//!
//! There is one decoder and one encoder. A family is a specification ([`DecoderSpec`], [`EncoderSpec`]) read from
//! `config.json` and a table of tensor names; blocks are explicit forward and backward functions over the list of operations.
//! Frozen weights never receive a gradient; LoRA lives in the [`Projection`].

mod adapter;
mod adapter_files;
mod build;
mod cache;
mod classifier;
mod config;
mod decoder;
mod embedding;
mod encoder;
mod error;
pub mod export;
mod fan;
mod files;
pub mod gguf;
mod head;
mod leaf;
mod lora;
mod model;
mod names;
mod noise;
mod norm;
mod projection;
mod quantise;
mod rotary;
mod save;
mod sequences;
mod tokens;

pub use adapter::AdapterConfig;
pub use adapter_files::{AdapterFiles, AdapterForm, AdapterTensor, Update};
pub use build::Trainable;
pub use cache::KeyValueCache;
pub use config::{
    Architecture, DecoderSpec, EncoderFamily, EncoderSpec, LayerSpec, ModelConfig, Naming, Rope, RopeScaling, Task,
    families,
};
pub use embedding::{EmbeddingSettings, Pooling};
pub use error::{ModelError, Result};
pub use files::{ModelFiles, WeightSource, hash_folder};
pub use leaf::{Gradients, Parameter};
pub use lora::{LoraSpec, Matcher, Targets};
pub use lorikeet_gguf::GgufError;
pub use lorikeet_kernels::{
    Activation, AdamWStep, Backend, Composed, Fused, HostMatrix, KernelError, Objective, Precision, RowLoss, Simd,
    Spans, Tally, random,
};
pub use model::Model;
pub use noise::Noise;
pub use norm::NormKind;
pub use projection::Projection;
pub use quantise::{Misfits, Quantise};
pub use save::{copy_companions, write_file, write_tensors_late};
pub use tokens::{LossSum, Recompute, Tokens};
