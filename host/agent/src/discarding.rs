//! What people let go of, told to the channel: then both sides have it on record, and it leaves the quarantine.
//!
//! * A kill between the two is no harm: the channel knows the record by its id, and is told again.
//! * A sale whose answer was lost may have arrived all the same: then there is nothing to let go of, and it is settled.

use crate::fault::FlowError;
use crate::register::Register;
use serde_json::Value as Json;
use tillhold_channel::decision::{self, record_release};
use tillhold_channel::{Link, ledger};
use tillhold_core::transaction::TransactionId;
use tillhold_local::{Quarantined, Release, Settlement};

/// Tells everything that waits to be told.
pub async fn tell(register: &Register, link: &mut Link) -> Result<(), FlowError> {
    let local = &register.local;
    for release in local.releases().await? {
        if let Quarantined::Sale(id) = release.of
            && has_arrived(register, link, id).await?
        {
            local.settle(id, Settlement::Accepted).await?;
            local.withdraw_release(release.of).await?;
            continue;
        }
        record_release(link, &record(register, &release)).await?;
        local.released(release).await?;
    }
    Ok(())
}

async fn has_arrived(
    register: &Register,
    link: &mut Link,
    id: TransactionId,
) -> Result<bool, FlowError> {
    let Some(known) = register.local.lookup(id).await? else { return Ok(false) };
    let arrived = ledger::ledger(link, &[id]).await?;
    Ok(arrived.first().is_some_and(|hash| *hash == Some(known.hash)))
}

fn record(register: &Register, release: &Release) -> decision::Release {
    let document: Json = serde_json::from_str(&release.document).unwrap_or_default();
    decision::Release {
        id: release.id,
        released_at_ms: release.asked_at_ms,
        register: register.file.identity().channel_name(),
        of: release.of.id(),
        table: release.table.clone(),
        key: document["key"].to_string(),
        who: release.who.clone(),
        why: release.why.clone(),
        document: release.document.clone(),
    }
}
