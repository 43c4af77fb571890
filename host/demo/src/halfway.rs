//! A sale's PUT that is under way: sent whole or in half, and not answered yet.
//!
//! The door has said that it wants the body (`100 Continue`), so the request is in work whatever happens next.

use crate::DemoError;
use crate::sale::{Sale, body};
use serde_json::Value as Json;
use tillhold_client::{Answer, Door};
use tillhold_core::text::guid_text;
use tillhold_env::{BoxStream, Env};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

pub(crate) struct Halfway {
    pub(crate) sale: Sale,
    stream: BoxStream,
    rest: Vec<u8>,
}

impl Halfway {
    /// Sends half of the body, or all of it.
    pub(crate) async fn begin(
        env: &Env,
        door: &Door,
        sale: Sale,
        is_half: bool,
    ) -> Result<Halfway, DemoError> {
        let broken = |_| DemoError::BrokeOff("a sale's PUT");
        let mut sent = body(&sale.rows).to_string().into_bytes();
        let head = format!(
            "PUT /v1/transactions/{} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
            guid_text(&sale.id),
            door.token,
            sent.len()
        );
        let mut stream = env.network.connect(&door.host, door.port).await.map_err(broken)?;
        stream.write_all(head.as_bytes()).await.map_err(broken)?;
        let mut word = [0; CONTINUE.len()];
        stream.read_exact(&mut word).await.map_err(broken)?;
        if word != CONTINUE {
            return Err(DemoError::BrokeOff("a sale's PUT, which the door did not want,"));
        }
        let rest = sent.split_off(if is_half { sent.len() / 2 } else { sent.len() });
        stream.write_all(&sent).await.map_err(broken)?;
        Ok(Halfway { sale, stream, rest })
    }

    /// Sends what is left; the answer, if there was one.
    pub(crate) async fn finish(mut self) -> (Sale, Option<Answer>) {
        let mut said = Vec::new();
        let answer = match self.stream.write_all(&self.rest).await {
            Ok(()) => self.stream.read_to_end(&mut said).await.ok().and_then(|_| answer(&said)),
            Err(_) => None,
        };
        (self.sale, answer)
    }
}

fn answer(said: &[u8]) -> Option<Answer> {
    let said = std::str::from_utf8(said).ok()?;
    let (head, body) = said.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body: Json = serde_json::from_str(body).ok()?;
    Some(Answer { status, body, retry_after: None })
}
