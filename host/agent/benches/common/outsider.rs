//! A client of the channel that is not the agent's.

use super::{DATABASE, Fallible, PASSWORD, USER};
use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
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
