//! The one list of commands, and what is made of it.
//!
//! [`command_table!`](crate::command_table) is the list: each line says a command's name, what is asked, what is answered and where its body lives.
//! It knows nothing of bodies until a macro is handed to it. [`COMMANDS`] (names and types, for the bindings) is made here;
//! the functions that call bodies are made by handing it `dispatch_commands` and `dispatch_streams`, in `dispatch.rs`.
//!
//! A body is `fn(&App, Request) -> Result<Answer, ApiError>`. A body that tells how it goes on is
//! `fn(&App, Request, &mut dyn FnMut(Update) -> bool) -> Result<Answer, ApiError>`: it hands over updates as they come; once
//! the sink returns false nobody listens any more and the body ends soon, with `Cancelled` or what it has. Bodies may block:
//! the doors run each on a thread of its own.

use std::any::TypeId;
use std::collections::BTreeMap;

use ts_rs::{Config, TS, TypeVisitor};

#[allow(clippy::wildcard_imports, reason = "the table names nearly every wire type")]
use crate::wire::*;

/// The list of commands. `$then!` receives it as
/// `{ commands { /// doc \n name(Request) -> Answer = path; … } streams { /// doc \n name(Request, Update) -> Answer = path; … } }`.
#[macro_export]
macro_rules! command_table {
    ($then:ident) => {
        $then! {
            commands {
                /// What the program runs on and where it keeps things.
                app_info(Nothing) -> AppInfo = app::info;
                /// What is alive: asked for every second.
                app_activity(Nothing) -> Activity = app::activity;
                /// How the window looks.
                app_preferences(Nothing) -> Preferences = app::preferences;
                /// Changes how the window looks.
                app_set_preferences(Preferences) -> Preferences = app::set_preferences;
                /// What lies at a path.
                path_inspect(PathRequest) -> PathInfo = app::path_inspect;

                /// Datasets that come with the program.
                samples_list(Nothing) -> Vec<SampleSummary> = data::samples;
                /// Imports one of them; a second time yields the same dataset.
                sample_import(SampleRequest) -> DatasetDetails = data::sample_import;
                /// Datasets, newest first.
                data_list(Nothing) -> Vec<DatasetSummary> = data::list;
                /// One dataset in full.
                data_show(DatasetRequest) -> DatasetDetails = data::show;
                /// Rows as a model sees them.
                data_preview(DataPreviewRequest) -> DataPreview = data::preview;

                /// Base models: the built-in one first, then those last used.
                models_list(Nothing) -> Vec<ModelSummary> = models::list;
                /// Whole models in the cache of other programs (transformers, huggingface_hub) that are not in the list yet.
                models_found(Nothing) -> Vec<CachedModel> = hub::found;
                /// Registers a folder as a base model.
                model_add(ModelAddRequest) -> ModelSummary = models::add;
                /// One model in full.
                model_inspect(ModelRequest) -> ModelDetails = models::inspect;

                /// Which hub models come from, and whether there is a token for it.
                hub_settings(Nothing) -> HubSettings = hub::settings;
                /// Changes which hub, or its token.
                hub_set(HubSettingsRequest) -> HubSettings = hub::set;

                /// All settings, and the presets.
                settings_schema(SettingsRequest) -> SettingsSchema = runs::settings_schema;
                /// What a run would do and cost.
                run_estimate(RunRequest) -> RunEstimate = runs::estimate;
                /// Records a run and queues it.
                run_start(RunRequest) -> RunSummary = runs::start;
                /// A page of runs, newest first.
                runs_list(RunsRequest) -> RunsPage = runs::list;
                /// One run in full.
                run_show(RunIdRequest) -> RunDetails = runs::show;
                /// What is recorded of a run.
                run_history(RunHistoryRequest) -> RunHistory = runs::history;
                /// Lets a run wait after its current step; everything is kept.
                run_pause(RunIdRequest) -> RunSummary = runs::pause;
                /// Goes on with a run that waits, failed, was stopped, or was interrupted.
                run_resume(RunIdRequest) -> RunSummary = runs::resume;
                /// Stops a run after its current step; its checkpoints are kept.
                run_cancel(RunIdRequest) -> RunSummary = runs::cancel;
                /// Saves the whole state after the current step.
                run_checkpoint(RunIdRequest) -> RunSummary = runs::checkpoint;
                /// Writes a run's report, an HTML file with its plots, beside it.
                run_report(RunIdRequest) -> RunReport = runs::report;

                /// The forms a result can take as an export.
                export_forms(ExportFormsRequest) -> Vec<ExportChoice> = export::forms;
                /// The label of a text.
                predict(PredictRequest) -> Prediction = trying::predict;
                /// The vectors of texts.
                embed(EmbedRequest) -> Embeddings = embedding::embed;

                /// Whether and what is served.
                serve_status(Nothing) -> ServeStatus = serving::status;
                /// Turns serving on.
                serve_start(ServeRequest) -> ServeStatus = serving::start;
                /// Turns serving off.
                serve_stop(Nothing) -> ServeStatus = serving::stop;
            }
            streams {
                /// Reads a file of examples.
                data_import(DataImportRequest, ImportProgress) -> DatasetDetails = data::import;
                /// What a run does, from an event on until it ends.
                run_follow(RunFollowRequest, RunEvents) -> Nothing = runs::follow;
                /// Measures a model on examples.
                evaluate(EvaluateRequest, WorkProgress) -> Evaluation = trying::evaluate;
                /// Registers a model of a hub: where another program fetched it, else by a download that goes on where it stopped.
                model_get(ModelGetRequest, DownloadProgress) -> ModelSummary = hub::get;
                /// Writes a result in the form another program loads, reads it back and compares it.
                export(ExportRequest, WorkProgress) -> Export = export::export;
                /// Writes an answer, piece by piece.
                generate(GenerateRequest, GenerateUpdate) -> Generation = trying::generate;
            }
        }
    };
}

