//! Which modules get a low-rank adapter, of which rank and strength: what a person or an `adapter_config.json` says, and how
//! PEFT understands it.

use regex::Regex;

use crate::{ModelError, Result};

/// Which modules are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// Every linear map of the blocks.
    AllLinear,
    /// Modules whose path ends in one of these names.
    Named(Vec<String>),
    /// Modules whose whole path is matched by this regular expression.
    Pattern(String),
}

impl Targets {
    /// The words for messages; several names are joined by commas.
    pub(crate) fn words(&self) -> String {
        match self {
            Targets::AllLinear => "all-linear".to_owned(),
            Targets::Named(names) => names.join(", "),
            Targets::Pattern(pattern) => pattern.clone(),
        }
    }
}

/// A low-rank adaptation.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraSpec {
    /// Rank, `R`.
    pub rank: usize,
    /// The update is multiplied by alpha / R.
    pub alpha: f64,
    /// Modules.
    pub targets: Targets,
    /// Modules that are left out although `targets` names them.
    pub exclude: Option<Targets>,
    /// Layers that are adapted, counted from 0; all without it. Not for [`Targets::Pattern`], which names layers itself.
    pub layers: Option<Vec<usize>>,
    /// Names of the lists that `layers` counts in, such as `h`; the first numbered list of a path without them.
    pub layers_pattern: Vec<String>,
    /// Multiply by alpha / sqrt(R) instead (Kalajdzievski, "rsLoRA", 2023).
    pub rank_stabilised: bool,
    /// Learned lengths of the weights' rows (Liu et al., "DoRA", 2024).
    pub dora: bool,
    /// Share of the adapters' inputs that training drops.
    pub dropout: f64,
    /// Ranks of single modules, by a regular expression for the end of their path; the first that matches counts.
    pub rank_pattern: Vec<(String, usize)>,
    /// Alphas of single modules, in the same way.
    pub alpha_pattern: Vec<(String, f64)>,
    /// Seed of the first values of A; B starts at zero.
    pub seed: u64,
}

impl LoraSpec {
    /// Plain LoRA.
    pub fn new(rank: usize, alpha: f64, targets: Targets, seed: u64) -> Self {
        Self {
            rank,
            alpha,
            targets,
            exclude: None,
            layers: None,
            layers_pattern: Vec::new(),
            rank_stabilised: false,
            dora: false,
            dropout: 0.0,
            rank_pattern: Vec::new(),
            alpha_pattern: Vec::new(),
            seed,
        }
    }

    /// The decisions about single modules.
    ///
    /// # Errors
    /// [`ModelError::BadPattern`] where a pattern is no regular expression.
    pub fn matcher(&self) -> Result<Matcher> {
        let lists = if self.layers_pattern.is_empty() {
            vec![compile(r"^.*?\.[^.]*\.(\d+)\.", "")?]
        } else {
            let list = |name: &String| compile(&format!(r"^(?:.*?\.)?(?:{name})\.(\d+)\."), name);
            self.layers_pattern.iter().map(list).collect::<Result<_>>()?
        };
        Ok(Matcher {
            targets: Names::new(&self.targets)?,
            exclude: self.exclude.as_ref().map(Names::new).transpose()?,
            layers: self.layers.clone().filter(|_| !matches!(self.targets, Targets::Pattern(_))),
            lists,
            ranks: of_ends(&self.rank_pattern)?,
            alphas: of_ends(&self.alpha_pattern)?,
            usual: (self.rank, self.alpha, self.rank_stabilised),
        })
    }
}

/// A [`LoraSpec`] with its patterns compiled.
#[derive(Clone, Debug)]
pub struct Matcher {
    targets: Names,
    exclude: Option<Names>,
    layers: Option<Vec<usize>>,
    /// Each finds the number of a path's layer.
    lists: Vec<Regex>,
    ranks: Vec<(Regex, usize)>,
    alphas: Vec<(Regex, f64)>,
    /// Rank, alpha and rank-stabilisation of the modules that no pattern names.
    usual: (usize, f64, bool),
}

impl Matcher {
    /// Whether the linear map at the module path gets an adapter.
    pub fn covers(&self, path: &str) -> bool {
        let excluded = self.exclude.as_ref().is_some_and(|e| e.mean(path));
        // A whole path among the targets is meant in whatever layer it is.
        !excluded && self.targets.mean(path) && (self.in_layers(path) || self.targets.is_whole(path))
    }

    /// Whether the path lies in one of the layers that are adapted.
    pub(crate) fn in_layers(&self, path: &str) -> bool {
        let Some(layers) = &self.layers else { return true };
        self.layer(path).is_some_and(|layer| layers.contains(&layer))
    }

    /// The first of the layers asked for in which none of `adapted` lies.
    pub(crate) fn layer_without(&self, adapted: &[String]) -> Option<usize> {
        let wanted = self.layers.iter().flatten().copied();
        wanted.into_iter().find(|layer| !adapted.iter().any(|path| self.layer(path) == Some(*layer)))
    }

    fn layer(&self, path: &str) -> Option<usize> {
        self.lists.iter().find_map(|list| list.captures(path)?.get(1)?.as_str().parse().ok())
    }

