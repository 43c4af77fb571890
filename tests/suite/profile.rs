//! `tillhold profile …` through the program, against the demonstration's channel.

use crate::harness::{PROGRAM, Stage, proof};
use std::path::Path;
use std::process::Command;

/// What a run of the program ended with and told.
struct Told {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

fn run(words: &[&str], config: &Path) -> Told {
    let output = Command::new(PROGRAM).args(words).arg("--config").arg(config).output();
    let output = output.expect("a run of the program");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Told {
        status: output.status.code(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

impl Told {
    #[track_caller]
    fn assert(&self, status: i32, stdout: &[&str], stderr: &[&str]) {
        let all = format!("stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        assert_eq!(self.status, Some(status), "{all}");
        for part in stdout {
            assert!(self.stdout.contains(part), "no '{part}' on stdout; {all}");
        }
        for part in stderr {
            assert!(self.stderr.contains(part), "no '{part}' on stderr; {all}");
        }
    }
}

fn write(file: &Path, text: &str) -> String {
    std::fs::write(file, text).expect("a file to write");
    file.display().to_string()
}

/// In the register's settings, another line instead of `profile = …`.
fn follow(config: &Path, line: &str) {
    let text = std::fs::read_to_string(config).expect("the register's settings");
    let changed = text.replace("profile = \"profile.toml\"\n", line);
    assert_ne!(text, changed);
    std::fs::write(config, changed).expect("other settings");
}

const WRONG: &str = r#"offline_timout_s = 3
order = ["Customer"]

[[scope]]
name = "Customers"
direction = "download"
tables = ["ax.CUSTTABEL", { name = "ax.CUSTGROUP", exclude = ["NAMES"] }]
transformer = { plugin = "nowhere" }
"#;

const FILTERED: &str = r#"source = "channel"
[[scope]]
name = "1010 Customers"
tables = [
    { name = "ax.CUSTTABLE", filter = "CREDITMAXX > 5" },
    { name = "ax.RETAILCUSTTABLE", filter = "RECEIPTOPTION = 'soon'" },
]
"#;

#[test]
fn a_check_tells_everything_at_once_and_whether_it_looked_at_the_channel() {
    proof(async {
        let stage = Stage::prepared(20).await;
        let (config, folder) = (stage.rehearsal.config(), stage.rehearsal.folder().to_path_buf());
        let whole = run(&["profile", "check"], &config);
        whole.assert(0, &["note: ax.DBVERSION has no primary key"], &["compared with the channel"]);
        let wrong = write(&folder.join("wrong.toml"), WRONG);
        let told = run(&["profile", "check", "--profile", &wrong], &config);
        let expected = [
            "wrong.toml:1: unknown setting offline_timout_s; did you mean offline_timeout_s?",
            "wrong.toml:2: order names Customer, which is no scope; did you mean Customers?",
            "wrong.toml:7: the channel has no table ax.CUSTTABEL, or this login may not see it; did you mean ax.CUSTTABLE?",
            "wrong.toml:7: ax.CUSTGROUP has no column NAMES; did you mean NAME?",
            "wrong.toml:8: plugin nowhere: ",
        ];
        told.assert(1, &expected, &["mistakes: 5, notes: 0; 1 tables compared with the channel"]);
        let json = run(&["profile", "check", "--json", "--profile", &wrong], &config);
        let json: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
        assert_eq!(json["mistakes"].as_array().map(Vec::len), Some(5), "{json}");
        assert_eq!(
            (&json["mistakes"][0]["line"], &json["channel"]["looked"]),
            (&1.into(), &true.into())
        );

        // A filter on a table that the channel's own profile names, checked against the real columns.
        let filtered = write(&folder.join("filtered.toml"), FILTERED);
        let told = run(&["profile", "check", "--profile", &filtered], &config);
        let misfits = [
            "filtered.toml:5: filter, column 1: ax.CUSTTABLE has no column CREDITMAXX; did you mean CREDITMAX?",
            "filtered.toml:6: filter, column 17: RECEIPTOPTION is int: write a number, without quotes",
        ];
        told.assert(1, &misfits, &["mistakes: 2"]);

        // Pictures by a column that the register will not have: none came, and nothing said so.
        let settings = std::fs::read_to_string(&config).expect("the register's settings");
        let images = "[images]\nfolder = \"pictures\"\nsource = \"from\"\nprefetch = [\"ax.CUSTTABLE.NAMES\", \"ax.NOTABLE.IMAGE\"]\n";
        write(&config, &format!("{settings}\n{images}"));
        let told = run(&["profile", "check"], &config);
        let unknown = [
            "register.toml: images.prefetch names ax.CUSTTABLE.NAMES, which is not there",
            "register.toml: note: images.prefetch names ax.NOTABLE.IMAGE, and no scope has that table",
        ];
        told.assert(1, &unknown, &["mistakes: 1"]);
        write(&config, &settings);

        let nowhere = folder.join("none.toml");
        let offline = ["profile", "check", "--offline", "--profile"];
        run(&[&offline[..], &[&wrong]].concat(), &nowhere).assert(
            1,
            &expected[..1],
            &["mistakes: 2"],
        );
        run(&[&offline[..], &["default"]].concat(), &nowhere).assert(0, &[], &["(--offline)"]);

        stage.rehearsal.cut().await.expect("a cut");
        let told = run(&["profile", "check"], &config);
        told.assert(2, &[], &["error[channel-unreachable]", "mistakes: 0", "not compared"]);
        run(&["profile", "check", "--profile", &wrong], &config).assert(1, &expected[..1], &[]);
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn a_register_that_is_told_its_store_alone_finds_its_profile_and_provisions() {
    proof(async {
        let stage = Stage::prepared(20).await;
        let (config, folder) = (stage.rehearsal.config(), stage.rehearsal.folder().to_path_buf());
        let shown = run(&["profile", "show"], &config);
        shown.assert(
            0,
            &["profile.toml:3", "ax.RETAILOFFLINESCOPE.SYNCDIRECTION", "# default"],
            &[],
        );
        let told = run(&["profile", "diff", "register", "channel"], &config);
        told.assert(2, &[], &["error[profile-not-provisioned]", "next: "]);
        follow(&config, "");
        std::fs::remove_file(folder.join("profile.toml")).expect("no profile of its own");
        let shown = run(&["profile", "show"], &config);
        shown.assert(0, &["# ax.RETAILOFFLINEPROFILE.NAME", "name = \"1010 Customers\""], &[]);
        assert!(!shown.stdout.contains("plugin ="), "{}", shown.stdout);
        let provisioned = run(&["provision", "--progress", "json"], &config);
        provisioned.assert(0, &["\"table\":\"ax.CUSTTABLE\"", "\"quarantined\":0"], &[]);
        stage
            .rehearsal
            .office("UPDATE [ax].[RETAILSTORETABLE] SET [OFFLINEPROFILE] = 0;")
            .expect("none");
        let told = run(&["provision"], &config);
        told.assert(2, &[], &["error[channel-profile]", "next: give the store an offline profile"]);
        run(&["profile", "check"], &config).assert(1, &["uses no offline profile"], &[]);
        stage.rehearsal.close().await.expect("an end");
    });
}

/// The channel's own profile was a dead end for a register's account: `--check` and `--print` needed the very right that
/// they were asked about.
#[test]
fn the_right_to_read_the_channels_profile_is_named_and_granted_without_being_needed() {
    proof(async {
        let stage = Stage::prepared(20).await;
        let (config, folder) = (stage.rehearsal.config(), stage.rehearsal.folder().to_path_buf());
        follow(&config, "profile = \"channel\"\n");
        for object in ["[ax].[RETAILOFFLINETABLE]", "[ax].[RETAILOFFLINEPROFILE]"] {
            let revoke = format!("REVOKE SELECT ON OBJECT::{object} FROM [tillhold_register];");
            stage.rehearsal.office(&revoke).expect("a right taken");
        }
        let hint = "let a database administrator run `tillhold channel prepare --print`'s script";
        run(&["provision"], &config).assert(2, &[], &["error[channel-right]", hint]);
        let missing = [
            "missing: SELECT on ax.RETAILOFFLINEPROFILE is not granted\n",
            "missing: SELECT on ax.RETAILOFFLINETABLE is not granted\n",
        ];
        run(&["channel", "prepare", "--check"], &config).assert(1, &missing, &[]);
        let part = run(&["channel", "prepare", "--print"], &config);
        let again = "Run `tillhold channel prepare --print` once more";
        part.assert(
            1,
            &[again, "GRANT SELECT ON OBJECT::[ax].[RETAILOFFLINETABLE]"],
            &["first part"],
        );
        assert!(!part.stdout.contains("CUSTTABLE"), "{}", part.stdout);
        for batch in part.stdout.split("GO\n").filter(|batch| !batch.trim().is_empty()) {
            stage.rehearsal.office(batch).expect("a batch of the script");
        }
        let whole = run(&["channel", "prepare", "--print"], &config);
        whole.assert(0, &["GRANT SELECT ON OBJECT::[ax].[CUSTTABLE]"], &[]);
        run(&["channel", "prepare", "--check"], &config).assert(0, &[], &[]);
        let file = folder.join("mine.toml").display().to_string();
        run(&["profile", "import", "--output", &file], &config).assert(0, &[], &[]);
        run(&["provision"], &config).assert(0, &[], &[]);
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn the_default_profile_provisions() {
    proof(async {
        let stage = Stage::prepared(20).await;
        let config = stage.rehearsal.config();
        follow(&config, "profile = \"default\"\n");
        stage.rehearsal.prepare().await.expect("a channel with rights for the default profile");
        run(&["profile", "check"], &config).assert(0, &[], &["mistakes: 0, notes: 0; 349 tables"]);
        let told = run(&["provision", "--progress", "json"], &config);
        told.assert(
            0,
            &["\"table\":\"ax.CUSTTABLE\"", "\"scope\":\"1170 POS task recorder\""],
            &[],
        );
        let shown = run(&["profile", "show"], &config);
        shown.assert(0, &["exclude = [\"PASSWORD\", \"PASSWORDDATA\"] }"], &[]);
        stage.rehearsal.close().await.expect("an end");
    });
}

/// The profile with the office's rights.
fn publish(words: &[&str], folder: &Path) -> Told {
    let password = folder.join("office.password").display().to_string();
    let office = ["--user", "office", "--password-file", &password];
    run(&[&["profile", "publish"], words, &office].concat(), &folder.join("register.toml"))
}

#[test]
fn what_is_published_comes_back_and_differences_are_told_one_by_one() {
    proof(async {
        let stage = Stage::prepared_whole(20, |profile| profile).await;
        let (config, folder) = (stage.rehearsal.config(), stage.rehearsal.folder().to_path_buf());
        let mine = folder.join("mine.toml");
        let file = mine.display().to_string();
        let import = ["profile", "import", "--output", &file];
        run(&import, &config).assert(0, &[], &[]);
        let text = std::fs::read_to_string(&mine).expect("the imported profile");
        run(&import, &config).assert(2, &[], &["error[profile-file-exists]", "next: name a new"]);
        assert_eq!(std::fs::read_to_string(&mine).expect("the same profile"), text);
        let diff = ["profile", "diff", "channel", &file];
        run(&diff, &config).assert(0, &[], &[]);

        let changed = text
            .replace("    \"ax.CUSTGROUP\",\n", "")
            .replace("frequency_s = 10\n", "frequency_s = 11\nresolver = \"defer\"\n");
        write(&mine, &changed);
        let expected = [
            "scope 1010 Customers: table ax.CUSTGROUP: removed (whole table)\n",
            "scope P-0001 Channel transactions (upload): frequency_s: 10 -> 11\n",
            "scope P-0001 Channel transactions (upload): resolver: \"channel-wins\" -> \"defer\"\n",
        ];
        run(&diff, &config).assert(1, &expected, &[]);
        let publish_mine = ["--profile", &file];
        let till = run(&["profile", "publish", "--profile", &file], &config);
        till.assert(2, &[], &["error[channel-right]"]);
        let rehearsed = publish(&[&publish_mine[..], &["--dry-run"]].concat(), &folder);
        let kept = "profile Default: known already\nscopes: 0 added, 20 kept, 0 removed\ntables: 318 before, 317 now\n";
        let stays = "stays in the file: scope P-0001 Channel transactions (upload): resolver\n";
        rehearsed.assert(0, &[kept, stays], &["rolled back (--dry-run)"]);
        run(&diff, &config).assert(1, &expected, &[]);
        let done = publish(&publish_mine, &folder);
        done.assert(0, &[], &["profile Default is published"]);
        assert_eq!(done.stdout, rehearsed.stdout);
        let left = run(&diff, &config);
        assert_eq!((left.status, left.stdout.as_str()), (Some(1), expected[2]));

        let other = publish(&[&publish_mine[..], &["--name", "Other"]].concat(), &folder);
        other.assert(1, &["scope 1010 Customers belongs to profile Default too"], &["--shared"]);
        let long = publish(&[&publish_mine[..], &["--name", "Default profile"]].concat(), &folder);
        long.assert(2, &[], &["mine.toml: 'Default profile' has 15 characters", "holds 10"]);
        write(&mine, &changed.replace("\"ax.CUSTTABLE\"", "\"ax.CUSTTABEL\""));
        let wrong = publish(&publish_mine, &folder);
        wrong.assert(2, &[], &["mine.toml:", "did you mean ax.CUSTTABLE?"]);
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn the_default_profile_is_published_whole_but_for_what_only_a_file_can_say() {
    proof(async {
        let stage = Stage::prepared_whole(20, |profile| profile).await;
        let (config, folder) = (stage.rehearsal.config(), stage.rehearsal.folder().to_path_buf());
        let done = publish(&["--profile", "default", "--assign"], &folder);
        done.assert(0, &["scopes: 1 added, 20 kept, 0 removed", "store S0343: uses it"], &[]);
        let told = run(&["profile", "diff", "default", "channel"], &config);
        let expected = "scope Seeds (offline-only scope): resolver: \"offline-wins\" -> \"channel-wins\"\n\
                        scope Shift staging: resolver: \"offline-wins\" -> \"channel-wins\"\n";
        assert_eq!((told.status, told.stdout.as_str()), (Some(1), expected));
        stage.rehearsal.close().await.expect("an end");
    });
}
