//! Logins, users, roles and rights.

use super::{Parsed, Parser};
use crate::engine::lexer::Kind;
use crate::engine::syntax::{Permission, Securable, StatementKind};

use StatementKind as S;

impl Parser<'_> {
    pub(super) fn create_principal(&mut self) -> Parsed<StatementKind> {
        if self.accept_word("ROLE") {
            return Ok(S::CreateRole { name: self.name()? });
        }
        if self.accept_word("USER") {
            let name = self.name()?;
            if self.accept_words(&["FOR", "LOGIN"]) || self.accept_words(&["FROM", "LOGIN"]) {
                let login = self.name()?;
                if !login.eq_ignore_ascii_case(&name) {
                    return Err(self.unsupported("a user named differently from its login"));
                }
            }
            return Ok(S::CreateUser { name });
        }
        self.expect_word("LOGIN")?;
        let name = self.name()?;
        self.expect_words(&["WITH", "PASSWORD"])?;
        self.expect("=")?;
        let (Kind::Text(password) | Kind::National(password)) = self.kind() else {
            return Err(self.unexpected());
        };
        let password = password.clone();
        self.step();
        while self.accept(",") {
            self.name()?;
            self.expect("=")?;
            self.step();
        }
        Ok(S::CreateLogin { name, password })
    }

    /// `ALTER ROLE r ADD MEMBER u`
    pub(super) fn alter_role(&mut self) -> Parsed<StatementKind> {
        let role = self.name()?;
        self.expect_words(&["ADD", "MEMBER"])?;
        Ok(S::AddMember { role, member: self.name()? })
    }

    pub(super) fn permission(&mut self, verb: &str) -> Parsed<StatementKind> {
        if verb == "DENY" {
            return Err(self.unsupported("DENY"));
        }
        let rights = self.commas(Self::right)?;
        let on = if self.accept_word("ON") { self.securable()? } else { Securable::Database };
        if !self.accept_word("TO") {
            self.expect_word("FROM")?;
        }
        let to = self.commas(Self::grantee)?;
        Ok(S::Permission(Permission { grant: verb == "GRANT", rights, on, to }))
    }

    fn grantee(&mut self) -> Parsed<String> {
        if self.accept_word("PUBLIC") { Ok("public".to_string()) } else { self.name() }
    }

    /// Words up to a comma, ON, TO or FROM: `VIEW CHANGE TRACKING`.
    fn right(&mut self) -> Parsed<String> {
        let mut words = Vec::new();
        while let Kind::Word(word) = self.kind() {
            if self.is_any_word(&["ON", "TO", "FROM"]) {
                break;
            }
            words.push(word.to_ascii_uppercase());
            self.step();
        }
        if words.is_empty() { Err(self.unexpected()) } else { Ok(words.join(" ")) }
    }

    fn securable(&mut self) -> Parsed<Securable> {
        if self.is_at(1, "::") {
            let class = match self.kind() {
                Kind::Word(word) => word.to_ascii_uppercase(),
                _ => return Err(self.unexpected()),
            };
            self.at += 2;
            return match class.as_str() {
                "SCHEMA" => self.name().map(Securable::Schema),
                "OBJECT" => self.object_securable(),
                "DATABASE" => self.name().map(|_| Securable::Database),
                _ => Err(self.unsupported(&class)),
            };
        }
        self.object_securable()
    }

    fn object_securable(&mut self) -> Parsed<Securable> {
        let name = self.object_name()?;
        let columns = if self.is("(") { self.names()? } else { Vec::new() };
        Ok(Securable::Object(name, columns))
    }
}
