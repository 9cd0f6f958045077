//! Figures: one row for each workload, measure and precision.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sides::Figures;

/// One figure, with the other program's where there is one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The workload.
    pub workload: String,
    /// What was measured.
    pub measure: String,
    /// In which precision.
    pub precision: String,
    /// Our figure.
    pub ours: f64,
    /// The other program, with its precision.
    pub peer: Option<String>,
    /// Its figure.
    pub theirs: Option<f64>,
    /// How many times faster ours is; for memory, which part of theirs it takes. The median over the turns.
    pub ratio: Option<f64>,
    /// Unit of both figures.
    pub unit: String,
    /// Where it was measured.
    pub machine: String,
    /// With which programs.
    pub versions: BTreeMap<String, Value>,
}

impl Row {
    /// A row without figures.
    pub fn new(workload: &str, measure: &str, precision: &str, unit: &str) -> Self {
        Self {
            workload: workload.to_owned(),
            measure: measure.to_owned(),
            precision: precision.to_owned(),
            ours: 0.0,
            peer: None,
            theirs: None,
            ratio: None,
            unit: unit.to_owned(),
            machine: String::new(),
            versions: BTreeMap::new(),
        }
    }

    /// With the medians of `figure` over the turns, and of the turns' ratios.
    #[must_use]
    pub fn against(
        self,
        peer: &str,
        pairs: &[(Figures, Figures)],
        figure: impl Fn(&Figures) -> f64,
        ratio: impl Fn(f64, f64) -> f64,
    ) -> Self {
        let ratios = pairs.iter().map(|(ours, theirs)| ratio(figure(ours), figure(theirs)));
        let (ours, theirs) = (median(pairs.iter().map(|p| figure(&p.0))), median(pairs.iter().map(|p| figure(&p.1))));
        self.beside(ours, peer, theirs, median(ratios))
    }

    /// With both figures.
    #[must_use]
    pub fn beside(self, ours: f64, peer: &str, theirs: f64, ratio: f64) -> Self {
        Self { ours, peer: Some(peer.to_owned()), theirs: Some(theirs), ratio: Some(ratio), ..self }
    }

    /// With our figure alone.
    #[must_use]
    pub fn alone(self, ours: f64) -> Self {
        Self { ours, ..self }
    }

    /// What tells it from other rows.
    fn key(&self) -> (&str, &str, &str, Option<&str>) {
        (&self.workload, &self.measure, &self.precision, self.peer.as_deref())
    }

    /// On one line.
    pub fn text(&self) -> String {
        let theirs =
            self.peer.as_ref().map_or_else(String::new, |peer| format!(" · {peer} {}", self.shown(self.theirs)));
        let ratio = self.ratio.map_or_else(String::new, |ratio| format!(" · {ratio:.2}"));
        format!(
            "  {} {} {}: {}{theirs}{ratio}",
            self.workload,
            self.precision,
            self.measure,
            self.shown(Some(self.ours))
        )
    }

    /// A figure with its unit.
    pub fn shown(&self, figure: Option<f64>) -> String {
        match (figure, self.unit.as_str()) {
            (None, _) => String::new(),
            (Some(figure), "bytes") => format!("{:.0} MB", figure / 1e6),
            (Some(figure), "tokens/s") if figure >= 100.0 => format!("{figure:.0} tokens/s"),
            (Some(figure), "") => format!("{figure:.3}"),
            (Some(figure), unit) => format!("{figure:.3} {unit}"),
        }
    }
}

/// The rows of `old`, with those of `new` in place of what they measured again.
pub fn merged(old: Vec<Row>, new: &[Row]) -> Vec<Row> {
    let mut rows = old;
    for row in new {
        match rows.iter_mut().find(|known| known.key() == row.key()) {
            Some(known) => known.clone_from(row),
            None => rows.push(row.clone()),
        }
    }
    rows.sort_by(|a, b| a.workload.cmp(&b.workload));
    rows
}

/// The middle of the numbers; 0 of none.
pub fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = numbers.collect();
    sorted.sort_by(f64::total_cmp);
    let at = |i: usize| sorted.get(i).copied().unwrap_or_default();
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => at(n / 2),
        n => f64::midpoint(at(n / 2 - 1), at(n / 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(cpu_seconds: f64) -> Figures {
        Figures { cpu_seconds, ..Figures::default() }
    }

    #[test]
    fn a_ratio_is_the_median_of_the_turns() {
        let pairs = [(1.0, 2.0), (1.0, 3.0), (2.0, 20.0)].map(|(a, b)| (figures(a), figures(b)));
        let row = Row::new("a", "processor seconds", "f32", "s");
        let row = row.against("peft f32", &pairs, |f| f.cpu_seconds, |ours, theirs| theirs / ours);
        assert_eq!((row.ours, row.theirs, row.ratio), (1.0, Some(3.0), Some(3.0)));
        assert_eq!(row.text(), "  a f32 processor seconds: 1.000 s · peft f32 3.000 s · 3.00");
    }

    #[test]
    fn what_was_measured_again_replaces_what_was() {
        let row = |workload: &str, ours| Row::new(workload, "m", "f32", "s").alone(ours);
        let rows = merged(vec![row("a", 1.0), row("c", 3.0)], &[row("b", 2.0), row("a", 4.0)]);
        assert_eq!(rows, [row("a", 4.0), row("b", 2.0), row("c", 3.0)]);
    }
}
