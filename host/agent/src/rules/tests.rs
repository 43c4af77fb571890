//! Several real plugins in a row: the guest that does on request what a row or its config says.

use super::{Chain, RowOutcome};
use std::path::Path;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tillhold_core::moment::Timestamp;
use tillhold_core::profile::OnPluginFailure;
use tillhold_core::row::{Key, Row};
use tillhold_core::table::{Assigned, Column, Table, TableName};
use tillhold_core::types::SqlType;
use tillhold_core::value::{Decimal, Value};
use tillhold_env::{Env, Locked as _};
use tillhold_plugin::{
    BatchContext, ComponentSource, Flow, PluginError, PluginHost, PluginLimits, PluginSource,
};
use tillhold_toolchain::{GuestSource, cache_folder, find};

/// Built once a run, where the other crates' tests build it too.
pub(crate) fn hostile() -> Vec<u8> {
    static BUILT: Mutex<Option<Vec<u8>>> = Mutex::new(None);
    let mut built = BUILT.locked();
    let build = || {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let toolchain = find(&cache_folder().expect("a cache folder"), &mut |_| {});
        let guest = GuestSource::new(root.join("guest/hostile"), "hostile");
        let test = std::env::current_exe().expect("a test knows its own file");
        let target = test.ancestors().nth(3).expect("target/PROFILE/deps/TEST").join("guests");
        let built = toolchain.expect("a compiler for guests").build(&guest, &target, &mut |_| {});
        built.expect("a guest").component
    };
    built.get_or_insert_with(build).clone()
}

struct Bench {
    env: Env,
    host: PluginHost,
    table: Arc<Table>,
    _folder: TempDir,
}

impl Bench {
    fn new() -> Bench {
        let (env, folder) = (Env::real(), tempfile::tempdir().expect("a folder"));
        let host = PluginHost::new(&env, &folder.path().join("compiled"), PluginLimits::default());
        Bench { env, host: host.expect("a host"), table: Arc::new(victim()), _folder: folder }
    }

    /// A plugin for each config, by that name.
    fn chain(&self, configs: &[&str], on_failure: OnPluginFailure) -> Chain {
        let load = |config: &&str| {
            let source = PluginSource::plain(config, ComponentSource::Bytes(hostile()), config);
            Arc::new(self.host.load(&source).expect("it loads"))
        };
        let context = BatchContext {
            flow: Flow::Pull,
            scope: "S".to_string(),
            store: "S0001".to_string(),
            register: "000001".to_string(),
            time: Timestamp(0),
        };
        let (env, table) = (self.env.clone(), self.table.clone());
        let plugins = configs.iter().map(load).collect();
        Chain { env, plugins, context, table, on_failure, book: Arc::default() }
    }

    /// What becomes of rows with these names, whose number is 10.
    fn run(
        &self,
        configs: &[&str],
        on_failure: OnPluginFailure,
        names: &[&str],
    ) -> Result<Vec<RowOutcome>, PluginError> {
        let rows = (1..).zip(names).map(|(id, name)| row(id, 10, name));
        self.chain(configs, on_failure).run(rows.collect())
    }
}

fn victim() -> Table {
    let columns = [
        ("ID", "bigint"),
        ("NUMBER", "int"),
        ("NAME", "nvarchar(8)"),
        ("AMOUNT", "numeric(32,2)"),
        ("MOMENT", "datetime"),
        ("KIND", "float"),
    ];
    let column = |(name, of): (&str, &str)| Column {
        name: name.to_string(),
        of: SqlType::parse(of).expect("a type"),
        nullable: false,
        assigned: Assigned::ByWriter,
        default: None,
        collation: None,
    };
    let name = TableName::new("ax", "VICTIM");
    Table { name, columns: columns.map(column).into(), key: vec![0] }
}

fn row(id: i64, number: i64, name: &str) -> Row {
    Row(vec![
        Value::Int(id),
        Value::Int(number),
        Value::Text(name.to_string()),
        Value::Decimal(Decimal::new(150, 2).expect("1.50")),
        Value::Timestamp(Timestamp(0)),
        Value::Float(0.5),
    ])
}

