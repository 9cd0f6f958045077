//! What lies inside the program: the starter model and the samples, put there by the build script.

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
