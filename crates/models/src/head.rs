//! The head of a decoder: final norm, projection onto the vocabulary or onto classes, cross-entropy. Logits exist only for
//! tokens that are supervised, and only a chunk of rows at a time; their gradient is computed in the same pass.

use lorikeet_kernels::{Backend, Objective};

use crate::{
    DecoderSpec, Result,
    build::{Builder, FreshHead},
    leaf::{Context, Gradients, Leaf},
    names::DecoderNames,
    norm::Norm,
};

/// Marks a token that is not supervised.
pub(crate) const IGNORED: u32 = u32::MAX;

/// Logits that exist at a time, and the rows that this must amount to at least (the weight is read twice for each chunk) and
/// at most.
const LOGITS_PER_CHUNK: usize = 1 << 23;
const ROWS_PER_CHUNK: (usize, usize) = (192, 1024);

/// Final norm and projection; `weight` is absent where the embedding serves.
pub(crate) struct CausalHead<B: Backend> {
    norm: Norm<B>,
    weight: Option<Leaf<B>>,
    cap: Option<f32>,
    rows_per_chunk: usize,
}

impl<B: Backend> CausalHead<B> {
    /// With `classes` the head of a classifier, which is trained and saved whole, without one that of the vocabulary.
    pub fn new(b: &mut Builder<'_, B>, spec: &DecoderSpec, classes: Option<(usize, FreshHead)>) -> Result<Self> {
        let names = DecoderNames::of(spec.naming);
        let norm = Norm::new(b, spec.norm, &names.path(names.final_norm), spec.width, spec.norm_eps)?;
        let name = |module: &str| format!("{module}.weight");
        let weight = match classes {
            Some((n, start)) => Some(b.head_matrix(&name(DecoderNames::SCORE), n, spec.width, start)?),
            None if spec.tied => None,
            None => Some(b.matrix(name(DecoderNames::HEAD), spec.vocabulary, spec.width)?),
        };
        let (least, most) = ROWS_PER_CHUNK;
        let n_logits = classes.map_or(spec.vocabulary, |(n, _)| n);
        let rows_per_chunk = (LOGITS_PER_CHUNK / n_logits.max(1)).clamp(least, most);
        Ok(Self { norm, weight, cap: spec.logit_cap.filter(|_| classes.is_none()), rows_per_chunk })
    }

    /// Hidden rows (N, C) behind the final norm.
    pub fn normed(&self, ctx: Context<'_, B>, hidden: &B::Tensor) -> Result<B::Tensor> {
        self.norm.forward(ctx, hidden)
    }

    /// Logits (N, V) of hidden rows (N, C), or (N, K) of K classes.
    pub fn logits(&self, ctx: Context<'_, B>, embedding: &Leaf<B>, hidden: &B::Tensor) -> Result<B::Tensor> {
        let n = self.norm.forward(ctx, hidden)?;
        let weight = self.weight.as_ref().unwrap_or(embedding);
        let mut logits = ctx.backend.matmul_nt(&n, weight.get(ctx))?;
        if let Some(cap) = self.cap {
            ctx.backend.softcap(&mut logits, cap)?;
        }
        Ok(logits)
    }

    /// Sum of the objective's losses over supervised rows; with `grads`, also the gradient (N, C) of `scale` times that sum.
    pub fn loss(
        &self,
        ctx: Context<'_, B>,
        embedding: &Leaf<B>,
        (hidden, targets): (&B::Tensor, &[u32]),
        (objective, scale): (&Objective, f32),
        grads: Option<&mut Gradients<B>>,
    ) -> Result<(f64, Option<B::Tensor>)> {
        let mut sum = 0.0;
        let entropy = |logits: &mut B::Tensor, _: &[u32], chosen: &[u32]| {
            sum += ctx.backend.cross_entropy(logits, chosen, objective, scale)?;
            Ok(())
        };
        let dhidden = self.each_chunk(ctx, embedding, (hidden, targets), grads, entropy)?;
        Ok((sum, dhidden))
    }

    /// `-log p(target)` of every row (0 where nothing is supervised), N; with `grads`, also the gradient (N, C) of the sum of
    /// these, each times its weight.
    pub fn row_losses(
        &self,
        ctx: Context<'_, B>,
        embedding: &Leaf<B>,
        (hidden, targets): (&B::Tensor, &[u32]),
        weights: &[f32],
        grads: Option<&mut Gradients<B>>,
    ) -> Result<(Vec<f64>, Option<B::Tensor>)> {
        let mut losses = vec![0.0; targets.len()];
        let entropy = |logits: &mut B::Tensor, rows: &[u32], chosen: &[u32]| {
            let weights: Vec<f32> = rows.iter().map(|row| weights[*row as usize]).collect();
            let found = ctx.backend.row_cross_entropy(logits, chosen, &weights)?;
            rows.iter().zip(found).for_each(|(row, loss)| losses[*row as usize] = loss);
            Ok(())
        };
        let dhidden = self.each_chunk(ctx, embedding, (hidden, targets), grads, entropy)?;
        Ok((losses, dhidden))
    }

    /// Hands the logits of supervised rows to `entropy`, a chunk of rows at a time with their numbers and targets; it leaves
    /// their gradient in them, from which that of the hidden rows (N, C) is made where `grads` are wanted.
    fn each_chunk(
        &self,
        ctx: Context<'_, B>,
        embedding: &Leaf<B>,
        (hidden, targets): (&B::Tensor, &[u32]),
        mut grads: Option<&mut Gradients<B>>,
        mut entropy: impl FnMut(&mut B::Tensor, &[u32], &[u32]) -> Result<()>,
    ) -> Result<Option<B::Tensor>> {
        let be = ctx.backend;
        let supervised: Vec<u32> = (0..targets.len() as u32).filter(|i| targets[*i as usize] != IGNORED).collect();
        let (rows, cols) = be.shape(hidden);
        let mut dhidden = if grads.is_some() { Some(be.zeros(rows, cols)?) } else { None };
        let n_chunks = supervised.len().div_ceil(self.rows_per_chunk).max(1);
        for rows in supervised.chunks(supervised.len().div_ceil(n_chunks).max(1)) {
            let chosen: Vec<u32> = rows.iter().map(|i| targets[*i as usize]).collect();
            let x = be.gather_rows(hidden, rows)?;
            let n = self.norm.forward(ctx, &x)?;
            let weight = self.weight.as_ref().unwrap_or(embedding);
            let mut logits = be.matmul_nt(&n, weight.get(ctx))?;
            if let Some(cap) = self.cap {
                be.softcap(&mut logits, cap)?;
            }
            // The loss leaves its gradient where the logits were.
            let capped = match (self.cap, &grads) {
                (Some(cap), Some(_)) => Some((cap, be.duplicate(&logits)?)),
                _ => None,
            };
            entropy(&mut logits, rows, &chosen)?;
            let (Some(grads), Some(dhidden)) = (grads.as_deref_mut(), dhidden.as_mut()) else { continue };
            if let Some((cap, capped)) = capped {
                be.softcap_backward(&capped, &mut logits, cap)?;
            }
            if let Some(dw) = weight.gradient(grads) {
                be.add_matmul_tn(dw, 1.0, &logits, &n)?;
            }
            let dn = be.matmul_nn(&logits, weight.get(ctx))?;
            let dx = self.norm.backward(ctx, grads, &x, &dn)?;
            be.scatter_add_rows(dhidden, rows, &dx)?;
        }
        Ok(dhidden)
    }
}
