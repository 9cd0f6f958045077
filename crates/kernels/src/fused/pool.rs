//! Buffers that are used again. The first pages of fresh memory cost more than the arithmetic on them, so a buffer goes
//! back to the pool when its tensor is dropped, and the next operation of about that size takes it.
//!
//! Large buffers are maps of their own: what the pool gives back then goes back to the system at once, where an allocator
//! keeps holes between what is still in use (a fifth of a run's memory, measured).

#![allow(unsafe_code)]

use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, PoisonError},
};

use memmap2::MmapMut;

/// Numbers from which a buffer is a map of its own.
const LARGE: usize = 1 << 18;

/// Memory for numbers.
enum Block {
    Vector(Vec<f32>),
    Map(MmapMut),
}

impl Block {
    /// `len` numbers, all zero.
    fn zeros(len: usize) -> Self {
        let map = if len >= LARGE { MmapMut::map_anon(len * size_of::<f32>()).ok() } else { None };
        map.map_or_else(|| Block::Vector(vec![0.0; len]), Block::Map)
    }

    fn len(&self) -> usize {
        self.numbers().len()
    }

    fn numbers(&self) -> &[f32] {
        match self {
            Block::Vector(numbers) => numbers,
            // SAFETY: every bit pattern is an f32; a map begins at a page, so that nothing is cut off.
            Block::Map(map) => unsafe { map.align_to().1 },
        }
    }

    fn numbers_mut(&mut self) -> &mut [f32] {
        match self {
            Block::Vector(numbers) => numbers,
            // SAFETY: as above.
            Block::Map(map) => unsafe { map.align_to_mut().1 },
        }
    }
}

#[derive(Default)]
struct Shelf {
    free: BTreeMap<usize, Vec<Block>>,
    free_numbers: usize,
    used_numbers: usize,
    peak_numbers: usize,
}

/// Where free buffers lie.
#[derive(Clone, Default)]
pub struct Pool(Arc<Mutex<Shelf>>);

/// `len` numbers from a [`Pool`]; back in the pool when dropped.
pub struct Buffer {
    data: Block,
    len: usize,
    pool: Pool,
}

/// A buffer may be up to this many times larger than what is asked for.
const SLACK: usize = 2;

/// Sizes are rounded up to eighths of a power of two, so that batches of nearly the same length share buffers.
fn capacity(len: usize) -> usize {
    let step = (len.next_power_of_two() / 16).max(64);
    len.div_ceil(step) * step
}

impl Pool {
    /// A buffer whose contents are whatever was there before: for operations that write every number.
    pub fn take(&self, len: usize) -> Buffer {
        let need = capacity(len);
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let size = shelf.free.range(need..=need.saturating_mul(SLACK)).next().map(|(size, _)| *size);
        let found = size.and_then(|size| shelf.remove(size));
        let data = found.unwrap_or_else(|| {
            shelf.make_room(need);
            Block::zeros(need)
        });
        shelf.used_numbers += data.len();
        shelf.peak_numbers = shelf.peak_numbers.max(shelf.used_numbers);
        Buffer { data, len, pool: self.clone() }
    }

    /// A buffer of zeros.
    pub fn zeros(&self, len: usize) -> Buffer {
        let mut b = self.take(len);
        b.fill(0.0);
        b
    }

    /// A buffer around numbers made elsewhere.
    pub fn adopt(&self, data: Vec<f32>) -> Buffer {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.make_room(data.len());
        shelf.used_numbers += data.len();
        shelf.peak_numbers = shelf.peak_numbers.max(shelf.used_numbers);
        Buffer { len: data.len(), data: Block::Vector(data), pool: self.clone() }
    }

    /// Most bytes that were ever in use at once.
    pub fn peak_bytes(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).peak_numbers * size_of::<f32>()
    }
}

impl Shelf {
    fn remove(&mut self, size: usize) -> Option<Block> {
        let list = self.free.get_mut(&size)?;
        let data = list.pop();
        if list.is_empty() {
            self.free.remove(&size);
        }
        self.free_numbers -= data.as_ref().map_or(0, Block::len);
        data
    }

    /// Gives free buffers back to the system, smallest first, while used and free together would pass what was once in
    /// use at the same time: batches of many lengths must not each leave their buffers behind.
    fn make_room(&mut self, need: usize) {
        let bound = self.peak_numbers.max(self.used_numbers + need);
        while self.used_numbers + self.free_numbers + need > bound {
            let Some(size) = self.free.keys().next().copied() else { return };
            self.remove(size);
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let data = std::mem::replace(&mut self.data, Block::Vector(Vec::new()));
        let mut shelf = self.pool.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.used_numbers -= data.len();
        shelf.free_numbers += data.len();
        shelf.free.entry(data.len()).or_default().push(data);
    }
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        self.data.numbers().get(..self.len).unwrap_or_default()
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        self.data.numbers_mut().get_mut(..self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_buffer_is_used_again() {
        let pool = Pool::default();
        let first = pool.take(1000);
        let address = first.as_ptr();
        drop(first);
        assert_eq!(pool.take(990).as_ptr(), address);
    }

    #[test]
    fn large_buffers_are_zero_at_first_and_used_again() {
        let pool = Pool::default();
        let mut first = pool.take(LARGE + 1);
        assert!(matches!(first.data, Block::Map(_)) && first.iter().all(|v| *v == 0.0));
        first.fill(1.5);
        let address = first.as_ptr();
        drop(first);
        let again = pool.take(LARGE + 3);
        assert!(again.as_ptr() == address && again.len() == LARGE + 3 && again[LARGE] == 1.5);
    }

    #[test]
    fn adopted_buffers_do_not_pile_up() {
        let pool = Pool::default();
        (0..50).for_each(|_| drop(pool.adopt(vec![1.0; 1000])));
        assert_eq!(pool.0.lock().unwrap().free_numbers, 1000);
    }

    #[test]
    fn many_lengths_do_not_pile_up() {
        let pool = Pool::default();
        for n in 1..200 {
            let (a, b) = (pool.take(n * 1000), pool.take(n * 500));
            assert_eq!((a.len(), b.len()), (n * 1000, n * 500));
        }
        let shelf = pool.0.lock().unwrap();
        assert!(shelf.free_numbers <= shelf.peak_numbers, "{} > {}", shelf.free_numbers, shelf.peak_numbers);
    }
}
