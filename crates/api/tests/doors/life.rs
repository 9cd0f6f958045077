//! From a sample to a tuned model, through the commands.

use std::path::Path;

use lorikeet_api::wire::{
    EvaluateRequest, GenerateRequest, Nothing, RunEventKind, RunHistoryRequest, RunStatus, RunsRequest, SettingValue,
    WorkProgress,
};
use lorikeet_api::{Scope, app, data, runs, trying};

use crate::support::{Bench, follow_all, id};

#[test]
fn a_run_goes_from_the_queue_to_a_result_that_answers_better() {
    let Some(bench) = Bench::new() else { return };
    let app = &bench.app;
    let estimate = runs::estimate(app, bench.request()).unwrap();
    let started = runs::start(app, bench.request()).unwrap();
    assert_eq!((started.status, started.id.as_str()), (RunStatus::Queued, "support-replies-1"));
    app.start_worker(Scope::Queue);
    let events = follow_all(app, &started.id);
    let Some(RunEventKind::Completed { adapter, metrics }) = events.last().map(|event| event.what.clone()) else {
        panic!("the last event is no completion: {:?}", events.last());
    };

    let kept: Vec<_> = events.iter().filter(|e| !matches!(e.what, RunEventKind::Phase { .. })).collect();
    assert!(kept.windows(2).all(|pair| pair[0].seq < pair[1].seq), "events come in order");
    let n_steps = kept.iter().filter(|e| matches!(e.what, RunEventKind::Step { .. })).count();
    assert_eq!(n_steps, 12);
    let details = runs::show(app, id(&started.id)).unwrap();
    assert_eq!(details.summary.status, RunStatus::Completed);
    assert_eq!((details.summary.step, details.summary.n_steps), (12, Some(12)));
    assert_eq!(details.metrics, metrics);
    assert!(metrics.loss.unwrap() < metrics.base_loss.unwrap(), "{metrics:?}");
    assert_eq!(details.adapter.as_deref(), Some(adapter.as_str()));
    assert_eq!(details.dataset_hash, bench.data.summary.hash);
    assert_eq!((details.model_hash.len(), details.template_hash.map(|h| h.len())), (64, Some(64)));
    assert_eq!(details.device, "cpu");
    assert!(details.code_version.starts_with(env!("CARGO_PKG_VERSION")));
    assert!(!details.checkpoints.is_empty() && details.checkpoints.iter().any(|c| c.best));
    assert!(details.checkpoints.iter().all(|c| Path::new(&c.path).is_dir()));
    // What was left open is filled in.
    assert!(matches!(details.settings["learning_rate"], SettingValue::Number(rate) if rate > 0.0));
    assert_eq!(details.settings["learning_rate"], estimate.settings["learning_rate"]);
    assert_eq!(details.settings["warmup_steps"], SettingValue::Integer(1));
    assert!(Path::new(&adapter).join("adapter_config.json").is_file());

    let history = runs::history(app, RunHistoryRequest { id: started.id.clone(), since_seq: None }).unwrap();
    assert_eq!(history.steps.step, (1..=12).collect::<Vec<u64>>());
    assert_eq!(history.last_seq, events.last().unwrap().seq);
    assert_eq!(history.events.len() + history.steps.step.len(), kept.len());
    let page = runs::list(app, RunsRequest::default()).unwrap();
    assert_eq!((page.n_total, page.runs[0].id.as_str()), (1, "support-replies-1"));
    assert!(page.runs[0].curve.len() >= 2);
    let activity = app::activity(app, Nothing {}).unwrap();
    assert_eq!((activity.n_runs, activity.n_datasets, activity.n_queued), (1, 1, 0));

    answers_change(&bench, &started.id);
}

fn answers_change(bench: &Bench, run: &str) {
    let app = &bench.app;
    let evaluate = |adapter: Option<String>| {
        let request = EvaluateRequest {
            model: "tiny".into(),
            adapter,
            data: bench.data.summary.id.clone(),
            max_length: Some(96),
            batch_size: None,
            limit: Some(24),
            quantize: None,
        };
        let mut told = Vec::new();
        let result = trying::evaluate(app, request, &mut |progress: WorkProgress| {
            told.push(progress.done);
            true
        });
        assert!(!told.is_empty());
        result.unwrap()
    };
    let (base, tuned) = (evaluate(None), evaluate(Some(run.to_owned())));
    assert_eq!((base.n, tuned.n), (24, 24));
    assert!(tuned.loss < base.loss, "{} is not below {}", tuned.loss, base.loss);
    assert!((tuned.perplexity.unwrap() - tuned.loss.exp()).abs() < 1e-9);
    // The base measured again, now with the adapter loaded and set aside, is the base.
    assert_eq!(evaluate(None).loss.to_bits(), base.loss.to_bits());

    let generate = |adapter: Option<String>, raw: bool| {
        let request = GenerateRequest {
            model: "tiny".into(),
            adapter,
            prompt: Some("Where is my parcel?".into()),
            messages: None,
            system: None,
            raw,
            max_tokens: Some(12),
            temperature: None,
            top_p: None,
            top_k: None,
            stop: None,
            seed: Some(1),
            quantize: None,
        };
        let mut text = String::new();
        let answer = trying::generate(app, request, &mut |update| {
            text.push_str(&update.text);
            true
        });
        let answer = answer.unwrap();
        assert_eq!(text, answer.text);
        assert!(answer.n_tokens <= 12 && answer.n_prompt_tokens > 0);
        answer
    };
    let tuned = generate(Some(run.to_owned()), false);
    assert_eq!(tuned.text, generate(Some(run.to_owned()), false).text, "greedy answers repeat");
    assert!(generate(None, true).n_prompt_tokens < generate(None, false).n_prompt_tokens, "a template adds tokens");
}

#[test]
fn samples_are_imported_once_and_described() {
    let home = tempfile::tempdir().unwrap();
    let app = lorikeet_api::App::open(Some(home.path().to_owned())).unwrap();
    let samples = data::samples(&app, Nothing {}).unwrap();
    assert!(samples.len() >= 4);
    for sample in samples {
        let request = || lorikeet_api::wire::SampleRequest { id: sample.id.clone() };
        let (first, second) =
            (data::sample_import(&app, request()).unwrap(), data::sample_import(&app, request()).unwrap());
        assert_eq!(first, second);
        assert_eq!(first.summary.n_rows, sample.n_rows, "{}", sample.id);
        assert_eq!((first.summary.kind, first.summary.task), (sample.kind, sample.task), "{}", sample.id);
        assert_eq!(first.summary.source_path, None);
        assert!(!first.examples.is_empty() && first.summary.n_bytes > 0);
    }
}
