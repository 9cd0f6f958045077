//! `lorikeet generate`: an answer, on a terminal as it is written.

use lorikeet_api::wire::{GenerateRequest, Generation, StopReason};

use super::{Session, name_or_path};
use crate::{
    args::{GenerateArgs, Quantize},
    failure::Failure,
    print, units,
};

/// Writes an answer.
pub fn run(session: &mut Session<'_>, args: GenerateArgs) -> Result<(), Failure> {
    let request = GenerateRequest {
        model: name_or_path(args.model)?,
        adapter: args.adapter.map(name_or_path).transpose()?,
        prompt: Some(args.prompt),
        messages: None,
        system: args.system,
        raw: args.raw,
        max_tokens: args.max_tokens,
        temperature: args.temperature,
        top_p: args.top_p,
        top_k: args.top_k,
        stop: (!args.stop.is_empty()).then_some(args.stop),
        seed: args.seed,
        quantize: args.quantize.map(Quantize::wanted),
    };
    let live = !session.printer.wants_json() && print::is_read_live();
    let (printer, interrupt) = (&mut *session.printer, &session.interrupt);
    let mut broken = Ok(());
    let written = lorikeet_api::trying::generate(&session.app, request, &mut |update| {
        if live {
            broken = printer.piece(&update.text);
        }
        broken.is_ok() && !interrupt.is_set()
    })?;
    broken?;
    if live {
        session.printer.line("")?;
        print::note(figures(&written));
        return Ok(());
    }
    session.printer.answer(&written, |written| written.text.clone())
}

fn figures(written: &Generation) -> String {
    let why = match written.stop_reason {
        StopReason::Stop => "ended by itself",
        StopReason::Length => "cut at the longest answer",
        StopReason::Cancelled => "stopped",
    };
    let tokens = units::counted(written.n_tokens, "token", "tokens");
    format!("({tokens}, {}, {why})", units::speed(written.tokens_per_s, "tokens"))
}
