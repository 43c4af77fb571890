//! PRELOGIN (2.2.6.5): versions are told, encryption is agreed upon, MARS is refused.

use super::reader::Reader;
use crate::fault::ServerError;

const VERSION: u8 = 0;
const ENCRYPTION: u8 = 1;
const INSTANCE: u8 = 2;
const THREAD: u8 = 3;
const MARS: u8 = 4;
const FEDERATED: u8 = 6;
const TERMINATOR: u8 = 0xFF;

/// SQL Server 2019's major version: the grammar that the engine follows. The build number is our own: 0.
pub const SERVER_VERSION: [u8; 6] = [15, 0, 0, 0, 0, 0];

/// What a client wishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Encrypt the login only.
    Off,
    /// Encrypt everything.
    On,
    /// The client cannot.
    NotSupported,
}

/// What is agreed upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    LoginOnly,
    Everything,
    Nothing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prelogin {
    pub wish: Wish,
    /// The named instance that the client believes to be talking to; empty when it does not care.
    pub instance: String,
    pub federated: bool,
}

impl Prelogin {
    pub fn read(bytes: &[u8]) -> Result<Prelogin, ServerError> {
        let mut prelogin = Prelogin { wish: Wish::Off, instance: String::new(), federated: false };
        let mut options = Reader::new(bytes);
        loop {
            let option = options.u8()?;
            if option == TERMINATOR {
                return Ok(prelogin);
            }
            let (start, length) = (usize::from(options.u16_be()?), usize::from(options.u16_be()?));
            let content = bytes.get(start..start + length).ok_or(ServerError::Truncated)?;
            match (option, content.first()) {
                (ENCRYPTION, Some(byte)) => prelogin.wish = wish(*byte)?,
                (INSTANCE, Some(_)) => prelogin.instance = instance(content),
                (FEDERATED, Some(byte)) => prelogin.federated = *byte != 0,
                _ => {}
            }
        }
    }

    /// What comes of the wish, given whether this server has a certificate.
    pub fn agree(&self, has_certificate: bool) -> Encryption {
        match (has_certificate, self.wish) {
            (false, _) | (_, Wish::NotSupported) => Encryption::Nothing,
            (true, Wish::Off) => Encryption::LoginOnly,
            (true, Wish::On) => Encryption::Everything,
        }
    }
}

fn wish(byte: u8) -> Result<Wish, ServerError> {
    match byte {
        0 => Ok(Wish::Off),
        // "Required" is a server's word, but tiberius says it for a client that would not do without.
        1 | 3 => Ok(Wish::On),
        2 => Ok(Wish::NotSupported),
        _ => Err(ServerError::Unsupported { what: format!("encryption option 0x{byte:02X}") }),
    }
}

fn instance(content: &[u8]) -> String {
    let end = content.iter().position(|byte| *byte == 0).unwrap_or(content.len());
    String::from_utf8_lossy(&content[..end]).into_owned()
}

/// The answer's bytes. `instance_is_ours`: whether the client's named instance is this server.
pub fn answer(agreed: Encryption, instance_is_ours: bool, federated: bool) -> Vec<u8> {
    let encryption = match agreed {
        Encryption::LoginOnly => 0,
        Encryption::Everything => 1,
        Encryption::Nothing => 2,
    };
    let mut options: Vec<(u8, &[u8])> = vec![(VERSION, &SERVER_VERSION)];
    let encryption = [encryption];
    let instance = [u8::from(!instance_is_ours)];
    options.push((ENCRYPTION, &encryption));
    options.push((INSTANCE, &instance));
    options.push((THREAD, &[]));
    options.push((MARS, &[0]));
    if federated {
        options.push((FEDERATED, &[0]));
    }
    let mut at = options.len() * 5 + 1;
    let (mut table, mut contents) = (Vec::new(), Vec::new());
    for (option, content) in options {
        table.push(option);
        table.extend((at as u16).to_be_bytes());
        table.extend((content.len() as u16).to_be_bytes());
        contents.extend_from_slice(content);
        at += content.len();
    }
    table.push(TERMINATOR);
    table.append(&mut contents);
    table
}

#[cfg(test)]
mod tests {
    use super::{Encryption, Prelogin, Wish, answer};

    #[test]
    fn encryption_is_agreed_as_the_specification_says() {
        for (byte, certificate, agreed) in [
            (0, true, Encryption::LoginOnly),
            (1, true, Encryption::Everything),
            (3, true, Encryption::Everything),
            (2, true, Encryption::Nothing),
            (1, false, Encryption::Nothing),
        ] {
            let bytes = [1, 0, 6, 0, 1, 0xFF, byte];
            let prelogin = Prelogin::read(&bytes).expect("a prelogin");
            assert_eq!(prelogin.agree(certificate), agreed, "wish {byte}, {certificate}");
        }
    }

    #[test]
    fn an_answer_reads_as_a_prelogin() {
        let bytes = answer(Encryption::Everything, true, true);
        let read = Prelogin::read(&bytes).expect("our own answer");
        assert_eq!(read, Prelogin { wish: Wish::On, instance: String::new(), federated: false });
        for end in 0..bytes.len() {
            let _ = Prelogin::read(&bytes[..end]);
        }
    }
}
