//! Which examples make which batch: in the order of the data or a new one on every pass, one by one or packed.

use lorikeet_data::{Prepared, epoch_order, pack};

use crate::Settings;

/// The places that batches are filled with in one pass: single examples, or packs of them with up to `max_length` tokens.
pub fn units(examples: &Prepared, settings: &Settings, epoch: u64) -> Vec<Vec<u32>> {
    let ordered = |n: usize| match settings.shuffle {
        true => epoch_order(n, settings.seed, epoch),
        false => (0..n as u32).collect(),
    };
    let order = ordered(examples.len());
    if !settings.packing {
        return order.into_iter().map(|example| vec![example]).collect();
    }
    let packs = pack(|example| examples.n_tokens(example), &order, settings.max_length as usize);
    ordered(packs.len()).into_iter().filter_map(|at| packs.get(at as usize).cloned()).collect()
}

/// How many places one pass has; the same in every pass.
pub fn n_units(examples: &Prepared, settings: &Settings) -> usize {
    if settings.packing { units(examples, settings, 0).len() } else { examples.len() }
}
