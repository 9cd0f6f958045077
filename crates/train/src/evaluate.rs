//! Measures a model on held-out examples: sums over everything, divided once.

use lorikeet_data::{Batch, Prepared, Task};
use lorikeet_models::{Backend, LossSum, Model, Spans, Tokens};

use crate::{Confusion, Judge, Judgement, Measured, PreferenceSums, Ranking, Result, Scores};

/// A batch of examples as the model takes it: what is fed, and what is expected.
pub fn tokens_of(batch: Batch, task: Task) -> (Tokens, Vec<u32>) {
    let Batch { ids, starts, positions, targets, labels, token_types, .. } = batch;
    let tokens = Tokens { ids, positions, token_types, spans: Spans::from_starts(&starts) };
    (tokens, if task == Task::Classify { labels } else { targets })
}

/// Scores of `model` on all of `examples`, which a judge compares where they are preferences. `progress` hears (batches
/// done, batches in all) and may return false to end early, which gives `None`.
///
/// # Errors
/// Where the model refuses a batch.
pub fn evaluate<B: Backend>(
    model: &Model<B>,
    examples: &Prepared,
    measured: (Task, Option<&Judge>),
    batch_size: usize,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Option<Scores>> {
    Ok(measure(model, examples, measured, batch_size, progress)?.map(|measured| measured.scores))
}

/// [`evaluate`] with everything that was counted.
///
/// # Errors
/// As there.
pub fn measure<B: Backend>(
    model: &Model<B>,
    examples: &Prepared,
    (task, judge): (Task, Option<&Judge>),
    batch_size: usize,
    progress: &mut dyn FnMut(u64, u64) -> bool,
) -> Result<Option<Measured>> {
    let order: Vec<u32> = (0..examples.len() as u32).collect();
    let n_batches = order.len().div_ceil(batch_size.max(1)) as u64;
    let (mut loss, mut sums) = (LossSum::default(), PreferenceSums::default());
    let (mut confusion, mut ranking) = (Confusion::new(examples.labels().len()), Ranking::default());
    for (i, chosen) in order.chunks(batch_size.max(1)).enumerate() {
        if !progress(i as u64, n_batches) {
            return Ok(None);
        }
        if let Some(judge) = judge {
            let found = judge.measure(model, examples, chosen)?;
            (loss, sums) = (loss.plus(found.loss()), sums.plus(found.sums));
            continue;
        }
        let (tokens, targets) = tokens_of(examples.batch(chosen), task);
        loss = loss.plus(match task {
            Task::Causal => model.loss(&tokens, &targets)?,
            Task::Classify => classify(model, &tokens, &targets, (&mut confusion, &mut ranking))?,
        });
    }
    progress(n_batches, n_batches);
    if judge.is_some() {
        return Ok(Some(Measured { scores: Judgement::scores(loss, sums), confusion: None, ranking: None }));
    }
    let labels = (task == Task::Classify).then(|| confusion.scores());
    let ranking = (confusion.n_labels() == 2).then_some(ranking);
    let scores = Scores { loss, preference: None, labels };
    Ok(Some(Measured { scores, confusion: labels.map(|_| confusion), ranking }))
}

fn classify<B: Backend>(
    model: &Model<B>,
    tokens: &Tokens,
    labels: &[u32],
    (confusion, ranking): (&mut Confusion, &mut Ranking),
) -> Result<LossSum> {
    let logits = model.logits(tokens)?;
    let (_, n_labels) = model.backend().shape(&logits);
    let numbers = model.backend().download(&logits)?;
    let mut sum = 0.0;
    for (row, label) in numbers.chunks_exact(n_labels).zip(labels) {
        let probabilities = softmax(row);
        let best = (0..n_labels).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap_or(0);
        confusion.add(*label as usize, best);
        if let [_, second] = probabilities.as_slice() {
            ranking.add(*second, *label == 1);
        }
        sum += surprise(&probabilities, *label as usize);
    }
    Ok(LossSum::of(sum, labels.len()))
}

/// `-log p(label)`, in nats; its mean is the log loss.
pub fn surprise(probabilities: &[f64], label: usize) -> f64 {
    -probabilities.get(label).copied().unwrap_or(0.0).ln()
}

/// Probabilities of logits.
pub fn softmax(logits: &[f32]) -> Vec<f64> {
    let top = logits.iter().fold(f32::NEG_INFINITY, |m, v| m.max(*v));
    let powers: Vec<f64> = logits.iter().map(|v| f64::from(v - top).exp()).collect();
    let total: f64 = powers.iter().sum();
    powers.into_iter().map(|p| p / total).collect()
}
