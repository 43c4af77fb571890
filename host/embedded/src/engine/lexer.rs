//! T-SQL text into tokens, with the line each stands on.
//!
//! * Comments (`--`, nested `/* */`) and blanks vanish; everything else is a token or error 102.
//! * QUOTED_IDENTIFIER is always ON: `"x"` and `[x]` are names, `'x'` is text.

use super::refusal;
use crate::answer::SqlError;
use tillhold_core::text::parse_hexadecimal;

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A name or keyword without quotes, as written.
    Word(String),
    /// `[name]` or `"name"`.
    Quoted(String),
    /// `@name` or `@@name`, in lower case.
    Variable(String),
    Text(String),
    National(String),
    /// An integer, decimal or float constant, as written.
    Number(String),
    Hex(Vec<u8>),
    Symbol(&'static str),
    End,
}

#[derive(Clone, Debug)]
pub struct Token {
    pub kind: Kind,
    pub line: u32,
    /// Byte positions in the batch's text.
    pub start: usize,
    pub end: usize,
}

/// Longest first: `<=` before `<`.
const SYMBOLS: &[&str] = &[
    "<>", "<=", ">=", "!=", "!<", "!>", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "::", "(",
    ")", ",", ".", ";", "=", "<", ">", "+", "-", "*", "/", "%", "&", "|", "^", "~", ":",
];

pub fn tokens(sql: &str) -> Result<Vec<Token>, SqlError> {
    let mut lexer = Lexer { sql, at: 0, line: 1 };
    let mut found = Vec::new();
    loop {
        lexer.skip_blanks()?;
        let (start, line) = (lexer.at, lexer.line);
        let kind = lexer.token()?;
        let ended = kind == Kind::End;
        found.push(Token { kind, line, start, end: lexer.at });
        if ended {
            return Ok(found);
        }
    }
}

