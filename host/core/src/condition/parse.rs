//! The filter's text into a condition: a lexer and a parser by recursive descent, both bounded.
//!
//! ```text
//! any    = all { OR all }
//! all    = not { AND not }
//! not    = [NOT] not | ( any ) | column test
//! test   = (= <> < <= > >=) value | [NOT] IN ( value {, value} ) | [NOT] BETWEEN value AND value
//!        | [NOT] LIKE 'start%' | IS [NOT] NULL
//! value  = number | 'text' | @store | @register
//! column = NAME | [NAME]
//! ```

use super::{Comparison, Complaint, Literal, Named, Said, Term};
use crate::limits::{FILTER_CHARACTERS_MAX, FILTER_DEPTH_MAX, FILTER_VALUES_MAX};
use crate::spelling::nearest;

type Parsed<T> = Result<T, Complaint>;
type Node = Term<Named, Literal>;

pub(super) fn parse(text: &str) -> Parsed<Node> {
    let count = text.chars().count();
    if count > FILTER_CHARACTERS_MAX {
        let message = format!("a filter has at most {FILTER_CHARACTERS_MAX} characters");
        return wrong(FILTER_CHARACTERS_MAX + 1, message);
    }
    let tokens = Lexer { letters: text.chars().collect(), at: 0 }.tokens()?;
    let mut parser = Parser { tokens, at: 0, depth: 0, values: 0, end: count + 1 };
    let root = parser.any()?;
    match parser.peek() {
        None => Ok(root),
        Some(Token { kind: Kind::Symbol(")"), .. }) => parser.expected("nothing: no ( is open"),
        Some(_) => parser.expected("AND, OR or the end"),
    }
}

fn wrong<T>(at: usize, message: impl Into<String>) -> Parsed<T> {
    Err(Complaint { at, message: message.into() })
}

/// `'…'` with quotes doubled.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The pattern of what begins with `start`.
pub(super) fn pattern(start: &str) -> String {
    let mut pattern = String::new();
    for letter in start.chars() {
        match letter {
            '%' | '_' | '[' => pattern.extend(['[', letter, ']']),
            other => pattern.push(other),
        }
    }
    pattern + "%"
}

#[derive(Clone, Debug, PartialEq)]
struct Token {
    kind: Kind,
    at: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// A name or a word of the language, as written.
    Word(String),
    /// `[NAME]`: never a word of the language.
    Name(String),
    Number(String),
    Text(String),
    Parameter(String),
    Symbol(&'static str),
}

const SYMBOLS: [&str; 9] = ["<>", "<=", ">=", "=", "<", ">", "(", ")", ","];

/// What people write who know another language, and what it is here.
const ELSEWHERE: [(&str, &str); 8] = [
    ("==", "write ="),
    ("!=", "write <>"),
    ("&&", "write AND"),
    ("||", "write OR"),
    ("--", "a filter has no comments"),
    ("/*", "a filter has no comments"),
    ("\"", "texts stand in single quotes, names in [ ]"),
    (";", "a filter is one condition"),
];

struct Lexer {
    letters: Vec<char>,
    at: usize,
}

impl Lexer {
    fn tokens(mut self) -> Parsed<Vec<Token>> {
        let mut tokens = Vec::new();
        while let Some(letter) = self.letters.get(self.at).copied() {
            if letter.is_whitespace() {
                self.at += 1;
                continue;
            }
            let at = self.at + 1;
            tokens.push(Token { kind: self.token(letter)?, at });
        }
        Ok(tokens)
    }

    fn token(&mut self, letter: char) -> Parsed<Kind> {
        if let Some((_, hint)) = ELSEWHERE.iter().find(|(begin, _)| self.begins(begin)) {
            return wrong(self.at + 1, *hint);
        }
        let next = self.letters.get(self.at + 1).copied().unwrap_or(' ');
        match letter {
            'N' | 'n' if next == '\'' => wrong(self.at + 1, "write 'text' without the N"),
            '\'' => Ok(Kind::Text(self.enclosed('\'', "this text has no end: a ' is missing")?)),
            '[' => Ok(Kind::Name(self.enclosed(']', "this name has no end: a ] is missing")?)),
            '@' => {
                self.at += 1;
                Ok(Kind::Parameter(self.word()))
            }
            '+' | '-' if next.is_ascii_digit() => self.number(),
            _ if letter.is_ascii_digit() => self.number(),
            _ if letter.is_alphabetic() || letter == '_' => Ok(Kind::Word(self.word())),
            _ => self.symbol(letter),
        }
    }

    fn begins(&self, text: &str) -> bool {
        text.chars().enumerate().all(|(n, letter)| self.letters.get(self.at + n) == Some(&letter))
    }

    fn symbol(&mut self, letter: char) -> Parsed<Kind> {
        match SYMBOLS.iter().find(|symbol| self.begins(symbol)) {
            Some(symbol) => {
                self.at += symbol.len();
                Ok(Kind::Symbol(symbol))
            }
            None => wrong(self.at + 1, format!("'{letter}' has no meaning in a filter")),
        }
    }

