//! `lorikeet evaluate`: a model measured on examples.

use lorikeet_api::wire::{EvaluateRequest, Evaluation, LabelReport};

use super::{Session, name_or_path};
use crate::{
    args::{EvaluateArgs, Quantize},
    failure::Failure,
    progress::WorkBar,
    table::{Edge, Table, pairs},
    units,
};

/// Labels that are shown one by one.
const SHOWN_LABELS: usize = 30;

/// Measures and prints.
pub fn run(session: &mut Session<'_>, args: EvaluateArgs) -> Result<(), Failure> {
    let request = EvaluateRequest {
        model: name_or_path(args.model)?,
        adapter: args.adapter.map(name_or_path).transpose()?,
        data: name_or_path(args.data)?,
        max_length: args.max_length,
        batch_size: args.batch_size,
        limit: args.limit,
        quantize: args.quantize.map(Quantize::wanted),
    };
    let mut bar: Option<WorkBar> = None;
    let (json, interrupt) = (session.printer.wants_json(), &session.interrupt);
    let logits = args.logits.as_deref();
    let measured = lorikeet_api::trying::evaluate_and_keep(&session.app, request, logits, &mut |progress| {
        bar.get_or_insert_with(|| WorkBar::new("measuring", &progress.unit, json)).set(progress.done, progress.total);
        !interrupt.is_set()
    });
    drop(bar);
    session.printer.answer(&measured?, text)
}

fn text(found: &Evaluation) -> String {
    let mut facts = vec![("rows", units::count(found.n)), ("loss", units::loss(found.loss))];
    facts.extend(found.perplexity.map(|perplexity| ("perplexity", units::loss(perplexity))));
    facts.extend(found.accuracy.map(|accuracy| ("accuracy", units::share(accuracy))));
    facts.extend(found.f1_macro.map(|f1| ("F1", format!("{f1:.3}"))));
    if let Some(p) = &found.preference {
        facts.push(("ordered as the data says", units::share(p.accuracy)));
        facts.push(("reward margin", format!("{:.3}", p.margin)));
    }
    if found.perplexity.is_some() {
        facts.push(("learned tokens", units::count(found.n_tokens)));
    }
    if let Some(labels) = &found.labels {
        facts.extend(figures(labels).map(|(name, value)| (name, format!("{value:.3}"))));
    }
    facts.push(("time", units::span(found.seconds)));
    let mut said = pairs(&facts);
    if let Some(labels) = found.labels.as_ref().filter(|labels| labels.per_label.len() <= SHOWN_LABELS) {
        said.push('\n');
        said.push_str(&per_label(labels));
    }
    said
}

/// What accuracy does not tell.
fn figures(labels: &LabelReport) -> impl Iterator<Item = (&'static str, f64)> {
    let ranked = [("ROC AUC", labels.roc_auc), ("average precision", labels.average_precision)];
    let figures = [
        ("weighted F1", labels.f1_weighted),
        ("balanced accuracy", labels.balanced_accuracy),
        ("Matthews", labels.matthews),
        ("kappa", labels.kappa),
    ];
    figures.into_iter().chain(ranked.into_iter().filter_map(|(name, value)| Some((name, value?))))
}

/// Each label with the one that it was most often taken for.
fn per_label(labels: &LabelReport) -> String {
    let mut table = Table::new([
        ("LABEL", Edge::Left),
        ("ROWS", Edge::Right),
        ("PRECISION", Edge::Right),
        ("RECALL", Edge::Right),
        ("F1", Edge::Right),
        ("TAKEN FOR", Edge::Left),
    ]);
    for (k, label) in labels.per_label.iter().enumerate() {
        let others = labels.confusion.get(k).into_iter().flatten().zip(&labels.per_label).enumerate();
        let wrong = others.filter(|(given, (n, _))| *given != k && **n > 0).max_by_key(|(_, (n, _))| **n);
        table.row([
            label.label.clone(),
            units::count(label.n),
            format!("{:.3}", label.precision),
            format!("{:.3}", label.recall),
            format!("{:.3}", label.f1),
            wrong.map(|(_, (n, other))| format!("{} ({})", other.label, units::count(*n))).unwrap_or_default(),
        ]);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use lorikeet_api::wire::LabelFound;

    use super::*;

    #[test]
    fn a_language_model_and_a_classifier_read_differently() {
        let mut found = Evaluation {
            n: 1_200,
            loss: 1.5,
            n_tokens: 45_000,
            perplexity: Some(4.4817),
            accuracy: None,
            f1_macro: None,
            preference: None,
            labels: None,
            seconds: 12.0,
        };
        insta::assert_snapshot!(text(&found), @"
        rows            1,200
        loss            1.5000
        perplexity      4.4817
        learned tokens  45,000
        time            12 s
        ");
        let label =
            |label: &str, n, precision, recall, f1| LabelFound { label: label.to_owned(), n, precision, recall, f1 };
        let labels = LabelReport {
            per_label: vec![label("bad", 500, 0.75, 0.6, 0.667), label("good", 700, 0.75, 0.857, 0.8)],
            confusion: vec![vec![300, 200], vec![100, 600]],
            precision_macro: 0.75,
            recall_macro: 0.729,
            precision_weighted: 0.75,
            recall_weighted: 0.75,
            f1_weighted: 0.744,
            balanced_accuracy: 0.729,
            matthews: 0.478,
            kappa: 0.471,
            roc_auc: Some(0.81),
            average_precision: None,
        };
        found =
            Evaluation { perplexity: None, accuracy: Some(0.827), f1_macro: Some(0.8), labels: Some(labels), ..found };
        insta::assert_snapshot!(text(&found), @"
        rows               1,200
        loss               1.5000
        accuracy           82.7 %
        F1                 0.800
        weighted F1        0.744
        balanced accuracy  0.729
        Matthews           0.478
        kappa              0.471
        ROC AUC            0.810
        time               12 s

        LABEL  ROWS  PRECISION  RECALL     F1  TAKEN FOR
        bad     500      0.750   0.600  0.667  good (200)
        good    700      0.750   0.857  0.800  bad (100)
        ");
    }
}
