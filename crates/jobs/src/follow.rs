//! What a run does, told to those who listen: everything the registry has, in order and without gaps, and the phases of a run
//! that works in this process. It does not matter in which process the run works, nor whether it works at all.

use std::time::{Duration, Instant};

use lorikeet_registry::{Registry, RunRow};

use crate::hub::{Hub, Live};
use crate::{Failure, RunEvent, codes};

/// Rows of each table read at once.
const PAGE: u32 = 2000;
/// How long a follower sleeps at most: another process may have written.
const POLL: Duration = Duration::from_millis(100);
/// Shortest time between two batches.
const BATCH_PERIOD: Duration = Duration::from_millis(34);
/// Longest time without asking whether somebody still listens.
const SIGN_PERIOD: Duration = Duration::from_millis(400);

/// The next recorded events of a run numbered above `after`, oldest first; empty once there are none. `id` is exact.
///
/// # Errors
/// Where the registry cannot be read or holds an event that no version wrote.
pub fn recorded_since(registry: &Registry, id: &str, after: u64) -> Result<Vec<RunEvent>, Failure> {
    // The tables are read one after the other and may grow in between: what is numbered above the run's own last number
    // before that could hide something of the other table.
    let complete = registry.runs().get(id)?.seq;
    let metrics = registry.metrics().since(id, after, PAGE)?;
    let events = registry.events().since(id, after, PAGE)?;
    // Where one table has more than a page, the other is only told up to the same number.
    let full = |n: usize, last: Option<u64>| if n as u32 == PAGE { last.unwrap_or(u64::MAX) } else { u64::MAX };
    let up_to =
        full(metrics.len(), metrics.last().map(|row| row.seq)).min(full(events.len(), events.last().map(|r| r.seq)));
    let mut all: Vec<RunEvent> = metrics.into_iter().map(RunEvent::from).collect();
    for row in events {
        let seq = row.seq;
        let unknown = |e| Failure::new(codes::INTERNAL, format!("event {seq} of run `{id}` cannot be read: {e}"));
        all.push(RunEvent::try_from(row).map_err(unknown)?);
    }
    all.retain(|event| event.seq <= up_to.min(complete));
    all.sort_by_key(|event| event.seq);
    Ok(all)
}

/// Somebody who listens to one run.
pub(crate) struct Follower<'a> {
    pub registry: &'a Registry,
    pub hub: &'a Hub,
    pub id: &'a str,
    /// Number of the last event told.
    pub last: u64,
    /// When that event happened.
    last_at_ms: u64,
    generation: u64,
    phase: Option<RunEvent>,
}

impl<'a> Follower<'a> {
    pub fn new(registry: &'a Registry, hub: &'a Hub, id: &'a str, last: u64) -> Self {
        Self { registry, hub, id, last, last_at_ms: 0, generation: hub.look(id).generation, phase: None }
    }

    /// Tells `sink` everything until the run has ended or `sink` returns false.
    pub fn follow(&mut self, sink: &mut dyn FnMut(Vec<RunEvent>) -> bool) -> Result<(), Failure> {
        let mut told = Instant::now();
        loop {
            let live = self.hub.look(self.id);
            let row = self.registry.runs().get(self.id)?;
            let batch = self.next(live, &row)?;
            let (is_empty, is_over) = (batch.is_empty(), row.status.is_final());
            if !is_empty || told.elapsed() > SIGN_PERIOD {
                if !sink(batch) {
                    return Ok(());
                }
                told = Instant::now();
            }
            match (is_empty, is_over) {
                (true, true) => return Ok(()),
                (true, false) => self.hub.wait(POLL),
                (false, true) => {}
                (false, false) => std::thread::sleep(BATCH_PERIOD),
            }
        }
    }

