//! A register's offline database as it lies there when its channel has gone: made once, opened anew for every input.

use crate::channel::{counted, every_type, link};
use crate::embedded::{log_in, say};
use crate::outside::{Outside, folder};
use crate::tds::batch;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use tillhold::outside::House;
use tillhold_channel::Link;
use tillhold_channel::prepare::{PrepareOptions, Prepared, prepare};
use tillhold_core::profile::{Capture, Direction};
use tillhold_embedded::{Engine, Server, ServerOptions};
use tillhold_env::{BoxFuture, BoxStream, Env, Listener, Network};

pub const JOURNAL: &str = "journal.db";
pub const CATALOGUE: &str = "catalogue.db";

const SETTINGS: &str = "store = 'S1'\nregister = '1'\n[channel]\nhost = 'channel'\ndatabase = 'Channel'\nuser = 'till'\n\
                        password = 'till'\npassword_in_clear = true\nencryption = 'off'\n";
const PROFILE: &str = "write_path = 'local-first'\n\
                       [[scope]]\nname = 'Every'\ndirection = 'bidirectional'\ntables = ['dbo.EVERYTYPE']\n\
                       [[scope]]\nname = 'Counted'\ndirection = 'download'\ntables = ['dbo.COUNTED']\n";

/// Rows of head office.
pub const ROWS: &str = "
INSERT INTO [dbo].[EVERYTYPE] VALUES (1, 1, 255, -32768, 9223372036854775807, -1.5, 12.3456, -0.0001, 1.5e10, 0.25, '2026-02-28', '23:59:59.123', '2026-02-28 23:59:59.997', '2026-02-28 23:59:00', '9999-12-31 23:59:59.9999999', '2026-01-01 00:00:00 +02:00', '00112233-4455-6677-8899-aabbccddeeff', 'abcd', N'efgh', 'text', 'long', N'text', N'long', 'old', N'old', 0x00FF00FF, 0x01, 0x02, 0x03);
INSERT INTO [dbo].[EVERYTYPE] ([ID]) VALUES (2);
INSERT INTO [dbo].[COUNTED] ([ID], [NAME]) VALUES (1, N'one');";

pub const SALE: &str = "/v1/transactions/00000000-0000-4000-8000-000000000001";

/// The journal and the catalogue.
pub fn files() -> &'static [Vec<u8>; 2] {
    static FILES: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    FILES.get_or_init(|| {
        let (outside, at) = (Outside::new(), folder());
        let (env, cable) = (outside.env.clone(), outside.cable.clone());
        let place = at.path().to_path_buf();
        outside.run(async move {
            let engine = Engine::open(&env, &place.join("channel.db")).expect("an engine");
            engine.create_login("till", "till", true).expect("a login");
            engine.create_tables(&[every_type(), counted()]).expect("tables");
            let server = Server::start(&env, engine, ServerOptions::default());
            let _gate = server.listen(([127, 0, 0, 1], 1).into()).await.expect("a gate");
            made_ready(&mut link(&env)).await;
            let mut office = cable.connect();
            assert!(log_in(&mut office).await && say(&mut office, &batch(ROWS)).await, "no rows");
            let house = open(&env, &place, None).await.expect("a register");
            house.fill().await.expect("a first load");
            house.close().await.expect("an end");
            // Opened again it knows that it has rows.
            let house = open(&env, &place, None).await.expect("a register");
            let sale = br#"{"rows": [{"table": "dbo.EVERYTYPE", "operation": "insert", "values": {"ID": 3, "A_MONEY": "1.5"}}]}"#;
            let answer = house.ask("PUT", SALE, sale.to_vec()).await.expect("an answer");
            assert!(answer.status < 300, "{answer:?}");
            house.close().await.expect("an end");
        });
        let read = |name| std::fs::read(at.path().join("offline").join(name)).expect("a file");
        [read(JOURNAL), read(CATALOGUE)]
    })
}

/// The channel's own tables made, and what changes from here on noted.
pub async fn made_ready(link: &mut Link) {
    let (every, counted) = (every_type(), counted());
    let travelling = [every.travelling(&[]), counted.travelling(&[])];
    let prepared: Vec<Prepared<'_>> = [&every, &counted]
        .into_iter()
        .zip(&travelling)
        .map(|(table, travelling)| Prepared {
            table,
            travelling,
            direction: Direction::Bidirectional,
        })
        .collect();
    let options = PrepareOptions { capture: Capture::ChangeTracking, ..PrepareOptions::default() };
    prepare(link, &prepared, &options).await.expect("a prepared channel");
}

/// With its settings written, and these two files where there are some.
pub async fn open(env: &Env, folder: &Path, files: Option<[&[u8]; 2]>) -> Result<House, String> {
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.join(name), bytes).expect("a file of the register");
    };
    write("register.toml", SETTINGS.as_bytes());
    write("profile.toml", PROFILE.as_bytes());
    if let Some([journal, catalogue]) = files {
        std::fs::create_dir_all(folder.join("offline")).expect("a folder");
        write(&format!("offline/{JOURNAL}"), journal);
        write(&format!("offline/{CATALOGUE}"), catalogue);
    }
    House::open(env, &folder.join("register.toml")).await.map_err(|error| format!("{error:#}"))
}

/// The environment of a register whose channel is out of reach.
pub fn cut_off(env: &Env) -> Env {
    Env { network: Arc::new(NoNetwork), ..env.clone() }
}

struct NoNetwork;

impl Network for NoNetwork {
    fn connect<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async { Err(io::ErrorKind::ConnectionRefused.into()) })
    }

    fn listen(&self, _: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async { Err(io::ErrorKind::AddrNotAvailable.into()) })
    }
}
