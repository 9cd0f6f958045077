//! Seeded orders that depend on nothing but their arguments, so that a resumed run finds its place again.
//!
//! The generator is counter-based: the value for `(seed, stream, counter)` is computed directly, there is no state to
//! save. The mixing is SplitMix64's finaliser (Steele, Lea, Flood: Fast splittable pseudorandom number generators).

const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's finaliser: a bijection of 64 bits in which every input bit changes about half of the output bits.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// 64 random bits for `(seed, stream, counter)`: the finaliser applied three times, each argument entering in turn.
pub fn random_bits(seed: u64, stream: u64, counter: u64) -> u64 {
    let keyed = mix(seed.wrapping_add(GOLDEN_GAMMA));
    let streamed = mix(keyed ^ stream.wrapping_mul(GOLDEN_GAMMA).wrapping_add(1));
    mix(streamed.wrapping_add(counter.wrapping_add(1).wrapping_mul(GOLDEN_GAMMA)))
}

/// The order of `n` examples in `epoch` (counted from 0): a Fisher-Yates shuffle, the same for the same arguments.
pub fn epoch_order(n: usize, seed: u64, epoch: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n as u32).collect();
    for last in (1..n).rev() {
        let bits = random_bits(seed, epoch, last as u64);
        // The high half of the 128-bit product is uniform on 0..=last up to a bias below n / 2^64.
        let pick = ((u128::from(bits) * (last as u128 + 1)) >> 64) as usize;
        order.swap(last, pick);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_order_is_a_permutation_and_repeats() {
        let first = epoch_order(1000, 42, 0);
        assert_eq!(first, epoch_order(1000, 42, 0));
        assert_ne!(first, epoch_order(1000, 42, 1));
        assert_ne!(first, epoch_order(1000, 43, 0));
        let mut sorted = first;
        sorted.sort_unstable();
        assert!(sorted.iter().copied().eq(0..1000));
    }

    /// A run started by one version must be resumable by the next: these values may never change.
    #[test]
    fn the_order_is_pinned() {
        assert_eq!(epoch_order(8, 42, 0), [7, 6, 4, 2, 3, 0, 5, 1]);
        assert_eq!(epoch_order(8, 42, 1), [2, 4, 5, 1, 7, 3, 6, 0]);
        assert_eq!(random_bits(1, 2, 3), 7_953_725_222_193_262_952);
    }

    #[test]
    fn every_place_is_reached_equally_often() {
        let mut seen = [[0_u32; 5]; 5];
        for seed in 0..5000 {
            for (place, value) in epoch_order(5, seed, 0).into_iter().enumerate() {
                seen[place][value as usize] += 1;
            }
        }
        for count in seen.into_iter().flatten() {
            assert!((850..1150).contains(&count), "expected about 1000: {count}");
        }
    }

    #[test]
    fn nothing_and_one_are_orders_too() {
        assert!(epoch_order(0, 1, 0).is_empty());
        assert_eq!(epoch_order(1, 1, 0), [0]);
    }
}
