//! `tillhold channel schema`: tables with their types as a schema file, for tests of plugins where no channel is.
//!
//! * stdout: the file. A column of a type that never travels is left out and named on stderr.
//! * Without `--tables` it is the profile's tables as they travel, so without the columns that the profile leaves out.

use super::channel::shapes;
use super::{Done, Settings};
use crate::settings::register_file::RegisterFile;
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use tillhold_channel::{Link, schema};
use tillhold_core::table::{Table, TableName};
use tillhold_env::{Env, errln, out};
use tillhold_kit::{Schema, schema_text};

#[derive(Args)]
pub struct SchemaArgs {
    #[command(flatten)]
    settings: Settings,
    /// Which tables, such as ax.CUSTTABLE,ax.RETAILCUSTTABLE; the profile's by default, as they travel
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    tables: Vec<String>,
    /// Of AX 2012 R3 as Microsoft published it, from this program: no channel is asked
    #[arg(long)]
    published: bool,
}

pub async fn print_schema(env: &Env, args: SchemaArgs) -> anyhow::Result<Done> {
    let tables = match args.published {
        true => published(&args.tables)?,
        false => of_channel(env, &args).await?,
    };
    out!("{}", schema_text(&tables));
    Ok(Done::Yes)
}

/// Most who ask for a schema have no register: an author of plugins on a machine of their own.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be read, so it is not known which channel to ask: {cause}", path.display())]
pub struct NoRegister {
    path: PathBuf,
    cause: std::io::Error,
}

impl NoRegister {
    pub fn code(&self) -> &'static str {
        "settings"
    }

    pub fn hint(&self) -> Option<String> {
        Some(
            "`--published` takes the tables of AX 2012 R3 as Microsoft published them, and asks no channel; or name a \
             register's settings with --config"
                .to_string(),
        )
    }
}

fn published(names: &[String]) -> anyhow::Result<Vec<Table>> {
    let published = Schema::published()?;
    let found = match names {
        [] => published.tables,
        names => {
            let found = |name: &String| published.find(name.trim()).cloned();
            names.iter().map(found).collect::<Result<_, _>>()?
        }
    };
    Ok(found.into_iter().map(Arc::unwrap_or_clone).collect())
}

async fn of_channel(env: &Env, args: &SchemaArgs) -> anyhow::Result<Vec<Table>> {
    let path = &args.settings.config;
    let no_register = |cause| NoRegister { path: path.clone(), cause };
    std::fs::File::open(path).map_err(no_register)?;
    let file = RegisterFile::read(path)?;
    let mut link = Link::new(env, Arc::new(file.channel_config()?));
    if args.tables.is_empty() {
        let (_, shapes) = shapes(&mut link, &file).await?;
        return Ok(shapes.into_iter().map(|shapes| shapes.travelling).collect());
    }
    // A name that is none is no channel's either: it is asked for as it stands, and the nearest one is told.
    let name = |name: &String| {
        let name = name.trim();
        TableName::parse(name).unwrap_or_else(|| TableName::new("ax", name))
    };
    let names: Vec<TableName> = args.tables.iter().map(name).collect();
    let described = schema::described(&mut link, &names).await?;
    for one in &described {
        for left in &one.uncarried {
            let of = left.of.as_deref().unwrap_or("a CLR type of its own");
            errln!("{}.{} is {of}, which does not travel: left out", one.table.name, left.column);
        }
    }
    Ok(described.into_iter().map(|described| described.table).collect())
}

#[cfg(test)]
mod tests {
    use super::published;

    #[test]
    fn blanks_around_a_name_are_none_of_it() {
        let names = ["CUSTTABLE", " ax.CUSTGROUP "].map(str::to_string);
        let tables = published(&names).expect("tables");
        let names: Vec<String> = tables.iter().map(|table| table.name.to_string()).collect();
        assert_eq!(names, ["ax.CUSTTABLE", "ax.CUSTGROUP"]);
    }
}
