//! What the settings of an adapter mean: names or a regular expression, ranges of layers, ranks and alphas by module.

use std::path::Path;

use lorikeet_models::{AdapterFiles, Targets};
use serde_json::{Value, json};

use crate::{Result, Settings, TrainError};

/// Characters that no module's name has: a name with one of them is a regular expression.
const META: [char; 13] = ['*', '+', '?', '(', ')', '[', ']', '{', '}', '|', '^', '$', '\\'];

/// The modules that a list of words means.
pub(crate) fn targets(words: &[String]) -> Targets {
    match words {
        [pattern] if pattern.contains(META) => Targets::Pattern(pattern.clone()),
        words if words.iter().any(|w| w == "all-linear") => Targets::AllLinear,
        words => Targets::Named(words.to_vec()),
    }
}

/// Most layers a setting may name, far beyond any model.
const MOST_LAYERS: usize = 100_000;

/// The layers that words such as `0-3` and `8` mean, ascending; `None` where a word is not of that form.
pub(crate) fn layers(words: &[String]) -> Option<Vec<usize>> {
    let mut found = Vec::new();
    for word in words {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last || last > MOST_LAYERS {
            return None;
        }
        found.extend(first..=last);
    }
    found.sort_unstable();
    found.dedup();
    Some(found)
}

/// Refuses words that name no layers, ranks that are none, patterns of names that are none, and lists that mix names with
/// patterns.
pub(crate) fn check(s: &Settings) -> Result<()> {
    let conflict = |reason: String| Err(TrainError::Conflict(reason));
    if let Some(words) = s.layers.as_ref().filter(|words| layers(words).is_none()) {
        let words = words.join(",");
        return conflict(format!("`layers` takes numbers and ranges from 0 such as `0-3,8`, not: {words}"));
    }
    if let Some((name, rank)) = s.rank_pattern.0.iter().find(|(_, r)| r.fract() != 0.0 || !(1.0..=1024.0).contains(r)) {
        return conflict(format!("`rank_pattern` takes whole ranks from 1 to 1024, not: {name}={rank}"));
    }
    let lists = [("target_modules", &s.target_modules), ("exclude_modules", &s.exclude_modules)];
    for (setting, words) in lists {
        if let Some(word) = words.iter().filter(|w| w.len() > 1).flatten().find(|w| w.contains(META)) {
            return conflict(format!("`{setting}` takes names or one regular expression, not both: {word}"));
        }
    }
    let is_pattern = s.target_modules.as_deref().is_some_and(|w| matches!(targets(w), Targets::Pattern(_)));
    if is_pattern && s.layers.is_some() {
        return conflict(
            "`layers` goes with names of modules; a regular expression in `target_modules` names the layers itself"
                .to_owned(),
        );
    }
    Ok(())
}

impl Settings {
    /// Takes the shape of the adapter in `folder`, which training goes on from: its rank, alpha, modules and the like.
    /// `asked` names the settings that somebody gave; those must be the adapter's own.
    ///
    /// # Errors
    /// Where there is no adapter, or another shape was asked for.
    pub fn adopt(&mut self, folder: &Path, asked: &dyn Fn(&str) -> bool) -> Result<()> {
        let lora = AdapterFiles::open(folder)?.config.lora;
        let words = |targets: &Targets| match targets {
            Targets::AllLinear => json!(["all-linear"]),
            Targets::Named(names) => json!(names),
            Targets::Pattern(pattern) => json!([pattern]),
        };
        let pattern = |pairs: Vec<String>| json!(pairs);
        let shape = [
            ("rank", json!(lora.rank)),
            ("alpha", json!(lora.alpha)),
            ("target_modules", words(&lora.targets)),
            ("exclude_modules", lora.exclude.as_ref().map_or(Value::Null, words)),
            ("layers", lora.layers.map_or(Value::Null, |l| l.iter().map(usize::to_string).collect())),
            ("rank_pattern", pattern(lora.rank_pattern.iter().map(|(n, r)| format!("{n}={r}")).collect())),
            ("alpha_pattern", pattern(lora.alpha_pattern.iter().map(|(n, a)| format!("{n}={a}")).collect())),
            ("rank_stabilised", json!(lora.rank_stabilised)),
            ("dora", json!(lora.dora)),
        ];
        for (name, value) in shape {
            let mut own = self.clone();
            own.set(name, &value)?;
            let (given, kept) = (sorted(self, name), sorted(&own, name));
            if asked(name) && given != kept {
                return Err(TrainError::Conflict(format!(
                    "the adapter in `{}` has `{name}` {kept}, and {given} was asked for; leave `{name}` out to go on with the adapter, or leave `adapter` out for a fresh one",
                    folder.display()
                )));
            }
            *self = own;
        }
        Ok(())
    }
}

/// The value of a setting; the order of a list means nothing here.
fn sorted(settings: &Settings, name: &str) -> Value {
    let mut value = settings.to_values().remove(name).unwrap_or_default();
    if let Some(list) = value.as_array_mut() {
        list.sort_by_key(Value::to_string);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn layers_are_numbers_and_ranges() {
        assert_eq!(layers(&words("0-2,8,1")), Some(vec![0, 1, 2, 8]));
        for bad in ["a", "3-1", "-1", "1-", "0-99999999"] {
            assert_eq!(layers(&words(bad)), None, "{bad}");
        }
    }

    #[test]
    fn words_are_names_or_a_pattern() {
        assert_eq!(targets(&words("q_proj,v_proj")), Targets::Named(words("q_proj,v_proj")));
        assert_eq!(targets(&words("all-linear")), Targets::AllLinear);
        assert_eq!(targets(&words(r".*\.q_proj")), Targets::Pattern(r".*\.q_proj".to_owned()));
    }

    #[test]
    fn what_does_not_go_together_is_said_with_the_mend() {
        let refused = |changes: Value| {
            let mut settings = Settings::default();
            for (name, value) in changes.as_object().unwrap() {
                settings.set(name, value).unwrap();
            }
            check(&settings).unwrap_err().to_string()
        };
        let layers = refused(json!({"layers": "0-x"}));
        assert_eq!(layers, "`layers` takes numbers and ranges from 0 such as `0-3,8`, not: 0-x");
        let rank = refused(json!({"rank_pattern": "q_proj=1.5"}));
        assert_eq!(rank, "`rank_pattern` takes whole ranks from 1 to 1024, not: q_proj=1.5");
        let mixed = refused(json!({"target_modules": ["q_proj", ".*v"]}));
        assert_eq!(mixed, "`target_modules` takes names or one regular expression, not both: .*v");
        let both = refused(json!({"target_modules": ".*v_proj", "layers": "0"}));
        assert!(both.starts_with("`layers` goes with names of modules"), "{both}");
    }
}