    /// What is new. Where a run went back to a checkpoint, its numbers go back too, and are told from there.
    fn next(&mut self, live: Live, row: &RunRow) -> Result<Vec<RunEvent>, Failure> {
        if live.generation != self.generation {
            self.generation = live.generation;
            self.last = self.last.min(live.from);
        } else if row.seq < self.last {
            self.last = self.rewound_to(row)?;
        }
        let mut batch = recorded_since(self.registry, self.id, self.last)?;
        if let Some(newest) = batch.last() {
            (self.last, self.last_at_ms) = (newest.seq, newest.at_ms);
        }
        let phase = live.phase.filter(|phase| self.phase.as_ref() != Some(phase) && !row.status.is_final());
        // The phases of reading examples have no number: they belong before whatever came later.
        let is_next = |phase: &RunEvent| match phase.seq {
            0 => phase.at_ms >= self.last_at_ms,
            seq => seq > self.last,
        };
        if let Some(phase) = phase.filter(is_next) {
            self.phase = Some(phase.clone());
            batch.push(phase);
        }
        Ok(batch)
    }

    /// The number just before the run's latest beginning, for a run that another process took back.
    fn rewound_to(&self, row: &RunRow) -> Result<u64, Failure> {
        let started = self.registry.events().of_kind(self.id, "started", 0, PAGE)?;
        // A run that goes on tells its checkpoint first and its beginning right after.
        let before = started.last().map_or(row.seq, |event| event.seq.saturating_sub(2));
        Ok(before.min(row.seq))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::What;
    use crate::recorder::Recorder;
    use crate::recorder::tests::{event, running, step};

    #[test]
    fn two_tables_are_told_as_one_stream_also_past_a_page() {
        let (_folder, registry, id) = running();
        let recorder = Recorder::start(registry.clone(), Arc::default(), id.clone(), (0, 0));
        let n_events = u64::from(PAGE) * 2 + 500;
        for seq in 1..=n_events {
            // Long stretches of each kind, so that one table's page ends before the other's.
            let warns = seq % 5000 > 3000;
            recorder.push(event(seq, seq, if warns { What::Warning { message: "w".into() } } else { step(1.0) }));
        }
        recorder.finish().unwrap();
        let (mut last, mut numbers) = (0, Vec::new());
        loop {
            let some = recorded_since(&registry, &id, last).unwrap();
            let Some(newest) = some.last() else { break };
            last = newest.seq;
            numbers.extend(some.iter().map(|event| event.seq));
        }
        assert_eq!(numbers, (1..=n_events).collect::<Vec<_>>());
    }

    #[test]
    fn a_follower_goes_back_with_the_run_and_hears_phases_in_their_place() {
        let (_folder, registry, id) = running();
        let hub = Arc::new(Hub::default());
        hub.begin(&id, 0);
        let record = |from: u64, seqs: std::ops::RangeInclusive<u64>| {
            let recorder = Recorder::start(registry.clone(), hub.clone(), id.clone(), (from, from));
            seqs.clone().for_each(|seq| recorder.push(event(seq, seq, step(1.0))));
            let what = What::Phase { name: "evaluating".into(), unit: "batches".into(), done: 1, total: Some(2) };
            recorder.push(event(seqs.end() + 1, *seqs.end(), what));
            recorder.finish().unwrap();
        };
        let mut follower = Follower::new(&registry, &hub, &id, 0);
        let mut hear = || {
            let row = registry.runs().get(&id).unwrap();
            let batch = follower.next(hub.look(&id), &row).unwrap();
            batch.iter().map(|event| (event.seq, event.is_passing())).collect::<Vec<_>>()
        };
        record(0, 1..=3);
        assert_eq!(hear(), [(1, false), (2, false), (3, false), (4, true)]);
        assert_eq!(hear(), []);
        registry.runs().rewind(&id, 1, Some(1)).unwrap();
        hub.begin(&id, 1);
        record(1, 2..=2);
        assert_eq!(hear(), [(2, false), (3, true)]);
    }
}