    fn word(&mut self) -> String {
        let is_of_word = |letter: &char| letter.is_alphanumeric() || "_$#".contains(*letter);
        let word: String = self.letters[self.at..].iter().copied().take_while(is_of_word).collect();
        self.at += word.chars().count();
        word
    }

    fn number(&mut self) -> Parsed<Kind> {
        let start = self.at;
        let digits: String = self.letters[start..]
            .iter()
            .enumerate()
            .take_while(|(n, letter)| letter.is_alphanumeric() || **letter == '.' || *n == 0)
            .map(|(_, letter)| *letter)
            .collect();
        self.at += digits.chars().count();
        let plain = digits.trim_start_matches(['+', '-']);
        let (whole, fraction) = plain.split_once('.').unwrap_or((plain, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if is_digits(whole) && is_digits(fraction) {
            return Ok(Kind::Number(digits.trim_start_matches('+').to_string()));
        }
        wrong(start + 1, format!("'{digits}' is no number such as 12 or -0.50"))
    }

    /// The inside of what stands between the letter here and `end`; a doubled `end` is one letter of it.
    fn enclosed(&mut self, end: char, endless: &str) -> Parsed<String> {
        let start = self.at + 1;
        let mut inside = String::new();
        self.at += 1;
        loop {
            match self.letters.get(self.at) {
                None => return wrong(start, endless),
                Some(letter) if *letter == end => {
                    if self.letters.get(self.at + 1) != Some(&end) {
                        self.at += 1;
                        return Ok(inside);
                    }
                    self.at += 2;
                    inside.push(end);
                }
                Some(letter) => {
                    inside.push(*letter);
                    self.at += 1;
                }
            }
        }
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    values: usize,
    /// Where the text ends.
    end: usize,
}

const WORDS: [&str; 8] = ["AND", "OR", "NOT", "IN", "BETWEEN", "LIKE", "IS", "NULL"];

fn is_word(kind: &Kind, word: &str) -> bool {
    matches!(kind, Kind::Word(found) if found.eq_ignore_ascii_case(word))
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn here(&self) -> usize {
        self.peek().map_or(self.end, |token| token.at)
    }

    fn accept(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|token| is_word(&token.kind, word));
        self.at += usize::from(found);
        found
    }

    fn accept_symbol(&mut self, symbol: &str) -> bool {
        let found =
            self.peek().is_some_and(|token| matches!(token.kind, Kind::Symbol(s) if s == symbol));
        self.at += usize::from(found);
        found
    }

    fn expected<T>(&self, what: &str) -> Parsed<T> {
        let found = match self.peek().map(|token| &token.kind) {
            None => "the end".to_string(),
            Some(Kind::Word(word)) => word.clone(),
            Some(Kind::Name(name)) => format!("[{name}]"),
            Some(Kind::Number(digits)) => digits.clone(),
            Some(Kind::Text(text)) => quoted(text),
            Some(Kind::Parameter(name)) => format!("@{name}"),
            Some(Kind::Symbol(symbol)) => symbol.to_string(),
        };
        wrong(self.here(), format!("expected {what}, found {found}"))
    }

    fn any(&mut self) -> Parsed<Node> {
        self.series("OR", Parser::all, Term::Any)
    }

    fn all(&mut self) -> Parsed<Node> {
        self.series("AND", Parser::not, Term::All)
    }

    fn series(
        &mut self,
        word: &str,
        part: fn(&mut Parser) -> Parsed<Node>,
        of: fn(Vec<Node>) -> Node,
    ) -> Parsed<Node> {
        let first = part(self)?;
        let mut parts = vec![first];
        while self.accept(word) {
            parts.push(part(self)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { of(parts) })
    }

    fn not(&mut self) -> Parsed<Node> {
        let at = self.here();
        if self.accept("NOT") {
            return self.deeper(at, |parser| Ok(Term::Not(Box::new(parser.not()?))));
        }
        if self.accept_symbol("(") {
            let inside = self.deeper(at, Parser::any)?;
            return match self.accept_symbol(")") {
                true => Ok(inside),
                false => self.expected(&format!("a ) for the ( in column {at}")),
            };
        }
        self.test()
    }

    fn deeper(
        &mut self,
        at: usize,
        part: impl FnOnce(&mut Parser) -> Parsed<Node>,
    ) -> Parsed<Node> {
        if self.depth == FILTER_DEPTH_MAX {
            return wrong(at, format!("parentheses and NOTs go at most {FILTER_DEPTH_MAX} deep"));
        }
        self.depth += 1;
        let inside = part(self);
        self.depth -= 1;
        inside
    }

    fn column(&mut self) -> Parsed<Named> {
        let at = self.here();
        let name = match self.peek().map(|token| &token.kind) {
            Some(Kind::Name(name)) if !name.is_empty() => name.clone(),
            Some(Kind::Word(word)) if !WORDS.iter().any(|w| w.eq_ignore_ascii_case(word)) => {
                word.clone()
            }
            Some(Kind::Number(_) | Kind::Text(_) | Kind::Parameter(_)) => {
                return wrong(at, "a column stands first, then what it is compared with");
            }
            _ => return self.expected("a column"),
        };
        self.at += 1;
        Ok(Named { name, at })
    }

    fn test(&mut self) -> Parsed<Node> {
        let column = self.column()?;
        if self.accept("IS") {
            let negated = self.accept("NOT");
            return match self.accept("NULL") {
                true => Ok(perhaps_not(negated, Term::IsNull { column })),
                false => self.expected("NULL"),
            };
        }
        if let Some(is) = self.comparison() {
            return Ok(Term::Compare { column, is, to: self.value()? });
        }
        let negated = self.accept("NOT");
        let test = if self.accept("IN") {
            self.among(column)?
        } else if self.accept("BETWEEN") {
            self.between(column)?
        } else if self.accept("LIKE") {
            Term::Begins { column, start: self.start()? }
        } else if self.accept_symbol("(") {
            return wrong(
                column.at,
                format!("{} is no column: a filter has no functions", column.name),
            );
        } else {
            return self.expected(&format!(
                "=, <>, <, <=, >, >=, IN, BETWEEN, LIKE or IS after {}",
                column.name
            ));
        };
        Ok(perhaps_not(negated, test))
    }

    fn comparison(&mut self) -> Option<Comparison> {
        Comparison::ALL.into_iter().find(|is| self.accept_symbol(is.symbol()))
    }

    fn among(&mut self, column: Named) -> Parsed<Node> {
        if !self.accept_symbol("(") {
            return self.expected("( and a list of values after IN");
        }
        if self.peek().is_some_and(|token| is_word(&token.kind, "SELECT")) {
            return wrong(self.here(), "a filter has no subqueries: list the values");
        }
        let mut values = vec![self.value()?];
        while self.accept_symbol(",") {
            values.push(self.value()?);
        }
        match self.accept_symbol(")") {
            true => Ok(Term::Among { column, values }),
            false => self.expected("a comma or the ) of the list"),
        }
    }

    fn between(&mut self, column: Named) -> Parsed<Node> {
        let low = self.value()?;
        if !self.accept("AND") {
            return self.expected("AND and the upper bound of BETWEEN");
        }
        Ok(Term::Between { column, low, high: self.value()? })
    }

    fn value(&mut self) -> Parsed<Literal> {
        let at = self.here();
        self.values += 1;
        if self.values > FILTER_VALUES_MAX {
            return wrong(at, format!("a filter has at most {FILTER_VALUES_MAX} values"));
        }
        let value = match self.peek().map(|token| &token.kind) {
            Some(Kind::Number(digits)) => Said::Number(digits.clone()),
            Some(Kind::Text(text)) => Said::Text(text.clone()),
            Some(Kind::Parameter(name)) => parameter(name, at)?,
            Some(kind) if is_word(kind, "NULL") => {
                return wrong(at, "nothing compares with NULL: write IS NULL or IS NOT NULL");
            }
            Some(Kind::Word(_) | Kind::Name(_)) => {
                return wrong(
                    at,
                    "a column is compared with a value, not with another column; texts stand in single quotes",
                );
            }
            _ => return self.expected("a number, a 'text', @store or @register"),
        };
        self.at += 1;
        Ok(Literal { value, at })
    }

    /// What LIKE's pattern begins with.
    fn start(&mut self) -> Parsed<String> {
        let at = self.here();
        self.values += 1;
        let Some(Kind::Text(pattern)) = self.peek().map(|token| token.kind.clone()) else {
            return self.expected("a 'text%' after LIKE");
        };
        self.at += 1;
        let Some(inside) = pattern.strip_suffix('%') else {
            return wrong(
                at,
                "a pattern is a beginning: end it with %, or write = for the whole text",
            );
        };
        let mut start = String::new();
        let mut rest = inside;
        while let Some(letter) = rest.chars().next() {
            let literal = ['%', '_', '['].into_iter().find(|l| rest.starts_with(&format!("[{l}]")));
            match literal {
                Some(literal) => {
                    start.push(literal);
                    rest = &rest[3..];
                }
                None if matches!(letter, '%' | '_' | '[') => {
                    let message = format!(
                        "only a % at the end is a wildcard here; [{letter}] stands for the letter itself"
                    );
                    return wrong(at, message);
                }
                None => {
                    start.push(letter);
                    rest = &rest[letter.len_utf8()..];
                }
            }
        }
        Ok(start)
    }
}

fn perhaps_not(negated: bool, term: Node) -> Node {
    if negated { Term::Not(Box::new(term)) } else { term }
}

const PARAMETERS: [(&str, Said); 2] = [("store", Said::Store), ("register", Said::Register)];

fn parameter(name: &str, at: usize) -> Parsed<Said> {
    if let Some((_, said)) = PARAMETERS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        return Ok(said.clone());
    }
    let near = nearest(name, PARAMETERS.iter().map(|(known, _)| *known));
    let hint = near.map_or(String::new(), |near| format!("; did you mean @{near}?"));
    wrong(at, format!("unknown parameter @{name}: there are @store and @register{hint}"))
}
