//! Parameter declarations (`@P1 nvarchar(4000), @P2 numeric(9,2)`) and arguments turned into what they declare.
//!
//! * Arguments are taken by name or by position; a missing one is 8178, a foreign one 8145, a second one 8143.
//! * A NULL of no type (0x1F) takes the declared type; every value arrives at the engine as its type holds it.

use crate::answer::{Parameter, SqlError};
use crate::wire::rpc::Argument;
use tillhold_core::fit::fit;
use tillhold_core::text;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// With its `@`.
    pub name: String,
    pub of: SqlType,
    /// What the statement leaves in it goes back to a caller who asks for it.
    pub output: bool,
}

pub fn parse(declarations: &str) -> Result<Vec<Declared>, SqlError> {
    if declarations.trim().is_empty() {
        return Ok(Vec::new());
    }
    split(declarations).into_iter().map(|one| parse_one(one.trim())).collect()
}

/// At commas outside parentheses.
fn split(declarations: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0i32, 0);
    for (at, byte) in declarations.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(&declarations[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&declarations[start..]);
    parts
}

fn parse_one(declaration: &str) -> Result<Declared, SqlError> {
    let syntax = || SqlError::new(102, format!("Incorrect syntax near '{declaration}'."));
    let (name, rest) = declaration.split_once(char::is_whitespace).ok_or_else(syntax)?;
    if !name.starts_with('@') {
        return Err(syntax());
    }
    let rest = rest.trim();
    let rest = rest.get(..2).filter(|word| word.eq_ignore_ascii_case("as")).map_or(rest, |_| {
        let after = &rest[2..];
        if after.starts_with(char::is_whitespace) { after.trim_start() } else { rest }
    });
    let (rest, output) = match rest.rsplit_once(char::is_whitespace) {
        Some((of, word)) if ["output", "out"].contains(&word.to_ascii_lowercase().as_str()) => {
            (of.trim_end(), true)
        }
        Some((_, word)) if word.eq_ignore_ascii_case("readonly") => return Err(no_table(name)),
        _ => (rest, false),
    };
    match SqlType::parse(rest).filter(|of| !matches!(of, SqlType::Cast(_))) {
        Some(of) => Ok(Declared { name: name.to_string(), of, output }),
        None => {
            Err(SqlError::new(2715, format!("Parameter {name}: cannot find data type {rest}.")))
        }
    }
}

fn no_table(name: &str) -> SqlError {
    SqlError::new(102, format!("Table parameters of a statement are not supported ('{name}')."))
}

/// The places in the call of those arguments whose values the caller awaits, each with its parameter's.
pub fn outputs(
    declared: &[Declared],
    arguments: &[Argument],
) -> Result<Vec<(usize, usize)>, SqlError> {
    let wanted = arguments.iter().enumerate().filter(|(_, argument)| argument.output);
    let both = |(position, argument): (usize, &Argument)| {
        let at = place(declared, argument, position)?;
        if declared[at].output {
            return Ok((position, at));
        }
        let name = &declared[at].name;
        let message = format!(
            "The formal parameter \"{name}\" was not declared as an OUTPUT parameter, but the actual parameter passed in \
             requested output."
        );
        Err(SqlError::new(8162, message))
    };
    wanted.map(both).collect()
}

/// The parameters of a statement, in declared order.
pub fn bind(declared: &[Declared], arguments: Vec<Argument>) -> Result<Vec<Parameter>, SqlError> {
    let mut values: Vec<Option<Value>> = vec![None; declared.len()];
    for (position, argument) in arguments.into_iter().enumerate() {
        let at = place(declared, &argument, position)?;
        if values[at].is_some() {
            let name = &declared[at].name;
            return Err(SqlError::new(8143, format!("Parameter '{name}' was supplied twice.")));
        }
        values[at] = Some(as_declared(argument, &declared[at])?);
    }
    let parameter = |(one, value): (&Declared, Option<Value>)| match value {
        Some(value) => Ok(Parameter { name: one.name.clone(), of: one.of, value }),
        None => Err(SqlError::new(
            8178,
            format!("The query expects the parameter '{}', which was not supplied.", one.name),
        )),
    };
    declared.iter().zip(values).map(parameter).collect()
}

fn place(declared: &[Declared], argument: &Argument, position: usize) -> Result<usize, SqlError> {
    let name = argument.name.trim_start_matches('@');
    let found = if name.is_empty() {
        (position < declared.len()).then_some(position)
    } else {
        declared.iter().position(|one| one.name[1..].eq_ignore_ascii_case(name))
    };
    found.ok_or_else(|| {
        let which =
            if name.is_empty() { format!("number {}", position + 1) } else { format!("'@{name}'") };
        SqlError::new(8145, format!("Parameter {which} is not declared."))
    })
}

