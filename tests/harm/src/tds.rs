//! TDS as far as the targets need it to get past the door: packets, a PRELOGIN, a LOGIN7 and their answers (MS-TDS 2.2).

use tokio::io::{AsyncRead, AsyncReadExt as _};

pub const BATCH: u8 = 1;
pub const RPC: u8 = 3;
pub const ANSWER: u8 = 4;
pub const LOGIN: u8 = 16;
pub const PRELOGIN: u8 = 18;

const HEADER_BYTES: usize = 8;
const PAYLOAD_BYTES_MAX: usize = 4_000;
const LAST: u8 = 1;

/// The body in packets of one message.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(body.len() + 2 * HEADER_BYTES);
    let mut pieces: Vec<&[u8]> = body.chunks(PAYLOAD_BYTES_MAX).collect();
    if pieces.is_empty() {
        pieces.push(&[]);
    }
    let count = pieces.len();
    for (at, piece) in pieces.into_iter().enumerate() {
        let length = ((piece.len() + HEADER_BYTES) as u16).to_be_bytes();
        let status = if at + 1 == count { LAST } else { 0 };
        framed.extend([kind, status, length[0], length[1], 0, 0, at as u8, 0]);
        framed.extend_from_slice(piece);
    }
    framed
}

/// The bytes cut behind the last packet of each message, with whether it is a whole one: behind a packet whose length
/// cannot be true nothing is.
pub fn messages(mut bytes: &[u8]) -> Vec<(&[u8], bool)> {
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let mut end = 0;
        let is_whole = loop {
            let rest = &bytes[end..];
            let length = match rest {
                [_, _, high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
                _ => 0,
            };
            if length < HEADER_BYTES || length > rest.len() {
                end = bytes.len();
                break false;
            }
            end += length;
            if rest[1] & LAST != 0 {
                break true;
            }
        };
        let (piece, rest) = bytes.split_at(end);
        pieces.push((piece, is_whole));
        bytes = rest;
    }
    pieces
}

/// One whole answer; `None` when the stream ended instead, or it is longer than `most`.
pub async fn answer(stream: &mut (impl AsyncRead + Unpin), most: usize) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut header = [0; HEADER_BYTES];
        stream.read_exact(&mut header).await.ok()?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        assert_eq!(header[0], ANSWER, "a packet of another kind: {header:?}");
        assert!(length >= HEADER_BYTES, "a packet shorter than its header: {header:?}");
        let begin = body.len();
        body.resize(begin + length - HEADER_BYTES, 0);
        stream.read_exact(&mut body[begin..]).await.ok()?;
        if header[1] & LAST != 0 {
            return Some(body);
        }
        if body.len() > most {
            return None;
        }
    }
}

/// Wishes no encryption.
pub fn prelogin() -> Vec<u8> {
    message(PRELOGIN, &[1, 0, 6, 0, 1, 0xFF, 2])
}

/// As `till`, to the database `Channel`.
pub fn login() -> Vec<u8> {
    const FIXED_BYTES: usize = 94;
    let hide = |byte: u8| byte.rotate_left(4) ^ 0xA5;
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let password = utf16("till").into_iter().map(hide).collect();
    let texts = [
        utf16(""),
        utf16("till"),
        password,
        utf16("harm"),
        utf16(""),
        utf16(""),
        utf16(""),
        utf16(""),
    ];
    let mut places = Vec::new();
    let mut data = Vec::new();
    for text in texts.iter().chain([&utf16("Channel")]) {
        places.extend(((FIXED_BYTES + data.len()) as u16).to_le_bytes());
        places.extend(((text.len() / 2) as u16).to_le_bytes());
        data.extend_from_slice(text);
    }
    places.resize(FIXED_BYTES - 36, 0);
    let mut bytes = ((FIXED_BYTES + data.len()) as u32).to_le_bytes().to_vec();
    bytes.extend(0x7400_0004u32.to_le_bytes());
    bytes.extend(4_096u32.to_le_bytes());
    bytes.extend([0; 24]);
    bytes.extend(places);
    bytes.extend(data);
    message(LOGIN, &bytes)
}

/// ALL_HEADERS with no transaction, which batches and calls begin with.
pub const HEADERS: [u8; 22] = [22, 0, 0, 0, 18, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];

/// A plain batch.
pub fn batch(sql: &str) -> Vec<u8> {
    let mut body = HEADERS.to_vec();
    body.extend(sql.encode_utf16().flat_map(u16::to_le_bytes));
    message(BATCH, &body)
}

/// The answer to a PRELOGIN of a server that does not encrypt.
pub fn prelogin_answer() -> Vec<u8> {
    message(ANSWER, &[0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xFF, 15, 0, 0, 0, 0, 0, 2])
}

const DONE: [u8; 13] = [0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// LOGINACK for TDS 7.4, and the answer to the session's settings.
pub fn login_answers() -> Vec<u8> {
    let mut body = vec![0xAD, 10, 0, 1, 0x74, 0, 0, 4, 0, 15, 0, 0, 0];
    body.extend(DONE);
    let mut answers = message(ANSWER, &body);
    answers.extend(message(ANSWER, &DONE));
    answers
}
