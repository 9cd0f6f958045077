//! Our accuracy and F1 against scikit-learn's on recorded predictions.

use lorikeet_tests::shared_data;
use lorikeet_train::Confusion;
use serde_json::Value;

use crate::recorded::read_json;

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
        let scores = confusion.scores();
        let name = &case["name"];
        let close = |ours: f64, theirs: &Value| (ours - theirs.as_f64().unwrap()).abs() < 1e-12;
        assert!(close(scores.accuracy, &case["accuracy"]), "{name}: accuracy {}", scores.accuracy);
        assert!(close(scores.f1_macro, &case["macro"]["f1"]), "{name}: macro F1 {}", scores.f1_macro);
        let matrix: Vec<Vec<u64>> = serde_json::from_value(case["confusion_matrix"].clone()).unwrap();
        for (truth, row) in matrix.iter().enumerate() {
            let ours: Vec<u64> = (0..row.len()).map(|predicted| confusion.count(truth, predicted)).collect();
            assert_eq!(&ours, row, "{name}: true label {truth}");
        }
        println!("{name}: accuracy {:.4}, macro F1 {:.4}", scores.accuracy, scores.f1_macro);
    }
}
