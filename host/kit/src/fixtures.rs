//! What the tests share: plugins of the repository, built once a run, and the sandbox.

use crate::sandbox::{Component, Sandbox};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use tillhold_core::moment::Timestamp;
use tillhold_env::{Env, Locked as _};
use tillhold_plugin::{BatchContext, Flow};
use tillhold_toolchain::{GuestSource, cache_folder, find};

pub fn sandbox() -> Sandbox {
    Sandbox::open(&Env::real()).expect("the sandbox")
}

/// On the way down to a register of store S0001.
pub fn context() -> BatchContext {
    BatchContext {
        flow: Flow::Pull,
        scope: "test".to_string(),
        store: "S0001".to_string(),
        register: "000001".to_string(),
        time: Timestamp(0),
    }
}

/// A guest of this repository.
pub fn component(package: &str) -> Component {
    static BUILT: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::new(BTreeMap::new());
    // A failed build of one test must not look like a poisoned lock to the next.
    let mut built = BUILT.locked();
    let wasm = built.entry(package.to_string()).or_insert_with(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let toolchain = find(&cache_folder().expect("a cache folder"), &mut |_| {});
        let guest = GuestSource::new(root.join("guest").join(package), package);
        // Where the host's own tests build them too.
        let test = std::env::current_exe().expect("a test knows its own file");
        let target = test.ancestors().nth(3).expect("target/PROFILE/deps/TEST").join("guests");
        let built = toolchain.expect("a compiler for guests").build(&guest, &target, &mut |_| {});
        built.expect("a guest").component
    });
    let signature = tillhold_plugin::Beside::Nothing;
    Component { name: package.to_string(), wasm: wasm.clone(), signature }
}
