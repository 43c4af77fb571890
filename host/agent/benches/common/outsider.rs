//! A client of the channel that is not the agent's.

use super::{DATABASE, Fallible, PASSWORD, USER};
use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tillhold_core::row::Row;
use tillhold_core::table::Table;
use tillhold_core::text as canon;
use tillhold_core::value::Value;
use tillhold_env::{BoxStream, Env};
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt as _};

pub type Outsider = Client<Compat<BoxStream>>;

pub async fn connect(env: &Env, port: u16, certificate: &str) -> Fallible<Outsider> {
    let mut config = Config::new();
    config.host("127.0.0.1");
    config.port(port);
    config.database(DATABASE);
    config.authentication(AuthMethod::sql_server(USER, PASSWORD));
    config.encryption(EncryptionLevel::Required);
    config.trust_cert_ca(certificate);
    // A ceiling may take as long as it does.
    config.command_timeout(None);
    let stream = env.network.connect("127.0.0.1", port).await?;
    Ok(Client::connect(config, stream.compat_write()).await?)
}

/// A batch that inserts these rows in one transaction.
pub fn inserting(rows: &[(&Table, Row)]) -> String {
    let mut sql = String::from("SET XACT_ABORT ON; BEGIN TRANSACTION;\n");
    for (table, row) in rows {
        let cells: Vec<String> =
            row.0.iter().enumerate().map(|(at, value)| cell(table, at, value)).collect();
        sql += &format!("INSERT INTO {} VALUES ({});\n", table.name.bracketed(), cells.join(", "));
    }
    sql + "COMMIT;"
}

fn cell(table: &Table, at: usize, value: &Value) -> String {
    let text = canon::canonical(value, table.columns[at].of);
    match (value, text) {
        (_, None) => "NULL".to_string(),
        (Value::Int(_) | Value::Decimal(_), Some(number)) => number,
        (_, Some(text)) => format!("N'{}'", text.replace('\'', "''")),
    }
}
