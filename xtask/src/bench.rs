//! `cargo xtask bench`: Lorikeet beside other programs on the same work. Two programs are measured in turns (ours, theirs,
//! ours, theirs …), so that what else the machine does falls on both; a figure is the median over the turns. Our side is
//! `lorikeet bench`, theirs `tests/bench/peer.py`; both read the same weights and examples.
//!
//! Processor seconds are taken with one thread, where a busy machine distorts least; tokens per second with all.

mod contests;
mod convergence;
mod machine;
mod page;
mod rows;
mod sides;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use self::contests::{Contest, Entrant, Opponent, contests};
use self::machine::Machine;
use self::rows::{Row, merged};
use self::sides::{Figures, Ours, Peer};
use crate::house;
use crate::process::{cargo, run};
use crate::python;
use crate::say;

/// Where the figures of the last runs lie below the build folder, unless a file is named.
const FIGURES: &str = "benchmarks.json";
/// The page that is made of a full run.
const PAGE: &str = "docs/benchmarks.md";

/// What may be said.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Measure only these: letters or names of workloads, `convergence`, `growth`; the figures join those there are.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    only: Vec<String>,
    /// Write the figures to this file [default: benchmarks.json in the build folder]
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Turns of each comparison.
    #[arg(long, default_value_t = 3)]
    turns: usize,
    /// Seconds that each side works in a turn, about.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Minutes for everything: what begins later than its share gets one turn.
    #[arg(long, default_value_t = 25.0)]
    minutes: f64,
    /// Threads of the comparison by the clock [default: as many as there are cores]
    #[arg(long)]
    threads: Option<u64>,
    /// Use this `lorikeet` in place of building one.
    #[arg(long, value_name = "PROGRAM", env = "LORIKEET_BIN")]
    lorikeet: Option<PathBuf>,
    /// Use this Python, which has the packages, in place of an environment set up here.
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,
    /// Folder of the shared test material, for `convergence`.
    #[arg(long, value_name = "DIR", env = "LORIKEET_SHARED")]
    shared: Option<PathBuf>,
}

/// What measuring takes.
struct Bench {
    options: Options,
    ours: Ours,
    python: PathBuf,
    machine: Machine,
    threads: u64,
    since: Instant,
}

/// Measures, writes the figures, and of a full run the page.
///
/// # Errors
/// A word that means nothing, no Python, a failed build, or a program that fails.
pub fn run_bench(options: &Options) -> Result<()> {
    let bench = Bench::new(options)?;
    let chosen: Vec<Contest> = contests().into_iter().filter(|contest| bench.wants(contest.workload)).collect();
    let others = ["growth", "convergence"].into_iter().filter(|name| bench.wants(name));
    let others: Vec<&str> = others.collect();
    if chosen.is_empty() && others.is_empty() {
        bail!("`--only` means nothing that is measured: {}", bench.options.only.join(","));
    }
    let mut found = Vec::new();
    for (i, contest) in chosen.iter().enumerate() {
        found.extend(bench.measure(contest, (i, chosen.len()))?);
        bench.write(&found)?;
    }
    for other in others {
        found.extend(if other == "growth" { bench.growth()? } else { convergence::measure(&bench)? });
        bench.write(&found)?;
    }
    let rows = bench.write(&found)?;
    say::line(&page::table(&found))?;
    if bench.options.only.is_empty() {
        fs::write(house::root().join(PAGE), page::page(&rows)).with_context(|| format!("cannot write: {PAGE}"))?;
        say::line(&format!("written: {PAGE}"))?;
    }
    Ok(())
}

impl Bench {
    fn new(options: &Options) -> Result<Self> {
        let lorikeet = match &options.lorikeet {
            Some(program) => program.clone(),
            None => {
                run(cargo().args(["build", "--package", "lorikeet-cli"]))?;
                house::built("lorikeet")?
            }
        };
        let python = match &options.python {
            Some(python) => python.clone(),
            None => python::environment()?,
        };
        let all = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        let threads = options.threads.unwrap_or(all);
        let material = house::cache()?.join("bench");
        let ours = Ours::new(lorikeet, material)?;
        let machine = Machine::look(&ours, threads)?;
        say::line(&machine.text())?;
        Ok(Self { options: options.clone(), ours, python, machine, threads, since: Instant::now() })
    }

    /// Whether a workload, or something else of that name, is asked for.
    fn wants(&self, name: &str) -> bool {
        let only = &self.options.only;
        only.is_empty() || only.iter().any(|word| word == name || name.split('-').next() == Some(word))
    }

    /// The turns of one comparison, for each number of threads.
    fn measure(&self, contest: &Contest, (nth, of): (usize, usize)) -> Result<Vec<Row>> {
        let due = Duration::from_secs_f64(self.options.minutes * 60.0 * (nth + 1) as f64 / of as f64);
        let turns = if self.since.elapsed() > due { 1 } else { self.options.turns };
        let against = contest.opponent.name();
        say::line(&say::faint(&format!("{} against {against}, {turns} turns", contest.workload)))?;
        let mut opponent = self.opponent(contest)?;
        let mut rows = Vec::new();
        let threads: &[u64] = if self.threads == 1 { &[1] } else { &[1, self.threads] };
        for threads in threads {
            rows.extend(self.turns(contest, &mut opponent, *threads, turns)?);
        }
        for row in &rows {
            say::line(&row.text())?;
        }
        Ok(rows)
    }

