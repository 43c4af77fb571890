//! `tillhold setup`: asked on a real terminal, or told everything by flags; what it writes works to the end.

use crate::harness::{PROGRAM, Stage, proof, write_password};
use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// What the rehearsal wrote of its channel, before setup has to find its own words for it.
struct Facts {
    config: PathBuf,
    store: String,
    register: String,
    port: String,
    database: String,
    certificate: String,
    password: String,
}

impl Facts {
    /// Takes register.toml and the password's file away.
    fn take(stage: &Stage) -> Facts {
        let config = stage.rehearsal.config();
        let text = std::fs::read_to_string(&config).expect("register.toml");
        let table: toml::Table = text.parse().expect("register.toml");
        let channel = &table["channel"];
        let said = |key: &str| channel[key].as_str().expect("a text").to_string();
        let file = stage.rehearsal.folder().join("register.password");
        let facts = Facts {
            store: table["store"].as_str().expect("a store").to_string(),
            register: table["register"].as_str().expect("a register").to_string(),
            port: channel["port"].to_string(),
            database: said("database"),
            certificate: said("certificate"),
            password: std::fs::read_to_string(&file).expect("a password").trim().to_string(),
            config: config.clone(),
        };
        std::fs::remove_file(config).expect("register.toml away");
        std::fs::remove_file(file).expect("the password away");
        facts
    }

    fn flags(&self) -> Vec<&str> {
        vec![
            "--store",
            &self.store,
            "--register",
            &self.register,
            "--server",
            "127.0.0.1",
            "--port",
            &self.port,
            "--database",
            &self.database,
            "--certificate",
            &self.certificate,
            "--user",
            "tillhold",
            "--listen",
            "127.0.0.1:0",
        ]
    }

    fn text(&self) -> String {
        std::fs::read_to_string(&self.config).expect("register.toml")
    }
}

