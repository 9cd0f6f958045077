//! Largest differences of one fixture, beside what is tolerated.

use std::fmt;

/// What one fixture was compared in.
pub struct Differences {
    title: String,
    rows: Vec<Row>,
    faults: Vec<String>,
}

struct Row {
    what: String,
    worst: f64,
    tolerance: f64,
}

impl Differences {
    pub fn new(title: String) -> Self {
        Self { title, rows: Vec::new(), faults: Vec::new() }
    }

    /// Compares two lists of numbers under a heading; the heading keeps the worst of all its lists.
    pub fn lists<A: Copy + Into<f64>, B: Copy + Into<f64>>(
        &mut self,
        what: &str,
        tolerance: f64,
        ours: &[A],
        theirs: &[B],
    ) {
        if ours.len() != theirs.len() || ours.is_empty() {
            self.fault(format!("{what}: {} numbers against {}", ours.len(), theirs.len()));
            return;
        }
        let worst = ours.iter().zip(theirs).map(|(a, b)| ((*a).into() - (*b).into()).abs());
        // `max` would drop what is not a number.
        let worst = worst.fold(0.0, |m: f64, d| if d.is_nan() { f64::INFINITY } else { m.max(d) });
        match self.rows.iter_mut().find(|r| r.what == what) {
            Some(row) => row.worst = row.worst.max(worst),
            None => self.rows.push(Row { what: what.to_owned(), worst, tolerance }),
        }
    }

    /// Compares two numbers.
    pub fn number(&mut self, what: &str, tolerance: f64, ours: f64, theirs: f64) {
        self.lists(what, tolerance, &[ours], &[theirs]);
    }

    /// Notes what is wrong whatever the tolerance.
    pub fn fault(&mut self, what: String) {
        self.faults.push(what);
    }

    /// Notes it unless `holds`.
    pub fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.fault(what());
        }
    }

    /// Whether something was compared under this heading.
    pub fn compared(&self, what: &str) -> bool {
        self.rows.iter().any(|r| r.what == what)
    }

    /// Whether nothing was compared.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.faults.is_empty()
    }

    /// What is beyond its tolerance, and the faults.
    pub fn failures(&self) -> Vec<String> {
        let beyond = self.rows.iter().filter(|r| r.worst > r.tolerance);
        let beyond = beyond
            .map(|r| format!("{}: {} differs by {:.1e}, more than {:.0e}", self.title, r.what, r.worst, r.tolerance));
        beyond.chain(self.faults.iter().map(|f| format!("{}: {f}", self.title))).collect()
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.title)?;
        self.rows.iter().try_for_each(|r| write!(f, " {} {:.1e}", r.what, r.worst))
    }
}
