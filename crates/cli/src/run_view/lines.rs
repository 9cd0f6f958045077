//! An event as a line for a person. Pure functions.

use lorikeet_api::wire::{RunEvent, RunEventKind};

use super::{Course, verdict};
use crate::{table::shortened, units};

/// Columns that a question and an answer take at most.
const N_COLUMNS: usize = 200;

/// The line of an event; `None` where it has none because another line or the exit says it.
pub fn line(event: &RunEvent, course: &Course) -> Option<String> {
    let step = units::count(event.step);
    Some(match &event.what {
        RunEventKind::Started { n_steps, n_epochs, n_trainable, n_parameters, device } => format!(
            "training {} of {} numbers on {device}: {}, {} of the examples",
            units::parameters(*n_trainable),
            units::parameters(*n_parameters),
            units::counted(*n_steps, "step", "steps"),
            passes(*n_epochs),
        ),
        RunEventKind::Phase { name, unit, done, total } => match total {
            Some(total) => format!("{name}: {}", units::part(*done, *total, unit)),
            None => format!("{name}: {}", units::amount(*done, unit)),
        },
        RunEventKind::Step { epoch, loss, learning_rate, tokens_per_s, .. } => {
            let left = course.seconds_left(event).filter(|left| *left > 0.0);
            format!(
                "step {step} of {}  pass {epoch:.2}  loss {}  rate {}  {}{}",
                units::count(course.n_steps),
                units::loss(*loss),
                units::rate(*learning_rate),
                units::speed(*tokens_per_s, "tokens"),
                left.map(|left| format!("  {} left", units::span(left))).unwrap_or_default()
            )
        }
        RunEventKind::Evaluated { .. } => format!("check at step {step}: {}", scores(&event.what)),
        RunEventKind::Checkpoint { path, n_bytes, .. } => {
            format!("saved at step {step}: {} ({})", path, units::bytes(*n_bytes))
        }
        RunEventKind::Sample { prompt, answer, .. } => {
            format!("asked at step {step}: {}\n  {}", shortened(prompt, N_COLUMNS), shortened(answer, N_COLUMNS))
        }
        RunEventKind::Warning { message } => format!("warning: {message}"),
        RunEventKind::Paused => format!("paused at step {step}"),
        RunEventKind::Resumed => format!("goes on at step {step}"),
        RunEventKind::Completed { adapter, metrics } => format!("{}\nresult: {adapter}", verdict(metrics)),
        RunEventKind::Failed { .. } | RunEventKind::Cancelled => return None,
    })
}

fn passes(n_epochs: f64) -> String {
    let number = format!("{n_epochs:.2}");
    let number = number.trim_end_matches('0').trim_end_matches('.');
    format!("{number} {}", if number == "1" { "pass" } else { "passes" })
}

fn scores(what: &RunEventKind) -> String {
    let RunEventKind::Evaluated { loss, perplexity, accuracy, f1_macro, preference, best, .. } = what else {
        return String::new();
    };
    let mut parts = vec![format!("loss {}", units::loss(*loss))];
    parts.extend(preference.map(|p| format!("rewards {:.0} % right, margin {:.3}", 100.0 * p.accuracy, p.margin)));
    parts.extend(perplexity.map(|perplexity| format!("perplexity {}", units::loss(perplexity))));
    parts.extend(accuracy.map(|accuracy| format!("accuracy {}", units::share(accuracy))));
    parts.extend(f1_macro.map(|f1| format!("F1 {f1:.3}")));
    parts.join(", ") + if *best { " (best so far)" } else { "" }
}

#[cfg(test)]
mod tests {
    use lorikeet_api::wire::{RunMetrics, StopReason};

    use super::*;

    fn event(step: u64, elapsed_ms: u64, what: RunEventKind) -> RunEvent {
        RunEvent { run: "reviews-1".into(), seq: 1, step, at_ms: 0, elapsed_ms, what }
    }

    #[test]
    fn a_run_reads_like_this() {
        let course = Course { n_steps: 405, begun: Some((0, 2_000)) };
        let answer = "Yes.\nIt is.".to_owned();
        let events = [
            event(
                0,
                0,
                RunEventKind::Phase { name: "tokenizing".into(), unit: "rows".into(), done: 7, total: Some(1_200) },
            ),
            event(
                0,
                0,
                RunEventKind::Started {
                    n_steps: 405,
                    n_epochs: 3.0,
                    n_trainable: 1_200_000,
                    n_parameters: 134_515_008,
                    device: "cpu".into(),
                },
            ),
            event(
                40,
                22_000,
                RunEventKind::Step {
                    epoch: 0.296,
                    loss: 1.923_14,
                    loss_sum: 1.0,
                    n_tokens: 1,
                    learning_rate: 4.9e-4,
                    gradient_norm: 1.0,
                    tokens_per_s: 1_234.0,
                    memory_bytes: 1,
                    preference: None,
                },
            ),
            event(
                40,
                23_000,
                RunEventKind::Evaluated {
                    loss: 1.5,
                    n: 10,
                    perplexity: Some(4.4817),
                    accuracy: None,
                    f1_macro: None,
                    preference: None,
                    best: true,
                },
            ),
            event(
                40,
                23_000,
                RunEventKind::Evaluated {
                    loss: 0.5,
                    n: 10,
                    perplexity: None,
                    accuracy: Some(0.827),
                    f1_macro: Some(0.8),
                    preference: None,
                    best: false,
                },
            ),
            event(
                40,
                23_000,
                RunEventKind::Checkpoint { path: "/r/checkpoint-40".into(), best: true, n_bytes: 3_400_000 },
            ),
            event(40, 23_000, RunEventKind::Sample { prompt: "Is it?".into(), answer, stop_reason: StopReason::Stop }),
            event(41, 24_000, RunEventKind::Warning { message: "the loss is rising".into() }),
            event(
                405,
                200_000,
                RunEventKind::Completed { adapter: "/r/adapter".into(), metrics: RunMetrics::default() },
            ),
        ];
        let lines: Vec<String> = events.iter().filter_map(|event| line(event, &course)).collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        tokenizing: 7 of 1,200 rows
        training 1.2 M of 134.5 M numbers on cpu: 405 steps, 3 passes of the examples
        step 40 of 405  pass 0.30  loss 1.9231  rate 4.9e-4  1,234 tokens/s  3 min 03 s left
        check at step 40: loss 1.5000, perplexity 4.4817 (best so far)
        check at step 40: loss 0.5000, accuracy 82.7 %, F1 0.800
        saved at step 40: /r/checkpoint-40 (3.4 MB)
        asked at step 40: Is it?
          Yes. It is.
        warning: the loss is rising
        finished
        result: /r/adapter
        ");
    }
}
