//! The settings' descriptions as JSON Schema for editors; its tests hold docs/settings.md to them too.

use super::field::Shape;
use super::{profile_fields, register_fields};
use serde_json::{Value as Json, json};

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingsFile {
    Profile,
    Register,
}

impl SettingsFile {
    pub fn shape(self) -> &'static Shape {
        match self {
            SettingsFile::Profile => &profile_fields::PROFILE,
            SettingsFile::Register => &register_fields::REGISTER,
        }
    }

    fn title(self) -> &'static str {
        match self {
            SettingsFile::Profile => "Tillhold: profile.toml, what is synchronised, and how",
            SettingsFile::Register => "Tillhold: register.toml, which register this is",
        }
    }
}

/// JSON Schema, draft 2020-12.
pub fn schema(file: SettingsFile) -> Json {
    let mut document = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": file.title(),
    });
    if let (Json::Object(document), Json::Object(shape)) = (&mut document, file.shape().schema()) {
        document.extend(shape);
    }
    document
}

#[cfg(test)]
mod tests {
    use super::{SettingsFile, schema};
    use crate::settings::field::{Presence, Shape};
    use crate::settings::profile_file::ProfileFile;
    use crate::settings::reader::Source;
    use crate::settings::register_file::RegisterFile;
    use crate::settings::{
        conduct_fields, device_fields, plugin_fields, profile_fields, register_fields,
        selection_fields,
    };
    use serde_json::Value as Json;
    use std::collections::BTreeSet;
    use std::path::Path;

    const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/settings.md");

    /// What a resolver's table says when it is no plugin's.
    static POLICIES: Shape = Shape {
        fields: &[
            &profile_fields::POLICY,
            &profile_fields::NEWEST_COLUMN,
            &profile_fields::DELTA_COLUMNS,
        ],
    };

    /// The name of a table in docs/settings.md, and what it describes.
    const TABLES: [(&str, &Shape); 24] = [
        ("register.toml", &register_fields::REGISTER),
        ("[channel]", &register_fields::CHANNEL_SHAPE),
        ("[front_door]", &register_fields::FRONT_DOOR_SHAPE),
        ("[plugins]", &register_fields::PLUGINS_SHAPE),
        ("[export]", &device_fields::EXPORT_SHAPE),
        ("[new_database]", &device_fields::NEW_DATABASE_SHAPE),
        ("[images]", &device_fields::IMAGES_SHAPE),
        ("profile.toml", &profile_fields::PROFILE),
        ("[[scope]]", &profile_fields::SCOPE),
        ("tables", &profile_fields::TABLE),
        ("plugin", &profile_fields::PLUGIN),
        ("policy", &POLICIES),
        ("[[plugin]]", &plugin_fields::PLUGIN_TERMS),
        ("grants", &plugin_fields::GRANT),
        ("[capture]", &profile_fields::CAPTURE_SHAPE),
        ("[synchronization]", &conduct_fields::SYNCHRONIZATION_SHAPE),
        ("[failover]", &conduct_fields::FAILOVER_SHAPE),
        ("[staleness]", &conduct_fields::STALENESS_SHAPE),
        ("[upload]", &conduct_fields::UPLOAD_SHAPE),
        ("[numbers]", &conduct_fields::NUMBERS_SHAPE),
        ("[incarnation]", &conduct_fields::INCARNATION_SHAPE),
        ("[size]", &conduct_fields::SIZE_SHAPE),
        ("[offline_products]", &selection_fields::PRODUCTS_SHAPE),
        ("[offline_customers]", &selection_fields::CUSTOMERS_SHAPE),
    ];