struct Lexer<'a> {
    sql: &'a str,
    at: usize,
    line: u32,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.sql[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn step(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        self.line += u32::from(next == '\n');
        Some(next)
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let start = self.at;
        while self.peek().is_some_and(&wanted) {
            self.step();
        }
        self.sql[start..self.at].to_string()
    }

    fn skip_blanks(&mut self) -> Result<(), SqlError> {
        loop {
            if self.rest().starts_with("--") {
                self.take_while(|c| c != '\n');
            } else if self.rest().starts_with("/*") {
                self.skip_comment()?;
            } else if self.peek().is_some_and(|c| c.is_whitespace() || c == '\u{FEFF}') {
                self.step();
            } else {
                return Ok(());
            }
        }
    }

    fn skip_comment(&mut self) -> Result<(), SqlError> {
        let mut depth = 0;
        loop {
            if self.rest().starts_with("/*") {
                depth += 1;
                self.at += 2;
            } else if self.rest().starts_with("*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return Ok(());
                }
            } else if self.step().is_none() {
                return Err(self.refuse(SqlError::new(113, "Missing end comment mark '*/'.")));
            }
        }
    }

    fn token(&mut self) -> Result<Kind, SqlError> {
        let Some(first) = self.peek() else { return Ok(Kind::End) };
        let second = self.rest().chars().nth(1);
        match first {
            '\'' => Ok(Kind::Text(self.quoted('\'')?)),
            'N' | 'n' if second == Some('\'') => {
                self.step();
                Ok(Kind::National(self.quoted('\'')?))
            }
            '[' => self.name(']'),
            '"' => self.name('"'),
            '0' if matches!(second, Some('x' | 'X')) => self.hexadecimal(),
            '0'..='9' => Ok(self.number()),
            '.' if second.is_some_and(|c| c.is_ascii_digit()) => Ok(self.number()),
            '@' => Ok(Kind::Variable(self.take_while(is_part).to_lowercase())),
            c if c.is_alphabetic() || c == '_' || c == '#' => {
                Ok(Kind::Word(self.take_while(is_part)))
            }
            _ => self.symbol(first),
        }
    }

    fn symbol(&mut self, first: char) -> Result<Kind, SqlError> {
        match SYMBOLS.iter().find(|symbol| self.rest().starts_with(**symbol)) {
            Some(symbol) => {
                self.at += symbol.len();
                Ok(Kind::Symbol(symbol))
            }
            None => Err(self.refuse(refusal::syntax(&first.to_string()))),
        }
    }

    /// `[a]]b]` or `"x"`; an empty name is no name (1038 on a real server).
    fn name(&mut self, close: char) -> Result<Kind, SqlError> {
        let name = self.quoted(close)?;
        if name.is_empty() {
            return Err(
                self.refuse(SqlError::new(1038, "An object or column name is missing or empty."))
            );
        }
        Ok(Kind::Quoted(name))
    }

    /// Reads up to `close`, which stands for itself when doubled.
    fn quoted(&mut self, close: char) -> Result<String, SqlError> {
        self.step();
        let mut text = String::new();
        loop {
            match self.step() {
                Some(c) if c == close && self.peek() == Some(close) => {
                    self.step();
                    text.push(close);
                }
                Some(c) if c == close => return Ok(text),
                Some(c) => text.push(c),
                None => {
                    let start: String = text.chars().take(40).collect();
                    return Err(self.refuse(SqlError::new(
                        105,
                        format!("Unclosed quotation mark after the character string '{start}'."),
                    )));
                }
            }
        }
    }

    fn hexadecimal(&mut self) -> Result<Kind, SqlError> {
        self.at += 2;
        let digits = self.take_while(|c| c.is_ascii_hexdigit());
        // An odd digit count gets a leading zero, as SQL Server reads it.
        let even = if digits.len() % 2 == 1 { format!("0{digits}") } else { digits };
        match parse_hexadecimal(&even) {
            Some(bytes) => Ok(Kind::Hex(bytes)),
            None => Err(self.refuse(refusal::syntax(&even))),
        }
    }

    fn number(&mut self) -> Kind {
        let mut text = self.take_while(|c| c.is_ascii_digit());
        if self.peek() == Some('.') {
            self.step();
            text.push('.');
            text += &self.take_while(|c| c.is_ascii_digit());
        }
        let mut after = self.rest().chars();
        if matches!(after.next(), Some('e' | 'E')) {
            let sign = after.next();
            let digit = if matches!(sign, Some('+' | '-')) { after.next() } else { sign };
            if digit.is_some_and(|c| c.is_ascii_digit()) {
                self.step();
                text.push('e');
                text.extend(self.step());
                text += &self.take_while(|c| c.is_ascii_digit());
            }
        }
        Kind::Number(text)
    }

    fn refuse(&self, error: SqlError) -> SqlError {
        SqlError { line: self.line, ..error }
    }
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '@' | '#' | '$')
}

#[cfg(test)]
mod tests {
    use super::{Kind, tokens};

    #[test]
    fn names_texts_and_numbers() {
        let kinds: Vec<Kind> =
            tokens("[a]]b] N'it''s' 0x0F 1.5e3 .5 @@RowCount /* x /* y */ */ <>-- z")
                .expect("a text of the test")
                .into_iter()
                .map(|token| token.kind)
                .collect();
        assert_eq!(
            kinds,
            [
                Kind::Quoted("a]b".into()),
                Kind::National("it's".into()),
                Kind::Hex(vec![15]),
                Kind::Number("1.5e3".into()),
                Kind::Number(".5".into()),
                Kind::Variable("@@rowcount".into()),
                Kind::Symbol("<>"),
                Kind::End,
            ]
        );
    }

    #[test]
    fn what_is_not_closed_is_refused_with_its_line() {
        for (sql, number) in [("\n'abc", 105), ("/* abc", 113), ("a ? b", 102), ("[]", 1038)] {
            assert_eq!(tokens(sql).map_err(|e| e.number).unwrap_err(), number, "{sql}");
        }
        assert_eq!(tokens("\n\n ?").unwrap_err().line, 3);
    }
}
