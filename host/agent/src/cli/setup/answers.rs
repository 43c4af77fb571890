//! What setup asks, in its order, and what was answered: by a flag, by the file as it is, or by a person.

use super::SetupArgs;
use super::dialogue::{Dialogue, Question, read_line};
use super::document::Document;
use super::fault::SetupError;
use crate::settings::field::{Field, Text};
use crate::settings::password::{self, PasswordPlace};
use crate::settings::register_fields as fields;
use std::path::Path;
use tillhold_channel::Secret;
use toml_edit::Value;

/// A setting's place in register.toml.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    pub table: Option<&'static str>,
    pub key: &'static str,
}

impl Setting {
    pub const STORE: Setting = Setting::top(fields::STORE.key);
    pub const REGISTER: Setting = Setting::top(fields::REGISTER_ID.key);

    const fn top(key: &'static str) -> Setting {
        Setting { table: None, key }
    }

    const fn of_channel(key: &'static str) -> Setting {
        Setting { table: Some("channel"), key }
    }
}

/// Where the password is kept from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    File(String),
    Variable(String),
    Credential(String),
    Keyring(String),
    InClear,
}

pub struct Answers {
    /// `None` takes the setting out.
    pub settings: Vec<(Setting, Option<Value>)>,
    /// Of a SQL login.
    pub kept: Option<Kept>,
    /// `None` where the place has one already.
    pub password: Option<Secret>,
    /// What the file has in clear, if it stays.
    in_clear: Option<String>,
}

impl Answers {
    pub fn collect(
        dialogue: &mut Dialogue,
        args: &SetupArgs,
        old: &Document,
    ) -> Result<Answers, SetupError> {
        let mut asking = Asking { dialogue, old, settings: Vec::new() };
        let store = asking.text(Setting::STORE, "--store", "Store number", &args.store, RULE_ID)?;
        let words = "Register id";
        let id = asking.text(Setting::REGISTER, "--register", words, &args.register, RULE_ID)?;
        if asking.dialogue.missing().is_empty() {
            old.refuse_other(&store, &id)?;
        }
        asking.way(args)?;
        let (kept, password) = asking.account(args, &format!("{store}-{id}"))?;
        let folder = Setting::top(fields::FOLDER.key);
        let rule = Rule { default: Some("offline"), ..RULE_TEXT };
        let words = "Folder of the offline database, relative to register.toml";
        asking.text(folder, "--folder", words, &args.folder, rule)?;
        asking.unasked(Setting::top(fields::PROFILE.key), &args.profile);
        let listen = Setting { table: Some("front_door"), key: fields::LISTEN.key };
        asking.unasked(listen, &args.listen);
        let in_clear = old.said(Setting::of_channel(fields::PASSWORD.key));
        let settings = asking.settings;
        Ok(Answers { settings, kept, password, in_clear })
    }

    /// What `[channel]` says about the password; nothing else about it stays there.
    pub fn password_settings(&self) -> Vec<(&'static str, Value)> {
        match &self.kept {
            None => Vec::new(),
            Some(Kept::File(name)) => vec![(fields::PASSWORD_FILE.key, name.into())],
            Some(Kept::Variable(name)) => vec![(fields::PASSWORD_ENV.key, name.into())],
            Some(Kept::Credential(name)) => vec![(fields::PASSWORD_CREDENTIAL.key, name.into())],
            Some(Kept::Keyring(name)) => vec![(fields::PASSWORD_KEYRING.key, name.into())],
            Some(Kept::InClear) => {
                let typed = self.password.as_ref().map(Secret::reveal);
                let password = typed.or(self.in_clear.as_deref()).unwrap_or_default();
                let purpose = (fields::PASSWORD_IN_CLEAR.key, true.into());
                vec![(fields::PASSWORD.key, password.into()), purpose]
            }
        }
    }
}

/// What an answer must be.
#[derive(Clone, Copy)]
struct Rule {
    default: Option<&'static str>,
    is_optional: bool,
    check: fn(&str) -> Result<(), String>,
}

const RULE_TEXT: Rule = Rule { default: None, is_optional: false, check: |_| Ok(()) };
const RULE_ID: Rule = Rule { check: fits_ax, ..RULE_TEXT };

/// Both ids have the same bound.
fn fits_ax(text: &str) -> Result<(), String> {
    let of: &Field<Text> = &fields::STORE;
    match of.kind.longest {
        Some(longest) if text.chars().count() > longest => {
            Err(format!("AX's ids have at most {longest} characters"))
        }
        _ => Ok(()),
    }
}