    /// Each table stands in the document behind `<!-- settings: NAME -->`.
    #[test]
    fn the_documentation_has_every_setting_as_it_is() {
        let mut document = std::fs::read_to_string(DOCUMENT).expect("docs/settings.md");
        for (name, shape) in TABLES {
            let mark = format!("<!-- settings: {name} -->\n");
            let start = document.find(&mark).expect(&mark) + mark.len();
            let lines = document[start..].split_inclusive('\n');
            let length: usize = lines.take_while(|l| l.starts_with('|')).map(str::len).sum();
            let expected = table(shape);
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                document.replace_range(start..start + length, &expected);
                continue;
            }
            let found = &document[start..start + length];
            assert_eq!(found, expected, "{name}: review it, then run with UPDATE_GOLDEN=1");
        }
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(DOCUMENT, document).expect("docs/settings.md");
        }
    }

    /// A Markdown table of one shape's settings.
    fn table(shape: &Shape) -> String {
        let mut text = "| setting | takes | default | meaning |\n|---|---|---|---|\n".to_string();
        for field in shape.fields {
            let default = match field.kind().presence() {
                Presence::Required => "required".to_string(),
                Presence::Optional => String::new(),
                Presence::Default(value) => format!("`{value}`"),
            };
            let (key, takes) = (field.key(), field.kind().takes());
            text.push_str(&format!("| `{key}` | {takes} | {default} | {} |\n", field.meaning()));
        }
        text
    }

    const REGISTER: &str = "store = '1'\nregister = '2'\nprofile = 'p'\nfolder = 'f'\n\
        [channel]\nhost = 'h'\nport = 1\ndatabase = 'd'\nuser = 'u'\npassword_file = 'p'\n\
        encryption = 'off'\ncertificate = 'c'\ntrust = 'any'\n\
        [front_door]\nlisten = '127.0.0.1:1'\ntoken_file = 't'\n\
        pos_token_file = 'p'\nread_only_token_file = 'r'\nsocket = 's'\nsocket_rights = 'group'\n[plugins]\nfolder = 'p'\n\
        [export]\nfolder = 'e'\nschedule = '30 2 * * *'\nblackout = ['08:00-20:00']\nutc_offset_min = 60\n\
        keep_last = 1\nskip_unchanged = 'no'\nkey_file = 'k'\n[new_database]\nsource = 's'\n\
        check_interval_min = 1\nsize_max_mb = 1\ntrusted_keys = []\ncertificate = 'c'\ninsecure = 'yes'\n\
        [images]\nfolder = 'i'\nsource = 's'\nsize_max_mb = 1\nprefetch = ['ax.A.B']\nprefetch_interval_min = 1\n\
        prefetch_per_min = 1\nrefresh_h = 1\ncertificate = 'c'\ninsecure = 'no'\n";
    const PROFILE: &str = "name = 'n'\ndescription = 'd'\nsource = 'file'\noffline_timeout_s = 1\n\
        reconnect_interval_min = 1\ndwell_s = 1\nwrite_path = 'local-first'\norder = ['s']\nplugin_keys = []\n\
        [capture]\nmethod = 'triggers'\n\
        [synchronization]\nsessions_max_per_min = 1\nrows_per_second_max = 1\n\
        jitter_percent = 1\nreport_interval_s = 1\n\
        [failover]\nslow_ms = 1\nslow_answers = 1\nquick_answers = 1\nsteady_s = 1\ndwell_max_s = 1\n\
        [staleness]\nnever_synchronised = 'warn'\nstale_after_s = 1\nstale = 'refuse'\n\
        [upload]\ninterval_s = 1\ntransactions_max = 1\nrows_max = 1\n\
        [numbers]\nwhen_in_doubt = 'sell'\nseed_type = 1\n\
        [incarnation]\nwhen_in_doubt = 'sell'\n\
        [size]\nlimit_mb = 1\nkeep_settled_days = 1\nreserve_mb = 1\n\
        [offline_products]\nsold_top = 1\nsold_by = 'amount'\nsold_days = 1\nnewest = 1\n\
        categories = ['c']\nitems = ['i']\nrefresh_h = 1\ntables = ['ax.A whole']\n\
        [offline_customers]\ntop = 1\ntop_by = 'sales'\ndays = 1\nof_store = 'no'\n\
        accounts = ['a']\npersonal_data = true\nrefresh_h = 1\ntables = ['ax.B whole']\n\
        [[scope]]\nname = 's'\ndirection = 'upload'\nfrequency_s = 1\n\
        tables = [{ name = 'ax.A', exclude = ['B'], columns = ['C'] }]\n\
        transformer = { plugin = 'p', digest = 'd', config = 'c' }\n\
        resolver = { plugin = 'p', digest = 'd', config = 'c' }\non_plugin_failure = 'halt'\n\
        [[scope]]\nname = 't'\ntables = [{ name = 'ax.B', filter = 'C = 1' }]\nresolver = { policy = 'newest', column = 'C' }\n\
        [[scope]]\nname = 'u'\nresolver = { policy = 'delta', columns = ['C'] }\n\
        [[plugin]]\nname = 'p'\ndigest = 'd'\ngrants = [{ table = 'A', reads = ['B'], writes = [] }]\n\
        memory_max_mb = 1\ndeadline_ms = 10\nanswer_max_mb = 1\nlog_lines_max = 1\n";

    /// What the reader asks for, in files that say everything.
    fn asked(text: &str, read: impl Fn(&Source)) -> BTreeSet<String> {
        let source = Source::new(Path::new("f"), text.to_string());
        read(&source);
        source.asked.take().into_iter().collect()
    }

    fn described(shape: &'static Shape, keys: &mut BTreeSet<String>) {
        let of = TABLES.iter().filter(|(_, known)| std::ptr::eq(*known, shape));
        assert_eq!(of.count(), 1, "a shape that docs/settings.md does not have");
        keys.extend(shape.fields.iter().map(|field| field.key().to_string()));
    }

    #[test]
    fn the_reader_asks_for_what_is_described_and_for_nothing_else() {
        let register = asked(REGISTER, |source| {
            let read = source.parse(|top| RegisterFile::build(Path::new(""), top));
            assert!(read.is_ok(), "{:?}", read.err());
        });
        let profile = asked(PROFILE, |source| assert_eq!(ProfileFile::of(source).mistakes, []));
        let (mut of_register, mut of_profile) = (BTreeSet::new(), BTreeSet::new());
        for (at, (_, shape)) in TABLES.iter().enumerate() {
            described(shape, if at < 7 { &mut of_register } else { &mut of_profile });
        }
        assert_eq!(register, of_register);
        assert_eq!(profile, of_profile);
    }

    /// Structure by the draft's own rules: each object names its properties, and what it requires is among them.
    fn check(schema: &Json, place: &str) {
        let known = ["string", "number", "integer", "array", "object", "boolean"];
        if let Some(of) = schema["type"].as_str() {
            assert!(known.contains(&of), "{place}: {of}");
        }
        if let Some(properties) = schema["properties"].as_object() {
            assert_eq!(schema["additionalProperties"], false, "{place}");
            for key in schema["required"].as_array().into_iter().flatten() {
                assert!(
                    properties.contains_key(key.as_str().unwrap_or_default()),
                    "{place}: {key}"
                );
            }
            for (key, inner) in properties {
                check(inner, &format!("{place}.{key}"));
            }
        }
        if schema["type"] == "array" {
            check(&schema["items"], &format!("{place}[]"));
        }
        for inner in schema["anyOf"].as_array().into_iter().flatten() {
            check(inner, place);
        }
        if let (Some(default), Some(words)) = (schema.get("default"), schema["enum"].as_array()) {
            assert!(words.contains(default), "{place}: {default} is none of its words");
        }
    }

    #[test]
    fn the_schemas_are_sound_and_carry_ranges_and_words() {
        for file in [SettingsFile::Profile, SettingsFile::Register] {
            let schema = schema(file);
            assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
            check(&schema, "");
        }
        let profile = schema(SettingsFile::Profile);
        let timeout = &profile["properties"]["offline_timeout_s"];
        assert_eq!(timeout["maximum"].to_string(), "3600");
        assert_eq!(timeout["default"].to_string(), "5");
        let scope = &profile["properties"]["scope"]["items"];
        assert_eq!(scope["required"], serde_json::json!(["name"]));
        assert_eq!(scope["properties"]["direction"]["enum"][2], "bidirectional");
    }

    /// A default that the reader itself would refuse is no default.
    #[test]
    fn defaults_lie_within_their_bounds() {
        let numbers = TABLES.iter().flat_map(|(_, shape)| shape.fields.iter());
        for field in numbers {
            let schema = field.kind().schema();
            let number = |json: &Json| json.to_string().parse::<f64>().ok();
            if let (Presence::Default(default), Some(least), Some(most)) =
                (field.kind().presence(), number(&schema["minimum"]), number(&schema["maximum"]))
            {
                let default = number(&default).expect("a number's default");
                assert!((least..=most).contains(&default), "{}", field.key());
            }
        }
    }
}
