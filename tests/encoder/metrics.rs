//! Our scores of labels against scikit-learn's on recorded predictions.

use lorikeet_tests::shared_data;
use lorikeet_train::{Confusion, Found, Ranking, surprise};
use serde_json::Value;

use crate::recorded::read_json;

const CLOSE: f64 = 1e-12;

#[track_caller]
fn close(what: &str, ours: f64, theirs: &Value) {
    let theirs = theirs.as_f64().unwrap();
    assert!((ours - theirs).abs() < CLOSE, "{what}: {ours}, not {theirs}");
}

fn found(what: &str, ours: Found, theirs: impl Fn(&str) -> Value) {
    close(&format!("{what} precision"), ours.precision, &theirs("precision"));
    close(&format!("{what} recall"), ours.recall, &theirs("recall"));
    close(&format!("{what} F1"), ours.f1, &theirs("f1"));
}

#[test]
fn scores_are_those_of_scikit_learn() {
    let Some(file) = shared_data::find("parity/fixtures/metrics/metrics.json") else { return };
    let recorded = read_json(&file);
    let cases = recorded["cases"].as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let numbers = |name: &str| -> Vec<usize> { serde_json::from_value(case[name].clone()).unwrap() };
        let mut confusion = Confusion::new(case["classes"].as_u64().unwrap() as usize);
        for (truth, predicted) in numbers("y_true").into_iter().zip(numbers("y_pred")) {
            confusion.add(truth, predicted);
        }
        let name = case["name"].as_str().unwrap();
        let of = |what: &str| format!("{name}: {what}");
        close(&of("accuracy"), confusion.scores().accuracy, &case["accuracy"]);
        close(&of("F1 of a check"), confusion.scores().f1_macro, &case["macro"]["f1"]);
        close(&of("balanced accuracy"), confusion.balanced_accuracy(), &case["balanced_accuracy"]);
        close(&of("Matthews"), confusion.matthews(), &case["matthews_corrcoef"]);
        close(&of("kappa"), confusion.kappa(), &case["cohen_kappa"]);
        found(&of("macro"), confusion.found_macro(), |key| case["macro"][key].clone());
        found(&of("weighted"), confusion.found_weighted(), |key| case["weighted"][key].clone());
        found(&of("micro"), confusion.found_micro(), |key| case["micro"][key].clone());
        let matrix: Vec<Vec<u64>> = serde_json::from_value(case["confusion_matrix"].clone()).unwrap();
        for (k, row) in matrix.iter().enumerate() {
            let ours: Vec<u64> = (0..row.len()).map(|predicted| confusion.count(k, predicted)).collect();
            assert_eq!(&ours, row, "{name}: true label {k}");
            found(&of(&format!("label {k}")), confusion.found(k), |key| case["per_class"][key][k].clone());
            close(&of("support"), confusion.n_true(k) as f64, &case["per_class"]["support"][k]);
        }
    }
}

#[test]
fn ranked_scores_are_those_of_scikit_learn() {
    let Some(file) = shared_data::find("parity/fixtures/metrics/metrics.json") else { return };
    let recorded = &read_json(&file)["ranking"];
    let truths: Vec<usize> = serde_json::from_value(recorded["y_true"].clone()).unwrap();
    let scores: Vec<f64> = serde_json::from_value(recorded["scores"].clone()).unwrap();
    let (mut ranking, mut sum) = (Ranking::default(), 0.0);
    for (truth, score) in truths.iter().zip(&scores) {
        ranking.add(*score, *truth == 1);
        // The recorded log loss is of scores that were kept away from 0 and 1.
        let score = score.clamp(1e-7, 1.0 - 1e-7);
        sum += surprise(&[1.0 - score, score], *truth);
    }
    close("ROC AUC", ranking.roc_auc().unwrap(), &recorded["roc_auc"]);
    close("average precision", ranking.average_precision().unwrap(), &recorded["average_precision"]);
    close("log loss", sum / truths.len() as f64, &recorded["log_loss"]);

    let mut alone = Ranking::default();
    assert_eq!((alone.roc_auc(), alone.average_precision()), (None, None));
    alone.add(0.4, false);
    assert_eq!((alone.roc_auc(), alone.average_precision()), (None, None));
}
