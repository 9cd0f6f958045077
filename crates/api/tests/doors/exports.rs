//! Exports of a real run: written, read back, compared, described, and nothing half done left behind.

use std::fs;
use std::path::Path;

use lorikeet_api::wire::{
    ErrorCode, EvaluateRequest, ExportForm, ExportFormsRequest, ExportPrecision, ExportQuantization, ExportRequest,
    ModelAddRequest, RunIdRequest, SettingValue,
};
use lorikeet_api::{App, Scope, export, models, runs, trying};

use crate::support::{Bench, follow_all};

fn request_to(source: &str, to: ExportForm, output: &Path) -> ExportRequest {
    let output = Some(output.display().to_string());
    ExportRequest { source: source.into(), model: None, to, precision: None, quantize: None, output }
}

/// The forms that are offered, each with the programs that load it.
fn offered(app: &App, source: &str) -> Vec<String> {
    let choices = export::forms(app, ExportFormsRequest { source: source.into(), model: None }).unwrap();
    choices.iter().map(|choice| format!("{:?} {}", choice.form, choice.programs.join(" "))).collect()
}

fn loss(app: &App, model: &str, adapter: Option<&str>) -> f64 {
    let adapter = adapter.map(str::to_owned);
    let data = "support-replies".to_owned();
    let (max_length, batch_size, limit) = (Some(96), None, Some(8));
    let request = EvaluateRequest { model: model.into(), adapter, data, max_length, batch_size, limit, quantize: None };
    trying::evaluate(app, request, &mut |_| true).unwrap().loss
}

#[test]
fn a_run_goes_out_in_every_form_and_says_the_same() {
    let Some(bench) = Bench::new() else { return };
    bench.app.start_worker(Scope::Queue);
    let run = runs::start(&bench.app, bench.request()).unwrap().id;
    follow_all(&bench.app, &run);
    let tuned = loss(&bench.app, "tiny", Some(&run));
    assert!((tuned - loss(&bench.app, "tiny", None)).abs() > 1e-3);
    let every = [
        "Peft PEFT vLLM",
        "Merged transformers vLLM MLX",
        "Gguf llama.cpp LM Studio",
        "Ollama Ollama",
        "GgufAdapter llama.cpp",
        "Mlx MLX",
    ];
    assert_eq!(offered(&bench.app, &run), every);
    let out = tempfile::tempdir().unwrap();
    for (form, name) in [(ExportForm::Peft, "peft"), (ExportForm::Mlx, "mlx"), (ExportForm::Merged, "merged")] {
        let folder = out.path().join(name);
        let mut asked = request_to(&run, form, &folder);
        asked.precision = (form == ExportForm::Merged).then_some(ExportPrecision::F32);
        let made = export::export(&bench.app, asked, &mut |_| true).unwrap();
        assert!(made.comparison.relative_difference < 1e-4 && made.comparison.n_rows > 100, "{made:?}");
        let text = fs::read_to_string(folder.join("README.md")).unwrap();
        assert!(text.contains("base_model: tiny") && text.contains("model-index"), "{text}");
        let said = match form {
            ExportForm::Merged => loss(&bench.app, folder.to_str().unwrap(), None),
            _ => loss(&bench.app, "tiny", folder.to_str()),
        };
        assert!((said - tuned).abs() < 1e-4, "{name}: {said} {tuned}");
    }
    for (form, name) in
        [(ExportForm::GgufAdapter, "gguf-adapter"), (ExportForm::Gguf, "gguf"), (ExportForm::Ollama, "ollama")]
    {
        let folder = out.path().join(name);
        let mut asked = request_to(&run, form, &folder);
        asked.quantize = (form == ExportForm::Ollama).then_some(ExportQuantization::Q8_0);
        asked.precision = (form == ExportForm::Gguf).then_some(ExportPrecision::F32);
        let made = export::export(&bench.app, asked, &mut |_| true).unwrap();
        assert!(made.comparison.relative_difference <= made.comparison.tolerance, "{made:?}");
        assert_eq!(made.notes, Vec::<String>::new());
        let said = match form {
            ExportForm::GgufAdapter => loss(&bench.app, "tiny", folder.join("adapter.gguf").to_str()),
            _ => loss(&bench.app, folder.join("model.gguf").to_str().unwrap(), None),
        };
        let tolerance = if form == ExportForm::Ollama { 0.05 } else { 1e-4 };
        assert!((said - tuned).abs() < tolerance, "{name}: {said} {tuned}");
    }
    let modelfile = fs::read_to_string(out.path().join("ollama/Modelfile")).unwrap();
    assert!(
        modelfile.starts_with("FROM ./model.gguf\nTEMPLATE \"\"\"") && modelfile.contains("PARAMETER stop"),
        "{modelfile}"
    );
    let has = |path: &str| out.path().join(path).is_file();
    assert!(has("merged/tokenizer.json") && has("merged/tokenizer_config.json") && has("merged/config.json"));
    assert!(has("peft/adapter_model.safetensors") && has("peft/tokenizer.json") && has("mlx/adapters.safetensors"));
    // Someone else's adapter finds its base by the name it states, or is told one.
    let foreign = request_to(out.path().join("mlx").to_str().unwrap(), ExportForm::Peft, &out.path().join("back"));
    export::export(&bench.app, foreign, &mut |_| true).unwrap();
    assert!((loss(&bench.app, "tiny", out.path().join("back").to_str()) - tuned).abs() < 1e-4);
    let left: Vec<_> = fs::read_dir(out.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 7, "{left:?}");
}

