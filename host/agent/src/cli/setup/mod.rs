//! `tillhold setup`: asks what AX's configuration utility asked, tests the connection, writes register.toml.
//!
//! ```text
//! register.toml, if there -> defaults ─┐
//! flags -> a person -> answers ────────┴─> the new text -> our own parser -> the connection tested
//!                                                       -> the password kept -> register.toml, by renaming
//! ```
//!
//! * Nothing is written before everything is answered and the connection tested, or its failure accepted.
//! * What setup does not ask about stays in the file as it stands; another register's file only goes with `--replace`,
//!   and is kept beside the new one.
//! * The file that is written has been read by the very parser that reads it later.

mod answers;
mod connection;
mod dialogue;
mod document;
mod fault;
mod hidden;

use super::{Done, Settings};
use crate::settings::register_file::RegisterFile;
use crate::snapshot::place;
use answers::{Answers, Kept};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _};
use connection::Found;
use dialogue::Dialogue;
use document::Document;
pub use fault::SetupError;
use std::path::{Path, PathBuf};
use tillhold_env::Env;

#[derive(Args)]
pub struct SetupArgs {
    #[command(flatten)]
    settings: Settings,
    /// The store's number (RETAILSTORETABLE.STORENUMBER)
    #[arg(long, value_name = "NUMBER")]
    store: Option<String>,
    /// The register's id (RETAILTERMINALTABLE.TERMINALID)
    #[arg(long, value_name = "ID")]
    register: Option<String>,
    /// The server of the channel database: a name or an address
    #[arg(long, value_name = "HOST")]
    server: Option<String>,
    /// Its port
    #[arg(long)]
    port: Option<u16>,
    /// The channel database's name
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// A file with the certificate to trust, relative to register.toml
    #[arg(long, value_name = "FILE", conflicts_with = "trust")]
    certificate: Option<String>,
    /// Whose certificates are trusted
    #[arg(long, value_parser = ["system", "any"])]
    trust: Option<String>,
    /// The name in the server's certificate where it is another than --server
    #[arg(long, value_name = "NAME")]
    certificate_name: Option<String>,
    /// Anything but required is for old servers and tests
    #[arg(long, value_parser = ["required", "login-only", "off"])]
    encryption: Option<String>,
    /// What the register shows: a SQL login, an access token, or the account that it runs as
    #[arg(long, value_parser = ["sql", "token", "windows"])]
    authentication: Option<String>,
    /// The register's SQL login
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The file with the access token
    #[arg(long, value_name = "FILE")]
    token_file: Option<String>,
    #[command(flatten)]
    password: PasswordArgs,
    /// Read the password from the first line of stdin, and keep it in the place that is named
    #[arg(long)]
    password_stdin: bool,
    /// The folder of the offline database, relative to register.toml
    #[arg(long, value_name = "FOLDER")]
    folder: Option<String>,
    /// The offline profile: a file, `channel` or `default`
    #[arg(long, value_name = "PROFILE")]
    profile: Option<String>,
    /// The loopback address of the front door
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Write without testing the connection
    #[arg(long)]
    untested: bool,
    /// Begin a new file where one is that is another register's or cannot be read; the old one is kept beside it
    #[arg(long)]
    replace: bool,
}

/// Where the password is kept: one of these.
#[derive(Args)]
#[group(multiple = false)]
struct PasswordArgs {
    /// The password is kept in this file, for its owner's eyes only; relative to register.toml
    #[arg(long, value_name = "FILE")]
    password_file: Option<String>,
    /// The password is in this environment variable
    #[arg(long, value_name = "VARIABLE")]
    password_env: Option<String>,
    /// The password is this systemd credential
    #[arg(long, value_name = "NAME")]
    password_credential: Option<String>,
    /// The password is kept in the operating system's keyring under this name
    #[arg(long, value_name = "NAME")]
    password_keyring: Option<String>,
    /// The password is kept in register.toml itself, for all who may read it
    #[arg(long)]
    password_in_clear: bool,
}

