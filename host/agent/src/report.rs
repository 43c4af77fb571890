//! Talk for the operator, on stderr: one line each, with the moment; stdout stays data.

use std::io::Write as _;
use tillhold_core::moment::Timestamp;
use tillhold_core::text;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;
use tillhold_env::Env;

/// Writes one line with the wall-clock moment in UTC. A closed stderr is no reason to stop selling.
pub fn line(env: &Env, message: &str) {
    let now = Value::Timestamp(Timestamp::from_unix_ms(env.clock.wall_ms()));
    let moment = text::canonical(&now, SqlType::DateTime2 { scale: 3 }).unwrap_or_default();
    let _ = writeln!(std::io::stderr(), "{moment}Z {message}");
}
