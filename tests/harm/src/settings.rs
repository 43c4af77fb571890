//! profile.toml and register.toml as somebody wrote them.
//!
//! * A mistake has a text, and a line of the file unless it is of the file as a whole.
//! * A profile that reads is written as a profile that reads back as the same one.

use crate::channel::{counted, every_type};
use tillhold::outside::{self, Mistake};

pub fn profile(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let tables = [every_type(), counted()];
    let read = outside::profile(&text, &tables);
    check(&text, &read.mistakes);
    let Some(whole) = read.whole else { return };
    check(&text, &whole.findings);
    if whole.profile.scopes.is_empty() {
        // What the channel would say is not there to be written.
        return;
    }
    for written in &whole.written {
        let again = outside::profile(written, &tables);
        assert_eq!(again.mistakes, [], "{written}");
        let again = again.whole.expect("a profile without mistakes");
        assert_eq!(again.profile, whole.profile, "{written}");
    }
}

pub fn register(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Err(mistakes) = outside::register(&text) {
        assert!(!mistakes.0.is_empty(), "refused without a mistake");
        check(&text, &mistakes.0);
    }
}

fn check(text: &str, mistakes: &[Mistake]) {
    let lines = text.matches('\n').count() + 1;
    for mistake in mistakes {
        assert!(!mistake.message.is_empty(), "{mistake:?}");
        assert!(mistake.line.is_none_or(|line| (1..=lines).contains(&line)), "{mistake}");
    }
}
