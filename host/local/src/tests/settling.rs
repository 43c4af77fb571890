//! The end of transactions: what leaves the log, what stays, what is written down.

use super::{House, customers, id, lines, open, refusal, row, shown};
use crate::{
    Accepted, Act, ActRecord, Decision, Deferred, Flow, LocalError, RulingOutcome, Settlement,
    SyncEntry, SyncFailure, TransactionState,
};
use tillhold_core::conflict::Conflict;
use tillhold_core::limits;
use tillhold_core::row::Change;
use tillhold_core::stage::Tally;
use tillhold_core::table::Table;
use tillhold_core::transaction::TransactionId;
use tillhold_core::version::ChannelVersion;

fn conflict(table: &Table, base: &[&str], channel: &[&str], offline: &[&str]) -> Conflict {
    let side = |values| Some(row(table, values));
    Conflict {
        table: std::sync::Arc::new(table.clone()),
        key: row(table, offline).key(table),
        base: side(base),
        channel: side(channel),
        offline: side(offline),
    }
}

#[tokio::test]
async fn accepted_transactions_leave_the_log_once() {
    let house = House::new().await;
    house.insert(1, &lines(), &["T1", "1", "i", "1"]).await;
    house.insert(2, &lines(), &["T2", "1", "i", "1"]).await;
    for _ in 0..2 {
        house
            .db
            .settle(id(1), Settlement::Accepted)
            .await
            .expect("settling twice is settling once");
    }
    let pending: Vec<_> = house.pending().await.iter().map(|t| t.id).collect();
    assert_eq!(pending, vec![id(2)]);
    assert_eq!(house.everything(&lines()).await.len(), 2, "rows stay");
    let unknown = house.db.settle(id(9), Settlement::Accepted).await;
    assert_eq!(unknown.map_err(|e| e.code()), Err("local-unknown-transaction"));
    let late = house.db.quarantine(id(1), "x", "y").await;
    assert_eq!(late.map_err(|e: LocalError| e.code()), Err("local-wrong-state"));
}

#[tokio::test]
async fn a_few_are_accepted_in_one_go_or_not_at_all() {
    let house = House::new().await;
    for number in 1..=3 {
        house.insert(number, &lines(), &[&format!("T{number}"), "1", "i", "1"]).await;
    }
    let unknown = house.db.accept(vec![id(1), id(9)]).await;
    assert_eq!(unknown.map_err(|e| e.code()), Err("local-unknown-transaction"));
    assert_eq!(house.pending().await.len(), 3);
    house.db.accept(vec![id(1), id(2)]).await.expect("accepted");
    let pending: Vec<_> = house.pending().await.iter().map(|t| t.id).collect();
    assert_eq!(pending, vec![id(3)]);
}

#[tokio::test]
async fn decided_rows_are_written_silently_but_not_over_later_changes() {
    let house = House::new().await;
    let customers = customers();
    house.make_ready("customers", &[&customers], 5).await;
    house.insert(1, &customers, &["C1", "usmf", "mine", "1"]).await;
    house.insert(2, &customers, &["C2", "usmf", "mine", "1"]).await;
    house.update(3, &customers, &["C2", "usmf", "later", "1"]).await;
    let decided = row(&customers, &["C1", "usmf", "decided", "3"]);
    let decision = Decision {
        id: [1; 16],
        who: None,
        why: None,
        conflict: conflict(
            &customers,
            &["C1", "usmf", "base", "NULL"],
            &["C1", "usmf", "theirs", "2"],
            &["C1", "usmf", "mine", "1"],
        ),
        decided: Some(decided.clone()),
        rule: "column merge".to_string(),
        plugin: Some("sha256:00".to_string()),
    };
    let resolved = Settlement::Resolved {
        rows: vec![(customers.name.clone(), Change::Present(decided))],
        decisions: vec![decision.clone()],
    };
    let tally = house.db.settle(id(1), resolved).await.expect("settled");
    assert_eq!(tally, Tally { rows_in: 1, applied: 1, ..Tally::default() });
    let theirs = Change::Present(row(&customers, &["c2", "usmf", "theirs", "1"]));
    let resolved = Settlement::Resolved {
        rows: vec![(customers.name.clone(), theirs)],
        decisions: Vec::new(),
    };
    let tally = house.db.settle(id(2), resolved).await.expect("settled");
    assert_eq!(tally, Tally { rows_in: 1, dropped: 1, ..Tally::default() });
    let names: Vec<String> = house.everything(&customers).await;
    assert!(names[0].starts_with("C1|usmf|decided"), "{names:?}");
    assert!(names[1].starts_with("C2|usmf|later"), "{names:?}");
    let pending: Vec<_> = house.pending().await.iter().map(|t| t.id).collect();
    assert_eq!(pending, vec![id(3)], "a decided row is not news");

    let records = house.db.decisions(None, 10).await.expect("the decisions");
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].transaction, &records[0].decision), (id(1), &decision));
}

