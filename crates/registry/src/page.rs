//! Long lists in pages: newest first, a limit and a cursor. An offset works too, for doors that count rows, but it walks
//! over all that it skips; a cursor does not.

use std::num::ParseIntError;

/// Where the next page begins. Opaque: print it, hand it back, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub(crate) i64);

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for Cursor {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Cursor)
    }
}

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// At most this many rows; held between 1 and [`Page::MAX_LIMIT`].
    pub limit: u32,
    /// The `next` of the page before; `None` for the first page.
    pub after: Option<Cursor>,
    /// Rows to skip from there.
    pub offset: u64,
}

impl Page {
    /// The most rows one page carries.
    pub const MAX_LIMIT: u32 = 1000;

    /// The newest `limit` rows.
    pub const fn first(limit: u32) -> Page {
        Page { limit, after: None, offset: 0 }
    }

    /// `limit` rows after the newest `offset`.
    pub const fn at(offset: u64, limit: u32) -> Page {
        Page { limit, after: None, offset }
    }

    /// The page that follows a listing's `next`.
    pub const fn after(limit: u32, cursor: Cursor) -> Page {
        Page { limit, after: Some(cursor), offset: 0 }
    }

    /// One row more than the page holds, so that its presence tells whether there is a next page.
    pub(crate) fn n_fetched(self) -> u32 {
        self.n_rows() + 1
    }

    /// Rows are numbered upwards as they come, so a page holds the numbers below this one.
    pub(crate) fn below(self) -> i64 {
        self.after.map_or(i64::MAX, |cursor| cursor.0)
    }

    fn n_rows(self) -> u32 {
        self.limit.clamp(1, Page::MAX_LIMIT)
    }

    /// Cuts `n_fetched` numbered rows into the page and the cursor of the next.
    pub(crate) fn cut<T>(self, mut numbered: Vec<(i64, T)>) -> Listing<T> {
        let n_rows = self.n_rows() as usize;
        let more = numbered.len() > n_rows;
        numbered.truncate(n_rows);
        let next = numbered.last().filter(|_| more).map(|(number, _)| Cursor(*number));
        Listing { rows: numbered.into_iter().map(|(_, row)| row).collect(), next }
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing<T> {
    /// The rows, newest first.
    pub rows: Vec<T>,
    /// Where the next page begins; `None` when this is the last.
    pub next: Option<Cursor>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_where_the_next_begins() {
        let page = Page::first(2);
        assert_eq!(page.n_fetched(), 3);
        let listing = page.cut(vec![(9, "i"), (8, "h"), (5, "e")]);
        assert_eq!(listing.rows, ["i", "h"]);
        assert_eq!(listing.next, Some(Cursor(8)));
        let last = Page::after(2, Cursor(8)).cut(vec![(5, "e")]);
        assert_eq!((last.rows.as_slice(), last.next), (["e"].as_slice(), None));
    }

    #[test]
    fn the_limit_stays_within_bounds() {
        assert_eq!(Page::first(0).n_fetched(), 2);
        assert_eq!(Page::first(u32::MAX).n_fetched(), Page::MAX_LIMIT + 1);
    }

    #[test]
    fn a_cursor_survives_printing() {
        assert_eq!("41".parse(), Ok(Cursor(41)));
        assert_eq!(Cursor(41).to_string(), "41");
        assert!("forty".parse::<Cursor>().is_err());
    }
}
