//! Truncated, mutated and invented bytes: a decoder may refuse, it may not panic, and it may not believe lengths.

use super::bulk::BulkDecoder;
use super::login::{Login, TDS_7_4, tests::sample};
use super::prelogin::Prelogin;
use super::reader::Reader;
use super::rpc::{read_batch, read_call, read_transaction};
use super::type_info::{WireType, put_type};
use super::value_in::{Place, take_value};
use super::value_out::put_value;
use crate::answer::ResultColumn;
use tillhold_core::draw::Draw;
use tillhold_core::text;
use tillhold_core::types::SqlType;

/// The same bytes from the same seed on every machine.
struct Dice(Draw);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0.below(below as u64) as usize
    }

    /// The bytes with a few of them changed, cut, doubled or made extreme.
    fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=self.roll(4) {
            let at = self.roll(bytes.len());
            match self.roll(5) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.roll(256) as u8),
                2 if !bytes.is_empty() => bytes[at] = [0, 0xFF, 0x7F, 0x80][self.roll(4)],
                3 if !bytes.is_empty() => bytes[at] = self.roll(256) as u8,
                _ if bytes.len() < 10_000 => bytes.extend_from_within(at..),
                _ => {}
            }
        }
        bytes
    }
}

const DECLARATIONS: [(&str, &str); 12] = [
    ("int", "1"),
    ("decimal(38,10)", "-1.5"),
    ("money", "1.5"),
    ("float", "1.5"),
    ("datetime", "2026-01-01 00:00:00"),
    ("datetimeoffset(7)", "2026-01-01 00:00:00 +01:00"),
    ("time(3)", "12:00:00"),
    ("uniqueidentifier", "00112233-4455-6677-8899-aabbccddeeff"),
    ("varchar(20)", "für"),
    ("nvarchar(max)", "日本"),
    ("ntext", "日本"),
    ("varbinary(max)", "00FF"),
];

fn typed_values(with_name: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (declaration, given) in DECLARATIONS {
        let of = SqlType::parse(declaration).expect("a type");
        if with_name {
            bytes.extend([2, b'@', 0, b'a', 0, 0]);
        }
        put_type(&mut bytes, of, true);
        put_value(&mut bytes, of, true, &text::parse(given, of).expect("a value")).expect("fits");
    }
    bytes
}

fn call() -> Vec<u8> {
    let mut bytes = vec![4, 0, 0, 0, 0xFF, 0xFF, 10, 0, 0, 0];
    // ntext is laid out otherwise in parameters; the mutations do not mind.
    bytes.extend(typed_values(true));
    bytes
}

fn target() -> Vec<ResultColumn> {
    let column = |(declaration, _): (&str, &str)| ResultColumn {
        name: declaration.to_string(),
        of: SqlType::parse(declaration).expect("a type"),
        nullable: true,
    };
    DECLARATIONS.map(column).into()
}

fn bulk() -> Vec<u8> {
    let mut bytes = vec![0x81, DECLARATIONS.len() as u8, 0];
    for column in target() {
        bytes.extend([0; 6]);
        put_type(&mut bytes, column.of, true);
        if column.of == SqlType::NText {
            bytes.extend([1, 0, b't', 0]);
        }
        bytes.extend([1, b'c', 0]);
    }
    for _ in 0..3 {
        bytes.extend([0xD1]);
        for ((_, given), column) in DECLARATIONS.into_iter().zip(target()) {
            let value = text::parse(given, column.of).expect("a value");
            put_value(&mut bytes, column.of, true, &value).expect("fits");
        }
    }
    bytes.extend([0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes
}

/// In packets of some size; answers the rows.
fn load(bytes: &[u8], packet: usize) -> Option<usize> {
    let mut decoder = BulkDecoder::new(target());
    let mut rows = 0;
    let pieces = bytes.chunks(packet.max(1));
    let count = pieces.len();
    for (at, piece) in pieces.enumerate() {
        decoder.feed(piece, at + 1 == count).ok()?;
        rows += decoder.portion(at + 1 == count).map_or(0, |rows| rows.len());
    }
    Some(rows)
}

#[test]
fn bulk_data_is_read_in_packets_of_any_size() {
    let bytes = bulk();
    for packet in 1..=bytes.len() {
        assert_eq!(load(&bytes, packet), Some(3), "packets of {packet}");
    }
    for end in 0..bytes.len() - 13 {
        assert_ne!(load(&bytes[..end], 64), Some(3), "cut at {end}");
    }
}

#[test]
fn every_beginning_of_a_message_is_refused_or_read() {
    for bytes in [call(), sample(TDS_7_4, 0, &[1, 0, 0, 0, 0, 0xFF]), bulk()] {
        for end in 0..bytes.len() {
            decode_all(&bytes[..end], 7);
        }
    }
}

#[test]
fn mutated_messages_are_refused_or_read() {
    let mut dice = Dice(Draw::of(0x7111_401D, "hostile bytes", 0));
    let prelogin = super::prelogin::answer(super::prelogin::Encryption::Everything, true, true);
    let sources =
        [call(), sample(TDS_7_4, 0, &[1, 0, 0, 0, 0, 0xFF]), bulk(), typed_values(false), prelogin];
    for round in 0..20_000 {
        let mutated = dice.mutate(&sources[round % sources.len()]);
        let packet = dice.roll(200);
        decode_all(&mutated, packet);
    }
}

/// Every decoder on the same bytes. What they make of them is their matter; that they return is ours.
fn decode_all(bytes: &[u8], packet: usize) {
    let _ = Prelogin::read(bytes);
    let _ = Login::read(bytes);
    let _ = read_batch(bytes);
    let _ = read_call(bytes);
    let _ = read_transaction(bytes);
    let _ = load(bytes, packet);
    for place in [Place::Row, Place::Parameter] {
        let mut reader = Reader::new(bytes);
        while let Ok(wire) = WireType::read(&mut reader) {
            if take_value(&mut reader, &wire, place).is_err() {
                break;
            }
        }
    }
}
