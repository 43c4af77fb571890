//! Profiles as text, what is found in them as text, against a channel of four tables.

use super::{Catalogue, Findings, Folders, against, alone, plugins};
use crate::settings::profile_file::{ProfileChoice, ProfileFile};
use crate::settings::reader::{Mistake, Source};
use std::path::Path;
use tillhold_channel::schema::{Described, Uncarried};
use tillhold_core::condition::Parameters;
use tillhold_core::table::{Assigned, Column, Table, TableName};
use tillhold_core::types::SqlType;

/// `NAME type` columns, `=` behind those that the channel assigns.
fn table(name: &str, columns: &[&str], key: &[usize]) -> Table {
    let column = |text: &&str| {
        let (name, of) = text.trim_end_matches('=').split_once(' ').expect("a name and a type");
        let by_channel = text.ends_with('=');
        Column {
            name: name.to_string(),
            of: SqlType::parse(of).expect("a type"),
            nullable: false,
            assigned: if by_channel { Assigned::ByChannel } else { Assigned::ByWriter },
            default: None,
            collation: None,
        }
    };
    let name = TableName::parse(name).expect("a table's name");
    Table { name, columns: columns.iter().map(column).collect(), key: key.to_vec() }
}

fn channel() -> Catalogue {
    let customers = ["ACCOUNTNUM nvarchar(20)", "PARTY bigint", "POINTS int", "CHANGED datetime"];
    let mut tables: Vec<Described> = [
        table("ax.CUSTTABLE", &customers, &[0]),
        table("ax.CUSTGROUP", &["CUSTGROUP nvarchar(10)", "NAME nvarchar(60)"], &[0]),
        table("ax.DBVERSION", &["VERSION nvarchar(50)"], &[]),
        table("dbo.SYNCLOG", &["COUNTER int=", "SCOPE bigint"], &[0]),
    ]
    .map(|table| Described { table, uncarried: Vec::new() })
    .into();
    tables[1].uncarried.push(Uncarried { column: "PLACE".to_string(), of: None });
    Catalogue { names: tables.iter().map(|t| t.table.name.clone()).collect(), tables }
}

const GIVEN: Parameters<'_> = Parameters { store: "S0343", register: "000007" };

/// Everything found, a line each; notes behind the mistakes.
fn check(text: &str) -> String {
    let source = Source::new(Path::new("p"), text.to_string());
    let parsed = ProfileFile::of(&source);
    let mut found = Findings { mistakes: parsed.mistakes, notes: Vec::new() };
    let (profile, mistakes) = parsed.built.effective(None);
    found.mistakes.extend(mistakes);
    alone(&profile, &mut found);
    against(&profile, &channel(), GIVEN, &mut found);
    let found = found.sorted();
    let notes = found.notes.iter().map(|note| format!("note {note}"));
    let lines = found.mistakes.iter().map(Mistake::to_string).chain(notes);
    lines.collect::<Vec<_>>().join("\n")
}

/// A scope of this name, direction and tables.
fn scope(name: &str, direction: &str, tables: &str) -> String {
    format!("[[scope]]\nname = '{name}'\ndirection = '{direction}'\ntables = [{tables}]\n")
}

