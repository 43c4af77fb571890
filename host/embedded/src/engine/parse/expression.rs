//! Values and conditions. Both are one grammar; the translation refuses a value where a condition belongs.

use super::{Parsed, Parser};
use crate::engine::lexer::Kind;
use crate::engine::syntax::{BinaryOperator, Call, Expr, Over, UnaryOperator};

use BinaryOperator as Op;

const COMPARISONS: &[(&str, Op)] = &[
    ("=", Op::Equal),
    ("<>", Op::NotEqual),
    ("!=", Op::NotEqual),
    ("<=", Op::LessOrEqual),
    ("!>", Op::LessOrEqual),
    (">=", Op::GreaterOrEqual),
    ("!<", Op::GreaterOrEqual),
    ("<", Op::Less),
    (">", Op::Greater),
];
const SUMS: &[(&str, Op)] =
    &[("+", Op::Add), ("-", Op::Subtract), ("&", Op::BitAnd), ("|", Op::BitOr), ("^", Op::BitXor)];
const PRODUCTS: &[(&str, Op)] = &[("*", Op::Multiply), ("/", Op::Divide), ("%", Op::Modulo)];
/// Functions that are written without parentheses.
const BARE: &[&str] = &["CURRENT_TIMESTAMP", "SYSTEM_USER", "SESSION_USER", "CURRENT_USER", "USER"];
/// Reserved words that are functions when a parenthesis follows.
const RESERVED_FUNCTIONS: &[&str] =
    &["COALESCE", "CONVERT", "LEFT", "NULLIF", "RIGHT", "TRY_CONVERT"];

/// Operators one after another, and the levels around them.
const CHAIN_MAX: usize = 100;

/// AND and OR of many terms as a tree of little depth: a filter of hundreds of keys is nothing unusual.
fn balanced(operator: Op, mut terms: Vec<Expr>) -> Expr {
    if terms.len() > 2 {
        let right = balanced(operator, terms.split_off(terms.len() / 2));
        return binary(operator, balanced(operator, terms), right);
    }
    match (terms.pop(), terms.pop()) {
        (Some(right), Some(left)) => binary(operator, left, right),
        (Some(only), None) => only,
        // No caller gives an empty list.
        _ => Expr::Null,
    }
}

fn binary(operator: Op, left: Expr, right: Expr) -> Expr {
    Expr::Binary(operator, Box::new(left), Box::new(right))
}

