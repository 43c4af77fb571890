//! What a column's default gives to a row that does not name the column.

use crate::table::Column;
use crate::text;
use crate::value::Value;

/// What a column's default gives, as far as that can be known away from the server.
#[derive(Clone, Debug, PartialEq)]
pub enum DefaultValue {
    /// Never NULL.
    Constant(Value),
    /// The time of the writing, in UTC.
    UtcNow,
    NewGuid,
    /// Only the channel can compute it: `(suser_sname())`, `(getdate())` with its server's own time, a sum.
    Computed,
}

impl Column {
    /// `None` where nothing given means NULL.
    pub fn default_value(&self) -> Option<DefaultValue> {
        let mut bare = self.default.as_deref()?.trim();
        while let Some(inner) = bare.strip_prefix('(').and_then(|bare| bare.strip_suffix(')')) {
            bare = inner.trim();
        }
        match bare.to_ascii_lowercase().as_str() {
            "null" => None,
            "getutcdate()" | "sysutcdatetime()" => Some(DefaultValue::UtcNow),
            "newid()" => Some(DefaultValue::NewGuid),
            _ => {
                let constant = literal(bare).and_then(|text| text::parse(&text, self.of).ok());
                Some(constant.map_or(DefaultValue::Computed, DefaultValue::Constant))
            }
        }
    }
}

/// The text of one T-SQL constant: a quoted one, a number, or binary.
fn literal(bare: &str) -> Option<String> {
    let quoted = bare.strip_prefix('N').filter(|rest| rest.starts_with('\'')).unwrap_or(bare);
    if let Some(rest) = quoted.strip_prefix('\'') {
        let inner = rest.strip_suffix('\'')?;
        // A single one would end it: then it is an expression.
        let is_one = !inner.replace("''", "").contains('\'');
        return is_one.then(|| inner.replace("''", "'"));
    }
    let is_number = bare.parse::<f64>().is_ok() && bare.contains(|c: char| c.is_ascii_digit());
    let is_binary = bare.len() >= 2 && bare[..2].eq_ignore_ascii_case("0x");
    (is_number || is_binary).then(|| bare.to_string())
}

#[cfg(test)]
mod tests {
    use super::DefaultValue;
    use crate::table::{Assigned, Column};
    use crate::types::SqlType;
    use crate::value::Value;

    fn of(default: &str, of: SqlType) -> Option<DefaultValue> {
        let default = Some(default.to_string());
        let (name, assigned) = ("C".to_string(), Assigned::ByWriter);
        Column { name, of, nullable: false, assigned, default, collation: None }.default_value()
    }

    /// As `sys.default_constraints` shows them.
    #[test]
    fn constants_are_known_and_expressions_are_the_channels() {
        let text = SqlType::NVarChar { length: Some(20) };
        let word = |word: &str| Some(DefaultValue::Constant(Value::Text(word.to_string())));
        assert_eq!(of("((0))", SqlType::Int), Some(DefaultValue::Constant(Value::Int(0))));
        assert_eq!(of("((-1))", SqlType::Int), Some(DefaultValue::Constant(Value::Int(-1))));
        assert_eq!(of("('')", text), word(""));
        assert_eq!(of("(N'it''s ()')", text), word("it's ()"));
        assert_eq!(of("((7))", text), word("7"));
        assert_eq!(of("(NULL)", text), None);
        assert_eq!(of("(getutcdate())", SqlType::DateTime), Some(DefaultValue::UtcNow));
        assert_eq!(of("(newid())", SqlType::UniqueIdentifier), Some(DefaultValue::NewGuid));
        for computed in [
            "(suser_sname())",
            "(host_name())",
            "(CONVERT([nvarchar](8),getdate(),(112)))",
            "('A'+'B')",
            "('a')+('b')",
            "((1)+(2))",
            "(getdate())",
            "(nan)",
        ] {
            assert_eq!(of(computed, text), Some(DefaultValue::Computed), "{computed}");
        }
    }
}
