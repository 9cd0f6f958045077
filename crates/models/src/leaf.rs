//! The leaves of a model: weights that are frozen where they lie, and parameters that are trained.

use lorikeet_kernels::Backend;

use crate::{Noise, Result};

/// A tensor that training changes. Its name is the one it has on disk, in the model's or the adapter's file.
pub struct Parameter<B: Backend> {
    /// Name on disk.
    pub name: String,
    /// Shape on disk: a bias is one-dimensional.
    pub dims: Vec<usize>,
    /// The numbers; vectors are (1, n).
    pub value: B::Tensor,
}

/// A weight, frozen or trained.
pub(crate) enum Leaf<B: Backend> {
    Frozen(B::Tensor),
    /// Index into the model's parameters.
    Trained(usize),
}

/// The gradients of all parameters, in their order. They accumulate until they are cleared.
pub struct Gradients<B: Backend>(pub Vec<B::Tensor>);

/// What every layer needs to run: the device, the trained values, whether adapters take part, and the noise of training.
pub(crate) struct Context<'a, B: Backend> {
    pub backend: &'a B,
    pub parameters: &'a [Parameter<B>],
    pub adapters: bool,
    /// Present in training only.
    pub noise: Option<Noise>,
}

impl<B: Backend> Clone for Context<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<B: Backend> Copy for Context<'_, B> {}

impl<B: Backend> Leaf<B> {
    pub fn get<'a>(&'a self, ctx: Context<'a, B>) -> &'a B::Tensor {
        match self {
            Leaf::Frozen(t) => t,
            Leaf::Trained(i) => &ctx.parameters[*i].value,
        }
    }

    /// The gradient to add to, where this leaf is trained.
    pub fn gradient<'g>(&self, grads: &'g mut Gradients<B>) -> Option<&'g mut B::Tensor> {
        match self {
            Leaf::Frozen(_) => None,
            Leaf::Trained(i) => grads.0.get_mut(*i),
        }
    }

    pub fn is_trained(&self) -> bool {
        matches!(self, Leaf::Trained(_))
    }
}

impl<B: Backend> Gradients<B> {
    /// Gradients of zero for `parameters`.
    ///
    /// # Errors
    /// Where the device has no memory for them.
    pub fn zeros(backend: &B, parameters: &[Parameter<B>]) -> Result<Self> {
        let zeros = parameters.iter().map(|p| {
            let (rows, cols) = backend.shape(&p.value);
            backend.zeros(rows, cols)
        });
        Ok(Self(zeros.collect::<lorikeet_kernels::Result<_>>()?))
    }

    /// Sets every gradient to zero.
    ///
    /// # Errors
    /// Where the device refuses.
    pub fn clear(&mut self, backend: &B) -> Result<()> {
        self.0.iter_mut().try_for_each(|g| backend.scale(g, 0.0)).map_err(Into::into)
    }
}

/// The gradient of a layer's input while several layers add to it.
pub(crate) enum InputGradient<T> {
    /// Nothing below is trained.
    Unwanted,
    Empty,
    Sum(T),
}

impl<T> InputGradient<T> {
    pub fn wanted(wanted: bool) -> Self {
        if wanted { InputGradient::Empty } else { InputGradient::Unwanted }
    }

    pub fn into_sum(self) -> Option<T> {
        match self {
            InputGradient::Sum(t) => Some(t),
            _ => None,
        }
    }
}

/// The input of a layer when its backward asks for it: what nothing trained reads is not made.
pub(crate) enum Input<'a, T> {
    Kept(&'a T),
    /// Computed again.
    Again(&'a dyn Fn() -> Result<T>),
}

impl<T> Clone for Input<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Input<'_, T> {}

impl<'a, T> Input<'a, T> {
    /// The input, in `made` where it is computed again.
    pub fn get<'m>(self, made: &'m mut Option<T>) -> Result<&'m T>
    where
        'a: 'm,
    {
        Ok(match self {
            Input::Kept(x) => x,
            Input::Again(make) => made.insert(make()?),
        })
    }
}