#[test]
fn only_what_can_be_written_and_loaded_is_offered() {
    let Some(bench) = Bench::new() else { return };
    assert_eq!(
        offered(&bench.app, "tiny"),
        ["Merged transformers vLLM MLX", "Gguf llama.cpp LM Studio", "Ollama Ollama"]
    );
    let mut request = bench.request();
    request.settings.insert("dora".into(), SettingValue::Bool(true));
    request.settings.insert("steps".into(), SettingValue::Integer(1));
    bench.app.start_worker(Scope::Queue);
    let run = runs::start(&bench.app, request).unwrap().id;
    follow_all(&bench.app, &run);
    let of_dora = ["Peft PEFT", "Merged transformers vLLM MLX", "Gguf llama.cpp LM Studio", "Ollama Ollama"];
    assert_eq!(offered(&bench.app, &run), of_dora);
    let out = tempfile::tempdir().unwrap();
    let asked = request_to(&run, ExportForm::GgufAdapter, &out.path().join("a"));
    let error = export::export(&bench.app, asked, &mut |_| true).unwrap_err();
    assert_eq!(error.message, "a DoRA adapter has no place in the form `gguf-adapter`");
}

#[test]
fn what_cannot_be_exported_says_why_and_leaves_nothing() {
    let Some(bench) = Bench::new() else { return };
    let out = tempfile::tempdir().unwrap();
    let refused = |asked: ExportRequest| export::export(&bench.app, asked, &mut |_| true).unwrap_err();
    let error = refused(request_to("tiny", ExportForm::Mlx, &out.path().join("a")));
    assert_eq!(
        (error.code, error.hint.as_deref()),
        (ErrorCode::InvalidRequest, Some("export it as `merged` or `gguf`"))
    );
    let error = refused(request_to("no-such-run", ExportForm::Peft, &out.path().join("b")));
    assert_eq!(error.code, ErrorCode::NotFound);
    fs::write(out.path().join("mine.txt"), "mine").unwrap();
    let error = refused(request_to("tiny", ExportForm::Merged, out.path()));
    assert!(error.message.starts_with("the output folder is not empty"), "{error:?}");
    let mut n = 0;
    let asked = request_to("tiny", ExportForm::Merged, &out.path().join("c"));
    let stopped = export::export(&bench.app, asked, &mut |_| {
        n += 1;
        n < 3
    });
    assert_eq!(stopped.unwrap_err().code, ErrorCode::Cancelled);
    let left: Vec<_> = fs::read_dir(out.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["mine.txt"]);
}

#[test]
fn a_whole_model_goes_out_narrower() {
    let Some(bench) = Bench::new() else { return };
    let out = tempfile::tempdir().unwrap();
    let mut asked = request_to("tiny", ExportForm::Merged, &out.path().join("half"));
    asked.precision = Some(ExportPrecision::F16);
    let made = export::export(&bench.app, asked, &mut |_| true).unwrap();
    let c = made.comparison;
    assert!(c.relative_difference > 0.0 && c.relative_difference < c.tolerance && c.tolerance < 0.05, "{c:?}");
    let path = made.folder.clone();
    let added = models::add(&bench.app, ModelAddRequest { path, name: Some("half".into()) }).unwrap();
    assert_eq!(added.n_bytes, 2 * added.n_parameters);
    assert!(runs::show(&bench.app, RunIdRequest { id: "half".into() }).is_err());
}
