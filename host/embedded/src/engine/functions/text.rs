//! Text functions: positions count UTF-16 units, comparisons follow the collation, LIKE knows `[a-z]`.

use super::{Answered, argument_type, failed, is_null, pure, text_argument};
use crate::answer::SqlError;
use crate::engine::access::unbracketed;
use crate::engine::catalogue::fold;
use crate::engine::types::is_national;
use rusqlite::Connection;
use rusqlite::functions::Context;
use rusqlite::types::{Value as Cell, ValueRef};

pub fn register(connection: &Connection) -> rusqlite::Result<()> {
    pure(connection, "ts_len", 1, |context| match text_argument(context, 0) {
        Some(text) => Ok(Cell::Integer(units(text.trim_end_matches(' ')) as i64)),
        None => match context.get_raw(0) {
            ValueRef::Blob(bytes) => Ok(Cell::Integer(bytes.len() as i64)),
            _ => Ok(Cell::Null),
        },
    })?;
    pure(connection, "ts_datalength", 2, data_length)?;
    pure(connection, "ts_substring", 3, substring)?;
    pure(connection, "ts_upper", 1, |context| {
        map(context, |text| text.chars().map(upper).collect())
    })?;
    pure(connection, "ts_lower", 1, |context| {
        map(context, |text| text.chars().map(lower).collect())
    })?;
    pure(connection, "ts_ltrim", 1, |context| {
        map(context, |text| text.trim_start_matches(' ').to_string())
    })?;
    pure(connection, "ts_rtrim", 1, |context| {
        map(context, |text| text.trim_end_matches(' ').to_string())
    })?;
    pure(connection, "ts_reverse", 1, |context| map(context, |text| text.chars().rev().collect()))?;
    pure(connection, "ts_replicate", 2, replicate)?;
    pure(connection, "ts_replace", 4, replace)?;
    pure(connection, "ts_charindex", 4, char_index)?;
    pure(connection, "ts_like", 4, like)?;
    pure(connection, "ts_concat", -1, concat)?;
    pure(connection, "ts_is_name", 3, is_name)?;
    pure(connection, "ts_quotename", 1, |context| map(context, tillhold_core::table::bracket))
}

