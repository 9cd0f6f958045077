//! The report as a page: verdict, figures before and after, plots, answers before and after, settings.

use std::fmt::Write as _;

use super::chart::Chart;
use crate::wire::{RunDetails, RunEventKind, RunHistory, SettingValue};

const STYLE: &str = "
:root { color-scheme: light dark; --page: #fbfbfa; --ink: #1d211f; --quiet: #5d6662; --line: #dfe3e1; --card: #ffffff; --accent: #0b8a6a; }
@media (prefers-color-scheme: dark) {
  :root { --page: #141716; --ink: #e7ebe9; --quiet: #9aa5a0; --line: #2b3230; --card: #1b1f1e; --accent: #34c79a; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 56rem; padding: 2.5rem 1.5rem 4rem; background: var(--page); color: var(--ink);
  font: 0.9rem/1.5 Inter, system-ui, sans-serif; font-variant-numeric: tabular-nums; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.05rem; margin: 2.5rem 0 0.75rem; }
p.quiet, .quiet { color: var(--quiet); } p.verdict { font-size: 1.1rem; margin: 1rem 0 0; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: 0.35rem 0.75rem 0.35rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; } th { font-weight: 500; color: var(--quiet); }
td.n, th.n { text-align: right; } svg { width: 100%; height: auto; display: block; }
figure { margin: 1rem 0 0; padding: 1rem; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
figcaption { display: flex; gap: 1.25rem; flex-wrap: wrap; align-items: baseline; } figcaption b { font-weight: 600; }
.key::before { content: ''; display: inline-block; width: 1rem; height: 3px; border-radius: 2px; margin-right: 0.4rem;
  vertical-align: middle; background: var(--key); }
.answer { white-space: pre-wrap; overflow-wrap: anywhere; } .pair { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }
.pair > div { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 0.75rem 1rem; }
.pair h3 { margin: 0 0 0.25rem; font-size: 0.8rem; font-weight: 500; color: var(--quiet); }
.question { margin: 1.25rem 0 0.5rem; } .changed { font-weight: 600; }
@media (max-width: 40rem) { .pair { grid-template-columns: 1fr; } }
";

/// The whole page.
pub(crate) fn page(details: &RunDetails, history: &RunHistory, charts: &[(&Chart, String)]) -> String {
    let summary = &details.summary;
    let title = escaped(&summary.name);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>\n"
    );
    let (model, data) = (escaped(&summary.model_name), escaped(&summary.data_name));
    let _ = writeln!(
        out,
        "<p class=\"quiet\">{model}, trained on {data}</p>\n<p class=\"verdict\">{}</p>\n</header>",
        escaped(&verdict(details))
    );
    push_scores(&mut out, details);
    push_charts(&mut out, charts);
    push_answers(&mut out, history);
    push_facts(&mut out, details);
    push_settings(&mut out, details);
    out.push_str("</body>\n</html>\n");
    out
}

/// What came out, in words.
fn verdict(details: &RunDetails) -> String {
    let (m, s) = (&details.metrics, &details.summary);
    let mut parts = Vec::new();
    if let (Some(before), Some(after)) = (m.base_accuracy, m.accuracy) {
        parts.push(format!("Accuracy {:.1} % → {:.1} %", 100.0 * before, 100.0 * after));
    }
    match (m.base_loss, m.loss) {
        (Some(before), Some(after)) => parts.push(format!("validation loss {before:.3} → {after:.3}")),
        _ => parts.extend(m.train_loss.map(|loss| format!("training loss {loss:.3} at the end"))),
    }
    if let (Some(best), Some(n)) = (m.best_step, m.n_steps) {
        let early = if m.stopped_early == Some(true) { ", ended early because it no longer got better" } else { "" };
        parts.push(format!("best at step {best} of {n}{early}"));
    }
    if parts.is_empty() {
        parts.push(format!("{} of {} steps so far", s.step, s.n_steps.map_or("?".to_owned(), |n| n.to_string())));
    }
    let text = parts.join("; ");
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

fn push_scores(out: &mut String, details: &RunDetails) {
    let m = &details.metrics;
    let percent = |share: Option<f64>| share.map(|s| format!("{:.1} %", 100.0 * s));
    let plain = |number: Option<f64>| number.map(|n| format!("{n:.4}"));
    let rows = [
        ("Validation loss", plain(m.base_loss), plain(m.loss)),
        ("Perplexity", plain(m.base_loss.filter(|_| m.perplexity.is_some()).map(f64::exp)), plain(m.perplexity)),
        ("Accuracy", percent(m.base_accuracy), percent(m.accuracy)),
        ("F1, mean of all labels", percent(m.base_f1_macro), percent(m.f1_macro)),
    ];
    if rows.iter().all(|(_, _, after)| after.is_none()) {
        return;
    }
    out.push_str("<h2>On examples it has not seen</h2>\n<table>\n<tr><th></th><th class=\"n\">before</th><th class=\"n\">after</th></tr>\n");
    for (name, before, after) in rows {
        if let Some(after) = after {
            let before = before.unwrap_or_default();
            let _ = writeln!(out, "<tr><td>{name}</td><td class=\"n\">{before}</td><td class=\"n\">{after}</td></tr>");
        }
    }
    out.push_str("</table>\n");
}

fn push_charts(out: &mut String, charts: &[(&Chart, String)]) {
    if !charts.is_empty() {
        out.push_str("<h2>How it went</h2>\n");
    }
    for (chart, svg) in charts {
        let _ = write!(out, "<figure>\n<figcaption><b>{}</b>", chart.title);
        for line in chart.lines.iter().filter(|_| chart.lines.len() > 1) {
            let _ = write!(out, "<span class=\"key quiet\" style=\"--key: {}\">{}</span>", line.look.css(), line.name);
        }
        let _ = writeln!(out, "</figcaption>\n{svg}\n</figure>");
    }
}

/// The first and the last answer to each of the run's questions.
fn push_answers(out: &mut String, history: &RunHistory) {
    let samples: Vec<(&String, &String, u64)> = history
        .events
        .iter()
        .filter_map(|event| match &event.what {
            RunEventKind::Sample { prompt, answer, .. } => Some((prompt, answer, event.step)),
            _ => None,
        })
        .collect();
    let mut questions: Vec<&String> = Vec::new();
    for (prompt, ..) in &samples {
        if !questions.contains(prompt) {
            questions.push(prompt);
        }
    }
    if !questions.is_empty() {
        out.push_str("<h2>Answers before and after</h2>\n");
    }
    for question in questions {
        let mut answers = samples.iter().filter(|(prompt, ..)| *prompt == question);
        let Some(first) = answers.next() else { continue };
        let last = answers.next_back().unwrap_or(first);
        let _ = writeln!(out, "<p class=\"question\"><b>{}</b></p>\n<div class=\"pair\">", escaped(question));
        for (_, answer, step) in [first, last] {
            let when = if *step == 0 { "before".to_owned() } else { format!("after step {step}") };
            let _ = writeln!(out, "<div><h3>{when}</h3><div class=\"answer\">{}</div></div>", escaped(answer.trim()));
        }
        out.push_str("</div>\n");
    }
}

fn push_facts(out: &mut String, details: &RunDetails) {
    let (m, s) = (&details.metrics, &details.summary);
    let facts = [
        ("Run", Some(s.id.clone())),
        ("Result", details.adapter.clone()),
        ("Time", m.seconds.map(|t| format!("{t:.1} s"))),
        ("Speed", m.tokens_per_s.map(|v| format!("{v:.0} tokens per second"))),
        ("Highest memory", m.peak_memory_bytes.map(|b| format!("{:.0} MB", b as f64 / 1e6))),
        ("Computed on", Some(details.device.clone())),
        ("Examples, version", Some(details.dataset_hash.clone())),
        ("Base model, version", Some(details.model_hash.clone())),
        ("Chat template, version", details.template_hash.clone()),
        ("Lorikeet", Some(details.code_version.clone())),
    ];
    out.push_str("<h2>Where it comes from</h2>\n<table>\n");
    for (name, value) in facts {
        if let Some(value) = value {
            let _ = writeln!(out, "<tr><td>{name}</td><td>{}</td></tr>", escaped(&value));
        }
    }
    out.push_str("</table>\n");
}

fn push_settings(out: &mut String, details: &RunDetails) {
    out.push_str("<h2>Settings</h2>\n<table>\n");
    for (name, value) in &details.settings {
        let class = if details.request.settings.contains_key(name) { " class=\"changed\"" } else { "" };
        let shown = match value {
            SettingValue::Null => "–".to_owned(),
            SettingValue::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
            SettingValue::Integer(n) => n.to_string(),
            SettingValue::Number(n) => number(*n),
            SettingValue::Text(word) => word.clone(),
            SettingValue::List(words) => words.join(", "),
        };
        let _ = writeln!(out, "<tr><td>{name}</td><td{class}>{}</td></tr>", escaped(&shown));
    }
    out.push_str("</table>\n");
}

/// A number as a person would write it.
fn number(value: f64) -> String {
    match value.abs() {
        v if v > 0.0 && v < 0.001 => format!("{value:e}"),
        _ => format!("{value:.4}").trim_end_matches('0').trim_end_matches('.').to_owned(),
    }
}

/// Text that is safe inside an element or a quoted attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
