//! A sale that is let go of over rows that older unsent ones have changed: those go up as if it had never been.

use super::waiting::{record, refuse};
use super::{House, customers, id, key, lines, log_of, plan, row, shown, table};
use crate::OldEnough;
use crate::{Quarantined, Release, RowWrite};
use std::sync::Arc;
use tillhold_core::migration::InstalledTable;
use tillhold_core::numbering::AX;
use tillhold_core::profile::Direction;
use tillhold_core::row::Key;
use tillhold_core::table::Table;
use tillhold_core::transaction::{Operation, Write};

const KEY: [&str; 2] = ["C1", "1"];
const OTHER: [&str; 2] = ["C2", "1"];

/// What is done to a row `old 1` that the channel has -> what goes up at last | the row on the register. `W` is its
/// word, `N` its number; sale 9 writes another row.
const CASES: &str = "
    1 N=2; 3 N=3; refuse 1; refuse 3; let 3; retry 1                              -> 1 N=2 | old 2
    1 N=2; 3 N=3; refuse 1; refuse 3; 9 other; sent 9; let 3; retry 1             -> 1 N=2 | old 2
    1 N=2; 3 N=3; refuse 1; refuse 3; 9 other; sent 9; retry 1; let 3             -> 1 N=2 | old 2
    1 N=2 W=a; 3 N=3; refuse 1; refuse 3; 9 other; sent 9; let 3; retry 1         -> 1 W=a N=2 | a 2
    1 N=2; 3 N=3; 3 W=b; refuse 1; refuse 3; 9 other; sent 9; let 3; retry 1      -> 1 N=2 | old 2

    1 N=2; 3 N=3; 5 N=4; refuse 1; refuse 3; 9 other; sent 9; let 3; retry 1      -> 1 N=2, 5 N=4 | old 4
    1 N=2; 3 N=3 W=b; 5 N=4; refuse 1; refuse 3; 9 other; sent 9; let 3; retry 1  -> 1 N=2, 5 N=4 | old 4
    1 N=2; 3 N=3; 5 W=c; refuse 1; refuse 3; 9 other; sent 9; let 3; retry 1      -> 1 N=2, 5 W=c | c 2
    1 N=2; 3 N=3; 5 W=c; 6 N=7; refuse 1; refuse 3; 9 other; sent 9; let 3; retry 1 -> 1 N=2, 5 W=c, 6 N=7 | c 7
    1 N=2; 3 N=3; 5 N=4; refuse 1; refuse 3; refuse 5; 9 other; sent 9; let 3; let 5; retry 1 -> 1 N=2 | old 2
    1 N=2; 3 N=3; 5 N=4; refuse 1; refuse 3; refuse 5; 9 other; sent 9; let 5; let 3; retry 1 -> 1 N=2 | old 2
    1 N=2; 3 N=3; 5 gone; refuse 1; refuse 3; 9 other; sent 9; let 3; retry 1     -> 1 N=2, 5 gone | -

    1 N=2; 3 N=3; 4 N=4; refuse 1; refuse 3; sent 4; let 3; retry 1               -> | old 4
    1 N=2 W=a; 3 N=3 W=b; 4 N=4; refuse 1; refuse 3; sent 4; let 3; retry 1       -> 1 W=a | a 4
    1 N=2; 2 N=3; 3 N=4; refuse 1; sent 2; refuse 3; let 3; retry 1               -> | old 3

    1 N=2; 3 gone; refuse 1; refuse 3; let 3; retry 1                             -> 1 N=2 | old 2
    1 N=2; 3 gone; refuse 1; refuse 3; 9 other; sent 9; let 3; retry 1            -> 1 N=2 | old 2
    1 N=2; 3 N=3; 3 gone; refuse 1; refuse 3; 9 other; sent 9; let 3; retry 1     -> 1 N=2 | old 2
    1 N=2; 3 gone; refuse 1; refuse 3; 5 made N=7 W=c; 9 other; sent 9; let 3; retry 1 -> 1 N=2, 5 W=c N=7 | c 7
    1 N=2; 3 gone; refuse 1; 4 made N=7 W=c; sent 4; refuse 3; let 3; retry 1     -> | c 7
    1 N=2; 3 gone; 3 made N=7 W=c; refuse 1; refuse 3; 9 other; sent 9; let 3; retry 1 -> 1 N=2 | old 2

    1 gone; 3 made N=7 W=c; refuse 3; let 3                                       -> 1 gone | c 7
    0 W=z; 1 gone; 3 made N=7 W=c; refuse 0; refuse 3; 9 other; sent 9; let 3; retry 0 -> 0 W=z, 1 gone | c 7

    1 N=2; 3 N=3; refuse 1; refuse 3; let 1; retry 3                              -> 3 N=3 | old 3
    3 N=3; 5 W=c; refuse 3; let 3                                                 -> 5 W=c | c 3
