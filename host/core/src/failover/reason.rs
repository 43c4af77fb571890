//! Why a state was left for another, in one word of the event that did it.

use super::{Event, State};

/// Of a change from `from` to `to` by `event`. Doubt ends in Offline because its time is over, whatever event finds that out.
pub fn reason(from: State, to: State, event: Event) -> &'static str {
    match (from, to, event) {
        (State::Doubtful, State::Offline, _) => "offline-timeout",
        // An answer that ends being Online is the last of too many slow ones.
        (State::Online, _, Event::Answered { .. }) => "slow",
        (_, _, Event::Answered { .. }) => "answered",
        (_, _, Event::Trouble) => "trouble",
        (_, _, Event::Returned) => "returned",
        (_, _, Event::ReturnFailed) => "return-failed",
        (_, _, Event::Hold) => "hold",
        (_, _, Event::Release) => "release",
        // Neither changes a state alone; doubt that time ends has its word above.
        (_, _, Event::Tick | Event::Reconnect) => "asked",
    }
}
