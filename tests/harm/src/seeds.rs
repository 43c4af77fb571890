//! What a channel really says, as the channel's corpus: recorded between Tillhold and the embedded channel.
//!
//! `UPDATE_GOLDEN=1 cargo test -p tillhold-harm seeds` writes the recordings again.

use crate::cable::Cable;
use crate::channel::{QUESTIONS, ask, asked, counted, every_type, link};
use crate::embedded::{log_in, say};
use crate::house::{ROWS, made_ready};
use crate::outside::{Outside, folder};
use crate::tds::{batch, message, messages};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tillhold_embedded::{Engine, Server, ServerOptions};
use tillhold_env::Env;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, copy, split};

/// PRELOGIN, login and the session's settings: the target says those itself.
const ANSWERS_OF_A_LOGIN: usize = 3;

type Heard = Arc<Mutex<Vec<u8>>>;

#[test]
fn what_the_embedded_channel_says_is_an_answer_to_every_question() {
    for (number, question) in QUESTIONS.iter().enumerate() {
        let said = recorded(question);
        let mut input = vec![number as u8, b'A'];
        for (answer, _) in messages(&said).into_iter().skip(ANSWERS_OF_A_LOGIN) {
            let body = body(answer);
            input.extend((body.len() as u16).to_le_bytes());
            input.extend(body);
        }
        let asked = asked(&input).expect("a question");
        assert!(asked.is_ok() || !must_be_answered(question), "{question}: {asked:?}");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            let name = format!("corpus/channel/{number:02}_recorded_{question}");
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
            std::fs::write(file, input).expect("a recording");
        }
    }
}

/// The tables that the others ask for are head office's, and not in this shop.
fn must_be_answered(question: &str) -> bool {
    !["known", "fleet", "profile", "marks"].contains(&question)
}

/// An answer without its packets' headers.
fn body(mut packets: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let [_, _, high, low, ..] = packets {
        let (packet, rest) = packets.split_at(usize::from(u16::from_be_bytes([*high, *low])));
        body.extend_from_slice(&packet[message(0, &[]).len()..]);
        packets = rest;
    }
    body
}

fn recorded(question: &'static str) -> Vec<u8> {
    let outside = Outside::new();
    let (cable, behind) = (outside.cable.clone(), Cable::default());
    let client = outside.env.clone();
    let server = Env { network: Arc::new(behind.clone()), ..client.clone() };
    let folder = folder();
    let file = folder.path().join("channel.db");
    let heard = Heard::default();
    let (record, shop) = (heard.clone(), behind.clone());
    outside.run(async move {
        let engine = Engine::open(&server, &file).expect("an engine");
        engine.create_login("till", "till", true).expect("a login");
        engine.create_tables(&[every_type(), counted()]).expect("tables");
        let options = ServerOptions::default();
        let gate = Server::start(&server, engine, options).listen(([127, 0, 0, 1], 1).into()).await;
        let _gate = gate.expect("a gate");
        let relays = async {
            loop {
                relay(cable.accept().await, behind.connect(), record.clone()).await;
            }
        };
        let asking = async {
            let mut link = link(&client);
            made_ready(&mut link).await;
            link.disconnect();
            let mut office = shop.connect();
            assert!(log_in(&mut office).await && say(&mut office, &batch(ROWS)).await, "no rows");
            // Until here it was a channel's administrator who was heard.
            record.lock().expect("the record").clear();
            let asked = ask(&mut link, question).await;
            assert!(asked.is_ok() || !must_be_answered(question), "{question}: {asked:?}");
        };
        tokio::select! {
            () = relays => {}
            () = asking => {}
        }
    });
    let heard = heard.lock().expect("the record").clone();
    assert!(!heard.is_empty());
    heard
}

async fn relay(client: DuplexStream, server: DuplexStream, heard: Heard) {
    let (mut from_client, mut to_client) = split(client);
    let (mut from_server, mut to_server) = split(server);
    let there = async {
        let _ = copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
    };
    let back = async {
        let mut bytes = [0; 4_096];
        while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
            heard.lock().expect("the record").extend_from_slice(&bytes[..count]);
            if to_client.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
        let _ = to_client.shutdown().await;
    };
    tokio::join!(there, back);
}
