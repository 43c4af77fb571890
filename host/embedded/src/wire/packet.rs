//! Packets (2.2.3.1): a header of eight bytes, then a piece of a message.
//!
//! * [`PacketReader`] collects one packet at a time; dropping a read loses nothing that has arrived.
//! * [`Framer`] cuts an answer into packets of the negotiated size.

use crate::fault::ServerError;
use tokio::io::{AsyncRead, AsyncReadExt};

pub const HEADER_BYTES: usize = 8;

/// Message types that a client sends; `Answer` is what it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Batch,
    Rpc,
    Answer,
    Attention,
    Bulk,
    Transaction,
    Login,
    Prelogin,
    /// A type that this server does not take.
    Other(u8),
}

impl Kind {
    fn of(byte: u8) -> Kind {
        match byte {
            1 => Kind::Batch,
            3 => Kind::Rpc,
            4 => Kind::Answer,
            6 => Kind::Attention,
            7 => Kind::Bulk,
            14 => Kind::Transaction,
            16 => Kind::Login,
            18 => Kind::Prelogin,
            other => Kind::Other(other),
        }
    }
}

/// The number of 2.2.3.1.1, for messages.
impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = match self {
            Kind::Batch => 1,
            Kind::Rpc => 3,
            Kind::Answer => 4,
            Kind::Attention => 6,
            Kind::Bulk => 7,
            Kind::Transaction => 14,
            Kind::Login => 16,
            Kind::Prelogin => 18,
            Kind::Other(number) => *number,
        };
        write!(f, "{number}")
    }
}

/// Bits of the status byte (2.2.3.1.2).
pub const END_OF_MESSAGE: u8 = 0x01;
const IGNORE: u8 = 0x02;
const RESET: u8 = 0x08;
const RESET_KEEPING_TRANSACTION: u8 = 0x10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: Kind,
    pub status: u8,
    /// Of the whole packet.
    length: usize,
}

impl Header {
    fn read(bytes: &[u8; HEADER_BYTES]) -> Result<Header, ServerError> {
        let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
        if length < HEADER_BYTES {
            return Err(ServerError::Malformed { what: "a packet shorter than its header" });
        }
        Ok(Header { kind: Kind::of(bytes[0]), status: bytes[1], length })
    }

    pub fn is_last(&self) -> bool {
        self.status & END_OF_MESSAGE != 0
    }

    /// The client takes the message back that it has begun.
    pub fn is_ignored(&self) -> bool {
        self.status & IGNORE != 0
    }

    pub fn resets(&self) -> bool {
        self.status & (RESET | RESET_KEEPING_TRANSACTION) != 0
    }

    pub fn keeps_transaction(&self) -> bool {
        self.status & RESET_KEEPING_TRANSACTION != 0
    }
}

/// Received bytes, of at most one packet more than has been taken.
#[derive(Default)]
pub struct PacketReader {
    bytes: Vec<u8>,
    taken: usize,
}

impl PacketReader {
    /// Waits for a whole packet and answers its header; `None` when the client has closed between packets.
    pub async fn header<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
    ) -> Result<Option<Header>, ServerError> {
        loop {
            let waiting = &self.bytes[self.taken..];
            if let Some((head, _)) = waiting.split_first_chunk() {
                let header = Header::read(head)?;
                if waiting.len() >= header.length {
                    return Ok(Some(header));
                }
            }
            let had = waiting.len();
            self.make_room();
            if stream.read_buf(&mut self.bytes).await? == 0 {
                return if had == 0 { Ok(None) } else { Err(ServerError::Closed) };
            }
        }
    }

    fn make_room(&mut self) {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.reserve(HEADER_BYTES + usize::from(u16::MAX));
    }

    /// Takes the packet that [`PacketReader::header`] has announced.
    pub fn payload(&mut self, header: &Header) -> &[u8] {
        let start = self.taken + HEADER_BYTES;
        self.taken += header.length;
        &self.bytes[start..self.taken]
    }

    /// Whether bytes wait that no one has asked for yet.
    pub fn is_empty(&self) -> bool {
        self.taken == self.bytes.len()
    }

    /// Collects a whole message of at most `most` bytes; the first packet's header says its kind.
    pub async fn message<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        what: &'static str,
        most: usize,
    ) -> Result<Option<(Header, Vec<u8>)>, ServerError> {
        let mut body = Vec::new();
        let mut first: Option<Header> = None;
        loop {
            let Some(header) = self.header(stream).await? else {
                return if first.is_none() { Ok(None) } else { Err(ServerError::Closed) };
            };
            body.extend_from_slice(self.payload(&header));
            if body.len() > most {
                return Err(ServerError::TooLong { what, bytes: body.len(), most });
            }
            let kind = first.get_or_insert(header);
            if header.kind != kind.kind {
                return Err(ServerError::Malformed { what: "a message of packets of two kinds" });
            }
            if header.is_last() {
                return Ok(Some((*kind, body)));
            }
        }
    }
}

