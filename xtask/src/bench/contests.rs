//! Who is measured against whom.

use serde_json::{Value, json};

/// One of ours: a workload with settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Entrant {
    /// The workload.
    pub workload: &'static str,
    /// What the figures call it.
    pub precision: String,
    /// Settings of the run that differ.
    pub settings: Vec<(&'static str, &'static str)>,
    /// Variables of its environment.
    pub variables: Vec<(&'static str, &'static str)>,
}

impl Entrant {
    /// A workload as it is.
    pub fn plain(workload: &'static str, precision: &str) -> Self {
        Self { workload, precision: precision.to_owned(), settings: Vec::new(), variables: Vec::new() }
    }

    fn bf16(workload: &'static str) -> Self {
        Self { settings: vec![("precision", "bf16")], ..Self::plain(workload, "bf16") }
    }

    fn without_avx512(workload: &'static str) -> Self {
        Self { variables: vec![WITHOUT_AVX512], ..Self::plain(workload, "f32 without AVX-512") }
    }
}

/// The variable that keeps the engine from the widest instructions.
pub const WITHOUT_AVX512: (&str, &str) = ("LORIKEET_SIMD", "avx2");

/// What ours is measured against.
#[derive(Clone, Debug, PartialEq)]
pub enum Opponent {
    /// A program that `peer.py` knows.
    Program {
        /// Its name there.
        peer: &'static str,
        /// The precision it computes in.
        precision: &'static str,
    },
    /// Another workload of ours.
    Ourselves(Entrant),
}

impl Opponent {
    /// What the figures call it.
    pub fn name(&self) -> String {
        match self {
            Opponent::Program { peer, precision } => format!("{peer} {precision}"),
            Opponent::Ourselves(entrant) => format!("lorikeet {} {}", entrant.workload, entrant.precision),
        }
    }
}

/// A comparison: some of ours against one other, in turns.
#[derive(Clone, Debug, PartialEq)]
pub struct Contest {
    /// The workload whose material the other reads.
    pub workload: &'static str,
    /// Ours.
    pub entrants: Vec<Entrant>,
    /// The other.
    pub opponent: Opponent,
}

/// Every comparison, in the order of the page.
pub fn contests() -> Vec<Contest> {
    let new = |workload, entrants, opponent| Contest { workload, entrants, opponent };
    let peft = |precision| Opponent::Program { peer: "peft", precision };
    let program = |peer, precision| Opponent::Program { peer, precision };
    let plain = Entrant::plain;
    let mut all = Vec::new();
    for (workload, again) in [("a", Some("a-recompute")), ("b", Some("b-recompute")), ("c", None), ("d", None)] {
        let mut ours = vec![plain(workload, "f32"), Entrant::bf16(workload), Entrant::without_avx512(workload)];
        ours.extend(again.map(|name| plain(name, "f32")));
        all.push(new(workload, ours, peft("f32")));
        all.push(new(workload, vec![Entrant::bf16(workload)], peft("bf16")));
    }
    all.push(new("d-recompute", vec![plain("d-recompute", "f32")], peft("f32")));
    let over = vec![plain("e-q8_0", "q8_0"), plain("e-q4_k_m", "q4_k_m")];
    all.push(new("e-q8_0", over, Opponent::Ourselves(plain("b", "f32"))));
    let writing = vec![plain("f-f32", "f32"), plain("f-q8_0", "q8_0"), plain("f-q4_k_m", "q4_k_m")];
    all.push(new("f-f32", writing, program("torch", "f32")));
    all.push(new("f-q8_0", vec![plain("f-q8_0", "q8_0")], program("llama.cpp", "q8_0")));
    all.push(new("f-q4_k_m", vec![plain("f-q4_k_m", "q4_k_m")], program("llama.cpp", "q4_k_m")));
    for (workload, bare, precision) in [
        ("f-f32-adapter", "f-f32", "f32"),
        ("f-q8_0-adapter", "f-q8_0", "q8_0"),
        ("f-q4_k_m-adapter", "f-q4_k_m", "q4_k_m"),
    ] {
        all.push(new(workload, vec![plain(workload, precision)], Opponent::Ourselves(plain(bare, precision))));
    }
    let reading = vec![plain("g-f32", "f32"), plain("g-q8_0", "q8_0"), plain("g-q4_k_m", "q4_k_m")];
    all.push(new("g-f32", reading, program("torch", "f32")));
    all.push(new("g-q8_0", vec![plain("g-q8_0", "q8_0")], program("llama.cpp", "q8_0")));
    all.push(new("g-q4_k_m", vec![plain("g-q4_k_m", "q4_k_m")], program("llama.cpp", "q4_k_m")));
    all.push(new("h", vec![plain("h", "")], program("datasets", "")));
    all
}

/// What `peer.py` is told: the workload as `lorikeet bench --material` describes it, with the peer and its precision.
pub fn assignment(about: &Value, peer: &str, precision: &str) -> Value {
    let mut asked = about.clone();
    if let Some(map) = asked.as_object_mut() {
        map.insert("peer".to_owned(), json!(peer));
        map.insert("precision".to_owned(), json!(precision));
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_has_someone_on_both_sides() {
        let all = contests();
        assert!(all.iter().all(|contest| !contest.entrants.is_empty()));
        let names: Vec<String> = all.iter().map(|contest| contest.opponent.name()).collect();
        assert!(names.contains(&"lorikeet b f32".to_owned()) && names.contains(&"peft bf16".to_owned()));
    }

    #[test]
    fn a_peer_is_told_what_the_workload_is() {
        let told = assignment(&json!({"batch": 2}), "peft", "bf16");
        assert_eq!(told, json!({"batch": 2, "peer": "peft", "precision": "bf16"}));
    }
}