#[test]
fn each_mistake_is_told_with_its_line_and_what_was_meant() {
    let cases = [
        (
            "'ax.CUSTTABEL'",
            "p:4: the channel has no table ax.CUSTTABEL, or this login may not see it; did you mean ax.CUSTTABLE?",
        ),
        (
            "'dbo.CUSTTABLE'",
            "p:4: the channel has no table dbo.CUSTTABLE, or this login may not see it; did you mean ax.CUSTTABLE?",
        ),
        ("'ax.CUSTTABLE', 'ax.custtable'", "p:4: ax.custtable is in scope S twice"),
        ("'ax.CUST TABLE'", "p:4: tables names 'ax.CUST TABLE', which is not schema.TABLE"),
        (
            "{ name = 'ax.CUSTTABLE', exclude = ['POINT'] }",
            "p:4: ax.CUSTTABLE has no column POINT; did you mean POINTS?",
        ),
        (
            "{ name = 'ax.CUSTTABLE', columns = ['PARTY', 'X'] }",
            "p:4: ax.CUSTTABLE has no column X",
        ),
        (
            "{ name = 'ax.CUSTTABLE', exclude = ['accountnum'] }",
            "p:4: accountnum is part of the primary key of ax.CUSTTABLE and always travels: it cannot be excluded",
        ),
        (
            "{ name = 'ax.CUSTTABLE', exclud = [] }",
            "p:4: unknown setting exclud; did you mean exclude?",
        ),
        ("{ name = 'ax.CUSTGROUP', exclude = ['PLACE'] }", ""),
        (
            "'ax.CUSTGROUP'",
            "p:4: ax.CUSTGROUP: PLACE is a CLR type, which does not travel: name it under exclude",
        ),
        (
            "'ax.DBVERSION'",
            "note p:4: ax.DBVERSION has no primary key: it cannot be tracked and is left out",
        ),
        (
            "'dbo.SYNCLOG'",
            "note p:4: dbo.SYNCLOG has a primary key that the channel itself assigns (COUNTER): it cannot be tracked and is left out",
        ),
        ("'custtable'", ""),
    ];
    for (tables, expected) in cases {
        assert_eq!(check(&scope("S", "upload", tables)), expected, "{tables}");
    }
}

/// The column of a filter's complaint is the filter's own, the line the file's.
#[test]
fn filters_are_held_to_the_channels_columns_and_types() {
    let cases = [
        ("ACCOUNTNUM LIKE 'A%' AND POINTS >= 10 OR PARTY IS NULL", ""),
        ("accountnum = @store", ""),
        ("POINTS = @register AND CHANGED > '2026-01-01'", ""),
        ("POINTS == 1", "p:4: filter, column 8: write ="),
        (
            "POINT = 1 AND PARTY = 'x'",
            "p:4: filter, column 1: ax.CUSTTABLE has no column POINT; did you mean POINTS?\np:4: filter, column 23: PARTY is bigint: write a number, without quotes",
        ),
        (
            "POINTS = @store",
            "p:4: filter, column 10: @store does not fit POINTS, int: 'S0343' is not a whole number",
        ),
        (
            "POINTS = @shop",
            "p:4: filter, column 10: unknown parameter @shop: there are @store and @register",
        ),
    ];
    for (filter, expected) in cases {
        let tables =
            format!("{{ name = 'CUSTTABLE', filter = \"{filter}\", exclude = ['PARTY'] }}");
        assert_eq!(check(&scope("S", "download", &tables)), expected, "{filter}");
    }
    let upload = "{ name = 'CUSTTABLE', filter = 'POINTS = 1' }";
    assert_eq!(
        check(&scope("S", "upload", upload)),
        "p:4: ax.CUSTTABLE: a filter says which rows come to the register, and scope S is only uploaded"
    );
}

#[test]
fn scopes_orders_and_policies_are_looked_at() {
    let (one, two) =
        (scope("One", "upload", "'CUSTTABLE'"), scope("Two", "download", "'CUSTTABLE'"));
    let only = |rest: &str| format!("{}{rest}\n", scope("One", "upload", "'CUSTTABLE'"));
    let cases = [
        (
            format!("{one}{two}"),
            "p:8: ax.CUSTTABLE is in scope One and in scope Two: a table belongs to one",
        ),
        (format!("{one}{one}"), "p:5: scope One twice: it stands on line 1 already"),
        (
            format!("order = ['Onne', 'One', 'One']\n{one}"),
            "p:1: order names One twice: it stands on line 1 already\np:1: order names Onne, which is no scope; did you mean One?",
        ),
        (
            "[[scope]]\nname = 'S'\n".to_string(),
            "p:1: scope S: has no tables\np:1: scope S: has no direction: say download, upload or bidirectional",
        ),
        (
            scope("S", "dwnload", "'CUSTTABLE'"),
            "p:3: direction 'dwnload' is not one of: download, upload, bidirectional; did you mean download?",
        ),
        (
            only("resolver = 'chanel-wins'"),
            "p:5: resolver 'chanel-wins' (did you mean channel-wins?) is none of: channel-wins, offline-wins, column-merge, defer, { policy = \"newest\", column = … }, { policy = \"delta\", columns = […] }, { plugin = … }",
        ),
        (only("resolver = { policy = 'newest' }"), "p:5: column is missing in scope.resolver"),
        (
            only("resolver = { policy = 'newest', column = 'CHANGE' }"),
            "p:5: newest goes by CHANGE, which ax.CUSTTABLE has not; did you mean CHANGED?",
        ),
        (
            scope("S", "bidirectional", "'CUSTTABLE', { name = 'CUSTGROUP', exclude = ['PLACE'] }")
                + "resolver = { policy = 'newest', column = 'CHANGED' }\n",
            "note p:5: newest goes by CHANGED, which ax.CUSTGROUP has not: there the channel wins",
        ),
        (
            only("resolver = { policy = 'delta', columns = ['POINTS', 'NAME', 'ACCOUNTNUM'] }"),
            "p:5: delta adds up NAME, which no table of the scope has\np:5: delta adds up ACCOUNTNUM, which is nvarchar(20) and no number",
        ),
        (
            format!("{two}resolver = 'defer'\n"),
            "note p:5: scope Two: its resolver is never asked: a download scope has no conflicts",
        ),
        (String::new(), "p: the profile has no scope: nothing would be synchronised"),
    ];
    for (text, expected) in cases {
        assert_eq!(check(&text), expected, "{text}");
    }
}

