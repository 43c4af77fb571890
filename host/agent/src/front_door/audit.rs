//! Who did what by hand, and why: noted with each such request, listed newest first, a page at a time.
//!
//! * Who is what the person says; the role is what the token proves.
//! * A deed that changes how the register sells (hold, release) needs both, and is noted before it is done.

use super::Door;
use super::listing::{self, Page};
use super::problem::Problem;
use super::role::Role;
use crate::fault::FlowError;
use axum::Json as JsonBody;
use axum::extract::{Query, State};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use tillhold_local::{Act, ActRecord};

/// Of a name or a reason: a paragraph.
const LETTERS_MAX: usize = 2_000;

/// What a person said with a request.
#[derive(Clone, Debug, Default)]
pub struct Said {
    pub who: Option<String>,
    pub why: Option<String>,
}

impl Said {
    /// `{"who": …, "why": …}`, either of which may be missing.
    pub fn of(body: &Json) -> Result<Said, Problem> {
        let text = |name: &str| match &body[name] {
            Json::Null => Ok(None),
            Json::String(text) if text.chars().count() <= LETTERS_MAX => {
                let text = text.trim();
                Ok((!text.is_empty()).then(|| text.to_string()))
            }
            _ => Err(Problem::new(422, "person-text", format!("{name} is no short text"))
                .hint(format!("give a text of at most {LETTERS_MAX} characters"))),
        };
        Ok(Said { who: text("who")?, why: text("why")? })
    }

    /// Both are there.
    pub fn required(body: &Json) -> Result<Said, Problem> {
        let said = Said::of(body)?;
        if said.who.is_none() {
            return Err(Problem::new(
                422,
                "person-unnamed",
                "the name of who does this is missing",
            )
            .hint("give --who NAME, or \"who\" in the body"));
        }
        if said.why.is_none() {
            return Err(Problem::new(422, "reason-missing", "why this is done is not said")
                .hint("give --why TEXT, or \"why\" in the body: it is kept in the audit log"));
        }
        Ok(said)
    }

    pub async fn note(
        self,
        door: &Door,
        role: Role,
        action: &str,
        subject: Option<String>,
    ) -> Result<u64, Problem> {
        let (action, role) = (action.to_string(), role.name().to_string());
        let act = Act { action, subject, who: self.who, why: self.why, role };
        Ok(door.agent.register().local.note_act(act).await.map_err(FlowError::from)?)
    }
}

pub async fn list(
    State(door): State<Door>,
    Query(asked): Query<BTreeMap<String, String>>,
) -> Result<JsonBody<Json>, Problem> {
    let page = Page::of(&asked, wrong)?;
    let local = &door.agent.register().local;
    let found = local.acts(page.before, page.limit).await.map_err(FlowError::from)?;
    let next = page.next(found.len(), found.last().map(|last| last.number));
    let acts: Vec<Json> = found.iter().map(act).collect();
    Ok(JsonBody(json!({ "acts": acts, "next": next })))
}

fn wrong(name: &str) -> Problem {
    let detail = format!("{name} is not a number that this listing takes");
    Problem::new(422, "audit-query", detail).hint(listing::hint())
}

fn act(record: &ActRecord) -> Json {
    let act = &record.act;
    json!({
        "number": record.number,
        "at_ms": record.at_ms,
        "action": act.action,
        "subject": act.subject,
        "who": act.who,
        "why": act.why,
        "role": act.role,
    })
}
