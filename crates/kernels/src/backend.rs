//! The list of operations that a device must offer, with their mathematics. Activations are two-dimensional, row-major
//! tensors of 32-bit floats: one row per token (`N`), one column per channel (`C`). Weights are `out` x `in`, as they lie
//! in files, in any [`Precision`](crate::Precision); products widen them, nothing else accepts a narrow tensor.

use std::ops::Range;

use crate::{HostMatrix, Objective, Result, random::Stream};

/// A point-wise non-linearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x * sigmoid(x)`.
    Silu,
    /// `x * Phi(x)` with the exact normal distribution function.
    Gelu,
    /// The hyperbolic-tangent approximation of [`Activation::Gelu`].
    GeluTanh,
    /// `max(x, 0)`.
    Relu,
    /// `tanh(x)`.
    Tanh,
}

/// The sizes of an attention: `H` query heads over `G` key/value heads of `D` channels each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionShape {
    /// Query heads, `H`.
    pub heads: usize,
    /// Key and value heads, `G`; divides `H`.
    pub kv_heads: usize,
    /// Channels of a head, `D`.
    pub head_dim: usize,
    /// A query sees only keys at its own place or before.
    pub causal: bool,
    /// Multiplies the scores before the softmax; usually `1 / sqrt(D)`.
    pub scale: f32,
    /// A query sees only keys that are fewer places away than this, its own place counted.
    pub window: Option<usize>,
    /// A scaled score `s` becomes `cap tanh(s / cap)` before the softmax.
    pub softcap: Option<f32>,
}

impl AttentionShape {
    /// Every head with keys and values of its own, each query seeing every key: an encoder's attention.
    pub fn full(heads: usize, head_dim: usize) -> Self {
        let scale = 1.0 / (head_dim as f32).sqrt();
        Self { heads, kv_heads: heads, head_dim, causal: false, scale, window: None, softcap: None }
    }

    /// The keys, counted from the first of a sequence, that its query `n` sees; the last query stands at the last key.
    pub fn visible(&self, n: usize, n_queries: usize, n_keys: usize) -> Range<usize> {
        let place = (n_keys + n).saturating_sub(n_queries);
        let start = self.window.map_or(0, |window| (place + 1).saturating_sub(window));
        match (self.causal, self.window) {
            (true, _) => start..place + 1,
            (false, Some(window)) => start..n_keys.min(place.saturating_add(window)),
            (false, None) => 0..n_keys,
        }
    }

    /// Whether so many queries of one sequence can stand among so many keys.
    pub(crate) fn places(&self, n_queries: usize, n_keys: usize) -> bool {
        if self.causal || self.window.is_some() { n_queries <= n_keys } else { n_keys > 0 }
    }

    /// Whether the sizes go together.
    pub(crate) fn is_whole(&self) -> bool {
        let heads = self.kv_heads > 0 && self.heads.is_multiple_of(self.kv_heads);
        heads && self.head_dim > 0 && self.window != Some(0)
    }
}

/// Which rows belong to one sequence. Sequence `s` has the query rows `queries[s]` and sees the key rows `keys[s]`; the
/// last query stands at the last key, so that queries may be fewer than keys (a key/value cache). Sequences never see
/// each other: a batch is ragged, without padding. Rows ascend from sequence to sequence without overlap; rows of no
/// sequence are zero in what attention returns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    /// Query rows of each sequence.
    pub queries: Vec<Range<usize>>,
    /// Key rows of each sequence.
    pub keys: Vec<Range<usize>>,
}

impl Spans {
    /// Sequences that lie one behind the other: sequence `s` is `starts[s]..starts[s + 1]`, keys and queries alike.
    pub fn from_starts(starts: &[usize]) -> Self {
        let rows: Vec<Range<usize>> = starts.windows(2).map(|w| w[0]..w[1]).collect();
        Self { queries: rows.clone(), keys: rows }
    }
}

/// The numbers of one AdamW step (Loshchilov and Hutter, 2019), as PyTorch computes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Number of this step, from 1.
    pub step: u64,
    /// Multiplies the gradient first (clipping).
    pub gradient_scale: f64,
}

/// One product of a sum: `factor x wᵀ`, or `factor x w`.
pub struct Term<'a, T> {
    /// Multiplies the product.
    pub factor: f32,
    /// Left operand (N, k).
    pub x: &'a T,
    /// Right operand, which may be narrow: (n, k) where it is transposed, (k, n) where it is not.
    pub w: &'a T,
    /// Whether rows of `w` are columns of the result.
    pub transposed: bool,
}

