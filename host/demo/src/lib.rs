//! The demonstration store: everything of `tillhold demo` that is not the agent.

mod cashier;
mod draw;
mod error;
mod generate;
mod head_office;
mod progress;
mod raw;
mod register;
mod sale;
mod schema;
mod session;
mod shop;
mod verify;

pub use error::DemoError;
pub use generate::*;
pub use schema::Schema;
pub use shop::*;
