//! Signatures that minisign itself wrote, taken and refused: tests/data/signatures.

use super::shop::{Shop, refused, repository, source};
use crate::{ComponentSource, PluginError, PluginSource, key_number, signature_file};
use std::fs;
use std::path::PathBuf;

const FIRST: &str = "DC665BC846C27C53";
const SECOND: &str = "ADF6CF666B561D77";

fn data(name: &str) -> String {
    let path = repository().join("tests/data/signatures").join(name);
    fs::read_to_string(path).expect("a file of minisign")
}

fn key(name: &str) -> String {
    data(name).lines().nth(1).expect("a public key").to_string()
}

fn released() -> Vec<u8> {
    let path = repository().join("tests/data/contract-0.1.0/released.wasm");
    fs::read(path).expect("the released component")
}

/// The component with a custom section that says nothing: it would load and work.
fn tampered() -> Vec<u8> {
    [&released()[..], &[0, 5, 4, b'e', b'v', b'i', b'l']].concat()
}

/// A component in a file, with what lies beside it.
struct Laid {
    shop: Shop,
    file: PathBuf,
}

impl Laid {
    fn out(wasm: &[u8], signature: Option<&[u8]>) -> Laid {
        let shop = Shop::new();
        let file = shop.folder.path().join("tested.wasm");
        fs::write(&file, wasm).expect("a component");
        if let Some(signature) = signature {
            fs::write(signature_file(&file), signature).expect("a signature");
        }
        Laid { shop, file }
    }

    /// Who signed it.
    fn load(&self, keys: &[String]) -> Result<Option<String>, PluginError> {
        let component = ComponentSource::File(self.file.clone());
        let source = PluginSource { component, keys: keys.to_vec(), ..source(vec![], "mirror") };
        self.shop.host.load(&source).map(|plugin| plugin.signed_by().map(str::to_string))
    }

    #[track_caller]
    fn refuses(&self, keys: &[String], code: &str, said: &[&str]) {
        let error = refused(self.load(keys));
        let text = format!("{error}; {}", error.hint().expect("what to do"));
        assert_eq!(error.code(), code, "{text}");
        assert!(error.plugin().is_some(), "the digest is told");
        said.iter().for_each(|part| assert!(text.contains(part), "no {part}: {text}"));
    }
}

#[test]
fn a_component_is_taken_by_the_signature_of_any_trusted_key_and_its_signer_is_known() {
    let (first, second) = (key("first.pub"), key("second.pub"));
    let (one, other) = (data("first.minisig"), data("second.minisig"));
    let by_first = Laid::out(&released(), Some(one.as_bytes()));
    let both = [second.clone(), first.clone()];
    assert_eq!(by_first.load(&both).expect("signed"), Some(FIRST.to_string()));
    fs::write(signature_file(&by_first.file), &other).expect("another signature");
    assert_eq!(by_first.load(&both).expect("signed"), Some(SECOND.to_string()));
    // Nobody is asked, nobody is named: what lies there is not looked at.
    assert_eq!(by_first.load(&[]).expect("no key is trusted"), None);
    let unsigned = Laid::out(&released(), None);
    assert_eq!(unsigned.load(&[]).expect("no key is trusted"), None);
    // Windows' ends of lines, as a share or an editor may leave them.
    let windows = Laid::out(&released(), Some(one.replace('\n', "\r\n").as_bytes()));
    assert_eq!(windows.load(&[first]).expect("signed"), Some(FIRST.to_string()));
}

#[test]
fn everything_else_is_refused_with_a_code_of_its_own() {
    let (first, second) = (vec![key("first.pub")], vec![key("second.pub")]);
    let signature = data("first.minisig");
    Laid::out(&released(), None).refuses(&first, "plugin-unsigned", &["tested.wasm.minisig"]);
    let signed = Laid::out(&released(), Some(signature.as_bytes()));
    signed.refuses(&second, "plugin-signer-unknown", &[FIRST, SECOND]);
    let changed = Laid::out(&tampered(), Some(signature.as_bytes()));
    changed.refuses(&first, "plugin-signature-wrong", &[FIRST]);
    // What minisign says beside the signature is signed too.
    let dated = signature.replace("timestamp:1", "timestamp:2");
    let dated = Laid::out(&released(), Some(dated.as_bytes()));
    dated.refuses(&first, "plugin-signature-wrong", &[FIRST]);
    let legacy = Laid::out(&released(), Some(data("legacy.minisig").as_bytes()));
    legacy.refuses(&first, "plugin-signature-unreadable", &["older kind"]);
    let (long, cut) = (signature.repeat(20), &signature[..signature.len() - 20]);
    for (what, said) in [
        (&b""[..], "no signature"),
        (&b"\xff\xfe"[..], "UTF-8"),
        (cut.as_bytes(), "no signature"),
        (long.as_bytes(), "bytes"),
    ] {
        let laid = Laid::out(&released(), Some(what));
        laid.refuses(&first, "plugin-signature-unreadable", &[said]);
    }
}

/// The settings refuse such a key; were one to come through, it must not open the door.
#[test]
fn a_key_that_is_none_trusts_nobody() {
    let signed = Laid::out(&released(), Some(data("first.minisig").as_bytes()));
    signed.refuses(&["no key".to_string()], "plugin-signer-unknown", &[FIRST]);
    assert_eq!(key_number(&key("first.pub")).as_deref(), Some(FIRST));
    for wrong in ["", "RW", "no key", &key("first.pub")[1..], data("first.pub").as_str()] {
        assert_eq!(key_number(wrong), None, "{wrong}");
    }
}
