//! Talk for the operator, on stderr: one line each, with the moment; stdout stays data.

use std::borrow::Cow;
use tillhold_core::moment::Timestamp;
use tillhold_core::text;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;
use tillhold_env::Env;

/// One line, with the wall-clock moment in UTC.
pub fn line(env: &Env, message: &str) {
    let now = Value::Timestamp(Timestamp::from_unix_ms(env.clock.wall_ms()));
    let moment = text::canonical(&now, SqlType::DateTime2 { scale: 3 }).unwrap_or_default();
    (env.talk)(&format!("{moment}Z {}", one_line(message)));
}

/// What requests, rows, plugins and servers say comes in here: none of it begins a line of its own, or steers the terminal
/// that shows the log.
fn one_line(message: &str) -> Cow<'_, str> {
    if !message.contains(char::is_control) {
        return Cow::Borrowed(message);
    }
    let mut line = String::with_capacity(message.len() + 8);
    for letter in message.chars() {
        match letter.is_control() {
            true => line.extend(letter.escape_default()),
            false => line.push(letter),
        }
    }
    Cow::Owned(line)
}

#[cfg(test)]
mod tests {
    use super::line;
    use std::sync::{Arc, Mutex};
    use tillhold_env::Env;

    #[test]
    fn nothing_that_is_told_begins_a_line_or_steers_a_terminal() {
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = told.clone();
        let talk = move |line: &str| kept.lock().expect("no panic").push(line.to_string());
        let env = Env { talk: Arc::new(talk), ..Env::real() };
        line(&env, "by hand, x\nFORGED\r\u{1b}[2K\u{85}: reconnect");
        line(&env, "by hand, Zoë \\ Ünal: reconnect");
        let told = told.lock().expect("no panic");
        let said: Vec<&str> =
            told.iter().map(|line| line.split_once("Z ").expect("a moment").1).collect();
        let escaped = r"by hand, x\nFORGED\r\u{1b}[2K\u{85}: reconnect";
        assert_eq!(said, [escaped, r"by hand, Zoë \ Ünal: reconnect"]);
    }
}
