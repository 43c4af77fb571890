//! Where bytes come in from outside, as functions of bytes: for whoever sends the house input that means harm
//! (tests/harm). The program's own code is behind each; nothing here is a second way in.

use crate::agent::Agent;
use crate::carry::{line, read};
use crate::freshness;
use crate::front_door;
use crate::pull::{self, Unwatched};
use crate::register::Register;
use crate::settings::checks::{self, Catalogue, Findings};
use crate::settings::profile_file::ProfileFile;
use crate::settings::profile_text::{Told, text};
use crate::settings::reader::Source;
use crate::settings::register_file::RegisterFile;
use crate::snapshot::manifest::Manifest;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use http_body_util::BodyExt as _;
use std::path::Path;
use std::sync::Arc;
use tillhold_channel::schema::Described;
use tillhold_core::condition::Parameters;
use tillhold_core::profile::Profile;
use tillhold_core::table::Table;
use tillhold_core::transaction::Transaction;
use tillhold_env::Env;
use tower::ServiceExt as _;

pub use crate::carry::fault::CarryError;
pub use crate::settings::reader::{Mistake, Mistakes};
pub use crate::snapshot::fault::SnapshotError;

/// A profile.toml as it was read.
pub struct ReadProfile {
    pub mistakes: Vec<Mistake>,
    /// Of a file without mistakes.
    pub whole: Option<WholeProfile>,
}

pub struct WholeProfile {
    pub profile: Profile,
    /// The same as texts: with every value's origin, and what differs from the defaults.
    pub written: [String; 2],
    /// What is found against the channel's tables.
    pub findings: Vec<Mistake>,
}

pub fn profile(profile: &str, tables: &[Table]) -> ReadProfile {
    let source = Source::new(Path::new("profile.toml"), profile.to_string());
    let parsed = ProfileFile::of(&source);
    let (effective, more) = parsed.built.effective(None);
    let mut mistakes = parsed.mistakes;
    mistakes.extend(more);
    if !mistakes.is_empty() {
        return ReadProfile { mistakes, whole: None };
    }
    let described = |table: &Table| Described { table: table.clone(), uncarried: Vec::new() };
    let catalogue = Catalogue {
        names: tables.iter().map(|table| table.name.clone()).collect(),
        tables: tables.iter().map(described).collect(),
    };
    let mut found = Findings { mistakes: Vec::new(), notes: Vec::new() };
    checks::alone(&effective, &mut found);
    let given = Parameters { store: "S0343", register: "000002" };
    checks::against(&effective, &catalogue, given, &mut found);
    let found = found.sorted();
    let whole = WholeProfile {
        profile: effective.profile(),
        written: [Told::Origins, Told::Needed].map(|told| text(&effective, told)),
        findings: found.mistakes.into_iter().chain(found.notes).collect(),
    };
    ReadProfile { mistakes, whole: Some(whole) }
}

/// A register.toml; what it names is not looked at.
pub fn register(text: &str) -> Result<(), Mistakes> {
    RegisterFile::of(Path::new("register.toml"), text.to_string()).map(drop)
}

/// A file of unsent sales.
pub fn unsent_sales(file: &Path) -> Result<(), CarryError> {
    read::check(file, None).map(drop)
}

/// One line of such a file, whoever signed it; the reason in words where it cannot be read.
pub fn unsent_sale(text: &str, table: &Arc<Table>) -> Result<Transaction, String> {
    let json = serde_json::from_str(text).map_err(|error| error.to_string())?;
    line::transaction(&json, |name| table.name.is_same(name).then(|| table.clone()))
}

/// How many rows and pieces a snapshot's manifest speaks of.
pub fn manifest(text: &str) -> Result<(u64, u64), SnapshotError> {
    let manifest = Manifest::read(text, "manifest.json", &[])?;
    Ok((manifest.rows(), manifest.pieces().map_or(0, |pieces| pieces.count())))
}

/// A register with its front door and no agent's tasks, as the operator's commands open it.
pub struct House {
    agent: Arc<Agent>,
    routes: Router,
}

/// What the door said.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub media_type: String,
    pub body: Vec<u8>,
}

impl House {
    pub async fn open(env: &Env, settings: &Path) -> anyhow::Result<House> {
        let register = Register::open(env, RegisterFile::read(settings)?).await?;
        let (agent, _) = Agent::new(register);
        freshness::begin(&agent).await?;
        let routes = front_door::unguarded(&agent);
        Ok(House { agent, routes })
    }

    /// A first load of every scope that is pulled.
    pub async fn fill(&self) -> anyhow::Result<()> {
        let register = self.agent.register();
        let mut link = register.link();
        for run in register.scopes.iter().filter(|run| run.is_pulled()) {
            pull::pull(&register, &mut link, run, &Unwatched).await?;
        }
        Ok(())
    }

    /// `None` for what is no request, before the door sees it.
    pub async fn ask(&self, method: &str, path: &str, body: Vec<u8>) -> Option<Answer> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body))
            .ok()?;
        let Ok(response) = self.routes.clone().oneshot(request).await;
        let media_type = response.headers().get(header::CONTENT_TYPE);
        let media_type = media_type.and_then(|of| of.to_str().ok()).unwrap_or_default().to_string();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.ok()?.to_bytes().to_vec();
        Some(Answer { status, media_type, body })
    }

    pub async fn close(self) -> anyhow::Result<()> {
        Ok(self.agent.register().local.close().await?)
    }
}
