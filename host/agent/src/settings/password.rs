//! Where the password of a login is kept, and the one place that reads it.
//!
//! * Exactly one place; in the settings themselves only where they say that it is on purpose.
//! * A file that others than its owner may read is refused: a password that everyone can read guards nothing. (On Windows
//!   a file's rights are not looked at.)
//! * A file is read at each login, so that whoever changes the password only writes the file. A variable cannot change,
//!   and a keyring may wait for a person: these are read when the agent starts.
//! * What was read is a [`Secret`], which no log shows; an error names the place, never what is in it.

use super::field::Described;
use super::reader::Section;
use super::register_fields as fields;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tillhold_channel::{ChannelError, Password, Secret};
use tillhold_core::limits::PASSWORD_BYTES_MAX;

/// The service that passwords belong to in a keyring.
#[cfg(feature = "keyring")]
const KEYRING_SERVICE: &str = "tillhold";
/// Where systemd puts what LoadCredential names (systemd.exec, CREDENTIALS).
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

#[derive(Clone, Debug)]
pub enum PasswordPlace {
    File(PathBuf),
    Variable(String),
    /// A file in the folder that systemd makes for the service.
    Credential(String),
    Keyring(String),
    InClear(Secret),
}

#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    #[error("the password file {}: {cause}", .file.display())]
    File { file: PathBuf, cause: std::io::Error },
    #[error("the password file {} may be read by others (its rights are {mode:o})", .file.display())]
    Exposed { file: PathBuf, mode: u32 },
    #[error("the password file {} is longer than {PASSWORD_BYTES_MAX} bytes, or no text", .file.display())]
    NoPassword { file: PathBuf },
    #[error("the environment variable {name} with the password is not set, or is no text")]
    Variable { name: String },
    #[error("no systemd credentials were given to this program, so there is no {name}")]
    NoCredentials { name: String },
    #[error("the keyring's password of {name}: {reason}")]
    Keyring { name: String, reason: String },
}

impl PasswordError {
    /// Stable: documented in docs/errors.md.
    pub fn code(&self) -> &'static str {
        match self {
            PasswordError::File { .. } => "password-file",
            PasswordError::Exposed { .. } => "password-exposed",
            PasswordError::NoPassword { .. } => "password-unreadable",
            PasswordError::Variable { .. } => "password-variable",
            PasswordError::NoCredentials { .. } => "password-credential",
            PasswordError::Keyring { .. } => "password-keyring",
        }
    }

    /// The channel is not even asked; the code and the advice are the place's.
    fn of_login(self) -> ChannelError {
        let (code, message, hint) = (self.code(), self.to_string(), self.hint());
        ChannelError::PasswordUnread { code, message, hint }
    }

    pub fn hint(&self) -> Option<String> {
        Some(match self {
            PasswordError::File { .. } => {
                "`tillhold setup` writes it; it must be there and belong to the agent's account".to_string()
            }
            PasswordError::Exposed { file, .. } => format!(
                "`chmod 600 {}`, as the account that the agent runs as; and change the password if others had the time to read it",
                file.display()
            ),
            PasswordError::NoPassword { .. } => {
                "put the password alone into the file's first line, as UTF-8".to_string()
            }
            PasswordError::Variable { .. } => {
                "set it for the agent's service and for whoever runs a command beside it".to_string()
            }
            PasswordError::NoCredentials { .. } => {
                "give the service LoadCredential= or SetCredentialEncrypted=; other commands run as \
                 `systemd-run --property=LoadCredential=…`"
                    .to_string()
            }
            PasswordError::Keyring { .. } => {
                "store it under service `tillhold` and this user (`tillhold setup --password-keyring NAME`), and see that \
                 the keyring is unlocked for the agent's account"
                    .to_string()
            }
        })
    }
}

