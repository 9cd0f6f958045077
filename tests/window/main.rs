//! The real window: the built desktop program on a virtual display, driven as a person would, through the webview's own
//! driver, the pointer and the keyboard. What it shows is held against the files and tables it wrote. The rules of single
//! parts are tested where they are.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::print_stderr)]

mod answers;
mod chooser;
mod hub;
mod journey;
mod keyboard;
mod language;
mod page;
mod places;
mod pointer;
mod refused;
mod screen;
mod serving;
mod steering;
mod window;
