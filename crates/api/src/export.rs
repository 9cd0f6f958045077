//! Exports: a result, found with its base, written beside its place in the form another program loads, compared with what it
//! was made of, described, and only then put where it was asked for.

mod card;
mod forms;
mod modelfile;
mod probe;

use std::path::{Path, PathBuf};

use lorikeet_jobs::train::ResultInfo;
use lorikeet_jobs::{Comparison, ExportForm as Form, ExportJob, export as write};
use lorikeet_models::gguf::GgufRecipe;
use lorikeet_models::{AdapterFiles, AdapterForm, ModelConfig, Precision};

use crate::failure::{invalid, io};
use crate::library::check_free;
use crate::wanted::RunResult;
use crate::wire::{
    ApiError, Export, ExportComparison, ExportFile, ExportForm, ExportPrecision, ExportQuantization, ExportRequest,
    WorkProgress,
};
use crate::{App, places};

pub use forms::forms;
pub(crate) use forms::word;
use forms::{form, refuse};

/// What is exported, with everything that belongs to it found.
struct Found {
    /// What people call it.
    name: String,
    base: PathBuf,
    base_name: String,
    adapter: Option<PathBuf>,
    is_dora: bool,
    info: Option<ResultInfo>,
}

/// Body of `export`.
pub fn export(
    app: &App,
    request: ExportRequest,
    sink: &mut dyn FnMut(WorkProgress) -> bool,
) -> Result<Export, ApiError> {
    let found = Found::find(app, &request.source, request.model.as_deref())?;
    let form = form(request.to);
    refuse(&found, &request)?;
    let target = match &request.output {
        Some(given) => places::expand(given)?,
        None => app.home().join("exports").join(format!(
            "{}-{}",
            lorikeet_registry::slug(&found.name, "model"),
            word(request.to)
        )),
    };
    check_free(&target)?;
    let parent = target.parent().ok_or_else(|| invalid("the root of a disk is no folder for an export"))?;
    std::fs::create_dir_all(parent).map_err(io("create", parent))?;
    let beside = tempfile::Builder::new().prefix(".export-").tempdir_in(parent).map_err(io("write in", parent))?;
    let job = ExportJob {
        form,
        base: found.base.clone(),
        adapter: found.adapter.clone(),
        base_name: found.base_name.clone(),
        labels: found.info.as_ref().map(|info| info.labels.clone()).unwrap_or_default(),
        precision: request.precision.map(precision),
        recipe: recipe(&request, &found.base)?,
        probe: probe::tokens(app, &found.base, found.info.as_ref())?,
        folder: beside.path().to_owned(),
    };
    let unit = if form == Form::Gguf { "weights" } else { "bytes" };
    let compared =
        write(&job, &mut |done, total| sink(WorkProgress { unit: unit.to_owned(), done, total: Some(total) }))?;
    let notes = match request.to {
        ExportForm::Ollama => modelfile::write(&found.base, beside.path())?,
        _ => Vec::new(),
    };
    describe(&found, &job, &compared, beside.path())?;
    let files = files(beside.path())?;
    if target.exists() {
        std::fs::remove_dir_all(&target).map_err(io("replace", &target))?;
    }
    std::fs::rename(beside.path(), &target).map_err(io("write", &target))?;
    drop(beside.keep());
    Ok(Export {
        folder: target.display().to_string(),
        form: request.to,
        n_bytes: files.iter().map(|file| file.n_bytes).sum(),
        files,
        comparison: comparison(&compared),
        use_it: card::use_it(request.to, &target, &found),
        notes,
    })
}

/// How a GGUF file is stored: as asked, else in 16-bit floats of the base's kind.
fn recipe(request: &ExportRequest, base: &Path) -> Result<GgufRecipe, ApiError> {
    if let Some(quantize) = request.quantize {
        return Ok(match quantize {
            ExportQuantization::Q8_0 => GgufRecipe::Q8_0,
            ExportQuantization::Q6K => GgufRecipe::Q6K,
            ExportQuantization::Q5KM => GgufRecipe::Q5KM,
            ExportQuantization::Q4KM => GgufRecipe::Q4KM,
            ExportQuantization::Q4_0 => GgufRecipe::Q4_0,
        });
    }
    let raw = ModelConfig::read(base, None)?.raw;
    let is_bf16 = ["dtype", "torch_dtype"].iter().any(|key| raw.get(*key).is_some_and(|kind| kind == "bfloat16"));
    Ok(match request.precision {
        Some(ExportPrecision::F32) => GgufRecipe::F32,
        Some(ExportPrecision::F16) => GgufRecipe::F16,
        Some(ExportPrecision::Bf16) => GgufRecipe::Bf16,
        None if is_bf16 => GgufRecipe::Bf16,
        None => GgufRecipe::F16,
    })
}