impl Parser<'_> {
    pub(super) fn expr(&mut self) -> Parsed<Expr> {
        self.deeper(Self::disjunction)
    }

    fn boxed(&mut self) -> Parsed<Box<Expr>> {
        self.expr().map(Box::new)
    }

    fn disjunction(&mut self) -> Parsed<Expr> {
        let mut terms = vec![self.conjunction()?];
        while self.accept_word("OR") {
            terms.push(self.conjunction()?);
        }
        Ok(balanced(Op::Or, terms))
    }

    fn conjunction(&mut self) -> Parsed<Expr> {
        let mut terms = vec![self.negation()?];
        while self.accept_word("AND") {
            terms.push(self.negation()?);
        }
        Ok(balanced(Op::And, terms))
    }

    fn negation(&mut self) -> Parsed<Expr> {
        if self.accept_word("NOT") {
            let value = self.deeper(Self::negation)?;
            return Ok(Expr::Unary(UnaryOperator::Not, Box::new(value)));
        }
        self.predicate()
    }

    fn predicate(&mut self) -> Parsed<Expr> {
        let left = self.sum()?;
        if let Some(operator) = self.operator(COMPARISONS) {
            if self.is_any_word(&["ANY", "ALL", "SOME"]) {
                return Err(self.unsupported("a comparison with ANY or ALL"));
            }
            return Ok(binary(operator, left, self.sum()?));
        }
        if self.accept_word("IS") {
            let negated = self.accept_word("NOT");
            self.expect_word("NULL")?;
            return Ok(Expr::IsNull { value: Box::new(left), negated });
        }
        let negated = self.is_word("NOT")
            && (self.is_word_at(1, "IN")
                || self.is_word_at(1, "LIKE")
                || self.is_word_at(1, "BETWEEN"));
        if negated {
            self.step();
        }
        self.membership(left, negated)
    }

    fn membership(&mut self, left: Expr, negated: bool) -> Parsed<Expr> {
        let value = Box::new(left);
        if self.accept_word("BETWEEN") {
            let low = Box::new(self.sum()?);
            self.expect_word("AND")?;
            return Ok(Expr::Between { value, low, high: Box::new(self.sum()?), negated });
        }
        if self.accept_word("LIKE") {
            let pattern = Box::new(self.sum()?);
            let escape =
                if self.accept_word("ESCAPE") { Some(Box::new(self.sum()?)) } else { None };
            return Ok(Expr::Like { value, pattern, escape, negated });
        }
        if self.accept_word("IN") {
            self.expect("(")?;
            if self.starts_query() {
                let query = Box::new(self.query()?);
                self.expect(")")?;
                return Ok(Expr::InQuery { value, query, negated });
            }
            let list = self.commas(Self::expr)?;
            self.expect(")")?;
            return Ok(Expr::InList { value, list, negated });
        }
        Ok(*value)
    }

    fn operator(&mut self, among: &[(&str, Op)]) -> Option<Op> {
        let (_, operator) = among.iter().find(|(symbol, _)| self.is(symbol))?;
        self.step();
        Some(*operator)
    }

    fn sum(&mut self) -> Parsed<Expr> {
        let (mut left, mut length) = (self.product()?, 0);
        while let Some(operator) = self.operator(SUMS) {
            left = binary(operator, left, self.product()?);
            self.chained(&mut length)?;
        }
        Ok(left)
    }

    fn product(&mut self) -> Parsed<Expr> {
        let (mut left, mut length) = (self.signed()?, 0);
        while let Some(operator) = self.operator(PRODUCTS) {
            left = binary(operator, left, self.signed()?);
            self.chained(&mut length)?;
        }
        Ok(left)
    }

    /// `1 + 1 + 1`: each operator is one level more of the tree.
    pub(super) fn chained(&self, length: &mut usize) -> Parsed<()> {
        *length += 1;
        if self.depth + *length > CHAIN_MAX { Err(self.too_deep()) } else { Ok(()) }
    }

    fn signed(&mut self) -> Parsed<Expr> {
        let operator = match self.kind() {
            Kind::Symbol("-") => UnaryOperator::Minus,
            Kind::Symbol("+") => UnaryOperator::Plus,
            Kind::Symbol("~") => UnaryOperator::BitNot,
            _ => return self.collated(),
        };
        self.step();
        let value = self.deeper(Self::signed)?;
        Ok(Expr::Unary(operator, Box::new(value)))
    }

    /// A constant, variable, call or parenthesised value with its sign: what defaults and arguments may be.
    pub(super) fn signed_constant(&mut self) -> Parsed<Expr> {
        self.signed()
    }

    fn collated(&mut self) -> Parsed<Expr> {
        let (mut value, mut length) = (self.primary()?, 0);
        while self.accept_word("COLLATE") {
            self.chained(&mut length)?;
            let collation = match self.kind() {
                Kind::Word(name) => name.clone(),
                _ => return Err(self.unexpected()),
            };
            self.step();
            value = Expr::Collate { value: Box::new(value), collation };
        }
        Ok(value)
    }

    fn primary(&mut self) -> Parsed<Expr> {
        let constant = match self.kind() {
            Kind::Text(text) => Expr::Text { text: text.clone(), national: false },
            Kind::National(text) => Expr::Text { text: text.clone(), national: true },
            Kind::Number(text) => Expr::Number(text.clone()),
            Kind::Hex(bytes) => Expr::Hex(bytes.clone()),
            Kind::Variable(name) => Expr::Variable(name.clone()),
            Kind::Symbol("(") => return self.parenthesised(),
            Kind::Word(word) if word.eq_ignore_ascii_case("NULL") => Expr::Null,
            Kind::Word(_) => return self.word(),
            Kind::Quoted(_) => return self.column(),
            _ => return Err(self.unexpected()),
        };
        self.step();
        Ok(constant)
    }

    fn parenthesised(&mut self) -> Parsed<Expr> {
        self.expect("(")?;
        let value =
            if self.starts_query() { Expr::Query(Box::new(self.query()?)) } else { self.expr()? };
        self.expect(")")?;
        Ok(value)
    }

    fn word(&mut self) -> Parsed<Expr> {
        if self.accept_word("CASE") {
            return self.case();
        }
        if self.accept_word("EXISTS") {
            self.expect("(")?;
            let query = Box::new(self.query()?);
            self.expect(")")?;
            return Ok(Expr::Exists(query));
        }
        if self.is_at(1, "(") {
            return self.call();
        }
        if let Some(bare) = BARE.iter().find(|bare| self.is_word(bare)) {
            self.step();
            return Ok(Expr::Call(call(bare, Vec::new())));
        }
        self.column()
    }

    fn column(&mut self) -> Parsed<Expr> {
        let mut parts = vec![self.name()?];
        while self.is(".") && !self.is_at(1, "*") {
            self.step();
            parts.push(self.name()?);
        }
        if parts.len() > 4 || self.is("(") {
            return Err(self.unexpected());
        }
        Ok(Expr::Column(parts))
    }

    fn case(&mut self) -> Parsed<Expr> {
        let operand = if self.is_word("WHEN") { None } else { Some(self.boxed()?) };
        let mut branches = Vec::new();
        while self.accept_word("WHEN") {
            let when = self.expr()?;
            self.expect_word("THEN")?;
            branches.push((when, self.expr()?));
        }
        let otherwise = if self.accept_word("ELSE") { Some(self.boxed()?) } else { None };
        self.expect_word("END")?;
        if branches.is_empty() {
            return Err(self.unexpected());
        }
        Ok(Expr::Case { operand, branches, otherwise })
    }

    fn call(&mut self) -> Parsed<Expr> {
        let Kind::Word(word) = self.kind() else { return Err(self.unexpected()) };
        let name = word.to_ascii_uppercase();
        if super::is_reserved(&name) && !RESERVED_FUNCTIONS.contains(&name.as_str()) {
            return Err(self.unexpected());
        }
        self.step();
        self.expect("(")?;
        match name.as_str() {
            "CAST" | "TRY_CAST" => return self.cast(name == "TRY_CAST"),
            "CONVERT" | "TRY_CONVERT" => return self.convert(name == "TRY_CONVERT"),
            _ => {}
        }
        let mut found = call(&name, Vec::new());
        if self.accept("*") {
            found.star = true;
        } else if !self.is(")") {
            found.distinct = self.accept_word("DISTINCT");
            found.arguments = self.arguments(&name)?;
        }
        self.expect(")")?;
        if self.accept_word("OVER") {
            found.over = Some(self.over()?);
        }
        Ok(Expr::Call(found))
    }

    /// DATEADD's and DATEDIFF's first argument is a bare word, not a column.
    fn arguments(&mut self, name: &str) -> Parsed<Vec<Expr>> {
        let mut found = Vec::new();
        if matches!(name, "DATEADD" | "DATEDIFF" | "DATEDIFF_BIG" | "DATEPART" | "DATENAME") {
            let Kind::Word(part) = self.kind() else { return Err(self.unexpected()) };
            found.push(Expr::Text { text: part.to_lowercase(), national: false });
            self.step();
            self.expect(",")?;
        }
        found.extend(self.commas(Self::expr)?);
        Ok(found)
    }

    fn cast(&mut self, attempt: bool) -> Parsed<Expr> {
        let value = self.boxed()?;
        self.expect_word("AS")?;
        let of = self.data_type_of_cast()?;
        self.expect(")")?;
        Ok(Expr::Cast { value, of, style: None, attempt })
    }

    fn convert(&mut self, attempt: bool) -> Parsed<Expr> {
        let of = self.data_type_of_cast()?;
        self.expect(",")?;
        let value = self.boxed()?;
        let style = if self.accept(",") { Some(self.boxed()?) } else { None };
        self.expect(")")?;
        Ok(Expr::Cast { value, of, style, attempt })
    }

    fn over(&mut self) -> Parsed<Over> {
        self.expect("(")?;
        let partition = if self.accept_words(&["PARTITION", "BY"]) {
            self.commas(Self::expr)?
        } else {
            Vec::new()
        };
        let order = self.order_by()?;
        if !self.is(")") {
            return Err(self.unsupported("a window frame"));
        }
        self.expect(")")?;
        Ok(Over { partition, order })
    }
}

fn call(name: &str, arguments: Vec<Expr>) -> Call {
    Call { name: name.to_string(), arguments, star: false, distinct: false, over: None }
}
