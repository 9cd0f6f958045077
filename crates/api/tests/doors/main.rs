//! The commands as a door calls them, on a real data folder, a real (tiny) model and the samples of the program.

mod errors;
mod life;
mod support;
mod wishes;
