//! `register.toml` as a person wrote it: answers are put in, everything else stays as it stands.

use super::answers::{Answers, Setting};
use super::fault::SetupError;
use crate::settings::password;
use std::path::{Path, PathBuf};
use toml_edit::{DocumentMut, Item, TableLike, Value};

/// The file as it is, or an empty one.
pub struct Document {
    file: PathBuf,
    toml: DocumentMut,
    /// Something is there already.
    pub is_there: bool,
    is_new: bool,
}

/// What a person reads first.
const HEADER: &str = "# Written by `tillhold setup`; docs/settings.md explains every setting.\n";

impl Document {
    /// With `replace`, what is there counts as nothing.
    pub fn read(file: &Path, replace: bool) -> Result<Document, SetupError> {
        let unreadable =
            |reason: String| SetupError::Unreadable { file: file.to_path_buf(), reason };
        let text = match std::fs::read_to_string(file) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(_) if replace => Some(String::new()),
            Err(error) => return Err(unreadable(error.to_string())),
        };
        let is_there = text.is_some();
        let text = text.filter(|_| !replace);
        let toml: DocumentMut = text.as_deref().unwrap_or_default().parse().map_err(
            |error: toml_edit::TomlError| unreadable(error.to_string().trim_end().to_string()),
        )?;
        Ok(Document { file: file.to_path_buf(), toml, is_there, is_new: text.is_none() })
    }

    /// What the file says under a setting.
    pub fn said(&self, setting: Setting) -> Option<String> {
        let table: &dyn TableLike = match setting.table {
            None => self.toml.as_table(),
            Some(table) => self.toml.get(table)?.as_table_like()?,
        };
        match table.get(setting.key)?.as_value()? {
            Value::String(text) => Some(text.value().clone()),
            Value::Integer(number) => Some(number.value().to_string()),
            Value::Boolean(yes) => Some(yes.value().to_string()),
            _ => None,
        }
    }

    /// That the file is nobody else's.
    pub fn refuse_other(&self, store: &str, register: &str) -> Result<(), SetupError> {
        let said = |setting| self.said(setting).unwrap_or_default();
        let (old_store, old_register) = (said(Setting::STORE), said(Setting::REGISTER));
        let is_named = !(old_store.is_empty() && old_register.is_empty());
        if is_named && (old_store != store || old_register != register) {
            let (file, store, register) = (self.file.clone(), old_store, old_register);
            return Err(SetupError::OtherRegister { file, store, register });
        }
        Ok(())
    }

    /// The file's text with these answers.
    pub fn with(mut self, answers: &Answers) -> Result<String, SetupError> {
        for (setting, value) in &answers.settings {
            let table = self.table(setting.table)?;
            match value {
                Some(value) => set(table, setting.key, value.clone()),
                None => drop(table.remove(setting.key)),
            }
        }
        let channel = self.table(Some("channel"))?;
        let kept = answers.password_settings();
        for field in password::KEYS {
            match kept.iter().find(|(key, _)| *key == field.key()) {
                Some((key, value)) => set(channel, key, value.clone()),
                None => drop(channel.remove(field.key())),
            }
        }
        let header = if self.is_new { HEADER } else { "" };
        Ok(format!("{header}{}", self.toml))
    }

    fn table(&mut self, name: Option<&str>) -> Result<&mut dyn TableLike, SetupError> {
        let file = self.file.clone();
        let Some(name) = name else { return Ok(self.toml.as_table_mut()) };
        let item = self.toml.entry(name).or_insert_with(toml_edit::table);
        let reason = format!("{name} is no table");
        item.as_table_like_mut().ok_or(SetupError::Unreadable { file, reason })
    }
}

/// A remark behind the old value stays.
fn set(table: &mut dyn TableLike, key: &str, mut value: Value) {
    if let Some(old) = table.get(key).and_then(Item::as_value) {
        if same(old, &value) {
            return;
        }
        *value.decor_mut() = old.decor().clone();
    }
    table.insert(key, Item::Value(value));
}

/// Whatever quotes it stands in.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(one), Value::String(other)) => one.value() == other.value(),
        (Value::Integer(one), Value::Integer(other)) => one.value() == other.value(),
        (Value::Boolean(one), Value::Boolean(other)) => one.value() == other.value(),
        _ => false,
    }
}
