//! What computes: the processor always, a graphics device where this build and this computer have one.
//!
//! The processor runs the fused operations, every other device the composed ones. The choice is made here and nowhere else.

use std::thread;

use lorikeet_models::{Backend, Composed, Fused, Simd};
use lorikeet_train::{DeviceChoice, PrecisionChoice};

use crate::{Failure, codes};

/// Where numbers are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// The processor.
    Cpu,
    /// An NVIDIA graphics card.
    Cuda,
    /// An Apple graphics unit.
    Metal,
}

impl Place {
    /// As settings spell it.
    pub const fn name(self) -> &'static str {
        match self {
            Place::Cpu => "cpu",
            Place::Cuda => "cuda",
            Place::Metal => "metal",
        }
    }

    /// The place a setting stands for: the named one, or the fastest that is present.
    ///
    /// # Errors
    /// Where the named one is not part of this build or not present.
    pub fn choose(choice: DeviceChoice) -> Result<Place, Failure> {
        let named = match choice {
            DeviceChoice::Auto => {
                let present = [Place::Cuda, Place::Metal].into_iter().find(|place| place.absence().is_none());
                return Ok(present.unwrap_or(Place::Cpu));
            }
            DeviceChoice::Cpu => return Ok(Place::Cpu),
            DeviceChoice::Cuda => Place::Cuda,
            DeviceChoice::Metal => Place::Metal,
        };
        match named.absence() {
            None => Ok(named),
            Some(why) => {
                let message = format!("the device `{}` cannot be used: {why}", named.name());
                Err(Failure::new(codes::UNSUPPORTED, message).with_hint("set `device` to `auto` or `cpu`"))
            }
        }
    }

    /// Why it cannot be used; `None` where it can.
    fn absence(self) -> Option<String> {
        match self {
            Place::Cpu => None,
            Place::Cuda => composed(Place::Cuda).err().map(|e| e.message),
            Place::Metal => composed(Place::Metal).err().map(|e| e.message),
        }
    }
}

/// Every device with the reason why it cannot be used, best first.
pub fn devices() -> Vec<(Place, Option<String>)> {
    [Place::Cuda, Place::Metal, Place::Cpu].into_iter().map(|place| (place, place.absence())).collect()
}

/// Threads when nothing is said: one a core.
pub(crate) fn threads_or_all(threads: Option<u64>) -> usize {
    threads.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), |n| n as usize)
}

/// Work that any back end can do.
pub(crate) trait Work {
    /// What comes out.
    type Output;

    /// Does it.
    fn on<B: Backend + Clone + 'static>(self, backend: B) -> Self::Output;
}

/// The variable that names the widest vector instructions to use, for those who want to know what they are worth.
pub const MOST_SIMD: &str = Simd::VARIABLE;

/// Does `work` at `place` with so many threads and products of this precision.
pub(crate) fn compute<W: Work>(
    place: Place,
    threads: usize,
    precision: PrecisionChoice,
    work: W,
) -> Result<W::Output, Failure> {
    let narrow = precision == PrecisionChoice::Bf16;
    match place {
        Place::Cpu => {
            let cpu = Fused::new(threads)?;
            Ok(work.on(if narrow { cpu.with_bf16() } else { cpu }))
        }
        Place::Cuda | Place::Metal => {
            let device = composed(place)?;
            Ok(work.on(if narrow { device.with_bf16() } else { device }))
        }
    }
}

#[cfg(feature = "cuda")]
fn cuda() -> Result<Composed, Failure> {
    Composed::cuda(0).map_err(|e| Failure::new(codes::UNSUPPORTED, format!("no NVIDIA device answers: {e}")))
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Result<Composed, Failure> {
    Err(Failure::new(codes::UNSUPPORTED, "this build has no support for NVIDIA devices (feature `cuda`)"))
}

#[cfg(feature = "metal")]
fn metal() -> Result<Composed, Failure> {
    Composed::metal(0).map_err(|e| Failure::new(codes::UNSUPPORTED, format!("no Apple device answers: {e}")))
}

#[cfg(not(feature = "metal"))]
fn metal() -> Result<Composed, Failure> {
    Err(Failure::new(codes::UNSUPPORTED, "this build has no support for Apple devices (feature `metal`)"))
}

fn composed(place: Place) -> Result<Composed, Failure> {
    match place {
        Place::Cpu => Ok(Composed::cpu()),
        Place::Cuda => cuda(),
        Place::Metal => metal(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_always_there_and_auto_takes_the_first_present() {
        assert_eq!(Place::choose(DeviceChoice::Cpu), Ok(Place::Cpu));
        let first = devices().into_iter().find(|(_, why)| why.is_none()).map(|(place, _)| place);
        assert_eq!(Place::choose(DeviceChoice::Auto).ok(), first);
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_device_that_is_not_built_in_is_said_so() {
        let failure = Place::choose(DeviceChoice::Cuda).unwrap_err();
        assert_eq!(failure.code, codes::UNSUPPORTED);
        assert_eq!(
            failure.message,
            "the device `cuda` cannot be used: this build has no support for NVIDIA devices (feature `cuda`)"
        );
    }
}
