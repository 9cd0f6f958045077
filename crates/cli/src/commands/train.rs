//! `lorikeet train`: says what will happen, trains in this process, shows how it goes, and stops well on Ctrl-C.

mod wish;

use std::path::Path;

use lorikeet_api::Scope;
use lorikeet_api::wire::{
    ApiError, DataImportRequest, ErrorCode, LoadingWay, ModelRequest, NoteLevel, RunDetails, RunEstimate, RunEvent,
    RunEventKind, RunFollowRequest, RunHistoryRequest, RunIdRequest, RunStatus, RunSummary, SettingValue, Task,
};

use self::wish::Wish;
use super::{Session, data, quoted, runs::can_go_on};
use crate::{
    args::TrainArgs,
    config::Config,
    failure::{Failure, exit_code},
    print,
    run_view::RunView,
    table::pairs,
    units,
};

/// Trains, goes on with a run, or only says what a run would do.
pub fn run(session: &mut Session<'_>, args: TrainArgs) -> Result<(), Failure> {
    let mut config = args.config.as_deref().map(Config::read).transpose()?.unwrap_or_default();
    if let Some(note) = &config.note {
        print::note(format!("note: {note}"));
    }
    count_layers(session, &args, &mut config)?;
    let only_estimate = args.dry_run;
    let wish = Wish::new(args, config)?;
    if let Some(run) = wish.resume.clone() {
        return resume(session, run, &wish);
    }
    let mut request = wish.request()?;
    request.data = imported(session, request.data)?;
    request.validation = request.validation.map(|file| imported(session, file)).transpose()?;
    if only_estimate {
        let estimate = lorikeet_api::runs::estimate(&session.app, request)?;
        return session.printer.answer(&estimate, estimated);
    }
    if !session.printer.wants_json() {
        let estimate = lorikeet_api::runs::estimate(&session.app, request.clone())?;
        session.printer.piece(&estimated(&estimate))?;
        if estimate.n_queued > 0 {
            let others = units::counted(estimate.n_queued, "other run", "other runs");
            session.printer.line(format!("waits for {others} first"))?;
        }
    }
    let run = lorikeet_api::runs::start(&session.app, request)?;
    if !session.printer.wants_json() {
        session.printer.line(format!("run {}", run.id))?;
    }
    follow(session, &run, None)
}

/// The last layers by their numbers, which takes the base to know.
fn count_layers(session: &Session<'_>, args: &TrainArgs, config: &mut Config) -> Result<(), Failure> {
    let model = args.model.clone().or_else(|| config.word("model"));
    let (Some(last), Some(model)) = (config.last_layers, model) else { return Ok(()) };
    let request = ModelRequest { model: super::name_or_path(model)? };
    let n_layers = lorikeet_api::models::inspect(&session.app, request)?.n_layers;
    if last < n_layers {
        let layers = SettingValue::List(vec![format!("{}-{}", n_layers - last, n_layers - 1)]);
        config.settings.entry("layers".to_owned()).or_insert(layers);
    }
    Ok(())
}

/// A file of examples becomes a dataset first, with its progress shown; everything else is a dataset already.
fn imported(session: &mut Session<'_>, word: String) -> Result<String, Failure> {
    if !Path::new(&word).is_file() {
        return Ok(word);
    }
    let path = super::absolute(Path::new(&word))?;
    let request = DataImportRequest { path, name: None, keep_good: false };
    let details = session.import(request).map_err(|failure| data::with_way_out(failure, &word))?;
    Ok(details.summary.id)
}

/// Goes on with a run from its newest checkpoint; a run that is already done says so again.
fn resume(session: &mut Session<'_>, id: String, wish: &Wish) -> Result<(), Failure> {
    let details = lorikeet_api::runs::show(&session.app, RunIdRequest { id })?;
    wish.agrees_with(&details)?;
    if let Some(data) = wish.data.clone() {
        Wish::same_data(&details.summary, &imported(session, data)?)?;
    }
    let id = details.summary.id.clone();
    if details.summary.status == RunStatus::Completed {
        return say_again(session, &details);
    }
    let run = if can_go_on(details.summary.status) {
        lorikeet_api::runs::resume(&session.app, RunIdRequest { id })?
    } else {
        details.summary.clone()
    };
    if !session.printer.wants_json() {
        session.printer.line(format!("run {} goes on from step {}", run.id, units::count(run.step)))?;
    }
    follow(session, &run, Some(details.last_seq))
}

fn say_again(session: &mut Session<'_>, details: &RunDetails) -> Result<(), Failure> {
    let request = RunHistoryRequest { id: details.summary.id.clone(), since_seq: None };
    let history = lorikeet_api::runs::history(&session.app, request)?;
    if !session.printer.wants_json() {
        session.printer.line(format!("run {} is already completed", details.summary.id))?;
    }
    let mut view = RunView::new(session.printer);
    let mut completed = history.events.iter().filter(|event| matches!(event.what, RunEventKind::Completed { .. }));
    completed.next_back().map_or(Ok(()), |event| view.show(event))
}

