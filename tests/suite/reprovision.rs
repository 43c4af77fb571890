//! `tillhold reprovision`: a database made anew, refused while the old one holds anything, whole whatever is killed.

use crate::harness::{PROGRAM, Stage, proof};
use crate::snapshots;
use serde_json::Value as Json;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

fn incarnation(folder: &Path) -> String {
    let journal = rusqlite::Connection::open(folder.join("journal.db")).expect("a journal");
    let sql = "SELECT value FROM tillhold_meta WHERE name = 'incarnation'";
    journal.query_row(sql, (), |row| row.get(0)).expect("an incarnation")
}

/// The kept old databases.
fn replaced(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the offline folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.to_string_lossy().contains("replaced-")).collect()
}

/// Runs it; its exit status and what it told.
fn run(stage: &Stage, flags: &[&str]) -> (Option<i32>, String) {
    let ran = stage.tillhold(&[&["reprovision"], flags].concat());
    (ran.status, ran.stderr)
}

pub fn assert_refused(stage: &Stage, code: &str, words: &[&str]) {
    let (status, told) = run(stage, &[]);
    println!("{told}");
    assert_eq!(status, Some(2), "{told}");
    for word in [format!("error[{code}]").as_str()].iter().chain(words) {
        assert!(told.contains(word), "no '{word}' in:\n{told}");
    }
}

async fn mark(stage: &Stage) -> u64 {
    let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
    assert_eq!(status["numbers"]["fault"], Json::Null, "{status}");
    status["numbers"]["mark"].as_u64().expect("a mark")
}

