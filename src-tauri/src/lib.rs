//! The desktop shell: a window over the same commands as the terminal and HTTP.
//!
//! Knows the window, native drops and choosers, and how a command's name, request and updates cross into the page; does not
//! know a single command. Nothing is built without the `desktop` feature, so that plain builds and tests need no webview.
#![cfg(feature = "desktop")]

mod door;
mod streams;

use std::process::ExitCode;

use tauri::{RunEvent, webview::PageLoadEvent};
use tracing_subscriber::EnvFilter;

use crate::door::Door;

/// Opens the window; returns when it was closed and work under way was put down.
pub fn run() -> ExitCode {
    let filter = EnvFilter::try_from_env("LORIKEET_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let built = tauri::Builder::default()
        .plugin(tauri_plugin_dialog::init())
        .manage(Door::open())
        .invoke_handler(tauri::generate_handler![door::call, door::stream, door::stream_stop])
        .on_page_load(|webview, load| {
            // A page that begins (a reload included) knows nothing of the streams of the page before.
            if load.event() == PageLoadEvent::Started {
                door::of(webview).end_streams();
            }
        })
        .build(tauri::generate_context!());
    let app = match built {
        Ok(app) => app,
        Err(error) => {
            tracing::error!("the window cannot be opened: {error}");
            return ExitCode::FAILURE;
        }
    };
    app.run(|app, event| {
        if let RunEvent::Exit = event {
            door::of(app).close();
        }
    });
    ExitCode::SUCCESS
}