fn as_declared(argument: Argument, declared: &Declared) -> Result<Value, SqlError> {
    let to = declared.of;
    let from = argument.of.unwrap_or(to);
    let misfit = match fit(argument.value.clone(), to) {
        Ok(value) => return Ok(value),
        Err(misfit) => misfit,
    };
    let converted = match (&argument.value, to) {
        (Value::Text(given), _) if !to.is_text() && !to.is_binary() => {
            text::parse(given.trim(), to).ok()
        }
        (Value::Text(_) | Value::Bytes(_), _) => None,
        (Value::Int(number), SqlType::Bit) => Some(Value::Bool(*number != 0)),
        (Value::Bool(bit), _) => fit(Value::Int(i64::from(*bit)), to).ok(),
        (value, _) if to.is_text() || matches!(to, SqlType::Float | SqlType::Real) => {
            text::canonical(value, from).and_then(|given| text::parse(&given, to).ok())
        }
        _ => None,
    };
    converted.ok_or_else(|| {
        let name = &declared.name;
        SqlError::new(
            8114,
            format!("Error converting data type {from} to {to} (parameter {name}: {misfit})."),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{bind, outputs, parse};
    use crate::wire::rpc::Argument;
    use tillhold_core::text::canonical;
    use tillhold_core::types::SqlType;
    use tillhold_core::value::Value;

    fn argument(name: &str, of: Option<SqlType>, value: Value) -> Argument {
        Argument { name: name.to_string(), output: false, of, value }
    }

    /// declarations, arguments -> `@name=text` list or the refusal's number
    fn check(declarations: &str, arguments: Vec<Argument>, expected: &str) {
        let bound = parse(declarations).and_then(|declared| bind(&declared, arguments));
        let said = match bound {
            Ok(parameters) => parameters
                .iter()
                .map(|p| format!("{}={}", p.name, canonical(&p.value, p.of).unwrap_or_default()))
                .collect::<Vec<_>>()
                .join(" "),
            Err(error) => error.number.to_string(),
        };
        assert_eq!(said, expected, "{declarations}");
    }

    #[test]
    fn arguments_become_what_is_declared() {
        let text = |value: &str| Value::Text(value.to_string());
        let wide = Some(SqlType::NVarChar { length: Some(4000) });
        let int = Some(SqlType::Int);
        let one = || argument("", int, Value::Int(1));
        check("", vec![], "");
        check("@P1 numeric(9,2),@P2 int", vec![one(), one()], "@P1=1.00 @P2=1");
        check(
            "@a int, @b AS bigint",
            vec![argument("@b", int, Value::Int(2)), argument("A", int, Value::Int(1))],
            "@a=1 @b=2",
        );
        check("@a datetime2(3)", vec![argument("", None, Value::Null)], "@a=");
        check("@a int", vec![argument("", wide, text(" 7 "))], "@a=7");
        check("@a nvarchar(9)", vec![one()], "@a=1");
        check("@a bit", vec![argument("", int, Value::Int(9))], "@a=1");
        check("@a int", vec![argument("", wide, text("seven"))], "8114");
        check("@a nvarchar(2)", vec![argument("", wide, text("abc"))], "8114");
        check("@a int", vec![], "8178");
        check("@a int", vec![one(), one()], "8145");
        check("@a int", vec![argument("@b", int, Value::Int(1))], "8145");
        check("@a int", vec![one(), argument("a", int, Value::Int(1))], "8143");
        check("@a int OUTPUT, @b nvarchar(4)\tout", vec![one(), one()], "@a=1 @b=1");
        check("@a dbo.rows READONLY", vec![one()], "102");
        check("@a geography", vec![one()], "2715");
        check("a int", vec![one()], "102");
    }

    #[test]
    fn values_go_back_where_both_sides_say_so() {
        let said = |declarations: &str, name: &str, output: bool| {
            let declared = parse(declarations).expect("declarations");
            let first = argument("", Some(SqlType::Int), Value::Int(1));
            let second = Argument { output, ..argument(name, Some(SqlType::Int), Value::Null) };
            outputs(&declared, &[first, second]).map_err(|error| error.number)
        };
        assert_eq!(said("@a int, @b int OUTPUT", "@b", true), Ok(vec![(1, 1)]));
        assert_eq!(said("@b int OUTPUT, @a int", "@b", true), Ok(vec![(1, 0)]));
        assert_eq!(said("@a int, @b int OUT", "", true), Ok(vec![(1, 1)]));
        assert_eq!(said("@a int, @b int OUT", "", false), Ok(vec![]));
        assert_eq!(said("@a int, @b int", "@b", true), Err(8162));
        assert_eq!(said("@a int, @b int OUT", "@c", true), Err(8145));
    }
}
