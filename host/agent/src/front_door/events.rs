//! Server-Sent Events: the state when the listener comes, then one event a change, with its number as its id. Who comes
//! back with `Last-Event-ID` is told what happened meanwhile, as far as it is kept.

use super::Door;
use super::problem::Problem;
use crate::agent::Agent;
use crate::freshness::Told;
use crate::history::Change;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use tillhold_core::size::Fullness;
use tokio::sync::{OwnedSemaphorePermit, watch};

struct Listener {
    agent: Arc<Agent>,
    changes: watch::Receiver<u64>,
    sizes: watch::Receiver<Fullness>,
    data: watch::Receiver<Told>,
    /// The number of the last change that was told; `None` before the state that there is now.
    told: Option<u64>,
    _seat: OwnedSemaphorePermit,
}

pub async fn get(
    State(door): State<Door>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let seat = door.seats.clone().try_acquire_owned().map_err(|_| Problem::busy())?;
    let agent = door.agent.clone();
    let asked = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let listener = Listener {
        changes: agent.history.listen(),
        sizes: agent.upkeep.listen(),
        data: agent.ages.listen(),
        told: asked.and_then(|id| number(&agent, id)),
        agent,
        _seat: seat,
    };
    Ok(Sse::new(stream::unfold(listener, next)).keep_alive(KeepAlive::default()))
}

/// `STARTED-NUMBER`: numbers of an earlier run say nothing.
fn number(agent: &Agent, id: &str) -> Option<u64> {
    let (started, number) = id.split_once('-')?;
    let is_of_this_run = started.parse() == Ok(agent.started_ms);
    number.parse().ok().filter(|number| is_of_this_run && *number <= agent.history.newest())
}

fn id(agent: &Agent, number: u64) -> String {
    format!("{}-{number}", agent.started_ms)
}

async fn next(mut listener: Listener) -> Option<(Result<Event, Infallible>, Listener)> {
    loop {
        let Some(told) = listener.told else {
            let newest = listener.agent.history.newest();
            listener.told = Some(newest);
            return Some((Ok(now(&listener.agent, newest)), listener));
        };
        if let Some(change) = listener.agent.history.next(told) {
            listener.told = Some(change.number);
            return Some((Ok(event(&listener.agent, change)), listener));
        }
        tokio::select! {
            () = listener.agent.stopped() => return None,
            // Both senders live as long as the agent.
            Ok(()) = listener.changes.changed() => {}
            Ok(()) = listener.sizes.changed() => {
                let data = json!({ "standing": listener.sizes.borrow_and_update().name() });
                return Some((Ok(Event::default().event("size").data(data.to_string())), listener));
            }
            Ok(()) = listener.data.changed() => {
                let (standing, reaction) = *listener.data.borrow_and_update();
                let data = json!({ "standing": standing, "reaction": reaction.name() });
                return Some((Ok(Event::default().event("data").data(data.to_string())), listener));
            }
        }
    }
}

/// The state that there is, which nothing led to yet.
fn now(agent: &Agent, number: u64) -> Event {
    let standing = agent.standing();
    let data = json!({
        "state": standing.machine.state.name(),
        "since_ms": standing.entered_at_ms,
        "from": null,
        "to": standing.machine.state.name(),
        "at_ms": standing.entered_at_ms,
        "reason": null,
    });
    Event::default().event("state").id(id(agent, number)).data(data.to_string())
}

fn event(agent: &Agent, change: Change) -> Event {
    let data = json!({
        "state": change.to.name(),
        "since_ms": change.at_ms,
        "from": change.from.name(),
        "to": change.to.name(),
        "at_ms": change.at_ms,
        "reason": change.reason,
    });
    Event::default().event("state").id(id(agent, change.number)).data(data.to_string())
}
