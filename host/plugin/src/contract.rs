//! The versions of the contract that this host speaks. Which one a component is called by is decided here, once, by the
//! names of what it exports.
//!
//! * A released version is spoken for ever: tests/data has a component of each that must load and answer as it did.
//! * The next one comes as another case, with wire types of its own beside [`crate::wire`], which are those of 0.1.
//!   Every `match` on a [`Contract`] then says what is missing; rows and verdicts stay what they are.
//! * One component may export interfaces of two versions; each is called by its own.

/// Below 1.0 a patch release may add functions and never changes a type, so `0.1.4` is called as `0.1.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contract {
    V0_1,
}

impl Contract {
    pub(crate) const SPOKEN: [Contract; 1] = [Contract::V0_1];

    /// Of an interface's version; `None` is none that this host speaks.
    pub(crate) fn of(version: Option<&str>) -> Option<Contract> {
        Contract::SPOKEN.into_iter().find(|contract| contract.is(version))
    }

    /// As `wit/` has it.
    pub(crate) fn release(self) -> &'static str {
        match self {
            Contract::V0_1 => "0.1.0",
        }
    }

    /// The only interface with a function that a plugin may import.
    pub(crate) fn log(self) -> String {
        format!("tillhold:plugin/log@{}", self.release())
    }

    fn is(self, version: Option<&str>) -> bool {
        let series = self.release().trim_end_matches(|letter: char| letter.is_ascii_digit());
        let patch = version.and_then(|version| version.strip_prefix(series));
        patch.is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|b| b.is_ascii_digit()))
    }
}

/// All of them, for a message.
pub(crate) fn spoken() -> String {
    Contract::SPOKEN.map(Contract::release).join(" and ")
}

#[cfg(test)]
mod tests {
    use super::Contract;

    #[test]
    fn a_patch_release_is_the_same_contract_and_nothing_else_is() {
        for (version, expected) in [
            (Some("0.1.0"), true),
            (Some("0.1.17"), true),
            (Some("0.1."), false),
            (Some("0.1.0-rc.1"), false),
            (Some("0.10.0"), false),
            (Some("0.2.0"), false),
            (Some("1.0.0"), false),
            (Some("00.1.0"), false),
            (None, false),
        ] {
            let known = Contract::of(version);
            assert_eq!(known, expected.then_some(Contract::V0_1), "{version:?}");
        }
    }
}
