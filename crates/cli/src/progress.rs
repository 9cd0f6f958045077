//! How far a piece of work has come, for a person: a bar on a terminal, nothing elsewhere. Knows units, rates and time left;
//! knows no command.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{print, units};

/// With a known end.
const MEASURED: &str = "{prefix:<12} {bar:28.green/black.bright} {msg}";
/// Without.
const ENDLESS: &str = "{prefix:<12} {spinner} {msg}";
/// Before this, a rate means nothing.
const SETTLED: Duration = Duration::from_millis(500);

/// A bar for one piece of work.
pub struct WorkBar {
    bar: ProgressBar,
    unit: String,
    since: Instant,
    /// Where the work stood when this bar first heard of it.
    first: u64,
}

impl WorkBar {
    /// A bar called `name` that counts `unit`; hidden where nobody can see it or JSON was asked for.
    pub fn new(name: &str, unit: &str, json: bool) -> Self {
        let shown = !json && print::can_draw();
        let target = if shown { ProgressDrawTarget::stderr_with_hz(12) } else { ProgressDrawTarget::hidden() };
        Self::on(ProgressBar::with_draw_target(None, target), name, unit)
    }

    /// The same on a bar that stands among others.
    pub fn on(bar: ProgressBar, name: &str, unit: &str) -> Self {
        bar.set_style(style(ENDLESS));
        bar.set_prefix(name.to_owned());
        Self { bar, unit: unit.to_owned(), since: Instant::now(), first: 0 }
    }

    /// So much is done, of so much where that is known.
    pub fn set(&mut self, done: u64, total: Option<u64>) {
        if self.bar.position() == 0 && done > 0 && self.first == 0 && self.since.elapsed() < SETTLED {
            self.first = done;
        }
        if let (Some(total), None) = (total, self.bar.length()) {
            self.bar.set_style(style(MEASURED));
            self.bar.set_length(total);
        }
        self.bar.set_position(done);
        self.bar.set_message(self.words(done, total));
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn words(&self, done: u64, total: Option<u64>) -> String {
        let mut words = match total {
            Some(total) => units::part(done, total, &self.unit),
            None => units::amount(done, &self.unit),
        };
        let seconds = self.since.elapsed().as_secs_f64();
        let advanced = done.saturating_sub(self.first);
        if self.since.elapsed() < SETTLED || advanced == 0 {
            return words;
        }
        let rate = advanced as f64 / seconds;
        words += &if self.unit == "bytes" {
            format!("  {}/s", units::bytes(rate as u64))
        } else {
            format!("  {}", units::speed(rate, &self.unit))
        };
        if let Some(left) = total.and_then(|total| total.checked_sub(done)).filter(|left| *left > 0) {
            words += &format!("  {} left", units::span(left as f64 / rate));
        }
        words
    }
}

impl Drop for WorkBar {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A template of this file; one that does not parse would be a defect, and shows as the plain bar.
pub fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    style.progress_chars("━━─")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_told_with_unit_rate_and_time_left() {
        let mut work = WorkBar::on(ProgressBar::hidden(), "reading", "bytes");
        work.set(0, Some(4_000_000));
        assert_eq!(work.words(0, Some(4_000_000)), "0 B of 4.0 MB");
        work.since = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        assert_eq!(work.words(2_000_000, Some(4_000_000)), "2.0 MB of 4.0 MB  1.0 MB/s  2.00 s left");
        assert!(work.words(1_000_000, None).starts_with("1.0 MB  "));
    }

    #[test]
    fn templates_parse() {
        for template in [MEASURED, ENDLESS] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
