//! A prebuilt catalogue taken instead of this register's own, or refused with the reason by name.

use super::fault::SnapshotError;
use super::fetch::fetch;
use super::kind::{self, Kind};
use super::manifest::{Manifest, ManifestTable};
use super::place;
use super::source::{MANIFEST_BYTES_MAX, Source};
use crate::fault::FlowError;
use crate::register::{Register, ScopeRun};
use std::path::PathBuf;
use std::sync::Arc;
use tillhold_channel::capture::{Followed, Pass, Standing, own_context};
use tillhold_channel::{ChannelError, Link};
use tillhold_client::web::WebTrust;
use tillhold_core::profile::ScopeTable;
use tillhold_core::snapshot::{TableAt, Worth, worth};
use tillhold_core::table::TableName;
use tillhold_core::version::Position;
use tillhold_local::TableState;
use tokio::sync::Mutex as AsyncMutex;

/// What a look came to.
#[derive(Clone, Debug)]
pub enum Looked {
    /// There is none for this register; those that are there are for these.
    Nothing {
        place: String,
        others: Vec<String>,
    },
    /// It has nothing that this register does not have.
    Known(Manifest),
    /// This table is further here.
    Older(Manifest, TableName),
    Taken {
        manifest: Manifest,
        fetched_bytes: u64,
    },
}

/// What may be asked of a snapshot.
pub struct Demands<'a> {
    /// With any, one of them must have signed it.
    pub trusted_keys: &'a [String],
    pub bytes_max: u64,
}

/// The register, and the way to its channel by which it pulls.
pub struct Way<'a> {
    /// Held, no pull is under way.
    pub lane: &'a AsyncMutex<Link>,
    /// With the channel out of reach only a snapshot of the same life of the channel counts.
    pub is_online: bool,
    /// As it is now: a profile may change while a snapshot is fetched.
    pub register: &'a (dyn Fn() -> Arc<Register> + Send + Sync),
}

/// Looks at the source for a newer snapshot and takes it. Pulls wait only while it is judged and exchanged, not while it
/// is fetched.
pub async fn look(
    way: &Way<'_>,
    source: &Source,
    demands: &Demands<'_>,
) -> Result<Looked, FlowError> {
    let register = (way.register)();
    let kind = Kind::of(&register);
    let (source, named) = source.clone().split_manifest();
    let name = named.unwrap_or_else(|| kind.latest());
    let Some(text) = source.text(&register.env, &name, MANIFEST_BYTES_MAX).await? else {
        let others = source.kinds(&register.env).await;
        return Ok(Looked::Nothing { place: source.place(""), others });
    };
    let manifest = Manifest::read(&text, &source.place(&name), demands.trusted_keys)?;
    admit(&kind, &manifest, demands)?;
    match is_worth_it(way, &register, &mut *way.lane.lock().await, &manifest).await {
        Ok(true) => {}
        Ok(false) => return Ok(Looked::Known(manifest)),
        Err(FlowError::Snapshot(SnapshotError::Older { table })) => {
            return Ok(Looked::Older(manifest, table));
        }
        Err(error) => return Err(error),
    }
    let part = register.file.folder.join("incoming.part");
    let fetched = fetch(&register.env, &source, &manifest, &part).await;
    // A file that is not its manifest's is of no more use; one that broke off is.
    if matches!(fetched, Err(SnapshotError::Hash | SnapshotError::TooLarge { .. })) {
        place::remove(&part)?;
    }
    let fetched_bytes = fetched?;
    let mut lane = way.lane.lock().await;
    let register = (way.register)();
    admit(&Kind::of(&register), &manifest, demands)?;
    if !is_worth_it(way, &register, &mut lane, &manifest).await? {
        place::remove(&part)?;
        return Ok(Looked::Known(manifest));
    }
    take(&register, &manifest, part).await?;
    Ok(Looked::Taken { manifest, fetched_bytes })
}

/// Takes the snapshot that a person named, for a first provisioning; the link comes back.
pub async fn take_from(
    register: &Arc<Register>,
    link: Link,
    from: &str,
) -> Result<(Manifest, Link), FlowError> {
    let settings = register.file.new_database.as_ref();
    let trust = WebTrust {
        certificate: settings.and_then(|settings| settings.certificate.clone()),
        is_plain_allowed: settings.is_some_and(|settings| settings.is_plain_allowed),
    };
    let demands = Demands {
        trusted_keys: settings.map_or(&[], |settings| &settings.trusted_keys),
        bytes_max: settings.map_or(u64::MAX, |settings| settings.bytes_max),
    };
    let source = Source::parse(from, trust)?;
    let lane = AsyncMutex::new(link);
    let way = Way { lane: &lane, is_online: true, register: &|| register.clone() };
    let manifest = match look(&way, &source, &demands).await? {
        Looked::Taken { manifest, .. } | Looked::Known(manifest) => manifest,
        Looked::Older(_, table) => return Err(SnapshotError::Older { table }.into()),
        Looked::Nothing { others, .. } => {
            return Err(SnapshotError::Missing { place: from.to_string(), others }.into());
        }
    };
    Ok((manifest, lane.into_inner()))
}

