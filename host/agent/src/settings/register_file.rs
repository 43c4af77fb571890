//! `register.toml`: which register this is, where its channel and its files are.
//!
//! Relative paths are relative to the file, so that a folder can be moved as a whole.

use super::profile_file::ProfileChoice;
use super::reader::{Mistakes, Section, Source};
use super::register_fields::{self as fields, Trusted};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tillhold_channel::{ChannelConfig, Encryption, Secret, Trust};
use tillhold_core::limits;

/// DOMAIN: AX's own change-log triggers recognise this application name.
const APPLICATION_NAME: &str = "Retail Offline Sync Service";

#[derive(Clone, Debug)]
pub struct RegisterFile {
    /// RETAILSTORETABLE.STORENUMBER
    pub store: String,
    /// RETAILTERMINALTABLE.TERMINALID
    pub register: String,
    pub profile: ProfileChoice,
    /// Where the offline database's files live.
    pub folder: PathBuf,
    pub channel: ChannelAddress,
    pub front_door: FrontDoorAddress,
    pub plugin_folder: PathBuf,
}

#[derive(Clone, Debug)]
pub struct ChannelAddress {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub user: String,
    pub password_file: PathBuf,
    pub encryption: Encryption,
    pub trust: Trust,
}

#[derive(Clone, Debug)]
pub struct FrontDoorAddress {
    pub listen: SocketAddr,
    /// Holds the bearer token; made with owner-only rights when it is not there.
    pub token_file: PathBuf,
}

impl RegisterFile {
    pub fn read(file: &Path) -> Result<RegisterFile, Mistakes> {
        let source = Source::read(file)?;
        let folder = file.parent().unwrap_or(Path::new("")).to_path_buf();
        source.parse(|top| RegisterFile::build(&folder, top))
    }

    pub(super) fn build(base: &Path, top: &Section<'_>) -> RegisterFile {
        let plugins = top.section(&fields::PLUGINS);
        let plugin_folder = plugins.and_then(|section| section.text(&fields::PLUGIN_FOLDER));
        let plugin_folder = plugin_folder.unwrap_or(fields::PLUGIN_FOLDER.default().to_string());
        let folder = top.text(&fields::FOLDER).unwrap_or(fields::FOLDER.default().to_string());
        RegisterFile {
            store: top.required_text(&fields::STORE),
            register: top.required_text(&fields::REGISTER_ID),
            profile: profile(top, base),
            folder: base.join(folder),
            channel: channel(top, base),
            front_door: front_door(top, base),
            plugin_folder: base.join(plugin_folder),
        }
    }

    /// The file that says where the front door listens, once it is up.
    pub fn address_file(&self) -> PathBuf {
        self.folder.join("front-door.address")
    }

    /// The connection's settings, with the password read from its file.
    pub fn channel_config(&self) -> Result<ChannelConfig, Mistakes> {
        let password = Source::read(&self.channel.password_file)?;
        let password = password.text().trim_end_matches(['\r', '\n']).to_string();
        Ok(ChannelConfig {
            host: self.channel.host.clone(),
            port: self.channel.port,
            database: self.channel.database.clone(),
            user: self.channel.user.clone(),
            password: Secret::new(password),
            encryption: self.channel.encryption,
            trust: self.channel.trust.clone(),
            application_name: APPLICATION_NAME.to_string(),
            connect_timeout: limits::CONNECT_TIMEOUT,
            statement_timeout: limits::STATEMENT_TIMEOUT,
        })
    }

    /// How long one front-door request may wait for the channel before it is answered from the offline database.
    pub fn request_deadline(offline_timeout: Duration) -> Duration {
        offline_timeout.min(limits::STATEMENT_TIMEOUT)
    }
}

fn profile(top: &Section<'_>, base: &Path) -> ProfileChoice {
    match top.text(&fields::PROFILE) {
        Some(text) => ProfileChoice::named(&text, base),
        None => {
            let beside = base.join("profile.toml");
            if beside.exists() { ProfileChoice::File(beside) } else { ProfileChoice::Channel }
        }
    }
}

fn channel(top: &Section<'_>, base: &Path) -> ChannelAddress {
    let Some(section) = top.section(&fields::CHANNEL) else {
        top.missing("[channel]");
        return ChannelAddress::nowhere();
    };
    let certificate = section.text(&fields::CERTIFICATE);
    let trusted = match section.word(&fields::TRUST).unwrap_or(fields::TRUST.default()) {
        Trusted::System => Trust::System,
        Trusted::Any => Trust::AnyCertificate,
    };
    ChannelAddress {
        host: section.required_text(&fields::HOST),
        port: section.number(&fields::PORT).unwrap_or(fields::PORT.default()) as u16,
        database: section.required_text(&fields::DATABASE),
        user: section.required_text(&fields::USER),
        password_file: base.join(section.required_text(&fields::PASSWORD_FILE)),
        encryption: section.word(&fields::ENCRYPTION).unwrap_or(fields::ENCRYPTION.default()),
        trust: certificate.map_or(trusted, |file| Trust::CertificateFile(base.join(file))),
    }
}

impl ChannelAddress {
    /// Stands in for a missing section while the other mistakes are collected; never used to connect.
    fn nowhere() -> ChannelAddress {
        ChannelAddress {
            host: String::new(),
            port: 0,
            database: String::new(),
            user: String::new(),
            password_file: PathBuf::new(),
            encryption: Encryption::Required,
            trust: Trust::System,
        }
    }
}

fn front_door(top: &Section<'_>, base: &Path) -> FrontDoorAddress {
    let section = top.section(&fields::FRONT_DOOR);
    let text = |field| {
        let said = section.as_ref().and_then(|section| section.text(field));
        said.unwrap_or_else(|| field.default().to_string())
    };
    let listen = text(&fields::LISTEN);
    let address = listen.parse().ok().filter(|address: &SocketAddr| address.ip().is_loopback());
    if let (None, Some(section)) = (address, &section) {
        section.wrong("listen", "must be a loopback address with a port, such as 127.0.0.1:7465");
    }
    FrontDoorAddress {
        listen: address.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0))),
        token_file: base.join(text(&fields::TOKEN_FILE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> String {
        let source = Source::new(Path::new("register.toml"), text.to_string());
        match source.parse(|top| RegisterFile::build(Path::new("/r"), top)) {
            Ok(read) => format!("{} {} {}", read.store, read.register, read.folder.display()),
            Err(mistakes) => mistakes.to_string(),
        }
    }

    #[test]
    fn a_whole_file_is_read() {
        let text = "store = 'S1'\nregister = '2'\n[channel]\nhost = 'db'\ndatabase = 'c'\nuser = 'u'\npassword_file = 'p'\n";
        assert_eq!(check(text), "S1 2 /r/offline");
    }

    #[test]
    fn all_mistakes_come_at_once_with_their_lines() {
        let text = "store = 5\nregistre = '2'\n[channel]\nhost = ''\nport = 70000\ndatabase = 'c'\nuser = 'u'\npassword_file = 'p'\nencryption = 'maybe'\n[front_door]\nlisten = '0.0.0.0:80'\n";
        let expected = [
            "register.toml:1: store takes a text of at most 10 characters",
            "register.toml:1: register is missing",
            "register.toml:2: unknown setting registre; did you mean register?",
            "register.toml:4: host must not be empty",
            "register.toml:5: port takes a whole number from 1 to 65535",
            "register.toml:9: encryption 'maybe' is not one of: required, login-only, off",
            "register.toml:11: listen must be a loopback address with a port, such as 127.0.0.1:7465",
        ];
        assert_eq!(check(text), expected.join("\n"));
    }
}