/// The program's own profile over the channel as Microsoft published it.
#[test]
fn the_default_profile_names_every_table_that_can_be_tracked_once() {
    let schema = tillhold_kit::Schema::published().expect("the published schema");
    let of_ax = |table: &&Table| table.name.schema == "ax" && !table.key.is_empty();
    let trackable: Vec<TableName> = schema
        .tables
        .iter()
        .map(|table| &**table)
        .filter(of_ax)
        .map(|table| table.name.clone())
        .collect();
    assert_eq!(trackable.len(), 347);
    let described = |table: &Table| Described { table: table.clone(), uncarried: Vec::new() };
    let tables: Vec<Described> = schema.tables.iter().map(|table| described(table)).collect();
    let names = tables.iter().map(|t| t.table.name.clone()).collect();
    let file = ProfileFile::open(&ProfileChoice::Default).expect("a profile without mistakes");
    let (profile, mistakes) = file.effective(None);
    let mut found = Findings { mistakes, notes: Vec::new() };
    alone(&profile, &mut found);
    against(&profile, &Catalogue { names, tables }, GIVEN, &mut found);
    assert_eq!((found.mistakes, found.notes), (Vec::new(), Vec::new()));
    let profile = profile.profile();
    let missing: Vec<&TableName> =
        trackable.iter().filter(|name| profile.scope_of(name).is_none()).collect();
    assert_eq!(missing, Vec::<&TableName>::new());
    // Head office's own, as the demonstration has it in the channel, differs in order and direction only.
    for scope in tillhold_demo::profile_scopes() {
        let own = profile.scopes.iter().find(|own| own.name == scope.name).expect(&scope.name);
        let tables = scope.tables.iter().filter(|name| **name != TableName::new("ax", "DBVERSION"));
        for table in tables {
            assert!(own.tables.iter().any(|t| t.name == *table), "{table} is in another scope");
        }
    }
    let columns = profile.scopes.iter().flat_map(|scope| &scope.tables);
    let hidden: usize = columns.map(|table| table.excluded_columns.len()).sum();
    assert_eq!(hidden, 4, "password columns stay at the channel");
}

