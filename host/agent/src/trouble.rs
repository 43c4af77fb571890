//! What stood between the register and its channel last: for whoever asks why it is offline.

use serde_json::{Value as Json, json};
use std::sync::{Mutex, MutexGuard};
use tillhold_channel::ChannelError;
use tillhold_env::Locked as _;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error("the channel answers in {took_ms} ms; the profile takes {most_ms} ms")]
    Slow { took_ms: u128, most_ms: u128 },
}

impl Trouble {
    pub fn code(&self) -> &'static str {
        match self {
            Trouble::Channel(error) => error.code(),
            Trouble::Slow { .. } => "channel-slow",
        }
    }

    pub fn hint(&self) -> Option<String> {
        match self {
            Trouble::Channel(error) => error.hint(),
            Trouble::Slow { .. } => Some(
                "look at the line and at the server, or raise slow_ms in [failover]".to_string(),
            ),
        }
    }

    fn number(&self) -> Option<u32> {
        match self {
            Trouble::Channel(error) => error.number(),
            Trouble::Slow { .. } => None,
        }
    }
}

/// The last one, and when it was met, by the wall clock.
#[derive(Default)]
pub struct LastTrouble(Mutex<Option<(i64, Trouble)>>);

impl LastTrouble {
    fn last(&self) -> MutexGuard<'_, Option<(i64, Trouble)>> {
        self.0.locked()
    }

    /// Whether it is another one than before.
    pub fn note(&self, at_ms: i64, trouble: Trouble) -> bool {
        let mut last = self.last();
        let known = |trouble: &Trouble| (trouble.code(), trouble.number());
        let is_news = last.as_ref().is_none_or(|(_, before)| known(before) != known(&trouble));
        *last = Some((at_ms, trouble));
        is_news
    }

    /// `[code] words`; nothing when there was none yet.
    pub fn words(&self) -> Option<String> {
        self.last().as_ref().map(|(_, trouble)| format!("[{}] {trouble}", trouble.code()))
    }

    /// For the status; null when there was none since the start.
    pub fn shown(&self) -> Json {
        match &*self.last() {
            None => Json::Null,
            Some((at_ms, trouble)) => json!({
                "at_ms": at_ms,
                "code": trouble.code(),
                "number": trouble.number(),
                "message": trouble.to_string(),
                "hint": trouble.hint(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LastTrouble, Trouble};
    use serde_json::Value as Json;
    use tillhold_channel::ChannelError;

    fn busy(number: u32) -> Trouble {
        ChannelError::Busy { number, message: "Retry.".to_string() }.into()
    }

    #[test]
    fn trouble_is_news_by_its_code_and_number_and_the_last_is_shown() {
        let last = LastTrouble::default();
        assert_eq!((last.shown(), last.words()), (Json::Null, None));
        let slow = |took_ms| Trouble::Slow { took_ms, most_ms: 300 };
        let news = [
            last.note(1, busy(40_501)),
            last.note(2, busy(40_501)),
            last.note(3, busy(8_645)),
            last.note(4, slow(400)),
            last.note(5, slow(500)),
        ];
        assert_eq!(news, [true, false, true, true, false]);
        let shown = last.shown();
        assert_eq!((&shown["at_ms"], &shown["code"]), (&5.into(), &"channel-slow".into()));
        last.note(6, busy(1_222));
        assert_eq!(last.shown()["number"], 1_222);
        let words = "[channel-busy] the channel is busy (message 1222): Retry.";
        assert_eq!(last.words().as_deref(), Some(words));
    }
}
