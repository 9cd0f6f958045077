//! What a run does, shown as it happens: bars on a terminal, plain lines elsewhere, JSON lines for scripts. Knows events;
//! does not know where they come from.

mod bars;
mod lines;
mod verdict;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use lorikeet_api::wire::{RunEvent, RunEventKind};

use self::bars::Bars;
use crate::{failure::Failure, print, print::Printer};

pub use verdict::verdict;

/// Plain lines of steps and phases come at most this often; everything else always.
const PACE: Duration = Duration::from_secs(2);

/// Shows one run.
pub struct RunView<'a> {
    printer: &'a mut Printer,
    bars: Option<Bars>,
    course: Course,
    last_line: Option<Instant>,
    last_step: Option<Instant>,
    /// The last answer to each of the run's questions.
    answers: HashMap<String, String>,
}

/// Where the run stands, for the time left.
#[derive(Clone, Copy, Debug, Default)]
pub struct Course {
    /// Steps planned.
    n_steps: u64,
    /// Step and time worked when this part of the run began.
    begun: Option<(u64, u64)>,
}

impl Course {
    /// Seconds until the last step, once a step was done in this part of the run.
    fn seconds_left(&self, event: &RunEvent) -> Option<f64> {
        let (step, elapsed_ms) = self.begun?;
        let done = event.step.checked_sub(step).filter(|done| *done > 0)?;
        let seconds = event.elapsed_ms.saturating_sub(elapsed_ms) as f64 / 1e3;
        Some(seconds / done as f64 * self.n_steps.saturating_sub(event.step) as f64)
    }
}

impl<'a> RunView<'a> {
    /// A view that writes through `printer`.
    pub fn new(printer: &'a mut Printer) -> Self {
        let bars = (!printer.wants_json() && print::can_draw()).then(Bars::new);
        Self { printer, bars, course: Course::default(), last_line: None, last_step: None, answers: HashMap::new() }
    }

    /// Shows one event.
    ///
    /// # Errors
    /// Where standard output cannot be written.
    pub fn show(&mut self, event: &RunEvent) -> Result<(), Failure> {
        if self.printer.wants_json() {
            return self.printer.json_line(event);
        }
        if let RunEventKind::Started { n_steps, .. } = event.what {
            self.course = Course { n_steps, begun: Some((event.step, event.elapsed_ms)) };
        }
        if let Some(bars) = &mut self.bars {
            bars.advance(event, &self.course);
        }
        if self.is_due(event) {
            let text = lines::line(event, &self.course);
            return text.map_or(Ok(()), |text| self.say(&text));
        }
        Ok(())
    }

    /// Whether the event has a line of its own now: steps and phases are told where no bar shows them, and then not every
    /// one; a phase only where nothing else was said for a while, an answer only where it is a new one.
    fn is_due(&mut self, event: &RunEvent) -> bool {
        let rested = |last: Option<Instant>| last.is_none_or(|last| last.elapsed() >= PACE);
        match &event.what {
            RunEventKind::Step { .. } => {
                let due = self.bars.is_none() && (event.step == self.course.n_steps || rested(self.last_step));
                if due {
                    self.last_step = Some(Instant::now());
                }
                due
            }
            RunEventKind::Phase { .. } => self.bars.is_none() && rested(self.last_line),
            RunEventKind::Sample { prompt, answer, .. } => {
                self.answers.insert(prompt.clone(), answer.clone()).as_ref() != Some(answer)
            }
            _ => true,
        }
    }

    fn say(&mut self, text: &str) -> Result<(), Failure> {
        self.last_line = Some(Instant::now());
        let printer = &mut *self.printer;
        match &self.bars {
            Some(bars) => bars.aside(|| printer.line(text)),
            None => printer.line(text),
        }
    }
}
