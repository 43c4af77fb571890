//! Whether somebody whom the operator trusts signed a component: `NAME.wasm.minisig` beside it, as minisign writes it.
//!
//! * Only signatures of the component's hash are taken (minisign's own default); its older kind is not.
//! * Where no key is trusted nothing is asked. A trusted key that cannot be read is worth nothing, and trusts nobody.

use crate::error::{PluginError, PluginId};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minisign_verify::{Error, PublicKey, Signature};
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tillhold_core::limits::PLUGIN_SIGNATURE_BYTES_MAX;
use tillhold_core::text::hexadecimal;

const ENDING: &str = ".minisig";
/// So many letters of Base64 hold the algorithm (two bytes), the key's number (eight) and two more bytes.
const LETTERS_WITH_NUMBER: usize = 16;

/// Where a component's signature lies.
pub fn signature_file(component: &Path) -> PathBuf {
    let mut name = OsString::from(component);
    name.push(ENDING);
    PathBuf::from(name)
}

/// The number of a public key, as minisign tells it; `None` for what is no public key of minisign.
pub fn key_number(key: &str) -> Option<String> {
    PublicKey::from_base64(key).ok()?;
    number(key)
}

/// What lies beside a component as its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beside {
    Nothing,
    Text(String),
    /// Something, but no text that could be one: why.
    Unreadable(String),
}

impl Beside {
    pub fn of(component: &Path) -> Beside {
        let path = signature_file(component);
        let length = match fs::metadata(&path) {
            Ok(about) => about.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Beside::Nothing,
            Err(error) => return Beside::Unreadable(error.to_string()),
        };
        if length > PLUGIN_SIGNATURE_BYTES_MAX {
            return Beside::Unreadable(format!("it has {length} bytes, a signature less than 400"));
        }
        match fs::read_to_string(&path) {
            Ok(text) => Beside::Text(text),
            Err(error) => Beside::Unreadable(error.to_string()),
        }
    }
}

/// Who signed: the number of the one among `keys` whose signature it is. `keys` are not empty.
pub(crate) fn signer(
    plugin: &Arc<PluginId>,
    wasm: &[u8],
    beside: &Beside,
    keys: &[String],
) -> Result<String, PluginError> {
    let plugin = plugin.clone();
    let text = match beside {
        Beside::Nothing => return Err(PluginError::Unsigned { plugin }),
        Beside::Unreadable(reason) => return Err(unreadable(&plugin, reason.clone())),
        Beside::Text(text) => text,
    };
    let no_signature = || unreadable(&plugin, "it is no signature of minisign".to_string());
    let signature = Signature::decode(text).map_err(|_| no_signature())?;
    let by = text.lines().nth(1).and_then(number).ok_or_else(no_signature)?;
    let mut fits = false;
    for key in keys.iter().filter_map(|key| PublicKey::from_base64(key).ok()) {
        match key.verify(wasm, &signature, false) {
            Ok(()) => return Ok(by),
            Err(Error::UnexpectedKeyId) => {}
            Err(Error::UnexpectedAlgorithm) => {
                let what = "it is of minisign's older kind, which signs no hash";
                return Err(unreadable(&plugin, what.to_string()));
            }
            Err(_) => fits = true,
        }
    }
    if fits {
        return Err(PluginError::SignatureWrong { plugin, by });
    }
    let trusted = keys.iter().filter_map(|key| key_number(key)).collect();
    Err(PluginError::SignerUnknown { plugin, by, trusted })
}

fn unreadable(plugin: &Arc<PluginId>, reason: String) -> PluginError {
    PluginError::SignatureUnreadable { plugin: plugin.clone(), reason }
}

/// The eight bytes behind the algorithm, the last first, as minisign prints them.
fn number(base64: &str) -> Option<String> {
    let bytes = STANDARD.decode(base64.get(..LETTERS_WITH_NUMBER)?).ok()?;
    let number: Vec<u8> = bytes.get(2..10)?.iter().rev().copied().collect();
    Some(hexadecimal(&number))
}
