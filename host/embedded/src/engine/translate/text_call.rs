//! Text functions.

use super::call::exactly;
use super::expression::constant;
use super::scope::{Label, Typed};
use super::{Translated, Translator};
use crate::engine::refusal;
use crate::engine::types::{Family, code, family, is_national, length, varying};
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

impl Translator<'_, '_> {
    pub(super) fn text_call(&mut self, name: &str, given: &[Typed]) -> Translated<Option<Typed>> {
        Ok(Some(match name {
            "LEN" | "DATALENGTH" => self.measured(name, given)?,
            "UPPER" | "LOWER" | "LTRIM" | "RTRIM" | "TRIM" | "REVERSE" => {
                self.mapped(name, given)?
            }
            "SUBSTRING" => {
                let [value, start, length] = exactly(name, given)?;
                self.part(value.clone(), start.clone(), length.clone())?
            }
            "LEFT" => {
                let [value, length] = exactly(name, given)?;
                let start = constant(Value::Int(1), SqlType::Int);
                self.part(value.clone(), start, length.clone())?
            }
            "RIGHT" => self.right(given)?,
            "REPLACE" => self.replace(given)?,
            "CHARINDEX" => self.char_index(given)?,
            "REPLICATE" => self.replicate(given)?,
            "CONCAT" => self.concat(given)?,
            "QUOTENAME" => {
                let [value] = exactly(name, given)?;
                let value = self.as_text(value.clone())?;
                let of = SqlType::NVarChar { length: Some(258) };
                Typed::new(format!("ts_quotename({})", value.sql), of, true)
            }
            _ => return Ok(None),
        }))
    }

    fn measured(&mut self, name: &str, given: &[Typed]) -> Translated<Typed> {
        let [value] = exactly(name, given)?;
        let of = count_type(value);
        if name == "DATALENGTH" {
            let sql = format!("ts_datalength({}, {})", value.sql, code(value.of));
            return Ok(Typed::new(sql, of, value.nullable));
        }
        let binary = family(value.of) == Family::Binary;
        let value = if binary { value.clone() } else { self.as_text(value.clone())? };
        Ok(Typed::new(format!("ts_len({})", value.sql), of, value.nullable))
    }

    fn mapped(&mut self, name: &str, given: &[Typed]) -> Translated<Typed> {
        let [value] = exactly(name, given)?;
        let value = self.as_text(value.clone())?;
        let sql = match name {
            "TRIM" => format!("ts_ltrim(ts_rtrim({}))", value.sql),
            _ => format!("ts_{}({})", name.to_lowercase(), value.sql),
        };
        let of = varying(is_national(value.of), length(value.of).map(u32::from));
        Ok(Typed::new(sql, of, value.nullable).with_label(value.label))
    }

    fn part(&mut self, value: Typed, start: Typed, count: Typed) -> Translated<Typed> {
        let binary = family(value.of) == Family::Binary;
        let value = if binary { value } else { self.as_text(value)? };
        let (start, count) =
            (self.convert(start, SqlType::BigInt)?, self.convert(count, SqlType::BigInt)?);
        let most = bounded(&value, &count);
        let of = if binary {
            SqlType::VarBinary { length: most.map(|most| most.clamp(1, 8000) as u16) }
        } else {
            varying(is_national(value.of), most)
        };
        let sql = format!("ts_substring({}, {}, {})", value.sql, start.sql, count.sql);
        Ok(Typed::new(sql, of, true).with_label(value.label))
    }

    fn right(&mut self, given: &[Typed]) -> Translated<Typed> {
        let [value, length] = exactly("RIGHT", given)?;
        let value = self.as_text(value.clone())?;
        let length = self.convert(length.clone(), SqlType::BigInt)?;
        // With a mark at its end the text's trailing blanks count.
        let sql = format!(
            "ts_substring({0}, ts_len({0} || '.') - min({1}, ts_len({0} || '.') - 1), {1})",
            value.sql, length.sql
        );
        let of = varying(is_national(value.of), bounded(&value, &length));
        Ok(Typed::new(sql, of, true).with_label(value.label))
    }

    fn replace(&mut self, given: &[Typed]) -> Translated<Typed> {
        let [value, from, to] = exactly("REPLACE", given)?;
        let value = self.as_text(value.clone())?;
        let (from, to) = (self.as_text(from.clone())?, self.as_text(to.clone())?);
        let folds = folds(&value, &from, "replace")?;
        let national = is_national(value.of);
        let most = length(value.of).map(|_| if national { 4000 } else { 8000 });
        let sql = format!("ts_replace({}, {}, {}, {folds})", value.sql, from.sql, to.sql);
        Ok(Typed::new(sql, varying(national, most), true).with_label(value.label))
    }

    fn char_index(&mut self, given: &[Typed]) -> Translated<Typed> {
        if !(2..=3).contains(&given.len()) {
            return Err(refusal::argument_count("CHARINDEX", "2 to 3"));
        }
        let (needle, value) = (self.as_text(given[0].clone())?, self.as_text(given[1].clone())?);
        let folds = folds(&needle, &value, "charindex")?;
        let start = given.get(2).map_or("1", |start| &start.sql);
        let sql = format!("ts_charindex({}, {}, {start}, {folds})", needle.sql, value.sql);
        Ok(Typed::new(sql, count_type(&value), true))
    }

    fn replicate(&mut self, given: &[Typed]) -> Translated<Typed> {
        let [value, times] = exactly("REPLICATE", given)?;
        let value = self.as_text(value.clone())?;
        let most = if is_national(value.of) { 4000 } else { 8000 };
        let sql = format!("ts_replicate({}, {})", value.sql, times.sql);
        Ok(Typed::new(sql, varying(is_national(value.of), Some(most)), true)
            .with_label(value.label))
    }

    fn concat(&mut self, given: &[Typed]) -> Translated<Typed> {
        let (mut parts, mut national, mut total, mut label) =
            (Vec::new(), false, Some(0), Label::Default);
        for value in given {
            let value = self.as_text(value.clone())?;
            national |= is_national(value.of);
            total = total.zip(length(value.of)).map(|(total, length)| total + u32::from(length));
            label = label.meet(&value.label)?;
            parts.push(value.sql);
        }
        let most = if national { 4000 } else { 8000 };
        let of = varying(national, total.map(|total: u32| total.min(most)));
        Ok(Typed::new(format!("ts_concat({})", parts.join(", ")), of, false).with_label(label))
    }
}

/// Lengths and positions are int, of max types bigint.
fn count_type(value: &Typed) -> SqlType {
    if length(value.of).is_none() && matches!(family(value.of), Family::Text | Family::Binary) {
        SqlType::BigInt
    } else {
        SqlType::Int
    }
}

/// 1 when the two texts meet under a collation that is blind to case.
fn folds(a: &Typed, b: &Typed, function: &str) -> Translated<i32> {
    Ok(i32::from(a.label.meet(&b.label)?.compared(function)? == "TSQL_CI"))
}

/// The length of a part: no longer than the whole, nor than a constant count.
fn bounded(value: &Typed, count: &Typed) -> Option<u32> {
    let whole = length(value.of).map(u32::from);
    match &count.constant {
        Some(Value::Int(count)) => {
            let count = (*count).clamp(1, 8000) as u32;
            Some(whole.map_or(count, |whole| whole.min(count)))
        }
        _ => whole,
    }
}
