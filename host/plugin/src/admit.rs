//! What is checked of a component without running it.
//!
//! * Compiled machine code, core modules and text are refused: only a component's binary form can be checked.
//! * Imports: `tillhold:plugin/log` of a version that this host speaks, or nothing. (`tillhold:plugin/types` names types, it gives nothing.)
//! * Exports: `tillhold:plugin/transform`, `…/resolve` or both, in a version that this host speaks. Others are left
//!   alone: some kits add their own.

use crate::answer::plain;
use crate::contract::{self, Contract};
use crate::error::{PluginError, PluginId};
use std::sync::Arc;
use tillhold_core::limits::PLUGIN_LOG_LINE_BYTES_MAX;
use wasmtime::Engine;
use wasmtime::component::{Component, ComponentExportIndex};

const PACKAGE: &str = "tillhold:plugin/";

/// The functions that a component exports, as positions that make calling cheap.
#[derive(Clone)]
pub(crate) struct Exports {
    pub transform: Option<Exported>,
    pub resolve: Option<Exported>,
}

#[derive(Clone)]
pub(crate) struct Exported {
    pub interface: String,
    /// By which it is called.
    pub contract: Contract,
    pub describe: ComponentExportIndex,
    pub act: ComponentExportIndex,
}

/// Tells by the first bytes what was handed in instead of a component.
pub(crate) fn bytes(plugin: &Arc<PluginId>, wasm: &[u8]) -> Result<(), PluginError> {
    if Engine::detect_precompiled(wasm).is_some() {
        return Err(PluginError::Precompiled { plugin: plugin.clone() });
    }
    let reason = match wasm {
        // The layer field of the preamble: 0 for a core module, 1 for a component (Component Model, Binary.md).
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => return Ok(()),
        [0, b'a', b's', b'm', ..] => "it is a core module, one step short of a component",
        [b'(', ..] => "it is in the text form",
        [] => "the file is empty",
        _ => "it does not begin as WebAssembly does",
    };
    Err(PluginError::NotAComponent { plugin: plugin.clone(), reason: reason.to_string() })
}

/// What the component imports; every import that it must not have is told at once.
pub(crate) fn imports(
    plugin: &Arc<PluginId>,
    engine: &Engine,
    component: &Component,
) -> Result<Vec<String>, PluginError> {
    let (mut imports, mut foreign) = (Vec::new(), Vec::new());
    for (name, _) in component.component_type().imports(engine) {
        let (interface, version) = split(name);
        match interface.strip_prefix(PACKAGE) {
            Some("log" | "types") if Contract::of(version).is_some() => {
                imports.push(name.to_string())
            }
            Some("log" | "types") => return Err(other_version(plugin, version)),
            _ => foreign.push(name.to_string()),
        }
    }
    match foreign.is_empty() {
        true => Ok(imports),
        false => Err(PluginError::ForeignImport { plugin: plugin.clone(), imports: foreign }),
    }
}

pub(crate) fn exports(
    plugin: &Arc<PluginId>,
    engine: &Engine,
    component: &Component,
) -> Result<Exports, PluginError> {
    let mut exports = Exports { transform: None, resolve: None };
    let mut found = Vec::new();
    for (name, _) in component.component_type().exports(engine) {
        let (interface, version) = split(name);
        let role = match interface.strip_prefix(PACKAGE) {
            Some("transform") => "transform",
            Some("resolve") => "resolve",
            _ => {
                found.push(name.to_string());
                continue;
            }
        };
        let Some(contract) = Contract::of(version) else {
            return Err(other_version(plugin, version));
        };
        let exported = exported(plugin, component, (name, contract), role)?;
        match role {
            "transform" => exports.transform = Some(exported),
            _ => exports.resolve = Some(exported),
        }
    }
    if exports.transform.is_none() && exports.resolve.is_none() {
        return Err(PluginError::OtherWorld { plugin: plugin.clone(), found });
    }
    Ok(exports)
}

fn exported(
    plugin: &Arc<PluginId>,
    component: &Component,
    (interface, contract): (&str, Contract),
    role: &str,
) -> Result<Exported, PluginError> {
    let find = |function: &str| {
        let instance = component.get_export_index(None, interface)?;
        component.get_export_index(Some(&instance), function)
    };
    match (find("describe"), find(role)) {
        (Some(describe), Some(act)) => {
            Ok(Exported { interface: interface.to_string(), contract, describe, act })
        }
        _ => Err(PluginError::OtherShape {
            plugin: plugin.clone(),
            interface: interface.to_string(),
            reason: format!("it lacks describe or {role}"),
        }),
    }
}

fn split(name: &str) -> (&str, Option<&str>) {
    match name.split_once('@') {
        Some((interface, version)) => (interface, Some(version)),
        None => (name, None),
    }
}

fn other_version(plugin: &Arc<PluginId>, found: Option<&str>) -> PluginError {
    let found = plain(found.unwrap_or("(none)"), PLUGIN_LOG_LINE_BYTES_MAX);
    PluginError::OtherVersion { plugin: plugin.clone(), found, ours: contract::spoken() }
}