impl SetupArgs {
    fn kept(&self) -> Option<Kept> {
        let args = &self.password;
        let file = args.password_file.clone().map(Kept::File);
        let other = args.password_env.clone().map(Kept::Variable);
        let other = other.or(args.password_credential.clone().map(Kept::Credential));
        let other = other.or(args.password_keyring.clone().map(Kept::Keyring));
        file.or(other).or(args.password_in_clear.then_some(Kept::InClear))
    }

    /// Paths are relative to the file.
    fn beside(&self, name: &str) -> PathBuf {
        self.settings.config.parent().unwrap_or(Path::new("")).join(name)
    }
}

pub async fn setup(env: &Env, args: SetupArgs) -> anyhow::Result<Done> {
    let config = &args.settings.config;
    let old = Document::read(config, args.replace)?;
    let is_replaced = args.replace && old.is_there;
    // Whoever hands the password over on stdin is not there to answer.
    let mut dialogue =
        if args.password_stdin { Dialogue::new(None) } else { Dialogue::of_terminal() };
    let answers = Answers::collect(&mut dialogue, &args, &old)?;
    refuse_missing(&dialogue)?;
    let text = old.with(&answers)?;
    let file = RegisterFile::of(config, text.clone())?;
    let mut first = None;
    if !args.untested {
        let found = connection::test(env, &file, answers.password.clone()).await;
        found.tell(&mut dialogue, &file)?;
        first = found.next();
        if let Found::Failed(error) = found {
            let words = format!("Write {} all the same?", config.display());
            if !dialogue.has_person() {
                return Err(
                    error.context("nothing was written (--untested writes without the test)")
                );
            }
            if !dialogue.agrees(&words)? {
                dialogue.say("Nothing was written.")?;
                return Ok(Done::No);
            }
        }
    }
    answers::keep(&answers, &args.beside(""))?;
    write(config, &text, &answers, is_replaced)?;
    tell_next(&mut dialogue, config, first)?;
    Ok(Done::Yes)
}

/// As clap says it of a flag that must be there.
fn refuse_missing(dialogue: &Dialogue) -> Result<(), clap::Error> {
    match dialogue.missing() {
        [] => Ok(()),
        missing => {
            let message = format!(
                "there is no terminal to ask on, and these answers are missing: {}",
                missing.join(", ")
            );
            Err(super::Cli::command().error(ErrorKind::MissingRequiredArgument, message))
        }
    }
}

fn write(
    config: &Path,
    text: &str,
    answers: &Answers,
    is_replaced: bool,
) -> Result<(), SetupError> {
    if is_replaced {
        let mut name = config.file_name().unwrap_or_default().to_os_string();
        name.push(".replaced");
        // A copy, so that the name is never without a file.
        std::fs::copy(config, config.with_file_name(name)).map_err(|cause| {
            SetupError::File(crate::snapshot::fault::SnapshotError::file(config, cause))
        })?;
    }
    let written = match answers.kept == Some(Kept::InClear) || is_private(config) {
        true => place::write_secret(config, text.as_bytes()),
        false => place::write_whole(config, text.as_bytes()),
    };
    written.map_err(SetupError::File)
}

/// Whether the file there is for its owner's eyes only: then the new one is too.
#[cfg(unix)]
fn is_private(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).is_ok_and(|data| data.permissions().mode() & 0o077 == 0)
}

#[cfg(not(unix))]
fn is_private(_: &Path) -> bool {
    false
}

/// `first` is what has to be done before all else, with what for.
fn tell_next(
    dialogue: &mut Dialogue,
    config: &Path,
    first: Option<(&str, &str)>,
) -> Result<(), SetupError> {
    let of = match config == Path::new("register.toml") {
        true => String::new(),
        false => format!(" --config {}", config.display()),
    };
    dialogue.say(&format!("{} is written. Next:", config.display()))?;
    if let Some((command, what)) = first {
        dialogue.say(&format!("  tillhold {command}{of}   {what}"))?;
    }
    dialogue.say(&format!("  tillhold provision{of}   fills the offline database"))?;
    dialogue.say(&format!("  tillhold run{of}   the agent"))
}
