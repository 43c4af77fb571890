//! Logging in, TLS, limits, cutting and stopping.

use super::{House, count_rows, number};
use crate::TlsIdentity;
use std::io::ErrorKind;
use tiberius::{AuthMethod, EncryptionLevel};
use tokio::io::AsyncReadExt as _;

#[tokio::test]
async fn wrong_logins_are_refused_with_their_numbers() {
    let house = House::open().await;
    for encryption in
        [EncryptionLevel::NotSupported, EncryptionLevel::Off, EncryptionLevel::Required]
    {
        for (user, password, database, expected) in [
            ("sa", "wrong", "toys", 18_456),
            ("stranger", "right", "toys", 18_456),
            ("sa", "right", "nowhere", 4_060),
        ] {
            let mut config = house.config(encryption);
            config.authentication(AuthMethod::sql_server(user, password));
            config.database(database);
            let refused = house.connect(config).await.map(drop);
            assert_eq!(number(refused), Some(expected), "{user} under {encryption:?}");
        }
    }
}

#[tokio::test]
async fn a_certificate_must_be_trusted_and_lasts() {
    let house = House::open().await;
    let other = House::open().await;
    let config = house.config_trusting(EncryptionLevel::Required, &other.certificate);
    assert!(house.connect(config).await.is_err(), "a stranger's certificate was trusted");

    let folder = house.certificate.parent().expect("a folder");
    let before = std::fs::read(&house.certificate).expect("the certificate");
    crate::ServerOptions::beside(&folder.join("channel.db")).expect("the same identity");
    assert_eq!(std::fs::read(&house.certificate).expect("the certificate"), before);

    std::fs::write(&house.certificate, "no PEM").expect("written");
    let refused = TlsIdentity::kept_in(folder).map(drop).expect_err("a broken certificate");
    assert_eq!(refused.code(), "embedded-identity-pem");
    assert!(refused.hint().is_some());
}

#[tokio::test]
async fn a_named_instance_is_not_ours_but_the_default_one_is() {
    let house = House::open().await;
    for (instance, ours) in [("MSSQLServer", true), ("OTHER", false)] {
        let mut config = house.config(EncryptionLevel::NotSupported);
        config.instance_name(instance);
        assert_eq!(house.connect(config).await.is_ok(), ours, "{instance}");
    }
}

#[tokio::test]
async fn without_a_certificate_nothing_is_encrypted() {
    let house = House::with(|options| crate::ServerOptions { tls: None, ..options }).await;
    assert!(house.connect(house.config(EncryptionLevel::Required)).await.is_err());
    let mut client = house.client().await;
    assert_eq!(count_rows(&mut client, "rows 1").await.ok(), Some(1));
}

#[tokio::test]
async fn the_house_has_so_many_places() {
    let house = House::with(|o| crate::ServerOptions { connections_max: 2, ..o }).await;
    let first = house.client().await;
    let mut second = house.client().await;
    assert_eq!(house.gate.connections(), 2);
    let refused = house.connect(house.config(EncryptionLevel::NotSupported)).await;
    assert!(refused.is_err(), "a third found a place");
    drop(first);
    while house.gate.connections() > 1 {
        tokio::task::yield_now().await;
    }
    let mut third = house.client().await;
    assert_eq!(count_rows(&mut second, "rows 1").await.ok(), Some(1));
    assert_eq!(count_rows(&mut third, "rows 1").await.ok(), Some(1));
}

#[tokio::test]
async fn a_cut_gate_refuses_and_a_restored_one_serves_on_the_same_port() {
    let house = House::open().await;
    for _ in 0..20 {
        let mut client = house.client().await;
        assert_eq!(count_rows(&mut client, "rows 1").await.ok(), Some(1));
        house.gate.cut().await.expect("cut");
        assert_eq!(house.gate.connections(), 0);
        assert!(count_rows(&mut client, "rows 1").await.is_err(), "a cut connection answered");
        let refused = house.stream().await.map(drop).expect_err("a cut gate accepted");
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        house.gate.restore().await.expect("restored");
    }
    assert_eq!(count_rows(&mut house.client().await, "rows 1").await.ok(), Some(1));
}

#[tokio::test]
async fn a_gate_whose_port_is_taken_is_an_error_and_stays_cut() {
    let house = House::open().await;
    house.gate.cut().await.expect("cut");
    let thief = house.env.network.listen(house.gate.address()).await.expect("the port is free");
    tokio::time::pause();
    let refused = house.gate.restore().await.expect_err("two listeners on one port");
    tokio::time::resume();
    assert_eq!(refused.code(), "embedded-gate");
    drop(thief);
    house.gate.restore().await.expect("restored");
    assert_eq!(count_rows(&mut house.client().await, "rows 1").await.ok(), Some(1));
}

#[tokio::test]
async fn gates_of_one_server_are_cut_apart() {
    let house = House::open().await;
    let other = house.server.listen(([127, 0, 0, 1], 0).into()).await.expect("a second gate");
    let mut client = house.client().await;
    other.cut().await.expect("cut");
    assert_eq!(count_rows(&mut client, "rows 1").await.ok(), Some(1));
}

#[tokio::test]
async fn a_stopping_server_lets_the_request_in_work_end() {
    let house = House::open().await;
    let mut client = house.client().await;
    let (counted, stopped) = tokio::join!(count_rows(&mut client, "rows 200000"), async {
        while house.log.rows_given.load(std::sync::atomic::Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        house.server.stop().await
    });
    assert_eq!(counted.ok(), Some(200_000));
    stopped.expect("stopped");
    let phase = *house.gate.state.phase.borrow();
    assert_eq!(phase, crate::gate::Phase::Stopping, "it had to be cut");
    assert!(house.stream().await.is_err(), "a stopped server accepted");
}

#[tokio::test]
async fn a_silent_client_is_shown_out() {
    let house = House::open().await;
    let mut stream = house.stream().await.expect("a connection");
    // From here on time passes as soon as nothing else happens.
    tokio::time::pause();
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes).await;
    assert_eq!(read.ok(), Some(0));
}
