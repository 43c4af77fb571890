//! Makes what was found small: fewer rows, then simpler cells, as long as the same code comes of it.
//!
//! Bounded in tries: a rule that loops takes its whole deadline for each.

use crate::KitError;
use crate::generate::simplest;
use tillhold_core::conflict::Conflict;
use tillhold_core::fit::fit;
use tillhold_core::row::Row;
use tillhold_core::table::{Column, Table};
use tillhold_core::value::Value;

const TRIES_MAX: u32 = 400;
/// 2 s each.
const DEADLINE_TRIES_MAX: u32 = 12;

pub(super) fn rows(
    rows: Vec<Row>,
    shape: &Table,
    code: &'static str,
    trouble: impl Fn(&[Row]) -> Option<KitError>,
) -> Vec<Row> {
    let mut tries = Tries::of(code, trouble);
    let mut rows = tries.fewer(rows);
    for at in 0..rows.len() {
        for (position, column) in shape.columns.iter().enumerate() {
            let with = |rows: &[Row], value: Value| {
                let mut tried = rows.to_vec();
                tried[at].0[position] = value;
                tried
            };
            // Each step is a strictly simpler cell, so this ends.
            while let Some(tried) = simpler(&rows[at].0[position], column)
                .into_iter()
                .map(|value| with(&rows, value))
                .find(|tried| tries.still(tried))
            {
                rows = tried;
            }
        }
    }
    rows
}

pub(super) fn conflicts(
    conflicts: Vec<Conflict>,
    code: &'static str,
    trouble: impl Fn(&[Conflict]) -> Option<KitError>,
) -> Vec<Conflict> {
    let mut tries = Tries::of(code, trouble);
    let mut conflicts = tries.fewer(conflicts);
    for at in 0..conflicts.len() {
        let table = conflicts[at].table.clone();
        for (position, column) in table.columns.iter().enumerate() {
            let mut tried = conflicts.clone();
            // The same on all sides: nothing is left to say of this column.
            for row in sides(&mut tried[at]).into_iter().flatten() {
                row.0[position] = simplest(column);
            }
            let one = &mut tried[at];
            let row = one.base.as_ref().or(one.channel.as_ref()).or(one.offline.as_ref());
            if let Some(key) = row.map(|row| row.key(&table)) {
                one.key = key;
            }
            if tries.still(&tried) {
                conflicts = tried;
            }
        }
    }
    conflicts
}

fn sides(conflict: &mut Conflict) -> [Option<&mut Row>; 3] {
    [conflict.base.as_mut(), conflict.channel.as_mut(), conflict.offline.as_mut()]
}

/// The simplest first; of a text also its shorter parts. Nothing is simpler than the simplest.
fn simpler(value: &Value, column: &Column) -> Vec<Value> {
    let filled = simplest(&Column { nullable: false, ..column.clone() });
    let mut simpler = vec![simplest(column)];
    if *value == simpler[0] {
        return Vec::new();
    }
    if *value != filled {
        simpler.push(filled);
    }
    if let Value::Text(text) = value {
        let letters: Vec<char> = text.chars().collect();
        let mut length = 1;
        while length < letters.len() {
            let ends = [&letters[..length], &letters[letters.len() - length..]];
            let texts = ends.map(|part| Value::Text(part.iter().collect()));
            simpler.extend(texts.into_iter().filter_map(|text| fit(text, column.of).ok()));
            length *= 2;
        }
    }
    simpler
}

struct Tries<F> {
    code: &'static str,
    trouble: F,
    left: u32,
}

impl<F> Tries<F> {
    fn of(code: &'static str, trouble: F) -> Tries<F> {
        let left = if code == "plugin-deadline" { DEADLINE_TRIES_MAX } else { TRIES_MAX };
        Tries { code, trouble, left }
    }

    fn still<T>(&mut self, asked: &[T]) -> bool
    where
        F: Fn(&[T]) -> Option<KitError>,
    {
        if self.left == 0 || asked.is_empty() {
            return false;
        }
        self.left -= 1;
        (self.trouble)(asked).is_some_and(|error| error.code() == self.code)
    }

    /// Without ever smaller parts: halves, quarters, down to single ones.
    fn fewer<T: Clone>(&mut self, mut asked: Vec<T>) -> Vec<T>
    where
        F: Fn(&[T]) -> Option<KitError>,
    {
        let mut part = asked.len().div_ceil(2);
        while part > 0 && asked.len() > 1 {
            let mut at = 0;
            while at < asked.len() && asked.len() > 1 {
                let end = (at + part).min(asked.len());
                let rest = [&asked[..at], &asked[end..]].concat();
                match self.still(&rest) {
                    true => asked = rest,
                    false => at = end,
                }
            }
            part = if part == 1 { 0 } else { part.div_ceil(2) };
        }
        asked
    }
}

#[cfg(test)]
mod tests {
    use super::Tries;
    use crate::KitError;

    #[test]
    fn what_matters_is_left() {
        let needs = |asked: &[u32]| {
            let guilty = asked.contains(&700) && asked.contains(&13);
            guilty.then_some(KitError::Unsteady { by: "a pair" })
        };
        let all: Vec<u32> = (0..1_000).collect();
        assert_eq!(Tries::of("kit-unsteady", needs).fewer(all.clone()), [13, 700]);
        let mut of_another_code = Tries::of("plugin-trap", needs);
        assert_eq!(of_another_code.fewer(all.clone()), all);
    }
}
