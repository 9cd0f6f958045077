//! `lorikeet evaluate`: a model measured on examples.

use lorikeet_api::wire::{EvaluateRequest, Evaluation};

use super::{Session, name_or_path};
use crate::{
    args::{EvaluateArgs, Quantize},
    failure::Failure,
    progress::WorkBar,
    table::pairs,
    units,
};

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
    let measured = lorikeet_api::trying::evaluate(&session.app, request, &mut |progress| {
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
    if found.perplexity.is_some() {
        facts.push(("learned tokens", units::count(found.n_tokens)));
    }
    facts.push(("time", units::span(found.seconds)));
    pairs(&facts)
}

#[cfg(test)]
mod tests {
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
            seconds: 12.0,
        };
        insta::assert_snapshot!(text(&found), @"
        rows            1,200
        loss            1.5000
        perplexity      4.4817
        learned tokens  45,000
        time            12 s
        ");
        found = Evaluation { perplexity: None, accuracy: Some(0.827), f1_macro: Some(0.8), ..found };
        insta::assert_snapshot!(text(&found), @"
        rows      1,200
        loss      1.5000
        accuracy  82.7 %
        F1        0.800
        time      12 s
        ");
    }
}