/// Its answer was lost after it was decided; meanwhile it is known that the decided row is no row of the register's.
#[tokio::test]
async fn a_row_that_was_decided_and_leaves_is_gone_when_its_answer_was_lost() {
    let house = House::new().await;
    let customers = customers();
    house.make_ready("customers", &[&customers], 5).await;
    let mine = ["C1", "usmf", "mine", "1"];
    house.insert(1, &customers, &mine).await;
    let decided = row(&customers, &["C1", "usmf", "decided", "3"]);
    let decision = Decision {
        id: [1; 16],
        who: None,
        why: None,
        conflict: conflict(&customers, &mine, &mine, &mine),
        decided: Some(decided.clone()),
        rule: "column merge".to_string(),
        plugin: None,
    };
    house.db.keep_sent(id(1), vec![decision]).await.expect("about to be sent");
    let leaving = vec![(customers.name.clone(), decided.key(&customers))];
    let accepted = Accepted { id: id(1), leaving };
    house.db.settle_as_sent(accepted, vec![[1; 16]]).await.expect("the channel had it");
    assert_eq!(house.everything(&customers).await, [""; 0]);
    assert_eq!(house.pending().await, []);
}

#[tokio::test]
async fn set_aside_transactions_wait_are_listed_and_can_be_released() {
    let house = House::new().await;
    let customers = customers();
    house.make_ready("customers", &[&customers], 5).await;
    for number in 1..=3 {
        let account = format!("C{number}");
        house.insert(number, &customers, &[&account, "usmf", "mine", "1"]).await;
    }
    house.db.quarantine(id(1), "channel-refused", "error 2627").await.expect("quarantined");
    let deferred = Deferred {
        id: [7; 16],
        rule: "column-merge".to_string(),
        plugin: None,
        version: Some(ChannelVersion(9)),
        conflict: conflict(
            &customers,
            &["C2", "usmf", "base", "1"],
            &["C2", "usmf", "theirs", "1"],
            &["C2", "usmf", "mine", "1"],
        ),
        reason: "both sides changed NAME".to_string(),
    };
    house.db.defer(id(2), vec![deferred.clone()]).await.expect("deferred");

    let pending: Vec<_> = house.pending().await.iter().map(|t| t.id).collect();
    assert_eq!(pending, vec![id(3)], "they hold up nothing");
    let counts = house.db.counts().await.expect("counts");
    assert_eq!(counts.pending_transactions, 1);
    assert_eq!((counts.pending_rows, counts.oldest_pending_ms), (1, Some(1_000)));
    assert_eq!((counts.quarantined, counts.deferred, counts.conflicts), (1, 1, 1));
    let listed = house.db.quarantined(None, 10).await.expect("a listing");
    let reason = ("channel-refused".to_string(), "error 2627".to_string());
    assert_eq!((listed[0].transaction.id, listed[0].rows), (id(1), 1));
    assert_eq!(listed[0].transaction.reason, Some(reason));
    let conflicts = house.db.conflicts().await.expect("a listing");
    assert_eq!((conflicts[0].transaction, &conflicts[0].deferred), (id(2), &deferred));
    let side = conflicts[0].deferred.conflict.channel.as_ref().expect("the channel's row");
    assert!(shown(&customers, side).contains("theirs"));

    house.db.retry(id(1)).await.expect("released");
    let deferred_one = house.db.retry(id(2)).await;
    assert_eq!(deferred_one.map_err(|e| e.code()), Err("local-wrong-state"), "a person decides it");
    let other = Deferred { id: [8; 16], ..deferred.clone() };
    house.db.defer(id(3), vec![other]).await.expect("deferred");
    assert_eq!(house.db.conflicts().await.expect("a listing").len(), 2);
    house.db.settle(id(2), Settlement::Accepted).await.expect("a person has decided");
    house.db.settle(id(3), Settlement::Accepted).await.expect("a person has decided");
    let pending: Vec<_> = house.pending().await.iter().map(|t| t.id).collect();
    assert_eq!(pending, vec![id(1)], "the others are settled");
    assert_eq!(house.db.conflicts().await.expect("a listing"), Vec::new());
    let found = house.db.lookup(id(1)).await.expect("a lookup").expect("it is there");
    assert_eq!((found.state, found.reason), (TransactionState::Pending, None));
}

