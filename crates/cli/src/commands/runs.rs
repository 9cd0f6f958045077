//! `lorikeet runs …`: what was trained, and stopping what trains.

use std::collections::BTreeMap;

use lorikeet_api::wire::{
    CheckpointSummary, Method, RunDetails, RunIdRequest, RunMetrics, RunStatus, RunSummary, RunsPage, RunsRequest,
    SettingGroup, SettingValue,
};

use super::{Session, data};
use crate::{
    args::{RunsCommand, heading},
    config::value_text,
    declared,
    failure::Failure,
    run_view::verdict,
    table::{Edge, Table, pairs, shortened},
    units,
};

/// Carries out a command on runs.
pub fn run(session: &mut Session<'_>, command: RunsCommand) -> Result<(), Failure> {
    match command {
        RunsCommand::List { limit, offset } => {
            let page = lorikeet_api::runs::list(&session.app, RunsRequest { offset, limit: Some(limit) })?;
            session.printer.answer(&page, |page| list(page, offset))
        }
        RunsCommand::Show { id } => {
            let details = lorikeet_api::runs::show(&session.app, RunIdRequest { id })?;
            session.printer.answer(&details, show)
        }
        RunsCommand::Report { id } => {
            let report = lorikeet_api::runs::report(&session.app, RunIdRequest { id })?;
            session.printer.answer(&report, |report| format!("{}\n", report.path))
        }
        RunsCommand::Cancel { id } => {
            let run = lorikeet_api::runs::cancel(&session.app, RunIdRequest { id })?;
            session.printer.answer(&run, |run| match run.status {
                RunStatus::Running => format!("{} stops after its current step\n", run.id),
                other => format!("{} is {}\n", run.id, status(other)),
            })
        }
    }
}

/// Where a run stands, in a word.
pub fn status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Queued => "queued",
        RunStatus::Running => "running",
        RunStatus::Paused => "paused",
        RunStatus::Completed => "completed",
        RunStatus::Failed => "failed",
        RunStatus::Cancelled => "cancelled",
    }
}

fn list(page: &RunsPage, offset: u64) -> String {
    if page.n_total == 0 {
        return "no run yet; train one: lorikeet train --model starter --data FILE\n".to_owned();
    }
    let mut table = Table::new([
        ("ID", Edge::Left),
        ("STATUS", Edge::Left),
        ("MODEL", Edge::Left),
        ("DATA", Edge::Left),
        ("STEP", Edge::Right),
        ("LOSS", Edge::Right),
        ("ACCURACY", Edge::Right),
        ("TIME", Edge::Right),
        ("STARTED", Edge::Left),
    ]);
    page.runs.iter().for_each(|run| table.row(cells(run)));
    let n_shown = offset + page.runs.len() as u64;
    let mut text = table.text();
    if page.n_total > n_shown {
        let n_more = units::count(page.n_total - n_shown);
        text += &format!("{n_more} more; see them with --offset {n_shown}\n");
    }
    text
}

fn cells(run: &RunSummary) -> [String; 9] {
    let step = units::count(run.step) + &run.n_steps.map(|n| format!("/{}", units::count(n))).unwrap_or_default();
    [
        run.id.clone(),
        status(run.status).to_owned(),
        shortened(&run.model_name, 24),
        shortened(&run.data_name, 24),
        step,
        run.best_loss.map(units::loss).unwrap_or_default(),
        run.accuracy.map(units::share).unwrap_or_default(),
        units::span_ms(run.elapsed_ms),
        units::instant(run.created_at_ms),
    ]
}