#[test]
fn plugins_are_looked_for_and_held_to_their_digest() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("good.wasm"), b"component").expect("a file");
    let digest = tillhold_plugin::digest_of(b"component");
    let other = tillhold_plugin::digest_of(b"another");
    // Pinned anew, the profile goes back to it, as docs/plugins.md says; the check called that a mistake.
    let earlier = tillhold_plugin::digest_of(b"earlier");
    let kept = folder.path().join("kept");
    std::fs::create_dir_all(kept.join("good")).expect("a folder");
    let file = format!("good/{}.wasm", earlier.trim_start_matches("sha256:"));
    std::fs::write(kept.join(file), b"earlier").expect("a file");
    let folders = Folders { plugins: folder.path().to_path_buf(), kept };
    let cases = [
        (
            format!("{{ plugin = 'good', digest = '{earlier}' }}"),
            "note: plugin good: good.wasm is not the pinned component, which is taken from what is kept".to_string(),
        ),
        (format!("{{ plugin = 'good', digest = '{digest}' }}"), String::new()),
        ("{ plugin = 'good' }".to_string(), format!("digest = \"{digest}\" pins this one")),
        (format!("{{ plugin = 'good', digest = '{other}' }}"), "is another component".to_string()),
        ("{ plugin = 'good', digest = 'md5:0' }".to_string(), "64 hexadecimal digits".to_string()),
        ("{ plugin = 'bad' }".to_string(), "bad.wasm cannot be read".to_string()),
    ];
    let pinned = |digest: &str| {
        format!("{{ plugin = 'good' }}\n[[plugin]]\nname = 'good'\ndigest = '{digest}'")
    };
    let cases = cases.into_iter().chain([
        (pinned(&digest), String::new()),
        (pinned(&other), "is another component".to_string()),
    ]);
    for (plugin, expected) in cases {
        for key in ["transformer", "resolver"] {
            let text = format!("{}{key} = {plugin}\n", scope("S", "upload", "'CUSTTABLE'"));
            let source = Source::new(Path::new("p"), text);
            let (profile, _) = ProfileFile::of(&source).built.effective(None);
            let mut found = Findings::default();
            plugins(&profile, &folders, &mut found);
            let there = format!("{}/", folder.path().display());
            let line = |line: String| line.replace(&there, "");
            let note = |note: &Mistake| line(note.to_string()).replacen(": ", ": note: ", 1);
            let mistakes = found.mistakes.iter().map(|mistake| line(mistake.to_string()));
            let all: Vec<String> = mistakes.chain(found.notes.iter().map(note)).collect();
            assert_eq!(all.len(), usize::from(!expected.is_empty()), "{plugin}: {all:?}");
            assert!(all.iter().all(|line| line.contains(&expected) && line.starts_with("p:5: ")));
        }
    }
}

#[test]
fn grants_are_held_to_scopes_and_to_the_channels_columns() {
    let customers = scope("S", "upload", "'CUSTTABLE'");
    let with = |rest: &str| format!("{customers}transformer = {{ plugin = 'mask' }}\n{rest}\n");
    let granted = |grant: &str| with(&format!("[[plugin]]\nname = 'mask'\ngrants = [{grant}]"));
    let cases = [
        (with(""), ""),
        (granted(""), ""),
        (granted("{ table = 'custtable', reads = ['points', '*'], writes = ['PARTY'] }"), ""),
        (
            granted("{ table = 'CUSTTABLE', reads = ['POINT'] }"),
            "p:8: plugin mask is granted POINT of ax.CUSTTABLE, which is not there; did you mean POINTS?",
        ),
        (
            granted("{ table = 'CUSTGROUP', writes = ['NAME'] }"),
            "note p:8: plugin mask is granted columns of ax.CUSTGROUP, which no scope has",
        ),
        (granted("{ table = 'a table' }"), "p:8: table is 'a table', which is not schema.TABLE"),
        (granted("{ reads = ['POINTS'] }"), "p:8: table is missing in plugin.grants"),
        (
            granted("{ table = 'CUSTTABLE', read = [] }"),
            "p:8: unknown setting read; did you mean reads?",
        ),
        (
            with("[[plugin]]\nname = 'masc'"),
            "p:6: no scope uses the plugin masc; did you mean mask?",
        ),
        (with("[[plugin]]"), "p:6: name is missing in plugin"),
        (
            with(
                "[[plugin]]\nname = 'mask'\nmemory_max_mb = 513\ndeadline_ms = 9\nanswer_max_mb = 1.5\nlog_lines_max = -1",
            ),
            "p:8: memory_max_mb takes a whole number from 1 to 512\n\
             p:9: deadline_ms takes a whole number from 10 to 30000\n\
             p:10: answer_max_mb takes a whole number from 1 to 64\n\
             p:11: log_lines_max takes a whole number from 0 to 10000",
        ),
        (
            with("[[plugin]]\nname = 'mask'\n[[plugin]]\nname = 'mask'"),
            "p:8: plugin mask twice: it stands on line 6 already",
        ),
        (
            format!(
                "{customers}transformer = {{ plugin = 'mask', digest = 'a' }}\n\
                 [[plugin]]\nname = 'mask'\ndigest = 'b'\n"
            ),
            "p:5: plugin mask: its digest is another one on line 8",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(check(&text), expected, "{text}");
    }
}

#[test]
fn several_transformers_are_each_told_on_their_line_and_have_a_bound() {
    let folder = tempfile::tempdir().expect("a folder");
    let uploads = scope("S", "upload", "'CUSTTABLE'");
    let listed = |plugins: &str| format!("{uploads}transformer = [\n{plugins}]\n");
    let check = |text: String| -> Vec<String> {
        let parsed = ProfileFile::of(&Source::new(Path::new("p"), text));
        let (profile, _) = parsed.built.effective(None);
        let mut found = Findings { mistakes: parsed.mistakes, notes: Vec::new() };
        let folders =
            Folders { plugins: folder.path().to_path_buf(), kept: folder.path().join("kept") };
        plugins(&profile, &folders, &mut found);
        found.sorted().mistakes.iter().map(Mistake::to_string).collect()
    };
    let told = check(listed("{ plugin = 'one' },\n{ plugin = 'two', order = 1 },\n'three',\n"));
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told[0].starts_with("p:6: plugin one: ") && told[0].contains("one.wasm"), "{told:?}");
    assert_eq!(told[1], "p:7: unknown setting order", "{told:?}");
    assert!(told[2].starts_with("p:7: plugin two: "), "{told:?}");
    assert_eq!(told[3], "p:8: transformer must hold tables only", "{told:?}");
    std::fs::write(folder.path().join("p.wasm"), b"component").expect("a file");
    let many = |count: usize| check(listed(&"{ plugin = 'p' },\n".repeat(count)));
    assert_eq!(many(8), Vec::<String>::new());
    assert_eq!(many(9), ["p:14: transformer takes at most 8 plugins"]);
    let word = check(format!("{uploads}transformer = 'p'\n"));
    assert_eq!(word, ["p:5: transformer takes a table or a list of tables"]);
}

