//! The profile and the shapes of its tables: from the channel, or from what the register kept of both.
//!
//! * A profile that is another than the one taken last is held against the channel's tables as `profile check` does it,
//!   and refused with its words: a column that was to stay away must not come because its name is misspelt.
//! * An unchanged one is not asked again: what became of a table at the channel is pull's to say.

use super::told_of;
use crate::fault::FlowError;
use crate::settings::checks::{self, Catalogue, Findings};
use crate::settings::effective::Effective;
use crate::settings::profile_file::{ProfileFile, ProfileSource};
use crate::settings::reader::{Mistake, Mistakes};
use crate::settings::register_file::RegisterFile;
use crate::stored_profile;
use std::collections::BTreeSet;
use std::sync::Arc;
use tillhold_channel::profile::{ChannelProfile, read_profile};
use tillhold_channel::{ChannelError, Link, schema};
use tillhold_core::migration::{self, InstalledTable};
use tillhold_core::profile::{Profile, Scope};
use tillhold_core::table::{Table, TableName};
use tillhold_local::LocalDatabase;

pub(super) struct Shape {
    pub profile: Profile,
    /// What is to be remembered as taken; empty where nothing is.
    pub profile_text: String,
    /// The profile is the one that was taken last.
    pub is_same: bool,
    channel_profile: Option<ChannelProfile>,
    tables: Vec<Arc<Table>>,
    pub left_out: Vec<TableName>,
}

/// What a shape is made from, beside the channel.
pub(super) struct Ground<'a> {
    pub file: &'a RegisterFile,
    pub profile_file: &'a ProfileFile,
    /// The tables that the register has.
    pub known: &'a [Arc<Table>],
    /// The profile that was taken last, as its text.
    pub last: Option<&'a str>,
}

impl Shape {
    /// The profile's tables as they are to be installed.
    pub fn wanted(&self) -> Vec<InstalledTable> {
        let installed = |scope: &Scope, table: &Arc<Table>| InstalledTable {
            scope: scope.name.clone(),
            direction: scope.direction,
            table: table.clone(),
        };
        let of =
            |scope: &Scope, table: &Arc<Table>| scope.tables.iter().any(|t| t.name == table.name);
        let scopes = self.profile.scopes.iter();
        scopes
            .flat_map(|scope| {
                let tables = self.tables.iter().filter(move |table| of(scope, table));
                tables.map(move |table| installed(scope, table))
            })
            .collect()
    }

    pub async fn of_channel(link: &mut Link, ground: &Ground<'_>) -> Result<Shape, FlowError> {
        let store = &ground.file.store;
        let channel_profile = profile_of_channel(link, ground.profile_file, store).await?;
        Shape::of_tables(link, ground, channel_profile).await
    }

    pub async fn of_tables(
        link: &mut Link,
        ground: &Ground<'_>,
        channel_profile: Option<ChannelProfile>,
    ) -> Result<Shape, FlowError> {
        let (effective, mistakes) = ground.profile_file.effective(channel_profile.as_ref());
        refuse(mistakes)?;
        let (profile, profile_text) = (effective.profile(), told_of(&effective));
        let names: Vec<TableName> =
            profile.scopes.iter().flat_map(|s| s.tables.iter().map(|t| t.name.clone())).collect();
        let full = tables_there(link, &profile, names, ground.known).await?;
        let is_same = ground.last == Some(&profile_text);
        if !is_same {
            hold_against(link, ground.file, &effective, &profile).await?;
        }
        let (tables, left_out) = travelling(&profile, full, ground.known);
        Ok(Shape { profile, profile_text, is_same, channel_profile, tables, left_out })
    }

