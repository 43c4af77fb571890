//! The plugin of a run that has one: it sees every barcode that comes down, keeps it, and does harm when it is told to.
//! It is `guest/hostile`, a real component.

use anyhow::Context as _;
use std::path::Path;
use tillhold_toolchain::{GuestSource, cache_folder, find};

/// What it does on a good day.
pub const HONEST: &str = "keeps";
/// Traps, stalls, lies, hoards and refuses.
pub const HARMS: [&str; 6] =
    ["panics", "loops", "forgets-a-row", "undeclared-column", "hoards", "refuses"];

const NAME: &str = "hostile";
const PLACE: &str = "ax.INVENTITEMBARCODE/ITEMID";
/// Real time: nothing else of a run is. Long enough for an honest call on a machine that is busy.
const DEADLINE: &str = "deadline_ms = 2000";
/// For one that never comes to an end.
const SHORT_DEADLINE: &str = "deadline_ms = 20";

pub const BOUNDS: &str = "\n[[plugin]]\nname = \"hostile\"\ndeadline_ms = 2000\n";

/// The lines of the prices' scope.
pub fn of_scope(on_failure: &str) -> String {
    format!(
        "transformer = {{ plugin = \"{NAME}\", config = \"{HONEST}@{PLACE}\" }}\n\
         on_plugin_failure = \"{on_failure}\"\n"
    )
}

/// The profile's text with a plugin that does this from now on.
pub fn turned(profile: &str, harm: &str) -> String {
    let deadline = if harm == "loops" { SHORT_DEADLINE } else { DEADLINE };
    let line = |line: &str| match line.split_once(" = ") {
        Some(("transformer", _)) => {
            format!("transformer = {{ plugin = \"{NAME}\", config = \"{harm}@{PLACE}\" }}")
        }
        Some(("deadline_ms", _)) => deadline.to_string(),
        _ => line.to_string(),
    };
    profile.lines().map(|text| line(text) + "\n").collect()
}

/// Built at its first use, and when it changed.
pub fn component() -> anyhow::Result<Vec<u8>> {
    let toolchain = find(&cache_folder()?, &mut |_| {})?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest/hostile");
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).context("a program in no folder")?.join("guests");
    Ok(toolchain.build(&GuestSource::new(folder, NAME), &target, &mut |_| {})?.component)
}

/// Puts it where a register's profile looks for it.
pub fn deploy(component: &[u8], home: &Path) -> anyhow::Result<()> {
    let folder = home.join("plugins");
    std::fs::create_dir_all(&folder)?;
    Ok(std::fs::write(folder.join(format!("{NAME}.wasm")), component)?)
}

#[cfg(test)]
mod tests {
    use super::{BOUNDS, DEADLINE, HONEST, of_scope, turned};

    #[test]
    fn a_rule_is_turned_and_turned_back() {
        let text = format!("name = \"Sim\"\n{}{BOUNDS}", of_scope("halt"));
        let turned_once = turned(&text, "loops");
        assert!(turned_once.contains("\"loops@ax.INVENTITEMBARCODE/ITEMID\""), "{turned_once}");
        assert!(!turned_once.contains(DEADLINE), "{turned_once}");
        assert_eq!(turned(&turned_once, HONEST), text);
    }
}
