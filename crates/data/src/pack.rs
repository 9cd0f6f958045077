//! Short sequences together in packs of bounded length, so that batches have about equal numbers of tokens.
//!
//! Best fit, longest first: each sequence goes into the fullest pack that still has room (Johnson, 1973: at most 11/9 of the
//! fewest packs, and one more). How many packs there are depends on the lengths alone, not on the order of equal ones.

use std::collections::BTreeMap;

/// Packs of at most `capacity` tokens; `order` says which sequences there are and which of equal length comes first. A
/// sequence that is longer than `capacity` has a pack of its own.
pub fn pack(lengths: impl Fn(u32) -> usize, order: &[u32], capacity: usize) -> Vec<Vec<u32>> {
    let mut longest_first = order.to_vec();
    longest_first.sort_by_key(|sequence| std::cmp::Reverse(lengths(*sequence)));
    let mut packs: Vec<Vec<u32>> = Vec::new();
    // Packs by the room they have left.
    let mut open: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for sequence in longest_first {
        let length = lengths(sequence);
        let fullest = open.range(length..).next().map(|(room, _)| *room);
        let (pack, room) = match fullest.and_then(|room| Some((take(&mut open, room)?, room))) {
            Some(found) => found,
            None => {
                packs.push(Vec::new());
                (packs.len() - 1, capacity.max(length))
            }
        };
        if let Some(pack) = packs.get_mut(pack) {
            pack.push(sequence);
        }
        open.entry(room - length).or_default().push(pack);
    }
    packs
}

/// Takes a pack with so much room out of the open ones.
fn take(open: &mut BTreeMap<usize, Vec<usize>>, room: usize) -> Option<usize> {
    let packs = open.get_mut(&room)?;
    let pack = packs.pop();
    if packs.is_empty() {
        open.remove(&room);
    }
    pack
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch_order;

    #[test]
    fn every_sequence_is_in_one_pack_that_holds_it() {
        let lengths = |sequence: u32| 1 + (sequence as usize * 7919) % 97;
        let mut counts = Vec::new();
        for epoch in 0..3 {
            let packs = pack(lengths, &epoch_order(500, 1, epoch), 128);
            let mut all: Vec<u32> = packs.concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..500));
            let sum = |pack: &Vec<u32>| pack.iter().map(|s| lengths(*s)).sum::<usize>();
            assert!(packs.iter().all(|pack| sum(pack) <= 128));
            let total: usize = packs.iter().map(sum).sum();
            assert!(packs.len() <= total.div_ceil(128) * 11 / 9 + 1, "{} packs", packs.len());
            counts.push(packs.len());
        }
        assert!(counts.iter().all(|n| *n == counts[0]), "{counts:?}");
    }

    #[test]
    fn what_is_longer_than_a_pack_has_its_own() {
        assert_eq!(pack(|s| [5, 20, 5][s as usize], &[0, 1, 2], 10), [vec![1], vec![0, 2]]);
        assert!(pack(|_| 1, &[], 10).is_empty());
    }
}
