//! Words that are wrong: exit code 2, a sentence that names the nearest right one, and nothing made.

use std::fs;

use lorikeet_tests::terminal::{Ended, Terminal};

/// Ends with 2, says `part` on standard error, and leaves the data folder empty.
fn refused(terminal: &Terminal, words: &str, part: &str) -> Ended {
    let ended = terminal.run(words).with_code(2);
    assert!(ended.error.contains(part), "`{words}` says: {}", ended.error);
    assert_eq!(terminal.files(), Vec::<String>::new(), "`{words}` left something");
    ended
}

#[test]
fn unknown_words_are_refused_with_the_nearest() {
    let terminal = Terminal::new();
    refused(&terminal, "trian", "'train'");
    refused(&terminal, "train --model a --data b --learning-rat 1", "'--learning-rate'");
    refused(&terminal, "train --data b", "--model <PATH_OR_NAME>");
    refused(&terminal, "train --model a --data b --epochs 1 --steps 2", "cannot be used with");
}

#[test]
fn values_out_of_range_are_refused_with_the_range() {
    let terminal = Terminal::new();
    refused(&terminal, "train --model a --data b --rank 0", "takes a whole number from 1 to 1024");
    refused(&terminal, "train --model a --data b --learning-rate -1", "takes a number from 0 to 10");
    refused(&terminal, "train --model a --data b --schedule cosin", "cosine");
    refused(&terminal, "generate --model a --prompt b --top-p 2", "takes a number from 0 to 1");
}

#[test]
fn an_unknown_key_in_a_file_is_refused_with_the_nearest() {
    let terminal = Terminal::new();
    fs::write(terminal.path("run.yaml"), "model: a\ndata: b\nlearning_rat: 1e-4\n").unwrap();
    insta::assert_snapshot!(refused(&terminal, "train --config run.yaml", "").error, @"
    error: `run.yaml` has an unknown key: `learning_rat`
    help: did you mean `learning_rate`
    ");
    fs::write(terminal.path("run.yaml"), "model: a\ndata: b\nrank: many\n").unwrap();
    refused(&terminal, "train --config run.yaml", "`rank` takes a whole number");
}

#[test]
fn json_says_the_same_as_a_document() {
    let terminal = Terminal::new();
    let parse = refused(&terminal, "train --json --model a", "--data <FILE_OR_ID>").json();
    assert_eq!(parse["error"]["code"], "invalid_request");
    assert!(parse["error"]["message"].as_str().unwrap().ends_with("--data <FILE_OR_ID>"), "{parse}");
    fs::write(terminal.path("run.yaml"), "model: a\ndata: b\nepoch: 1\n").unwrap();
    let key = refused(&terminal, "train --json --config run.yaml", "`epoch`").json();
    assert_eq!(key["error"]["code"], "unknown_setting");
    assert_eq!(key["error"]["details"]["nearest"], "epochs");
}

#[test]
fn things_that_are_not_there_are_failures_not_wrong_words() {
    let terminal = Terminal::new();
    for words in ["data show nothing", "runs show nothing", "runs cancel nothing", "train --resume nothing"] {
        let error = terminal.run(&format!("{words} --json")).with_code(1).json();
        assert_eq!(error["error"]["code"], "not_found", "{words}");
    }
    let missing = terminal.run("data import nothing.jsonl --json").with_code(1);
    assert_eq!(missing.json()["error"]["code"], "not_found");
    assert!(missing.error.contains("nothing.jsonl"));
}
