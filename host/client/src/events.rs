//! Server-Sent Events (HTML Living Standard, section 9.2), as far as the front door sends them.

use crate::{ClientError, EVENT_BYTES_MAX};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value as Json;

/// One event: its name (`message` when the door names none) and its data.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub name: String,
    pub data: Json,
}

/// The stream of events; dropped, it closes its connection.
pub struct Events {
    body: Incoming,
    lines: Lines,
}

impl Events {
    pub(crate) fn new(body: Incoming) -> Events {
        Events { body, lines: Lines::default() }
    }

    /// The next event; `None` when the front door closed the stream.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(event) = self.lines.event()? {
                return Ok(Some(event));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            let frame = frame.map_err(|cause| ClientError::Broken { cause })?;
            if let Some(bytes) = frame.data_ref() {
                self.lines.push(bytes)?;
            }
        }
    }
}

/// Bytes that have come and the event that they are building.
#[derive(Default)]
struct Lines {
    waiting: Vec<u8>,
    name: String,
    data: String,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() + self.data.len() > EVENT_BYTES_MAX {
            return Err(ClientError::EventTooLong { limit: EVENT_BYTES_MAX });
        }
        Ok(())
    }

    fn event(&mut self) -> Result<Option<Event>, ClientError> {
        while let Some(end) = self.waiting.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.waiting.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                if let Some(event) = self.finish()? {
                    return Ok(Some(event));
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => self.name = value.to_string(),
                "data" => self.data.push_str(value),
                // Comments (keep-alives), ids and retry times carry nothing for us.
                _ => {}
            }
        }
        Ok(None)
    }

    fn finish(&mut self) -> Result<Option<Event>, ClientError> {
        let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
        if data.is_empty() {
            return Ok(None);
        }
        let name = if name.is_empty() { "message".to_string() } else { name };
        let data = serde_json::from_str(&data)
            .map_err(|cause| ClientError::NotJson { status: 200, cause })?;
        Ok(Some(Event { name, data }))
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, Lines};
    use crate::{ClientError, EVENT_BYTES_MAX};
    use serde_json::json;

    #[test]
    fn events_come_whole_however_the_bytes_are_cut() {
        let text =
            ": hello\n\nevent: state\r\ndata: {\"state\":\"offline\"}\r\n\r\nid: 3\ndata: 1\n\n";
        for size in 1..text.len() {
            let mut lines = Lines::default();
            let mut events = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                lines.push(piece).expect("short");
                while let Some(event) = lines.event().expect("JSON") {
                    events.push(event);
                }
            }
            let expected = [
                Event { name: "state".into(), data: json!({"state": "offline"}) },
                Event { name: "message".into(), data: json!(1) },
            ];
            assert_eq!(events, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut lines = Lines::default();
        let pushed = lines.push(&vec![b'x'; EVENT_BYTES_MAX + 1]);
        assert!(matches!(pushed, Err(ClientError::EventTooLong { .. })));
    }
}
