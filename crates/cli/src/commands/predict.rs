//! `lorikeet predict`: the label of a text.

use lorikeet_api::wire::{PredictRequest, Prediction};

use super::{Session, name_or_path};
use crate::{
    args::{PredictArgs, Quantize},
    failure::Failure,
    table::{Edge, Table},
    units,
};

/// Predicts and prints.
pub fn run(session: &mut Session<'_>, args: PredictArgs) -> Result<(), Failure> {
    let request = PredictRequest {
        model: name_or_path(args.model)?,
        adapter: args.adapter.map(name_or_path).transpose()?,
        text: args.text,
        quantize: args.quantize.map(Quantize::wanted),
    };
    let prediction = lorikeet_api::trying::predict(&session.app, request)?;
    session.printer.answer(&prediction, text)
}

fn text(prediction: &Prediction) -> String {
    let mut labels: Vec<(&String, &f64)> = prediction.probabilities.iter().collect();
    labels.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let mut table = Table::new([("LABEL", Edge::Left), ("PROBABILITY", Edge::Right)]);
    labels.into_iter().for_each(|(label, probability)| table.row([label.clone(), units::share(*probability)]));
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_label_comes_first() {
        let probabilities = [("bad".to_owned(), 0.173), ("good".to_owned(), 0.827)].into();
        let shown = text(&Prediction { label: "good".into(), probabilities, seconds: 0.1 });
        assert_eq!(shown, "LABEL  PROBABILITY\ngood        82.7 %\nbad         17.3 %\n");
    }
}
