//! Two bars on a terminal: what the run does besides steps (with unit, rate and time left), and the steps (with loss, learning
//! rate, speed and time left).

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};
use lorikeet_api::wire::{RunEvent, RunEventKind};

use super::Course;
use crate::{
    progress::{WorkBar, style},
    units,
};

const STEPS: &str = "{prefix:<12} {bar:28.green/black.bright} {msg}";

/// The bars of one run.
pub struct Bars {
    screen: MultiProgress,
    steps: Option<ProgressBar>,
    phase: Option<(String, WorkBar)>,
}

impl Bars {
    /// No bar yet.
    pub fn new() -> Self {
        Self {
            screen: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(12)),
            steps: None,
            phase: None,
        }
    }

    /// Moves the bars to where the event says the run is.
    pub fn advance(&mut self, event: &RunEvent, course: &Course) {
        match &event.what {
            RunEventKind::Phase { name, unit, done, total } => self.phase(name, unit, *done, *total),
            RunEventKind::Started { n_steps, .. } => self.start(event.step, *n_steps),
            RunEventKind::Step { loss, learning_rate, tokens_per_s, .. } => {
                self.phase = None;
                let Some(steps) = &self.steps else { return };
                steps.set_position(event.step);
                let left = course.seconds_left(event).map(|left| format!("  {} left", units::span(left)));
                steps.set_message(format!(
                    "{} of {}  loss {}  rate {}  {}{}",
                    units::count(event.step),
                    units::count(course.n_steps),
                    units::loss(*loss),
                    units::rate(*learning_rate),
                    units::speed(*tokens_per_s, "tokens"),
                    left.unwrap_or_default()
                ));
            }
            RunEventKind::Completed { .. } | RunEventKind::Failed { .. } | RunEventKind::Cancelled => self.clear(),
            _ => {}
        }
    }

    /// Lets `print` write lines above the bars.
    pub fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.screen.suspend(print)
    }

    fn start(&mut self, step: u64, n_steps: u64) {
        self.phase = None;
        let bar = self.steps.get_or_insert_with(|| self.screen.add(ProgressBar::new(n_steps)));
        bar.set_style(style(STEPS));
        bar.set_length(n_steps);
        bar.set_prefix("training");
        bar.set_position(step);
    }

    fn phase(&mut self, name: &str, unit: &str, done: u64, total: Option<u64>) {
        if self.phase.as_ref().is_none_or(|(current, _)| current != name) {
            let bar = self.screen.insert(0, ProgressBar::no_length());
            self.phase = Some((name.to_owned(), WorkBar::on(bar, name, unit)));
        }
        if let Some((_, bar)) = &mut self.phase {
            bar.set(done, total);
        }
    }

    fn clear(&mut self) {
        self.phase = None;
        if let Some(steps) = self.steps.take() {
            steps.finish_and_clear();
        }
    }
}
