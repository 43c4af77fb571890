//! The systemd unit that ships: systemd takes it, and calls it closed.

use crate::harness::PROGRAM;
use std::path::Path;
use std::process::{Command, Output};

const UNIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/tillhold.service");
/// In tenths, as systemd-analyze counts: 10 of 10.0 is wide open, 15 says that no hardening was lost.
const EXPOSURE_MAX: &str = "15";

/// `None` where there is no systemd to ask.
fn analyze(words: &[&str], unit: &Path) -> Option<Output> {
    let asked = Command::new("systemd-analyze").args(words).arg(unit).output();
    match asked {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("systemd-analyze: {error}"),
    }
}

fn told(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn systemd_takes_the_unit_and_finds_it_closed() {
    let text = std::fs::read_to_string(UNIT).expect("the unit");
    let start = "ExecStart=/usr/local/bin/tillhold run --config ";
    assert!(text.contains(start), "the unit runs the agent");
    let folder = tempfile::tempdir().expect("a folder");
    let unit = folder.path().join("tillhold.service");
    std::fs::write(&unit, text.replace("/usr/local/bin/tillhold", PROGRAM)).expect("a unit");
    let Some(verified) = analyze(&["verify", "--man=no"], &unit) else { return };
    assert!(verified.status.success(), "{}", told(&verified));
    assert_eq!(told(&verified), "", "systemd has nothing to say about it");
    let threshold = format!("--threshold={EXPOSURE_MAX}");
    let closed = analyze(&["security", "--offline=true", &threshold], &unit).expect("systemd");
    assert!(closed.status.success(), "{}", told(&closed));
    // A unit that gives everything away would be noticed.
    let open = folder.path().join("open.service");
    std::fs::write(&open, format!("[Service]\nExecStart={PROGRAM}\n")).expect("a unit");
    let open = analyze(&["security", "--offline=true", &threshold], &open).expect("systemd");
    assert!(!open.status.success(), "{}", told(&open));
}
