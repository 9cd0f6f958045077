//! The labels of a classifier and their order, which decides the number each one has in the model's head.

use std::collections::BTreeSet;

/// Label names by index: whole numbers by value, other names by their characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    names: Vec<String>,
}

impl Labels {
    /// Labels in the order a model already has them.
    pub fn in_order(names: Vec<String>) -> Labels {
        Labels { names }
    }

    /// The different names among `names`, in the order described above.
    pub fn sorted<'a>(names: impl IntoIterator<Item = &'a str>) -> Labels {
        let different: BTreeSet<&str> = names.into_iter().collect();
        let mut names: Vec<String> = different.into_iter().map(str::to_owned).collect();
        if names.iter().all(|name| name.parse::<i64>().is_ok()) {
            names.sort_by_key(|name| name.parse::<i64>().unwrap_or_default());
        }
        Labels { names }
    }

    /// Names by index.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The number of a name.
    pub fn index_of(&self, name: &str) -> Option<u32> {
        self.names.iter().position(|known| known == name).map(|index| index as u32)
    }

    /// The names for a message, the first ones of many.
    pub(crate) fn listed(&self) -> String {
        const MOST: usize = 20;
        let shown: Vec<String> = self.names.iter().take(MOST).map(|name| format!("`{name}`")).collect();
        match self.names.len() {
            0 => "none".to_owned(),
            n if n > MOST => format!("{} and {} more", shown.join(", "), n - MOST),
            _ => shown.join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_sort_by_value_and_words_by_letters() {
        assert_eq!(Labels::sorted(["10", "9", "-1", "9"]).names(), ["-1", "9", "10"]);
        assert_eq!(Labels::sorted(["spam", "ham", "10"]).names(), ["10", "ham", "spam"]);
        assert_eq!(Labels::sorted(["b", "a"]).index_of("b"), Some(1));
        assert_eq!(Labels::sorted(["b"]).index_of("c"), None);
    }
}
