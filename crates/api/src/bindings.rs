//! TypeScript for the window: every wire type and a typed function per command, made from the list of commands.
//!
//! The file is committed as `ui/src/bindings.ts`; a test here compares it, and rewrites it when `LORIKEET_BINDINGS=write`.

use std::fmt::Write as _;

use ts_rs::Config;

use crate::commands::{COMMANDS, TypeTable};

const HEAD: &str = "\
// Generated from the list of commands in crates/api (`cargo xtask bindings`); a test compares it. Do not edit.

/** Calls a command of the host. */
export type Call = (name: string, request: unknown) => Promise<unknown>;
/** Calls a command that tells how it goes on; `signal` ends it. */
export type Stream = (
  name: string,
  request: unknown,
  onUpdate: (update: unknown) => void,
  signal?: AbortSignal,
) => Promise<unknown>;

";

/// The whole TypeScript file.
pub fn bindings() -> String {
    // Sizes and counts stay below 2^53, where a double is exact.
    let config = Config::new().with_large_int("number");
    let mut out = String::from(HEAD);
    for (docs, declaration) in TypeTable::collect(&config).declarations.values() {
        if let Some(docs) = docs {
            out.push_str(docs.trim_start_matches('\n'));
            if !docs.ends_with('\n') {
                out.push('\n');
            }
        }
        out.push_str("export ");
        for line in declaration.trim().lines() {
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out.push('\n');
    }
    push_functions(&mut out, &config);
    out
}

fn push_functions(out: &mut String, config: &Config) {
    out.push_str("/** Commands that answer once. */\nexport const commandsOver = (call: Call) => ({\n");
    for command in COMMANDS.iter().filter(|command| command.update.is_none()) {
        let (request, answer) = ((command.request)(config), (command.answer)(config));
        let parameter =
            if request == "Nothing" { "request: Nothing = {}".to_owned() } else { format!("request: {request}") };
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "  /**{} */\n  {name}: ({parameter}) => call(\"{name}\", request) as Promise<{answer}>,",
            command.doc,
            name = command.name,
        );
    }
    out.push_str(
        "});\n\n/** Commands that tell how they go on. */\nexport const streamsOver = (stream: Stream) => ({\n",
    );
    for command in COMMANDS {
        let Some(update) = command.update else { continue };
        let (request, answer, update) = ((command.request)(config), (command.answer)(config), update(config));
        let _ = writeln!(
            out,
            "  /**{} */\n  {name}: (request: {request}, onUpdate: (update: {update}) => void, signal?: AbortSignal) =>\n    \
             stream(\"{name}\", request, onUpdate as (update: unknown) => void, signal) as Promise<{answer}>,",
            command.doc,
            name = command.name,
        );
    }
    out.push_str("});\n");
}
