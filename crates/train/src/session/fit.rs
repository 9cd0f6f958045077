//! Whether a run fits into memory, decided when its examples are known and before its model is touched: how much it computes
//! again, or why it cannot begin and what would let it.

use lorikeet_data::{Prepared, Task};
use lorikeet_models::Recompute;

use crate::{BatchSize, Needs, RecomputeChoice, Result, TrainError, TrainJob};

/// How much a run computes again whose longest batch these examples make. `held` is what the process holds besides the run,
/// and what it may hold in all, where that is known.
pub(super) fn recompute(
    job: &TrainJob,
    examples: &Prepared,
    longest: &[u32],
    (held_bytes, budget): (u64, Option<u64>),
) -> Result<Recompute> {
    let limit = job.settings.memory_limit.map(|gigabytes| (gigabytes * 1e9) as u64);
    let Some(budget) = limit.or(budget) else {
        let is_on = job.settings.recompute == RecomputeChoice::On;
        return Ok(if is_on { Recompute::EveryBlock } else { Recompute::Never });
    };
    let needs = Needs {
        folder: &job.model_folder,
        settings: &job.settings,
        method: job.method,
        labels: (job.task == Task::Classify).then(|| examples.labels().len()),
        batch: BatchSize::of(&examples.batch(longest)),
        held_bytes,
    };
    let (recompute, footprint) = needs.within(Some(budget))?;
    let needed_bytes = held_bytes + footprint.total();
    if needed_bytes <= budget {
        return Ok(recompute);
    }
    let ways = needs.ways(budget)?.into_iter().map(|way| way.sentence()).collect();
    Err(TrainError::Memory { needed_bytes, budget_bytes: budget, ways })
}
