//! Streams under way: which are open, and how one is told that nobody listens any more.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// Open streams by the number their page gave them.
#[derive(Default)]
pub struct Streams(Mutex<HashMap<u64, Arc<AtomicBool>>>);

/// One stream; it is forgotten when this is dropped.
pub struct Stream<'a> {
    streams: &'a Streams,
    id: u64,
    open: Arc<AtomicBool>,
}

impl Streams {
    /// Begins a stream. A number that is taken belongs to a page that is gone: that stream ends.
    pub fn begin(&self, id: u64) -> Stream<'_> {
        let open = Arc::new(AtomicBool::new(true));
        if let Some(before) = self.lock().insert(id, Arc::clone(&open)) {
            before.store(false, Ordering::Relaxed);
        }
        Stream { streams: self, id, open }
    }

    /// Ends one stream; nothing happens when there is none of that number.
    pub fn end(&self, id: u64) {
        if let Some(open) = self.lock().get(&id) {
            open.store(false, Ordering::Relaxed);
        }
    }

    /// Ends all of them.
    pub fn end_all(&self) {
        for (_, open) in self.lock().drain() {
            open.store(false, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<AtomicBool>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stream<'_> {
    /// Whether somebody still listens.
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        let mut streams = self.streams.lock();
        if streams.get(&self.id).is_some_and(|open| Arc::ptr_eq(open, &self.open)) {
            streams.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_open_until_it_is_ended_and_forgotten_when_dropped() {
        let streams = Streams::default();
        let stream = streams.begin(1);
        assert!(stream.is_open());
        streams.end(2);
        assert!(stream.is_open());
        streams.end(1);
        assert!(!stream.is_open());
        drop(stream);
        assert!(streams.lock().is_empty());
    }

    #[test]
    fn a_new_page_may_use_the_numbers_of_the_one_before() {
        let streams = Streams::default();
        let before = streams.begin(1);
        streams.end_all();
        let after = streams.begin(1);
        drop(before);
        assert!(after.is_open());
        streams.end(1);
        assert!(!after.is_open());
    }
}
