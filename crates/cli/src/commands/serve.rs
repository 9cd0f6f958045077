//! `lorikeet serve`: the switch, on until Ctrl-C.

use std::{sync::Arc, thread, time::Duration};

use lorikeet_api::wire::{Nothing, ServeRequest, ServeStatus, ServedKind};
use lorikeet_server::Switch;

use super::{Session, name_or_path};
use crate::{
    args::{Quantize, ServeArgs},
    failure::Failure,
    print,
};

/// How soon Ctrl-C is heard.
const PERIOD: Duration = Duration::from_millis(100);

/// Serves until Ctrl-C.
pub fn run(session: &mut Session<'_>, args: ServeArgs) -> Result<(), Failure> {
    let request = ServeRequest {
        model: name_or_path(args.model)?,
        adapters: args.adapter.into_iter().map(name_or_path).collect::<Result<_, _>>()?,
        port: args.port,
        quantize: args.quantize.map(Quantize::wanted),
    };
    let app = session.app.clone();
    let switch = Switch::new(move |request: &ServeRequest| lorikeet_api::serving::open(&app, request));
    session.app.install_switch(Arc::new(switch));
    let status = lorikeet_api::serving::start(&session.app, request)?;
    session.printer.answer(&status, text)?;
    while !session.interrupt.is_set() {
        thread::sleep(PERIOD);
    }
    lorikeet_api::serving::stop(&session.app, Nothing {})?;
    print::note("stopped");
    Ok(())
}

fn text(status: &ServeStatus) -> String {
    let address = status.address.clone().unwrap_or_default();
    let mut text = format!("serving at {address} for programs on this computer; Ctrl-C stops\n");
    for model in &status.models {
        let kind = match model.kind {
            ServedKind::Base => "base",
            ServedKind::Adapter => "tuned",
            ServedKind::Classifier => "classifier",
        };
        text += &format!("  {} ({kind})\n", model.name);
    }
    text + &status.models.last().map(|model| curl(&address, model.kind, &model.name)).unwrap_or_default()
}

/// A request to copy.
fn curl(address: &str, kind: ServedKind, name: &str) -> String {
    let (path, body) = match kind {
        ServedKind::Classifier => ("/predict", format!(r#"{{"model": "{name}", "text": "Lovely place"}}"#)),
        ServedKind::Base | ServedKind::Adapter => (
            "/v1/chat/completions",
            format!(r#"{{"model": "{name}", "messages": [{{"role": "user", "content": "Hello"}}]}}"#),
        ),
    };
    format!("\ncurl {address}{path} -H 'Content-Type: application/json' -d '{body}'\n")
}
