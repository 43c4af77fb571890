//! How exports and looks for new databases last went: for the status, and for nobody to run two at once.

use super::adopt::Looked;
use super::export::Exported;
use super::fault::SnapshotError;
use super::manifest::Manifest;
use crate::fault::FlowError;
use serde_json::{Value as Json, json};
use std::sync::Mutex;
use tillhold_env::Locked as _;
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};

#[derive(Default)]
pub struct Board {
    /// Held while a catalogue is copied or exchanged.
    work: AsyncMutex<()>,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    export: Json,
    look: Json,
    /// What the log said of the last look that brought nothing.
    complaint: Option<String>,
}

impl Board {
    /// One at a time; the next one waits.
    pub async fn alone(&self) -> MutexGuard<'_, ()> {
        self.work.lock().await
    }

    pub fn exported(&self, at_ms: i64, result: &Result<Exported, FlowError>) {
        self.shown.locked().export = exported(at_ms, result);
    }

    pub fn looked(&self, at_ms: i64, result: &Result<Looked, FlowError>) {
        self.shown.locked().look = looked(at_ms, result);
    }

    /// What the log has to say of a look: what stays as it was is said once.
    pub fn complaint(&self, result: &Result<Looked, FlowError>) -> Option<String> {
        let complaint = complaint(result);
        let mut shown = self.shown.locked();
        let is_news = shown.complaint != complaint;
        shown.complaint.clone_from(&complaint);
        complaint.filter(|_| is_news)
    }

    /// For the status: null before the first of each.
    pub fn shown(&self) -> Json {
        let shown = self.shown.locked();
        json!({ "export": shown.export, "new_database": shown.look })
    }
}

pub fn exported(at_ms: i64, result: &Result<Exported, FlowError>) -> Json {
    match result {
        Ok(Exported::Made { manifest, folder }) => {
            let file = folder.join(&manifest.file).display().to_string();
            told(at_ms, "made", json!({ "snapshot": summary(manifest), "path": file }))
        }
        Ok(Exported::Unchanged { manifest }) => {
            told(at_ms, "unchanged", json!({ "snapshot": summary(manifest) }))
        }
        Err(error) => told(at_ms, "failed", fault(error)),
    }
}

pub fn looked(at_ms: i64, result: &Result<Looked, FlowError>) -> Json {
    match result {
        Ok(Looked::Nothing { others, .. }) if others.is_empty() => told(at_ms, "none", json!({})),
        Ok(Looked::Nothing { place, others }) => {
            let (place, others) = (place.clone(), others.clone());
            told(at_ms, "none", fault(&SnapshotError::Missing { place, others }.into()))
        }
        Ok(Looked::Known(manifest)) => {
            told(at_ms, "known", json!({ "snapshot": summary(manifest) }))
        }
        Ok(Looked::Older(manifest, table)) => {
            let more = json!({ "snapshot": summary(manifest), "table": table.to_string() });
            told(at_ms, "older", more)
        }
        Ok(Looked::Taken { manifest, fetched_bytes }) => {
            let more = json!({ "snapshot": summary(manifest), "fetched_bytes": fetched_bytes });
            told(at_ms, "taken", more)
        }
        Err(error) => told(at_ms, "refused", fault(error)),
    }
}

fn complaint(result: &Result<Looked, FlowError>) -> Option<String> {
    let error = match result {
        Ok(Looked::Nothing { place, others }) if !others.is_empty() => {
            let (place, others) = (place.clone(), others.clone());
            &FlowError::from(SnapshotError::Missing { place, others })
        }
        Ok(_) => return None,
        Err(error) => error,
    };
    Some(format!("no new database: [{}] {error}", error.code()))
}

fn told(at_ms: i64, outcome: &str, more: Json) -> Json {
    let mut json = json!({ "at_ms": at_ms, "outcome": outcome, "fault": null });
    if let (Json::Object(members), Json::Object(more)) = (&mut json, more) {
        members.extend(more);
    }
    json
}

fn fault(error: &FlowError) -> Json {
    let (code, message) = (error.code(), error.to_string());
    json!({ "fault": { "code": code, "message": message, "hint": error.hint() } })
}

fn summary(manifest: &Manifest) -> Json {
    json!({
        "file": manifest.file,
        "for": manifest.of,
        "made_by": manifest.made_by_register,
        "created_at_ms": manifest.created_ms,
        "bytes": manifest.bytes,
        "rows": manifest.rows(),
        "tables": manifest.tables.len(),
        "sha256": manifest.sha256,
    })
}
