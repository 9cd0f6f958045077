//! What is told before a run, held against what the run then does; previews; settings as forms read them.

use lorikeet_api::wire::{
    DataPreviewRequest, LoadingWay, Method, NoteLevel, RunEventKind, SettingKind, SettingValue, SettingsRequest, Task,
};
use lorikeet_api::{ErrorCode, Scope, data, runs};

use crate::support::{Bench, follow_all};

#[test]
fn an_estimate_is_what_the_run_then_does() {
    let Some(bench) = Bench::new() else { return };
    let request = bench.request();
    let before = runs::estimate(&bench.app, request.clone()).unwrap();
    assert_eq!((before.name.as_str(), before.task, before.n_steps), ("support-replies-1", Task::Causal, 12));
    assert_eq!((before.seconds, before.tokens_per_s, before.n_queued), (None, None, 0));
    assert_eq!(before.n_rows_train + before.n_rows_validation, bench.data.summary.n_rows);
    assert!(before.loads_in.iter().any(|place| place.program == "PEFT" && place.way == LoadingWay::Saved));
    bench.app.start_worker(Scope::Queue);
    let run = runs::start(&bench.app, request.clone()).unwrap().id;
    let events = follow_all(&bench.app, &run);
    let started = events.iter().find_map(|event| match event.what {
        RunEventKind::Started { n_steps, n_trainable, n_parameters, .. } => Some((n_steps, n_trainable, n_parameters)),
        _ => None,
    });
    assert_eq!(started, Some((before.n_steps, before.n_trainable, before.n_parameters)));
    let Some(RunEventKind::Completed { metrics, adapter }) = events.last().map(|event| event.what.clone()) else {
        panic!("no completion: {:?}", events.last());
    };
    let ratio = metrics.n_trained_tokens.unwrap() as f64 / before.n_trained_tokens as f64;
    assert!((0.7..1.4).contains(&ratio), "{} of {}", metrics.n_trained_tokens.unwrap(), before.n_trained_tokens);
    let weights = std::fs::metadata(std::path::Path::new(&adapter).join("adapter_model.safetensors")).unwrap().len();
    assert!(
        (before.adapter_bytes..before.adapter_bytes * 2).contains(&weights),
        "{weights} of {}",
        before.adapter_bytes
    );
    let after = runs::estimate(&bench.app, request).unwrap();
    assert_eq!(after.basis, "Measured here in one earlier run.");
    assert!(after.seconds.unwrap() > 0.0 && after.tokens_per_s.unwrap() > 0.0);
    assert_eq!(after.name, "support-replies-2");
}

#[test]
fn an_estimate_warns_of_what_a_run_would_lose() {
    let Some(bench) = Bench::new() else { return };
    let mut request = bench.request();
    request.settings.insert("max_length".into(), SettingValue::Integer(48));
    let estimate = runs::estimate(&bench.app, request).unwrap();
    let cut = estimate.notes.iter().find(|note| note.text.contains("are cut")).unwrap();
    assert_eq!(cut.level, NoteLevel::Warning);
    let mend = cut.mend.clone().unwrap();
    assert!(mend.settings.contains_key("max_length"), "{mend:?}");
    let mut request = bench.request();
    request.settings.extend(mend.settings);
    let mended = runs::estimate(&bench.app, request).unwrap();
    assert!(!mended.notes.iter().any(|note| note.text.contains("are cut")), "{:?}", mended.notes);
}