/// Runs setup where no terminal is; `typed` comes by stdin.
fn told(config: &Path, flags: &[&str], typed: &str) -> Output {
    let mut child = Command::new(PROGRAM)
        .args(["setup", "--config"])
        .arg(config)
        .args(flags)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a run of the program");
    let mut stdin = child.stdin.take().expect("its stdin");
    // One that refuses at once does not read it.
    let _ = stdin.write_all(typed.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("its output")
}

fn assert_told(output: &Output, status: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert!(output.stdout.is_empty(), "talk is for stderr");
    for word in words {
        assert!(said.contains(word), "no '{word}' in:\n{said}");
    }
}

fn assert_secret(file: &Path, password: &str) {
    assert_eq!(std::fs::read_to_string(file).expect("a password").trim_end(), password);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(file).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
}

/// The program on a pseudo terminal, and what its screen has shown.
struct Terminal {
    child: Box<dyn portable_pty::Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    shown: mpsc::Receiver<Vec<u8>>,
    screen: String,
    read: usize,
    /// Closed, it would hang the program up.
    _master: Box<dyn portable_pty::MasterPty + Send>,
}

impl Terminal {
    fn start(words: &[&str]) -> Terminal {
        let size = PtySize { rows: 50, cols: 200, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo terminal");
        let mut command = CommandBuilder::new(PROGRAM);
        command.args(words);
        let child = pair.slave.spawn_command(command).expect("a run of the program");
        drop(pair.slave);
        let keys = pair.master.take_writer().expect("its keys");
        let mut reader = pair.master.try_clone_reader().expect("its screen");
        let (tell, shown) = mpsc::channel();
        let read = move || {
            let mut bytes = [0; 1_024];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                if tell.send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().spawn(read).expect("a thread");
        Terminal { child, keys, shown, screen: String::new(), read: 0, _master: pair.master }
    }

    /// Waits until the screen shows `words` behind what was waited for before.
    fn expect(&mut self, words: &str) {
        loop {
            if let Some(at) = self.screen[self.read..].find(words) {
                self.read += at + words.len();
                return;
            }
            match self.shown.recv_timeout(Duration::from_secs(60)) {
                Ok(bytes) => self.screen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("no '{words}' on the screen:\n{}", self.screen),
            }
        }
    }

    fn answer(&mut self, words: &str, text: &str) {
        self.expect(words);
        self.expect(": ");
        writeln!(self.keys, "{text}").expect("a listening program");
    }

    /// Its exit status and all that it showed.
    fn end(mut self) -> (u32, String) {
        let status = self.child.wait().expect("an end").exit_code();
        while let Ok(bytes) = self.shown.recv_timeout(Duration::from_secs(1)) {
            self.screen.push_str(&String::from_utf8_lossy(&bytes));
        }
        (status, self.screen)
    }
}

#[test]
fn a_person_at_a_terminal_is_asked_and_what_comes_of_it_works() {
    proof(async {
        let mut stage = Stage::prepared(5).await;
        let facts = Facts::take(&stage);
        let config = facts.config.display().to_string();
        let mut terminal = Terminal::start(&["setup", "--config", &config]);
        terminal.answer("Store number", &facts.store);
        terminal.answer("Register id", "longer-than-ax-allows");
        terminal.expect("at most 10 characters");
        terminal.answer("Register id", &facts.register);
        terminal.answer("Server of the channel database", "127.0.0.1");
        terminal.answer("Its port [1433]", &facts.port);
        terminal.answer("Channel database", &facts.database);
        terminal.answer("File with the certificate", &facts.certificate);
        terminal.answer("Account of the register", "tillhold");
        terminal.answer("Where is its password kept", "");
        terminal.answer("File, relative to register.toml [register.password]", "");
        terminal.answer("Password of tillhold", &facts.password);
        terminal.answer("Folder of the offline database", "");
        terminal.expect("The channel is prepared: ");
        let (status, screen) = terminal.end();
        assert_eq!(status, 0, "{screen}");
        assert!(!screen.contains(&facts.password), "the password is on the screen");
        let words = format!("It knows store {} and its register {}.", facts.store, facts.register);
        assert!(screen.contains(&words), "{screen}");
        assert!(screen.contains("tillhold provision --config"), "{screen}");
        if let Ok(file) = std::env::var("TILLHOLD_SETUP_SCREEN") {
            std::fs::write(file, &screen).expect("a file for the documentation");
        }
        assert_secret(&stage.rehearsal.folder().join("register.password"), &facts.password);
        assert!(!facts.text().contains(&facts.password));

        // Again, where nobody is: the file's own answers stand, and one flag changes one of them.
        let again = told(&facts.config, &["--listen", "127.0.0.1:0"], "");
        assert_told(&again, 0, &["Connected to", "is written"]);
        stage.start().await;
        stage.rehearsal.sell(1).await.expect("a sale");
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

/// A channel that is not reached: the person decides, and an end of the answers is no decision.
#[test]
fn at_a_terminal_a_failed_test_is_the_persons_to_judge() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("register.toml");
    let path = config.display().to_string();
    // Nothing listens at port 1 of this machine.
    let flags = "setup --store S1 --register 1 --server 127.0.0.1 --port 1 --database c --user u --folder offline";
    let flags: Vec<&str> = flags.split(' ').chain(["--config", &path]).collect();
    let asked = |answer: &str| {
        let mut terminal = Terminal::start(&flags);
        terminal.answer("File with the certificate", "");
        terminal.answer("Where is its password kept", "safe");
        terminal.expect("file, keyring, env, credential or clear");
        terminal.answer("Where is its password kept", "file");
        terminal.answer("File, relative to register.toml", "p");
        terminal.answer("Password of u", "");
        terminal.expect("a password is needed");
        terminal.answer("Password of u", "hunter2");
        terminal.expect("No connection to c at 127.0.0.1:1");
        terminal.answer("all the same?", answer);
        terminal.end()
    };
    let (status, screen) = asked("no");
    assert_eq!(status, 1, "{screen}");
    assert!(!config.exists() && !folder.path().join("p").exists());
    // Control-D at the start of a line.
    let (status, screen) = asked("\u{4}");
    assert!(status == 2 && screen.contains("error[setup-ended]"), "{screen}");
    assert!(!config.exists());
    let (status, screen) = asked("yes");
    assert_eq!(status, 0, "{screen}");
    assert_secret(&folder.path().join("p"), "hunter2");
    assert!(config.exists() && !screen.contains("hunter2"), "{screen}");
}

#[test]
fn flags_alone_lead_from_nothing_to_a_sale_in_the_channel() {
    proof(async {
        let mut stage = Stage::prepared(5).await;
        let facts = Facts::take(&stage);
        let flags = [facts.flags(), vec!["--password-file", "new.password"]].concat();
        let without = told(&facts.config, &flags, "");
        assert_told(&without, 64, &["missing: --password-stdin"]);
        let with = [flags, vec!["--password-stdin"]].concat();
        let written = told(&facts.config, &with, &format!("{}\n", facts.password));
        assert_told(&written, 0, &["Connected to", "The channel is prepared", "tillhold run"]);
        assert_secret(&stage.rehearsal.folder().join("new.password"), &facts.password);
        // What is missing then is the profile, and no administrator can help.
        let lost = told(&facts.config, &["--profile", "nowhere.toml"], "");
        assert_told(&lost, 0, &["The profile cannot be used", "nowhere.toml", "profile check"]);
        assert!(!String::from_utf8_lossy(&lost.stderr).contains("channel prepare"));
        let found = told(&facts.config, &["--profile", "profile.toml"], "");
        assert_told(&found, 0, &["The channel is prepared"]);
        stage.rehearsal.command(&["provision"]).await.expect("a provisioning");
        stage.start().await;
        stage.rehearsal.sell(2).await.expect("sales");
        stage.rehearsal.command(&["sync"]).await.expect("a synchronisation");
        stage.holds().await;
        stage.rehearsal.close().await.expect("an end");
    });
}

#[test]
fn without_a_terminal_what_is_missing_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("register.toml");
    let output = told(&config, &["--store", "S1", "--server", "db"], "");
    let flags = "missing: --register, --database, --user, --password-stdin";
    assert_told(&output, 64, &[flags]);
    assert!(!config.exists());
}

/// What head office does not know yet is a warning; a channel that is not reached, or another register's file, stops it.
#[test]
fn what_does_not_fit_is_told_and_nothing_is_overwritten() {
    proof(async {
        let stage = Stage::prepared(5).await;
        let facts = Facts::take(&stage);
        let stdin = [facts.flags(), vec!["--password-file", "p", "--password-stdin"]].concat();
        let password = format!("{}\n", facts.password);
        let replaced = |flag: &str, value: &'static str| -> Vec<&str> {
            let at = stdin.iter().position(|word| *word == flag).expect("a flag") + 1;
            let mut flags = stdin.clone();
            flags[at] = value;
            flags
        };
        let refused = told(&facts.config, &replaced("--port", "1"), &password);
        assert_told(&refused, 2, &["error[channel-unreachable]", "nothing was written"]);
        let wrong = told(&facts.config, &stdin, "wrong\n");
        assert_told(&wrong, 2, &["error[channel-login]"]);
        assert!(!facts.config.exists() && !facts.config.with_file_name("p").exists());

        let untested = [replaced("--port", "1"), vec!["--untested"]].concat();
        assert_told(&told(&facts.config, &untested, &password), 0, &["is written"]);
        let remark = facts.text().replace("[channel]", "# Behind the counter.\n[channel]")
            + "[export]\nfolder = \"/srv/export\" # A share.\n";
        std::fs::write(&facts.config, remark).expect("a remark");
        assert_told(&told(&facts.config, &stdin, &password), 0, &["Connected to"]);
        let text = facts.text();
        for kept in ["# Behind the counter.", "folder = \"/srv/export\" # A share."] {
            assert!(text.contains(kept), "{text}");
        }
        assert!(text.contains(&format!("port = {}", facts.port)), "{text}");

        let other = replaced("--register", "999");
        let refused = told(&facts.config, &other, &password);
        assert_told(&refused, 2, &["error[setup-other-register]", &facts.register, "--replace"]);
        assert_eq!(facts.text(), text);
        let taken = told(&facts.config, &[other, vec!["--replace"]].concat(), &password);
        let known = [&facts.register, "warning: it knows no register 999"];
        assert_told(&taken, 0, &known);
        let kept = facts.config.with_file_name("register.toml.replaced");
        assert_eq!(std::fs::read_to_string(kept).expect("the old file"), text);
        stage.rehearsal.close().await.expect("an end");
    });
}

/// The password of a running register from the environment, and as systemd hands credentials to a service.
#[test]
fn a_password_comes_from_the_environment_or_from_systemd() {
    proof(async {
        let stage = Stage::prepared(5).await;
        let facts = Facts::take(&stage);
        let credentials = stage.rehearsal.folder().join("credentials");
        std::fs::create_dir(&credentials).expect("a folder");
        write_password(&credentials.join("till"), &facts.password);
        for (flag, name, code) in [
            ("--password-env", "TILLHOLD_PROOF_PASSWORD", "password-variable"),
            ("--password-credential", "till", "password-credential"),
        ] {
            let flags = [facts.flags(), vec!["--untested", flag, name]].concat();
            assert_told(&told(&facts.config, &flags, ""), 0, &["is written"]);
            let check = |variables: &[(&str, &str)]| {
                let mut check = Command::new(PROGRAM);
                check.args(["channel", "prepare", "--check", "--config"]).arg(&facts.config);
                check.envs(variables.iter().copied()).output().expect("a run of the program")
            };
            assert_told(&check(&[]), 2, &[&format!("error[{code}]")]);
            let folder = credentials.display().to_string();
            let with = [(name, facts.password.as_str()), ("CREDENTIALS_DIRECTORY", &folder)];
            let answer = check(&with);
            assert_eq!(answer.status.code(), Some(0), "{answer:?}");
        }
        stage.rehearsal.close().await.expect("an end");
    });
}

/// In register.toml itself only where that is asked for, and then nobody else may read it.
#[test]
fn a_password_in_clear_is_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("register.toml");
    let flags = "--store S1 --register 1 --server db --database c --user u --untested";
    let flags: Vec<&str> = flags.split(' ').collect();
    let clear = [flags.clone(), vec!["--password-in-clear", "--password-stdin"]].concat();
    assert_told(&told(&config, &clear, "hunter2\n"), 0, &["is written"]);
    let text = std::fs::read_to_string(&config).expect("register.toml");
    assert!(text.contains("password = \"hunter2\"\npassword_in_clear = true\n"), "{text}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&config).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let moved = [flags, vec!["--password-env", "SHOP_PASSWORD"]].concat();
    assert_told(&told(&config, &moved, ""), 0, &["is written"]);
    let text = std::fs::read_to_string(&config).expect("register.toml");
    assert!(text.contains("password_env = \"SHOP_PASSWORD\"\n"), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("password_in_clear"), "{text}");
    // Another kind of login leaves nothing of this one behind.
    let token = ["--authentication", "token", "--token-file", "t", "--untested"];
    assert_told(&told(&config, &token, ""), 0, &["is written"]);
    let text = std::fs::read_to_string(&config).expect("register.toml");
    assert!(text.contains("token_file = \"t\"") && !text.contains("user"), "{text}");
    assert!(!text.contains("SHOP_PASSWORD"), "{text}");
}
