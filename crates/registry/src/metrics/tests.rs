//! What the table of metrics promises.

use serde_json::json;

use crate::rows::{empty, metric, running};
use crate::{MetricKind, MetricRow, Progress};

fn progress(step: u64, seq: u64) -> Progress {
    Progress { step, seq, best: None }
}

#[test]
fn rows_come_back_in_order_and_in_parts() {
    let (_folder, registry) = empty();
    let run = running(&registry);
    let validation = MetricRow {
        kind: MetricKind::Validation,
        learning_rate: None,
        extra: Some(json!({ "accuracy": 0.81 })),
        ..metric(3, 2)
    };
    let rows = [metric(1, 1), metric(2, 2), validation, metric(4, 3)];
    registry.runs().record(&run.id, &rows, &[], &progress(3, 4)).unwrap();
    let metrics = registry.metrics();
    assert_eq!(metrics.since(&run.id, 0, 100).unwrap(), rows);
    assert_eq!(metrics.since(&run.id, 1, 2).unwrap(), rows[1..3]);
    assert_eq!(metrics.since(&run.id, 4, 100).unwrap(), []);
    assert_eq!(metrics.since("another", 0, 100).unwrap(), []);
    assert_eq!(metrics.last(&run.id, MetricKind::Train).unwrap(), Some(rows[3].clone()));
    assert_eq!(metrics.last(&run.id, MetricKind::Validation).unwrap(), Some(rows[2].clone()));
}

#[test]
fn a_loss_that_is_not_a_number_is_kept() {
    let (_folder, registry) = empty();
    let run = running(&registry);
    let rows = [
        MetricRow { loss_sum: f64::NAN, grad_norm: Some(f64::INFINITY), ..metric(1, 1) },
        MetricRow { loss_sum: f64::INFINITY, grad_norm: Some(f64::NAN), ..metric(2, 2) },
    ];
    registry.runs().record(&run.id, &rows, &[], &progress(2, 2)).unwrap();
    let back = registry.metrics().since(&run.id, 0, 9).unwrap();
    assert!(back[0].loss_sum.is_nan());
    assert_eq!(back[0].grad_norm, Some(f64::INFINITY));
    assert_eq!((back[1].loss_sum, back[1].grad_norm), (f64::INFINITY, None));
}

#[test]
fn floats_come_back_to_the_bit() {
    let (_folder, registry) = empty();
    let run = running(&registry);
    let values = [0.1 + 0.2, f64::MIN_POSITIVE, f64::MAX, -1.0 / 7.0, 5e-324, 1.0 / 3.0];
    let rows: Vec<MetricRow> =
        values.iter().zip(1..).map(|(value, seq)| MetricRow { loss_sum: *value, ..metric(seq, seq) }).collect();
    registry.runs().record(&run.id, &rows, &[], &progress(6, 6)).unwrap();
    let bits: Vec<u64> =
        registry.metrics().since(&run.id, 0, 9).unwrap().iter().map(|row| row.loss_sum.to_bits()).collect();
    assert_eq!(bits, values.map(f64::to_bits));
}

#[test]
fn a_curve_adds_up_neighbours() {
    let (_folder, registry) = empty();
    let run = running(&registry);
    let rows: Vec<MetricRow> =
        (1..=10).map(|n| MetricRow { loss_sum: n as f64, n_tokens: 2 * n, ..metric(n, n) }).collect();
    registry.runs().record(&run.id, &rows, &[], &progress(10, 10)).unwrap();
    let points = |n_points| -> Vec<(u64, f64, u64)> {
        let curve = registry.metrics().curve(&run.id, MetricKind::Train, n_points).unwrap();
        curve.into_iter().map(|point| (point.step, point.loss_sum, point.n_tokens)).collect()
    };
    assert_eq!(points(2), [(5, 15.0, 30), (10, 40.0, 80)]);
    assert_eq!(points(1), [(10, 55.0, 110)]);
    assert_eq!(points(3).len(), 3);
    assert_eq!(points(40).len(), 10);
    assert_eq!(points(40)[6], (7, 7.0, 14));
    assert_eq!(registry.metrics().curve(&run.id, MetricKind::Validation, 40).unwrap(), []);
}

#[test]
fn totals_add_up_training_and_take_the_peak_of_memory() {
    let (_folder, registry) = empty();
    let run = running(&registry);
    let none = registry.metrics().totals(&run.id).unwrap();
    assert_eq!((none.n_rows, none.elapsed_ms, none.peak_memory_bytes), (0, 0, None));
    let rows = [
        MetricRow { memory_bytes: Some(500), tokens_per_s: Some(100.0), ..metric(1, 1) },
        MetricRow { memory_bytes: Some(900), tokens_per_s: Some(300.0), ..metric(2, 2) },
        MetricRow { kind: MetricKind::Validation, memory_bytes: None, tokens_per_s: None, ..metric(3, 2) },
    ];
    registry.runs().record(&run.id, &rows, &[], &progress(2, 3)).unwrap();
    let totals = registry.metrics().totals(&run.id).unwrap();
    assert_eq!((totals.n_rows, totals.elapsed_ms, totals.n_trained_tokens), (3, 500, 120));
    assert_eq!(
        (totals.peak_memory_bytes, totals.mean_tokens_per_s, totals.epoch),
        (Some(900), Some(200.0), Some(0.04))
    );
}

#[test]
fn rows_after_a_step_can_be_removed() {
    let (_folder, registry) = empty();
    let run = running(&registry);
    let rows: Vec<MetricRow> = (1..=5).map(|n| metric(n, n)).collect();
    registry.runs().record(&run.id, &rows, &[], &progress(5, 5)).unwrap();
    assert_eq!(registry.metrics().delete_after(&run.id, 3).unwrap(), 2);
    assert_eq!(registry.metrics().since(&run.id, 0, 9).unwrap(), rows[..3]);
    assert_eq!(registry.metrics().delete_after(&run.id, 3).unwrap(), 0);
}