impl PasswordPlace {
    /// For a login of each moment; fails only for a place that is read here and now.
    pub fn for_logins(&self) -> Result<Password, PasswordError> {
        match self {
            PasswordPlace::File(_) | PasswordPlace::Credential(_) => {
                let place = self.clone();
                Ok(Password::Told(Arc::new(move || place.read().map_err(PasswordError::of_login))))
            }
            PasswordPlace::Variable(_) | PasswordPlace::Keyring(_) | PasswordPlace::InClear(_) => {
                Ok(self.read()?.into())
            }
        }
    }

    pub fn read(&self) -> Result<Secret, PasswordError> {
        match self {
            PasswordPlace::File(file) => of_file(file),
            PasswordPlace::Variable(name) => std::env::var(name)
                .map(Secret::new)
                .map_err(|_| PasswordError::Variable { name: name.clone() }),
            PasswordPlace::Credential(name) => {
                let folder = std::env::var_os(CREDENTIALS)
                    .ok_or_else(|| PasswordError::NoCredentials { name: name.clone() })?;
                of_file(&Path::new(&folder).join(name))
            }
            PasswordPlace::Keyring(name) => of_keyring(name),
            PasswordPlace::InClear(secret) => Ok(secret.clone()),
        }
    }
}

/// The first line. The rights are those of the file that is then read, whatever its name means a moment later.
fn of_file(path: &Path) -> Result<Secret, PasswordError> {
    let failed = |cause| PasswordError::File { file: path.to_path_buf(), cause };
    let file = File::open(path).map_err(failed)?;
    refuse_exposed(path, &file)?;
    let mut bytes = Vec::new();
    file.take(PASSWORD_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    let text = String::from_utf8(bytes).ok();
    let text = text.filter(|text| text.len() as u64 <= PASSWORD_BYTES_MAX);
    let text = text.ok_or_else(|| PasswordError::NoPassword { file: path.to_path_buf() })?;
    Ok(Secret::new(text.lines().next().unwrap_or_default()))
}

#[cfg(unix)]
fn refuse_exposed(path: &Path, file: &File) -> Result<(), PasswordError> {
    use std::os::unix::fs::PermissionsExt as _;
    let of_file = |cause| PasswordError::File { file: path.to_path_buf(), cause };
    let mode = file.metadata().map_err(of_file)?.permissions().mode() & 0o777;
    match mode & 0o044 {
        0 => Ok(()),
        _ => Err(PasswordError::Exposed { file: path.to_path_buf(), mode }),
    }
}

#[cfg(not(unix))]
fn refuse_exposed(_: &Path, _: &File) -> Result<(), PasswordError> {
    Ok(())
}

#[cfg(feature = "keyring")]
fn of_keyring(name: &str) -> Result<Secret, PasswordError> {
    let read = || keyring::Entry::new(KEYRING_SERVICE, name)?.get_password();
    read().map(Secret::new).map_err(|error| keyring_error(name, &error))
}

#[cfg(feature = "keyring")]
pub fn keep_in_keyring(name: &str, password: &str) -> Result<(), PasswordError> {
    let keep = || keyring::Entry::new(KEYRING_SERVICE, name)?.set_password(password);
    keep().map_err(|error| keyring_error(name, &error))
}

#[cfg(feature = "keyring")]
fn keyring_error(name: &str, error: &keyring::Error) -> PasswordError {
    let status = keyring::Entry::store_status().as_ref().err();
    let reason = match (error, status) {
        (keyring::Error::NoDefaultStore, Some(status)) => format!("there is no keyring: {status}"),
        // These carry what was read.
        (keyring::Error::BadEncoding(_), _) => "it is no text".to_string(),
        (error, _) => error.to_string(),
    };
    PasswordError::Keyring { name: name.to_string(), reason }
}

#[cfg(not(feature = "keyring"))]
fn of_keyring(name: &str) -> Result<Secret, PasswordError> {
    Err(without_keyring(name))
}

#[cfg(not(feature = "keyring"))]
pub fn keep_in_keyring(name: &str, _: &str) -> Result<(), PasswordError> {
    Err(without_keyring(name))
}

#[cfg(not(feature = "keyring"))]
fn without_keyring(name: &str) -> PasswordError {
    let reason = "this program was built without the feature `keyring`".to_string();
    PasswordError::Keyring { name: name.to_string(), reason }
}

/// The place that the section names; what is wrong with its choice is noted.
pub(super) fn place(section: &Section<'_>, base: &Path) -> PasswordPlace {
    let named = known_keys(section);
    let places: Vec<&str> =
        named.iter().copied().filter(|key| *key != fields::PASSWORD_IN_CLEAR.key).collect();
    if places.is_empty() {
        section.missing("password_file, password_env, password_credential or password_keyring");
    }
    if let [first, others @ ..] = &places[..] {
        for other in others {
            section.wrong(other, &format!("is a second place for the password, beside {first}"));
        }
    }
    let (in_clear, is_on_purpose) =
        (section.text(&fields::PASSWORD), section.flag(&fields::PASSWORD_IN_CLEAR));
    match (&in_clear, is_on_purpose) {
        (Some(_), None | Some(false)) => section.wrong(
            fields::PASSWORD.key,
            "stands in clear: keep it in one of the other places, or say password_in_clear = true",
        ),
        (None, Some(true)) => {
            section.wrong(fields::PASSWORD_IN_CLEAR.key, "is of no use without password");
        }
        _ => {}
    }
    let file = section.text(&fields::PASSWORD_FILE);
    let variable = section.text(&fields::PASSWORD_ENV);
    let credential = section.text(&fields::PASSWORD_CREDENTIAL);
    let keyring = section.text(&fields::PASSWORD_KEYRING);
    let given = [
        (fields::PASSWORD_FILE.key, &file),
        (fields::PASSWORD_ENV.key, &variable),
        (fields::PASSWORD_CREDENTIAL.key, &credential),
        (fields::PASSWORD_KEYRING.key, &keyring),
    ];
    for (key, _) in given.iter().filter(|(_, text)| text.as_ref().is_some_and(|t| t.is_empty())) {
        section.wrong(key, "must not be empty");
    }
    if credential.as_ref().is_some_and(|name| name.contains(['/', '\\'])) {
        section.wrong(fields::PASSWORD_CREDENTIAL.key, "is a name, not a path");
    }
    file.map(|file| PasswordPlace::File(base.join(file)))
        .or(variable.map(PasswordPlace::Variable))
        .or(credential.map(PasswordPlace::Credential))
        .or(keyring.map(PasswordPlace::Keyring))
        .unwrap_or_else(|| PasswordPlace::InClear(Secret::new(in_clear.unwrap_or_default())))
}

/// Those of the password's settings that the section has; all are asked for, so that none is unknown.
pub(super) fn known_keys(section: &Section<'_>) -> Vec<&'static str> {
    for field in [
        &fields::PASSWORD_FILE,
        &fields::PASSWORD_ENV,
        &fields::PASSWORD_CREDENTIAL,
        &fields::PASSWORD_KEYRING,
        &fields::PASSWORD,
    ] {
        section.text(field);
    }
    section.flag(&fields::PASSWORD_IN_CLEAR);
    KEYS.iter().map(|field| field.key()).filter(|key| section.has(key)).collect()
}

/// Every setting about the password, the places in the order in which they are preferred.
pub const KEYS: [&dyn Described; 6] = [
    &fields::PASSWORD_FILE,
    &fields::PASSWORD_ENV,
    &fields::PASSWORD_CREDENTIAL,
    &fields::PASSWORD_KEYRING,
    &fields::PASSWORD,
    &fields::PASSWORD_IN_CLEAR,
];

#[cfg(test)]
mod tests {
    use super::{PasswordError, PasswordPlace};
    use crate::settings::reader::Source;
    use crate::settings::register_file::{Account, RegisterFile};
    use std::path::Path;

    /// What the settings say about the password, or what is wrong with them.
    fn check(password: &str) -> String {
        let text = format!(
            "store = 'S1'\nregister = '2'\n[channel]\nhost = 'db'\ndatabase = 'c'\nuser = 'u'\n{password}"
        );
        let source = Source::new(Path::new("register.toml"), text);
        match source.parse(|top| RegisterFile::build(Path::new("/r"), top)) {
            Ok(read) => match read.channel.account {
                Account::Login { password, .. } => format!("{password:?}"),
                other => format!("{other:?}"),
            },
            Err(mistakes) => mistakes.to_string(),
        }
    }

    #[test]
    fn exactly_one_place_is_taken() {
        for (password, expected) in [
            ("password_file = 'p'", "File(\"/r/p\")"),
            ("password_env = 'P'", "Variable(\"P\")"),
            ("password_credential = 'p'", "Credential(\"p\")"),
            ("password_keyring = 'p'", "Keyring(\"p\")"),
            ("password = 'hunter2'\npassword_in_clear = true", "InClear(Secret(…))"),
            ("password_file = 'p'\npassword_in_clear = false", "File(\"/r/p\")"),
            (
                "",
                "register.toml:3: password_file, password_env, password_credential or password_keyring is missing in channel",
            ),
            (
                "password = 'hunter2'",
                "register.toml:7: password stands in clear: keep it in one of the other places, or say password_in_clear = true",
            ),
            (
                "password_file = 'p'\npassword_in_clear = true",
                "register.toml:8: password_in_clear is of no use without password",
            ),
            (
                "password_env = 'P'\npassword_file = 'p'\npassword = 'hunter2'",
                "register.toml:7: password_env is a second place for the password, beside password_file\n\
                 register.toml:9: password is a second place for the password, beside password_file\n\
                 register.toml:9: password stands in clear: keep it in one of the other places, or say password_in_clear = true",
            ),
            (
                "password_credential = '../p'",
                "register.toml:7: password_credential is a name, not a path",
            ),
            ("password_env = ''", "register.toml:7: password_env must not be empty"),
            (
                "authentication = 'windows'\npassword_keyring = 'p'",
                "register.toml:6: user belongs to another kind of authentication\n\
                 register.toml:8: password_keyring belongs to another kind of authentication",
            ),
        ] {
            assert_eq!(check(password), expected, "{password}");
        }
    }

    fn read(place: PasswordPlace) -> Result<tillhold_channel::Secret, &'static str> {
        place.read().map_err(|error| error.code())
    }

    #[test]
    fn a_place_without_a_password_is_told() {
        let nowhere = |name: &str| format!("TILLHOLD_TEST_{name}_IS_NEVER_SET");
        let code = |place| read(place).err();
        assert_eq!(code(PasswordPlace::File("/nowhere/p".into())), Some("password-file"));
        assert_eq!(code(PasswordPlace::Variable(nowhere("A"))), Some("password-variable"));
        assert!(std::env::var_os("CREDENTIALS_DIRECTORY").is_none(), "no service runs tests");
        assert_eq!(code(PasswordPlace::Credential("p".into())), Some("password-credential"));
        // Whatever keyring is here, this entry is not in it.
        assert_eq!(code(PasswordPlace::Keyring(nowhere("B"))), Some("password-keyring"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("p");
        std::fs::write(&file, "hunter2\r\nnot this\n").expect("a file");
        for (mode, is_taken) in
            [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o644, false)]
        {
            let rights = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&file, rights).expect("other rights");
            match PasswordPlace::File(file.clone()).read() {
                Ok(password) => {
                    assert!(is_taken, "{mode:o}");
                    assert!(password == tillhold_channel::Secret::new("hunter2"), "its first line");
                }
                Err(error) => {
                    assert!(!is_taken, "{mode:o}: {error}");
                    assert!(
                        matches!(error, PasswordError::Exposed { mode: told, .. } if told == mode)
                    );
                    let hint = error.hint().unwrap_or_default();
                    assert!(hint.starts_with("`chmod 600 /"), "{hint}");
                }
            }
        }
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("rights");
        std::fs::write(&file, "x".repeat(70_000)).expect("a long file");
        assert_eq!(read(PasswordPlace::File(file)).err(), Some("password-unreadable"));
    }
}
