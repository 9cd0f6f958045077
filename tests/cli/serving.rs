//! The switch from the terminal: it listens on loopback until Ctrl-C and answers for base and tuned by name.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
};

use lorikeet_tests::{material, terminal::Terminal};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

/// Starts serving on a free port; gives the process and what it printed once it listened.
fn serving(terminal: &Terminal, words: &str) -> (Child, Value) {
    let mut command = terminal.command(format!("serve --json --port 0 {words}").split_whitespace());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut text = String::new();
    let status = lines.find_map(|line| {
        text += &line;
        serde_json::from_str(&text).ok()
    });
    match status {
        Some(status) => (child, status),
        None => panic!("no answer: {:?}", child.wait_with_output()),
    }
}

fn stopped(child: Child) {
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
}

fn ask(address: &Value, path: &str, body: &Value) -> Value {
    let url = format!("{}{path}", address.as_str().unwrap());
    ureq::post(&url).send_json(body).unwrap().body_mut().read_json().unwrap()
}

#[test]
fn base_and_tuned_answer_by_name_until_ctrl_c() {
    let Some(model) = material::tiny_llama() else { return };
    let (terminal, model) = (Terminal::new(), model.display());
    material::write_questions(&terminal.path("questions.jsonl"), 20);
    let words = format!(
        "train --json --model {model} --data questions.jsonl --steps 2 --batch-size 2 --threads 1 --max-length 128 --name tuned"
    );
    let _ = terminal.run(&words).well();
    let (child, status) = serving(&terminal, &format!("--model {model} --adapter tuned"));
    assert_eq!(status["running"], true);
    assert!(status["address"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{status}");
    let names: Vec<&str> = status["models"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert!(names.len() == 2 && names.contains(&"tuned"), "{names:?}");

    let health = ureq::get(format!("{}/health", status["address"].as_str().unwrap())).call().unwrap().status();
    assert_eq!(health, 200);
    for name in names {
        let body = json!({"model": name, "messages": [{"role": "user", "content": "What?"}], "max_tokens": 3});
        let answer = ask(&status["address"], "/v1/chat/completions", &body);
        assert_eq!(answer["model"], name, "{answer}");
        assert!(answer["choices"][0]["message"]["content"].is_string(), "{answer}");
    }
    stopped(child);
}

#[test]
fn a_port_that_is_taken_is_a_failure() {
    let Some(model) = material::tiny_llama() else { return };
    let terminal = Terminal::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let words = format!("serve --json --model {} --port {port}", model.display());
    let ended = terminal.run(&words).with_code(1);
    assert_eq!(ended.json()["error"]["code"], "port_in_use", "{}", ended.error);
    assert!(ended.error.contains(&port.to_string()), "{}", ended.error);
}
