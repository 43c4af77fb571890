//! Which row a rule fails at: a batch that fails is halved until what fails stands alone, as quarantine does on a register.
//!
//! * Told is the first that fails by itself. Where no half fails, as at a deadline, it is all of them together.
//! * What is wrong with the plugin itself, or with its columns, is of no row.

use crate::KitError;
use crate::rows::Entry;
use std::ops::Range;
use tillhold_core::fault::Class;
use tillhold_core::table::Table;
use tillhold_plugin::PluginError;

/// The same failure, at the least part of what was asked that has it. `place` names that part.
pub(crate) fn told<Q>(
    error: PluginError,
    asked: &[Q],
    ask: impl Fn(&[Q]) -> Result<(), PluginError>,
    place: impl Fn(Range<usize>) -> String,
) -> KitError {
    if error.class() != Class::Park || asked.is_empty() {
        return error.into();
    }
    let (guilty, cause) = least(error, asked, ask);
    let is_alone = guilty.len() == 1;
    let cause = if is_alone { alone(cause) } else { cause };
    KitError::AtRow { place: place(guilty), is_alone, cause: Box::new(cause) }
}

fn least<Q>(
    mut error: PluginError,
    asked: &[Q],
    ask: impl Fn(&[Q]) -> Result<(), PluginError>,
) -> (Range<usize>, PluginError) {
    let mut guilty = 0..asked.len();
    while guilty.len() > 1 {
        let middle = guilty.start + guilty.len() / 2;
        let halves = [guilty.start..middle, middle..guilty.end];
        let failing = halves.into_iter().find_map(|half| {
            let cause = ask(&asked[half.clone()]).err()?;
            (cause.class() == Class::Park).then_some((half, cause))
        });
        match failing {
            Some((half, cause)) => (guilty, error) = (half, cause),
            None => break,
        }
    }
    (guilty, error)
}

/// The number in its batch would say 1 of every row that stands alone.
fn alone(error: PluginError) -> PluginError {
    match error {
        PluginError::BadAnswer { plugin, call, what } => {
            let bare =
                what.strip_prefix("row 1, ").or(what.strip_prefix("row 1 ")).map(str::to_string);
            PluginError::BadAnswer { plugin, call, what: bare.unwrap_or(what) }
        }
        other => other,
    }
}

/// `stdin:2503 (ACCOUNTNUM=C1)`, or of several `stdin:2 to 1001, together`.
pub(crate) fn rows(file: &str, asked: &[Entry], guilty: Range<usize>, shape: &Table) -> String {
    let guilty = &asked[guilty];
    let (first, last) = (&guilty[0], &guilty[guilty.len() - 1]);
    let key = first.row.key(shape);
    match (guilty.len(), key.0.is_empty()) {
        (1, true) => format!("{file}:{}", first.line),
        (1, false) => format!("{file}:{} ({})", first.line, key.named(shape)),
        _ => format!("{file}:{} to {}, together", first.line, last.line),
    }
}

#[cfg(test)]
mod tests {
    use super::told;
    use std::sync::Arc;
    use tillhold_plugin::{PluginError, PluginId};

    fn trap() -> PluginError {
        let (name, digest) = ("p".to_string(), "sha256:".to_string());
        let plugin = Arc::new(PluginId { name, digest });
        PluginError::Trap { plugin, call: "transform", what: "unreachable".to_string(), said: None }
    }

    /// By what fails: the rows that are named, and how often was asked.
    #[test]
    fn the_first_that_fails_by_itself_is_told() {
        let rows: Vec<usize> = (0..1_000).collect();
        for (fails, place) in [
            (&(|rows: &[usize]| rows.contains(&501)) as &dyn Fn(&[usize]) -> bool, "501..502"),
            (&|rows| rows.contains(&999) || rows.contains(&7), "7..8"),
            (&|rows| rows.len() > 500, "0..1000"),
            (&|rows| rows.contains(&0) && rows.contains(&1), "0..3"),
        ] {
            let ask = |rows: &[usize]| if fails(rows) { Err(trap()) } else { Ok(()) };
            let error = told(trap(), &rows, ask, |rows| format!("{rows:?}"));
            let words = error.to_string();
            assert!(words.starts_with(&format!("{place}: plugin p ")), "{words}");
            assert_eq!(error.code(), "plugin-trap");
        }
    }
}
