//! A run in one sentence of numbers: what it was before, what it is now, and at which step. Pure.

use lorikeet_api::wire::RunMetrics;

use crate::units;

/// The sentence; says only what is known.
pub fn verdict(metrics: &RunMetrics) -> String {
    let mut head = "finished".to_owned();
    if let Some(seconds) = metrics.seconds {
        head += &format!(" in {}", units::span(seconds));
    }
    let mut parts = Vec::new();
    parts.extend(change("validation loss", metrics.base_loss, metrics.loss, units::loss));
    parts.extend(change("accuracy", metrics.base_accuracy, metrics.accuracy, units::share));
    if metrics.loss.is_none() {
        parts.extend(change("training loss", None, metrics.train_loss, units::loss));
    }
    let mut text = if parts.is_empty() { head } else { format!("{head}: {}", parts.join(", ")) };
    if let (Some(best), Some(n_steps), Some(_)) = (metrics.best_step, metrics.n_steps, metrics.loss) {
        text += &format!("; best at step {} of {}", units::count(best), units::count(n_steps));
    }
    if metrics.stopped_early == Some(true) {
        text += "; ended early because it no longer got better";
    }
    text
}

fn change(name: &str, before: Option<f64>, after: Option<f64>, written: fn(f64) -> String) -> Option<String> {
    let after = written(after?);
    Some(match before {
        Some(before) => format!("{name} {} → {after}", written(before)),
        None => format!("{name} {after}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_says_before_and_after() {
        let metrics = RunMetrics {
            loss: Some(1.31),
            base_loss: Some(1.92),
            accuracy: Some(0.827),
            base_accuracy: Some(0.51),
            best_step: Some(340),
            n_steps: Some(405),
            seconds: Some(200.0),
            stopped_early: Some(true),
            ..RunMetrics::default()
        };
        assert_eq!(
            verdict(&metrics),
            "finished in 3 min 20 s: validation loss 1.9200 → 1.3100, accuracy 51.0 % → 82.7 %; best at step 340 of 405; \
             ended early because it no longer got better"
        );
        let bare = RunMetrics { train_loss: Some(0.5), best_step: Some(3), n_steps: Some(3), ..RunMetrics::default() };
        assert_eq!(verdict(&bare), "finished: training loss 0.5000");
    }
}
