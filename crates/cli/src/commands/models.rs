//! `lorikeet models …`: the bases that can be trained.

use std::path::Path;

use lorikeet_api::wire::{
    CachedModel, ModelAddRequest, ModelDetails, ModelGetRequest, ModelRequest, ModelSource, ModelSummary, Nothing,
};

use super::{Session, absolute, data, name_or_path};
use crate::{
    args::ModelsCommand,
    failure::Failure,
    print,
    progress::WorkBar,
    table::{Edge, Table, pairs},
    units,
};

/// Carries out a command on base models.
pub fn run(session: &mut Session<'_>, command: ModelsCommand) -> Result<(), Failure> {
    match command {
        ModelsCommand::List => {
            let models = lorikeet_api::models::list(&session.app, Nothing {})?;
            session.printer.answer(&models, |models| list(models))
        }
        ModelsCommand::Show { model } => {
            let request = ModelRequest { model: name_or_path(model)? };
            let details = lorikeet_api::models::inspect(&session.app, request)?;
            session.printer.answer(&details, show)
        }
        ModelsCommand::Get { model, revision, file } => get(session, ModelGetRequest { model, revision, file }),
        ModelsCommand::Found => {
            let found = lorikeet_api::hub::found(&session.app, Nothing {})?;
            session.printer.answer(&found, |models| list_found(models))
        }
        ModelsCommand::Add { folder, name } => {
            let request = ModelAddRequest { path: absolute(&folder)?, name };
            let model = lorikeet_api::models::add(&session.app, request)?;
            session.printer.answer(&model, |model| list(std::slice::from_ref(model)))
        }
    }
}

/// Downloads with a bar of all bytes; Ctrl-C stops, and the next time goes on from there.
fn get(session: &mut Session<'_>, request: ModelGetRequest) -> Result<(), Failure> {
    let mut bar = WorkBar::new("downloading", "bytes", session.printer.wants_json());
    let interrupt = &session.interrupt;
    let came = lorikeet_api::hub::get(&session.app, request, &mut |progress| {
        if progress.n_files_total > 0 {
            bar.set(progress.n_bytes, Some(progress.n_bytes_total));
        }
        !interrupt.is_set()
    });
    drop(bar);
    let model = came?;
    let path = model.path.as_deref().unwrap_or_default();
    if !Path::new(path).starts_with(session.app.home()) {
        print::note(format!("found on this computer, nothing was downloaded: {path}"));
    }
    session.printer.answer(&model, |model| list(std::slice::from_ref(model)))
}

fn list(models: &[ModelSummary]) -> String {
    let mut table = Table::new([
        ("ID", Edge::Left),
        ("FAMILY", Edge::Left),
        ("PARAMETERS", Edge::Right),
        ("SIZE", Edge::Right),
        ("GOOD FOR", Edge::Left),
        ("WHERE", Edge::Left),
    ]);
    for model in models {
        table.row([
            model.id.clone(),
            model.family.clone(),
            units::parameters(model.n_parameters),
            units::bytes(model.n_bytes),
            tasks(model),
            place(model),
        ]);
    }
    table.text()
}

fn list_found(models: &[CachedModel]) -> String {
    if models.is_empty() {
        return "other programs fetched no model that is not listed already".to_owned();
    }
    let mut table = Table::new([("NAME", Edge::Left), ("SIZE", Edge::Right), ("WHERE", Edge::Left)]);
    for model in models {
        table.row([model.name.clone(), units::bytes(model.n_bytes), model.path.clone()]);
    }
    table.text()
}

fn tasks(model: &ModelSummary) -> String {
    model.tasks.iter().map(|task| data::task(*task)).collect::<Vec<_>>().join(", ")
}

fn place(model: &ModelSummary) -> String {
    let path = model.path.clone().unwrap_or_default();
    match (model.source, model.available) {
        (ModelSource::Starter, _) => "built in".to_owned(),
        (ModelSource::Folder, true) => path,
        (ModelSource::Folder, false) => format!("{path} (missing)"),
    }
}

fn show(details: &ModelDetails) -> String {
    let model = &details.summary;
    let mut facts = vec![
        ("id", model.id.clone()),
        ("name", model.name.clone()),
        ("where", place(model)),
        ("family", model.family.clone()),
        ("good for", tasks(model)),
        ("parameters", format!("{} ({})", units::parameters(model.n_parameters), details.dtype)),
        ("size", units::bytes(model.n_bytes)),
        (
            "shape",
            format!(
                "{} layers, width {}, {} heads, {} tokens in the vocabulary",
                details.n_layers,
                details.hidden_size,
                details.n_heads,
                units::count(details.vocab_size)
            ),
        ),
        ("longest text", format!("{} tokens", units::count(details.max_position_embeddings))),
        ("chat template", if model.has_chat_template { "yes" } else { "no" }.to_owned()),
        ("target modules", details.target_modules.join(", ")),
    ];
    if !details.labels.is_empty() {
        facts.push(("labels", details.labels.join(", ")));
    }
    facts.extend(model.licence.clone().map(|licence| ("licence", licence)));
    if let (Some(speed), Some(memory)) = (model.train_tokens_per_s, model.train_memory_bytes) {
        facts.push(("trains at", format!("{}, {}", units::speed(speed, "tokens"), units::bytes(memory))));
    }
    facts.push(("hash", details.hash.clone()));
    let card = details.card.as_ref().map(|card| format!("\n{card}\n")).unwrap_or_default();
    pairs(&facts) + &card
}
