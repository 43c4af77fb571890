//! Row filters: the position stands under one, another begins anew, and what its own write put out leaves.

use super::{EPOCH, House, customers, id, prices, row, shown};
use crate::{Accepted, Load};
use tillhold_core::row::{Change, Key};
use tillhold_core::version::ChannelVersion;

const V5: ChannelVersion = ChannelVersion(5);

fn values(account: &str) -> [&str; 4] {
    [account, "usmf", "name", "0"]
}

async fn begin(house: &House, filter: Option<&str>) {
    let filter = filter.map(str::to_string);
    let begun = house.db.begin_filtered_load(&prices().name, EPOCH, V5, filter).await;
    begun.expect("a begin");
}

/// The filter that the table's position or load stands under, and whether it has been loaded.
async fn standing(house: &House) -> (Option<String>, bool) {
    let state = house.db.state_of(&prices().name).await.expect("a state");
    (state.filter, state.load == Load::Loaded)
}

async fn land(house: &House) {
    let positions = vec![(prices().name.clone(), V5)];
    house.db.land("prices", positions, EPOCH).await.expect("a landing");
}

#[tokio::test]
async fn a_position_remembers_its_filter_through_load_stage_and_landing() {
    let house = House::new().await;
    assert_eq!(standing(&house).await, (None, false));
    let one = Some("[A] = 1".to_string());
    begin(&house, Some("[A] = 1")).await;
    assert_eq!(standing(&house).await, (one.clone(), false));
    house.db.end_load(&prices().name).await.expect("an end");
    assert_eq!(standing(&house).await, (one.clone(), true));
    land(&house).await;
    assert_eq!(standing(&house).await, (one, true));
    // Beside the rows that the till reads, as a load anew goes.
    for filter in [Some("[A] = 2"), None] {
        begin(&house, filter).await;
        house.db.end_load(&prices().name).await.expect("an end");
        assert_eq!(standing(&house).await, (filter.map(str::to_string), true), "staged");
        land(&house).await;
        assert_eq!(standing(&house).await, (filter.map(str::to_string), true), "landed");
    }
    // A landing of changes leaves it as it is.
    land(&house).await;
    assert_eq!(standing(&house).await, (None, true));
}

#[tokio::test]
async fn a_load_goes_on_under_its_own_filter_and_begins_anew_under_another() {
    let house = House::new().await;
    let prices = prices();
    let first = row(&prices, &["1", "0001", "2"]);
    begin(&house, Some("[A] = 1")).await;
    let page = house.db.load_page(&prices.name, vec![first.clone()], first.key(&prices)).await;
    page.expect("a page");
    for (filter, is_there) in [("[A] = 1", true), ("[A] = 2", false)] {
        begin(&house, Some(filter)).await;
        let state = house.db.state_of(&prices.name).await.expect("a state");
        let Load::Loading { after, .. } = state.load else { panic!("{:?}", state.load) };
        assert_eq!(after.is_some(), is_there, "{filter}");
        assert_eq!(house.db.count(&prices.name).await.expect("a count"), u64::from(is_there));
    }
}

/// Its own write put it out; a row that was written again since stays until that one is settled.
#[tokio::test]
async fn a_row_that_leaves_its_filter_goes_as_its_write_is_settled() {
    let house = House::new().await;
    let customers = customers();
    house.make_ready("customers", &[&customers], 5).await;
    house.insert(1, &customers, &values("C1")).await;
    house.insert(2, &customers, &values("C2")).await;
    house.update(3, &customers, &["C2", "usmf", "other", "0"]).await;
    let key = |account: &str| -> Key { row(&customers, &values(account)).key(&customers) };
    let leaving = |account| vec![(customers.name.clone(), key(account))];
    let accepted = vec![
        Accepted { id: id(1), leaving: leaving("C1") },
        Accepted { id: id(2), leaving: leaving("C2") },
    ];
    house.db.accept(accepted).await.expect("accepted");
    let left = house.everything(&customers).await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].contains("other"), "{left:?}");
    assert_eq!(house.pending().await.len(), 1, "what pull or settling writes is not captured");
    let again = vec![Accepted { id: id(3), leaving: leaving("C2") }];
    house.db.accept(again).await.expect("accepted");
    assert_eq!(house.everything(&customers).await, [""; 0]);
}

/// Unsent, so it stays, although its load brings it no more; settled, it goes.
#[tokio::test]
async fn a_load_under_another_filter_keeps_unsent_rows_and_drops_the_others() {
    let house = House::new().await;
    let customers = customers();
    house.make_ready("customers", &[&customers], 5).await;
    let landed = Change::Present(row(&customers, &values("C0")));
    house.db.stage(&customers.name, vec![landed]).await.expect("staged");
    let positions = || vec![(customers.name.clone(), ChannelVersion(9))];
    house.db.land("customers", positions(), EPOCH).await.expect("a landing");
    house.insert(1, &customers, &values("C1")).await;
    let filter = Some("[B] = 1".to_string());
    let begun =
        house.db.begin_filtered_load(&customers.name, EPOCH, ChannelVersion(9), filter).await;
    begun.expect("a begin");
    house.db.end_load(&customers.name).await.expect("an end");
    house.db.land("customers", positions(), EPOCH).await.expect("a landing");
    let expected = shown(&customers, &row(&customers, &values("C1")));
    assert_eq!(house.everything(&customers).await, [expected]);
    let key = row(&customers, &values("C1")).key(&customers);
    let leaving = vec![(customers.name.clone(), key)];
    house.db.accept(vec![Accepted { id: id(1), leaving }]).await.expect("accepted");
    assert_eq!(house.everything(&customers).await, [""; 0]);
}
