//! The settings as they are declared, for flags, files and tables.

pub use lorikeet_api::declared_settings as settings;