/// Simple case mapping, one character for one: `ß` stays as it is.
pub fn lower(c: char) -> char {
    let mut mapped = c.to_lowercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

fn upper(c: char) -> char {
    let mut mapped = c.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

pub fn units(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}

fn map(context: &Context<'_>, function: impl Fn(&str) -> String) -> Answered {
    Ok(text_argument(context, 0).map_or(Cell::Null, |text| Cell::Text(function(text))))
}

/// `ts_datalength(x, type)`: bytes as SQL Server counts them.
fn data_length(context: &Context<'_>) -> Answered {
    if is_null(context, 0) {
        return Ok(Cell::Null);
    }
    let of = argument_type(context, 1)?;
    let bytes = match context.get_raw(0) {
        ValueRef::Text(text) if of.is_text() => {
            let text = String::from_utf8_lossy(text);
            if is_national(of) { units(&text) * 2 } else { text.chars().count() }
        }
        ValueRef::Blob(bytes) => bytes.len(),
        _ => crate::engine::catalogue::shape::Shape::of(of).max_length.max(0) as usize,
    };
    Ok(Cell::Integer(bytes as i64))
}

/// `ts_substring(x, start, length)`, of text by UTF-16 unit and of binary by byte.
fn substring(context: &Context<'_>) -> Answered {
    if (0..3).any(|at| is_null(context, at)) {
        return Ok(Cell::Null);
    }
    let (start, length): (i64, i64) = (context.get(1)?, context.get(2)?);
    if length < 0 {
        let message = "Invalid length parameter passed to the SUBSTRING function.";
        return Err(failed(SqlError::new(537, message)));
    }
    let end = start.saturating_add(length).max(1) - 1;
    let start = start.max(1) - 1;
    let (start, end) = (start as usize, end as usize);
    match context.get_raw(0) {
        ValueRef::Blob(bytes) => {
            let end = end.min(bytes.len());
            Ok(Cell::Blob(bytes.get(start.min(end)..end).unwrap_or_default().to_vec()))
        }
        cell => {
            let text = cell.as_str()?;
            if text.is_ascii() {
                let end = end.min(text.len());
                return Ok(Cell::Text(
                    text.get(start.min(end)..end).unwrap_or_default().to_string(),
                ));
            }
            let units: Vec<u16> = text.encode_utf16().collect();
            let end = end.min(units.len());
            let part = units.get(start.min(end)..end).unwrap_or_default();
            String::from_utf16(part).map(Cell::Text).map_err(|_| {
                failed(crate::engine::refusal::unsupported(
                    "half of a character outside the basic plane",
                ))
            })
        }
    }
}

/// `ts_is_name(given, schema, name)`: whether a text such as `[ax].[T]` names a table; without a schema it is dbo.
fn is_name(context: &Context<'_>) -> Answered {
    let (Some(given), Some(schema), Some(name)) =
        (text_argument(context, 0), text_argument(context, 1), text_argument(context, 2))
    else {
        return Ok(Cell::Null);
    };
    let mut parts = unbracketed(given);
    let last = parts.pop().unwrap_or_default();
    let before = parts.pop().filter(|part| !part.is_empty()).unwrap_or_else(|| "dbo".to_string());
    let same = fold(&last) == fold(name) && fold(&before) == fold(schema);
    Ok(Cell::Integer(i64::from(same)))
}

fn replicate(context: &Context<'_>) -> Answered {
    /// SQL Server cuts at 8,000 bytes unless the text is max.
    const BYTES_MAX: usize = 8000;
    let (Some(text), false) = (text_argument(context, 0), is_null(context, 1)) else {
        return Ok(Cell::Null);
    };
    let times: i64 = context.get(1)?;
    if times < 0 {
        return Ok(Cell::Null);
    }
    let most = BYTES_MAX / text.len().max(1);
    Ok(Cell::Text(text.repeat((times as usize).min(most))))
}

/// Where `needle` begins in `text` at or after byte `from`, folding case when the collation does.
fn find(text: &str, needle: &str, from: usize, folds: bool) -> Option<usize> {
    if !folds {
        return text.get(from..)?.find(needle).map(|at| at + from);
    }
    let wanted: Vec<char> = needle.chars().map(lower).collect();
    text.char_indices().map(|(at, _)| at).filter(|at| *at >= from).find(|at| {
        let mut found = text[*at..].chars().map(lower);
        wanted.iter().all(|c| found.next() == Some(*c))
    })
}

/// `ts_replace(text, from, to, folds)`
fn replace(context: &Context<'_>) -> Answered {
    let (Some(text), Some(from), Some(to)) =
        (text_argument(context, 0), text_argument(context, 1), text_argument(context, 2))
    else {
        return Ok(Cell::Null);
    };
    let folds: bool = context.get(3)?;
    if from.is_empty() {
        return Ok(Cell::Text(text.to_string()));
    }
    let (mut replaced, mut at) = (String::with_capacity(text.len()), 0);
    while let Some(found) = find(text, from, at, folds) {
        replaced.push_str(&text[at..found]);
        replaced.push_str(to);
        // Folding keeps the number of characters, not of bytes.
        at = found
            + text[found..].chars().take(from.chars().count()).map(char::len_utf8).sum::<usize>();
    }
    replaced.push_str(&text[at..]);
    Ok(Cell::Text(replaced))
}

/// `ts_charindex(needle, text, start, folds)`; 0 when there is none.
fn char_index(context: &Context<'_>) -> Answered {
    let (Some(needle), Some(text)) = (text_argument(context, 0), text_argument(context, 1)) else {
        return Ok(Cell::Null);
    };
    let start = context.get::<Option<i64>>(2)?.unwrap_or(1).max(1) as usize - 1;
    let folds: bool = context.get(3)?;
    if needle.is_empty() {
        return Ok(Cell::Integer(0));
    }
    let mut passed = 0;
    let from = text.char_indices().find(|(_, c)| {
        let here = passed >= start;
        passed += c.len_utf16();
        here
    });
    let found = from.and_then(|(from, _)| find(text, needle, from, folds));
    Ok(Cell::Integer(found.map_or(0, |at| units(&text[..at]) as i64 + 1)))
}

fn concat(context: &Context<'_>) -> Answered {
    let mut joined = String::new();
    for at in 0..context.len() {
        if let ValueRef::Text(text) = context.get_raw(at) {
            joined.push_str(&String::from_utf8_lossy(text));
        }
    }
    Ok(Cell::Text(joined))
}

/// `ts_like(text, pattern, escape, folds)`
fn like(context: &Context<'_>) -> Answered {
    let (Some(text), Some(pattern)) = (text_argument(context, 0), text_argument(context, 1)) else {
        return Ok(Cell::Null);
    };
    let escape = text_argument(context, 2).and_then(|escape| escape.chars().next());
    let folds: bool = context.get(3)?;
    let fold = |text: &str| -> Vec<char> {
        if folds { text.chars().map(lower).collect() } else { text.chars().collect() }
    };
    let pattern = parts(&fold(pattern), escape.map(|c| if folds { lower(c) } else { c }));
    Ok(Cell::Integer(i64::from(matches(&fold(text), &pattern))))
}

enum Part {
    Any,
    One,
    Exactly(char),
    Among { negated: bool, ranges: Vec<(char, char)> },
}

fn parts(pattern: &[char], escape: Option<char>) -> Vec<Part> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < pattern.len() {
        let c = pattern[at];
        at += 1;
        match c {
            _ if Some(c) == escape && at < pattern.len() => {
                found.push(Part::Exactly(pattern[at]));
                at += 1;
            }
            '%' => found.push(Part::Any),
            '_' => found.push(Part::One),
            '[' => match pattern[at..].iter().position(|c| *c == ']').filter(|end| *end > 0) {
                Some(end) => {
                    found.push(among(&pattern[at..at + end]));
                    at += end + 1;
                }
                None => found.push(Part::Exactly('[')),
            },
            _ => found.push(Part::Exactly(c)),
        }
    }
    found
}

fn among(set: &[char]) -> Part {
    let (negated, set) = match set.split_first() {
        Some(('^', rest)) => (true, rest),
        _ => (false, set),
    };
    let (mut ranges, mut at) = (Vec::new(), 0);
    while at < set.len() {
        if set.get(at + 1) == Some(&'-') && at + 2 < set.len() {
            ranges.push((set[at], set[at + 2]));
            at += 3;
        } else {
            ranges.push((set[at], set[at]));
            at += 1;
        }
    }
    Part::Among { negated, ranges }
}

/// Two fingers and one place to come back to: linear for one `%`, never exponential.
fn matches(text: &[char], pattern: &[Part]) -> bool {
    let (mut at, mut part, mut back) = (0, 0, None);
    while at < text.len() {
        let here = match pattern.get(part) {
            Some(Part::Any) => {
                back = Some((at, part));
                part += 1;
                continue;
            }
            Some(Part::One) => true,
            Some(Part::Exactly(c)) => *c == text[at],
            Some(Part::Among { negated, ranges }) => {
                ranges.iter().any(|(low, high)| (low..=high).contains(&&text[at])) != *negated
            }
            None => false,
        };
        if here {
            at += 1;
            part += 1;
        } else if let Some((from, any)) = back {
            back = Some((from + 1, any));
            at = from + 1;
            part = any + 1;
        } else {
            return false;
        }
    }
    pattern[part..].iter().all(|part| matches!(part, Part::Any))
}

#[cfg(test)]
mod tests {
    use super::{matches, parts};

    #[test]
    fn like_knows_wildcards_sets_and_escapes() {
        for (text, pattern, escape, expected) in [
            ("apple", "a%e", None, true),
            ("apple", "_pp%", None, true),
            ("apple", "[a-c]%", None, true),
            ("apple", "[^a-c]%", None, false),
            ("50%", "50~%", Some('~'), true),
            ("501", "50~%", Some('~'), false),
            ("a[b", "a[[]b", None, true),
            ("aaaaaaaaaaaaaaaaaaaaaaaaab", "%a%a%a%a%a%c", None, false),
            ("", "%", None, true),
            ("abc", "abc%%", None, true),
        ] {
            let text: Vec<char> = text.chars().collect();
            let pattern: Vec<char> = pattern.chars().collect();
            assert_eq!(
                matches(&text, &parts(&pattern, escape)),
                expected,
                "{text:?} like {pattern:?}"
            );
        }
    }
}
