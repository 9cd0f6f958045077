//! Pulling the plug: `lorikeet train` is killed at twenty moments, in the middle of writing a checkpoint too, and goes on each
//! time. The adapter it ends with is the one of a run that was never interrupted, bit for bit, and the registry is whole
//! after every kill.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use lorikeet_registry::{Registry, RunStatus};
use lorikeet_tests::{material, terminal::Terminal};

/// Kills in all; every fourth waits for a checkpoint that is being written.
const N_KILLS: u64 = 20;
/// Any number; the moments follow from it.
const SEED: u64 = 0x1b2d_9f03_77a1_c5e4;
/// A checkpoint that is being written is looked for this often.
const GLANCE: Duration = Duration::from_micros(200);

/// The next of a fixed sequence of numbers from 0 to 1 (splitmix64).
fn fraction(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = *state;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// One data folder with a dataset and a model, and the words that train on them.
struct Bench {
    terminal: Terminal,
    model: PathBuf,
}

impl Bench {
    fn words(&self, name: &str) -> Vec<String> {
        let words = format!(
            "train --json --data questions --steps 24 --batch-size 2 --learning-rate 5e-3 --rank 4 --threads 1 --seed 11 \
             --max-length 128 --save-every 1 --keep-checkpoints 2 --evaluate-every 8 --samples 0 --name {name} --output {name}"
        );
        let words = words.split_whitespace().map(str::to_owned);
        words.chain(["--model".to_owned(), self.model.display().to_string()]).collect()
    }

    /// Bits of the adapter that a run ended with.
    fn adapter(&self, name: &str) -> Vec<u8> {
        let path = self.terminal.path(name).join("adapter_model.safetensors");
        fs::read(&path).unwrap_or_else(|e| panic!("`{}`: {e}", path.display()))
    }

    fn start(&self, name: &str) -> Child {
        let mut command = self.terminal.command(self.words(name));
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// The registry opens, nothing in it is damaged, and no run is in a state that a dead process left.
    fn check_registry(&self, when: &str) -> Registry {
        let registry = Registry::open(&self.terminal.home().join("registry.sqlite")).unwrap();
        assert_eq!(registry.check().unwrap(), Vec::<String>::new(), "{when}");
        registry
    }
}

/// Whether a checkpoint is being written in the folder of the run `name`.
fn is_saving(home: &Path, name: &str) -> bool {
    let Ok(entries) = home.join("runs").join(name).read_dir() else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().ends_with(".partial"))
}

/// Lets the child work for a while, or until a checkpoint is half-written, then kills it. Says whether it was still at work.
fn kill_at(child: &mut Child, moment: Duration, saving: Option<(&Path, &str)>) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < moment {
        thread::sleep(GLANCE);
    }
    if let Some((home, name)) = saving {
        while !is_saving(home, name) && child.try_wait().unwrap().is_none() {
            thread::sleep(GLANCE);
        }
    }
    let at_work = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    at_work
}

#[test]
fn a_killed_run_goes_on_to_the_same_bits() {
    let Some(model) = material::tiny_llama() else { return };
    let bench = Bench { terminal: Terminal::new(), model };
    material::write_questions(&bench.terminal.path("questions.jsonl"), 40);
    let _ = bench.terminal.run("data import questions.jsonl").well();
    let took = |name: &str| {
        let begun = Instant::now();
        let _ = bench.terminal.run_words(bench.words(name)).well();
        begun.elapsed()
    };
    // The quicker of two, so that a machine that was busy for a moment does not make every kill come too late.
    let mut duration = took("first").min(took("whole"));
    let whole = bench.adapter("whole");
    assert!(whole == bench.adapter("first"), "two uninterrupted runs differ");

    let mut state = SEED;
    let (mut n_at_work, mut n_half_written) = (0, 0);
    for kill in 0..N_KILLS {
        let name = format!("kill-{kill}");
        let moment = duration.mul_f64(fraction(&mut state));
        let home = bench.terminal.home();
        let saving = (kill % 4 == 3).then_some((home.as_path(), name.as_str()));
        let mut child = bench.start(&name);
        let at_work = kill_at(&mut child, moment, saving);
        n_at_work += u64::from(at_work);
        if !at_work {
            // The machine is quicker than it was when the time was taken: the next kill comes earlier.
            duration = duration.mul_f64(0.7);
        }
        n_half_written += u64::from(is_saving(&home, &name));
        let when = format!("kill {kill} after {} ms", moment.as_millis());

        let known = bench.check_registry(&when).runs().get(&name).is_ok();
        let words = if known {
            vec!["train".to_owned(), "--json".to_owned(), "--resume".to_owned(), name.clone()]
        } else {
            bench.words(&name)
        };
        let ended = bench.terminal.run_words(words);
        assert_eq!(ended.code, Some(0), "{when}: {}", ended.error);
        assert_eq!(ended.json_lines().last().unwrap()["event"], "completed", "{when}");
        assert!(bench.adapter(&name) == whole, "{when}: another adapter");
        assert!(!is_saving(&home, &name), "{when}: a half-written checkpoint stayed");
        let row = bench.check_registry(&when).runs().get(&name).unwrap();
        assert_eq!(row.status, RunStatus::Completed, "{when}");
    }
    println!("{n_at_work} of {N_KILLS} kills found the run at work, {n_half_written} a half-written checkpoint");
    assert!(n_at_work >= N_KILLS / 2, "the kills came too late to show anything: {n_at_work}");
    assert!(n_half_written >= 1, "no kill found a half-written checkpoint");
}
