//! Against the embedded channel: every statement runs, and the rules of change capture and upload hold.
//!
//! Each test is named for what would be lost without its rule; tests/suite/tracking_rules.rs has the rules
//! of change tracking by their numbers.

mod altered;
mod batches;
mod claims;
mod filters;
mod first_load;
mod numbering;
mod passes;
mod preparing;
mod publishing;
mod pushing;
mod refusals;
mod reporting;
mod rights;
mod selecting;
mod triggers;

use crate::capture::{Captured, Followed, Pass, own_context, start};
use crate::config::{ChannelConfig, Encryption, Secret};
use crate::error::ChannelError;
use crate::link::{Ask, Link};
use crate::prepare::{PrepareOptions, Prepared, prepare};
use crate::snapshot::page;
use crate::upload::{Outgoing, upload, upload_altered};
use std::sync::Arc;
use tillhold_core::limits::PULL_PAGE_ROWS_MAX;
use tillhold_core::profile::{Capture, Direction, ScopeTable};
use tillhold_core::row::{Key, Row};
use tillhold_core::table::Table;
use tillhold_core::transaction::{Operation, Receipt, Transaction, Write};
use tillhold_core::value::Value;
use tillhold_core::version::{ChannelVersion, Incarnation, Position};
use tillhold_embedded::{Engine, Gate, Server, ServerOptions};
use tillhold_env::Env;

const INCARNATION: Incarnation = Incarnation([7; 16]);

/// Two tables of a shop: prices with a key of two columns, cards with one of text.
struct Shop {
    capture: Capture,
    gate: Gate,
    env: Env,
    _server: Server,
    _folder: tempfile::TempDir,
}

const TABLES: &str = "
CREATE TABLE [dbo].[PRICES] ([ITEM] bigint NOT NULL, [UNIT] nvarchar(10) COLLATE SQL_Latin1_General_CP1_CI_AS NOT NULL, [AMOUNT] numeric(32,16) NOT NULL DEFAULT ((0)), [ROWVERSION] timestamp NOT NULL, CONSTRAINT [PK_PRICES] PRIMARY KEY CLUSTERED ([ITEM], [UNIT]));
CREATE TABLE [dbo].[CARDS] ([CARD] nvarchar(20) COLLATE SQL_Latin1_General_CP1_CI_AS NOT NULL, [POINTS] int NOT NULL DEFAULT ((0)), [NOTE] nvarchar(10) COLLATE SQL_Latin1_General_CP1_CI_AS NULL, [COUNTER] int IDENTITY(1,1) NOT NULL, [ROWVERSION] timestamp NOT NULL, CONSTRAINT [PK_CARDS] PRIMARY KEY CLUSTERED ([CARD]));
";

impl Shop {
    /// With its tables, and nothing prepared.
    async fn bare() -> Shop {
        let env = Env::real();
        let folder = tempfile::tempdir().expect("a folder");
        let engine = Engine::open(&env, &folder.path().join("channel.db")).expect("an engine");
        engine.create_login("office", "office", true).expect("a login");
        engine.create_login("till", "till", false).expect("a login");
        let server = Server::start(&env, engine, ServerOptions::default());
        let gate = server.listen(([127, 0, 0, 1], 0).into()).await.expect("a gate");
        let shop =
            Shop { capture: Capture::default(), gate, env, _server: server, _folder: folder };
        run(&mut shop.office(), TABLES).await;
        shop
    }

    async fn open() -> Shop {
        Shop::by(Capture::ChangeTracking).await
    }

    /// One by each capture method: what holds for one must hold for the other.
    async fn both() -> [Shop; 2] {
        [Shop::by(Capture::ChangeTracking).await, Shop::by(Capture::Triggers).await]
    }

    /// Prepared for a capture method, and for no other.
    async fn by(capture: Capture) -> Shop {
        let shop = Shop { capture, ..Shop::bare().await };
        let (prices, cards) = (prices_whole(), cards_whole());
        shop.prepare(&[&prices, &cards]).await;
        shop
    }

    async fn prepare(&self, tables: &[&Table]) {
        let travelling: Vec<Table> = tables.iter().map(|table| table.travelling(&[])).collect();
        let one = |(table, travelling)| Prepared {
            table,
            travelling,
            direction: Direction::Bidirectional,
        };
        let prepared: Vec<Prepared<'_>> =
            tables.iter().copied().zip(&travelling).map(one).collect();
        let options = PrepareOptions { capture: self.capture, ..options() };
        prepare(&mut self.office(), &prepared, &options).await.expect("a prepared channel");
    }

    fn link(&self, user: &str) -> Link {
        let port = self.gate.address().port();
        let mut config = ChannelConfig::new("127.0.0.1", port, "", user, Secret::new(user));
        config.encryption = Encryption::Off;
        config.capture = self.capture;
        Link::new(&self.env, Arc::new(config))
    }

