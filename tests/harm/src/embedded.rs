//! Bytes of a client against the embedded channel, with the whole engine behind it.
//!
//! The first byte says how the rest is sent:
//! * `R`: as it is, from the first byte of a connection on.
//! * `L`: as it is, by a client that has logged in.
//! * `T`: texts, each ended by a zero byte, as plain batches.
//! * `C`: calls (RPC), each behind its length in two bytes (little-endian).
//!
//! Beyond that nothing panics:
//! * Every answer comes in packets of an answer.
//! * Whatever a client did, the next one logs in and is answered.

use crate::outside::{Outside, folder};
use crate::tds::{self, answer, batch, login, message, messages, prelogin};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;
use tillhold_embedded::{Engine, Gate, Server, ServerOptions};
use tillhold_env::Env;
use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio::time::timeout;

/// Past it the client has heard enough.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// A statement may take as long as it likes, but not this client's time.
const PATIENCE: Duration = Duration::from_secs(2);

const SHOP: &str = "
CREATE TABLE [dbo].[CARDS] ([CARD] nvarchar(20) NOT NULL, [POINTS] int NOT NULL DEFAULT ((0)), [BALANCE] numeric(32,16) NULL, [SINCE] datetime2(7) NULL, [COUNTER] int IDENTITY(1,1) NOT NULL, [ROWVERSION] timestamp NOT NULL, CONSTRAINT [PK_CARDS] PRIMARY KEY CLUSTERED ([CARD]));
INSERT INTO [dbo].[CARDS] ([CARD], [POINTS], [BALANCE]) VALUES (N'one', 1, 1.5), (N'two', 2, NULL);";

pub fn harm(input: &[u8]) {
    let Some((how, bytes)) = input.split_first() else { return };
    let outside = Outside::new();
    let folder = folder();
    let file = folder.path().join("channel.db");
    std::fs::write(&file, shop()).expect("a file");
    let (env, cable) = (outside.env.clone(), outside.cable.clone());
    let (how, bytes) = (*how, bytes.to_vec());
    outside.run(async move {
        let _gate = open(&env, &file).await;
        let mut stream = cable.connect();
        if how == b'R' || log_in(&mut stream).await {
            for (piece, is_whole) in pieces(how, &bytes) {
                if !is_whole {
                    // Whoever hangs up in the middle of a message has no answer to wait for.
                    let _ = stream.write_all(&piece).await;
                    break;
                }
                if !say(&mut stream, &piece).await {
                    break;
                }
            }
        }
        drop(stream);
        next_client(&mut cable.connect()).await;
    });
}

/// A file with a table in it, made once.
fn shop() -> &'static [u8] {
    static SHOP_FILE: OnceLock<Vec<u8>> = OnceLock::new();
    SHOP_FILE.get_or_init(|| {
        let outside = Outside::new();
        let folder = folder();
        let file = folder.path().join("channel.db");
        let (env, cable, at) = (outside.env.clone(), outside.cable.clone(), file.clone());
        outside.run(async move {
            let _gate = open(&env, &at).await;
            let mut stream = cable.connect();
            assert!(log_in(&mut stream).await, "nobody may log in");
            stream.write_all(&batch(SHOP)).await.expect("a stream");
            answer(&mut stream, ANSWER_BYTES_MAX).await.expect("an answer");
        });
        std::fs::read(&file).expect("the file")
    })
}

async fn open(env: &Env, file: &Path) -> Gate {
    let engine = Engine::open(env, file).expect("an engine");
    let _ = engine.create_login("till", "till", true);
    let server = Server::start(env, engine, ServerOptions::default());
    server.listen(([127, 0, 0, 1], 1_433).into()).await.expect("a gate")
}

/// What is said one after another, each with whether it is a whole message.
fn pieces(how: u8, bytes: &[u8]) -> Vec<(Vec<u8>, bool)> {
    let whole = |message| (message, true);
    match how {
        b'T' => bytes
            .split(|byte| *byte == 0)
            .map(|text| whole(batch(&String::from_utf8_lossy(text))))
            .collect(),
        b'C' => calls(bytes).into_iter().map(whole).collect(),
        _ => messages(bytes)
            .into_iter()
            .map(|(piece, is_whole)| (piece.to_vec(), is_whole))
            .collect(),
    }
}

fn calls(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut calls = Vec::new();
    while let [low, high, rest @ ..] = bytes {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (call, rest) = rest.split_at(length);
        let mut body = tds::HEADERS.to_vec();
        body.extend_from_slice(call);
        calls.push(message(tds::RPC, &body));
        bytes = rest;
    }
    calls
}

pub async fn log_in(stream: &mut DuplexStream) -> bool {
    say(stream, &prelogin()).await && say(stream, &login()).await
}

/// Whether there was a whole answer.
pub async fn say(stream: &mut DuplexStream, bytes: &[u8]) -> bool {
    if stream.write_all(bytes).await.is_err() {
        return false;
    }
    matches!(timeout(PATIENCE, answer(stream, ANSWER_BYTES_MAX)).await, Ok(Some(_)))
}

/// In packets of its own, whatever the one before was told: a login and a question that no table is needed for.
async fn next_client(stream: &mut DuplexStream) {
    assert!(log_in(stream).await, "the next client is not let in");
    stream.write_all(&batch("SELECT 1 AS [one];")).await.expect("a stream");
    let said = answer(stream, ANSWER_BYTES_MAX).await.expect("the next client has no answer");
    let columns = [0x81, 1, 0];
    assert!(said.starts_with(&columns), "the next client is answered {said:x?}");
}
