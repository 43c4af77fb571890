//! A profile published is the profile read: nothing of another one is touched, and all of it happens or nothing.

use super::preparing::PROFILE;
use super::{Shop, run};
use crate::error::ChannelError;
use crate::link::Link;
use crate::profile::{ChannelProfile, ChannelScope, ChannelScopeTable, read_profile};
use crate::publish::{Effect, Outcome, Publication, publish};
use tillhold_core::profile::Direction;

fn scope(description: &str, direction: Direction, tables: &[(&str, &[&str])]) -> ChannelScope {
    let table = |(name, columns): &(&str, &[&str])| ChannelScopeTable {
        name: name.to_string(),
        columns: columns.iter().map(|column| column.to_string()).collect(),
    };
    ChannelScope {
        description: description.to_string(),
        direction,
        frequency_s: 60,
        tables: tables.iter().map(table).collect(),
    }
}

fn profile(scopes: Vec<ChannelScope>) -> ChannelProfile {
    ChannelProfile { name: "New".to_string(), description: "it's ü".to_string(), scopes }
}

fn first() -> ChannelProfile {
    profile(vec![
        scope(
            "Customers",
            Direction::Bidirectional,
            &[("CUSTTABLE", &["ACCOUNTNUM"]), ("dbo.X", &[])],
        ),
        scope("Uploads", Direction::Upload, &[("SALES", &[]), ("LINES", &["A", "B"])]),
    ])
}

fn to_second_store(profile: &ChannelProfile) -> Publication<'_> {
    Publication { profile, store: Some("S002"), changes_shared: false, is_rehearsal: false }
}

async fn shop() -> (Shop, Link) {
    let shop = Shop::bare().await;
    let mut office = shop.office();
    run(&mut office, PROFILE).await;
    (shop, office)
}

async fn code_of(link: &mut Link, store: &str) -> &'static str {
    read_profile(link, store).await.map_or_else(|error| error.code(), |_| "a profile")
}

#[tokio::test]
async fn what_is_published_is_what_a_store_reads() {
    let (_shop, mut office) = shop().await;
    let before = read_profile(&mut office, "S001").await.expect("another store's profile");
    let mut second = first();
    second.scopes.remove(0);
    second.scopes[0].direction = Direction::Bidirectional;
    second.scopes[0].tables.remove(0);
    second.scopes.push(scope("Later", Direction::Download, &[("SALES", &[])]));
    second.scopes.swap(0, 1);
    let expected = [
        (
            first(),
            Effect {
                is_new_profile: true,
                scopes_added: 2,
                tables_after: 4,
                columns_after: 3,
                ..Effect::default()
            },
        ),
        (
            first(),
            Effect {
                scopes_kept: 2,
                tables_before: 4,
                tables_after: 4,
                columns_before: 3,
                columns_after: 3,
                ..Effect::default()
            },
        ),
        (
            second,
            Effect {
                scopes_added: 1,
                scopes_kept: 1,
                scopes_removed: 1,
                tables_before: 4,
                tables_after: 2,
                columns_before: 3,
                columns_after: 2,
                ..Effect::default()
            },
        ),
    ];
    for (profile, effect) in expected {
        let done =
            publish(&mut office, &to_second_store(&profile)).await.expect("a published profile");
        assert_eq!(done, Outcome::Done(Effect { stores: 1, ..effect }));
        let read = read_profile(&mut office, "S002").await.expect("the store's profile");
        assert_eq!(read, profile);
    }
    let after = read_profile(&mut office, "S001").await.expect("another store's profile");
    assert_eq!(after, before);
}

#[tokio::test]
async fn a_rehearsal_tells_the_effect_and_leaves_everything_as_it_was() {
    let (_shop, mut office) = shop().await;
    let profile = first();
    let rehearsal = Publication { is_rehearsal: true, ..to_second_store(&profile) };
    let told = publish(&mut office, &rehearsal).await.expect("a rehearsal");
    assert!(matches!(told, Outcome::Done(Effect { scopes_added: 2, stores: 1, .. })), "{told:?}");
    assert_eq!(code_of(&mut office, "S002").await, "channel-profile");
    let done = publish(&mut office, &to_second_store(&profile)).await.expect("the real thing");
    assert_eq!(told, done);
}

#[tokio::test]
async fn a_scope_of_another_profile_is_changed_only_when_that_is_meant() {
    let (_shop, mut office) = shop().await;
    let profile = profile(vec![scope("prices", Direction::Upload, &[("LINES", &[])])]);
    let publication = to_second_store(&profile);
    let told = publish(&mut office, &publication).await.expect("an answer");
    assert_eq!(told, Outcome::Shared(vec![("prices".to_string(), "Default pr".to_string())]));
    assert_eq!(code_of(&mut office, "S002").await, "channel-profile");
    let meant = Publication { changes_shared: true, ..publication };
    publish(&mut office, &meant).await.expect("a published profile");
    for store in ["S001", "S002"] {
        let read = read_profile(&mut office, store).await.expect("a profile");
        assert_eq!(read.scopes[0], profile.scopes[0], "{store}");
    }
    // Given up here, it stays there.
    let without = first();
    let told = publish(&mut office, &to_second_store(&without)).await.expect("another profile");
    assert!(matches!(told, Outcome::Done(Effect { scopes_removed: 0, .. })), "{told:?}");
    let read = read_profile(&mut office, "S001").await.expect("a profile");
    assert_eq!(read.scopes[0], profile.scopes[0]);
}

#[tokio::test]
async fn a_store_that_is_not_there_gets_nothing_and_no_profile_is_left_behind() {
    let (_shop, mut office) = shop().await;
    let profile = first();
    let nowhere = Publication { store: Some("S009"), ..to_second_store(&profile) };
    let error = publish(&mut office, &nowhere).await.expect_err("no such store");
    assert!(matches!(error, ChannelError::UnknownStore { .. }), "{error}");
    let done = publish(&mut office, &to_second_store(&profile)).await.expect("a published profile");
    assert!(matches!(done, Outcome::Done(Effect { is_new_profile: true, .. })), "{done:?}");
}

#[test]
fn texts_that_do_not_fit_are_named_before_anything_is_asked() {
    let mut profile = first();
    profile.name = "Default profile".to_string();
    profile.scopes[0].tables[0].columns.push("C".repeat(41));
    let misfits = to_second_store(&profile).misfits();
    let told: Vec<String> = misfits.iter().map(ToString::to_string).collect();
    assert_eq!(told[0], "'Default profile' has 15 characters, RETAILOFFLINEPROFILE.NAME holds 10");
    assert!(
        told[1].ends_with("has 41 characters, RETAILOFFLINETABLECOLUMNS.SYNCCOLUMNNAME holds 40")
    );
    assert_eq!(told.len(), 2);
}
