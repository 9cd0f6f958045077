//! Ctrl-C: the first lets the run save and says how to go on; going on ends like a run that was never interrupted.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use lorikeet_tests::{material, terminal::Terminal};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Starts `words` and waits for the line of an event.
fn started(command: &mut Command, event: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap() > 0 {
        if serde_json::from_str::<Value>(&line).unwrap()["event"] == event {
            return (child, lines);
        }
        line.clear();
    }
    panic!("ended before `{event}`: {:?}", child.wait_with_output());
}

#[test]
fn a_stopped_run_goes_on_to_the_same_adapter() {
    let Some(model) = material::tiny_llama() else { return };
    let terminal = Terminal::new();
    material::write_questions(&terminal.path("questions.jsonl"), 60);
    let words = |name: &str| {
        let words = format!(
            "train --json --model {} --data questions.jsonl --steps 1500 --batch-size 2 --threads 1 --max-length 128 \
             --save-every 1000 --evaluate-every 1000 --samples 0 --name {name} --output {name}",
            model.display()
        );
        words.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let whole = terminal.run_words(words("whole")).well();
    assert_eq!(whole.json_lines().last().unwrap()["event"], "completed");

    let (child, lines) = started(&mut terminal.command(words("stopped")), "step");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let last = lines.lines().map(Result::unwrap).last().unwrap();
    assert_eq!(serde_json::from_str::<Value>(&last).unwrap()["event"], "cancelled");
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(told.contains("go on with: lorikeet train --resume stopped"), "{told}");
    assert_eq!(terminal.run("runs show stopped --json").well().json()["status"], "cancelled");

    let differs = terminal.run("train --resume stopped --rank 3").with_code(2);
    assert!(differs.error.contains("`--rank 8`"), "{}", differs.error);
    let resumed = terminal.run("train --json --resume stopped").well();
    assert_eq!(resumed.json_lines().last().unwrap()["event"], "completed");
    let adapter = |name: &str| fs::read(terminal.path(name).join("adapter_model.safetensors")).unwrap();
    assert!(adapter("whole") == adapter("stopped"), "the stopped run ends with another adapter");
    let again = terminal.run("train --json --resume stopped").well();
    assert_eq!(again.json_lines().last().unwrap()["event"], "completed", "a finished run says so again");
}
