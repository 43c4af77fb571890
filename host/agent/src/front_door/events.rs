//! Server-Sent Events: the state when the listener comes, then one event a change. A listener that lags behind is
//! told the state as it is, not every step that it missed.

use super::Door;
use crate::agent::{Agent, Standing};
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use tillhold_core::size::Fullness;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

struct Listener {
    agent: Arc<Agent>,
    changes: Receiver<Standing>,
    sizes: watch::Receiver<Fullness>,
    told: bool,
}

pub async fn get(State(door): State<Door>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let (changes, sizes) = (door.agent.listen(), door.agent.upkeep.listen());
    let listener = Listener { changes, sizes, agent: door.agent.clone(), told: false };
    Sse::new(stream::unfold(listener, next)).keep_alive(KeepAlive::default())
}

async fn next(mut listener: Listener) -> Option<(Result<Event, Infallible>, Listener)> {
    if !listener.told {
        listener.told = true;
        let now = listener.agent.standing();
        return Some((Ok(event(now)), listener));
    }
    let standing = tokio::select! {
        () = listener.agent.stopped() => return None,
        changed = listener.changes.recv() => match changed {
            Ok(standing) => standing,
            Err(RecvError::Lagged(_)) => listener.agent.standing(),
            Err(RecvError::Closed) => return None,
        },
        // The sender lives as long as the agent.
        Ok(()) = listener.sizes.changed() => {
            let data = json!({ "standing": listener.sizes.borrow_and_update().name() });
            return Some((Ok(Event::default().event("size").data(data.to_string())), listener));
        }
    };
    Some((Ok(event(standing)), listener))
}

fn event(standing: Standing) -> Event {
    let data = json!({
        "state": standing.machine.state.name(),
        "since_ms": standing.entered_at_ms,
    });
    Event::default().event("state").data(data.to_string())
}
