//! A named session of a case: plain T-SQL batches, and everything that they answer as text.
//!
//! * `[A | B]` is a result set's columns, its rows follow; `error 2627` is the first error of the answer.
//! * Messages' words are not compared: only their numbers are documented.

use crate::place::{Account, Address};
use crate::values::{cell_text, shown};
use futures_util::TryStreamExt;
use tiberius::{AuthMethod, Client, Column, Config, EncryptionLevel, QueryItem};
use tillhold_channel::{Encryption, Trust};
use tillhold_env::{BoxStream, Env};
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

pub struct Session {
    client: Client<Compat<BoxStream>>,
}

impl Session {
    pub async fn open(
        env: &Env,
        address: &Address,
        account: &Account,
    ) -> Result<Session, tiberius::error::Error> {
        let stream = env.network.connect(&address.host, address.port).await?;
        let config = configured(address, account);
        let client = Client::connect(config, stream.compat_write()).await?;
        Ok(Session { client })
    }

    pub async fn run(&mut self, sql: &str, with_types: bool) -> String {
        let mut lines = Vec::new();
        if let Err(error) = self.collect(sql, with_types, &mut lines).await {
            // Whether the columns are announced before the first row fails is not documented.
            if lines.last().is_some_and(|line| line.starts_with('[')) {
                lines.pop();
            }
            lines.push(refusal(&error));
        }
        lines.join("\n")
    }

    async fn collect(
        &mut self,
        sql: &str,
        with_types: bool,
        lines: &mut Vec<String>,
    ) -> tiberius::Result<()> {
        let mut answer = self.client.simple_query(sql).await?;
        while let Some(item) = answer.try_next().await? {
            match item {
                QueryItem::Metadata(set) => {
                    lines.push(heading(set.columns(), with_types));
                }
                QueryItem::Row(row) => {
                    let cells: Vec<String> = row.cells().map(|(_, c)| cell_text(c)).collect();
                    lines.push(cells.join(" | "));
                }
            }
        }
        Ok(())
    }
}

fn heading(columns: &[Column], with_types: bool) -> String {
    let one = |column: &Column| match with_types {
        true => format!("{} {:?}", column.name(), column.column_type()),
        false => shown(column.name()),
    };
    format!("[{}]", columns.iter().map(one).collect::<Vec<_>>().join(" | "))
}

/// A server's error by its number, anything else by its words.
pub fn refusal(error: &tiberius::error::Error) -> String {
    match error {
        tiberius::error::Error::Server(error) => format!("error {}", error.code()),
        other => format!("broken: {other}"),
    }
}

fn configured(address: &Address, account: &Account) -> Config {
    let mut config = Config::new();
    config.host(&address.host);
    config.port(address.port);
    config.database(&address.database);
    config.application_name("tillhold conformance");
    config.authentication(AuthMethod::sql_server(&account.user, &account.password));
    config.encryption(match address.encryption {
        Encryption::Off => EncryptionLevel::NotSupported,
        Encryption::LoginOnly => EncryptionLevel::Off,
        _ => EncryptionLevel::Required,
    });
    match &address.trust {
        Trust::CertificateFile(path) => config.trust_cert_ca(path.display()),
        Trust::AnyCertificate => config.trust_cert(),
        _ => {}
    }
    config
}
