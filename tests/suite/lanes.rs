//! A pull that stands still is the pull's own trouble: probes, sales and reads have other connections.

use crate::harness::{Stage, proof};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tillhold_env::{BoxStream, Env};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::sync::watch;

/// More than a probe, a sale's answer or a read brings; a pull of all customers brings several times that.
const A_PULLS_BYTES: usize = 128 << 10;
const LIMIT: Duration = Duration::from_secs(120);

/// A way to the channel that can stop in the middle of a long answer, on that one connection, for ever.
#[derive(Clone)]
struct Way {
    env: Env,
    to: SocketAddr,
    armed: Arc<AtomicBool>,
    stalled: watch::Sender<bool>,
    released: watch::Sender<bool>,
}

impl Way {
    async fn open(to: SocketAddr) -> (Way, SocketAddr) {
        let env = Env::real();
        let listener = env.network.listen(([127, 0, 0, 1], 0).into()).await.expect("a listener");
        let (armed, stalled, released) =
            (Arc::default(), watch::Sender::new(false), watch::Sender::new(false));
        let way = Way { env: env.clone(), to, armed, stalled, released };
        let (own, address) = (way.clone(), listener.address().expect("an address"));
        env.spawn(async move {
            while let Ok((register, _)) = listener.accept().await {
                let way = own.clone();
                own.env.spawn(async move { way.carry(register).await });
            }
        });
        (way, address)
    }

    async fn carry(self, register: BoxStream) {
        let (host, port) = (self.to.ip().to_string(), self.to.port());
        let Ok(channel) = self.env.network.connect(&host, port).await else { return };
        let (mut from_register, to_register) = tokio::io::split(register);
        let (from_channel, mut to_channel) = tokio::io::split(channel);
        tokio::select! {
            _ = tokio::io::copy(&mut from_register, &mut to_channel) => {}
            () = self.carry_answers(from_channel, to_register) => {}
        }
    }

    async fn carry_answers(&self, mut from: ReadHalf<BoxStream>, mut to: WriteHalf<BoxStream>) {
        let mut carried = 0;
        let mut buffer = vec![0; 16 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            if self.armed.load(Ordering::Acquire) {
                carried += count;
            }
            if carried > A_PULLS_BYTES && !self.stalled.send_replace(true) {
                let _ = self.released.subscribe().wait_for(|released| *released).await;
                return;
            }
            if to.write_all(&buffer[..count]).await.is_err() {
                return;
            }
        }
    }
}

/// The channel by another way, and every scope pulled every second.
async fn on_a_way_that_can_stall(customers: u64) -> (Stage, Way) {
    let stage = Stage::prepared(customers).await;
    let often = "UPDATE [ax].[RETAILOFFLINESCOPE] SET [SYNCFREQUENCY] = 1;";
    assert!(stage.rehearsal.office(often).expect("frequencies") > 0);
    let file = stage.rehearsal.config();
    let text = std::fs::read_to_string(&file).expect("the register's settings");
    let line = text.lines().find(|line| line.starts_with("port = ")).expect("a port");
    let port: u16 = line["port = ".len()..].parse().expect("a number");
    let (way, address) = Way::open(([127, 0, 0, 1], port).into()).await;
    let text = text.replace(line, &format!("port = {}", address.port()));
    std::fs::write(&file, text).expect("changed settings");
    (stage, way)
}

#[test]
fn a_pull_that_stalls_for_ever_delays_no_sale_and_no_read() {
    proof(async {
        let (mut stage, way) = on_a_way_that_can_stall(3_500).await;
        stage.start().await;
        stage.rehearsal.sell(1).await.expect("a sale");
        way.armed.store(true, Ordering::Release);
        let all = "UPDATE [ax].[CUSTTABLE] SET [TAXLICENSENUM] = N'moved';";
        assert!(stage.rehearsal.office(all).expect("changes") >= 3_500);
        let mut stalled = way.stalled.subscribe();
        let stalling = tokio::time::timeout(LIMIT, stalled.wait_for(|stalled| *stalled)).await;
        stalling.expect("no long answer was met").expect("the way is open");

        stage.rehearsal.sell(5).await.expect("sales beside the stalled pull");
        assert_eq!(stage.rehearsal.sold.len(), 6);
        assert!(stage.rehearsal.sold.iter().all(|sold| sold.committed == "channel"));
        let read = stage.rehearsal.get("/v1/tables/ax.CUSTTABLE/rows?limit=3").await;
        let read = read.expect("rows").body;
        assert_eq!(read["source"], "channel", "{read}");
        let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        assert_eq!(status["state"], "online", "{status}");

        way.released.send_replace(true);
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}
