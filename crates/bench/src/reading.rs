//! From a file of conversations to packed batches of token ids, with the code that a run prepares its examples with.

use std::time::Instant;

use lorikeet_data::{ImportOptions, PrepareOptions, Store, Task, Tokenizer, pack, prepare};
use lorikeet_jobs::{Failure, cpu_seconds};

use crate::training::empty;
use crate::{Material, Measured, Options, Workload};

/// Tokens of a pack.
const PACK_TOKENS: usize = 512;

/// Figures of importing, dressing, tokenizing and packing.
pub fn measure(workload: &Workload, material: &Material, options: &Options) -> Result<Measured, Failure> {
    let work = empty(&material.work)?;
    let (start, cpu_start) = (Instant::now(), cpu_seconds());
    let store = Store::open(&work.join("data"))?;
    let imported = store.import(&material.examples, &ImportOptions::default(), &mut |_| {})?;
    let (dataset, tokenizer) = (store.dataset(&imported.hash)?, Tokenizer::open(&material.model)?);
    let mut dressing = PrepareOptions::new(Task::Causal, PACK_TOKENS);
    dressing.n_threads = options.threads as usize;
    dressing.now_unix_s = Some(0);
    let rows: Vec<u32> = (0..dataset.len() as u32).collect();
    let prepared = prepare(&dataset, &rows, &tokenizer, &dressing, None, &mut |_| {})?;
    let order: Vec<u32> = (0..prepared.len() as u32).collect();
    let packs = pack(|example| prepared.n_tokens(example), &order, PACK_TOKENS);
    let lap = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu_start);
    let n_tokens = packs.iter().flatten().map(|example| prepared.n_tokens(*example) as u64).sum();
    Ok(Measured { precision: String::new(), ..Measured::of(workload, options, n_tokens, &[lap]) })
}
