//! A classifier: from labelled texts to labels, and the label that nobody learned.

use lorikeet_api::wire::{
    DataImportRequest, ErrorCode, EvaluateRequest, PredictRequest, Quantisation, RunEventKind, RunRequest, RunStatus,
    SampleRequest, ServeRequest, ServedKind, SettingValue, Task,
};
use lorikeet_api::{App, Scope, data, runs, serving, trying};

use crate::support::{follow_all, id, run_request, tiny_bert};

const REVIEWS: &str = include_str!("../../../../assets/samples/reviews.jsonl");

fn bench() -> Option<(tempfile::TempDir, App, RunRequest)> {
    let home = tempfile::tempdir().unwrap();
    let model = home.path().join("tiny-bert");
    tiny_bert(&model, REVIEWS)?;
    let app = App::open(Some(home.path().join("data"))).unwrap();
    let data = data::sample_import(&app, SampleRequest { id: "reviews".into() }).unwrap();
    let integer = |n: i64| SettingValue::Integer(n);
    let settings = [
        ("steps", integer(60)),
        ("batch_size", integer(16)),
        ("learning_rate", SettingValue::Number(2e-3)),
        ("max_length", integer(48)),
        ("threads", integer(1)),
        ("evaluate_every", integer(30)),
    ];
    let request = run_request(&model.display().to_string(), &data.summary.id, settings);
    Some((home, app, request))
}

#[test]
fn a_classifier_learns_its_labels_and_gives_them() {
    let Some((_home, app, mut request)) = bench() else { return };
    request.settings.insert("target_modules".into(), SettingValue::List(vec!["all-linear".into()]));
    let estimate = runs::estimate(&app, request.clone()).unwrap();
    assert_eq!(estimate.task, Task::Classify);
    app.start_worker(Scope::Queue);
    let run = runs::start(&app, request.clone()).unwrap().id;
    let events = follow_all(&app, &run);
    let Some(RunEventKind::Completed { metrics, .. }) = events.last().map(|e| e.what.clone()) else {
        panic!("no completion: {:?}", events.last());
    };
    let started = events.iter().find_map(|event| match event.what {
        RunEventKind::Started { n_trainable, n_parameters, .. } => Some((n_trainable, n_parameters)),
        _ => None,
    });
    assert_eq!(started, Some((estimate.n_trainable, estimate.n_parameters)));
    let (base, tuned) = (metrics.base_accuracy.unwrap(), metrics.accuracy.unwrap());
    assert!(tuned > base + 0.1 && metrics.f1_macro.unwrap() > 0.3, "{base} to {tuned}: {metrics:?}");
    assert_eq!(metrics.perplexity, None);
    assert_eq!(runs::show(&app, id(&run)).unwrap().summary.accuracy, Some(tuned));

    let evaluation = trying::evaluate(
        &app,
        EvaluateRequest {
            model: request.model.clone(),
            adapter: Some(run.clone()),
            data: request.data.clone(),
            max_length: None,
            batch_size: None,
            limit: None,
            quantize: None,
        },
        &mut |_| true,
    )
    .unwrap();
    assert!(evaluation.accuracy.unwrap() > base && evaluation.perplexity.is_none());
    let ask = PredictRequest {
        model: request.model.clone(),
        adapter: Some(run.clone()),
        text: "How much is a lamp?".into(),
        quantize: None,
    };
    let told = trying::predict(&app, ask.clone()).unwrap();
    let narrow = trying::predict(&app, PredictRequest { quantize: Some(Quantisation::Q8_0), ..ask }).unwrap();
    assert_ne!(narrow.probabilities, told.probabilities);
    assert!(told.probabilities.iter().all(|(label, p)| (narrow.probabilities[label] - p).abs() < 0.1));
    assert_eq!(told.probabilities.keys().map(String::as_str).collect::<Vec<_>>(), ["complaint", "praise", "question"]);
    assert!((told.probabilities.values().sum::<f64>() - 1.0).abs() < 1e-6);
    let most = told.probabilities.iter().max_by(|a, b| a.1.total_cmp(b.1)).map(|(label, _)| label.clone());
    assert_eq!(most, Some(told.label.clone()));

    let request = ServeRequest { model: request.model, adapters: vec![run.clone()], port: None, quantize: None };
    let served = serving::open(&app, &request).unwrap();
    let names = served.models();
    assert_eq!((names.len(), names[0].name.as_str(), names[0].kind), (1, run.as_str(), ServedKind::Classifier));
    let ask = PredictRequest { model: run, adapter: None, text: "How much is a lamp?".into(), quantize: None };
    assert_eq!(served.predict(ask).unwrap().probabilities, told.probabilities);
}

#[test]
fn a_label_seen_only_in_validation_ends_the_run_with_its_name() {
    let Some((home, app, mut request)) = bench() else { return };
    let path = home.path().join("more.jsonl");
    std::fs::write(
        &path,
        "{\"text\": \"a lamp\", \"label\": \"praise\"}\n{\"text\": \"a rug\", \"label\": \"poem\"}\n",
    )
    .unwrap();
    let import = DataImportRequest { path: path.display().to_string(), name: None, keep_good: false };
    request.validation = Some(data::import(&app, import, &mut |_| true).unwrap().summary.id);
    app.start_worker(Scope::Queue);
    let run = runs::start(&app, request).unwrap().id;
    let events = follow_all(&app, &run);
    let Some(RunEventKind::Failed { code, message, hint }) = events.last().map(|e| e.what.clone()) else {
        panic!("no failure: {:?}", events.last());
    };
    assert_eq!(code, ErrorCode::UnseenLabel);
    assert!(message.contains("`poem`") && message.contains("row 2") && hint.is_some(), "{message}");
    let details = runs::show(&app, id(&run)).unwrap();
    assert_eq!((details.summary.status, details.adapter), (RunStatus::Failed, None));
    assert_eq!(details.summary.error.map(|error| (error.code, error.message)), Some((code, message)));
}
