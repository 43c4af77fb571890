//! LOGIN7 (2.2.6.4).

use super::reader::{Reader, utf16};
use crate::fault::ServerError;

/// TDS versions that this server speaks, as a client writes them.
pub const TDS_7_4: u32 = 0x7400_0004;
const TDS_7_3: [u32; 2] = [0x730B_0003, 0x730A_0003];

const FEDERATED_AUTHENTICATION: u8 = 2;
const FIXED_BYTES: usize = 36;

#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub tds_version: u32,
    /// As asked for: 0 leaves it to the server.
    pub packet_bytes: u32,
    pub user: String,
    pub password: String,
    pub application: String,
    pub database: String,
    pub host: String,
    /// Numbers of the features that the client offers; none is taken up.
    pub features: Vec<u8>,
}

/// Without the password.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login of {} from {} to {:?}", self.user, self.host, self.database)
    }
}

impl Login {
    pub fn read(bytes: &[u8]) -> Result<Login, ServerError> {
        let mut fixed = Reader::new(bytes);
        if fixed.u32()? as usize != bytes.len() {
            return Err(ServerError::Malformed { what: "a login of another length than it says" });
        }
        let tds_version = fixed.u32()?;
        let packet_bytes = fixed.u32()?;
        let _version_process_connection = fixed.take(12)?;
        let [_flags_1, flags_2, _type_flags, flags_3] = fixed.array()?;
        refuse_strangers(tds_version, flags_2, flags_3)?;
        let mut table = Reader::new(bytes.get(FIXED_BYTES..).ok_or(ServerError::Truncated)?);
        let mut text = |bytes: &[u8]| {
            let (start, units) = (usize::from(table.u16()?), usize::from(table.u16()?));
            slice(bytes, start, units * 2).map(<[u8]>::to_vec)
        };
        let host = utf16(&text(bytes)?)?;
        let user = utf16(&text(bytes)?)?;
        let password = utf16(&revealed(&text(bytes)?))?;
        let application = utf16(&text(bytes)?)?;
        let _server = text(bytes)?;
        let (extension, extension_bytes) = (table.u16()?, table.u16()?);
        let mut text = |bytes: &[u8]| {
            let (start, units) = (usize::from(table.u16()?), usize::from(table.u16()?));
            slice(bytes, start, units * 2).map(<[u8]>::to_vec)
        };
        let (_library, _language) = (text(bytes)?, text(bytes)?);
        let database = utf16(&text(bytes)?)?;
        let has_features = flags_3 & 0x10 != 0 && extension_bytes >= 4;
        let features =
            if has_features { features(bytes, usize::from(extension))? } else { Vec::new() };
        Ok(Login {
            tds_version,
            packet_bytes,
            user,
            password,
            application,
            database,
            host,
            features,
        })
    }
}

fn refuse_strangers(tds_version: u32, flags_2: u8, flags_3: u8) -> Result<(), ServerError> {
    let what = if tds_version != TDS_7_4 && !TDS_7_3.contains(&tds_version) {
        format!("TDS version 0x{tds_version:08X}: speak 7.3 or 7.4")
    } else if flags_2 & 0x80 != 0 {
        "integrated (Windows) authentication: give a user name and password".to_string()
    } else if flags_3 & 0x01 != 0 {
        "changing the password at login".to_string()
    } else {
        return Ok(());
    };
    Err(ServerError::Unsupported { what })
}

fn slice(bytes: &[u8], start: usize, length: usize) -> Result<&[u8], ServerError> {
    bytes.get(start..start + length).ok_or(ServerError::Truncated)
}

/// Passwords travel with their nibbles swapped after an XOR: no secret, only not plain.
fn revealed(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| (byte ^ 0xA5).rotate_left(4)).collect()
}

/// The features' list stands where an offset at `extension` points.
fn features(bytes: &[u8], extension: usize) -> Result<Vec<u8>, ServerError> {
    let start = Reader::new(slice(bytes, extension, 4)?).u32()? as usize;
    let mut list = Reader::new(bytes.get(start..).ok_or(ServerError::Truncated)?);
    let mut features = Vec::new();
    loop {
        match list.u8()? {
            0xFF => return Ok(features),
            FEDERATED_AUTHENTICATION => {
                return Err(ServerError::Unsupported {
                    what: "federated authentication: give a user name and password".to_string(),
                });
            }
            feature => features.push(feature),
        }
        let length = list.u32()? as usize;
        let _content = list.take(length)?;
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Login, TDS_7_4};

    /// A login as a client would send it.
    pub(crate) fn sample(tds_version: u32, flags_2: u8, features: &[u8]) -> Vec<u8> {
        let hidden: Vec<u16> =
            "right".encode_utf16().map(|u| u16::from_le_bytes(hide(u.to_le_bytes()))).collect();
        let texts: [Vec<u16>; 4] = [utf16("till"), utf16("sa"), hidden, utf16("tests")];
        let mut table = Vec::new();
        let mut data: Vec<u8> = Vec::new();
        let mut put = |text: &[u16]| {
            let at = 94 + data.len();
            data.extend(text.iter().flat_map(|unit| unit.to_le_bytes()));
            [(at as u16).to_le_bytes(), (text.len() as u16).to_le_bytes()].concat()
        };
        for text in &texts {
            table.extend(put(text));
        }
        table.extend(put(&utf16("server")));
        let extension = table.len();
        table.extend([0; 4]);
        table.extend(put(&utf16("library")));
        table.extend(put(&[]));
        table.extend(put(&utf16("Channel")));
        table.resize(94 - 36, 0);
        let at = 94 + data.len();
        table[extension..extension + 4].copy_from_slice(&[at as u8, (at >> 8) as u8, 4, 0]);
        data.extend((at as u32 + 4).to_le_bytes());
        data.extend_from_slice(features);
        let mut bytes = ((94 + data.len()) as u32).to_le_bytes().to_vec();
        bytes.extend(tds_version.to_le_bytes());
        bytes.extend(8_000u32.to_le_bytes());
        bytes.extend([0; 12]);
        bytes.extend([0, flags_2, 0, 0x10]);
        bytes.extend([0; 8]);
        bytes.extend(table);
        bytes.extend(data);
        bytes
    }

    fn utf16(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    fn hide(bytes: [u8; 2]) -> [u8; 2] {
        bytes.map(|byte| byte.rotate_left(4) ^ 0xA5)
    }

    #[test]
    fn a_login_is_read() {
        let bytes = sample(TDS_7_4, 0, &[1, 1, 0, 0, 0, 9, 0x0A, 0, 0, 0, 0, 0xFF]);
        let login = Login::read(&bytes).expect("a login");
        assert_eq!(login.user, "sa");
        assert_eq!(login.password, "right");
        assert_eq!(login.database, "Channel");
        assert_eq!(login.application, "tests");
        assert_eq!(login.packet_bytes, 8_000);
        assert_eq!(login.features, [1, 0x0A]);
        assert!(!format!("{login:?}").contains("right"), "a password was shown");
    }

    #[test]
    fn strangers_are_refused_by_name() {
        for (bytes, name) in [
            (sample(0x7100_0001, 0, &[0xFF]), "TDS version 0x71000001"),
            (sample(TDS_7_4, 0x80, &[0xFF]), "integrated"),
            (sample(TDS_7_4, 0, &[2, 0, 0, 0, 0, 0xFF]), "federated"),
        ] {
            let refusal = Login::read(&bytes).expect_err("a stranger").to_string();
            assert!(refusal.contains(name), "{refusal}");
        }
    }
}
