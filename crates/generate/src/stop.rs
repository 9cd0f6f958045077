//! Texts that end an answer: found across the borders of tokens, and never shown in part.
//!
//! Of several stop texts the one that is complete first ends the answer (of those, the longest), so that what is given out
//! does not depend on how the text was cut into pieces.

/// Gives text on, holding back what could be the beginning of a stop text.
#[derive(Clone, Debug, Default)]
pub struct StopTexts {
    stops: Vec<String>,
    held: String,
    is_stopped: bool,
}

/// What a piece of text led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Text that can be given out.
    pub text: String,
    /// Whether a stop text was found. Nothing is given out after it.
    pub is_stopped: bool,
}

impl StopTexts {
    /// Looks for `stops`; empty ones are never found.
    pub fn new(stops: &[String]) -> Self {
        Self { stops: stops.iter().filter(|stop| !stop.is_empty()).cloned().collect(), ..Self::default() }
    }

    /// Adds a piece of text and takes out what is certain: nothing any more once a stop text was found.
    pub fn push(&mut self, piece: &str) -> Held {
        if self.is_stopped {
            return Held { text: String::new(), is_stopped: true };
        }
        self.held.push_str(piece);
        if let Some(start) = self.first_stop() {
            let text = self.held.drain(..start).collect();
            self.held.clear();
            self.is_stopped = true;
            return Held { text, is_stopped: true };
        }
        let certain = self.held.len() - self.longest_beginning();
        Held { text: self.held.drain(..certain).collect(), is_stopped: false }
    }

    /// What was held back when the text ended otherwise.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Where the stop text that is complete first begins.
    fn first_stop(&self) -> Option<usize> {
        let found = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str()).map(|at| (at + stop.len(), at)));
        found.min().map(|(_, start)| start)
    }

    /// Bytes at the end of the held text that could begin a stop text.
    fn longest_beginning(&self) -> usize {
        let starts = self.held.char_indices().map(|(at, _)| &self.held[at..]);
        let could_begin = |end: &&str| self.stops.iter().any(|stop| stop.starts_with(*end));
        starts.into_iter().find(could_begin).map_or(0, str::len)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stops(stops: &[&str]) -> StopTexts {
        StopTexts::new(&stops.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
    }

    /// Everything given out for `pieces`, and whether a stop text ended it.
    fn run(mut stops: StopTexts, pieces: &[&str]) -> (String, bool) {
        let mut text = String::new();
        for piece in pieces {
            let held = stops.push(piece);
            text.push_str(&held.text);
            if held.is_stopped {
                return (text, true);
            }
        }
        text.push_str(&stops.finish());
        (text, false)
    }

    #[test]
    fn a_stop_text_across_three_pieces_is_found_and_never_shown() {
        assert_eq!(run(stops(&["\nUser:"]), &["Hello\n", "Us", "er: what"]), ("Hello".to_owned(), true));
    }

    #[test]
    fn what_only_looked_like_a_stop_text_is_given_out_as_soon_as_it_is_certain() {
        let mut stops = stops(&["END"]);
        assert_eq!(stops.push("an E"), Held { text: "an ".to_owned(), is_stopped: false });
        assert_eq!(stops.push("N"), Held::default());
        assert_eq!(stops.push("C"), Held { text: "ENC".to_owned(), is_stopped: false });
    }

    #[test]
    fn the_end_of_the_text_gives_out_what_was_held_back() {
        assert_eq!(run(stops(&["###"]), &["a #", "#"]), ("a ##".to_owned(), false));
    }

    #[test]
    fn the_stop_text_that_is_complete_first_wins() {
        assert_eq!(run(stops(&["abcd", "bc"]), &["xabcd"]), ("xa".to_owned(), true));
        assert_eq!(run(stops(&["bc", "abc"]), &["xabcd"]), ("x".to_owned(), true));
    }

    #[test]
    fn characters_of_several_bytes_are_not_cut() {
        assert_eq!(run(stops(&["é!"]), &["caf", "é", "é", "!"]), ("café".to_owned(), true));
    }

    proptest! {
        #[test]
        fn the_same_text_comes_out_however_it_is_cut(
            text in "[abé]{0,24}",
            wanted in prop::collection::vec("[abé]{1,4}", 0..4),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| *cut.get(&places)).collect();
            cuts.sort_unstable();
            let ends = cuts.iter().copied().chain([text.len()]);
            let pieces: Vec<&str> = cuts.iter().copied().rev().chain([0]).rev().zip(ends).map(|(a, b)| &text[a..b]).collect();
            prop_assert_eq!(pieces.concat(), text.clone());
            let whole = run(StopTexts::new(&wanted), &[&text]);
            prop_assert_eq!(&run(StopTexts::new(&wanted), &pieces), &whole);
            let earliest = wanted.iter().filter_map(|stop| text.find(stop.as_str()).map(|at| at + stop.len())).min();
            prop_assert_eq!(whole.1, earliest.is_some());
            prop_assert!(wanted.iter().all(|stop| !whole.0.contains(stop.as_str())));
            prop_assert!(text.starts_with(&whole.0));
        }
    }
}
