//! The demonstration store: everything of `tillhold demo` that is not the agent.

mod draw;
mod error;
mod generate;
mod sale;
mod schema;
mod session;
mod shop;
mod verify;

pub use error::DemoError;
pub use generate::*;
pub use schema::Schema;
pub use shop::*;
