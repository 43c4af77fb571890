//! The demonstration store: everything of `tillhold demo` that is not the agent.
//!
//! ```text
//! shop (real products and baskets) -> generate (a channel's rows) -> channel (embedded, behind a gate)
//! story: register (the agent's process) + cashier + head_office + the cut  ->  verify  ->  summary
//! ```
//!
//! * The agent is a separate process of this very program; nothing is shared but files and sockets.
//! * What is shown was counted or measured in the run that shows it; [`Outcome::Holds`] means that a check with its
//!   own SQL, on both databases, found nothing lost, nothing twice and nothing unlike.

// Whoever reads may go away: tillhold_env::speech.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod cashier;
mod channel;
mod error;
mod generate;
mod halfway;
mod head_office;
mod options;
mod place;
mod plugins;
mod progress;
mod raw;
mod register;
mod rehearsal;
mod sale;
mod scope_bars;
mod session;
mod shop;
mod story;
mod summary;
mod verify;

pub use error::DemoError;
pub use generate::{
    Branch, COMPANY, Customer, DemoStore, Load, PROFILE_NAME, PriceLevel, ProfileScope, SCALE_1,
    StoreSize, TAX_CODES, TRANSACTION_SEED, TaxCode, profile_scopes,
};
pub use options::{DemoOptions, Outcome};
pub use rehearsal::{OpenTransaction, ProfileSize, Rehearsal};
pub use sale::{Draft, Item, Sale, Till, WrittenRow, ring_up};
pub use shop::{Basket, BasketLine, Household, Product, Shop, ShopFiles, store_number};
pub use story::run;
pub use tillhold_embedded::Fault;
pub use verify::{Acknowledged, Findings};
