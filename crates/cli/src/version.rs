//! The version as `--version` prints it: with the commit, where it is known.

/// Version and commit.
pub fn version() -> &'static str {
    lorikeet_api::CODE_VERSION
}
