//! Memory that is used again. The first touch of fresh pages costs more than the arithmetic on them, so what a dropped tensor
//! held goes to the next one. Large buffers are cut out of a few large maps, the lowest place first, and neighbours that are
//! free become one again: sizes may change from batch to batch without leaving pages behind that fit nothing.
#![allow(unsafe_code)]

use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut},
    ptr::NonNull,
    sync::{Arc, Mutex, PoisonError},
};

use memmap2::MmapMut;

/// Numbers from which a buffer is cut out of a map; smaller ones are left to the allocator.
const LARGE: usize = 1 << 13;

/// Numbers of a map, of which only touched pages are in memory.
const MAP: usize = 1 << 24;

/// Buffers begin at lines of the cache, and odd numbers of them keep rows of equal buffers apart.
const ALIGNMENT: usize = 16;

/// A map and which parts of it are free: where they begin, and how long they are. An imagined one has no memory.
struct Arena {
    map: Option<MmapMut>,
    len: usize,
    free: BTreeMap<usize, usize>,
    /// The end of the last part that was ever taken: as much as may be in memory.
    touched: usize,
}

impl Arena {
    fn new(len: usize, is_imagined: bool) -> Option<Self> {
        let n_bytes = len.checked_mul(size_of::<f32>())?;
        let map = if is_imagined { None } else { Some(MmapMut::map_anon(n_bytes).ok()?) };
        Some(Self { map, len, free: [(0, len)].into(), touched: 0 })
    }

    /// The end of the last part that is taken now.
    fn end(&self) -> usize {
        self.free.last_key_value().filter(|(at, free)| *at + *free == self.len).map_or(self.len, |(at, _)| *at)
    }

    /// The lowest free part that is long enough.
    fn take(&mut self, len: usize) -> Option<usize> {
        let (at, found) = self.free.iter().find(|(_, free)| **free >= len).map(|(at, free)| (*at, *free))?;
        self.free.remove(&at);
        if found > len {
            self.free.insert(at + len, found - len);
        }
        self.touched = self.touched.max(at + len);
        Some(at)
    }

    fn give_back(&mut self, mut at: usize, mut len: usize) {
        if let Some(after) = self.free.remove(&(at + len)) {
            len += after;
        }
        if let Some((before, before_len)) = self.free.range(..at).next_back().map(|(b, l)| (*b, *l))
            && before + before_len == at
        {
            self.free.remove(&before);
            (at, len) = (before, before_len + len);
        }
        self.free.insert(at, len);
    }
}

#[derive(Default)]
struct Shelf {
    arenas: Vec<Arena>,
    used_numbers: usize,
    peak_numbers: usize,
    /// Numbers of buffers that the allocator has, now and at most.
    small_numbers: usize,
    small_peak_numbers: usize,
    /// Whether there is no memory behind the maps.
    is_imagined: bool,
}

impl Shelf {
    /// A part of a map for `len` numbers: the map's number, the place in it and its address.
    fn take(&mut self, len: usize) -> Option<Place> {
        let old = self.arenas.iter_mut().enumerate().find_map(|(i, arena)| Some((i, arena.take(len)?)));
        let (arena, at) = match old {
            Some(found) => found,
            None => {
                self.arenas.push(Arena::new(len.max(MAP), self.is_imagined)?);
                let arena = self.arenas.len() - 1;
                (arena, self.arenas.last_mut()?.take(len)?)
            }
        };
        let first = match &mut self.arenas.get_mut(arena)?.map {
            None => NonNull::dangling(),
            Some(map) => {
                let first = NonNull::new(map.as_mut_ptr())?;
                // SAFETY: the part lies inside the map, which begins at a page and stays until the pool is dropped.
                unsafe { first.cast::<f32>().add(at) }
            }
        };
        Some(Place { arena, at, len, first })
    }

    fn count(&mut self, block: &Block) {
        self.used_numbers += block.len();
        self.peak_numbers = self.peak_numbers.max(self.used_numbers);
        if let Block::Vector(numbers) = block {
            self.small_numbers += numbers.len();
            self.small_peak_numbers = self.small_peak_numbers.max(self.small_numbers);
        }
    }
}

/// A part of a map.
struct Place {
    arena: usize,
    at: usize,
    len: usize,
    first: NonNull<f32>,
}

/// Where the numbers of a buffer are.
enum Block {
    Vector(Vec<f32>),
    Part(Place),
}

/// Where free memory lies.
#[derive(Clone, Default)]
pub struct Pool(Arc<Mutex<Shelf>>);

/// `len` numbers from a [`Pool`]; back in the pool when dropped.
pub struct Buffer {
    data: Block,
    len: usize,
    pool: Pool,
}

// SAFETY: a part of a map belongs to one buffer alone, as the numbers of a vector do.
unsafe impl Send for Buffer {}
// SAFETY: shared buffers are only read.
unsafe impl Sync for Buffer {}

/// What is taken for `len` numbers.
fn capacity(len: usize) -> usize {
    (len.div_ceil(ALIGNMENT) | 1) * ALIGNMENT
}

