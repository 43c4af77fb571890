//! Logins with their passwords, and who may do what.

use super::EngineError;
use super::catalogue::{Catalogue, Granted, fold};
use super::translate::Surroundings;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};
use tillhold_env::Random;

/// Enough rounds to make guessing slow, few enough for a login in milliseconds: this guards an embedded channel's file.
const ROUNDS: u32 = 10_000;

fn hash(salt: &[u8], password: &str) -> [u8; 32] {
    let mut digest: [u8; 32] =
        Sha256::new().chain_update(salt).chain_update(password).finalize().into();
    for _ in 1..ROUNDS {
        digest = Sha256::new().chain_update(digest).chain_update(salt).finalize().into();
    }
    digest
}

/// Makes a login, or gives an existing one a new password.
pub fn keep_login(
    connection: &Connection,
    random: &dyn Random,
    user: &str,
    password: &str,
    is_owner: bool,
) -> Result<(), EngineError> {
    let mut salt = [0; 16];
    random.fill(&mut salt);
    connection.execute(
        "INSERT OR REPLACE INTO tsql_login VALUES (?1, ?2, ?3, ?4, ?5)",
        params![fold(user), user, salt, hash(&salt, password), is_owner],
    )?;
    Ok(())
}

/// Whether the login owns the database; `None` for an unknown user or a wrong password, told apart by nothing.
pub fn check_login(
    connection: &Connection,
    user: &str,
    password: &str,
) -> Result<Option<bool>, EngineError> {
    let sql = "SELECT salt, hash, is_owner FROM tsql_login WHERE name = ?1";
    let found: Option<(Vec<u8>, Vec<u8>, bool)> = connection
        .query_row(sql, [fold(user)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let (salt, kept, is_owner) = found.unwrap_or_else(|| (vec![0; 16], vec![0; 32], false));
    let given = hash(&salt, password);
    // Every byte is compared, so that time tells nothing.
    let different = kept.iter().zip(given).fold(0, |sum, (kept, given)| sum | (kept ^ given));
    Ok((different == 0 && kept.len() == given.len()).then_some(is_owner))
}

impl Surroundings<'_> {
    /// HAS_PERMS_BY_NAME on a schema: `None` when there is none of that name.
    pub fn may_in_schema(&self, right: &str, name: &str) -> Option<bool> {
        let schema = fold(&unbracketed(name).pop()?);
        self.catalogue.schemas.get(&schema)?;
        let granted = self
            .catalogue
            .principals
            .grants
            .get(&Granted::Schema(schema))
            .is_some_and(|granted| granted.iter().any(|(_, known)| known == right));
        Some(self.is_owner || granted && self.may(right, None))
    }

    /// HAS_PERMS_BY_NAME on a table, perhaps on one of its columns.
    pub fn may_on_name(&self, right: &str, name: &str, column: Option<&str>) -> Option<bool> {
        let table = self.catalogue.find(&object_name(name)?).ok()?;
        if let Some(column) = column {
            let field = &table.fields[table.position(column)?];
            return Some(self.may(right, Some(table)) || self.may_column(right, table, field.id));
        }
        Some(self.may(right, Some(table)))
    }
}

/// `[a].[b c].d` into its parts.
pub fn unbracketed(name: &str) -> Vec<String> {
    let (mut parts, mut part, mut inside) = (Vec::new(), String::new(), false);
    let mut characters = name.trim().chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '[' if !inside => inside = true,
            ']' if inside && characters.peek() == Some(&']') => {
                characters.next();
                part.push(']');
            }
            ']' if inside => inside = false,
            '.' if !inside => parts.push(std::mem::take(&mut part)),
            c => part.push(c),
        }
    }
    parts.push(part);
    parts
}

pub fn object_name(name: &str) -> Option<super::syntax::ObjectName> {
    let mut parts = unbracketed(name);
    let name = parts.pop()?;
    let schema = parts.pop().filter(|schema| !schema.is_empty());
    let database = parts.pop().filter(|database| !database.is_empty());
    Some(super::syntax::ObjectName { database, schema, name })
}

/// The names that a right may have on a table.
pub fn is_known_right(right: &str) -> bool {
    matches!(
        right,
        "SELECT"
            | "INSERT"
            | "UPDATE"
            | "DELETE"
            | "REFERENCES"
            | "EXECUTE"
            | "ALTER"
            | "CONTROL"
            | "VIEW CHANGE TRACKING"
            | "VIEW DEFINITION"
            | "CONNECT"
            | "VIEW DATABASE STATE"
            | "CREATE TABLE"
            | "CREATE SCHEMA"
    )
}

/// Users exist for every owner; a login without rights is its own user.
pub fn exists(catalogue: &Catalogue, name: &str) -> bool {
    let name = fold(name);
    name == "public" || catalogue.principals.names.contains_key(&name)
}
