//! What a person sets: `register.toml` (this register) and `profile.toml` (what is synchronised, and how).
//!
//! * All mistakes of a file are shown together, each with its line.
//! * Secrets are named by the place that keeps them; one stands in these only where they say that it is on purpose.

pub mod checks;
pub mod conduct;
pub mod conduct_fields;
pub mod device;
pub mod device_fields;
pub mod difference;
pub mod effective;
pub mod field;
pub mod password;
pub mod plugin_fields;
pub mod plugin_settings;
pub mod profile_fields;
pub mod profile_file;
pub mod profile_text;
pub mod published;
pub mod reader;
pub mod register_fields;
pub mod register_file;
pub mod schema;
pub mod selection_fields;
pub mod selection_settings;