/// Shows a run until it ends. The first Ctrl-C asks it to save and stop.
fn follow(session: &mut Session<'_>, run: &RunSummary, since_seq: Option<u64>) -> Result<(), Failure> {
    let (app, interrupt) = (&session.app, &session.interrupt);
    app.start_worker(Scope::Only(run.id.clone()));
    let mut view = RunView::new(session.printer);
    let mut trouble: Result<(), Failure> = Ok(());
    let (mut asked, mut last) = (false, None);
    lorikeet_api::runs::follow(app, RunFollowRequest { id: run.id.clone(), since_seq }, &mut |batch| {
        if interrupt.is_set() && !asked {
            asked = true;
            let cancelled = lorikeet_api::runs::cancel(app, RunIdRequest { id: run.id.clone() });
            // A run that has just ended by itself is told as such.
            let refused = cancelled.err().filter(|error| error.code != ErrorCode::WrongState);
            keep_first(&mut trouble, refused.map_or(Ok(()), |error| Err(error.into())));
        }
        for event in batch.events {
            keep_first(&mut trouble, view.show(&event));
            last = Some(event);
        }
        true
    })?;
    drop(view);
    let ended = last.map_or(Ok(()), |event| ended(session, run, event));
    trouble.and(ended)
}

/// What the last event means for whoever waits.
fn ended(session: &mut Session<'_>, run: &RunSummary, event: RunEvent) -> Result<(), Failure> {
    match event.what {
        RunEventKind::Completed { adapter, .. } if !session.printer.wants_json() => {
            session.printer.line(try_it(run, &adapter))
        }
        RunEventKind::Failed { code, message, hint } => {
            let error = ApiError { code, message, hint, details: None };
            print::note(Failure::from(error).text());
            Err(Failure::Reported(exit_code(code)))
        }
        RunEventKind::Cancelled => {
            let step = units::count(event.step);
            print::note(format!("stopped at step {step}; go on with: lorikeet train --resume {}", run.id));
            Err(Failure::Reported(1))
        }
        _ => Ok(()),
    }
}

fn keep_first(kept: &mut Result<(), Failure>, next: Result<(), Failure>) {
    if kept.is_ok() {
        *kept = next;
    }
}

/// The words that use the result.
fn try_it(run: &RunSummary, adapter: &str) -> String {
    let model = match run.method {
        lorikeet_api::wire::Method::Lora => format!("--model {} --adapter {}", quoted(&run.model), quoted(&run.id)),
        lorikeet_api::wire::Method::Full => format!("--model {}", quoted(adapter)),
    };
    match run.task {
        Task::Causal => format!("try it: lorikeet generate {model} --prompt \"…\""),
        Task::Classify => format!("try it: lorikeet predict {model} --text \"…\""),
    }
}

/// What a run will do and cost, and where its result will load.
fn estimated(estimate: &RunEstimate) -> String {
    let known = |seconds: Option<f64>| seconds.map_or_else(|| "not known before the first run".to_owned(), units::span);
    let mut text = pairs(&[
        (
            "examples",
            format!(
                "{} to learn from, {} to check with",
                units::count(estimate.n_rows_train),
                units::count(estimate.n_rows_validation)
            ),
        ),
        (
            "steps",
            format!("{}, {} learned tokens", units::count(estimate.n_steps), units::count(estimate.n_trained_tokens)),
        ),
        ("time", known(estimate.seconds)),
        (
            "memory",
            format!(
                "{} of {} free",
                units::bytes(estimate.memory.total_bytes),
                units::bytes(estimate.memory.available_bytes)
            ),
        ),
        ("disk", units::bytes(estimate.disk_bytes)),
        ("loads in", loads_in(estimate)),
    ]);
    for note in &estimate.notes {
        match note.level {
            NoteLevel::Refused => text += &format!("refused: {}\n", note.text),
            NoteLevel::Warning => text += &format!("warning: {}\n", note.text),
            NoteLevel::Good | NoteLevel::Information => {}
        }
    }
    text
}

fn loads_in(estimate: &RunEstimate) -> String {
    let (mut saved, mut exported) = (Vec::new(), Vec::new());
    for place in &estimate.loads_in {
        match place.way {
            LoadingWay::Saved => saved.push(place.program.as_str()),
            LoadingWay::Export { .. } => exported.push(place.program.as_str()),
            LoadingWay::Not { .. } => {}
        }
    }
    match (saved.join(", "), exported.join(", ")) {
        (saved, exported) if exported.is_empty() && saved.is_empty() => "Lorikeet only".to_owned(),
        (saved, exported) if exported.is_empty() => saved,
        (saved, exported) if saved.is_empty() => format!("with `lorikeet export`: {exported}"),
        (saved, exported) => format!("{saved}; with `lorikeet export`: {exported}"),
    }
}