fn kept(id: i64, number: i64, name: &str) -> RowOutcome {
    RowOutcome::Kept(row(id, number, name))
}

fn key(id: i64) -> Key {
    Key(vec![Value::Int(id)])
}

#[test]
fn each_plugin_sees_the_cells_as_the_one_before_left_them() {
    let bench = Bench::new();
    for (configs, number) in [
        (&["doubles", "adds-one"][..], 21),
        (&["adds-one", "doubles"], 22),
        (&["adds-one", "doubles", "adds-one", "doubles"], 46),
    ] {
        let ruled = bench.run(configs, OnPluginFailure::Halt, &["a", "b"]).expect("rows");
        assert_eq!(ruled, [kept(1, number, "a"), kept(2, number, "b")], "{configs:?}");
    }
}

#[test]
fn what_one_drops_or_refuses_is_not_shown_to_the_next() {
    let bench = Bench::new();
    let names = ["a", "drop", "refuse", "b", "drop"];
    // The second one says of its first row how many it was shown.
    let chain = ["obeys", "counts-its-rows"];
    let ruled = bench.run(&chain, OnPluginFailure::Halt, &names).expect("rows");
    let RowOutcome::Quarantined(refused, reason) = &ruled[2] else { panic!("{:?}", ruled[2]) };
    assert_eq!(*refused, key(3));
    assert!(reason.starts_with("plugin obeys (sha256:"), "{reason}");
    assert!(reason.ends_with(" refuses it: it asked for it"), "{reason}");
    assert_eq!(ruled[..2], [kept(1, 2, "a"), RowOutcome::Dropped(key(2))]);
    assert_eq!(ruled[3..], [kept(4, 10, "b"), RowOutcome::Dropped(key(5))]);
    // With no row left there is no call: this one traps at any.
    let none = bench.run(&["obeys", "panics"], OnPluginFailure::Halt, &["drop", "drop"]);
    assert_eq!(none.expect("no call"), [RowOutcome::Dropped(key(1)), RowOutcome::Dropped(key(2))]);
}

/// The first makes the row that the second traps at; the third is sound.
const FAILING: [&str; 3] = ["obeys", "panics-at-emoji", "adds-one"];
const NAMES: [&str; 3] = ["a", "emoji", "b"];

#[test]
fn halving_finds_the_guilty_row_of_the_guilty_plugin() {
    let ruled = Bench::new().run(&FAILING, OnPluginFailure::Quarantine, &NAMES).expect("rows");
    let RowOutcome::Quarantined(aside, reason) = &ruled[1] else { panic!("{:?}", ruled[1]) };
    assert_eq!(*aside, key(2));
    assert!(reason.starts_with("plugin panics-at-emoji (sha256:"), "{reason}");
    assert_eq!([&ruled[0], &ruled[2]], [&kept(1, 11, "a"), &kept(3, 11, "b")]);
}

#[test]
fn pass_passes_over_the_one_that_failed() {
    let ruled = Bench::new().run(&FAILING, OnPluginFailure::Pass, &NAMES).expect("rows");
    assert_eq!(ruled, [kept(1, 11, "a"), kept(2, 11, "\u{1F600}"), kept(3, 11, "b")]);
}

#[test]
fn halt_names_plugin_digest_and_the_row_where_there_is_only_one() {
    let bench = Bench::new();
    let halt = |names: &[&str]| match bench.run(&FAILING, OnPluginFailure::Halt, names) {
        Ok(ruled) => panic!("{ruled:?}"),
        Err(error) => (error.code(), error.to_string()),
    };
    let (code, words) = halt(&NAMES);
    assert_eq!(code, "plugin-trap");
    assert!(words.starts_with("plugin panics-at-emoji (sha256:"), "{words}");
    assert!(!words.contains("ID="), "it could be any of three: {words}");
    let (code, words) = halt(&["emoji"]);
    assert_eq!(code, "plugin-trap");
    assert!(words.ends_with(", at ID=1 of ax.VICTIM"), "{words}");
}
