//! One body per operation, run on every back end that this build has.

/// Makes a test per back end out of a function that takes one.
macro_rules! on_every_backend {
    ($($body:ident),+ $(,)?) => { $(
        mod $body {
            use lorikeet_kernels::{Backend, Composed, Fused};

            #[test]
            fn fused_with_one_thread() {
                let b = Fused::new(1).unwrap();
                b.run(|| super::$body(&b));
            }

            #[test]
            fn fused_with_two_threads() {
                let b = Fused::new(2).unwrap();
                b.run(|| super::$body(&b));
            }

            #[test]
            fn composed_on_cpu() {
                let b = Composed::cpu();
                b.run(|| super::$body(&b));
            }

            #[cfg(feature = "cuda")]
            #[test]
            fn composed_on_cuda() {
                let b = Composed::cuda(0).unwrap();
                b.run(|| super::$body(&b));
            }

            #[cfg(feature = "metal")]
            #[test]
            fn composed_on_metal() {
                let b = Composed::metal(0).unwrap();
                b.run(|| super::$body(&b));
            }
        }
    )+ };
}
pub(crate) use on_every_backend;

use lorikeet_kernels::Activation;

/// Every non-linearity.
pub const ACTIVATIONS: [Activation; 5] =
    [Activation::Silu, Activation::Gelu, Activation::GeluTanh, Activation::Relu, Activation::Tanh];