#[tokio::test]
async fn what_other_programs_wrote_counts_before_it_is_read() {
    let house = House::new().await;
    let sql = "INSERT INTO \"ax.RETAILTRANSACTIONSALESTRANS\" VALUES ('T', 1, 'i', '1'), ('T', 2, 'i', '1')";
    house.another_program().execute_batch(sql).expect("a write");
    let counts = house.db.counts().await.expect("counts");
    assert_eq!((counts.pending_transactions, counts.pending_rows), (1, 2));
    house.pending().await;
    assert_eq!(house.db.counts().await.expect("counts").pending_rows, 2);
}

#[tokio::test]
async fn what_was_adopted_between_two_commits_parts_them() {
    let house = House::new().await;
    let other = house.another_program();
    let write = |number: i64| {
        let sql = "INSERT INTO \"ax.RETAILTRANSACTIONSALESTRANS\" VALUES ('T', ?1, 'i', '1')";
        other.execute(sql, [number]).expect("a write");
    };
    write(1);
    write(2);
    house.db.adopt().await.expect("adopted");
    house.db.adopt().await.expect("nothing to adopt");
    write(3);
    let rows: Vec<usize> = house.pending().await.iter().map(|one| one.writes.len()).collect();
    assert_eq!(rows, [2, 1]);
}

#[tokio::test]
async fn synchronisations_are_remembered_newest_first() {
    let house = House::new().await;
    let entry = |number: i64, failure| SyncEntry {
        flow: if number % 2 == 0 { Flow::Pull } else { Flow::Push },
        scope: format!("scope {number}"),
        started_ms: number,
        finished_ms: number + 1,
        tally: Tally { rows_in: 3, applied: 1, dropped: 1, quarantined: 1 },
        version: (number == 2).then_some(ChannelVersion(77)),
        failure,
    };
    let failure = SyncFailure { code: "channel-login".into(), message: "refused".into() };
    let entries = [entry(1, None), entry(2, None), entry(3, Some(failure))];
    for entry in &entries {
        house.db.sync_log(entry.clone()).await.expect("an entry");
    }
    let last = house.db.last_syncs(2).await.expect("the last");
    assert_eq!(last, vec![entries[2].clone(), entries[1].clone()]);
}

/// What is remembered is bounded: beyond the limit the oldest goes.
#[tokio::test]
async fn old_synchronisations_and_decisions_are_forgotten() {
    let house = House::new().await;
    let customers = customers();
    house.make_ready("customers", &[&customers], 5).await;
    let entry = SyncEntry {
        flow: Flow::Pull,
        scope: "customers".to_string(),
        started_ms: 1,
        finished_ms: 2,
        tally: Tally::default(),
        version: None,
        failure: None,
    };
    for number in 1..=2 {
        let account = format!("C{number}");
        let mine = [account.as_str(), "usmf", "mine", "1"];
        house.insert(number, &customers, &mine).await;
        let decision = Decision {
            id: [number; 16],
            who: None,
            why: None,
            conflict: conflict(&customers, &mine, &mine, &mine),
            decided: None,
            rule: format!("rule {number}"),
            plugin: None,
        };
        let resolved = Settlement::Resolved { rows: Vec::new(), decisions: vec![decision] };
        house.db.settle(id(number), resolved).await.expect("settled");
        house.db.sync_log(entry.clone()).await.expect("an entry");
        let much_later = |conn: &mut rusqlite::Connection| {
            let sql = "UPDATE sqlite_sequence SET seq = seq + 50000 \
                       WHERE name IN ('tillhold_sync', 'tillhold_decision')";
            Ok(conn.execute(sql, ())?)
        };
        house.db.writer(crate::file::Kind::Journal).run(much_later).await.expect("later");
    }
    assert_eq!(house.db.last_syncs(10).await.expect("the last").len(), 1);
    let rules: Vec<String> = house
        .db
        .decisions(None, 10)
        .await
        .expect("decisions")
        .into_iter()
        .map(|d| d.decision.rule)
        .collect();
    assert_eq!(rules, vec!["rule 2"]);
}