fn show(details: &RunDetails) -> String {
    let run = &details.summary;
    let mut facts = vec![
        ("id", run.id.clone()),
        ("name", run.name.clone()),
        ("status", status(run.status).to_owned()),
        ("task", data::task(run.task).to_owned()),
        ("method", if run.method == Method::Lora { "adapter (lora)" } else { "every weight (full)" }.to_owned()),
        ("model", format!("{} ({})", run.model_name, shortened(&details.model_hash, 16))),
        ("data", format!("{} ({})", run.data_name, shortened(&details.dataset_hash, 16))),
        ("step", units::count(run.step) + &run.n_steps.map(|n| format!(" of {}", units::count(n))).unwrap_or_default()),
        ("time", units::span_ms(run.elapsed_ms)),
        ("device", details.device.clone()),
        ("made by", details.code_version.clone()),
        ("folder", details.folder.clone()),
    ];
    facts.extend(details.adapter.clone().map(|adapter| ("result", adapter)));
    let mut text = pairs(&facts);
    match (&run.error, run.status) {
        (Some(error), _) => text += &format!("\n{}\n", Failure::from(error.clone()).text()),
        (None, RunStatus::Completed) => text += &format!("\n{}\n", verdict(&details.metrics)),
        _ => {}
    }
    text += &metrics(&details.metrics);
    text += &settings(&details.settings);
    text += &checkpoints(&details.checkpoints);
    if can_go_on(run.status) {
        text += &format!("\ngo on with: lorikeet train --resume {}\n", run.id);
    }
    text
}

/// Whether `train --resume` takes the run.
pub fn can_go_on(status: RunStatus) -> bool {
    matches!(status, RunStatus::Paused | RunStatus::Failed | RunStatus::Cancelled)
}

fn metrics(metrics: &RunMetrics) -> String {
    let known = [
        ("validation loss", metrics.loss.map(units::loss)),
        ("  before", metrics.base_loss.map(units::loss)),
        ("perplexity", metrics.perplexity.map(units::loss)),
        ("accuracy", metrics.accuracy.map(units::share)),
        ("  before", metrics.base_accuracy.map(units::share)),
        ("F1", metrics.f1_macro.map(|f1| format!("{f1:.3}"))),
        ("training loss", metrics.train_loss.map(units::loss)),
        ("learned tokens", metrics.n_trained_tokens.map(units::count)),
        ("speed", metrics.tokens_per_s.map(|speed| units::speed(speed, "tokens"))),
        ("highest memory", metrics.peak_memory_bytes.map(units::bytes)),
    ];
    let known: Vec<_> = known.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    if known.is_empty() { String::new() } else { format!("\n{}", pairs(&known)) }
}

/// The settings by group, in the order of their declarations.
fn settings(values: &BTreeMap<String, SettingValue>) -> String {
    let mut text = String::new();
    let mut group: Option<SettingGroup> = None;
    for spec in declared::settings() {
        let Some(value) = values.get(&spec.name) else { continue };
        if group != Some(spec.group) {
            text += &format!("\n{}\n", heading(spec.group));
            group = Some(spec.group);
        }
        let value = with_unit(value, spec.unit.as_deref());
        text += &format!("  {:<22}  {value}\n", spec.name);
    }
    text
}

/// A value with its unit; a share as one.
fn with_unit(value: &SettingValue, unit: Option<&str>) -> String {
    match (value, unit) {
        (SettingValue::Null, _) => "-".to_owned(),
        (SettingValue::Number(number), Some("fraction")) => units::share(*number),
        (SettingValue::Number(number), Some(unit)) if number.fract() != 0.0 => format!("{number:.3} {unit}"),
        (value, Some(unit)) => format!("{} {unit}", value_text(value)),
        (value, None) => value_text(value),
    }
}

fn checkpoints(checkpoints: &[CheckpointSummary]) -> String {
    if checkpoints.is_empty() {
        return String::new();
    }
    let mut table = Table::new([
        ("STEP", Edge::Right),
        ("LOSS", Edge::Right),
        ("SIZE", Edge::Right),
        ("SAVED", Edge::Left),
        ("CHECKPOINT", Edge::Left),
    ]);
    for checkpoint in checkpoints {
        table.row([
            units::count(checkpoint.step),
            checkpoint.loss.map(units::loss).unwrap_or_default(),
            units::bytes(checkpoint.n_bytes),
            units::instant(checkpoint.at_ms),
            checkpoint.path.clone() + if checkpoint.best { " (best)" } else { "" },
        ]);
    }
    format!("\n{}", table.text())
}
