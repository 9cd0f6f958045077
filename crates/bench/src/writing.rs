//! Writing and reading with a loaded model, through the same executor that answers a person.

use std::time::Instant;

use lorikeet_data::Tokenizer;
use lorikeet_generate::GenerateSettings;
use lorikeet_jobs::{Executor, Failure, Place, Source, cpu_seconds, open};

use crate::measured::Lap;
use crate::{Material, Measured, Options, Work, Workload, examples, operations};

/// Tokens of the prompt before a text that is written.
pub const PROMPT: usize = 32;
/// Tokens written.
pub const WRITTEN: usize = 128;

/// Figures of a workload that writes or reads.
pub fn measure(workload: &Workload, material: &Material, options: &Options) -> Result<Measured, Failure> {
    let source =
        Source { folder: material.model.clone(), adapter: material.adapter.clone(), n_labels: None, quantise: None };
    let tokenizer = Tokenizer::open(&material.model)?;
    let mut model = open(&source, Place::Cpu, Some(options.threads))?;
    let (n_prompt, n_written, n_tokens) = match workload.work {
        Work::Read { tokens } => (tokens, 1, tokens),
        _ => (PROMPT, WRITTEN, WRITTEN - 1),
    };
    let prompt = tokenizer.encode(&examples::text(&workload.shape, n_prompt, 0), false)?.ids;
    let mut laps = Vec::new();
    lap(&mut *model, &tokenizer, &prompt, n_written.min(8))?;
    loop {
        laps.push(lap(&mut *model, &tokenizer, &prompt, n_written)?);
        let is_enough = match options.steps {
            Some(steps) => laps.len() as u64 >= steps,
            None => laps.iter().map(|lap| lap.0).sum::<f64>() >= options.seconds,
        };
        if is_enough {
            break;
        }
    }
    let reading = matches!(workload.work, Work::Read { .. });
    let operations = reading.then(|| operations::of_reading(&workload.shape, n_prompt));
    Ok(Measured { operations, ..Measured::of(workload, options, n_tokens as u64, &laps) })
}

/// The time from the first token on; of a single token, the time until it is there.
fn lap(model: &mut dyn Executor, tokenizer: &Tokenizer, prompt: &[u32], n: usize) -> Result<Lap, Failure> {
    let settings = GenerateSettings { max_tokens: n, ..GenerateSettings::default() };
    let (start, cpu_start) = (Instant::now(), cpu_seconds());
    let (mut first, mut last) = ((0.0, 0.0), (0.0, 0.0));
    model.generate(true, prompt, &settings, tokenizer, &mut |update| {
        last = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu_start);
        if update.n_tokens == 1 && n > 1 {
            first = last;
        }
        true
    })?;
    Ok((last.0 - first.0, last.1 - first.1))
}