#[test]
fn a_run_that_will_not_fit_is_refused_with_what_would_make_it_fit() {
    let Some(bench) = Bench::new() else { return };
    let mut request = bench.request();
    request.settings.insert("batch_size".into(), SettingValue::Integer(128));
    let fits = runs::estimate(&bench.app, request.clone()).unwrap();
    assert!(!fits.notes.iter().any(|note| note.level == NoteLevel::Refused), "{:?}", fits.notes);
    // Room for the half of what the batch needs besides everything else.
    let room = fits.memory.total_bytes - fits.memory.batch_bytes / 2;
    request.settings.insert("memory_limit".into(), SettingValue::Number(room as f64 / 1e9));
    request.settings.insert("recompute".into(), SettingValue::Text("off".into()));
    let estimate = runs::estimate(&bench.app, request.clone()).unwrap();
    assert_eq!(estimate.notes[0].level, NoteLevel::Refused, "{:?}", estimate.notes);
    assert!(estimate.notes[0].text.starts_with("This needs about "), "{:?}", estimate.notes);
    let mends = estimate.would_fit.clone();
    assert!(mends.iter().all(|mend| estimate.notes.iter().any(|note| note.mend.as_ref() == Some(mend))));
    assert!(mends.iter().any(|mend| mend.settings.contains_key("gradient_accumulation")), "{mends:?}");
    let error = runs::start(&bench.app, request.clone()).unwrap_err();
    assert_eq!(error.code, ErrorCode::OutOfMemory);
    for mend in mends {
        let mut mended = request.clone();
        mended.settings.extend(mend.settings);
        // The test's own process has grown a little meanwhile.
        mended.settings.insert("memory_limit".into(), SettingValue::Number((room + (8 << 20)) as f64 / 1e9));
        let notes = runs::estimate(&bench.app, mended).unwrap().notes;
        assert!(!notes.iter().any(|note| note.level == NoteLevel::Refused), "{}: {notes:?}", mend.label);
    }
}

#[test]
fn a_run_that_would_learn_nothing_is_refused_before_it_starts() {
    let Some(bench) = Bench::new() else { return };
    let mut request = bench.request();
    request.settings.insert("max_length".into(), SettingValue::Integer(8));
    let estimate = runs::estimate(&bench.app, request.clone()).unwrap();
    assert_eq!((estimate.n_trained_tokens, estimate.notes[0].level), (0, NoteLevel::Refused));
    let error = runs::start(&bench.app, request).unwrap_err();
    assert_eq!(error.code, ErrorCode::NothingToTrain);
    assert!(error.hint.unwrap().contains("max_length"));
}

#[test]
fn a_preview_shows_every_token_and_which_are_learned() {
    let Some(bench) = Bench::new() else { return };
    let request = DataPreviewRequest {
        id: bench.data.summary.id.clone(),
        model: "tiny".into(),
        offset: 1,
        limit: Some(3),
        max_length: Some(200),
        settings: Default::default(),
    };
    let preview = data::preview(&bench.app, request).unwrap();
    assert_eq!(preview.rows.iter().map(|row| row.index).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((preview.n_rows, preview.n_rows_counted), (bench.data.summary.n_rows, bench.data.summary.n_rows));
    for row in &preview.rows {
        assert_eq!(row.n_tokens, row.tokens.len() as u64);
        assert_eq!(row.n_trained, row.tokens.iter().filter(|token| token.trained).count() as u64);
        assert!(row.n_trained > 0 && row.n_trained < row.n_tokens);
        assert!(row.title.chars().count() <= 80 && !row.title.is_empty());
    }
    assert_eq!(preview.lengths.bins.iter().sum::<u64>(), preview.n_rows);
    assert!(preview.lengths.median <= preview.lengths.p95 && preview.lengths.p95 <= preview.lengths.longest);
    assert!(preview.n_trained < preview.n_tokens);
    assert_eq!(preview.template.unwrap().source, "tiny");
}

#[test]
fn a_form_has_every_setting_of_its_work_and_no_other() {
    let Some(bench) = Bench::new() else { return };
    let names = |task, method| {
        let request = SettingsRequest { task: Some(task), method: Some(method) };
        let schema = runs::settings_schema(&bench.app, request).unwrap();
        assert_eq!(
            schema.presets.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(),
            ["quick", "balanced", "thorough"]
        );
        for preset in &schema.presets {
            assert!(preset.overrides.keys().all(|name| schema.settings.iter().any(|s| s.name == *name)));
        }
        assert!(schema.settings.iter().all(|s| s.kind != SettingKind::Choice || !s.choices.is_empty()));
        schema.settings.into_iter().map(|s| s.name).collect::<Vec<_>>()
    };
    let (lora, full) = (names(Task::Causal, Method::Lora), names(Task::Classify, Method::Full));
    assert!(lora.contains(&"rank".to_owned()) && lora.contains(&"samples".to_owned()));
    assert!(!full.contains(&"rank".to_owned()) && !full.contains(&"samples".to_owned()));
    assert!(full.contains(&"from_scratch".to_owned()) && full.contains(&"learning_rate".to_owned()));
}
