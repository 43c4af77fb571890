//! The wire against clients: tiberius, a raw one, and hostile ones; behind it an engine of a few words.

mod answers;
mod bulk;
mod calls;
mod doors;
mod faults;
mod raw;
mod toy;
mod whole;

use crate::{Gate, Server, ServerOptions, TlsIdentity};
use raw::Raw;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tiberius::{AuthMethod, Client, ColumnData, Config, EncryptionLevel};
use tillhold_core::moment::{EPOCH_DAYS, OffsetTimestamp, TICKS_PER_SECOND, Time, Timestamp};
use tillhold_core::types::SqlType;
use tillhold_core::value::{Decimal, Value};
use tillhold_core::{moment, text};
use tillhold_env::{BoxStream, Env};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};
use toy::{Log, Toy};

pub type TestClient = Client<Compat<BoxStream>>;

/// A running server with one gate.
pub struct House {
    pub env: Env,
    pub server: Server,
    pub gate: Gate,
    pub log: Arc<Log>,
    /// Keeps the certificate's folder.
    _folder: tempfile::TempDir,
    pub certificate: PathBuf,
}

impl House {
    pub async fn open() -> House {
        House::with(|options| options).await
    }

    pub async fn with(change: impl FnOnce(ServerOptions) -> ServerOptions) -> House {
        let env = Env::real();
        let folder = tempfile::tempdir().expect("a folder");
        let identity = TlsIdentity::kept_in(folder.path()).expect("an identity");
        let certificate = identity.certificate().to_path_buf();
        let engine = Toy::default();
        let log = engine.log.clone();
        let options = ServerOptions { tls: Some(identity), ..ServerOptions::default() };
        let server = Server::start(&env, engine, change(options));
        let gate = server.listen(([127, 0, 0, 1], 0).into()).await.expect("a free port");
        House { env, server, gate, log, _folder: folder, certificate }
    }

    pub fn config(&self, encryption: EncryptionLevel) -> Config {
        self.config_trusting(encryption, &self.certificate)
    }

    pub fn config_trusting(&self, encryption: EncryptionLevel, certificate: &Path) -> Config {
        let mut config = Config::new();
        config.host("127.0.0.1");
        config.port(self.gate.address().port());
        config.authentication(AuthMethod::sql_server("sa", "right"));
        config.encryption(encryption);
        config.trust_cert_ca(certificate.display());
        config.command_timeout(Some(Duration::from_secs(60)));
        config
    }

    pub async fn stream(&self) -> std::io::Result<BoxStream> {
        self.env.network.connect("127.0.0.1", self.gate.address().port()).await
    }

    pub async fn connect(&self, config: Config) -> tiberius::Result<TestClient> {
        let stream = self.stream().await?;
        Client::connect(config, stream.compat()).await
    }

    pub async fn raw(&self) -> Raw {
        Raw::log_in(self.stream().await.expect("a connection")).await
    }

    pub async fn client(&self) -> TestClient {
        self.connect(self.config(EncryptionLevel::NotSupported)).await.expect("a login")
    }
}

pub async fn count_rows(client: &mut TestClient, sql: &str) -> tiberius::Result<usize> {
    Ok(client.simple_query(sql).await?.into_first_result().await?.len())
}

/// The number of the server's refusal.
pub fn number<T>(outcome: tiberius::Result<T>) -> Option<u32> {
    match outcome {
        Err(tiberius::error::Error::Server(error)) => Some(error.code()),
        _ => None,
    }
}

/// What a client received, as canonical text of the column's type.
pub fn received(cell: &ColumnData<'_>, of: SqlType) -> Option<String> {
    text::canonical(&value(cell), of)
}

fn value(cell: &ColumnData<'_>) -> Value {
    let or_null = |value: Option<Value>| value.unwrap_or(Value::Null);
    or_null(match cell {
        ColumnData::U8(v) => v.map(|n| Value::Int(n.into())),
        ColumnData::I16(v) => v.map(|n| Value::Int(n.into())),
        ColumnData::I32(v) => v.map(|n| Value::Int(n.into())),
        ColumnData::I64(v) => v.map(Value::Int),
        ColumnData::F32(v) => v.map(|n| Value::Float(n.into())),
        ColumnData::F64(v) => v.map(Value::Float),
        ColumnData::Bit(v) => v.map(Value::Bool),
        ColumnData::String(v) => v.as_ref().map(|text| Value::Text(text.to_string())),
        ColumnData::Guid(v) => v.map(|guid| Value::Guid(*guid.as_bytes())),
        ColumnData::Binary(v) => v.as_ref().map(|bytes| Value::Bytes(bytes.to_vec())),
        ColumnData::Numeric(v) => v.map(|n| {
            Value::Decimal(Decimal::new(n.value(), n.scale()).expect("38 digits at most"))
        }),
        ColumnData::Xml(v) => v.as_ref().map(|xml| Value::Text(xml.to_string())),
        ColumnData::DateTime(v) => v.map(|d| {
            let fraction = i64::from(d.seconds_fragments());
            let ticks = fraction / 300 * TICKS_PER_SECOND
                + (fraction % 300 * 10 + 1) / 3 * (TICKS_PER_SECOND / 1_000);
            since_1900(d.days().into(), ticks)
        }),
        ColumnData::SmallDateTime(v) => v.map(|d| {
            since_1900(d.days().into(), i64::from(d.seconds_fragments()) * 60 * TICKS_PER_SECOND)
        }),
        ColumnData::Time(v) => v.map(|t| Value::Time(time(t))),
        ColumnData::Date(v) => v.map(|d| Value::Date(date(d))),
        ColumnData::DateTime2(v) => {
            v.map(|d| Value::Timestamp(Timestamp::new(date(d.date()), time(d.time()))))
        }
        ColumnData::DateTimeOffset(v) => v.map(|d| {
            let utc = Timestamp::new(date(d.datetime2().date()), time(d.datetime2().time()));
            Value::OffsetTimestamp(OffsetTimestamp { utc, offset_minutes: d.offset() })
        }),
    })
}

fn since_1900(days: i64, ticks: i64) -> Value {
    Value::Timestamp(Timestamp((days + 693_595) * moment::TICKS_PER_DAY + ticks))
}

fn time(time: tiberius::time::Time) -> Time {
    Time(time.increments() * 10u64.pow(7 - u32::from(time.scale())))
}

fn date(date: tiberius::time::Date) -> moment::Date {
    moment::Date((i64::from(date.days()) - EPOCH_DAYS) as i32)
}
