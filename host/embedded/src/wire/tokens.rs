//! Tokens of an answer (2.2.7), written into a byte buffer.

use super::codepage::COLLATION;
use super::prelogin::SERVER_VERSION;
use super::type_info::put_type;
use super::value_out::{put_utf16, put_value};
use crate::answer::{Parameter, ResultColumn, SqlError};
use tillhold_core::fit::Misfit;
use tillhold_core::types::SqlType;

const COLMETADATA: u8 = 0x81;
const RETURNSTATUS: u8 = 0x79;
const ERROR: u8 = 0xAA;
const INFO: u8 = 0xAB;
const RETURNVALUE: u8 = 0xAC;
const LOGINACK: u8 = 0xAD;
const ENVCHANGE: u8 = 0xE3;
pub const ROW: u8 = 0xD1;

/// What a DONE ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoneOf {
    /// A statement of a batch, or the whole message.
    Batch,
    /// A statement within a call.
    InProcedure,
    /// The call.
    Procedure,
}

/// A DONE to be written (2.2.7.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    pub of: DoneOf,
    /// Whether it ends a result set; clients do not take such a count for "rows affected".
    pub of_select: bool,
    pub rows: Option<u64>,
    pub failed: bool,
    pub more: bool,
    pub attention: bool,
}

impl Done {
    pub fn new(of: DoneOf) -> Done {
        Done { of, of_select: false, rows: None, failed: false, more: false, attention: false }
    }

    pub fn put(&self, buffer: &mut Vec<u8>) {
        buffer.push(match self.of {
            DoneOf::Batch => 0xFD,
            DoneOf::Procedure => 0xFE,
            DoneOf::InProcedure => 0xFF,
        });
        let status = u16::from(self.more)
            | u16::from(self.failed) << 1
            | u16::from(self.rows.is_some()) << 4
            | u16::from(self.attention) << 5;
        buffer.extend(status.to_le_bytes());
        // The statement's own token: SELECT, or "some change" (UPDATE's), whichever the engine ran.
        let command: u16 = match (self.of_select, self.rows) {
            (true, _) => 0xC1,
            (false, Some(_)) => 0xC5,
            (false, None) => 0,
        };
        buffer.extend(command.to_le_bytes());
        buffer.extend(self.rows.unwrap_or(0).to_le_bytes());
    }
}

/// Environment changes (2.2.7.9) that this server tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment<'a> {
    Database {
        new: &'a str,
        old: &'a str,
    },
    Language,
    PacketBytes {
        new: usize,
        old: usize,
    },
    Collation,
    TransactionBegun(u64),
    TransactionCommitted(u64),
    TransactionRolledBack(u64),
    /// The reset that the client asked for with its message is done.
    Reset,
}

impl Environment<'_> {
    pub fn put(&self, buffer: &mut Vec<u8>) {
        buffer.push(ENVCHANGE);
        with_length(buffer, |buffer| match *self {
            Environment::Database { new, old } => {
                buffer.push(1);
                put_b_varchar(buffer, new);
                put_b_varchar(buffer, old);
            }
            Environment::Language => {
                buffer.push(2);
                put_b_varchar(buffer, "us_english");
                put_b_varchar(buffer, "");
            }
            Environment::PacketBytes { new, old } => {
                buffer.push(4);
                put_b_varchar(buffer, &new.to_string());
                put_b_varchar(buffer, &old.to_string());
            }
            Environment::Collation => {
                buffer.extend([7, COLLATION.len() as u8]);
                buffer.extend(COLLATION);
                buffer.push(0);
            }
            Environment::TransactionBegun(descriptor) => {
                buffer.extend([8, 8]);
                buffer.extend(descriptor.to_le_bytes());
                buffer.push(0);
            }
            Environment::TransactionCommitted(descriptor) => put_ended(buffer, 9, descriptor),
            Environment::TransactionRolledBack(descriptor) => put_ended(buffer, 10, descriptor),
            Environment::Reset => buffer.extend([18, 0, 0]),
        });
    }
}

fn put_ended(buffer: &mut Vec<u8>, kind: u8, descriptor: u64) {
    buffer.extend([kind, 0, 8]);
    buffer.extend(descriptor.to_le_bytes());
}

/// Two bytes of length, then what `content` writes.
fn with_length(buffer: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    let at = buffer.len();
    buffer.extend([0, 0]);
    content(buffer);
    let length = (buffer.len() - at - 2).min(usize::from(u16::MAX)) as u16;
    buffer[at..at + 2].copy_from_slice(&length.to_le_bytes());
}

