//! The register's own key (Ed25519, RFC 8032), and signatures by it.
//!
//! * The private key is one line of hexadecimal digits in a file that only its owner may read; made at first use.
//! * What is signed begins with a word for its purpose: a signature of a sale is none of a manifest.

use super::fault::SnapshotError;
use super::place;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use std::path::Path;
use tillhold_core::text;
use tillhold_env::Env;

const KEY_BYTES: usize = 32;

pub struct Signer {
    pair: Ed25519KeyPair,
}

impl Signer {
    /// The key of the file, made when there is none.
    pub fn open(env: &Env, file: &Path) -> Result<Signer, SnapshotError> {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => make(env, file)?,
            Err(error) => return Err(SnapshotError::file(file, error)),
        };
        let wrong = || SnapshotError::Key { file: file.to_path_buf() };
        let seed = bytes(text.trim()).filter(|seed| seed.len() == KEY_BYTES).ok_or_else(wrong)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| wrong())?;
        Ok(Signer { pair })
    }

    /// Public, in hexadecimal.
    pub fn key(&self) -> String {
        text::hexadecimal(self.pair.public_key().as_ref()).to_ascii_lowercase()
    }

    pub fn sign(&self, purpose: &str, message: &[u8]) -> String {
        let signature = self.pair.sign(&signed(purpose, message));
        text::hexadecimal(signature.as_ref()).to_ascii_lowercase()
    }
}

/// Whether `signature` is that of the owner of `key`.
pub fn is_signed(key: &str, purpose: &str, message: &[u8], signature: &str) -> bool {
    let (Some(key), Some(signature)) = (bytes(key), bytes(signature)) else { return false };
    UnparsedPublicKey::new(&ED25519, key).verify(&signed(purpose, message), &signature).is_ok()
}

fn signed(purpose: &str, message: &[u8]) -> Vec<u8> {
    [purpose.as_bytes(), b"\n", message].concat()
}

fn make(env: &Env, file: &Path) -> Result<String, SnapshotError> {
    let mut seed = [0; KEY_BYTES];
    env.random.fill(&mut seed);
    let text = text::hexadecimal(&seed).to_ascii_lowercase();
    place::write_secret(file, text.as_bytes())?;
    Ok(text)
}

/// Hexadecimal digits as bytes.
pub fn bytes(digits: &str) -> Option<Vec<u8>> {
    text::parse_hexadecimal(digits)
}