/// Whether it is newer than what is here, and pull could go on from it.
async fn is_worth_it(
    way: &Way<'_>,
    register: &Register,
    link: &mut Link,
    manifest: &Manifest,
) -> Result<bool, FlowError> {
    match worth(&manifest.positions(), &here(register).await?) {
        Worth::Newer => {}
        Worth::Known => return Ok(false),
        Worth::Older(table) => return Err(SnapshotError::Older { table }.into()),
        Worth::OtherShape(table) => return Err(SnapshotError::OtherShape { table }.into()),
        // The channel itself says which life is the present one.
        Worth::OtherEpoch(_) if way.is_online => {}
        Worth::OtherEpoch(_) => return Err(SnapshotError::OtherEpoch.into()),
    }
    if way.is_online {
        require_followed(register, link, manifest).await?;
    }
    Ok(true)
}

fn admit(kind: &Kind, manifest: &Manifest, demands: &Demands<'_>) -> Result<(), SnapshotError> {
    if manifest.fingerprint != kind.fingerprint {
        let (found, expected) = (manifest.of.clone(), kind.of.clone());
        return Err(SnapshotError::OtherKind { found, expected });
    }
    if manifest.bytes > demands.bytes_max {
        let (bytes, bytes_max) = (manifest.bytes, demands.bytes_max);
        return Err(SnapshotError::TooLarge { bytes, bytes_max });
    }
    Ok(())
}

async fn take(register: &Register, manifest: &Manifest, part: PathBuf) -> Result<(), FlowError> {
    let aside = register.file.folder.join("incoming.db");
    place::remove(&aside)?;
    place::rename(&part, &aside)?;
    let taken = inspect_and_exchange(register, manifest, aside.clone()).await;
    // Renamed when all went well.
    place::remove(&aside)?;
    taken
}

async fn inspect_and_exchange(
    register: &Register,
    manifest: &Manifest,
    aside: PathBuf,
) -> Result<(), FlowError> {
    let content = register.local.inspect_catalogue(aside.clone()).await?;
    let found: Vec<TableAt> = content.tables.iter().map(|table| table.at.clone()).collect();
    if found != manifest.positions() || content.layout != manifest.layout {
        let reason = "its tables stand elsewhere".to_string();
        return Err(SnapshotError::OtherContent { reason }.into());
    }
    Ok(register.local.exchange_catalogue(aside, kind::tables(register)).await?)
}

/// The register's downloaded tables as they stand.
async fn here(register: &Register) -> Result<Vec<TableAt>, FlowError> {
    let wanted = kind::tables(register);
    let mut states: Vec<TableState> = register.local.tables().await?;
    states.retain(|state| wanted.contains(&state.table.name));
    let at = |state: TableState| TableAt {
        table: state.table.name.clone(),
        shape: tillhold_local::stored_shape(&state.table),
        version: state.version,
        epoch: state.epoch,
    };
    Ok(states.into_iter().map(at).collect())
}

/// That pull can go on from the snapshot's positions: by the very rules by which pull would, scope by scope as it would.
async fn require_followed(
    register: &Register,
    link: &mut Link,
    manifest: &Manifest,
) -> Result<(), FlowError> {
    for run in &register.scopes {
        let here = |one: &&ManifestTable| run.tables.iter().any(|t| t.name == one.at.table);
        let tables: Vec<Followed> =
            manifest.tables.iter().filter(here).filter_map(|one| followed(run, one)).collect();
        if !tables.is_empty() {
            require_scope_followed(register, link, manifest, &tables).await?;
        }
    }
    Ok(())
}

fn followed(run: &ScopeRun, one: &ManifestTable) -> Option<Followed> {
    let table = run.tables.iter().find(|table| table.name == one.at.table)?.clone();
    let entry = run.scope.tables.iter().find(|entry| entry.name == table.name).cloned();
    let entry = entry.unwrap_or_else(|| ScopeTable::whole(table.name.clone()));
    let version = one.at.version.unwrap_or_default();
    let position = Position { version, mark: one.mark.clone() };
    // Only where they stand is asked, no row.
    Some(Followed { table, entry, filter: None, position, restricted: None })
}

async fn require_scope_followed(
    register: &Register,
    link: &mut Link,
    manifest: &Manifest,
    tables: &[Followed],
) -> Result<(), FlowError> {
    let own = own_context(register.local.incarnation());
    let method = register.profile.capture;
    let pass = match Pass::begin(link, method, &[manifest.epoch], own, tables).await {
        Err(ChannelError::ChannelRestored { .. }) => return Err(SnapshotError::OtherEpoch.into()),
        begun => begun?,
    };
    let outdated = (0..tables.len()).find(|at| pass.standing(*at) == Standing::Outdated);
    if let Some(at) = outdated {
        // The pass goes with its connection: nothing was read.
        drop(pass);
        let table = tables[at].table.name.clone();
        return Err(SnapshotError::Outdated { table }.into());
    }
    Ok(pass.finish().await?)
}