    /// What an earlier run kept, for a start without the channel or by an earlier profile. `None`: nothing was kept.
    pub async fn kept(
        local: &LocalDatabase,
        ground: &Ground<'_>,
    ) -> Result<Option<Shape>, FlowError> {
        let channel_profile = match ground.profile_file.source {
            ProfileSource::File => None,
            ProfileSource::Channel => match local.fact(stored_profile::PROFILE).await? {
                Some(text) => Some(stored_profile::read(&text)?),
                None => return Ok(None),
            },
        };
        let (effective, mistakes) = ground.profile_file.effective(channel_profile.as_ref());
        refuse(mistakes)?;
        let profile = effective.profile();
        let is_same = ground.last == Some(&told_of(&effective));
        if ground.known.is_empty() {
            return Ok(None);
        }
        let wanted: BTreeSet<&TableName> =
            profile.scopes.iter().flat_map(|s| s.tables.iter().map(|t| &t.name)).collect();
        let known = ground.known.iter().filter(|t| wanted.contains(&t.name));
        // A column that the profile leaves out by now leaves, whether the channel is in reach or not.
        let tables: Vec<Arc<Table>> =
            known.map(|table| Arc::new(travelling_by(&profile, table))).collect();
        let left_out = wanted.into_iter().filter(|name| !tables.iter().any(|t| t.name == **name));
        let left_out = left_out.cloned().collect();
        // Nothing was there to hold the profile against: the first look with the channel in reach does it.
        let profile_text = ground.last.unwrap_or_default().to_string();
        Ok(Some(Shape { profile, profile_text, is_same, channel_profile, tables, left_out }))
    }

    pub async fn keep(&self, local: &LocalDatabase) -> Result<(), FlowError> {
        if let Some(profile) = &self.channel_profile {
            local.set_fact(stored_profile::PROFILE, &stored_profile::write(profile)).await?;
        }
        Ok(())
    }

    pub fn tables(&self) -> &[Arc<Table>] {
        &self.tables
    }
}

/// What the channel's own tables say, where the profile asks for it.
pub async fn profile_of_channel(
    link: &mut Link,
    file: &ProfileFile,
    store: &str,
) -> Result<Option<ChannelProfile>, ChannelError> {
    match file.source {
        ProfileSource::Channel => read_profile(link, store).await.map(Some),
        ProfileSource::File => Ok(None),
    }
}

async fn hold_against(
    link: &mut Link,
    file: &RegisterFile,
    effective: &Effective,
    profile: &Profile,
) -> Result<(), FlowError> {
    let catalogue = Catalogue::read(link, profile).await?;
    let mut found = Findings::default();
    checks::against(effective, &catalogue, file.filter_parameters(), &mut found);
    refuse(found.sorted().mistakes)
}

fn refuse(mistakes: Vec<Mistake>) -> Result<(), FlowError> {
    if mistakes.is_empty() { Ok(()) } else { Err(Mistakes(mistakes).into()) }
}

/// The channel's tables of these names. One that cannot be had there but is known here stays as it is known.
async fn tables_there(
    link: &mut Link,
    profile: &Profile,
    mut names: Vec<TableName>,
    known: &[Arc<Table>],
) -> Result<Vec<Table>, ChannelError> {
    let mut kept: Vec<Table> = Vec::new();
    let leaves_out = |table: &TableName, column: &str| profile.leaves_out(table, column);
    loop {
        let there = schema::tables_without(link, &names, leaves_out).await;
        // Gone, or with a column of a type that does not travel: pull says so.
        let table = match &there {
            Err(
                ChannelError::UnknownTable { table, .. } | ChannelError::Uncarried { table, .. },
            ) => table.clone(),
            _ => return there.map(|tables| [tables, kept].concat()),
        };
        match known.iter().find(|one| one.name == table) {
            Some(one) => kept.push(one.as_ref().clone()),
            None => return there,
        }
        names.retain(|name| *name != table);
    }
}

fn travelling(
    profile: &Profile,
    full: Vec<Table>,
    known: &[Arc<Table>],
) -> (Vec<Arc<Table>>, Vec<TableName>) {
    let mut tables = Vec::new();
    let mut without_key = Vec::new();
    for table in full {
        let shape = travelling_by(profile, &table);
        let kept = known.iter().find(|kept| kept.name == table.name);
        let kept = kept.map(|kept| travelling_by(profile, kept));
        // What became of the table at the channel is followed where no row can be lost by it; otherwise it goes on as it is
        // known, and pull says what was altered.
        match kept.filter(|kept| !migration::is_safe(kept, &shape)) {
            Some(kept) => tables.push(Arc::new(kept)),
            None if shape.key.is_empty() => without_key.push(shape.name),
            None => tables.push(Arc::new(shape)),
        }
    }
    (tables, without_key)
}

fn travelling_by(profile: &Profile, table: &Table) -> Table {
    let entry = profile.scopes.iter().flat_map(|s| &s.tables).find(|t| t.name == table.name);
    match entry {
        Some(entry) => entry.travelling(table),
        None => table.travelling(&[]),
    }
}