fn precision(asked: ExportPrecision) -> Precision {
    match asked {
        ExportPrecision::F32 => Precision::F32,
        ExportPrecision::F16 => Precision::F16,
        ExportPrecision::Bf16 => Precision::Bf16,
    }
}

impl Found {
    fn find(app: &App, given: &str, base: Option<&str>) -> Result<Found, ApiError> {
        let path = places::expand(given)?;
        let is_place = places::is_path_like(given) || AdapterForm::of(&path).is_some();
        let run = if is_place { None } else { RunResult::find(app, given).ok() };
        let result = match &run {
            Some(result) => result.folder.clone(),
            None if AdapterForm::of(&path).is_some() => path,
            None => return Self::whole(app, given, given),
        };
        let info = ResultInfo::read(&result)?;
        if AdapterForm::of(&result).is_none() {
            return Self::whole(app, &result.to_string_lossy(), given);
        }
        let name = run.as_ref().map_or_else(|| places::last_part(&result), |run| run.row.name.clone());
        let config = AdapterFiles::open(&result)?.config;
        let (stated, is_dora) = (config.base_model, config.lora.dora);
        let run_base = run.as_ref().and_then(|run| run.row.model_id.clone());
        let noted = info.as_ref().map(|info| info.base_folder.clone()).filter(|folder| Path::new(folder).is_dir());
        let base = base.map(str::to_owned).or(run_base).or(noted).unwrap_or_else(|| stated.clone());
        let model = app.library.find_model(&base).map_err(|error| {
            error.with_hint("name the base that the adapter was trained on with `model` (`--model`)")
        })?;
        let noted_name = info.as_ref().map(|info| info.base_model.clone());
        let base_name = noted_name.or(Some(stated)).filter(|name| !name.is_empty()).unwrap_or(base);
        Ok(Found { name, base: model.folder, base_name, adapter: Some(result), is_dora, info })
    }

    /// A model without an adapter: the result of training all weights, or any base.
    fn whole(app: &App, model: &str, name: &str) -> Result<Found, ApiError> {
        let folder = app.library.find_model(model)?.folder;
        let info = ResultInfo::read(&folder)?;
        let base_name = info.as_ref().map_or_else(|| name.to_owned(), |info| info.base_model.clone());
        let name = if places::is_path_like(name) { places::last_part(Path::new(name)) } else { name.to_owned() };
        Ok(Found { name, base: folder, base_name, adapter: None, is_dora: false, info })
    }
}

fn describe(found: &Found, job: &ExportJob, compared: &Comparison, folder: &Path) -> Result<(), ApiError> {
    let source = found.adapter.as_deref().unwrap_or(&found.base);
    let card = card::text(&card::Made { found, form: job.form, recipe: job.recipe, compared }, source)?;
    lorikeet_models::write_file(&folder.join("README.md"), card.as_bytes())?;
    // Labels and the longest text travel along, for whoever uses the export here.
    let noted = source.join("lorikeet.json");
    if noted.is_file() {
        let text = std::fs::read(&noted).map_err(io("read", &noted))?;
        lorikeet_models::write_file(&folder.join("lorikeet.json"), &text)?;
    }
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<ExportFile>, ApiError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io("read", folder))? {
        let entry = entry.map_err(io("read", folder))?;
        let n_bytes = entry.metadata().map_err(io("read", &entry.path()))?.len();
        found.push(ExportFile { name: entry.file_name().to_string_lossy().into_owned(), n_bytes });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn comparison(compared: &Comparison) -> ExportComparison {
    ExportComparison {
        n_rows: compared.n_rows as u64,
        largest_difference: compared.largest,
        relative_difference: compared.relative,
        tolerance: compared.tolerance,
        same_best: compared.same_best,
    }
}
