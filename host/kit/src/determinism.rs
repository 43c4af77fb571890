//! An answer may depend on rows and context alone: the same question is asked again, and in two halves.
//!
//! Quarantine looks for guilty rows by halving a batch, and a page ends where it happens to end: a rule that looks at a
//! row's neighbours would then say something else of the same row.

use crate::KitError;
use tillhold_core::conflict::{Conflict, Resolution};
use tillhold_core::row::Row;
use tillhold_core::table::Table;
use tillhold_plugin::{BatchContext, Plugin, PluginError, Verdict};

pub(crate) fn transform(
    plugin: &Plugin,
    context: &BatchContext,
    shape: &Table,
    rows: &[Row],
) -> Result<Vec<Verdict>, KitError> {
    asked_again(rows, |rows| plugin.transform(context, shape, rows))
}

pub(crate) fn resolve(
    plugin: &Plugin,
    context: &BatchContext,
    conflicts: &[Conflict],
) -> Result<Vec<Resolution>, KitError> {
    asked_again(conflicts, |conflicts| plugin.resolve(context, conflicts))
}

fn asked_again<Q, A: PartialEq>(
    asked: &[Q],
    mut ask: impl FnMut(&[Q]) -> Result<Vec<A>, PluginError>,
) -> Result<Vec<A>, KitError> {
    let whole = ask(asked)?;
    if ask(asked)? != whole {
        return Err(KitError::Unsteady { by: "the same rows gave two different answers" });
    }
    if asked.len() > 1 {
        let (first, second) = asked.split_at(asked.len() / 2);
        let mut halves = ask(first)?;
        halves.extend(ask(second)?);
        if halves != whole {
            return Err(KitError::Unsteady {
                by: "what is said of a row depends on its neighbours",
            });
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::asked_again;
    use tillhold_plugin::PluginError;

    #[test]
    fn an_answer_that_changes_is_none() {
        let of_row = |rows: &[i32]| Ok(rows.iter().map(|row| row * 2).collect::<Vec<i32>>());
        assert_eq!(asked_again(&[1, 2, 3], of_row).expect("a steady answer"), [2, 4, 6]);
        let mut calls = 0;
        let counting = |_: &[i32]| {
            calls += 1;
            Ok::<_, PluginError>(vec![calls])
        };
        let error = asked_again(&[1], counting).expect_err("another answer");
        assert!(error.code() == "kit-unsteady" && error.to_string().contains("two different"));
        let of_batch = |rows: &[i32]| Ok::<_, PluginError>(vec![rows.len(); rows.len()]);
        let error = asked_again(&[1, 2, 3], of_batch).expect_err("neighbours count");
        assert!(error.to_string().contains("neighbours"), "{error}");
    }
}
