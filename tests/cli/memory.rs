//! What a run holds in memory: as much as was foretold, and no more after many steps than after a hundred.

use lorikeet_tests::terminal::Terminal;
use serde_json::Value;

/// Figures of workloads, each measured in a process of its own, by name.
fn measured(words: &str) -> Vec<(String, Value)> {
    let out = Terminal::new().run(&format!("--json bench --no-peak {words}")).well().out;
    let found: Value = serde_json::from_str(&out).unwrap();
    let all = found["measured"].as_array().unwrap().clone();
    all.into_iter().map(|figures| (figures["workload"].as_str().unwrap().to_owned(), figures)).collect()
}

/// The real loop over a model of some size: with everything kept, and with every block computed again.
#[test]
fn a_run_holds_what_was_foretold() {
    let words = "--exactly --only a,a-recompute --steps 2 --threads 2";
    let found = measured(words);
    assert_eq!(found.len(), 2);
    for (name, figures) in found {
        let number = |key: &str| figures[key].as_f64().unwrap();
        let ratio = number("estimated_memory_bytes") / number("peak_memory_bytes");
        assert!((0.9..1.1).contains(&ratio), "{name}: {ratio} of {}", number("peak_memory_bytes"));
    }
}

/// Two thousand steps of a small batch.
#[test]
fn many_steps_hold_what_a_hundred_held() {
    let found = measured("--exactly --only a-long --steps 2000 --threads 2");
    let growth = found[0].1["growth_bytes"].as_i64().unwrap();
    assert!(growth < 1 << 20, "{growth} bytes more after two thousand steps");
}