impl<T> Clone for Term<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Term<'_, T> {}

/// [`Backend::sum_of_products`], one operation after the other.
pub(crate) fn one_by_one<B: Backend>(
    b: &B,
    onto: Option<B::Tensor>,
    first: Term<'_, B::Tensor>,
    more: &[Term<'_, B::Tensor>],
    bias: Option<&B::Tensor>,
) -> Result<B::Tensor> {
    let add = |sum: &mut B::Tensor, t: Term<'_, B::Tensor>| match t.transposed {
        true => b.add_matmul_nt(sum, t.factor, t.x, t.w),
        false => b.add_matmul_nn(sum, t.factor, t.x, t.w),
    };
    let mut sum = match onto {
        Some(mut sum) => {
            add(&mut sum, first)?;
            sum
        }
        None => {
            let mut product =
                if first.transposed { b.matmul_nt(first.x, first.w) } else { b.matmul_nn(first.x, first.w) }?;
            if first.factor != 1.0 {
                b.scale(&mut product, first.factor)?;
            }
            product
        }
    };
    more.iter().try_for_each(|term| add(&mut sum, *term))?;
    bias.map_or(Ok(()), |bias| b.add_bias(&mut sum, bias))?;
    Ok(sum)
}

/// A device and its operations. Every operation that returns a tensor returns a new one; `&mut` operands change in place.
pub trait Backend: Send + Sync + Sized {
    /// A two-dimensional tensor on this device.
    type Tensor: Send + Sync;

    /// A name for the registry and the log, such as `cpu` or `cuda:0`.
    fn device_name(&self) -> String;

    /// Runs `work` on this device's worker threads, so that the operations inside need not change threads one by one.
    fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R;

    // ---- moving data

    /// A tensor of `rows` x `cols` from host numbers.
    fn upload(&self, data: Vec<f32>, rows: usize, cols: usize) -> Result<Self::Tensor>;
    /// A frozen weight, kept in the precision it has.
    fn weight(&self, matrix: &HostMatrix) -> Result<Self::Tensor>;
    /// A tensor of zeros.
    fn zeros(&self, rows: usize, cols: usize) -> Result<Self::Tensor>;
    /// A copy as owned 32-bit floats.
    fn duplicate(&self, x: &Self::Tensor) -> Result<Self::Tensor>;
    /// The numbers, row by row.
    fn download(&self, x: &Self::Tensor) -> Result<Vec<f32>>;
    /// Overwrites `x` with host numbers of the same shape.
    fn overwrite(&self, x: &mut Self::Tensor, data: &[f32]) -> Result<()>;
    /// Rows and columns.
    fn shape(&self, x: &Self::Tensor) -> (usize, usize);

    // ---- products; `w` may be narrow

