//! The embedded channel: a TDS 7.4 server over SQLite, for the demo, plugin authors and CI.
//!
//! ```text
//! server -> gate -> line -> admission (PRELOGIN, TLS, LOGIN7) -> session -> request -> answer's traits -> engine
//!                                                                   ^-- reply <- Answer --'
//! ```
//!
//! * `wire` is the codec, `engine` the SQL; [`answer`] is all that they know of each other.
//! * What is not supported is refused by name, with SQL Server's own numbers where it has one.

mod admission;
pub mod answer;
mod declaration;
pub mod engine;
pub mod fault;
mod gate;
mod line;
mod ordered;
pub mod orders;
mod reply;
mod request;
mod running;
mod server;
mod session;
mod tls;
mod trouble;
mod wire;

#[cfg(test)]
mod tests;

pub use engine::{Engine, EngineError};
pub use fault::ServerError;
pub use gate::Gate;
pub use server::{Server, ServerOptions};
pub use tls::TlsIdentity;
pub use trouble::Fault;
