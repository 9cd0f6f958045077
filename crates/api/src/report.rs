//! A run's report: one HTML file with its plots drawn into it, which opens anywhere and needs nothing beside it.

mod chart;
mod page;

use std::path::Path;

use lorikeet_jobs::What;

use crate::failure::io;
use crate::told::mean;
use crate::wire::{ApiError, ErrorCode, RunHistoryRequest, RunIdRequest, RunReport};
use crate::{App, runs};
use chart::{Chart, Line, Look};

/// A smoothed loss looks back over about this share of the run.
const LOOKS_BACK: f64 = 0.05;

/// Body of `run_report`.
pub fn report(app: &App, request: RunIdRequest) -> Result<RunReport, ApiError> {
    let details = runs::show(app, RunIdRequest { id: request.id.clone() })?;
    let history = runs::history(app, RunHistoryRequest { id: request.id, since_seq: None })?;
    let points = |values: &[f64]| -> Vec<(f64, f64)> {
        history.steps.step.iter().zip(values).map(|(step, value)| (*step as f64, *value)).collect()
    };
    let row = app.library.find_run(&details.summary.id)?;
    let checks: Vec<(f64, f64)> = runs::all_recorded(app, &row, 0)?
        .into_iter()
        .filter_map(|event| match event.what {
            What::Evaluated { loss_sum, n, .. } => Some((event.step as f64, mean(loss_sum, n))),
            _ => None,
        })
        .collect();
    let loss = points(&history.steps.loss);
    let lines = |name: &'static str, points, look| Line { name, points, look };
    let charts = [
        Chart {
            title: "Loss",
            unit: "nats",
            lines: vec![
                lines("each step", loss.clone(), Look::Faint),
                lines("training, smoothed", smoothed(&loss), Look::First),
                lines("kept aside", checks, Look::Second),
            ],
        },
        Chart {
            title: "Learning rate",
            unit: "",
            lines: vec![lines("learning rate", points(&history.steps.learning_rate), Look::First)],
        },
        Chart {
            title: "Speed",
            unit: "tokens per second",
            lines: vec![lines("speed", points(&history.steps.tokens_per_s), Look::First)],
        },
    ];
    let drawn = charts.iter().filter(|chart| chart.has_points()).map(|chart| Ok((chart, chart.draw()?)));
    let drawn = drawn.collect::<Result<Vec<_>, String>>();
    let drawn = drawn.map_err(|e| ApiError::new(ErrorCode::Internal, format!("a plot cannot be drawn: {e}")))?;
    let html = page::page(&details, &history, &drawn);
    let path = Path::new(&details.folder).join("report.html");
    std::fs::create_dir_all(&details.folder).map_err(io("create", Path::new(&details.folder)))?;
    lorikeet_models::write_file(&path, html.as_bytes())?;
    Ok(RunReport { path: path.display().to_string() })
}

/// An exponential average, corrected for its start (as in Adam's first moment).
fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let (mut average, mut weight) = (0.0, 0.0);
    let past = (1.0 - 1.0 / (LOOKS_BACK * points.len() as f64)).clamp(0.5, 0.99);
    let next = |(step, value): &(f64, f64)| {
        average = past * average + (1.0 - past) * value;
        weight = past * weight + (1.0 - past);
        (*step, average / weight)
    };
    points.iter().map(next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_keeps_a_constant_and_follows_a_change() {
        assert!(smoothed(&[(1.0, 3.0), (2.0, 3.0)]).iter().all(|(_, v)| (v - 3.0).abs() < 1e-12));
        let falling = smoothed(&[(1.0, 4.0), (2.0, 2.0)]);
        assert!(falling[1].1 < 4.0 && falling[1].1 > 2.0);
    }
}
