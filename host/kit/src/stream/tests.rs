//! Rows through a plugin, more of them than a batch holds.

use super::{Counts, stream};
use crate::fixtures::{component, context, sandbox};
use crate::rows::RowReader;
use crate::{KitError, Schema};
use tillhold_core::limits::PULL_PAGE_ROWS_MAX;
use tillhold_plugin::BatchContext;

struct Streamed {
    out: String,
    counts: Counts,
    refused: Vec<(usize, String)>,
}

fn streamed(table: &str, store: &str, text: &str, verdicts: bool) -> Result<Streamed, KitError> {
    let schema = Schema::published()?;
    let table = schema.find(table)?.travelling(&[]);
    let plugin = sandbox().load(&component("store-customers"), "")?;
    let mut reader = RowReader::open("stdin", text.as_bytes(), None, &table, false)?;
    let context = BatchContext { store: store.to_string(), ..context() };
    let (mut out, mut refused) = (Vec::new(), Vec::new());
    let told = |line: usize, reason: &str| refused.push((line, reason.to_string()));
    let counts = stream(&plugin, &context, &mut reader, verdicts, &mut out, told)?;
    Ok(Streamed { out: String::from_utf8(out).expect("UTF-8"), counts, refused })
}

#[test]
fn rows_beyond_a_batch_come_out_in_their_order() {
    let rows = 2 * PULL_PAGE_ROWS_MAX + 1;
    let store = |at: usize| if at.is_multiple_of(3) { "S0002" } else { "S0001" };
    let line = |at: usize| format!("C{at},{}\n", store(at));
    let header = "ACCOUNTNUM,INVENTLOCATION\n".to_string();
    let input = header.clone() + &(0..rows).map(line).collect::<String>();
    let streamed = streamed("ax.CUSTTABLE", "S0001", &input, false).expect("rows");
    let kept: String = (0..rows).filter(|at| store(*at) == "S0001").map(line).collect();
    assert_eq!(streamed.out, header + &kept);
    let dropped = rows.div_ceil(3) as u64;
    let counts = Counts { kept: rows as u64 - dropped, dropped, ..Counts::default() };
    assert_eq!(streamed.counts, counts);
}

#[test]
fn json_stays_json_and_changes_are_counted() {
    let input = "{\"RECEIPTEMAIL\":\"anna@example.org\"}\n{\"RECEIPTEMAIL\":\"\"}\n";
    let streamed = streamed("RETAILCUSTTABLE", "S0001", input, false).expect("rows");
    assert_eq!(streamed.out, "{\"RECEIPTEMAIL\":\"a***@example.org\"}\n{\"RECEIPTEMAIL\":\"\"}\n");
    assert_eq!(streamed.counts, Counts { kept: 2, changed: 1, ..Counts::default() });
}

#[test]
fn refused_rows_are_told_and_with_verdicts_written() {
    let input = "INVENTLOCATION\nS0001\n\nS0002\n";
    let without = streamed("ax.CUSTTABLE", "", input, false).expect("rows");
    assert_eq!(without.out, "INVENTLOCATION\n\n");
    let lines: Vec<usize> = without.refused.iter().map(|(line, _)| *line).collect();
    assert_eq!((lines, without.counts.refused), (vec![2, 4], 2));
    let with = streamed("ax.CUSTTABLE", "", input, true).expect("rows");
    assert!(with.out.starts_with("verdict,INVENTLOCATION\nrefuse: "), "{}", with.out);
    assert!(with.out.contains("\nkeep,\n") && with.out.ends_with(",S0002\n"), "{}", with.out);
}

#[test]
fn what_the_plugin_needs_must_be_there() {
    let error = streamed("ax.CUSTTABLE", "S0001", "ACCOUNTNUM\nC1\n", false);
    let error = error.map(|_| ()).expect_err("no column");
    assert_eq!(error.code(), "kit-rows");
    assert!(error.to_string().contains("line 1: the input lacks INVENTLOCATION, which"), "{error}");
}

/// Line 2,502 of 5,000 was "row 501", or nothing at all.
#[test]
fn the_row_that_a_rule_fails_at_is_named() {
    let schema = Schema::published().expect("the published schema");
    let table = schema.find("ax.CUSTTABLE").expect("the table").travelling(&[]);
    let rows: String = (0..5 * PULL_PAGE_ROWS_MAX).map(|at| format!("C{at},usrt\n")).collect();
    for (harm, code, place) in [
        (
            "panics-at-C2500",
            "plugin-trap",
            "stdin:2502 (ACCOUNTNUM=C2500, DATAAREAID=usrt): plugin",
        ),
        ("too-long", "plugin-bad-answer", "stdin:2 (ACCOUNTNUM=C0, DATAAREAID=usrt): plugin"),
    ] {
        let config = format!("{harm}@ax.CUSTTABLE/ACCOUNTNUM");
        let plugin = sandbox().load(&component("hostile"), &config).expect("it loads");
        let text = format!("ACCOUNTNUM,DATAAREAID\n{rows}");
        let reader = RowReader::open("stdin", text.as_bytes(), None, &table, false);
        let mut reader = reader.expect("a header");
        let ended = stream(&plugin, &context(), &mut reader, false, &mut Vec::new(), |_, _| {});
        let error = ended.expect_err("it fails");
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().starts_with(place), "{error}");
    }
}