    /// `y = x wᵀ`: (N, in) with (out, in) to (N, out).
    fn matmul_nt(&self, x: &Self::Tensor, w: &Self::Tensor) -> Result<Self::Tensor>;
    /// `y = x wᵀ` for each weight of one input: a device may compute them together.
    fn matmul_nt_each(&self, x: &Self::Tensor, weights: &[&Self::Tensor]) -> Result<Vec<Self::Tensor>> {
        weights.iter().map(|w| self.matmul_nt(x, w)).collect()
    }
    /// `y = x w`: (N, out) with (out, in) to (N, in).
    fn matmul_nn(&self, x: &Self::Tensor, w: &Self::Tensor) -> Result<Self::Tensor>;
    /// `y += alpha x wᵀ`.
    fn add_matmul_nt(&self, y: &mut Self::Tensor, alpha: f32, x: &Self::Tensor, w: &Self::Tensor) -> Result<()>;
    /// `y += alpha x w`.
    fn add_matmul_nn(&self, y: &mut Self::Tensor, alpha: f32, x: &Self::Tensor, w: &Self::Tensor) -> Result<()>;
    /// Whether products of so many rows with several weights are faster through [`Backend::matmul_nt_each`] than as sums.
    fn joins_products(&self, _rows: usize) -> bool {
        false
    }
    /// `[onto +] first + more [+ bias]`, each number written once where a device can; `bias` is (1, n).
    fn sum_of_products(
        &self,
        onto: Option<Self::Tensor>,
        first: Term<'_, Self::Tensor>,
        more: &[Term<'_, Self::Tensor>],
        bias: Option<&Self::Tensor>,
    ) -> Result<Self::Tensor> {
        one_by_one(self, onto, first, more, bias)
    }
    /// `g += alpha xᵀ y`: (N, a) with (N, b) onto (a, b). The gradient of a weight.
    fn add_matmul_tn(&self, g: &mut Self::Tensor, alpha: f32, x: &Self::Tensor, y: &Self::Tensor) -> Result<()>;

    // ---- rows

    /// `y[n] = table[rows[n]]`; the table may be narrow. Embedding, and the choice of supervised tokens.
    fn gather_rows(&self, table: &Self::Tensor, rows: &[u32]) -> Result<Self::Tensor>;
    /// `g[rows[n]] += x[n]`, in the order of `n`. The backward of [`Backend::gather_rows`].
    fn scatter_add_rows(&self, g: &mut Self::Tensor, rows: &[u32], x: &Self::Tensor) -> Result<()>;
    /// `target[rows[n]] = x[n]`. A key/value cache takes new rows this way.
    fn write_rows(&self, target: &mut Self::Tensor, rows: &[u32], x: &Self::Tensor) -> Result<()>;

    /// The columns `columns` of `x`: one of several results that were computed as one.
    fn columns(&self, x: &Self::Tensor, columns: Range<usize>) -> Result<Self::Tensor>;
    /// `parts` side by side, which have equally many rows. The backward of [`Backend::columns`].
    fn join_columns(&self, parts: &[&Self::Tensor]) -> Result<Self::Tensor>;

    // ---- element-wise

    /// `y += x`.
    fn add(&self, y: &mut Self::Tensor, x: &Self::Tensor) -> Result<()>;
    /// `y = alpha y`.
    fn scale(&self, y: &mut Self::Tensor, alpha: f32) -> Result<()>;
    /// `y[n] += bias` for every row; `bias` is (1, C).
    fn add_bias(&self, y: &mut Self::Tensor, bias: &Self::Tensor) -> Result<()>;
    /// `g += sum over n of dy[n]`; `g` is (1, C). The backward of [`Backend::add_bias`].
    fn add_bias_grad(&self, g: &mut Self::Tensor, dy: &Self::Tensor) -> Result<()>;
    /// `y[n] *= factors` for every row; `factors` is (1, C).
    fn scale_columns(&self, y: &mut Self::Tensor, factors: &Self::Tensor) -> Result<()>;
    /// `g += sum over n of x[n] * y[n]`; `g` is (1, C). The gradient of the factors of [`Backend::scale_columns`].
    fn add_column_products(&self, g: &mut Self::Tensor, x: &Self::Tensor, y: &Self::Tensor) -> Result<()>;
    /// Each number of `x` becomes zero with probability `rate` and is divided by `1 - rate` otherwise (Srivastava et al.,
    /// 2014). Number `i` of `stream` decides about number `i`, row by row, so that every device drops the same ones and
    /// the operation is its own backward. `rate` is below 1.
    fn dropout(&self, x: &Self::Tensor, rate: f32, stream: Stream) -> Result<Self::Tensor>;
    /// `f(x)`.
    fn activate(&self, f: Activation, x: &Self::Tensor) -> Result<Self::Tensor>;
    /// `dx = dy * f'(x)`.
    fn activate_backward(&self, f: Activation, x: &Self::Tensor, dy: &Self::Tensor) -> Result<Self::Tensor>;
    /// `h = f(gate) * up`.
    fn gated(&self, f: Activation, gate: &Self::Tensor, up: &Self::Tensor) -> Result<Self::Tensor>;
    /// `(dgate, dup)` of [`Backend::gated`].
    fn gated_backward(
        &self,
        f: Activation,
        gate: &Self::Tensor,
        up: &Self::Tensor,
        dh: &Self::Tensor,
    ) -> Result<(Self::Tensor, Self::Tensor)>;

    /// `y = cap tanh(y / cap)`.
    fn softcap(&self, y: &mut Self::Tensor, cap: f32) -> Result<()>;
    /// `dy *= 1 - (y / cap)²`, where `y` is what [`Backend::softcap`] made.
    fn softcap_backward(&self, y: &Self::Tensor, dy: &mut Self::Tensor, cap: f32) -> Result<()>;

    // ---- norms

    /// `y = x / sqrt(mean(x²) + eps) * w` over groups of `D` columns, where `w` is (1, D) and `D` divides `C`
    /// (`D = C`: a layer's norm; `D` = head size: the norm of queries and keys). Zhang and Sennrich, 2019.
    fn rms_norm(&self, x: &Self::Tensor, w: &Self::Tensor, eps: f32) -> Result<Self::Tensor>;
    /// `dx` of [`Backend::rms_norm`]; adds the weight's gradient to `dw` where it is trained.
    fn rms_norm_backward(
        &self,
        x: &Self::Tensor,
        w: &Self::Tensor,
        eps: f32,
        dy: &Self::Tensor,
        dw: Option<&mut Self::Tensor>,
    ) -> Result<Self::Tensor>;
    /// `y = (x - mean(x)) / sqrt(var(x) + eps) * w + b` over each row. Ba, Kiros and Hinton, 2016.
    fn layer_norm(&self, x: &Self::Tensor, w: &Self::Tensor, b: &Self::Tensor, eps: f32) -> Result<Self::Tensor>;
    /// `dx` of [`Backend::layer_norm`]; adds to `(dw, db)` where they are trained.
    fn layer_norm_backward(
        &self,
        x: &Self::Tensor,
        w: &Self::Tensor,
        eps: f32,
        dy: &Self::Tensor,
        grads: Option<(&mut Self::Tensor, &mut Self::Tensor)>,
    ) -> Result<Self::Tensor>;

    // ---- attention

    /// Rotates the halves of the first channels of each head: `(a, b) -> (a cos - b sin, b cos + a sin)` (Su et al., 2021, in
    /// the half-split form of published weights). `cos` and `sin` are (N, R / 2), an angle per row and pair of channels; of
    /// the `head_dim` channels of a head the first `R` are rotated. With `backward` the map is transposed, which negates the
    /// angles.
    fn rotate(
        &self,
        x: &mut Self::Tensor,
        cos: &Self::Tensor,
        sin: &Self::Tensor,
        head_dim: usize,
        backward: bool,
    ) -> Result<()>;
    /// Softmax attention of q (N, H D) over k and v (M, G D): returns the output (N, H D) and the logarithm of each
    /// softmax's denominator (N, H), which the backward needs.
    fn attention(
        &self,
        shape: AttentionShape,
        spans: &Spans,
        q: &Self::Tensor,
        k: &Self::Tensor,
        v: &Self::Tensor,
    ) -> Result<(Self::Tensor, Self::Tensor)>;
    /// `(dq, dk, dv)` of [`Backend::attention`], from its inputs, its two outputs and the gradient of the first.
    /// Dao et al., 2022: probabilities are computed again from the saved denominators.
    #[allow(clippy::too_many_arguments, clippy::type_complexity)]
    fn attention_backward(
        &self,
        shape: AttentionShape,
        spans: &Spans,
        qkv: (&Self::Tensor, &Self::Tensor, &Self::Tensor),
        out: (&Self::Tensor, &Self::Tensor),
        dout: &Self::Tensor,
    ) -> Result<(Self::Tensor, Self::Tensor, Self::Tensor)>;

    // ---- loss and optimiser

    /// Sum over rows of the objective's loss, where `p = softmax(logits[n])` and `t = targets[n]`; turns `logits` into the
    /// gradient of `scale` times that sum, which for plain cross-entropy is `scale * (softmax - one-hot)`.
    fn cross_entropy(
        &self,
        logits: &mut Self::Tensor,
        targets: &[u32],
        objective: &Objective,
        scale: f32,
    ) -> Result<f64>;
    /// `-log softmax(logits[n])[targets[n]]` of each row; turns row `n` of `logits` into the gradient of `weights[n]` times it.
    fn row_cross_entropy(&self, logits: &mut Self::Tensor, targets: &[u32], weights: &[f32]) -> Result<Vec<f64>>;
    /// Sum of squares, in 64 bits.
    fn sum_of_squares(&self, x: &Self::Tensor) -> Result<f64>;
    /// One step of AdamW on `w` with its gradient and its two moments.
    fn adamw(
        &self,
        w: &mut Self::Tensor,
        grad: &Self::Tensor,
        moments: (&mut Self::Tensor, &mut Self::Tensor),
        step: &AdamWStep,
    ) -> Result<()>;
}