impl Pool {
    /// A buffer whose contents are whatever was there before: for operations that write every number.
    pub fn take(&self, len: usize) -> Buffer {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let part = if len >= LARGE { shelf.take(capacity(len)) } else { None };
        let data = part.map_or_else(|| Block::Vector(vec![0.0; len]), Block::Part);
        shelf.count(&data);
        // There is nothing to read of what is imagined.
        let len = if shelf.is_imagined { 0 } else { len };
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
        let (len, data) = (data.len(), Block::Vector(data));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).count(&data);
        Buffer { len, data, pool: self.clone() }
    }

    /// A pool whose buffers have a size and no memory.
    pub fn imagined() -> Self {
        Self(Arc::new(Mutex::new(Shelf { is_imagined: true, ..Shelf::default() })))
    }

    /// Most bytes that buffers may have in memory: every part of a map up to the last one that was ever taken.
    pub fn held_bytes(&self) -> usize {
        let shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let touched: usize = shelf.arenas.iter().map(|arena| arena.touched).sum();
        (touched + shelf.small_peak_numbers) * size_of::<f32>()
    }

    /// Bytes in use now.
    pub fn used_bytes(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).used_numbers * size_of::<f32>()
    }

    /// Counts anew from what is in use now.
    pub fn forget(&self) {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.arenas.iter_mut().for_each(|arena| arena.touched = arena.end());
        (shelf.peak_numbers, shelf.small_peak_numbers) = (shelf.used_numbers, shelf.small_numbers);
    }

    /// Most bytes that were ever in use at once.
    pub fn peak_bytes(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).peak_numbers * size_of::<f32>()
    }
}

impl Block {
    fn len(&self) -> usize {
        match self {
            Block::Vector(numbers) => numbers.len(),
            Block::Part(place) => place.len,
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut shelf = self.pool.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.used_numbers -= self.data.len();
        if let Block::Vector(numbers) = &self.data {
            shelf.small_numbers -= numbers.len();
        }
        if let Block::Part(Place { arena, at, len, .. }) = &self.data
            && let Some(arena) = shelf.arenas.get_mut(*arena)
        {
            arena.give_back(*at, *len);
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        match &self.data {
            Block::Vector(numbers) => numbers,
            // SAFETY: the part holds at least `len` numbers, was zeros at first, and belongs to this buffer.
            Block::Part(place) => unsafe { std::slice::from_raw_parts(place.first.as_ptr(), self.len) },
        }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        match &mut self.data {
            Block::Vector(numbers) => numbers,
            // SAFETY: as above.
            Block::Part(place) => unsafe { std::slice::from_raw_parts_mut(place.first.as_ptr(), self.len) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: usize = LARGE * 10;

    fn free(pool: &Pool) -> Vec<Vec<(usize, usize)>> {
        let shelf = pool.0.lock().unwrap();
        shelf.arenas.iter().map(|a| a.free.iter().map(|(at, len)| (*at, *len)).collect()).collect()
    }

    #[test]
    fn large_buffers_are_zero_at_first_and_used_again() {
        let pool = Pool::default();
        let mut first = pool.take(N);
        assert!(matches!(first.data, Block::Part(_)) && first.iter().all(|v| *v == 0.0));
        first.fill(1.5);
        let address = first.as_ptr();
        drop(first);
        let again = pool.take(N - 7);
        assert!(again.as_ptr() == address && again.len() == N - 7 && again[N - 8] == 1.5);
    }

    #[test]
    fn buffers_are_apart_and_neighbours_that_are_free_become_one() {
        let pool = Pool::default();
        let mut buffers: Vec<Buffer> = (0..6).map(|i| pool.take(N + 1000 * i)).collect();
        buffers.iter_mut().enumerate().for_each(|(i, b)| b.fill(i as f32));
        assert!(buffers.iter().enumerate().all(|(i, b)| b.iter().all(|v| *v == i as f32)));
        for i in [1, 3, 0, 1, 1, 0] {
            drop(buffers.remove(i));
        }
        assert_eq!(free(&pool), [vec![(0, MAP)]]);
    }

    #[test]
    fn what_fits_no_map_gets_one_of_its_own() {
        let pool = Pool::default();
        let (a, b) = (pool.take(MAP + 5), pool.take(MAP - N));
        assert_eq!((a.len(), b.len(), free(&pool).len()), (MAP + 5, MAP - N, 2));
        assert_eq!(pool.peak_bytes(), 4 * (capacity(MAP + 5) + capacity(MAP - N)));
    }

    #[test]
    fn small_and_adopted_buffers_leave_nothing_behind() {
        let pool = Pool::default();
        (0..50).for_each(|i| drop((pool.adopt(vec![1.0; 100_000]), pool.take(i))));
        assert!(free(&pool).is_empty() && pool.0.lock().unwrap().used_numbers == 0);
    }

    #[test]
    fn many_lengths_do_not_pile_up() {
        let pool = Pool::default();
        for n in 1..200 {
            let (a, b) = (pool.take(n * 10_000), pool.take(n * 5000));
            assert_eq!((a.len(), b.len()), (n * 10_000, n * 5000));
        }
        assert_eq!(free(&pool), [vec![(0, MAP)]]);
    }
}
