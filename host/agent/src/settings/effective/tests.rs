//! A file over what the channel's tables hold: the profile that counts, as text with its origins.

use crate::settings::profile_file::ProfileFile;
use crate::settings::profile_text::{Told, text};
use crate::settings::reader::{Mistake, Source};
use std::path::Path;
use tillhold_channel::profile::{ChannelProfile, ChannelScope, ChannelScopeTable};
use tillhold_core::profile::Direction;

fn published() -> ChannelProfile {
    let table = |name: &str, columns: &[&str]| ChannelScopeTable {
        name: name.to_string(),
        columns: columns.iter().map(|column| column.to_string()).collect(),
    };
    let scope = |name: &str, direction, frequency_s, tables| ChannelScope {
        description: name.to_string(),
        direction,
        frequency_s,
        tables,
    };
    ChannelProfile {
        name: "Default pr".to_string(),
        description: "words".to_string(),
        scopes: vec![
            scope("P-0001 Sales", Direction::Upload, 10, vec![table("SALES", &[])]),
            scope("Own", Direction::Download, 0, vec![table("dbo.OWN", &[])]),
            scope("1010 Customers", Direction::Download, 60, vec![table("CUSTTABLE", &["A", "B"])]),
            scope("1110 Global", Direction::Download, 60, vec![table("GLOBAL", &[])]),
        ],
    }
}

/// What counts, a line each without quotes and spaces before the origin; or the mistakes.
fn effective(file: &str, channel: &ChannelProfile) -> String {
    let source = Source::new(Path::new("p"), format!("source = 'channel'\n{file}"));
    let parsed = ProfileFile::of(&source);
    assert_eq!(parsed.mistakes, []);
    let (profile, mistakes) = parsed.built.effective(Some(channel));
    if !mistakes.is_empty() {
        return mistakes.iter().map(Mistake::to_string).collect::<Vec<_>>().join("\n");
    }
    text(&profile, Told::Origins)
}

/// The names of the scopes, in order.
fn order(text: &str) -> Vec<&str> {
    let lines = text.split("[[scope]]\nname = \"").skip(1);
    lines.filter_map(|rest| rest.split('"').next()).collect()
}

#[track_caller]
fn assert_line(text: &str, value: &str, origin: &str) {
    let found = text.lines().any(|line| {
        line.split_once(" # ").is_some_and(|(left, right)| left.trim() == value && right == origin)
    });
    assert!(found, "no '{value}' from {origin} in:\n{text}");
}

#[test]
fn without_a_word_of_the_file_the_channel_says_everything_in_an_order_that_makes_sense() {
    let text = effective("", &published());
    assert_eq!(order(&text), ["1110 Global", "1010 Customers", "Own", "P-0001 Sales"]);
    assert_line(&text, "name = \"Default pr\"", "ax.RETAILOFFLINEPROFILE.NAME");
    assert_line(&text, "frequency_s = 10", "ax.RETAILOFFLINESCOPE.SYNCFREQUENCY");
    // AX writes 0 where nobody set one, and a scope that never rests would be the answer to it.
    assert_line(&text, "frequency_s = 300", "default");
    assert_line(&text, "\"ax.GLOBAL\",", "ax.RETAILOFFLINETABLE.TABLENAME");
}

#[test]
fn the_file_goes_over_the_channel_and_says_what_ax_cannot() {
    let file = "name = 'Mine'\norder = ['Own']\n[[scope]]\nname = '1010 Customers'\ndirection = 'bidirectional'\n\
                tables = [{ name = 'ax.custtable', exclude = ['B'] }, 'MORE']\nresolver = 'defer'\n\
                [[scope]]\nname = '1020 New'\ndirection = 'upload'\ntables = ['NEW']\n";
    let text = effective(file, &published());
    assert_eq!(order(&text), ["Own", "1110 Global", "1010 Customers", "1020 New", "P-0001 Sales"]);
    assert_line(&text, "name = \"Mine\"", "p:2");
    assert_line(&text, "direction = \"bidirectional\"", "p:6");
    assert_line(&text, "resolver = \"defer\"", "p:8");
    let columns = "{ name = \"ax.CUSTTABLE\", columns = [\"A\", \"B\"], exclude = [\"B\"] },";
    assert_line(&text, columns, "p:7");
    assert_line(&text, "\"ax.MORE\",", "p:7");
    let other =
        "[[scope]]\nname = '1010 Customers'\ntables = [{ name = 'CUSTTABLE', columns = ['A'] }]\n";
    assert_line(
        &effective(other, &published()),
        "{ name = \"ax.CUSTTABLE\", columns = [\"A\"] },",
        "p:4",
    );
}

#[test]
fn what_does_not_fit_together_is_told_by_whoever_said_it() {
    let missing =
        effective("[[scope]]\nname = '1010 Customer'\nresolver = 'defer'\n", &published());
    let expected = [
        "p:2: scope 1010 Customer: has no tables; did you mean 1010 Customers?",
        "p:2: scope 1010 Customer: has no direction: say download, upload or bidirectional; did you mean 1010 Customers?",
    ];
    assert_eq!(missing, expected.join("\n"));
    let twice = effective("[[scope]]\nname = 'Own'\ntables = ['sales']\n", &published());
    let expected =
        "p:4: ax.SALES is in scope Own and in scope P-0001 Sales: a table belongs to one";
    assert_eq!(twice, expected);
    let mut channel = published();
    channel.scopes[0].tables[0].name = "NO TABLE".to_string();
    let odd = effective("", &channel);
    assert!(
        odd.starts_with(
            "ax.RETAILOFFLINETABLE: 'NO TABLE' of scope P-0001 Sales is no table's name"
        ),
        "{odd}"
    );
}
