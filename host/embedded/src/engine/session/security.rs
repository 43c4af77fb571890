//! CREATE LOGIN, USER and ROLE, role members, GRANT and REVOKE.

use super::EngineSession;
use crate::answer::SqlError;
use crate::engine::access::{self, is_known_right};
use crate::engine::catalogue::{Catalogue, Granted, fold};
use crate::engine::refusal;
use crate::engine::syntax::{Permission, Securable, StatementKind as S};
use rusqlite::params;

impl EngineSession {
    pub(super) fn define_security(&mut self, statement: &S) -> Result<(), SqlError> {
        match statement {
            S::CreateLogin { name, password } => {
                self.redefine(|session, _| session.create_login(name, password))
            }
            S::CreateUser { name } => {
                self.redefine(|session, catalogue| session.add_principal(catalogue, name, false))
            }
            S::CreateRole { name } => {
                self.redefine(|session, catalogue| session.add_principal(catalogue, name, true))
            }
            S::AddMember { role, member } => {
                self.redefine(|session, catalogue| session.add_member(catalogue, role, member))
            }
            S::Permission(permission) => {
                self.redefine(|session, catalogue| session.permit(catalogue, permission))
            }
            _ => Err(refusal::syntax("this statement")),
        }
    }

    fn create_login(&mut self, name: &str, password: &str) -> Result<(), SqlError> {
        let known: bool = self
            .connection
            .query_row(
                "SELECT EXISTS (SELECT 1 FROM tsql_login WHERE name = ?1)",
                [fold(name)],
                |row| row.get(0),
            )
            .map_err(|error| self.refused(error, None))?;
        if known {
            return Err(SqlError::new(
                15025,
                format!("The server principal '{name}' already exists."),
            ));
        }
        let random = self.engine.env.random.clone();
        access::keep_login(&self.connection, random.as_ref(), name, password, false)
            .map_err(crate::engine::EngineError::into_sql)
    }

    fn add_principal(
        &mut self,
        catalogue: &mut Catalogue,
        name: &str,
        is_role: bool,
    ) -> Result<(), SqlError> {
        if access::exists(catalogue, name) {
            return Err(SqlError::new(
                15023,
                format!("User, group, or role '{name}' already exists in the current database."),
            ));
        }
        let added = self.connection.execute(
            "INSERT INTO tsql_principal VALUES (?1, ?2, ?3)",
            params![fold(name), name, is_role],
        );
        self.kept(added.map(|_| ()))?;
        catalogue.principals.names.insert(fold(name), is_role);
        Ok(())
    }

    fn add_member(
        &mut self,
        catalogue: &mut Catalogue,
        role: &str,
        member: &str,
    ) -> Result<(), SqlError> {
        for name in [role, member] {
            if !self.is_principal(catalogue, name)? {
                return Err(unknown_principal(name));
            }
        }
        let pair = (fold(role), fold(member));
        let added = self
            .connection
            .execute("INSERT OR IGNORE INTO tsql_member VALUES (?1, ?2)", params![pair.0, pair.1]);
        self.kept(added.map(|_| ()))?;
        if !catalogue.principals.members.contains(&pair) {
            catalogue.principals.members.push(pair);
        }
        Ok(())
    }

    /// A user, a role, public, or a login that nobody made a user for: the embedded channel does not insist on one.
    fn is_principal(&self, catalogue: &Catalogue, name: &str) -> Result<bool, SqlError> {
        if access::exists(catalogue, name) {
            return Ok(true);
        }
        self.connection
            .query_row(
                "SELECT EXISTS (SELECT 1 FROM tsql_login WHERE name = ?1)",
                [fold(name)],
                |row| row.get(0),
            )
            .map_err(|error| self.refused(error, None))
    }

    fn permit(
        &mut self,
        catalogue: &mut Catalogue,
        permission: &Permission,
    ) -> Result<(), SqlError> {
        let on = targets(catalogue, &permission.on)?;
        for name in &permission.to {
            if !self.is_principal(catalogue, name)? {
                return Err(unknown_principal(name));
            }
            for right in &permission.rights {
                if !is_known_right(right) {
                    return Err(refusal::syntax(right));
                }
                for target in &on {
                    self.permit_one(catalogue, permission.grant, &fold(name), right, target)?;
                }
            }
        }
        Ok(())
    }

    fn permit_one(
        &mut self,
        catalogue: &mut Catalogue,
        grant: bool,
        principal: &str,
        right: &str,
        on: &Granted,
    ) -> Result<(), SqlError> {
        let (class, schema, object, column) = match on {
            Granted::Database => ("DATABASE", "", 0, 0),
            Granted::Schema(schema) => ("SCHEMA", schema.as_str(), 0, 0),
            Granted::Object(id) => ("OBJECT", "", *id, 0),
            Granted::Column(id, column) => ("COLUMN", "", *id, *column),
        };
        let sql = if grant {
            "INSERT OR IGNORE INTO tsql_grant VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
        } else {
            "DELETE FROM tsql_grant WHERE principal = ?1 AND permission = ?2 AND class = ?3 AND schema = ?4 AND object_id = ?5 \
             AND column_id = ?6"
        };
        let changed =
            self.connection.execute(sql, params![principal, right, class, schema, object, column]);
        self.kept(changed.map(|_| ()))?;
        let entry = (principal.to_string(), right.to_string());
        let granted = catalogue.principals.grants.entry(on.clone()).or_default();
        match grant {
            true => granted.insert(entry),
            false => granted.remove(&entry),
        };
        Ok(())
    }
}

fn targets(catalogue: &Catalogue, on: &Securable) -> Result<Vec<Granted>, SqlError> {
    let missing = |what: &str, name: &str| {
        SqlError::new(
            15151,
            format!(
                "Cannot find the {what} '{name}', because it does not exist or you do not have permission."
            ),
        )
    };
    match on {
        Securable::Database => Ok(vec![Granted::Database]),
        Securable::Schema(name) => match catalogue.schema(name) {
            Some(_) => Ok(vec![Granted::Schema(fold(name))]),
            None => Err(missing("schema", name)),
        },
        Securable::Object(name, columns) => {
            let table = catalogue.find(name).map_err(|_| missing("object", &name.to_string()))?;
            if columns.is_empty() {
                return Ok(vec![Granted::Object(table.id)]);
            }
            let column = |name: &String| {
                let at = table.position(name).ok_or_else(|| refusal::unknown_column(name))?;
                Ok(Granted::Column(table.id, table.fields[at].id))
            };
            columns.iter().map(column).collect()
        }
    }
}

fn unknown_principal(name: &str) -> SqlError {
    SqlError::new(
        15151,
        format!(
            "Cannot find the user or role '{name}', because it does not exist or you do not have permission."
        ),
    )
}
