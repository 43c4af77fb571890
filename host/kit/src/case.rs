//! A test case: a folder with what goes into a plugin and what must come out.
//!
//! ```text
//! cases/NAME/case.toml       the table, and where the rows are on their way; only `table` must be there
//!            input.csv       rows for a transformer; or input.json
//!            conflict.json   contested rows for a resolver
//!            expected.csv    what comes out; or expected.json. `--bless` writes it
//! ```
//! The columns that the input names are all that travels in this case; those that the plugin names must be among them.

use crate::KitError;
use crate::conflicts;
use crate::rows::{Entry, Format, RowReader};
use crate::schema::Schema;
use serde::Deserialize;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tillhold_core::conflict::Conflict;
use tillhold_core::moment::Timestamp;
use tillhold_core::table::{Table, TableName};
use tillhold_core::text;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;
use tillhold_plugin::{BatchContext, Flow};

pub(crate) struct Case {
    pub folder: PathBuf,
    pub config: String,
    pub context: BatchContext,
    /// The input's columns.
    pub shape: Arc<Table>,
    pub input: Input,
    pub format: Format,
    pub expected: Option<PathBuf>,
    /// The code of the error with which the run must end.
    pub fails: Option<String>,
}

pub(crate) enum Input {
    Rows(Vec<Entry>),
    Conflicts(Vec<Conflict>),
}

/// case.toml
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    table: String,
    #[serde(default)]
    config: String,
    #[serde(default)]
    flow: WrittenFlow,
    scope: Option<String>,
    store: Option<String>,
    register: Option<String>,
    time: Option<String>,
    fails: Option<String>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenFlow {
    #[default]
    Pull,
    Push,
}

const INPUTS: [(&str, Format); 3] =
    [("input.csv", Format::Csv), ("input.json", Format::Json), ("input.jsonl", Format::Json)];
const STORE: &str = "S0001";
const CONFLICT: &str = "conflict.json";
const EXPECTED: [&str; 3] = ["expected.csv", "expected.json", "expected.jsonl"];

/// The folders of cases, by name.
pub(crate) fn folders(cases: &Path) -> Result<Vec<PathBuf>, KitError> {
    let unread = |cause| KitError::File { path: cases.to_path_buf(), done: "read", cause };
    let mut folders = Vec::new();
    for entry in fs::read_dir(cases).map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        if path.join("case.toml").is_file() {
            folders.push(path);
        }
    }
    if folders.is_empty() {
        return Err(KitError::NoCases { folder: cases.to_path_buf() });
    }
    folders.sort();
    Ok(folders)
}

pub(crate) fn name(folder: &Path) -> String {
    folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

impl Case {
    pub(crate) fn read(folder: &Path, schema: &Schema) -> Result<Case, KitError> {
        let wrong = |reason: String| KitError::Case { folder: folder.to_path_buf(), reason };
        let file = folder.join("case.toml");
        let unread = |cause| KitError::File { path: file.clone(), done: "read", cause };
        let written = fs::read_to_string(&file).map_err(unread)?;
        let written: Written = toml::from_str(&written)
            .map_err(|error| wrong(format!("case.toml: {}", error.to_string().trim())))?;
        let table = schema.find(&written.table)?.travelling(&[]);
        let (shape, input, format) = input(folder, &table)?;
        let expected = EXPECTED.iter().map(|name| folder.join(name)).filter(|path| path.is_file());
        let mut expected: Vec<PathBuf> = expected.collect();
        if expected.len() > 1 {
            return Err(wrong("it has more than one expected file: leave one".to_string()));
        }
        let time = written.time.as_deref().map_or(Ok(Timestamp(0)), moment).map_err(wrong)?;
        let or = |said: Option<String>, usual: &str| said.unwrap_or_else(|| usual.to_string());
        Ok(Case {
            folder: folder.to_path_buf(),
            config: written.config,
            context: BatchContext {
                flow: match written.flow {
                    WrittenFlow::Pull => Flow::Pull,
                    WrittenFlow::Push => Flow::Push,
                },
                scope: or(written.scope, "test"),
                store: or(written.store, STORE),
                register: or(written.register, "000001"),
                time,
            },
            shape,
            input,
            format,
            expected: expected.pop(),
            fails: written.fails,
        })
    }

    /// Where `--bless` writes: the file that is there, else one in the input's form.
    pub(crate) fn expected_file(&self) -> PathBuf {
        let usual = match (&self.input, self.format) {
            (Input::Rows(_), Format::Csv) => EXPECTED[0],
            _ => EXPECTED[1],
        };
        self.expected.clone().unwrap_or_else(|| self.folder.join(usual))
    }
}

/// A case.toml that says the same.
pub(crate) fn text(table: &TableName, config: &str, context: &BatchContext) -> String {
    let table = table.to_string();
    let flow = match context.flow {
        Flow::Pull => "pull",
        Flow::Push => "push",
    };
    let settings = [
        ("table", table.as_str(), ""),
        ("flow", flow, "pull"),
        ("config", config, ""),
        ("store", &context.store, STORE),
    ]
    .map(|(name, value, usual)| match value == usual {
        true => String::new(),
        false => format!("{name} = {}\n", toml::Value::from(value)),
    });
    settings.concat()
}

pub(crate) fn format_of(file: &Path) -> Format {
    match file.extension() {
        Some(ending) if ending == "csv" => Format::Csv,
        _ => Format::Json,
    }
}

/// `2026-02-28 23:59:59`, UTC
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    match text::parse(text, SqlType::DateTime2 { scale: 7 }) {
        Ok(Value::Timestamp(time)) => Ok(time),
        Ok(_) => Err(format!("time: '{text}' is not a moment")),
        Err(misfit) => Err(format!("time: {misfit}")),
    }
}

fn input(folder: &Path, table: &Table) -> Result<(Arc<Table>, Input, Format), KitError> {
    let wrong =
        |reason: &str| KitError::Case { folder: folder.to_path_buf(), reason: reason.to_string() };
    let mut rows = INPUTS.iter().filter(|(name, _)| folder.join(name).is_file());
    match (rows.next(), folder.join(CONFLICT).is_file(), rows.next()) {
        (Some((name, format)), false, None) => {
            let (shape, entries) = read_rows(&folder.join(name), *format, table, false)?;
            Ok((shape, Input::Rows(entries), *format))
        }
        (None, true, None) => {
            let (shape, conflicts) = conflicts::read(&folder.join(CONFLICT), table)?;
            Ok((shape, Input::Conflicts(conflicts), Format::Json))
        }
        (None, false, None) => Err(wrong("it has no input.csv, input.json or conflict.json")),
        _ => Err(wrong("it has more than one input: leave one")),
    }
}

pub(crate) fn read_rows(
    file: &Path,
    format: Format,
    table: &Table,
    with_verdicts: bool,
) -> Result<(Arc<Table>, Vec<Entry>), KitError> {
    let unread = |cause| KitError::File { path: file.to_path_buf(), done: "read", cause };
    let source = BufReader::new(File::open(file).map_err(unread)?);
    let name = file.display().to_string();
    let mut reader = RowReader::open(&name, source, Some(format), table, with_verdicts)?;
    let entries = reader.all()?;
    Ok((reader.shape().clone(), entries))
}
