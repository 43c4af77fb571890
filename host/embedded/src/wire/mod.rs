//! The codec of TDS 7.4, the server's side (MS-TDS; section numbers below are of that document).
//!
//! * Decoding reads from bytes that have arrived, never trusts a length it is told, and never panics.
//! * Encoding writes straight into one byte buffer.
//! * What is not spoken here is refused by name ([`crate::fault::ServerError::Unsupported`]).

pub mod bulk;
pub mod codepage;
pub mod login;
pub mod packet;
pub mod prelogin;
pub mod reader;
pub mod rpc;
pub mod tokens;
pub mod type_info;
pub mod value_in;
pub mod value_out;

#[cfg(test)]
mod hostile;
