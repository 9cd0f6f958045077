//! What each sub-command asks of `lorikeet_api` and how the answer looks to a person.

mod bench;
mod completions;
mod data;
mod doctor;
mod embed;
mod evaluate;
mod export;
mod generate;
mod models;
mod predict;
mod runs;
mod serve;
mod train;

use std::path::{self, Path, PathBuf};

use lorikeet_api::{
    App,
    wire::{DataImportRequest, DatasetDetails},
};

use crate::{args::Command, failure::Failure, interrupt::Interrupt, print::Printer, progress::WorkBar};

/// What every command that works has at hand.
pub struct Session<'a> {
    /// The engine and its data folder.
    pub app: App,
    /// Where results go.
    pub printer: &'a mut Printer,
    /// Whether the user wants it to end.
    pub interrupt: Interrupt,
}

/// Carries out a command.
///
/// # Errors
/// What failed, or which words were wrong.
pub fn run(command: Command, printer: &mut Printer) -> Result<(), Failure> {
    let open = |printer| Ok::<_, Failure>(Session { app: App::open(None)?, printer, interrupt: Interrupt::listen()? });
    match command {
        Command::Completions { shell } => completions::print(shell, printer),
        Command::Bench(args) => bench::run(args, printer),
        Command::Doctor => doctor::report(printer),
        Command::Data(command) => data::run(&mut open(printer)?, command),
        Command::Train(args) => train::run(&mut open(printer)?, *args),
        Command::Runs(command) => runs::run(&mut open(printer)?, command),
        Command::Evaluate(args) => evaluate::run(&mut open(printer)?, args),
        Command::Generate(args) => generate::run(&mut open(printer)?, args),
        Command::Predict(args) => predict::run(&mut open(printer)?, args),
        Command::Embed(args) => embed::run(&mut open(printer)?, args),
        Command::Export(args) => export::run(&mut open(printer)?, args),
        Command::Serve(args) => serve::run(&mut open(printer)?, args),
        Command::Models(command) => models::run(&mut open(printer)?, command),
    }
}

impl Session<'_> {
    /// Reads a file of examples, showing how far it has come.
    ///
    /// # Errors
    /// Where the file cannot be read or has rows that cannot be used.
    pub fn import(&mut self, request: DataImportRequest) -> Result<DatasetDetails, Failure> {
        let mut bar = WorkBar::new("reading", "bytes", self.printer.wants_json());
        let interrupt = &self.interrupt;
        let imported = lorikeet_api::data::import(&self.app, request, &mut |progress| {
            bar.set(progress.n_bytes, Some(progress.n_bytes_total));
            !interrupt.is_set()
        });
        Ok(imported?)
    }
}

/// A path as the registry keeps it.
fn absolute(path: &Path) -> Result<String, Failure> {
    let whole =
        path::absolute(path).map_err(|error| Failure::words(format!("`{}` is no path: {error}", path.display())))?;
    Ok(whole.display().to_string())
}

/// A name, or the absolute path that was meant: words with a separator in them are paths.
fn name_or_path(word: String) -> Result<String, Failure> {
    let is_path = word.contains(path::is_separator) && !word.starts_with('~');
    if is_path { absolute(&PathBuf::from(word)) } else { Ok(word) }
}

/// A word as a shell takes it back.
fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_./:@%+=,".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_a_separator_are_paths() {
        assert_eq!(name_or_path("starter".into()).unwrap(), "starter");
        assert_eq!(name_or_path("~/model".into()).unwrap(), "~/model");
        let path = name_or_path("models/llama".into()).unwrap();
        assert!(Path::new(&path).is_absolute() && path.ends_with("llama"), "{path}");
    }

    #[test]
    fn a_shell_reads_a_quoted_word_back() {
        assert_eq!(["reviews-1", "my file", "it's", ""].map(quoted), ["reviews-1", "'my file'", r"'it'\''s'", "''"]);
    }
}
