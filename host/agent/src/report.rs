//! Talk for the operator, on stderr: one line each, with the moment; stdout stays data.

use tillhold_core::moment::Timestamp;
use tillhold_core::text;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;
use tillhold_env::Env;

/// One line, with the wall-clock moment in UTC.
pub fn line(env: &Env, message: &str) {
    let now = Value::Timestamp(Timestamp::from_unix_ms(env.clock.wall_ms()));
    let moment = text::canonical(&now, SqlType::DateTime2 { scale: 3 }).unwrap_or_default();
    (env.talk)(&format!("{moment}Z {message}"));
}