#[tokio::test]
async fn refused_rows_are_marked_until_they_pass() {
    let house = House::new().await;
    let prices = super::prices();
    let key = |id: &str| super::key(&prices, &[id]);
    let mark = |refused: Vec<&str>, passed: Vec<&str>| RulingOutcome {
        refused: refused.into_iter().map(|id| refusal(key(id), "no amount")).collect(),
        passed: passed.into_iter().map(key).collect(),
        circumstances: None,
    };
    let set = |outcome| house.db.set_rows_aside("prices", &prices.name, outcome);
    set(mark(vec!["1", "2"], vec![])).await.expect("marked");
    set(mark(vec!["2"], vec!["1", "3"])).await.expect("marked");
    let waiting = house.db.rows_aside(None, 10).await.expect("a listing");
    assert_eq!(waiting.len(), 1);
    assert_eq!((&waiting[0].table.name, waiting[0].key.as_str()), (&prices.name, "RECID=2"));
    assert_eq!(waiting[0].reason, "no amount");
    assert_eq!(house.db.counts().await.expect("counts").rows_aside, 1);
    let customers = customers();
    for (refused, passed, count) in
        [(Some("Ann"), None, 2), (Some("ANN "), None, 2), (None, Some("ann"), 1)]
    {
        let key = |name: &str| super::key(&customers, &[name, "usmf"]);
        let refused = refused.map(|name| refusal(key(name), "x")).into_iter().collect();
        let passed = passed.map(key).into_iter().collect();
        let outcome = RulingOutcome { refused, passed, circumstances: None };
        house.db.set_rows_aside("customers", &customers.name, outcome).await.expect("marked");
        assert_eq!(
            house.db.counts().await.expect("counts").rows_aside,
            count,
            "one row by any spelling"
        );
    }
}

#[tokio::test]
async fn deeds_of_people_are_kept_newest_first_and_not_for_ever() {
    let house = House::new().await;
    let act = |why: &str| Act {
        action: "hold".to_string(),
        subject: None,
        who: Some("Ada".to_string()),
        why: Some(why.to_string()),
        role: "operator".to_string(),
    };
    for why in ["one", "two", "three"] {
        house.db.note_act(act(why)).await.expect("a note");
    }
    let whys = |records: Vec<ActRecord>| -> Vec<String> {
        records.into_iter().filter_map(|record| record.act.why).collect()
    };
    assert_eq!(whys(house.db.acts(None, 2).await.expect("acts")), ["three", "two"]);
    assert_eq!(whys(house.db.acts(Some(2), 2).await.expect("acts")), ["one"]);
    house.db.close().await.expect("a close");
    let journal = house.folder.path().join("journal.db");
    let conn = rusqlite::Connection::open(journal).expect("the journal");
    let sql = "UPDATE sqlite_sequence SET seq = ?1 WHERE name = 'tillhold_audit'";
    conn.execute(sql, [limits::ACTS_KEPT as i64 + 1]).expect("a later number");
    drop(conn);
    let again = open(house.folder.path()).await;
    again.note_act(act("late")).await.expect("a note");
    assert_eq!(whys(again.acts(None, 9).await.expect("acts")), ["late", "three"]);
}

/// A sale goes between the settlements of a large upload, not behind all of them.
#[tokio::test]
async fn a_sale_waits_for_a_few_settlements_and_not_for_an_uploads() {
    let (house, lines) = (House::new().await, lines());
    let sent: Vec<TransactionId> = (1..=200).map(id).collect();
    for number in 1..=200 {
        house.insert(number, &lines, &["T1", &number.to_string(), "i", "1"]).await;
    }
    let sale = async {
        house.insert(201, &lines, &["T2", "1", "i", "1"]).await;
        house.pending().await.len()
    };
    let (accepted, unsent) = tokio::join!(biased; house.db.accept(sent), sale);
    accepted.expect("accepted");
    assert!(unsent >= 100, "{unsent} were unsettled when the sale was made");
    assert_eq!(house.pending().await.len(), 1);
}
