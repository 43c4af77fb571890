//! `register.toml`: which register this is, where its channel and its files are.
//!
//! Relative paths are relative to the file, so that a folder can be moved as a whole.

use super::device::{self, ExportSettings, ImageSettings, NewDatabaseSettings};
use super::password::{self, PasswordError, PasswordPlace};
use super::profile_file::ProfileChoice;
use super::reader::{Mistakes, Section, Source};
use super::register_fields::{self as fields, Method, SocketRights, Trusted};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tillhold_channel::{Authentication, ChannelConfig, Encryption, Password, Secret, Trust};
use tillhold_core::condition::Parameters;
use tillhold_core::limits;
use tillhold_core::profile::Capture;
use tillhold_local::Identity;

/// AX's own change-log triggers recognise this application name.
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
    pub export: ExportSettings,
    pub new_database: Option<NewDatabaseSettings>,
    pub images: Option<ImageSettings>,
}

#[derive(Clone, Debug)]
pub struct ChannelAddress {
    pub host: String,
    pub port: u16,
    pub database: String,
    pub account: Account,
    pub encryption: Encryption,
    pub trust: Trust,
    pub certificate_name: Option<String>,
}

/// Who logs in, and by what proof.
#[derive(Clone, Debug)]
pub enum Account {
    Login { user: String, password: PasswordPlace },
    TokenFile(PathBuf),
    Integrated,
}

#[derive(Clone, Debug)]
pub struct FrontDoorAddress {
    pub listen: SocketAddr,
    /// Holds the operator's bearer token; made with owner-only rights when it is not there, as those of the other roles.
    pub token_file: PathBuf,
    pub pos_token_file: PathBuf,
    pub read_only_token_file: PathBuf,
    pub socket: Option<SocketPlace>,
}

/// A Unix socket.
#[derive(Clone, Debug)]
pub struct SocketPlace {
    pub path: PathBuf,
    pub is_for_group: bool,
}

impl RegisterFile {
    pub fn identity(&self) -> Identity {
        Identity { store: self.store.clone(), register: self.register.clone() }
    }

    /// What the parameters of row filters stand for.
    pub fn filter_parameters(&self) -> Parameters<'_> {
        Parameters { store: &self.store, register: &self.register }
    }

    pub fn read(file: &Path) -> Result<RegisterFile, Mistakes> {
        RegisterFile::of_source(file, &Source::read(file)?)
    }

    /// The same of a text that is not in the file yet.
    pub fn of(file: &Path, text: String) -> Result<RegisterFile, Mistakes> {
        RegisterFile::of_source(file, &Source::new(file, text))
    }

    fn of_source(file: &Path, source: &Source) -> Result<RegisterFile, Mistakes> {
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
            export: device::export(top, base),
            new_database: device::new_database(top, base),
            images: device::images(top, base),
        }
    }

    /// The file that says where the front door listens, once it is up.
    pub fn address_file(&self) -> PathBuf {
        self.folder.join("front-door.address")
    }

    /// The connection's settings, for whoever needs the channel now: a password that cannot be read is said here.
    pub fn channel_config(&self) -> Result<ChannelConfig, PasswordError> {
        if let Account::Login { password, .. } = &self.channel.account {
            password.read()?;
        }
        self.channel_config_of_register()
    }

    /// The same for a register, which sells without the channel too: the file of a password is first read at a login.
    pub fn channel_config_of_register(&self) -> Result<ChannelConfig, PasswordError> {
        let password = match &self.channel.account {
            Account::Login { password, .. } => password.for_logins()?,
            Account::TokenFile(_) | Account::Integrated => Secret::new("").into(),
        };
        Ok(self.channel_config_with(password))
    }

    /// The same with a password that may not be kept yet.
    pub fn channel_config_with(&self, password: Password) -> ChannelConfig {
        let (user, authentication) = match &self.channel.account {
            Account::Login { user, .. } => (user.clone(), Authentication::Login),
            // Read at each login: a token lives for an hour.
            Account::TokenFile(file) => (String::new(), Authentication::TokenFile(file.clone())),
            Account::Integrated => (String::new(), Authentication::Integrated),
        };
        ChannelConfig {
            host: self.channel.host.clone(),
            port: self.channel.port,
            database: self.channel.database.clone(),
            user,
            password,
            authentication,
            encryption: self.channel.encryption,
            trust: self.channel.trust.clone(),
            certificate_name: self.channel.certificate_name.clone(),
            application_name: APPLICATION_NAME.to_string(),
            // The profile's matter; the register puts it in.
            capture: Capture::default(),
            connect_timeout: limits::CONNECT_TIMEOUT,
            statement_timeout: limits::STATEMENT_TIMEOUT,
        }
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
        host: host(&section),
        port: section.number(&fields::PORT).unwrap_or(fields::PORT.default()) as u16,
        database: section.required_text(&fields::DATABASE),
        account: account(&section, base),
        encryption: section.word(&fields::ENCRYPTION).unwrap_or(fields::ENCRYPTION.default()),
        trust: certificate.map_or(trusted, |file| Trust::CertificateFile(base.join(file))),
        certificate_name: section.text(&fields::CERTIFICATE_NAME),
    }
}