    fn opponent(&self, contest: &Contest) -> Result<Side> {
        Ok(match &contest.opponent {
            Opponent::Ourselves(entrant) => Side::Ours(entrant.clone()),
            Opponent::Program { peer, precision } => {
                let about = self.ours.describe(contest.workload)?;
                Side::Peer(Box::new(Peer::start(&self.python, peer, precision, about)?))
            }
        })
    }

    fn turns(&self, contest: &Contest, opponent: &mut Side, threads: u64, turns: usize) -> Result<Vec<Row>> {
        let seconds = self.options.seconds;
        let mut found: BTreeMap<usize, Vec<(Figures, Figures)>> = BTreeMap::new();
        for _ in 0..turns {
            let mut theirs: Option<Figures> = None;
            for (nth, entrant) in contest.entrants.iter().enumerate() {
                let ours = self.ours.measure(entrant, threads, seconds)?;
                // One turn of theirs serves two of ours: before it and after it.
                let fresh = match theirs.take() {
                    Some(figures) => figures,
                    None => match opponent {
                        Side::Peer(peer) => peer.turn(threads, seconds)?,
                        Side::Ours(entrant) => self.ours.measure(entrant, threads, seconds)?,
                    },
                };
                theirs = (nth % 2 == 0).then(|| fresh.clone());
                found.entry(nth).or_default().push((ours, fresh));
            }
        }
        let entrants = contest.entrants.iter().enumerate();
        let rows = entrants.flat_map(|(nth, entrant)| {
            let pairs = found.get(&nth).map(Vec::as_slice).unwrap_or_default();
            self.rows(contest, entrant, threads, pairs)
        });
        Ok(rows.collect())
    }

    /// What the turns of one of ours say.
    fn rows(&self, contest: &Contest, entrant: &Entrant, threads: u64, pairs: &[(Figures, Figures)]) -> Vec<Row> {
        let peer = contest.opponent.name();
        let stamp = |row: Row| self.machine.stamped(row, &versions(pairs));
        let new = |measure: &str, unit: &str| Row::new(entrant.workload, measure, &entrant.precision, unit);
        let mut rows = Vec::new();
        let by_processor = threads == 1;
        if by_processor {
            let row = new("processor seconds", "s");
            rows.push(row.against(&peer, pairs, |figures| figures.cpu_seconds, |ours, theirs| theirs / ours));
            let ours: Vec<&Figures> = pairs.iter().map(|(ours, _)| ours).collect();
            if let Some(share) = self.machine.share_of_peak(&entrant.precision, &ours) {
                rows.push(new("share of matrix peak", "").alone(share));
            }
        }
        if !by_processor || self.threads == 1 {
            let row = new("throughput", "tokens/s");
            rows.push(row.against(&peer, pairs, |figures| figures.tokens_per_s, |ours, theirs| ours / theirs));
            let row = new("peak memory", "bytes");
            rows.push(row.against(&peer, pairs, |figures| figures.peak_memory_bytes, |ours, theirs| ours / theirs));
            if let Some((ours, _)) = pairs.first()
                && let Some(foretold) = ours.estimated_memory_bytes
            {
                let measured = ours.peak_memory_bytes;
                rows.push(new("memory foretold", "bytes").beside(foretold, "measured", measured, foretold / measured));
            }
        }
        rows.into_iter().map(stamp).collect()
    }

    /// What ten thousand steps leave behind.
    fn growth(&self) -> Result<Vec<Row>> {
        let entrant = Entrant::plain("a-long", "f32");
        let figures = self.ours.steps(&entrant, self.threads, 10_000)?;
        let growth = figures.growth_bytes.context("ten thousand steps did not say what they left behind")?;
        let row = Row::new("a-long", "resident growth", "f32", "bytes").alone(growth);
        Ok(vec![self.machine.stamped(row, &BTreeMap::new())])
    }

    /// Writes the figures, joined with those the file has of other measures; returns all.
    fn write(&self, found: &[Row]) -> Result<Vec<Row>> {
        let path = match &self.options.json {
            Some(path) => path.clone(),
            None => house::target()?.join(FIGURES),
        };
        let rows = if self.options.only.is_empty() { found.to_vec() } else { merged(read(&path)?, found) };
        let text = serde_json::to_string_pretty(&rows).context("the figures cannot be written as JSON")?;
        fs::write(&path, text + "\n").with_context(|| format!("cannot write: {}", path.display()))?;
        Ok(rows)
    }
}

/// The other side of a contest.
enum Side {
    Peer(Box<Peer>),
    Ours(Entrant),
}

fn versions(pairs: &[(Figures, Figures)]) -> BTreeMap<String, Value> {
    pairs.first().map(|(_, theirs)| theirs.versions.clone()).unwrap_or_default()
}

/// The figures a file has; none where there is no file.
fn read(path: &Path) -> Result<Vec<Row>> {
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(path).with_context(|| format!("cannot read: {}", path.display()))?;
    serde_json::from_str(&text)
        .with_context(|| format!("these are no figures of `cargo xtask bench`: {}", path.display()))
}
