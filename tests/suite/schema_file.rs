//! Schema files: what an author of plugins knows of a channel that is not there.

use crate::harness::{PROGRAM, Stage, proof};
use serde_json::{Value as Json, json};
use std::process::Command;

#[test]
fn a_channels_tables_are_written_with_their_types() {
    proof(async {
        let stage = Stage::prepared_whole(20, |profile| profile).await;
        let schema = |tables: &str| stage.tillhold(&["channel", "schema", "--tables", tables]);
        let ran = schema("ax.RETAILCUSTTABLE,CUSTGROUP");
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        let json = ran.json();
        let names: Vec<&String> = json.as_object().expect("tables").keys().collect();
        assert_eq!(names, ["ax.RETAILCUSTTABLE", "ax.CUSTGROUP"], "in the order that was asked");
        let table = &json["ax.RETAILCUSTTABLE"];
        let columns = table["columns"].as_array().expect("columns");
        assert!(columns.contains(&json!(["RECEIPTEMAIL", "nvarchar(80)", "not null"])), "{table}");
        assert!(columns.contains(&json!(["ROWVERSION", "rowversion", "not null"])), "{table}");
        assert_eq!(table["keys"], json!([{ "kind": "PK", "cols": ["ACCOUNTNUM", "DATAAREAID"] }]));
        let wrong = schema("ax.CUSTGRUOP");
        assert_eq!((wrong.status, wrong.stdout.as_str()), (Some(2), ""));
        assert!(wrong.stderr.contains("channel-table"), "{}", wrong.stderr);
        assert!(wrong.stderr.contains("did you mean ax.CUSTGROUP?"), "{}", wrong.stderr);
        let whole = stage.tillhold(&["channel", "schema"]).json();
        let whole = whole.as_object().expect("tables");
        let travels = |column: &Json| column[0] != "ROWVERSION";
        assert!(whole.len() > 200, "the profile's tables: {}", whole.len());
        let columns = |table: &Json| table["columns"].as_array().expect("columns").clone();
        assert!(whole.values().all(|table| columns(table).iter().all(travels)), "as they travel");
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn the_published_schema_needs_no_channel() {
    let folder = tempfile::tempdir().expect("a folder without settings");
    let schema = |tables: &str| {
        let mut command = Command::new(PROGRAM);
        command.args(["channel", "schema", "--published", "--tables", tables]);
        command.current_dir(folder.path()).output().expect("a run of the program")
    };
    let ran = schema("ax.CUSTTABLE");
    assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
    let json: Json = serde_json::from_slice(&ran.stdout).expect("JSON");
    assert_eq!(json["ax.CUSTTABLE"]["defaults"]["CREDITMAX"], "(0)");
    let wrong = schema("ax.CUSTTABEL");
    assert_eq!(wrong.status.code(), Some(2));
    let told = String::from_utf8_lossy(&wrong.stderr);
    assert!(told.contains("kit-table") && told.contains("did you mean ax.CUSTTABLE?"), "{told}");
}
