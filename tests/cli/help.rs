//! What a stranger reads first.

use lorikeet_tests::terminal::Terminal;

#[test]
fn the_program_explains_itself() {
    insta::assert_snapshot!(Terminal::new().run("--help").well().out);
}

#[test]
fn training_explains_its_main_flags() {
    let help = Terminal::new().run("train -h").well().out;
    // The settings' own words are declared elsewhere and held against `docs/cli.md`.
    insta::assert_snapshot!(help.split("\nLearning:").next().unwrap());
}

#[test]
fn importing_explains_itself() {
    insta::assert_snapshot!(Terminal::new().run("data import --help").well().out);
}

#[test]
fn every_setting_is_in_the_long_help_under_its_heading() {
    let help = Terminal::new().run("train --help").well().out;
    for heading in ["Learning:", "Adapter, ", "Data:", "Saving:", "Computing:"] {
        assert!(help.lines().any(|line| line.starts_with(heading)), "no heading `{heading}`");
    }
    for flag in ["--warmup", "--beta1", "--early-stopping", "--keep-checkpoints", "--recompute"] {
        assert!(help.contains(flag), "no flag `{flag}`");
    }
    assert!(!Terminal::new().run("train -h").well().out.contains("--beta1"), "the short help is not short");
}

#[test]
fn the_version_is_a_line() {
    let version = Terminal::new().run("--version").well().out;
    let expected = format!("lorikeet {}", env!("CARGO_PKG_VERSION"));
    assert!(version.starts_with(&expected) && version.lines().count() == 1, "{version}");
}

#[test]
fn shells_get_completions_that_know_the_settings() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = Terminal::new().run(&format!("completions {shell}")).well().out;
        assert!(script.contains("lorikeet") && script.contains("learning-rate"), "{shell}");
    }
}

#[test]
fn asking_for_help_makes_no_data_folder() {
    let terminal = Terminal::new();
    let _ = terminal.run("train --help").well();
    assert!(!terminal.home().exists());
}
