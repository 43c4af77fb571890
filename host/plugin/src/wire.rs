//! The contract's records as Rust types: `wit/0.1.0` is their text, and loading a plugin checks one against the other.
//!
//! * Derived on our own types rather than generated: 6 to 15 % faster (`docs/decisions/0001-plugin-abi.md`).
//! * Nothing here judges: what a plugin answers is checked where it becomes rows ([`crate::answer`], [`crate::conflicts`]).

use wasmtime::component::{ComponentType, Lift, Lower};

#[derive(Clone, Copy, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum Flow {
    #[component(name = "pull")]
    Pull,
    #[component(name = "push")]
    Push,
}

#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(crate) struct Context {
    pub config: String,
    pub flow: Flow,
    pub scope: String,
    pub store: String,
    pub register: String,
    pub time: i64,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct TableUse {
    pub table: String,
    pub reads: Vec<String>,
    pub writes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Column {
    pub validity: Vec<u8>,
    pub data: ColumnData,
}

#[derive(Clone, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum ColumnData {
    #[component(name = "booleans")]
    Booleans(Vec<bool>),
    #[component(name = "integers")]
    Integers(Vec<i64>),
    #[component(name = "floats")]
    Floats(Vec<f64>),
    #[component(name = "decimals")]
    Decimals(DecimalColumn),
    #[component(name = "texts")]
    Texts(PackedColumn),
    #[component(name = "binaries")]
    Binaries(PackedColumn),
    #[component(name = "dates")]
    Dates(Vec<i32>),
    #[component(name = "times")]
    Times(Vec<u64>),
    #[component(name = "timestamps")]
    Timestamps(Vec<i64>),
    #[component(name = "offset-timestamps")]
    OffsetTimestamps(OffsetTimestampColumn),
    #[component(name = "guids")]
    Guids(Vec<u8>),
    #[component(name = "others")]
    Others(OtherColumn),
}

#[derive(Clone, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct DecimalColumn {
    pub scale: u8,
    pub low: Vec<u64>,
    pub high: Vec<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct PackedColumn {
    pub offsets: Vec<u32>,
    pub bytes: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct OffsetTimestampColumn {
    pub utc: Vec<i64>,
    #[component(name = "offset-minutes")]
    pub offset_minutes: Vec<i16>,
}

#[derive(Clone, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct OtherColumn {
    #[component(name = "sql-type")]
    pub sql_type: String,
    pub texts: PackedColumn,
}

#[derive(Clone, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(variant)]
pub(crate) enum Value {
    #[component(name = "null")]
    Null,
    #[component(name = "boolean")]
    Boolean(bool),
    #[component(name = "integer")]
    Integer(i64),
    #[component(name = "float")]
    Float(f64),
    #[component(name = "decimal")]
    Decimal(Decimal),
    #[component(name = "text")]
    Text(String),
    #[component(name = "binary")]
    Binary(Vec<u8>),
    #[component(name = "date")]
    Date(i32),
    #[component(name = "time")]
    Time(u64),
    #[component(name = "timestamp")]
    Timestamp(i64),
    #[component(name = "offset-timestamp")]
    OffsetTimestamp(OffsetTimestamp),
    #[component(name = "guid")]
    Guid(Vec<u8>),
    #[component(name = "other")]
    Other(Other),
}

#[derive(Clone, Copy, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Decimal {
    pub scale: u8,
    pub low: u64,
    pub high: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct OffsetTimestamp {
    pub utc: i64,
    #[component(name = "offset-minutes")]
    pub offset_minutes: i16,
}

#[derive(Clone, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Other {
    #[component(name = "sql-type")]
    pub sql_type: String,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, ComponentType, Lift, Lower)]
#[component(record)]
pub(crate) struct Cell {
    pub column: String,
    pub value: Value,
}

#[allow(dead_code, reason = "made by lifting only, which the compiler does not see")]
#[derive(Clone, Copy, Debug, PartialEq, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum Verdict {
    #[component(name = "keep")]
    Keep,
    #[component(name = "drop")]
    Drop,
    #[component(name = "refuse")]
    Refuse,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct Answer {
    pub verdicts: Vec<Verdict>,
    pub reasons: Vec<String>,
    pub changes: Vec<Change>,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
pub(crate) struct Change {
    pub column: u32,
    pub rows: Vec<u32>,
    pub values: Column,
}

#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(crate) struct Conflict {
    pub table: String,
    pub key: Vec<Cell>,
    pub columns: Vec<String>,
    pub base: Option<Vec<Value>>,
    pub channel: Option<Vec<Value>>,
    pub offline: Option<Vec<Value>>,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(variant)]
pub(crate) enum Resolution {
    #[component(name = "take-channel")]
    TakeChannel,
    #[component(name = "take-offline")]
    TakeOffline,
    #[component(name = "merged")]
    Merged(Vec<Cell>),
    #[component(name = "deferred")]
    Deferred(String),
}

#[allow(dead_code, reason = "made by lifting only, which the compiler does not see")]
#[derive(Clone, Copy, Debug, PartialEq, ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
pub(crate) enum Level {
    #[component(name = "info")]
    Info,
    #[component(name = "warning")]
    Warning,
}

/// What the four exported functions take and give.
pub(crate) type DescribeResult = (Result<Vec<TableUse>, String>,);
pub(crate) type TransformParams<'a> = (&'a Context, &'a str, u32, &'a [Column]);
pub(crate) type TransformResult = (Result<Answer, String>,);
pub(crate) type ResolveParams<'a> = (&'a Context, &'a [Conflict]);
pub(crate) type ResolveResult = (Result<Vec<Resolution>, String>,);
