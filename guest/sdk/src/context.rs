//! What a plugin knows about a batch, and how its config reads.

use crate::generated::transformer::tillhold::plugin::types as wire;

/// Which way rows travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Down: from the channel database to the register.
    Pull,
    /// Up: from the register to the channel database.
    Push,
}

/// Given with every batch. There is nothing else to ask: no clock, no file, no network.
#[derive(Clone, Debug, PartialEq)]
pub struct Context {
    pub flow: Flow,
    /// The offline scope's name.
    pub scope: String,
    /// The store's number, such as `S0001`.
    pub store: String,
    /// The register's number.
    pub register: String,
    /// The batch's logical time, UTC: 100-nanosecond ticks since 0001-01-01 00:00. On the way up and in a conflict, when the
    /// register took the sale, however often it is sent; on the way down, when the pull or the question began.
    pub time: i64,
    /// The profile's text for this plugin, as it is.
    pub config: String,
    settings: Settings,
}

/// A config of lines `name=value`; `;` may stand for a line's end, `#` opens a comment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings(Vec<(String, String)>);

/// Says what is wrong with the values of the settings.
pub type Check = fn(&Settings) -> Result<(), String>;

impl Context {
    /// What the config says under `name`, if the plugin declared its settings.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name)
    }

    /// Whether `store` is this store's number: compared as SQL Server does, blind to case and trailing blanks.
    pub fn is_own_store(&self, store: &str) -> bool {
        let own = self.store.trim_end_matches(' ');
        !own.is_empty() && own.eq_ignore_ascii_case(store.trim_end_matches(' '))
    }

    pub(crate) fn new(given: wire::Context, known: &[&str]) -> Result<Context, String> {
        Ok(Context {
            flow: match given.flow {
                wire::Flow::Pull => Flow::Pull,
                wire::Flow::Push => Flow::Push,
            },
            settings: Settings::parse(&given.config, known)?,
            scope: given.scope,
            store: given.store,
            register: given.register,
            time: given.time,
            config: given.config,
        })
    }
}

impl Settings {
    /// Every name must be one of `known`, so that a slip of the pen is told when the plugin is loaded. With nothing
    /// known the config is the plugin's own affair and is not read here.
    pub fn parse(config: &str, known: &[&str]) -> Result<Settings, String> {
        let mut settings = Settings::default();
        if known.is_empty() {
            return Ok(settings);
        }
        for line in config.split(['\n', ';']) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let (name, value) =
                line.split_once('=').ok_or_else(|| format!("'{line}' is not name=value"))?;
            let name = name.trim();
            if !known.contains(&name) {
                return Err(format!(
                    "there is no setting '{name}'; there are {}",
                    known.join(", ")
                ));
            }
            if settings.get(name).is_some() {
                return Err(format!("'{name}' is set twice"));
            }
            settings.0.push((name.to_string(), value.trim().to_string()));
        }
        Ok(settings)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Settings;

    #[test]
    fn settings_are_lines_and_unknown_ones_are_told() {
        let settings = Settings::parse("a = 1 # one\n\n b=x=y ; c=", &["a", "b", "c", "d"]);
        let settings = settings.expect("they are well written");
        let read = ["a", "b", "c", "d"].map(|name| settings.get(name));
        assert_eq!(read, [Some("1"), Some("x=y"), Some(""), None]);
        for (config, refusal) in [
            ("A=1", "there is no setting 'A'; there are a, b"),
            ("a", "'a' is not name=value"),
            ("a=1;a=2", "'a' is set twice"),
        ] {
            assert_eq!(Settings::parse(config, &["a", "b"]), Err(refusal.to_string()));
        }
        assert_eq!(Settings::parse("{ json: 1 }", &[]), Ok(Settings::default()));
    }
}
