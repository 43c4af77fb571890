//! `tillhold channel serve`: the embedded channel, with faults on command.
//!
//! * stdout has the address, then with `--faults` one answer for each order that comes on stdin.
//! * Ctrl-C and SIGTERM let requests in work end first. The end of stdin ends nothing.

use super::Done;
use super::run::stop_signal;
use crate::report;
use crate::settings::password::PasswordPlace;
use clap::Args;
use std::io::{BufRead as _, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use tillhold_core::limits::TDS_ORDER_BYTES_MAX;
use tillhold_embedded::orders::Stand;
use tillhold_embedded::{Engine, Server, ServerOptions};
use tillhold_env::{Env, outln};
use tokio::sync::mpsc;

#[derive(Args)]
pub struct ServeArgs {
    /// The SQLite file; made when it is not there
    #[arg(long, value_name = "FILE")]
    db: PathBuf,
    #[arg(long, default_value_t = 1433)]
    port: u16,
    /// A login to make or to give this password: NAME, with the password in --password-file
    #[arg(long, value_name = "NAME", requires = "password_file")]
    login: Option<String>,
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Take orders to fail from stdin, one a line; "help" lists them
    #[arg(long)]
    faults: bool,
}

pub async fn serve(env: &Env, args: ServeArgs) -> anyhow::Result<Done> {
    let engine = Engine::open(env, &args.db)?;
    if let (Some(login), Some(password)) = (&args.login, &args.password_file) {
        let password = PasswordPlace::File(password.clone()).read()?;
        engine.create_login(login, password.reveal(), true)?;
    }
    let server = Server::start(env, engine.clone(), ServerOptions::beside(&args.db)?);
    let gate = server.listen(SocketAddr::from(([127, 0, 0, 1], args.port))).await?;
    outln!("{}", gate.address());
    report::line(
        env,
        &format!("the embedded channel serves {} on {}", args.db.display(), gate.address()),
    );
    if args.faults {
        let stand = Stand { env: env.clone(), gate, engine: engine.clone() };
        env.spawn(obey(stand, orders(env)?));
    }
    // Ends with the process: what was answered is on disk.
    stop_signal().await;
    server.stop().await?;
    if let Some(Err(error)) = env.blocking("fold up", move || engine.fold_up()).await {
        report::line(env, &error.to_string());
    }
    report::line(env, "stopped");
    Ok(Done::Yes)
}

async fn obey(stand: Stand, mut orders: mpsc::Receiver<String>) {
    while let Some(order) = orders.recv().await {
        let answer = stand.obey(&order).await;
        // Whoever does not listen any more may still give orders.
        let _ = writeln!(std::io::stdout(), "{answer}");
    }
}

/// The lines of stdin. They are read on a thread of its own that does not keep the program from ending.
fn orders(env: &Env) -> std::io::Result<mpsc::Receiver<String>> {
    let (send, orders) = mpsc::channel(1);
    let read = move || {
        let mut stdin = std::io::stdin().lock();
        let mut line = Vec::new();
        // What is too long comes as more lines than one, and is refused by its length.
        let most = TDS_ORDER_BYTES_MAX as u64 + 2;
        while matches!(stdin.by_ref().take(most).read_until(b'\n', &mut line), Ok(1..)) {
            let order = String::from_utf8_lossy(&line).trim_end().to_string();
            if send.blocking_send(order).is_err() {
                return;
            }
            line.clear();
        }
    };
    env.tasks.thread("orders".to_string(), Box::new(read))?;
    Ok(orders)
}
