//! Data folders that cannot take what is written: a full disk and a read-only folder. Both are mounted in a namespace of
//! their own, so that nothing stays behind; a machine that allows no such mount says that these tests are skipped.

#![cfg(target_os = "linux")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use lorikeet_tests::{
    material,
    terminal::{Ended, Terminal, binary},
};

/// Runs a shell script where mounts are its own; `None` where the machine does not allow it.
fn in_own_namespace(terminal: &Terminal, script: &str, words: &[&str]) -> Option<Output> {
    let flags: &[&str] =
        if rustix::process::geteuid().is_root() { &["--mount"] } else { &["--mount", "--map-root-user"] };
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(flags);
        command
    };
    let probe = unshare().args(["sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"]).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        println!("skipped: this machine allows no mount of its own");
        return None;
    }
    let mut command = unshare();
    command.args(["sh", "-euc", script, "sh"]).arg(binary()).args(words);
    command.current_dir(terminal.path("")).env("LORIKEET_HOME", terminal.home()).env("NO_COLOR", "1");
    Some(command.output().unwrap())
}

/// Ends with 1 and a code, without a word of a panic.
fn failed(output: Output, code: &str) -> Ended {
    let ended = Ended::from(output).with_code(1);
    let last = ended.last_json();
    assert_eq!(last["code"].as_str().or(last["error"]["code"].as_str()), Some(code), "{last}\n{}", ended.error);
    assert!(ended.error.contains("error: ") && !ended.error.contains("panicked"), "{}", ended.error);
    ended
}

/// What the script listed: the files of the data folder after the command.
fn listed(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().filter(|line| !line.contains("registry.sqlite")).map(str::to_owned).collect()
}

const FULL_DISK: &str = r#"
mkdir -p "$LORIKEET_HOME"
mount -t tmpfs -o size="$SIZE" tmpfs "$LORIKEET_HOME"
code=0
if [ -n "$BEFORE" ]; then "$1" $BEFORE >&2; fi
"$@" || code=$?
(cd "$LORIKEET_HOME" && find . -type f) > listed.txt
exit $code
"#;

fn on_a_disk_of(size: &str, before: &str) -> String {
    format!("SIZE={size}; BEFORE='{before}'; {FULL_DISK}")
}

#[test]
fn an_import_onto_a_full_disk() {
    let terminal = Terminal::new();
    material::write_questions(&terminal.path("questions.jsonl"), 60_000);
    let words = ["data", "import", "questions.jsonl", "--json"];
    let Some(output) = in_own_namespace(&terminal, &on_a_disk_of("2m", ""), &words) else { return };
    failed(output, "disk_full");
    assert_eq!(listed(&terminal.path("listed.txt")), Vec::<String>::new(), "half-written");
}

#[test]
fn a_run_that_fills_the_disk() {
    let (terminal, Some(model)) = (Terminal::new(), material::tiny_llama()) else { return };
    material::write_questions(&terminal.path("questions.jsonl"), 30);
    let model = model.display().to_string();
    let words = format!(
        "train --json --model {model} --data questions.jsonl --method full --steps 6 --batch-size 2 --threads 1 --save-every 1 \
         --max-length 128 --keep-checkpoints 100"
    );
    let words: Vec<&str> = words.split_whitespace().collect();
    let Some(output) = in_own_namespace(&terminal, &on_a_disk_of("5m", ""), &words) else { return };
    failed(output, "disk_full");
    let left = listed(&terminal.path("listed.txt"));
    assert!(!left.iter().any(|file| file.contains("partial")), "half-written: {left:?}");
    for checkpoint in left.iter().filter(|file| file.ends_with("lorikeet_state.safetensors")) {
        let folder = checkpoint.trim_end_matches("lorikeet_state.safetensors");
        assert!(left.contains(&format!("{folder}trainer_state.json")), "half a checkpoint: {left:?}");
    }
}

const READ_ONLY: &str = r#"
mkdir -p "$LORIKEET_HOME"
"$1" data list >/dev/null
mount --bind "$LORIKEET_HOME" "$LORIKEET_HOME"
mount -o remount,ro,bind "$LORIKEET_HOME"
exec "$@"
"#;

#[test]
fn a_data_folder_that_cannot_be_written() {
    let terminal = Terminal::new();
    material::write_questions(&terminal.path("questions.jsonl"), 10);
    let words = ["data", "import", "questions.jsonl", "--json"];
    let Some(output) = in_own_namespace(&terminal, READ_ONLY, &words) else { return };
    let ended = failed(output, "read_only");
    assert!(ended.error.contains("LORIKEET_HOME") || ended.error.contains("data folder"), "{}", ended.error);
    assert_eq!(terminal.files(), Vec::<String>::new(), "half-written");

    let doctor =
        in_own_namespace(&terminal, READ_ONLY, &["doctor", "--json"]).map(Ended::from).unwrap().with_code(1).json();
    assert_eq!(doctor["data_folder_writable"], false);
    assert!(doctor["problems"][0].as_str().unwrap().contains("cannot be written"), "{doctor}");
}
