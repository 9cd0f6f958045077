//! Models and adapters in the forms that other programs load. Every file is written whole or not at all; whether what is on
//! disk still says the same is for the caller to ask, with [`crate::Model::open`] and [`crate::Model::open_with_adapter`].

mod gguf;
mod merged;
mod mlx;
mod peft;

pub use gguf::write_gguf_adapter;
pub use merged::Merged;
pub use mlx::write_mlx;
pub use peft::{write_peft, write_tensors};