/// A named instance's port is given by a service of its own, over UDP; here the port itself is asked for.
fn host(section: &Section<'_>) -> String {
    let host = section.required_text(&fields::HOST);
    if host.contains('\\') {
        section.wrong(
            "host",
            "names an instance: give the instance's port instead (SQL Server Configuration Manager shows it under \
             TCP/IP; a fixed one is best)",
        );
    }
    host
}

fn account(section: &Section<'_>, base: &Path) -> Account {
    let method = section.word(&fields::AUTHENTICATION).unwrap_or(fields::AUTHENTICATION.default());
    let refuse = |keys: &[&str]| {
        for key in keys.iter().filter(|key| section.has(key)) {
            section.wrong(key, "belongs to another kind of authentication");
        }
    };
    // Every place is read in every case, so that each of its settings is known and its kind checked.
    let token = section.text(&fields::ACCESS_TOKEN_FILE);
    section.text(&fields::USER);
    match method {
        Method::Sql => {
            refuse(&[fields::ACCESS_TOKEN_FILE.key]);
            let password = password::place(section, base);
            Account::Login { user: section.required_text(&fields::USER), password }
        }
        Method::Token => {
            refuse(&[fields::USER.key]);
            refuse(&password::known_keys(section));
            if token.is_none() {
                section.missing(fields::ACCESS_TOKEN_FILE.key);
            }
            Account::TokenFile(base.join(token.unwrap_or_default()))
        }
        Method::Windows => {
            refuse(&[fields::USER.key, fields::ACCESS_TOKEN_FILE.key]);
            refuse(&password::known_keys(section));
            Account::Integrated
        }
    }
}

impl ChannelAddress {
    /// Stands in for a missing section while the other mistakes are collected; never used to connect.
    fn nowhere() -> ChannelAddress {
        ChannelAddress {
            host: String::new(),
            port: 0,
            database: String::new(),
            account: Account::Integrated,
            encryption: Encryption::Required,
            trust: Trust::System,
            certificate_name: None,
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
        pos_token_file: base.join(text(&fields::POS_TOKEN_FILE)),
        read_only_token_file: base.join(text(&fields::READ_ONLY_TOKEN_FILE)),
        socket: section.as_ref().and_then(|section| socket(section, base)),
    }
}

fn socket(section: &Section<'_>, base: &Path) -> Option<SocketPlace> {
    let rights = section.word(&fields::SOCKET_RIGHTS).unwrap_or(fields::SOCKET_RIGHTS.default());
    let path = section.text(&fields::SOCKET)?;
    if cfg!(not(unix)) {
        section.wrong("socket", "is for Unix: leave it out here and call the listen address");
    }
    Some(SocketPlace { path: base.join(path), is_for_group: rights == SocketRights::Group })
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
    fn each_way_to_log_in_takes_its_own_settings() {
        let top = "store = 'S1'\nregister = '2'\n[channel]\nhost = 'db'\ndatabase = 'c'\n";
        for (channel, expected) in [
            ("authentication = 'token'\ntoken_file = 't'\n", "S1 2 /r/offline"),
            ("authentication = 'windows'\ncertificate_name = 'x'\n", "S1 2 /r/offline"),
            (
                "authentication = 'token'\nuser = 'u'\n",
                "register.toml:3: token_file is missing in channel\n\
                 register.toml:7: user belongs to another kind of authentication",
            ),
            (
                "authentication = 'kerberos'\nuser = 'u'\npassword_file = 'p'\n",
                "register.toml:6: authentication 'kerberos' is not one of: sql, token, windows",
            ),
        ] {
            assert_eq!(check(&format!("{top}{channel}")), expected);
        }
    }

    #[test]
    fn a_named_instance_is_asked_for_its_port() {
        let rest = "database = 'c'\nuser = 'u'\npassword_file = 'p'\n";
        let text = format!("store = 'S1'\nregister = '2'\n[channel]\nhost = 'db\\SHOP'\n{rest}");
        let mistakes = check(&text);
        assert!(mistakes.starts_with("register.toml:4: host names an instance"), "{mistakes}");
        assert!(mistakes.contains("give the instance's port"), "{mistakes}");
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
