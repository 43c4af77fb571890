//! A client of bytes, for what tiberius never sends.

use crate::wire::login::tests::sample;
use crate::wire::packet::{Framer, HEADER_BYTES, PacketReader};
use crate::wire::reader::Reader;
use crate::wire::type_info::put_type;
use crate::wire::value_out::{put_utf16, put_value};
use std::time::Duration;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;
use tillhold_env::BoxStream;
use tokio::io::AsyncWriteExt as _;

pub struct Raw {
    pub stream: BoxStream,
    packets: PacketReader,
}

/// One token of an answer, as far as tests look.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    Done { token: u8, status: u16 },
    Error(u32),
    Status(i32),
    ReturnedInt(i32),
    Environment(u8),
    Other(u8),
}

pub const LOGIN: u8 = 16;
pub const PRELOGIN: u8 = 18;

impl Raw {
    pub fn over(stream: BoxStream) -> Raw {
        Raw { stream, packets: PacketReader::default() }
    }

    /// Plain, as `sa`.
    pub async fn log_in(stream: BoxStream) -> Raw {
        let mut raw = Raw::over(stream);
        raw.send(PRELOGIN, 0, &[1, 0, 6, 0, 1, 0xFF, 2]).await;
        raw.answer().await.expect("a prelogin");
        raw.send(LOGIN, 0, &sample(0x7400_0004, 0, &[0xFF])).await;
        let answer = raw.answer().await.expect("a login");
        assert!(seen(&answer).contains(&Seen::Other(0xAD)), "no LOGINACK");
        raw
    }

    pub async fn send(&mut self, kind: u8, status: u8, body: &[u8]) {
        let mut framed = Vec::new();
        Framer::new(32_000, 0).finish(&mut body.to_vec(), &mut framed);
        // The framer writes answers: give its packets the kind and, the first, the status wanted.
        let mut at = 0;
        while at < framed.len() {
            framed[at] = kind;
            if at == 0 {
                framed[1] |= status;
            }
            at += usize::from(u16::from_be_bytes([framed[at + 2], framed[at + 3]]));
        }
        self.stream.write_all(&framed).await.expect("written");
    }

    /// Part of a message.
    pub async fn send_open(&mut self, kind: u8, body: &[u8]) {
        let length = ((body.len() + HEADER_BYTES) as u16).to_be_bytes();
        let mut packet = vec![kind, 0, length[0], length[1], 0, 0, 1, 0];
        packet.extend_from_slice(body);
        self.stream.write_all(&packet).await.expect("written");
    }

    /// Gives up after a minute, so that a server that says nothing fails the test instead of holding it up.
    pub async fn answer(&mut self) -> Option<Vec<u8>> {
        let message = self.packets.message(&mut self.stream, "answer", 1 << 24);
        let message = tokio::time::timeout(Duration::from_secs(60), message).await;
        message.expect("an answer or an end").ok().flatten().map(|(_, body)| body)
    }

    pub async fn send_batch(&mut self, status: u8, sql: &str) {
        let mut body = headers();
        put_utf16(&mut body, sql);
        self.send(1, status, &body).await;
    }

    pub async fn batch(&mut self, status: u8, sql: &str) -> Vec<Seen> {
        self.send_batch(status, sql).await;
        seen(&self.answer().await.expect("an answer"))
    }

    pub async fn call(&mut self, call: Call) -> Vec<Seen> {
        self.send(3, 0, &call.0).await;
        seen(&self.answer().await.expect("an answer"))
    }
}

/// ALL_HEADERS with no transaction.
pub fn headers() -> Vec<u8> {
    vec![22, 0, 0, 0, 18, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]
}

/// A call in the making.
pub struct Call(pub Vec<u8>);

impl Call {
    pub fn numbered(number: u16) -> Call {
        let mut body = headers();
        body.extend([0xFF, 0xFF]);
        body.extend(number.to_le_bytes());
        body.extend([0, 0]);
        Call(body)
    }

    pub fn named(name: &str) -> Call {
        let mut body = headers();
        body.extend((name.len() as u16).to_le_bytes());
        put_utf16(&mut body, name);
        body.extend([0, 0]);
        Call(body)
    }

    pub fn with(mut self, name: &str, status: u8, of: &str, value: Value) -> Call {
        let of = SqlType::parse(of).expect("a type");
        self.0.push(name.len() as u8);
        put_utf16(&mut self.0, name);
        self.0.push(status);
        put_type(&mut self.0, of, true);
        put_value(&mut self.0, of, true, &value).expect("a value of the type");
        self
    }

    pub fn text(self, text: &str) -> Call {
        self.with("", 0, "nvarchar(max)", Value::Text(text.to_string()))
    }

    pub fn int(self, status: u8, number: i64) -> Call {
        self.with("", status, "int", Value::Int(number))
    }
}

/// Reads the tokens of an answer that has no rows, or those before its first result set.
pub fn seen(answer: &[u8]) -> Vec<Seen> {
    let mut reader = Reader::new(answer);
    let mut seen = Vec::new();
    while !reader.is_empty() {
        let token = reader.u8().expect("a token");
        seen.push(match token {
            0xFD..=0xFF => {
                let status = reader.u16().expect("a status");
                reader.take(10).expect("a count");
                Seen::Done { token, status }
            }
            0x79 => Seen::Status(reader.u32().expect("a status") as i32),
            0xAC => {
                reader.u16().expect("an ordinal");
                reader.b_varchar().expect("a name");
                reader.take(1 + 6 + 2 + 1).expect("a type");
                Seen::ReturnedInt(reader.u32().expect("an int") as i32)
            }
            0xAA | 0xAB | 0xAD | 0xE3 => {
                let length = usize::from(reader.u16().expect("a length"));
                let body = reader.take(length).expect("a body");
                match token {
                    0xAA => Seen::Error(u32::from_le_bytes([body[0], body[1], body[2], body[3]])),
                    0xE3 => Seen::Environment(body[0]),
                    _ => Seen::Other(token),
                }
            }
            _ => {
                seen.push(Seen::Other(token));
                return seen;
            }
        });
    }
    seen
}
