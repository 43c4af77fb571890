//! A hold that a person laid on the register: a fact of the journal, so that neither a crash nor a new start lifts it.
//!
//! * Written before the state changes and removed before it is released: a crash in between leaves what was asked for.
//! * Who holds it a second time is the one to ask: the last word is shown, with the moment of the first; the audit log has
//!   every one.

use crate::agent::Agent;
use crate::fault::FlowError;
use serde_json::{Value as Json, json};
use std::sync::{Mutex, MutexGuard};
use tillhold_env::Locked as _;

/// The fact's name; no text is no hold.
const FACT: &str = "failover.hold";

#[derive(Default)]
pub struct Hold(Mutex<Option<Held>>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub who: String,
    pub why: Option<String>,
    /// By the wall clock.
    pub since_ms: i64,
}

impl Held {
    fn text(&self) -> String {
        json!({ "who": self.who, "why": self.why, "since_ms": self.since_ms }).to_string()
    }

    /// A hold is a hold, even one whose words cannot be read any more.
    fn read(text: &str) -> Held {
        let fact: Json = serde_json::from_str(text).unwrap_or_default();
        Held {
            who: fact["who"].as_str().unwrap_or("unknown").to_string(),
            why: fact["why"].as_str().map(str::to_string),
            since_ms: fact["since_ms"].as_i64().unwrap_or_default(),
        }
    }
}

impl Hold {
    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.0.locked()
    }

    /// Who, why and since when; null when nobody does.
    pub fn shown(&self) -> Json {
        match &*self.held() {
            Some(Held { who, why, since_ms }) => {
                json!({ "by": who, "why": why, "since_ms": since_ms })
            }
            None => Json::Null,
        }
    }
}

/// Takes up a hold of before the start.
pub async fn begin(agent: &Agent) -> Result<(), FlowError> {
    let fact = agent.register().local.fact(FACT).await?;
    let Some(held) = fact.filter(|text| !text.is_empty()).map(|text| Held::read(&text)) else {
        return Ok(());
    };
    agent.say(&format!("still held offline, by {}", held.who));
    agent.begin_held(held.since_ms);
    *agent.hold.held() = Some(held);
    Ok(())
}

pub async fn lay(agent: &Agent, who: String, why: Option<String>) -> Result<(), FlowError> {
    let register = agent.register();
    let since_ms = agent.hold.held().as_ref().map(|held| held.since_ms);
    let held = Held { who, why, since_ms: since_ms.unwrap_or(register.env.clock.wall_ms()) };
    register.local.set_fact(FACT, &held.text()).await?;
    *agent.hold.held() = Some(held);
    Ok(())
}

pub async fn lift(agent: &Agent) -> Result<(), FlowError> {
    agent.register().local.set_fact(FACT, "").await?;
    *agent.hold.held() = None;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Held;

    #[test]
    fn a_hold_reads_back_and_one_that_cannot_be_read_still_holds() {
        let held =
            Held { who: "A \"b\"".to_string(), why: Some("ü".to_string()), since_ms: 1_700 };
        assert_eq!(Held::read(&held.text()), held);
        let torn = Held::read("{\"who\": \"A");
        assert_eq!((torn.who.as_str(), torn.why), ("unknown", None));
    }
}
