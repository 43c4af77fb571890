//! Signed plugins on a running register: what is unsigned, by another key or not what was signed stays out, and the one at
//! work goes on; keys roll over while the register sells.

mod minisign;

use crate::harness::{PROGRAM, Stage, proof};
use minisign::Author;
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tillhold_plugin::digest_of;

const LIMIT: Duration = Duration::from_secs(120);
const RULE: &str = "store-customers";

fn component(stage: &Stage, name: &str) -> PathBuf {
    stage.rehearsal.folder().join("plugins").join(format!("{name}.wasm"))
}

fn signature(component: &Path) -> PathBuf {
    component.with_extension("wasm.minisig")
}

fn read(file: &Path) -> Vec<u8> {
    std::fs::read(file).expect("a component")
}

/// Written beside what lies there.
fn sign(author: &Author, file: &Path) {
    std::fs::write(signature(file), author.sign(&read(file))).expect("a signature");
}

fn trusting(authors: &[&Author]) -> String {
    let keys: Vec<String> = authors.iter().map(|author| format!("{:?}", author.key())).collect();
    format!("plugin_keys = [{}]\n", keys.join(", "))
}

/// The keys stand on the first line.
fn trust(stage: &Stage, authors: &[&Author]) {
    let path = stage.rehearsal.folder().join("profile.toml");
    let text = std::fs::read_to_string(&path).expect("the profile");
    let (_, rest) = text.split_once('\n').expect("a first line");
    std::fs::write(&path, trusting(authors) + rest).expect("another profile");
}

/// The same rule under another digest: a custom section that says nothing.
fn another_build(bytes: &[u8], note: &[u8; 4]) -> Vec<u8> {
    [bytes, &[0, 5, 4], note].concat()
}

fn rule(status: &Json) -> &Json {
    let plugins = status["plugins"].as_array().expect("plugins");
    plugins.iter().find(|one| one["name"] == RULE).unwrap_or(&Json::Null)
}

fn refused(status: &Json) -> Option<&str> {
    rule(status)["refused"]["code"].as_str()
}

async fn until(stage: &Stage, what: &'static str, wanted: impl Fn(&Json) -> bool) -> Json {
    let seen = stage.rehearsal.until(what, LIMIT, wanted).await;
    seen.unwrap_or_else(|error| panic!("{error}\nthe agent said:\n{}", stage.rehearsal.log()))
}

fn check(stage: &Stage, file: &Path) -> (Option<i32>, Json) {
    let mut run = Command::new(PROGRAM);
    run.args(["plugin", "check", "--json", "--profile"]);
    let run = run.arg(stage.rehearsal.folder().join("profile.toml")).arg(file).output();
    let run = run.expect("a run of the program");
    (run.status.code(), serde_json::from_slice(&run.stdout).expect("JSON"))
}

#[test]
fn an_unsigned_plugin_does_not_start_and_every_command_says_so() {
    proof(async {
        let ann = Author::new(1);
        let stage = Stage::prepared_with(5, |profile| trusting(&[&ann]) + &profile).await;
        let file = component(&stage, RULE);
        for words in [&["run"][..], &["profile", "check"], &["plugin", "preview", &told(&file)]] {
            let ran = stage.tillhold(words);
            let told = ran.stdout + &ran.stderr;
            assert_ne!(ran.status, Some(0), "{words:?}: {told}");
            let names_it = told.contains("plugin store-customers (sha256:");
            assert!(names_it && told.contains("is not signed"), "{words:?}: {told}");
        }
        let (status, told) = check(&stage, &file);
        assert_eq!((status, &told["findings"][0]["code"]), (Some(1), &"plugin-unsigned".into()));
        for name in [RULE, "customer-merge"] {
            sign(&ann, &component(&stage, name));
        }
        let (status, told) = check(&stage, &file);
        assert_eq!((status, &told["signed_by"]), (Some(0), &ann.number().into()), "{told:#}");
        let checked = stage.tillhold(&["profile", "check"]);
        assert!(!checked.stdout.contains("signed by"), "{}", checked.stdout);
        assert!(checked.stdout.contains("any signed component"), "{}", checked.stdout);
    });
}

fn told(file: &Path) -> String {
    file.display().to_string()
}

/// A store whose plugins Ann signed, and whose profile trusts her.
async fn signed_by(ann: &Author) -> Stage {
    let stage = Stage::prepared_with(20, |profile| trusting(&[ann]) + &profile).await;
    for name in [RULE, "customer-merge"] {
        sign(ann, &component(&stage, name));
    }
    stage
}

fn at_work(status: &Json, bytes: &[u8], by: &Author) -> bool {
    let one = rule(status);
    one["digest"] == digest_of(bytes) && one["signed_by"] == by.number()
}