    fn office(&self) -> Link {
        self.link("office")
    }

    fn till(&self) -> Link {
        self.link("till")
    }

    /// What the channel holds of a table, in key order.
    async fn rows(&self, table: &Table) -> Vec<Row> {
        let page = page(&mut self.office(), table, None, 10_000).await.expect("rows");
        assert_eq!(page.refused, []);
        page.rows
    }

    async fn version(&self) -> ChannelVersion {
        self.start(&cards()).await.1.version
    }

    /// Where a load of the table would begin.
    async fn start(&self, table: &Arc<Table>) -> ([u8; 16], Position) {
        start(&mut self.till(), self.capture, table).await.expect("a position")
    }

    /// As a register follows it that has read it up to `version`.
    async fn followed(&self, table: Arc<Table>, version: ChannelVersion) -> Followed {
        let (_, position) = self.start(&table).await;
        let entry = ScopeTable::whole(table.name.clone());
        let position = Position { version, ..position };
        Followed { table, entry, filter: None, position, restricted: None }
    }

    async fn begin<'a>(
        &self,
        link: &'a mut Link,
        epochs_known: &[[u8; 16]],
        own: Vec<u8>,
        tables: &[Followed],
    ) -> Result<Pass<'a>, ChannelError> {
        Pass::begin(link, self.capture, epochs_known, own, tables).await
    }

    /// Everything that changed since, and the version it reaches.
    async fn changes(
        &self,
        table: &Arc<Table>,
        from: ChannelVersion,
    ) -> Result<(Vec<Captured>, ChannelVersion), ChannelError> {
        let mut till = self.till();
        let tables = [self.followed(table.clone(), from).await];
        let mut pass = self.begin(&mut till, &[], own_context(INCARNATION), &tables).await?;
        let mut changes = Vec::new();
        while let Some(page) = pass.page(0).await? {
            assert!(page.changes.len() <= PULL_PAGE_ROWS_MAX, "a page of {}", page.changes.len());
            assert_eq!(page.refused, []);
            changes.extend(page.changes);
        }
        let reached = pass.reached();
        pass.finish().await?;
        Ok((changes, reached))
    }

    async fn upload(&self, transactions: &[Transaction]) -> Vec<Receipt> {
        let sent = upload(&mut self.till(), "S1-1", INCARNATION, transactions).await;
        sent.expect("receipts")
    }

    async fn upload_altered(&self, transaction: &Transaction, altered: &[usize]) -> Receipt {
        let mut till = self.till();
        let outgoing = [Outgoing { altered, ..Outgoing::plain(transaction) }];
        let sent = upload_altered(&mut till, "S1-1", INCARNATION, &outgoing).await;
        sent.expect("a receipt").remove(0)
    }
}

fn options() -> PrepareOptions {
    PrepareOptions { members: vec!["till".to_string()], ..PrepareOptions::default() }
}

/// Plain T-SQL as head office.
async fn run(link: &mut Link, sql: &str) {
    link.ask(Ask::of_a_test(sql)).await.expect(sql);
}

fn prices_whole() -> Table {
    crate::sample::table(
        "dbo.PRICES",
        &["ITEM bigint", "UNIT nvarchar(10)", "AMOUNT numeric(32,16)", "ROWVERSION timestamp"],
        &["ITEM", "UNIT"],
    )
}

fn cards_whole() -> Table {
    crate::sample::table(
        "dbo.CARDS",
        &[
            "CARD nvarchar(20)",
            "POINTS int",
            "NOTE nvarchar(10) null",
            "COUNTER int identity",
            "ROWVERSION timestamp",
        ],
        &["CARD"],
    )
}

fn prices() -> Arc<Table> {
    Arc::new(prices_whole().travelling(&[]))
}

fn cards() -> Arc<Table> {
    Arc::new(cards_whole().travelling(&[]))
}

fn card(card: &str, points: i64, note: Option<&str>) -> Row {
    let note = note.map_or(Value::Null, |note| Value::Text(note.to_string()));
    Row(vec![Value::Text(card.to_string()), Value::Int(points), note])
}

fn card_key(card: &str) -> Key {
    Key(vec![Value::Text(card.to_string())])
}

/// A write to CARDS as the register has seen it at `version`.
fn wrote(base: Option<Row>, offline: Option<Row>, version: ChannelVersion) -> Write {
    let operation = match (&base, &offline) {
        (None, _) => Operation::Insert,
        (Some(_), Some(_)) => Operation::Update,
        (Some(_), None) => Operation::Delete,
    };
    let row = offline.as_ref().or(base.as_ref()).expect("one side at least");
    let (table, key) = (cards(), row.key(&cards()));
    Write { table, operation, key, base, offline, base_version: version }
}

fn transaction(number: u8, writes: Vec<Write>) -> Transaction {
    crate::upload::payload::tests::transaction(number, writes)
}
