//! A core module becomes a component, in this process: no tool to install.

use crate::error::ToolchainError;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;
use wit_component::ComponentEncoder;

/// wit-bindgen puts the contract into a custom section of this name.
const CONTRACT_SECTION: &[u8] = b"component-type";

pub(crate) fn encode(package: &str, core: &[u8]) -> Result<Vec<u8>, ToolchainError> {
    if !contains(core, CONTRACT_SECTION) {
        return Err(ToolchainError::NoContract { package: package.to_owned() });
    }
    let encoded = ComponentEncoder::default()
        .validate(true)
        .module(core)
        .and_then(|encoder| encoder.encode());
    encoded.map_err(|error| ToolchainError::Component {
        package: package.to_owned(),
        reason: format!("{error:#}"),
    })
}

/// Written aside and renamed; the folder is made if it is not there. Readable as any file that this person makes:
/// the agent that loads it may run as somebody else.
pub(crate) fn write(path: &Path, component: &[u8]) -> Result<(), ToolchainError> {
    let folder = path.parent().expect("a component's path names a file in a folder");
    fs::create_dir_all(folder).map_err(ToolchainError::io("make", folder))?;
    let aside = path.with_extension(format!("{}.part", std::process::id()));
    fs::write(&aside, component).map_err(ToolchainError::io("write", &aside))?;
    fs::rename(&aside, path).map_err(ToolchainError::io("rename to", path))
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
