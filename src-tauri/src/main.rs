//! The desktop program: opens the window and stays until it is closed.

// A release on Windows opens no console beside the window.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

use std::process::ExitCode;

fn main() -> ExitCode {
    lorikeet_desktop::run()
}
