//! A database that does not speak for its register sends nothing.

use super::{INCARNATION, Shop, card, run, transaction, wrote};
use crate::claim::{Speaker, claim, dispute, look};
use crate::error::ChannelError;
use crate::upload::{Outgoing, upload_as};
use tillhold_core::claim::Head;
use tillhold_core::transaction::{Receipt, Transaction, TransactionId};
use tillhold_core::version::{ChannelVersion, Incarnation, Run, Sequence};

fn speaker(run: u8) -> Speaker {
    Speaker { register: "S1-1".to_string(), incarnation: INCARNATION, run: Run([run; 16]) }
}

fn sale(number: u8) -> Transaction {
    let row = card(&format!("C{number}"), 1, None);
    transaction(number, vec![wrote(None, Some(row), ChannelVersion(1))])
}

async fn send(shop: &Shop, speaker: &Speaker, sale: &Transaction) -> Result<Receipt, ChannelError> {
    let sent = upload_as(&mut shop.till(), speaker, &[Outgoing::plain(sale)]).await?;
    Ok(sent[0].clone())
}

#[tokio::test]
async fn an_upload_needs_a_claim_and_moves_the_head_with_its_rows() {
    for shop in Shop::both().await {
        let (one, mut till) = (speaker(1), shop.till());
        let unclaimed = send(&shop, &one, &sale(4)).await;
        assert_eq!(unclaimed, Err(ChannelError::Unclaimed));
        assert_eq!(look(&mut till, &one).await, Ok(None));
        assert_eq!(claim(&mut till, &one, None, "").await, Ok(true));
        assert_eq!(claim(&mut till, &one, None, "").await, Ok(false), "it is there by now");
        assert_eq!(send(&shop, &one, &sale(4)).await, Ok(Receipt::Applied));
        assert_eq!(send(&shop, &one, &sale(3)).await, Ok(Receipt::Applied));
        assert_eq!(send(&shop, &one, &sale(4)).await, Ok(Receipt::AlreadyThere));
        let known = look(&mut till, &one).await.expect("a look").expect("a claim");
        let head = Head { sequence: Sequence(4), id: TransactionId([4; 16]) };
        assert_eq!((known.run, known.head), (one.run, Some(head)));
        assert!(!known.is_superseded && !known.is_disputed, "{known:?}");
        assert!(known.silent_s < 60, "{known:?}");
    }
}

#[tokio::test]
async fn a_claim_stands_only_against_what_was_looked_at() {
    let shop = Shop::open().await;
    let (one, two, three) = (speaker(1), speaker(2), speaker(3));
    let mut till = shop.till();
    assert_eq!(claim(&mut till, &one, None, "").await, Ok(true));
    assert_eq!(claim(&mut till, &two, Some(one.run), "").await, Ok(true));
    assert_eq!(claim(&mut till, &three, Some(one.run), "").await, Ok(false), "two was faster");
    assert_eq!(send(&shop, &one, &sale(1)).await, Err(ChannelError::Unclaimed));
    assert_eq!(send(&shop, &two, &sale(1)).await, Ok(Receipt::Applied));
    dispute(&mut till, &one).await.expect("a dispute");
    assert_eq!(send(&shop, &two, &sale(2)).await, Err(ChannelError::Unclaimed));
    assert!(look(&mut till, &two).await.expect("a look").expect("a claim").is_disputed);
    assert_eq!(claim(&mut till, &two, Some(two.run), "").await, Ok(false));
}

#[tokio::test]
async fn a_new_incarnation_ends_the_earlier_ones_of_its_register_alone() {
    let shop = Shop::open().await;
    let (old, mut till) = (speaker(1), shop.till());
    let other = Speaker { register: "S1-2".to_string(), ..speaker(8) };
    let new = Speaker { incarnation: Incarnation([9; 16]), ..speaker(2) };
    for speaker in [&old, &other, &new] {
        assert_eq!(claim(&mut till, speaker, None, "a new disk").await, Ok(true));
    }
    assert_eq!(send(&shop, &old, &sale(1)).await, Err(ChannelError::Unclaimed));
    assert!(look(&mut till, &old).await.expect("a look").expect("a claim").is_superseded);
    for (speaker, number) in [(&new, 1), (&other, 2)] {
        assert_eq!(send(&shop, speaker, &sale(number)).await, Ok(Receipt::Applied));
    }
}

#[tokio::test]
async fn a_refused_upload_leaves_the_head_where_it_was() {
    let shop = Shop::open().await;
    let (one, mut till) = (speaker(1), shop.till());
    assert_eq!(claim(&mut till, &one, None, "").await, Ok(true));
    run(&mut shop.office(), "INSERT INTO [dbo].[CARDS] ([CARD]) VALUES (N'C5');").await;
    let contested = send(&shop, &one, &sale(5)).await.expect("a receipt");
    assert!(matches!(contested, Receipt::Contested(_)), "{contested:?}");
    let known = look(&mut till, &one).await.expect("a look").expect("a claim");
    assert_eq!(known.head, None);
}