#[test]
fn what_the_keys_do_not_vouch_for_stays_out_and_the_old_one_works_on() {
    proof(async {
        let (ann, ben) = (Author::new(1), Author::new(2));
        let mut stage = signed_by(&ann).await;
        let file = component(&stage, RULE);
        let first = read(&file);
        let (second, third) = (another_build(&first, b"two "), another_build(&first, b"thre"));
        stage.start().await;
        let before = until(&stage, "the first", |status| at_work(status, &first, &ann)).await;
        let listed = stage.tillhold(&["plugin", "list"]).stdout;
        assert!(listed.contains("SIGNED BY") && listed.contains(&ann.number()), "{listed}");

        // Not what Ann signed, then by somebody whom the profile does not know.
        std::fs::write(&file, &second).expect("a component");
        let seen = |code: &'static str| move |status: &Json| refused(status) == Some(code);
        until(&stage, "changed bytes", seen("plugin-signature-wrong")).await;
        sign(&ben, &file);
        let now = until(&stage, "an unknown signer", seen("plugin-signer-unknown")).await;
        assert!(at_work(&now, &first, &ann), "{now:#}");
        assert_eq!(rule(&now)["since_ms"], rule(&before)["since_ms"], "never away");
        let log = stage.rehearsal.log();
        assert!(log.contains("[plugin-signature-wrong]; the one at work stays"), "{log}");
        let sql = "UPDATE [ax].[CUSTTABLE] SET [ORGID] = N'x';";
        assert!(stage.rehearsal.office(sql).expect("an edit") > 1);
        let ruled = |status: &Json| rule(status)["rows"]["in"].as_u64();
        until(&stage, "rows ruled", |status| ruled(status) > ruled(&now)).await;
        stage.rehearsal.sell(1).await.expect("a sale meanwhile");

        // The profile trusts both: the very file is taken.
        trust(&stage, &[&ann, &ben]);
        let both = until(&stage, "the second key", |status| at_work(status, &second, &ben)).await;
        assert!(refused(&both).is_none(), "{both:#}");
        // A component whose signature comes after it, without a write to the component.
        std::fs::remove_file(signature(&file)).expect("a signature");
        std::fs::write(&file, &third).expect("a component");
        until(&stage, "unsigned", seen("plugin-unsigned")).await;
        sign(&ben, &file);
        until(&stage, "signed later", |status| at_work(status, &third, &ben)).await;
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn keys_roll_over_at_work_and_a_withdrawn_one_takes_its_kept_components_with_it() {
    proof(async {
        let (ann, ben) = (Author::new(1), Author::new(2));
        let mut stage = signed_by(&ann).await;
        let (file, merge) = (component(&stage, RULE), component(&stage, "customer-merge"));
        let first = read(&file);
        let second = another_build(&first, b"two ");
        stage.start().await;
        trust(&stage, &[&ann, &ben]);
        // The same build, signed anew by the other key: nothing is exchanged.
        sign(&ben, &file);
        let anew = until(&stage, "Ben's", |status| at_work(status, &first, &ben)).await;
        assert!(!stage.rehearsal.log().contains("took the place of"), "{anew:#}");
        sign(&ann, &file);
        until(&stage, "Ann's again", |status| at_work(status, &first, &ann)).await;
        std::fs::write(&file, &second).expect("a component");
        sign(&ben, &file);
        until(&stage, "the second", |status| at_work(status, &second, &ben)).await;

        // Back to Ann's, which is kept with its signature; a start asks again.
        let (first_digest, second_digest) = (digest_of(&first), digest_of(&second));
        let back = ["plugin", "rollback", RULE, "--who", "Eve", "--why", "prices"];
        let to = |digest: &str| stage.tillhold(&[&back[..], &["--to", digest]].concat());
        let ran = to(&first_digest);
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        until(&stage, "the first again", |status| at_work(status, &first, &ann)).await;
        stage.rehearsal.kill();
        stage.start().await;
        until(&stage, "still the first", |status| at_work(status, &first, &ann)).await;

        // Ann is trusted no more. What she signed goes with her, but not from under the register's feet.
        sign(&ben, &merge);
        trust(&stage, &[&ben]);
        let fault = |status: &Json| status["profile_fault"]["code"] == "plugin-signer-unknown";
        let now = until(&stage, "the profile refused", fault).await;
        assert!(at_work(&now, &first, &ann), "{now:#}");
        let to = |digest: &str| stage.tillhold(&[&back[..], &["--to", digest]].concat());
        let ran = to(&second_digest);
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        stage.rehearsal.settle().await.expect("a synchronisation, which looks at the profile");
        let now = until(&stage, "the profile taken", |s| s["profile_fault"].is_null()).await;
        assert!(at_work(&now, &second, &ben), "{now:#}");
        // Nobody goes back to Ann's.
        let ran = to(&first_digest);
        assert!(ran.stderr.contains("plugin-no-way-back"), "{}", ran.stderr);
        stage.rehearsal.sell(1).await.expect("a sale after");
        stage.rehearsal.close().await.expect("an end");
    });
}
