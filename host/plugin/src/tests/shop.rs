//! What the tests share: a host with a folder of its own, plugins built once a run, a table or two.

use crate::{
    BatchContext, ComponentSource, Flow, Plugin, PluginError, PluginHost, PluginLimits,
    PluginSource,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::TempDir;
use tillhold_core::moment::Timestamp;
use tillhold_core::row::Row;
use tillhold_core::table::{Assigned, Column, Table, TableName};
use tillhold_core::types::SqlType;
use tillhold_core::value::Value;
use tillhold_env::Env;
use tillhold_toolchain::{GuestSource, cache_folder, find};

pub(super) struct Shop {
    pub host: PluginHost,
    /// The folder of compiled code lies in it.
    pub folder: TempDir,
}

impl Shop {
    pub(super) fn new() -> Shop {
        Shop::with_limits(PluginLimits::default())
    }

    pub(super) fn with_limits(limits: PluginLimits) -> Shop {
        let folder = tempfile::tempdir().expect("a folder");
        let host = PluginHost::new(&Env::real(), &folder.path().join("compiled"), limits);
        Shop { host: host.expect("a host"), folder }
    }

    pub(super) fn load(&self, package: &str, config: &str) -> Result<Plugin, PluginError> {
        self.load_bytes(component(package), config)
    }

    pub(super) fn load_bytes(&self, bytes: Vec<u8>, config: &str) -> Result<Plugin, PluginError> {
        self.host.load(&source(bytes, config))
    }
}

/// Little memory. The time is the product's own: on a busy machine a shorter one ends what is honest as well.
pub(super) fn strict() -> PluginLimits {
    PluginLimits { memory_bytes_max: 48 << 20, ..PluginLimits::default() }
}

pub(super) fn source(bytes: Vec<u8>, config: &str) -> PluginSource {
    PluginSource::plain("tested", ComponentSource::Bytes(bytes), config)
}

/// The refusal, or a test that fails.
pub(super) fn refused<T>(result: Result<T, PluginError>) -> PluginError {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error,
    }
}

/// A guest of this repository as a component, built at most once a run.
pub(super) fn component(package: &str) -> Vec<u8> {
    static BUILT: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::new(BTreeMap::new());
    // A failed build of one test must not look like a poisoned lock to the next.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(component) = built.get(package) {
        return component.clone();
    }
    let cache = cache_folder().expect("a home or a cache folder");
    let toolchain = find(&cache, &mut |_| {}).expect("a compiler for guests");
    let guest = GuestSource::new(repository().join("guest").join(package), package);
    let component = toolchain.build(&guest, &target(), &mut |_| {}).expect("a guest").component;
    built.insert(package.to_string(), component.clone());
    component
}

pub(super) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Beside the tests' own artefacts, but not among them: another compiler builds there.
fn target() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own file");
    let target = test.ancestors().nth(3).expect("target/PROFILE/deps/TEST");
    target.join("guests")
}

pub(super) fn context() -> BatchContext {
    BatchContext {
        flow: Flow::Pull,
        scope: "1010 Customers".to_string(),
        store: "S0001".to_string(),
        register: "000001".to_string(),
        time: Timestamp(0),
    }
}

pub(super) fn table(name: &str, columns: &[(&str, &str)]) -> Arc<Table> {
    let column = |(name, declaration): &(&str, &str)| Column {
        name: name.to_string(),
        of: SqlType::parse(declaration.trim_end_matches('?')).expect("a known type"),
        nullable: declaration.ends_with('?'),
        assigned: Assigned::ByWriter,
        default: None,
        collation: None,
    };
    Arc::new(Table {
        name: TableName::parse(name).expect("a name"),
        columns: columns.iter().map(column).collect(),
        key: vec![0],
    })
}

/// The table that `hostile` works on.
pub(super) fn victim() -> Arc<Table> {
    table(
        "ax.VICTIM",
        &[
            ("ID", "bigint"),
            ("NUMBER", "int"),
            ("NAME", "nvarchar(8)"),
            ("AMOUNT", "numeric(32,2)"),
            ("MOMENT", "datetime"),
            ("KIND", "float"),
            ("UNSEEN", "nvarchar(20)?"),
        ],
    )
}

pub(super) fn victims(count: i64) -> Vec<Row> {
    let row = |id| {
        Row(vec![
            Value::Int(id),
            Value::Int(id % 7),
            Value::Text("name".to_string()),
            Value::Decimal(tillhold_core::value::Decimal::new(150, 2).expect("1.50")),
            Value::Timestamp(Timestamp(0)),
            Value::Float(0.5),
            Value::Null,
        ])
    };
    (0..count).map(row).collect()
}

/// A column of each shape of value.
pub(super) fn every_type() -> Arc<Table> {
    table(
        "ax.EVERYTYPE",
        &[
            ("ID", "bigint"),
            ("BIT", "bit?"),
            ("INT", "bigint?"),
            ("FLT", "float?"),
            ("DEC", "numeric(38,16)?"),
            ("TXT", "nvarchar(max)?"),
            ("BIN", "varbinary(max)?"),
            ("DAT", "date?"),
            ("TIM", "time(7)?"),
            ("MOM", "datetime2(7)?"),
            ("OFS", "datetimeoffset(7)?"),
            ("GUI", "uniqueidentifier?"),
            ("MON", "money?"),
        ],
    )
}