";

#[tokio::test]
async fn an_older_sale_goes_up_as_if_the_one_that_is_let_go_of_had_never_been() {
    let mut wrong = Vec::new();
    for line in CASES.lines().map(str::trim).filter(|line| !line.is_empty()) {
        for table in [customers(), lines()] {
            let found = check(&table, line).await;
            if found != expected(line) {
                wrong.push(format!("{}: {line}: {found:?}", table.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are otherwise:\n{}", wrong.len(), wrong.join("\n"));
}

fn parts(line: &str) -> (&str, &str, &str) {
    let (steps, end) = line.split_once("->").expect("an arrow");
    let (sent, left) = end.split_once('|').expect("a bar");
    (steps.trim(), sent.trim(), left.trim())
}

fn expected(line: &str) -> (String, String) {
    let (_, sent, left) = parts(line);
    (sent.to_string(), left.to_string())
}

/// The key's second part is a company in one table, a line's number in the other.
async fn house_of(table: &Table) -> House {
    let house = House::new().await;
    house.make_ready("customers", &[&customers()], 5).await;
    house.insert(200, table, &[KEY[0], KEY[1], "old", "1"]).await;
    house.db.accept(vec![id(200)]).await.expect("accepted");
    house
}

async fn check(table: &Arc<Table>, line: &str) -> (String, String) {
    let house = house_of(table).await;
    let steps: Vec<Vec<&str>> =
        parts(line).0.split(';').map(|step| step.split_whitespace().collect()).collect();
    // Neighbours of one number are one sale.
    for steps in steps.chunk_by(|one, next| one[0] == next[0]) {
        match steps[0][0].parse() {
            Ok(number) => {
                let writes = steps.iter().map(|step| write(table, &step[1..])).collect();
                record(&house, number, writes).await;
            }
            Err(_) => {
                for step in steps {
                    happen(&house, table, step[0], step[1].parse().expect("a number")).await;
                }
            }
        }
    }
    let pending = house.pending().await.into_iter();
    let sent = pending.map(|sale| {
        let written = sale.writes.iter().map(|write| told(table, write));
        format!("{} {}", sale.id.0[0], written.collect::<Vec<_>>().join(" "))
    });
    let sent = sent.collect::<Vec<_>>().join(", ");
    let rows = house.everything(table).await;
    let row = rows.iter().find(|row| row.starts_with(KEY[0]));
    let cells = row.map(|row| row.split('|').collect::<Vec<_>>());
    let left = cells.map_or("-".to_string(), |cells| format!("{} {}", cells[2], whole(cells[3])));
    (sent, left)
}

/// `N=2 W=a`, `gone`, `made N=2 W=a` or `other`.
fn write(table: &Table, words: &[&str]) -> RowWrite {
    let name = table.name.clone();
    let said = |cell: &str| words.iter().find_map(|word| word.strip_prefix(cell));
    let (word, number) = (said("W=").unwrap_or("x"), said("N=").unwrap_or("0"));
    let of = |key: [&str; 2]| row(table, &[key[0], key[1], word, number]);
    match words[0] {
        "gone" => RowWrite::Delete { table: name, key: key(table, &KEY) },
        "made" => RowWrite::Insert { table: name, row: of(KEY) },
        "other" => RowWrite::Insert { table: name, row: of(OTHER) },
        _ => {
            let cells = [("W=", 2), ("N=", 3)].into_iter().filter(|(cell, _)| said(cell).is_some());
            let cells = cells.map(|(_, at)| (at, of(KEY).0[at].clone())).collect();
            RowWrite::Amend { table: name, key: key(table, &KEY), cells }
        }
    }
}

async fn happen(house: &House, table: &Table, what: &str, number: u8) {
    match what {
        "refuse" => refuse(house, number).await,
        "sent" => house.db.accept(vec![id(number)]).await.expect("accepted"),
        "retry" => house.db.retry(id(number)).await.expect("sent again"),
        "let" => let_go(house, table, number, key(table, &KEY)).await,
        other => panic!("{other} is nothing that happens"),
    }
}

async fn let_go(house: &House, table: &Table, number: u8, key: Key) {
    let release = Release {
        id: [number; 16],
        of: Quarantined::Sale(id(number)),
        table: table.name.clone(),
        key,
        who: "Ann".to_string(),
        why: "entered at the channel".to_string(),
        asked_at_ms: 2_000,
        document: "{}".to_string(),
    };
    house.db.release(release.clone()).await.expect("kept");
    house.db.released(release).await.expect("released");
}

fn told(table: &Table, write: &Write) -> String {
    let Some(row) = &write.offline else { return "gone".to_string() };
    let shown = shown(table, row);
    let cells: Vec<&str> = shown.split('|').collect();
    let cell = |at: &usize| match at {
        2 => format!("W={}", cells[2]),
        3 => format!("N={}", whole(cells[3])),
        at => format!("{at}={}", cells[*at]),
    };
    let made = (write.operation == Operation::Insert).then(|| "made".to_string());
    made.into_iter().chain(write.changed().iter().map(cell)).collect::<Vec<_>>().join(" ")
}

fn whole(number: &str) -> &str {
    number.split('.').next().unwrap_or(number)
}

/// What it counts is given out: the register would use the number of the sale that was let go of again.
#[tokio::test]
async fn the_seed_of_numbers_never_goes_back() {
    let seeds = table("RETAILPOSSEEDDATA", "TERMINALID nvarchar(10) key, DATAVALUE bigint");
    assert_eq!(seeds.name, AX.seeds());
    let house = House::new().await;
    let mut plan = plan();
    let (scope, direction) = ("seeds".to_string(), Direction::Bidirectional);
    plan.push(InstalledTable { scope, direction, table: seeds.clone() });
    house.db.install(plan, Vec::new()).await.expect("an installation");
    house.make_ready("seeds", &[&seeds], 5).await;
    house.insert(200, &seeds, &["T1", "1"]).await;
    house.db.accept(vec![id(200)]).await.expect("accepted");
    house.update(1, &seeds, &["T1", "2"]).await;
    house.update(3, &seeds, &["T1", "3"]).await;
    refuse(&house, 1).await;
    refuse(&house, 3).await;
    let_go(&house, &seeds, 3, key(&seeds, &["T1"])).await;
    assert_eq!(house.everything(&seeds).await, ["T1|3"]);
    house.db.retry(id(1)).await.expect("sent again");
    let pending = house.pending().await;
    assert_eq!(pending[0].writes[0].offline, Some(row(&seeds, &["T1", "2"])));
}

/// What was taken back is nobody's change, and the channel is asked for the row all the same.
#[tokio::test]
async fn taking_back_is_no_change_of_its_own() {
    let house = house_of(&customers()).await;
    let customers = customers();
    for (number, credit) in [(1, "N=2"), (3, "N=3")] {
        record(&house, number, vec![write(&customers, &[credit])]).await;
        refuse(&house, number).await;
    }
    let_go(&house, &customers, 3, key(&customers, &KEY)).await;
    let log = log_of(&house.another_program());
    assert_eq!(log.len(), 1, "{log:?}");
    let asked = house.db.keys_to_ask_again(&customers.name).await.expect("keys");
    assert_eq!(asked, [], "not before the older sale is sent");
    house.db.accept(vec![id(1)]).await.expect("accepted");
    let asked = house.db.keys_to_ask_again(&customers.name).await.expect("keys");
    assert_eq!(asked, [key(&customers, &KEY)]);
}

/// A row that is put back is still that of the sale that made it, and goes with it.
#[tokio::test]
async fn a_row_that_is_put_back_ages_with_the_sale_that_made_it() {
    let house = house_of(&lines()).await;
    record(&house, 1, vec![write(&lines(), &["N=2"])]).await;
    record(&house, 3, vec![write(&lines(), &["gone"])]).await;
    refuse(&house, 1).await;
    refuse(&house, 3).await;
    let_go(&house, &lines(), 3, key(&lines(), &KEY)).await;
    house.db.retry(id(1)).await.expect("sent again");
    house.db.accept(vec![id(1)]).await.expect("accepted");
    assert_eq!(house.everything(&lines()).await.len(), 1);
    assert_eq!(house.db.purge(OldEnough::by_clock(i64::MAX), None).await.expect("a purge").rows, 1);
}
