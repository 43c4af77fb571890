//! SELECT: common table expressions, sources and joins, grouping, set operations, paging.

use super::{Parsed, Parser};
use crate::engine::lexer::Kind;
use crate::engine::syntax::{
    Body, Cte, Expr, Hints, Item, JoinKind, JsonColumn, Order, Query, Select, Source,
};

impl Parser<'_> {
    pub(super) fn starts_query(&self) -> bool {
        self.is_word("SELECT")
            || self.is_word("WITH")
            || (self.is("(")
                && (self.is_word_at(1, "SELECT") || self.is_at(1, "(") && self.nested_query()))
    }

    /// `((((SELECT`: parentheses around a query, at any depth.
    fn nested_query(&self) -> bool {
        let mut ahead = 0;
        while self.is_at(ahead, "(") {
            ahead += 1;
        }
        self.is_word_at(ahead, "SELECT")
    }

    pub(super) fn query(&mut self) -> Parsed<Query> {
        self.deeper(|parser| {
            let ctes =
                if parser.accept_word("WITH") { parser.commas(Self::cte)? } else { Vec::new() };
            parser.query_after(ctes)
        })
    }

    pub(super) fn query_after(&mut self, ctes: Vec<Cte>) -> Parsed<Query> {
        let body = self.union()?;
        let order = self.order_by()?;
        let (mut offset, mut fetch) = (None, None);
        if !order.is_empty() && self.accept_word("OFFSET") {
            offset = Some(self.expr()?);
            if !self.accept_word("ROWS") {
                self.expect_word("ROW")?;
            }
            if self.accept_word("FETCH") {
                fetch = Some(self.fetch()?);
            }
        }
        if self.is_word("FOR") {
            return Err(self.unsupported("FOR"));
        }
        self.query_option()?;
        Ok(Query { ctes, body, order, offset, fetch })
    }

    fn fetch(&mut self) -> Parsed<Expr> {
        if !self.accept_word("NEXT") {
            self.expect_word("FIRST")?;
        }
        let count = self.expr()?;
        if !self.accept_word("ROWS") {
            self.expect_word("ROW")?;
        }
        self.expect_word("ONLY")?;
        Ok(count)
    }

    /// `OPTION (...)`: advice to SQL Server's optimizer; read and left.
    pub(super) fn query_option(&mut self) -> Parsed<()> {
        if !self.accept_word("OPTION") {
            return Ok(());
        }
        self.expect("(")?;
        self.skip_parenthesised()
    }

    /// Up to the `)` that closes one already opened.
    pub(super) fn skip_parenthesised(&mut self) -> Parsed<()> {
        let mut depth = 1;
        while depth > 0 {
            match self.kind() {
                Kind::Symbol("(") => depth += 1,
                Kind::Symbol(")") => depth -= 1,
                Kind::End => return Err(self.unexpected()),
                _ => {}
            }
            self.step();
        }
        Ok(())
    }

    pub(super) fn cte(&mut self) -> Parsed<Cte> {
        let name = self.name()?;
        let columns = if self.is("(") { self.names()? } else { Vec::new() };
        self.expect_word("AS")?;
        self.expect("(")?;
        let query = self.query()?;
        self.expect(")")?;
        Ok(Cte { name, columns, query })
    }

    fn union(&mut self) -> Parsed<Body> {
        let (mut left, mut length) = (self.intersect()?, 0);
        loop {
            self.chained(&mut length)?;
            if self.accept_word("UNION") {
                let all = self.accept_word("ALL");
                let right = Box::new(self.intersect()?);
                left = Body::Union { all, left: Box::new(left), right };
            } else if self.accept_word("EXCEPT") {
                left = Body::Except { left: Box::new(left), right: Box::new(self.intersect()?) };
            } else {
                return Ok(left);
            }
        }
    }

    fn intersect(&mut self) -> Parsed<Body> {
        let (mut left, mut length) = (self.body()?, 0);
        while self.accept_word("INTERSECT") {
            self.chained(&mut length)?;
            left = Body::Intersect { left: Box::new(left), right: Box::new(self.body()?) };
        }
        Ok(left)
    }

    fn body(&mut self) -> Parsed<Body> {
        if self.accept("(") {
            let body = self.deeper(Self::union)?;
            self.expect(")")?;
            return Ok(body);
        }
        self.select().map(|select| Body::Select(Box::new(select)))
    }

    fn select(&mut self) -> Parsed<Select> {
        self.expect_word("SELECT")?;
        let distinct = self.accept_word("DISTINCT");
        if !distinct {
            self.accept_word("ALL");
        }
        let top = self.top()?;
        let items = self.commas(Self::item)?;
        let into = if self.accept_word("INTO") { Some(self.object_name()?) } else { None };
        let from = if self.accept_word("FROM") { self.commas(Self::source)? } else { Vec::new() };
        let filter = if self.accept_word("WHERE") { Some(self.expr()?) } else { None };
        let group =
            if self.accept_words(&["GROUP", "BY"]) { self.commas(Self::expr)? } else { Vec::new() };
        let having = if self.accept_word("HAVING") { Some(self.expr()?) } else { None };
        Ok(Select { distinct, top, items, into, from, filter, group, having })
    }

    pub(super) fn top(&mut self) -> Parsed<Option<Expr>> {
        if !self.accept_word("TOP") {
            return Ok(None);
        }
        // Without parentheses only a constant is allowed: TOP @n is a syntax error.
        let count = if self.accept("(") {
            let count = self.expr()?;
            self.expect(")")?;
            count
        } else {
            let Kind::Number(text) = self.kind() else { return Err(self.unexpected()) };
            let count = Expr::Number(text.clone());
            self.step();
            count
        };
        if self.is_word("PERCENT") || (self.is_word("WITH") && self.is_word_at(1, "TIES")) {
            return Err(self.unsupported("TOP with PERCENT or TIES"));
        }
        Ok(Some(count))
    }

    pub(super) fn item(&mut self) -> Parsed<Item> {
        if self.accept("*") {
            return Ok(Item::All);
        }
        if self.is_name() && self.is_at(1, ".") && self.is_at(2, "*") {
            let name = self.name()?;
            self.at += 2;
            return Ok(Item::AllOf(name));
        }
        if let Some(assign) = self.assignment_item()? {
            return Ok(assign);
        }
        // `alias = value`
        if self.is_name() && self.is_at(1, "=") {
            let alias = Some(self.name()?);
            self.step();
            return Ok(Item::Value { value: self.expr()?, alias });
        }
        let value = self.expr()?;
        let alias = self.item_alias()?;
        Ok(Item::Value { value, alias })
    }

    fn assignment_item(&mut self) -> Parsed<Option<Item>> {
        let Kind::Variable(_) = self.kind() else { return Ok(None) };
        let at = self.at;
        if let Ok(variable) = self.variable()
            && let Some(operator) = self.assignment_operator()
        {
            return Ok(Some(Item::Assign { variable, operator, value: self.expr()? }));
        }
        self.at = at;
        Ok(None)
    }

    fn item_alias(&mut self) -> Parsed<Option<String>> {
        let explicit = self.accept_word("AS");
        if let Kind::Text(text) | Kind::National(text) = self.kind() {
            let text = text.clone();
            self.step();
            return Ok(Some(text));
        }
        if explicit {
            return self.name().map(Some);
        }
        self.alias()
    }

    pub(super) fn order_by(&mut self) -> Parsed<Vec<Order>> {
        if !self.accept_words(&["ORDER", "BY"]) {
            return Ok(Vec::new());
        }
        self.commas(|parser| {
            let value = parser.expr()?;
            let descending = parser.accept_word("DESC");
            if !descending {
                parser.accept_word("ASC");
            }
            Ok(Order { value, descending })
        })
    }

    /// One entry of FROM: a source and everything joined to it.
    pub(super) fn source(&mut self) -> Parsed<Source> {
        let (mut left, mut length) = (self.deeper(Self::source_primary)?, 0);
        while let Some(kind) = self.join_kind()? {
            self.chained(&mut length)?;
            let right = Box::new(self.deeper(Self::source_primary)?);
            let conditional =
                !matches!(kind, JoinKind::Cross | JoinKind::CrossApply | JoinKind::OuterApply);
            let on = if conditional {
                self.expect_word("ON")?;
                Some(self.expr()?)
            } else {
                None
            };
            left = Source::Join { kind, left: Box::new(left), right, on };
        }
        Ok(left)
    }

    fn join_kind(&mut self) -> Parsed<Option<JoinKind>> {
        if self.accept_words(&["CROSS", "JOIN"]) {
            return Ok(Some(JoinKind::Cross));
        }
        if self.accept_words(&["CROSS", "APPLY"]) {
            return Ok(Some(JoinKind::CrossApply));
        }
        if self.accept_words(&["OUTER", "APPLY"]) {
            return Ok(Some(JoinKind::OuterApply));
        }
        let kind = match self.kind() {
            Kind::Word(word) if word.eq_ignore_ascii_case("JOIN") => {
                self.step();
                return Ok(Some(JoinKind::Inner));
            }
            Kind::Word(word) if word.eq_ignore_ascii_case("INNER") => JoinKind::Inner,
            Kind::Word(word) if word.eq_ignore_ascii_case("LEFT") => JoinKind::Left,
            Kind::Word(word) if word.eq_ignore_ascii_case("RIGHT") => JoinKind::Right,
            Kind::Word(word) if word.eq_ignore_ascii_case("FULL") => JoinKind::Full,
            _ => return Ok(None),
        };
        self.step();
        if kind != JoinKind::Inner {
            self.accept_word("OUTER");
        }
        // INNER LOOP JOIN and its kin: advice to the optimizer.
        let _advice = ["LOOP", "HASH", "MERGE", "REMOTE"].iter().any(|hint| self.accept_word(hint));
        self.expect_word("JOIN")?;
        Ok(Some(kind))
    }

    fn source_primary(&mut self) -> Parsed<Source> {
        if self.is("(") {
            return self.derived();
        }
        if self.is_word("CHANGETABLE") && self.is_at(1, "(") {
            return self.change_table();
        }
        if self.is_word("OPENJSON") && self.is_at(1, "(") {
            return self.open_json();
        }
        if let Kind::Variable(name) = self.kind() {
            return Err(self.unsupported(&format!("table variable {name}")));
        }
        let name = self.object_name()?;
        if self.is("(") && !self.is_word_at(1, "NOLOCK") {
            return Err(self.unexpected());
        }
        let alias = self.alias()?;
        let hints = self.hints()?;
        Ok(Source::Table { name, alias, hints })
    }

    fn derived(&mut self) -> Parsed<Source> {
        self.expect("(")?;
        if self.accept_word("VALUES") {
            let rows = self.commas(|parser| parser.list(Self::expr))?;
            self.expect(")")?;
            let (alias, columns) = self.correlation()?;
            return Ok(Source::Rows { rows, alias, columns });
        }
        if self.starts_query() {
            let query = self.query()?;
            self.expect(")")?;
            let (alias, columns) = self.correlation()?;
            return Ok(Source::Derived { query, alias, columns });
        }
        let joined = self.source()?;
        self.expect(")")?;
        Ok(joined)
    }

    /// The alias that a derived table must have, and its column names.
    fn correlation(&mut self) -> Parsed<(String, Vec<String>)> {
        let alias = self.alias()?.ok_or_else(|| self.unexpected())?;
        let columns = if self.is("(") { self.names()? } else { Vec::new() };
        Ok((alias, columns))
    }

    /// `WITH (UPDLOCK, ROWLOCK)`: only whether rows stay locked matters here.
    pub(super) fn hints(&mut self) -> Parsed<Hints> {
        let mut hints = Hints::default();
        let bare = self.is("(");
        if !(bare || (self.is_word("WITH") && self.is_at(1, "("))) {
            return Ok(hints);
        }
        if !bare {
            self.step();
        }
        self.expect("(")?;
        while !self.accept(")") {
            let Kind::Word(word) = self.kind() else { return Err(self.unexpected()) };
            match word.to_ascii_uppercase().as_str() {
                "UPDLOCK" | "XLOCK" | "HOLDLOCK" | "SERIALIZABLE" | "REPEATABLEREAD"
                | "TABLOCKX" => {
                    hints.locks = true;
                }
                "ROWLOCK" | "PAGLOCK" | "TABLOCK" | "NOLOCK" | "READUNCOMMITTED"
                | "READCOMMITTED" | "READPAST" | "FORCESEEK" | "FORCESCAN" | "NOWAIT"
                | "SNAPSHOT" => {}
                _ => return Err(self.unexpected()),
            }
            self.step();
            self.accept(",");
        }
        Ok(hints)
    }

    fn change_table(&mut self) -> Parsed<Source> {
        self.step();
        self.expect("(")?;
        if self.accept_word("CHANGES") {
            let table = self.object_name()?;
            self.expect(",")?;
            // SQL Server takes a constant or a variable here, never an expression.
            let since = match self.kind() {
                Kind::Variable(_) | Kind::Number(_) => self.expr()?,
                Kind::Word(word) if word.eq_ignore_ascii_case("NULL") => self.expr()?,
                _ => return Err(self.unexpected()),
            };
            if !matches!(since, Expr::Variable(_) | Expr::Number(_) | Expr::Null) {
                return Err(self.unexpected());
            }
            if self.accept(",") {
                self.expect_word("FORCESEEK")?;
            }
            self.expect(")")?;
            let (alias, columns) = self.correlation()?;
            if !columns.is_empty() {
                return Err(self.unsupported("column names for CHANGETABLE"));
            }
            return Ok(Source::Changes { table, since, alias });
        }
        self.expect_word("VERSION")?;
        let table = self.object_name()?;
        self.expect(",")?;
        let keys = self.names()?;
        self.expect(",")?;
        let values = self.list(Self::expr)?;
        self.expect(")")?;
        let (alias, columns) = self.correlation()?;
        if !columns.is_empty() {
            return Err(self.unsupported("column names for CHANGETABLE"));
        }
        Ok(Source::Version { table, keys, values, alias })
    }

    fn open_json(&mut self) -> Parsed<Source> {
        self.step();
        self.expect("(")?;
        let json = self.expr()?;
        let path = if self.accept(",") { Some(self.json_path()?) } else { None };
        self.expect(")")?;
        if !self.accept_word("WITH") {
            return Err(self.unsupported("OPENJSON without WITH"));
        }
        let columns = self.list(|parser| {
            let name = parser.name()?;
            let of = parser.data_type()?;
            let path = match parser.kind() {
                Kind::Text(_) | Kind::National(_) => Some(parser.json_path()?),
                _ => None,
            };
            let as_json = parser.accept_words(&["AS", "JSON"]);
            Ok(JsonColumn { name, of, path, as_json })
        })?;
        let alias = self.alias()?.unwrap_or_else(|| "OPENJSON".to_string());
        Ok(Source::OpenJson { json, path, columns, alias })
    }

    fn json_path(&mut self) -> Parsed<String> {
        match self.kind() {
            Kind::Text(path) | Kind::National(path) => {
                let path = path.clone();
                self.step();
                Ok(path)
            }
            _ => Err(self.unsupported("a JSON path that is not a constant")),
        }
    }
}