fn is_port(text: &str) -> Result<(), String> {
    let is_one = text.parse::<u16>().is_ok_and(|port| port > 0);
    is_one.then_some(()).ok_or("a whole number from 1 to 65535".to_string())
}

fn is_host(text: &str) -> Result<(), String> {
    let reason = "give the instance's port instead of its name, at the next question";
    (!text.contains('\\')).then_some(()).ok_or(reason.to_string())
}

fn is_place(text: &str) -> Result<(), String> {
    let is_one = PLACES.iter().any(|(word, _)| *word == text);
    is_one.then_some(()).ok_or("file, keyring, env, credential or clear".to_string())
}

/// How a person names the places of a password, and the setting of each.
const PLACES: [(&str, &str); 5] = [
    ("file", fields::PASSWORD_FILE.key),
    ("keyring", fields::PASSWORD_KEYRING.key),
    ("env", fields::PASSWORD_ENV.key),
    ("credential", fields::PASSWORD_CREDENTIAL.key),
    ("clear", fields::PASSWORD.key),
];

struct Asking<'a> {
    dialogue: &'a mut Dialogue,
    old: &'a Document,
    settings: Vec<(Setting, Option<Value>)>,
}

impl Asking<'_> {
    /// The answer to one question, kept as its setting.
    fn text(
        &mut self,
        setting: Setting,
        flag: &'static str,
        words: &str,
        given: &Option<String>,
        rule: Rule,
    ) -> Result<String, SetupError> {
        let text = match given {
            Some(given) => given.clone(),
            None => {
                let default = self.old.said(setting).or(rule.default.map(str::to_string));
                let (is_optional, check) = (rule.is_optional, &rule.check);
                let check = |text: &str| check(text);
                self.dialogue.ask(&Question { flag, words, default, is_optional, check: &check })?
            }
        };
        self.settings
            .push((setting, Some(text.as_str()).filter(|t| !t.is_empty()).map(Value::from)));
        Ok(text)
    }

    /// Only a flag changes it.
    fn unasked(&mut self, setting: Setting, given: &Option<String>) {
        if let Some(given) = given {
            self.settings.push((setting, Some(given.into())));
        }
    }

    /// The server, and what is believed of it.
    fn way(&mut self, args: &SetupArgs) -> Result<(), SetupError> {
        let channel = Setting::of_channel;
        let rule = Rule { check: is_host, ..RULE_TEXT };
        let words = "Server of the channel database";
        self.text(channel(fields::HOST.key), "--server", words, &args.server, rule)?;
        let rule = Rule { check: is_port, default: Some("1433"), ..RULE_TEXT };
        let given = args.port.map(|port| port.to_string());
        let port = self.text(channel(fields::PORT.key), "--port", "Its port", &given, rule)?;
        // A number in the file, not a text.
        if let Some((_, value)) = self.settings.last_mut() {
            *value = port.parse::<i64>().ok().map(Value::from);
        }
        let words = "Channel database";
        self.text(channel(fields::DATABASE.key), "--database", words, &args.database, RULE_TEXT)?;
        let rule = Rule { is_optional: true, ..RULE_TEXT };
        let words = "File with the certificate to trust (- for the operating system's own)";
        if args.trust.is_none() {
            let setting = channel(fields::CERTIFICATE.key);
            self.text(setting, "--certificate", words, &args.certificate, rule)?;
        }
        self.unasked(channel(fields::TRUST.key), &args.trust);
        self.unasked(channel(fields::ENCRYPTION.key), &args.encryption);
        self.unasked(channel(fields::CERTIFICATE_NAME.key), &args.certificate_name);
        self.unasked(channel(fields::AUTHENTICATION.key), &args.authentication);
        Ok(())
    }

    /// Who logs in, and by what.
    fn account(
        &mut self,
        args: &SetupArgs,
        name: &str,
    ) -> Result<(Option<Kept>, Option<Secret>), SetupError> {
        let (user, token) = (
            Setting::of_channel(fields::USER.key),
            Setting::of_channel(fields::ACCESS_TOKEN_FILE.key),
        );
        let of_file = self.old.said(Setting::of_channel(fields::AUTHENTICATION.key));
        match args.authentication.clone().or(of_file).as_deref() {
            Some("token") => {
                self.settings.push((user, None));
                let words = "File with the access token";
                self.text(token, "--token-file", words, &args.token_file, RULE_TEXT)?;
                Ok((None, None))
            }
            Some("windows") => {
                self.settings.extend([(user, None), (token, None)]);
                Ok((None, None))
            }
            _ => {
                self.settings.push((token, None));
                let words = "Account of the register there (a SQL login)";
                let account = self.text(user, "--user", words, &args.user, RULE_TEXT)?;
                let kept = self.kept(args, name)?;
                let password = self.password(args, &account, &kept)?;
                Ok((Some(kept), password))
            }
        }
    }

    fn kept(&mut self, args: &SetupArgs, name: &str) -> Result<Kept, SetupError> {
        if let Some(kept) = args.kept() {
            return Ok(kept);
        }
        let said = |key| self.old.said(Setting::of_channel(key));
        let old = PLACES.iter().find_map(|(word, key)| Some((*word, said(*key)?)));
        let place = self.dialogue.ask(&Question {
            flag: "--password-file",
            words: "Where is its password kept: file, keyring, env, credential or clear",
            default: Some(old.as_ref().map_or("file", |(word, _)| word).to_string()),
            is_optional: false,
            check: &is_place,
        })?;
        if place == "clear" {
            return Ok(Kept::InClear);
        }
        let usual = match place.as_str() {
            "keyring" => name,
            "env" => "TILLHOLD_PASSWORD",
            "credential" => "tillhold-password",
            _ => "register.password",
        };
        let old = old.filter(|(word, _)| *word == place).map(|(_, name)| name);
        let (flag, words) = match place.as_str() {
            "keyring" => ("--password-keyring", "Name in the keyring"),
            "env" => ("--password-env", "Environment variable"),
            "credential" => ("--password-credential", "systemd credential"),
            _ => ("--password-file", "File, relative to register.toml"),
        };
        let default = Some(old.unwrap_or(usual.to_string()));
        let question = Question { flag, words, default, is_optional: false, check: &|_| Ok(()) };
        let name = self.dialogue.ask(&question)?;
        Ok(match place.as_str() {
            "keyring" => Kept::Keyring(name),
            "env" => Kept::Variable(name),
            "credential" => Kept::Credential(name),
            _ => Kept::File(name),
        })
    }

    /// A password to keep; `None` where the place has one.
    fn password(
        &mut self,
        args: &SetupArgs,
        account: &str,
        kept: &Kept,
    ) -> Result<Option<Secret>, SetupError> {
        if args.password_stdin {
            return Ok(Some(Secret::new(read_line(&mut std::io::stdin().lock())?)));
        }
        let has_one = match kept {
            // Whoever sets them up sets them.
            Kept::Variable(_) | Kept::Credential(_) => return Ok(None),
            Kept::File(name) => args.beside(name).exists(),
            Kept::Keyring(name) => PasswordPlace::Keyring(name.clone()).read().is_ok(),
            Kept::InClear => self.old.said(Setting::of_channel(fields::PASSWORD.key)).is_some(),
        };
        // Named by a flag and there: there is nothing to ask.
        if has_one && args.kept().is_some() {
            return Ok(None);
        }
        let words = match has_one {
            true => format!("Password of {account} (nothing keeps the one that is there)"),
            false => format!("Password of {account}"),
        };
        loop {
            let typed = self.dialogue.ask_hidden(&words)?;
            if typed.is_some() || has_one {
                return Ok(typed);
            }
            if !self.dialogue.has_person() {
                self.dialogue.miss("--password-stdin");
                return Ok(None);
            }
            self.dialogue.say("  a password is needed")?;
        }
    }
}

/// Puts the password where it is kept.
pub fn keep(answers: &Answers, base: &Path) -> Result<(), SetupError> {
    let Some(password) = &answers.password else { return Ok(()) };
    match &answers.kept {
        Some(Kept::File(name)) => {
            let line = format!("{}\n", password.reveal());
            let file = base.join(name);
            crate::snapshot::place::write_secret(&file, line.as_bytes()).map_err(SetupError::File)
        }
        Some(Kept::Keyring(name)) => Ok(password::keep_in_keyring(name, password.reveal())?),
        // In the file itself, or nobody's to write.
        Some(Kept::InClear | Kept::Variable(_) | Kept::Credential(_)) | None => Ok(()),
    }
}
