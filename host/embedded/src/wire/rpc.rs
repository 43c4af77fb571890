//! What a client asks: batches (2.2.6.7), calls (2.2.6.6) and transaction requests (2.2.6.9).

use super::reader::{Reader, utf16};
use super::type_info::{Layout, WireType};
use super::value_in::{Place, take_value};
use crate::answer::Isolation;
use crate::fault::ServerError;
use tillhold_core::limits::TDS_PARAMETERS_MAX;
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;

/// Between the calls of a message that makes several (2.2.6.6).
const NEXT_CALL: [u8; 2] = [0xFF, 0xFE];

#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// Empty when it is passed by position.
    pub name: String,
    /// The client awaits its value afterwards.
    pub output: bool,
    /// `None`: NULL that takes its type from a declaration.
    pub of: Option<SqlType>,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Procedure {
    Named(String),
    /// The well-known ones have numbers.
    Numbered(u16),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub procedure: Procedure,
    pub arguments: Vec<Argument>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionRequest {
    Begin(Isolation),
    /// With the isolation of a new one that begins at once, if the client wants that.
    Commit {
        then: Option<Isolation>,
    },
    Rollback {
        savepoint: String,
        then: Option<Isolation>,
    },
    Save(String),
}

/// ALL_HEADERS (2.2.5.3): notifications, transaction and trace, none of which this server needs to know.
fn skip_headers(reader: &mut Reader<'_>) -> Result<(), ServerError> {
    let total = reader.u32()? as usize;
    let rest =
        total.checked_sub(4).ok_or(ServerError::Malformed { what: "headers below 4 bytes" })?;
    let _headers = reader.take(rest)?;
    Ok(())
}

/// The text of a batch.
pub fn read_batch(bytes: &[u8]) -> Result<String, ServerError> {
    let mut reader = Reader::new(bytes);
    skip_headers(&mut reader)?;
    utf16(reader.rest())
}

pub fn read_call(bytes: &[u8]) -> Result<Call, ServerError> {
    let mut reader = Reader::new(bytes);
    skip_headers(&mut reader)?;
    let procedure = match reader.u16()? {
        u16::MAX => Procedure::Numbered(reader.u16()?),
        units => Procedure::Named(reader.utf16(usize::from(units))?),
    };
    let _options = reader.u16()?;
    let mut arguments = Vec::new();
    while !reader.is_empty() {
        if arguments.len() == TDS_PARAMETERS_MAX {
            return Err(ServerError::Unsupported {
                what: format!("a call with more than {TDS_PARAMETERS_MAX} parameters"),
            });
        }
        arguments.push(read_argument(&mut reader)?);
    }
    Ok(Call { procedure, arguments })
}

fn read_argument(reader: &mut Reader<'_>) -> Result<Argument, ServerError> {
    let units = reader.u8()?;
    if NEXT_CALL.contains(&units) {
        return Err(ServerError::Unsupported { what: "several calls in one message".to_string() });
    }
    let name = reader.utf16(usize::from(units))?;
    let status = reader.u8()?;
    if status & 0x02 != 0 {
        return Err(ServerError::Unsupported { what: format!("DEFAULT for parameter '{name}'") });
    }
    if status & 0x08 != 0 {
        return Err(ServerError::Unsupported { what: format!("encrypted parameter '{name}'") });
    }
    let wire = WireType::read(reader)?;
    let value = take_value(reader, &wire, Place::Parameter)?;
    let of = (wire.layout != Layout::Untyped).then_some(wire.of);
    Ok(Argument { name, output: status & 0x01 != 0, of, value })
}

pub fn read_transaction(bytes: &[u8]) -> Result<TransactionRequest, ServerError> {
    let mut reader = Reader::new(bytes);
    skip_headers(&mut reader)?;
    match reader.u16()? {
        5 => {
            let isolation = isolation(reader.u8()?)?;
            let _name = reader.b_varchar()?;
            Ok(TransactionRequest::Begin(isolation))
        }
        7 => {
            let _name = reader.b_varchar()?;
            Ok(TransactionRequest::Commit { then: read_next(&mut reader)? })
        }
        8 => {
            let savepoint = reader.b_varchar()?;
            Ok(TransactionRequest::Rollback { savepoint, then: read_next(&mut reader)? })
        }
        9 => Ok(TransactionRequest::Save(reader.b_varchar()?)),
        other => Err(ServerError::Unsupported {
            what: format!("transaction request {other} (distributed transactions)"),
        }),
    }
}

/// fBeginXact: begin another transaction right after this one.
fn read_next(reader: &mut Reader<'_>) -> Result<Option<Isolation>, ServerError> {
    if reader.is_empty() || reader.u8()? & 0x01 == 0 {
        return Ok(None);
    }
    let next = isolation(reader.u8()?)?;
    let _name = reader.b_varchar()?;
    Ok(Some(next))
}

fn isolation(byte: u8) -> Result<Isolation, ServerError> {
    Ok(match byte {
        0 => Isolation::Unspecified,
        1 => Isolation::ReadUncommitted,
        2 => Isolation::ReadCommitted,
        3 => Isolation::RepeatableRead,
        4 => Isolation::Serializable,
        5 => Isolation::Snapshot,
        _ => return Err(ServerError::Malformed { what: "an unknown isolation level" }),
    })
}

#[cfg(test)]
mod tests {
    use super::{Procedure, TransactionRequest, read_batch, read_call, read_transaction};
    use crate::answer::Isolation;
    use tillhold_core::value::Value;

    fn headed(body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![22, 0, 0, 0, 18, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn requests_are_read() {
        assert_eq!(read_batch(&headed(b"a\0b\0")).ok().as_deref(), Some("ab"));
        assert!(read_batch(&headed(b"a")).is_err());
        assert!(read_batch(&[200, 0, 0, 0]).is_err());

        let call = read_call(&headed(&[
            0xFF, 0xFF, 10, 0, 0, 0, 0, 0, 0x26, 4, 4, 7, 0, 0, 0, 2, b'@', 0, b'n', 0, 1, 0x1F,
        ]))
        .expect("a call");
        assert_eq!(call.procedure, Procedure::Numbered(10));
        assert_eq!(call.arguments[0].value, Value::Int(7));
        assert_eq!((call.arguments[1].name.as_str(), call.arguments[1].of), ("@n", None));
        assert!(call.arguments[1].output);

        assert_eq!(
            read_transaction(&headed(&[8, 0, 0, 1, 5, 0])).ok(),
            Some(TransactionRequest::Rollback {
                savepoint: String::new(),
                then: Some(Isolation::Snapshot)
            })
        );
        assert!(read_transaction(&headed(&[6, 0])).is_err());
    }
}