#[test]
fn a_word_about_stale_data_is_held_against_the_frequencies() {
    let scopes = scope("Pictures", "download", "'ax.CUSTTABLE'") + "frequency_s = 86400\n";
    let sales = scope("Sales", "upload", "{ name = 'ax.CUSTGROUP', exclude = ['PLACE'] }")
        + "frequency_s = 99999\n";
    let checked = |staleness: &str| check(&format!("[staleness]\n{staleness}\n{scopes}{sales}"));
    let later = "note p:2: staleness: stale_after_s counts from when a scope is due: the data of Pictures, which is pulled \
                 every 86400 s, are stale after 90000 s";
    for (staleness, expected) in [
        ("never_synchronised = 'warn'", ""),
        ("stale_after_s = 86400\nstale = 'refuse'", ""),
        ("stale_after_s = 3600", later),
        ("stale = 'refuse'", "note p:2: staleness: no data are ever stale without stale_after_s"),
        ("stale = 'sell'", "p:2: stale 'sell' is not one of: refuse, warn, allow"),
    ] {
        assert_eq!(checked(staleness), expected, "{staleness}");
    }
}

#[test]
fn a_key_that_is_none_is_a_mistake_and_not_a_key_less() {
    const KEY: &str = "RWRTfMJGyFtm3C73E5FC8pVSYwkPctortB4baRphAoVV50tkJiul8PYe";
    let scope = "[[scope]]\nname = 'S'\ndirection = 'download'\ntables = ['CUSTGROUP']\n";
    let scope = scope.replace("'CUSTGROUP'", "{ name = 'CUSTGROUP', exclude = ['PLACE'] }");
    assert_eq!(check(&format!("plugin_keys = ['{KEY}']\n{scope}")), "");
    let cut = &KEY[..KEY.len() - 1];
    let wrong = check(&format!("plugin_keys = [\n'{KEY}',\n'{cut}',\n'{KEY}',\n]\n{scope}"));
    let expected = [
        format!(
            "p:3: plugin_keys: '{cut}' is no public key of minisign: it is the line of a .pub file that begins with RW"
        ),
        format!("p:4: plugin_keys: '{KEY}' stands on line 2 already"),
    ];
    assert_eq!(wrong, expected.join("\n"));
}