/// One line of the list, without its body.
#[derive(Debug, Clone, Copy)]
pub struct Command {
    /// What a door calls it.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub doc: &'static str,
    /// TypeScript's name of what is asked.
    pub request: fn(&Config) -> String,
    /// TypeScript's name of what is answered.
    pub answer: fn(&Config) -> String,
    /// TypeScript's name of an update, for a command that streams.
    pub update: Option<fn(&Config) -> String>,
    /// Adds every type that is named above, and every type these name.
    types: fn(&mut TypeTable<'_>),
}

/// Declarations of wire types by name.
pub(crate) struct TypeTable<'a> {
    config: &'a Config,
    seen: Vec<TypeId>,
    /// Documentation and declaration by name.
    pub(crate) declarations: BTreeMap<String, (Option<String>, String)>,
}

impl<'a> TypeTable<'a> {
    /// Every type that [`COMMANDS`] and [`ApiError`] name.
    pub(crate) fn collect(config: &'a Config) -> Self {
        let mut table = TypeTable { config, seen: Vec::new(), declarations: BTreeMap::new() };
        table.visit::<ApiError>();
        for command in COMMANDS {
            (command.types)(&mut table);
        }
        table
    }
}

impl TypeVisitor for TypeTable<'_> {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        let id = TypeId::of::<T>();
        if self.seen.contains(&id) {
            return;
        }
        self.seen.push(id);
        // Only derived types have a file of their own; lists and numbers are written where they are used.
        if T::output_path().is_some() {
            self.declarations.insert(T::ident(self.config), (T::docs(), T::decl(self.config)));
        }
        T::visit_dependencies(self);
        T::visit_generics(self);
    }
}

macro_rules! describe_commands {
    (
        commands { $(#[doc = $doc:literal] $name:ident($request:ty) -> $answer:ty = $body:path;)* }
        streams { $(#[doc = $s_doc:literal] $s_name:ident($s_request:ty, $s_update:ty) -> $s_answer:ty = $s_body:path;)* }
    ) => {
        /// Every command, in the order of the list; those that stream come last.
        pub const COMMANDS: &[Command] = &[
            $(Command {
                name: stringify!($name),
                doc: $doc,
                request: <$request as TS>::name,
                answer: <$answer as TS>::name,
                update: None,
                types: |table| {
                    table.visit::<$request>();
                    table.visit::<$answer>();
                },
            },)*
            $(Command {
                name: stringify!($s_name),
                doc: $s_doc,
                request: <$s_request as TS>::name,
                answer: <$s_answer as TS>::name,
                update: Some(<$s_update as TS>::name),
                types: |table| {
                    table.visit::<$s_request>();
                    table.visit::<$s_update>();
                    table.visit::<$s_answer>();
                },
            },)*
        ];
    };
}

command_table!(describe_commands);