    /// Rank and factor of the module at `path`.
    pub fn rank_and_scale(&self, path: &str) -> (usize, f32) {
        let (rank, alpha, stabilised) = self.usual;
        let rank = self.ranks.iter().find(|(end, _)| end.is_match(path)).map_or(rank, |(_, r)| *r);
        let alpha = self.alphas.iter().find(|(end, _)| end.is_match(path)).map_or(alpha, |(_, a)| *a);
        let divisor = if stabilised { (rank as f64).sqrt() } else { rank as f64 };
        (rank, (alpha / divisor) as f32)
    }
}

#[derive(Clone, Debug)]
enum Names {
    All,
    Ends(Vec<String>),
    Whole(Regex),
}

impl Names {
    fn new(targets: &Targets) -> Result<Self> {
        Ok(match targets {
            Targets::AllLinear => Names::All,
            Targets::Named(names) => Names::Ends(names.clone()),
            Targets::Pattern(pattern) => Names::Whole(compile(&format!("^(?:{pattern})$"), pattern)?),
        })
    }

    fn mean(&self, path: &str) -> bool {
        match self {
            Names::All => true,
            Names::Ends(names) => names.iter().any(|name| ends_with(path, name)),
            Names::Whole(pattern) => pattern.is_match(path),
        }
    }

    fn is_whole(&self, path: &str) -> bool {
        matches!(self, Names::Ends(names) if names.iter().any(|name| name == path))
    }
}

fn compile(pattern: &str, said: &str) -> Result<Regex> {
    Regex::new(pattern).map_err(|e| {
        // The library's own message draws the pattern over several lines; the last one says why.
        let reason = e.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        ModelError::BadPattern { pattern: said.to_owned(), reason }
    })
}

/// Each pattern for the end of a path.
fn of_ends<T: Copy>(patterns: &[(String, T)]) -> Result<Vec<(Regex, T)>> {
    let end = |(name, value): &(String, T)| Ok((compile(&format!(r"^(?:.*\.)?(?:{name})$"), name)?, *value));
    patterns.iter().map(end).collect()
}

/// A path ends in a module's name when that is all of it or follows a dot.
pub(crate) fn ends_with(path: &str, name: &str) -> bool {
    path.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const Q3: &str = "model.layers.3.self_attn.q_proj";

    fn named(names: &[&str]) -> LoraSpec {
        let names = names.iter().map(|n| (*n).to_owned()).collect();
        LoraSpec::new(8, 16.0, Targets::Named(names), 0)
    }

    #[test]
    fn modules_are_chosen_as_peft_chooses_them() {
        let covers = |spec: LoraSpec, path: &str| spec.matcher().unwrap().covers(path);
        assert!(covers(named(&["q_proj"]), Q3) && !covers(named(&["proj"]), Q3));
        let pattern = |p: &str| LoraSpec { targets: Targets::Pattern(p.to_owned()), ..named(&[]) };
        assert!(covers(pattern(r".*\.(3|4)\..*q_proj"), Q3) && !covers(pattern("q_proj"), Q3));
        let excluded = |e| LoraSpec { exclude: Some(e), ..LoraSpec::new(8, 16.0, Targets::AllLinear, 0) };
        assert!(!covers(excluded(Targets::Named(vec!["layers.3.self_attn.q_proj".to_owned()])), Q3));
        assert!(!covers(excluded(Targets::Pattern(".*q_proj".to_owned())), Q3));
        let layers = |layers: &[usize], list: &[&str]| LoraSpec {
            layers: Some(layers.to_vec()),
            layers_pattern: list.iter().map(|l| (*l).to_owned()).collect(),
            ..named(&["q_proj"])
        };
        assert!(covers(layers(&[1, 3], &[]), Q3) && !covers(layers(&[1, 2], &[]), Q3));
        assert!(covers(layers(&[3], &["layers"]), Q3) && !covers(layers(&[3], &["h"]), Q3));
        let whole = LoraSpec { layers: Some(vec![0]), ..named(&[Q3]) };
        assert!(covers(whole, Q3), "a whole path is meant in any layer");
    }

    #[test]
    fn the_first_pattern_that_matches_counts() {
        let mut spec = named(&["q_proj"]);
        spec.rank_pattern = vec![(r"layers\.3\..*".to_owned(), 2), ("q_proj".to_owned(), 4)];
        spec.alpha_pattern = vec![("k_proj".to_owned(), 1.0)];
        let matcher = spec.matcher().unwrap();
        assert_eq!(matcher.rank_and_scale(Q3), (2, 8.0));
        assert_eq!(matcher.rank_and_scale("model.layers.0.self_attn.q_proj"), (4, 4.0));
        assert_eq!(matcher.rank_and_scale("model.layers.0.self_attn.v_proj"), (8, 2.0));
        spec.rank_stabilised = true;
        assert_eq!(spec.matcher().unwrap().rank_and_scale("model.layers.0.self_attn.q_proj"), (4, 8.0));
    }

    #[test]
    fn a_pattern_that_is_none_is_refused() {
        let spec = LoraSpec { targets: Targets::Pattern("q_(proj".to_owned()), ..named(&[]) };
        let error = spec.matcher().err().unwrap().to_string();
        assert_eq!(error, "`q_(proj` is not a pattern of module names: unclosed group");
    }
}
