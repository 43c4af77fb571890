//! Compiled code on disk: kept, found, and never loaded when it is not ours.

use super::shop::{Shop, component, source};
use crate::{PluginHost, PluginLimits, Stored};
use std::fs;
use std::path::{Path, PathBuf};
use tillhold_env::Env;

fn host(folder: &Path) -> PluginHost {
    PluginHost::new(&Env::real(), folder, PluginLimits::default()).expect("a host")
}

fn stored(folder: &Path) -> Stored {
    let plugin = host(folder).load(&source(component("hostile"), "")).expect("it loads");
    plugin.stored().clone()
}

fn compiled_file(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("a file").path());
    let mut compiled = files.filter(|path| path.extension().is_some_and(|e| e == "cwasm"));
    let file = compiled.next().expect("one compiled file");
    assert_eq!(compiled.next(), None, "one component, one file");
    file
}

#[test]
fn a_component_is_compiled_once() {
    let shop = Shop::new();
    let folder = shop.folder.path().join("once");
    assert_eq!([stored(&folder), stored(&folder)], [Stored::Kept, Stored::Found]);
}

#[test]
fn code_that_is_not_ours_is_compiled_anew() {
    let shop = Shop::new();
    let folder = shop.folder.path().join("forged");
    assert_eq!(stored(&folder), Stored::Kept);
    let file = compiled_file(&folder);
    let honest = fs::read(&file).expect("the compiled file");
    let flipped = |at: usize| {
        let mut bytes = honest.clone();
        bytes[at] ^= 1;
        bytes
    };
    let forgeries = [
        ("another MAC", flipped(0)),
        ("another first byte", flipped(32)),
        ("another last byte", flipped(honest.len() - 1)),
        ("cut short", honest[..honest.len() / 2].to_vec()),
        ("without a MAC", honest[32..].to_vec()),
        ("a MAC only", honest[..32].to_vec()),
        ("empty", vec![]),
    ];
    for (what, forged) in forgeries {
        fs::write(&file, forged).expect("the forger may write");
        assert_eq!(stored(&folder), Stored::Kept, "{what} was taken");
        assert_eq!(stored(&folder), Stored::Found, "{what} was not mended");
    }
}

#[test]
fn code_of_one_component_does_not_pass_for_another() {
    let shop = Shop::new();
    let folder = shop.folder.path().join("swapped");
    assert_eq!(stored(&folder), Stored::Kept);
    let victim = compiled_file(&folder);
    fs::remove_file(&victim).expect("the swapper may remove");
    let other = host(&folder).load(&source(component("customer-merge"), "")).expect("it loads");
    assert_eq!(*other.stored(), Stored::Kept);
    fs::rename(compiled_file(&folder), &victim).expect("the swapper may rename");
    assert_eq!(stored(&folder), Stored::Kept, "another component's code was taken");
}

#[test]
fn another_key_makes_old_code_worthless() {
    let shop = Shop::new();
    let folder = shop.folder.path().join("key");
    assert_eq!(stored(&folder), Stored::Kept);
    fs::write(folder.join("cache.key"), b"short").expect("the key's file");
    assert_eq!([stored(&folder), stored(&folder)], [Stored::Kept, Stored::Found]);
}

#[cfg(unix)]
#[test]
fn only_the_agents_account_can_read_the_key() {
    use std::os::unix::fs::PermissionsExt;
    let shop = Shop::new();
    let folder = shop.folder.path().join("rights");
    assert_eq!(stored(&folder), Stored::Kept);
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join("cache.key"))), (0o700, 0o600));
    // A key that others could read is worth nothing: theirs could be the code.
    let open = fs::Permissions::from_mode(0o644);
    fs::set_permissions(folder.join("cache.key"), open).expect("rights");
    assert_eq!(stored(&folder), Stored::Kept);
    assert_eq!(mode(&folder.join("cache.key")), 0o600);
}

#[test]
fn a_folder_that_cannot_be_used_is_told() {
    let shop = Shop::new();
    let file = shop.folder.path().join("file");
    fs::write(&file, b"not a folder").expect("a file");
    let error = super::shop::refused(PluginHost::new(&Env::real(), &file, PluginLimits::default()));
    assert_eq!(error.code(), "plugin-cache");
    assert!(error.to_string().contains("file"), "{error}");
}
