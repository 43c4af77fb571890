//! Windows code page 1252, in which `char`, `varchar` and `text` of our collation travel.
//!
//! The five codes that 1252 leaves undefined map to the C1 controls of the same number, as every browser and
//! tiberius's decoder do, so that all 256 bytes round trip.

use crate::fault::ServerError;

/// 0x80 to 0x9F; everything else is its own code point.
const HIGH: [char; 32] = [
    '\u{20AC}', '\u{81}', '\u{201A}', '\u{192}', '\u{201E}', '\u{2026}', '\u{2020}', '\u{2021}',
    '\u{2C6}', '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{8D}', '\u{17D}', '\u{8F}',
    '\u{90}', '\u{2018}', '\u{2019}', '\u{201C}', '\u{201D}', '\u{2022}', '\u{2013}', '\u{2014}',
    '\u{2DC}', '\u{2122}', '\u{161}', '\u{203A}', '\u{153}', '\u{9D}', '\u{17E}', '\u{178}',
];

/// SQL_Latin1_General_CP1_CI_AS as TDS writes it: locale 0x0409, blind to case, kana and width, sort order 52.
pub const COLLATION: [u8; 5] = [0x09, 0x04, 0xD0, 0x00, 0x34];

/// How a client's `varchar` bytes are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Windows1252,
    Utf8,
}

impl Encoding {
    /// From a collation (2.2.5.1.2): 20 bits of locale, 8 of flags of which the seventh is UTF-8, version, sort order.
    pub fn of(collation: [u8; 5]) -> Result<Encoding, ServerError> {
        let info = u32::from_le_bytes([collation[0], collation[1], collation[2], collation[3]]);
        if info & 1 << 26 != 0 {
            return Ok(Encoding::Utf8);
        }
        match info & 0xF_FFFF {
            // 0 is "raw": clients send it where they leave the choice to the server.
            0 | 0x0409 => Ok(Encoding::Windows1252),
            locale => Err(ServerError::Unsupported {
                what: format!("varchar in the collation of locale 0x{locale:04X}"),
            }),
        }
    }

    pub fn decode(self, bytes: &[u8]) -> Result<String, ServerError> {
        match self {
            Encoding::Windows1252 => Ok(bytes.iter().map(|byte| character(*byte)).collect()),
            Encoding::Utf8 => String::from_utf8(bytes.to_vec())
                .map_err(|_| ServerError::Malformed { what: "varchar that is not UTF-8" }),
        }
    }
}

fn character(byte: u8) -> char {
    match byte {
        0x80..=0x9F => HIGH[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

/// Appends the text; what the code page lacks becomes `?`, as SQL Server stores it.
pub fn put_1252(buffer: &mut Vec<u8>, text: &str) {
    if text.is_ascii() {
        buffer.extend_from_slice(text.as_bytes());
        return;
    }
    buffer.extend(text.chars().map(|character| match u32::from(character) {
        code @ (0..=0x7F | 0xA0..=0xFF) => code as u8,
        _ => HIGH.iter().position(|high| *high == character).map_or(b'?', |at| 0x80 + at as u8),
    }));
}

#[cfg(test)]
mod tests {
    use super::{COLLATION, Encoding, put_1252};

    #[test]
    fn all_bytes_round_trip_and_strangers_become_question_marks() {
        let all: Vec<u8> = (0..=255).collect();
        let text = Encoding::Windows1252.decode(&all).expect("every byte has a character");
        let mut back = Vec::new();
        put_1252(&mut back, &text);
        assert_eq!(back, all);

        let mut bytes = Vec::new();
        put_1252(&mut bytes, "€5 für 日");
        assert_eq!(bytes, b"\x805 f\xFCr ?");
    }

    #[test]
    fn collations_name_their_encoding() {
        assert_eq!(Encoding::of(COLLATION).ok(), Some(Encoding::Windows1252));
        assert_eq!(Encoding::of([9, 4, 0xD0, 0x04, 0]).ok(), Some(Encoding::Utf8));
        assert!(Encoding::of([0x11, 4, 0, 0, 0]).is_err(), "Japanese was taken for Latin 1");
    }
}