/// Cuts the bytes of an answer into packets.
pub struct Framer {
    packet_bytes: usize,
    kind: u8,
    number: u8,
    session: u16,
}

impl Framer {
    /// `packet_bytes` includes the header.
    pub fn new(packet_bytes: usize, session: u16) -> Framer {
        Framer { packet_bytes, kind: 4, number: 1, session }
    }

    /// For the TLS handshake, which travels in PRELOGIN packets.
    pub fn prelogin(packet_bytes: usize) -> Framer {
        Framer { kind: 18, ..Framer::new(packet_bytes, 0) }
    }

    /// Moves what fills whole packets out of `payload`; the rest stays, so that a last packet can follow.
    pub fn frame(&mut self, payload: &mut Vec<u8>, framed: &mut Vec<u8>) {
        let capacity = self.packet_bytes - HEADER_BYTES;
        let packets = payload.len().saturating_sub(1) / capacity;
        framed.reserve(packets * self.packet_bytes);
        for piece in payload.chunks_exact(capacity).take(packets) {
            self.put(piece, 0, framed);
        }
        payload.drain(..packets * capacity);
    }

    /// Moves everything out and ends the message.
    pub fn finish(&mut self, payload: &mut Vec<u8>, framed: &mut Vec<u8>) {
        self.frame(payload, framed);
        self.put(payload, END_OF_MESSAGE, framed);
        payload.clear();
        self.number = 1;
    }

    /// Moves everything out without an end: the client will wait for more.
    pub fn leave_open(&mut self, payload: &mut Vec<u8>, framed: &mut Vec<u8>) {
        self.frame(payload, framed);
        self.put(payload, 0, framed);
        payload.clear();
    }

    fn put(&mut self, piece: &[u8], status: u8, framed: &mut Vec<u8>) {
        let length = (piece.len() + HEADER_BYTES) as u16;
        framed.extend([self.kind, status]);
        framed.extend(length.to_be_bytes());
        framed.extend(self.session.to_be_bytes());
        framed.extend([self.number, 0]);
        framed.extend_from_slice(piece);
        self.number = self.number.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::{Framer, HEADER_BYTES, Kind, PacketReader};
    use crate::fault::ServerError;

    #[tokio::test]
    async fn what_is_framed_is_read_back_whatever_its_length() {
        for length in [0usize, 1, 503, 504, 505, 1_008, 5_000] {
            let body: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let (mut framed, mut payload) = (Vec::new(), body.clone());
            let mut framer = Framer::new(512, 7);
            framer.frame(&mut payload, &mut framed);
            framer.finish(&mut payload, &mut framed);
            let packets = length.max(1).div_ceil(512 - HEADER_BYTES);
            assert_eq!(framed.len(), length + packets * HEADER_BYTES, "{length} bytes");

            let mut stream = &framed[..];
            let mut reader = PacketReader::default();
            let read = reader.message(&mut stream, "answer", 1 << 20).await.expect("whole packets");
            let (header, back) = read.expect("a message");
            assert_eq!((header.kind, back), (Kind::Answer, body));
            assert!(reader.is_empty());
        }
    }

    #[tokio::test]
    async fn a_message_is_bounded_and_must_end() {
        let mut framed = Vec::new();
        Framer::new(512, 0).finish(&mut vec![0; 2_000], &mut framed);
        let too_long = PacketReader::default().message(&mut &framed[..], "batch", 1_000).await;
        assert!(matches!(too_long, Err(ServerError::TooLong { most: 1_000, .. })));
        let cut = PacketReader::default().message(&mut &framed[..900], "batch", 9_000).await;
        assert!(matches!(cut, Err(ServerError::Closed)));
        let mut short = &[1u8, 1, 0, 7, 0, 0, 0, 0][..];
        let short = PacketReader::default().message(&mut short, "batch", 9).await;
        assert!(matches!(short, Err(ServerError::Malformed { .. })));
    }
}
