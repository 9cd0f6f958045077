//! The forms that a result can take: what is offered is what would not be refused and some program loads.

use lorikeet_jobs::ExportForm as Form;
use lorikeet_models::gguf::GgufNames;
use lorikeet_models::{ModelConfig, Task};

use super::Found;
use crate::App;
use crate::compatibility::{Kind, programs};
use crate::failure::invalid;
use crate::wire::{
    ApiError, ErrorCode, ExportChoice, ExportForm, ExportFormsRequest, ExportPrecision, ExportQuantization,
    ExportRequest, Method,
};

/// Every form, the one that most people want first.
const FORMS: [ExportForm; 6] = [
    ExportForm::Peft,
    ExportForm::Merged,
    ExportForm::Gguf,
    ExportForm::Ollama,
    ExportForm::GgufAdapter,
    ExportForm::Mlx,
];
/// Number formats, the usual one first.
const PRECISIONS: [ExportPrecision; 3] = [ExportPrecision::Bf16, ExportPrecision::F16, ExportPrecision::F32];
/// Ways to store weights in few bits, the usual one first.
const QUANTIZATIONS: [ExportQuantization; 5] = [
    ExportQuantization::Q4KM,
    ExportQuantization::Q8_0,
    ExportQuantization::Q6K,
    ExportQuantization::Q5KM,
    ExportQuantization::Q4_0,
];

/// Body of `export_forms`.
pub fn forms(app: &App, request: ExportFormsRequest) -> Result<Vec<ExportChoice>, ApiError> {
    let found = Found::find(app, &request.source, request.model.as_deref())?;
    let config = ModelConfig::read(&found.base, None)?;
    let labels = config.task() != Task::Causal || found.info.as_ref().is_some_and(|info| !info.labels.is_empty());
    // A whole model is what it is to a program, whether or not the adapter alone would do there.
    let programs = |asked| {
        let is_adapter = form(asked).is_adapter();
        let method = if is_adapter { Method::Lora } else { Method::Full };
        let kind = Kind { family: &config.model_type, method, is_dora: found.is_dora, labels };
        programs(kind, asked, if is_adapter { ExportForm::Peft } else { ExportForm::Merged })
    };
    let possible = FORMS.into_iter().filter(|asked| refusal(&found, &config, *asked).is_none());
    let choices = possible.map(|asked| {
        let (form, programs) = (form(asked), programs(asked));
        let precisions = if form.is_adapter() { Vec::new() } else { PRECISIONS.into() };
        let quantizations = if form == Form::Gguf { QUANTIZATIONS.into() } else { Vec::new() };
        ExportChoice { form: asked, programs, precisions, quantizations }
    });
    Ok(choices.filter(|choice| !choice.programs.is_empty()).collect())
}

/// The form as it is written; a Modelfile lies beside a GGUF file.
pub(super) fn form(asked: ExportForm) -> Form {
    match asked {
        ExportForm::Peft => Form::Peft,
        ExportForm::Merged => Form::Merged,
        ExportForm::Gguf | ExportForm::Ollama => Form::Gguf,
        ExportForm::GgufAdapter => Form::GgufAdapter,
        ExportForm::Mlx => Form::Mlx,
    }
}

/// As a command line spells it.
pub(crate) fn word(asked: ExportForm) -> &'static str {
    if asked == ExportForm::Ollama { "ollama" } else { form(asked).name() }
}

/// What cannot be written as asked, said before a weight is read.
pub(super) fn refuse(found: &Found, request: &ExportRequest) -> Result<(), ApiError> {
    if request.quantize.is_some() && form(request.to) != Form::Gguf {
        let message = format!("the form `{}` has no quantised weights", word(request.to));
        return Err(invalid(message).with_hint("leave `quantize` out, or export as `gguf` or `ollama`"));
    }
    refusal(found, &ModelConfig::read(&found.base, None)?, request.to).map_or(Ok(()), Err)
}

/// Why the result has no place in a form.
fn refusal(found: &Found, config: &ModelConfig, asked: ExportForm) -> Option<ApiError> {
    let (form, family) = (form(asked), &config.model_type);
    let unsupported =
        |message: String, hint: &str| Some(ApiError::new(ErrorCode::Unsupported, message).with_hint(hint));
    if form.is_adapter() && found.adapter.is_none() {
        let message = format!("`{}` is a whole model and has no adapter to export", found.name);
        return Some(invalid(message).with_hint("export it as `merged` or `gguf`"));
    }
    if form == Form::Merged && !found.base.join("config.json").is_file() {
        let message =
            format!("the base `{}` is a GGUF file, without the files of a model folder", found.base.display());
        return unsupported(message, "export it as `gguf`");
    }
    if matches!(form, Form::Peft | Form::Merged) {
        return None;
    }
    if config.task() != Task::Causal {
        let message = format!("a `{family}` model gives labels and has no place in the form `{}`", word(asked));
        return unsupported(message, "export it as `peft` or `merged`");
    }
    if form.is_adapter() && found.is_dora {
        let message = format!("a DoRA adapter has no place in the form `{}`", word(asked));
        return unsupported(message, "export it as `merged` or `gguf`");
    }
    if matches!(form, Form::Gguf | Form::GgufAdapter) && GgufNames::of_model_type(family).is_none() {
        let message = format!("a `{family}` model has no form in GGUF here; these have: {}", GgufNames::known());
        return unsupported(message, "export it as `merged`");
    }
    None
}