/// The longest beginning of a text that has at most so many UTF-16 units.
fn clipped(text: &str, most: usize) -> &str {
    let mut units = 0;
    let past = text.char_indices().find(|(_, character)| {
        units += character.len_utf16();
        units > most
    });
    past.map_or(text, |(at, _)| &text[..at])
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// One byte of length: names, of which 128 characters are the most that SQL Server has.
pub fn put_b_varchar(buffer: &mut Vec<u8>, text: &str) {
    let text = clipped(text, 255);
    buffer.push(units(text) as u8);
    put_utf16(buffer, text);
}

/// Two bytes of length; clipped where the token that holds it could not say its own length any more.
fn put_us_varchar(buffer: &mut Vec<u8>, text: &str) {
    let text = clipped(text, 16_000);
    buffer.extend((units(text) as u16).to_le_bytes());
    put_utf16(buffer, text);
}

pub fn put_error(buffer: &mut Vec<u8>, server: &str, error: &SqlError) {
    put_message(buffer, ERROR, server, error);
}

/// PRINT and other messages below severity 11.
pub fn put_info(buffer: &mut Vec<u8>, server: &str, number: u32, state: u8, message: &str) {
    let info = SqlError { number, severity: 0, state, line: 1, message: message.to_string() };
    put_message(buffer, INFO, server, &info);
}

fn put_message(buffer: &mut Vec<u8>, token: u8, server: &str, error: &SqlError) {
    buffer.push(token);
    with_length(buffer, |buffer| {
        buffer.extend(error.number.to_le_bytes());
        buffer.extend([error.state, error.severity]);
        put_us_varchar(buffer, &error.message);
        put_b_varchar(buffer, server);
        put_b_varchar(buffer, "");
        buffer.extend(error.line.to_le_bytes());
    });
}

pub fn put_login_ack(buffer: &mut Vec<u8>, tds_version: u32) {
    buffer.push(LOGINACK);
    with_length(buffer, |buffer| {
        buffer.push(1);
        buffer.extend(tds_version.to_be_bytes());
        // Clients look for the word "Microsoft" to know the dialect; the rest tells people the truth.
        put_b_varchar(buffer, "Microsoft SQL Server (Tillhold's embedded channel)");
        buffer.extend_from_slice(&SERVER_VERSION[..4]);
    });
}

pub fn put_columns(buffer: &mut Vec<u8>, columns: &[ResultColumn]) {
    buffer.push(COLMETADATA);
    if columns.is_empty() {
        buffer.extend(u16::MAX.to_le_bytes());
        return;
    }
    buffer.extend((columns.len() as u16).to_le_bytes());
    for column in columns {
        put_column_type(buffer, column.of, column.nullable);
        if matches!(column.of, SqlType::Text | SqlType::NText | SqlType::Image) {
            // The table that a text pointer would point into: none that we would honour.
            buffer.push(0);
        }
        put_b_varchar(buffer, &column.name);
    }
}

fn put_column_type(buffer: &mut Vec<u8>, of: SqlType, nullable: bool) {
    // rowversion is binary(8) to all but those who know its user type.
    let user_type: u32 = if of == SqlType::RowVersion { 80 } else { 0 };
    buffer.extend(user_type.to_le_bytes());
    // "Updateable: unknown" is what SQL Server says of most columns; bulk clients take such columns.
    let flags: u16 = 0x08 | u16::from(nullable);
    buffer.extend(flags.to_le_bytes());
    put_type(buffer, of, nullable);
}

pub fn put_return_status(buffer: &mut Vec<u8>, status: i32) {
    buffer.push(RETURNSTATUS);
    buffer.extend(status.to_le_bytes());
}

/// An output parameter, at its place in the call.
pub fn put_return_value(
    buffer: &mut Vec<u8>,
    ordinal: u16,
    parameter: &Parameter,
) -> Result<(), Misfit> {
    buffer.push(RETURNVALUE);
    buffer.extend(ordinal.to_le_bytes());
    put_b_varchar(buffer, &parameter.name);
    buffer.push(1);
    put_column_type(buffer, parameter.of, true);
    put_value(buffer, parameter.of, true, &parameter.value)
}

#[cfg(test)]
mod tests {
    use super::{Environment, clipped, put_error, put_login_ack};
    use crate::answer::SqlError;

    #[test]
    fn versions_stand_in_their_own_byte_orders() {
        let mut bytes = Vec::new();
        put_login_ack(&mut bytes, 0x7400_0004);
        assert_eq!(&bytes[4..8], &[0x74, 0, 0, 4]);
        bytes.clear();
        Environment::TransactionBegun(0x0102).put(&mut bytes);
        assert_eq!(bytes, [0xE3, 11, 0, 8, 8, 2, 1, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_long_message_is_clipped_at_a_character() {
        assert_eq!(clipped("a\u{1F600}b", 2), "a");
        assert_eq!(clipped("a\u{1F600}b", 3), "a\u{1F600}");
        let error = SqlError::new(50_000, "\u{1F600}".repeat(100_000));
        let mut bytes = Vec::new();
        put_error(&mut bytes, "s", &error);
        let said = usize::from(u16::from_le_bytes([bytes[1], bytes[2]]));
        assert_eq!(bytes.len(), said + 3);
    }
}