#[test]
fn a_new_database_goes_on_where_the_old_one_was() {
    proof(async {
        let mut stage = Stage::online(5).await;
        let folder = stage.rehearsal.folder().join("offline");
        stage.rehearsal.sell(3).await.expect("sales");
        let before = mark(&stage).await;
        assert_refused(&stage, "local-in-use", &[]);
        stage.rehearsal.settle().await.expect("everything sent");
        stage.rehearsal.kill();
        // Head office restores its backup of the seeds, and loses the register's sales: only the register knows its numbers.
        let lost = [
            "UPDATE [ax].[RETAILPOSSEEDDATA] SET [DATAVALUE] = 1 WHERE [DATATYPE] = 8;",
            "DELETE FROM [ax].[RETAILTRANSACTIONTABLE];",
        ];
        for sql in lost {
            stage.rehearsal.office(sql).expect("a loss");
        }
        let old = incarnation(&folder);
        let (status, told) = run(&stage, &[]);
        assert_eq!(status, Some(0), "{told}");
        assert!(told.contains("the old one is kept in"), "{told}");
        assert_ne!(incarnation(&folder), old);
        let kept = replaced(&folder);
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert_eq!(incarnation(&kept[0]), old);
        stage.start().await;
        assert_eq!(mark(&stage).await, before, "no number is given twice");
        let post = stage.rehearsal.post("/v1/sync").await.expect("a sync");
        assert!(post.is_success(), "{post:?}");
        let status = stage.rehearsal.get("/v1/status").await.expect("a status").body;
        assert_eq!(status["push_fault"], Json::Null, "the new incarnation speaks: {status}");
        stage.rehearsal.kill();
        // Begun with the catalogue that this register exported itself.
        let exported =
            snapshots::run(&["export", "snapshot", "--force"], &stage.rehearsal.config());
        snapshots::done(&exported);
        let export = stage.rehearsal.folder().join("export").display().to_string();
        let (status, told) = run(&stage, &["--remove-old", "--from", &export]);
        assert!(told.contains(" took "), "{told}");
        assert_eq!(status, Some(0), "{told}");
        assert_eq!(replaced(&folder), kept, "only the one of before");
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn what_the_channel_does_not_have_is_counted_and_kept() {
    proof(async {
        let mut stage = Stage::online(5).await;
        let folder = stage.rehearsal.folder().join("offline");
        stage.rehearsal.cut().await.expect("a cut");
        stage.state("offline").await;
        stage.rehearsal.sell(2).await.expect("sales offline");
        stage.rehearsal.kill();
        let old = incarnation(&folder);
        let words =
            ["2 transactions (", " USD)", "next: `tillhold sync`", "tillhold export unsent"];
        assert_refused(&stage, "reprovision-unsent", &words);
        stage.rehearsal.restore().await.expect("the line back");
        assert_refused(&stage, "reprovision-unsent", &["2 transactions ("]);
        assert_eq!(incarnation(&folder), old);
        stage.start().await;
        stage.holds().await;
        stage.rehearsal.kill();
        // Out of reach of the channel, nothing is made anew, and nothing is lost.
        stage.rehearsal.cut().await.expect("a cut");
        let (status, told) = run(&stage, &[]);
        assert_eq!(status, Some(2), "{told}");
        assert!(told.contains("the old database stays as it is"), "{told}");
        assert_eq!(incarnation(&folder), old);
        assert!(!folder.join("next").exists());
        stage.rehearsal.restore().await.expect("the line back");
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Another program rings something up when the first table has come: hours before the end, at a large store.
#[test]
fn a_sale_of_another_program_while_the_new_one_is_filled_is_kept() {
    proof(async {
        let mut stage = Stage::online(200).await;
        let folder = stage.rehearsal.folder().join("offline");
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.rehearsal.settle().await.expect("everything sent");
        stage.rehearsal.kill();
        let old = incarnation(&folder);
        let mut child = reprovisioning(&stage);
        let mut told = BufReader::new(child.stdout.take().expect("its stdout")).lines();
        told.next().expect("a table").expect("a line");
        let journal = rusqlite::Connection::open(folder.join("journal.db")).expect("the journal");
        let edit = "UPDATE \"ax.CUSTTABLE\" SET VATNUM = 'meanwhile' \
                    WHERE ACCOUNTNUM = (SELECT min(ACCOUNTNUM) FROM \"ax.CUSTTABLE\")";
        assert_eq!(journal.execute(edit, ()).expect("an edit"), 1);
        journal.close().expect("an end");
        assert!(folder.join("next").exists(), "written while it was filled");
        told.for_each(drop);
        let ended = child.wait_with_output().expect("an end");
        let words = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{words}");
        for word in ["error[reprovision-unsent]", "stays as it is", "1 transactions"] {
            assert!(words.contains(word), "no '{word}' in:\n{words}");
        }
        assert_eq!((incarnation(&folder), replaced(&folder)), (old, Vec::new()));
        assert!(!folder.join("next").exists(), "what was built is thrown away");
        // As it is told to: sent, and made anew then.
        stage.start().await;
        stage.rehearsal.settle().await.expect("everything sent");
        let edited = "SELECT 1 FROM [ax].[CUSTTABLE] WHERE [VATNUM] = N'meanwhile';";
        assert_eq!(stage.rehearsal.count(edited).expect("a count"), 1);
        stage.rehearsal.kill();
        let (status, told) = run(&stage, &[]);
        assert_eq!(status, Some(0), "{told}");
        stage.rehearsal.close().await.expect("an end");
    });
}

/// kill -9 at many moments of one run after another; the agent starts with the old database or the new one.
#[test]
fn killed_at_any_moment_the_register_has_a_whole_database() {
    proof(async {
        let mut stage = Stage::online(200).await;
        let folder = stage.rehearsal.folder().join("offline");
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.rehearsal.settle().await.expect("everything sent");
        stage.rehearsal.kill();
        let mut known = vec![incarnation(&folder)];
        let mut killed = 0;
        for lines in [1, 40, 200, 320] {
            killed += usize::from(killed_after(&stage, lines));
            // The next command brings to its end what was cut off in the middle of taking the place.
            stage.rehearsal.command(&["size"]).await.expect("a database that opens");
            let now = incarnation(&folder);
            assert!(lines > 1 || now == known[0], "killed before it was filled");
            known.push(now);
        }
        assert!(killed >= 2, "it was over before it could be killed");
        println!("{killed} kills; incarnations: {known:?}");
        stage.start().await;
        assert!(!folder.join("next").exists(), "what was built is thrown away");
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.holds().await;
        stage.rehearsal.kill();
        let (status, told) = run(&stage, &[]);
        assert_eq!(status, Some(0), "{told}");
        stage.start().await;
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.rehearsal.settle().await.expect("everything sent");
        stage.rehearsal.close().await.expect("an end");
    });
}

/// Kills it once it has told so many lines of progress; whether it came to that.
fn killed_after(stage: &Stage, lines: usize) -> bool {
    let mut child = reprovisioning(stage);
    let stdout = BufReader::new(child.stdout.take().expect("its stdout"));
    let told = stdout.lines().map_while(Result::ok).take(lines).count();
    // One that has ended already is not killed any more.
    let _ = child.kill();
    let status = child.wait().expect("an end");
    told == lines && !status.success()
}

/// It tells each table on stdout.
fn reprovisioning(stage: &Stage) -> Child {
    Command::new(PROGRAM)
        .args(["reprovision", "--progress", "json", "--config"])
        .arg(stage.rehearsal.config())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a run of the program")
}
