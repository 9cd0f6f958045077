//! The committed TypeScript bindings are the ones the list of commands makes.

use std::{env, fs, path::PathBuf};

use lorikeet_api::{bindings, commands::COMMANDS};

#[test]
fn committed_bindings_are_current() -> Result<(), Box<dyn std::error::Error>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../ui/src/bindings.ts");
    let made = bindings();
    if env::var("LORIKEET_BINDINGS").is_ok_and(|value| value == "write") {
        fs::write(&path, &made)?;
    }
    let committed = fs::read_to_string(&path)?.replace("\r\n", "\n");
    assert!(committed == made, "ui/src/bindings.ts is not what the commands make: run `cargo xtask bindings`");
    Ok(())
}

#[test]
fn every_command_has_a_name_of_its_own_and_a_sentence() {
    let mut names: Vec<_> = COMMANDS.iter().map(|command| command.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), COMMANDS.len());
    for command in COMMANDS {
        assert!(command.doc.trim().ends_with('.'), "{} has no sentence", command.name);
    }
}

#[test]
fn no_type_is_a_big_integer_in_typescript() {
    assert!(!bindings().contains("bigint"));
}
