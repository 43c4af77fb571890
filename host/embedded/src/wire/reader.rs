//! A cursor over received bytes. Every read is checked; running out is [`ServerError::Truncated`].

use crate::fault::ServerError;

#[derive(Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0 }
    }

    /// How far it has read.
    pub fn position(&self) -> usize {
        self.at
    }

    pub fn is_empty(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8], ServerError> {
        let end = self.at.checked_add(count).ok_or(ServerError::Truncated)?;
        let taken = self.bytes.get(self.at..end).ok_or(ServerError::Truncated)?;
        self.at = end;
        Ok(taken)
    }

    pub fn rest(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at.min(self.bytes.len())..];
        self.at = self.bytes.len();
        rest
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], ServerError> {
        let taken = self.take(N)?;
        Ok(taken.try_into().expect("take gives exactly the bytes it was asked for"))
    }

    pub fn u8(&mut self) -> Result<u8, ServerError> {
        Ok(self.array::<1>()?[0])
    }

    pub fn u16(&mut self) -> Result<u16, ServerError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, ServerError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64, ServerError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub fn u16_be(&mut self) -> Result<u16, ServerError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    /// A text of so many UTF-16 units.
    pub fn utf16(&mut self, units: usize) -> Result<String, ServerError> {
        let count = units.checked_mul(2).ok_or(ServerError::Truncated)?;
        utf16(self.take(count)?)
    }

    /// B_VARCHAR: one byte of length in units.
    pub fn b_varchar(&mut self) -> Result<String, ServerError> {
        let units = usize::from(self.u8()?);
        self.utf16(units)
    }

    /// US_VARCHAR: two bytes of length in units.
    pub fn us_varchar(&mut self) -> Result<String, ServerError> {
        let units = usize::from(self.u16()?);
        self.utf16(units)
    }
}

/// Strict: a lone surrogate has no place in a `String`, and replacing it would change data.
pub fn utf16(bytes: &[u8]) -> Result<String, ServerError> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(ServerError::Malformed { what: "a UTF-16 text of an odd number of bytes" });
    }
    let mut text = String::with_capacity(pairs.len());
    for unit in char::decode_utf16(pairs.iter().map(|pair| u16::from_le_bytes(*pair))) {
        match unit {
            Ok(character) => text.push(character),
            Err(_) => {
                return Err(ServerError::Unsupported {
                    what: "text with half of a surrogate pair".to_string(),
                });
            }
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{Reader, utf16};
    use crate::fault::ServerError;

    #[test]
    fn reading_past_the_end_is_refused_and_moves_nothing() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert!(matches!(reader.u32(), Err(ServerError::Truncated)));
        assert!(matches!(reader.take(usize::MAX), Err(ServerError::Truncated)));
        assert!(matches!(reader.utf16(usize::MAX), Err(ServerError::Truncated)));
        assert_eq!(reader.u16().ok(), Some(0x0201));
        assert_eq!(reader.rest(), &[3]);
        assert!(reader.is_empty());
    }

    #[test]
    fn text_is_strict() {
        assert_eq!(utf16(&[0x3D, 0xD8, 0x00, 0xDE]).ok().as_deref(), Some("\u{1F600}"));
        assert!(utf16(&[0x3D, 0xD8]).is_err());
        assert!(utf16(&[0x41]).is_err());
    }
}
