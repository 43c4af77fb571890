//! Texts in the languages that are spoken in the store, and none of the others.
//!
//! AX keeps a text once a language, as a row of its own: a catalogue in twelve languages is twelve times as large as a
//! register needs it.
//!
//! On the way down:
//! * rows in other languages are dropped, in every table of texts of the default profile;
//! * a product, a value of a dimension or a category without a name gets the beginning of its description: a line
//!   without a name on a receipt helps nobody;
//! * with `descriptions = none` the long descriptions are emptied, for stores that never show them.
//!
//! On the way up nothing is touched.
//!
//! Config:
//!
//! | setting | default | |
//! |---|---|---|
//! | `languages` | | `de en-us`: a language stands for its dialects too (`de` for `de-CH`), a dialect for itself |
//! | `stores` | | `S0003: fr it, S0004: it`: more languages of single stores |
//! | `descriptions` | `keep` | or `none` |

use tillhold_sdk::{Context, Flow, Row, Settings, Value, Verdict, transformer};

/// Widths of the columns of names, in UTF-16 units as SQL Server counts them.
const NAME_UNITS: usize = 60;
const FRIENDLYNAME_UNITS: usize = 254;

transformer! {
    settings: ["languages", "stores", "descriptions"],
    check: readable,

    "ax.ECORESPRODUCTTRANSLATION" {
        reads: ["LANGUAGEID", "NAME", "DESCRIPTION"], writes: ["NAME", "DESCRIPTION"], rule: named,
    }
    "ax.ECORESPRODUCTMASTERDIMVALUETRANSLATION" {
        reads: ["LANGUAGEID", "NAME", "DESCRIPTION"], writes: ["NAME", "DESCRIPTION"], rule: named,
    }
    "ax.ECORESCATEGORYTRANSLATION" {
        reads: ["LANGUAGEID", "FRIENDLYNAME", "DESCRIPTION"], writes: ["FRIENDLYNAME", "DESCRIPTION"],
        rule: category,
    }
    "ax.ECORESATTRIBUTETRANSLATION" { reads: ["LANGUAGE"], writes: [], rule: by_language }
    "ax.ECORESTEXTVALUETRANSLATION" { reads: ["LANGUAGE"], writes: [], rule: by_language }
    "ax.LOGISTICSADDRESSCOUNTRYREGIONTRANSLATION" { reads: ["LANGUAGEID"], writes: [], rule: by_language_id }
    "ax.RETAILAFFILIATIONTRANSLATION" { reads: ["LANGUAGEID"], writes: [], rule: by_language_id }
    "ax.RETAILINFOCODETRANSLATION" { reads: ["LANGUAGEID"], writes: [], rule: by_language_id }
    "ax.RETAILINFORMATIONSUBCODETRANSLATION" { reads: ["LANGUAGEID"], writes: [], rule: by_language_id }
    "ax.RETAILLANGUAGETEXT" { reads: ["LANGUAGEID"], writes: [], rule: by_language_id }
    "ax.RETAILLOYALTYREWARDPOINTTRANSLATION" { reads: ["LANGUAGEID"], writes: [], rule: by_language_id }
    "ax.RETAILLOYALTYTIERTRANSLATION" { reads: ["LANGUAGEID"], writes: [], rule: by_language_id }
    "ax.UNITOFMEASURETRANSLATION" { reads: ["LANGUAGEID"], writes: [], rule: by_language_id }
}

fn readable(settings: &Settings) -> Result<(), String> {
    let languages = settings.get("languages").unwrap_or_default();
    if languages.is_empty() {
        return Err("languages is not set: languages = de en-us".to_string());
    }
    let stores = settings.get("stores").filter(|stores| !stores.is_empty());
    for store in stores.into_iter().flat_map(|stores| stores.split(',')) {
        let words = store.split_once(':').map(|(store, words)| (store.trim(), words.trim()));
        if words.is_none_or(|(store, words)| store.is_empty() || words.is_empty()) {
            return Err(format!("stores: '{}' is not STORE: LANGUAGE LANGUAGE", store.trim()));
        }
    }
    match settings.get("descriptions").unwrap_or("keep") {
        "keep" | "none" => Ok(()),
        other => Err(format!("descriptions: '{other}' is neither keep nor none")),
    }
}

fn named(context: &Context, row: &mut Row) -> Verdict {
    text(context, row, "NAME", NAME_UNITS)
}

fn category(context: &Context, row: &mut Row) -> Verdict {
    text(context, row, "FRIENDLYNAME", FRIENDLYNAME_UNITS)
}

fn by_language(context: &Context, row: &mut Row) -> Verdict {
    verdict(context, row, "LANGUAGE")
}

fn by_language_id(context: &Context, row: &mut Row) -> Verdict {
    verdict(context, row, "LANGUAGEID")
}

fn text(context: &Context, row: &mut Row, name: &str, units_max: usize) -> Verdict {
    let verdict = verdict(context, row, "LANGUAGEID");
    if context.flow == Flow::Push || verdict != Verdict::Keep {
        return verdict;
    }
    let description = row.text("DESCRIPTION").unwrap_or_default();
    let beginning = beginning(description, units_max);
    if row.text(name).is_some_and(|name| name.trim().is_empty()) && !beginning.is_empty() {
        row.set(name, beginning);
    }
    if context.setting("descriptions") == Some("none") && !description.is_empty() {
        row.set("DESCRIPTION", Value::Text(String::new()));
    }
    Verdict::Keep
}

fn verdict(context: &Context, row: &Row, column: &str) -> Verdict {
    let language = row.text(column).unwrap_or_default().trim();
    // A text without a language is everybody's.
    if context.flow == Flow::Push || language.is_empty() || is_spoken(context, language) {
        return Verdict::Keep;
    }
    Verdict::Drop
}

fn is_spoken(context: &Context, language: &str) -> bool {
    let everywhere = context.setting("languages").unwrap_or_default();
    let stores = context.setting("stores").unwrap_or_default();
    let here = stores.split(',').filter_map(|store| store.split_once(':'));
    let here = here.filter(|(store, _)| context.is_own_store(store.trim())).map(|(_, words)| words);
    let mut spoken = std::iter::once(everywhere).chain(here).flat_map(str::split_whitespace);
    spoken.any(|one| is_of(language, one))
}

/// `de-CH` is of `de` and of `de-ch`; `de` is not of `de-ch`, and `den` not of `de`.
fn is_of(language: &str, spoken: &str) -> bool {
    let (Some(head), Some(tail)) = (language.get(..spoken.len()), language.get(spoken.len()..))
    else {
        return false;
    };
    head.eq_ignore_ascii_case(spoken) && (tail.is_empty() || tail.starts_with('-'))
}

/// The first line, as far as the column is wide, and to the end of a word where one ends within it.
fn beginning(description: &str, units_max: usize) -> String {
    let line = description.trim().lines().next().unwrap_or_default().trim_end();
    let mut units = 0;
    let fits = |(_, letter): &(usize, char)| {
        units += letter.len_utf16();
        units <= units_max
    };
    let end = line.char_indices().take_while(fits).last();
    let end = end.map_or(0, |(at, letter)| at + letter.len_utf8());
    let cut = &line[..end];
    match cut.rfind(' ') {
        Some(space) if end < line.len() && !line[end..].starts_with(' ') => {
            cut[..space].trim_end().to_string()
        }
        _ => cut.trim_end().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{TRANSFORMER, beginning, is_of};
    use tillhold_sdk::testing::{Judged, context};
    use tillhold_sdk::{Flow, Verdict};

    const LANGUAGES: &str = "languages = de en-us; stores = S0003: fr it, S0004: it";

    fn product(store: &str, config: &str, language: &str, name: &str, description: &str) -> Judged {
        let row = [
            ("LANGUAGEID", language.into()),
            ("NAME", name.into()),
            ("DESCRIPTION", description.into()),
        ];
        let context = context().store(store).config(&format!("{LANGUAGES}; {config}"));
        TRANSFORMER.judge(&context, "ax.ECORESPRODUCTTRANSLATION", &row)
    }

    #[test]
    fn a_store_has_its_languages() {
        for (store, language, expected) in [
            ("S0001", "de", Verdict::Keep),
            ("S0001", "de-CH", Verdict::Keep),
            ("S0001", "EN-US", Verdict::Keep),
            ("S0001", "en-gb", Verdict::Drop),
            ("S0001", "en", Verdict::Drop),
            ("S0001", "fr", Verdict::Drop),
            ("s0003 ", "fr-ch", Verdict::Keep),
            ("S0004", "fr", Verdict::Drop),
            ("S0001", "", Verdict::Keep),
            ("S0001", "d\u{e9}", Verdict::Drop),
        ] {
            let judged = product(store, "", language, "Apple", "");
            assert_eq!(judged.verdict, expected, "{store} {language}");
        }
    }

    #[test]
    fn a_dialect_is_of_its_language_and_not_the_other_way_round() {
        for (language, spoken, expected) in [
            ("de-CH", "de", true),
            ("de", "de-CH", false),
            ("den", "de", false),
            ("\u{e9}", "e", false),
            ("", "de", false),
        ] {
            assert_eq!(is_of(language, spoken), expected, "{language} {spoken}");
        }
    }

    #[test]
    fn a_text_without_a_name_gets_one() {
        let judged = product("S0001", "", "de", " ", "Boskop, 1 kg\nHerkunft: Altes Land");
        assert_eq!(judged.changes, [("NAME", "Boskop, 1 kg".into())]);
        assert_eq!(product("S0001", "", "de", "Apfel", "Boskop").changes, []);
        assert_eq!(product("S0001", "", "de", "", "").changes, []);
        let emptied = product("S0001", "descriptions = none", "de", "", "Boskop");
        assert_eq!(emptied.changes, [("NAME", "Boskop".into()), ("DESCRIPTION", "".into())]);
    }

    #[test]
    fn a_name_ends_with_a_word_within_its_column() {
        for (description, units, expected) in [
            ("Boskop apples", 20, "Boskop apples"),
            ("Boskop apples", 8, "Boskop"),
            ("Boskop apples", 6, "Boskop"),
            ("Boskop", 3, "Bos"),
            ("\u{1F34E}\u{1F34E}", 3, "\u{1F34E}"),
            (" \n ", 5, ""),
        ] {
            assert_eq!(beginning(description, units), expected);
        }
    }

    #[test]
    fn nothing_is_touched_on_the_way_up() {
        let row = [("LANGUAGE", "fr".into())];
        let up = context().flow(Flow::Push).config(LANGUAGES);
        let judged = TRANSFORMER.judge(&up, "ax.ECORESATTRIBUTETRANSLATION", &row);
        assert_eq!(judged.verdict, Verdict::Keep);
        let down = context().config(LANGUAGES);
        let judged = TRANSFORMER.judge(&down, "ax.ECORESATTRIBUTETRANSLATION", &row);
        assert_eq!(judged.verdict, Verdict::Drop);
    }

    #[test]
    fn languages_that_cannot_be_meant_are_told_at_the_start() {
        assert_eq!(TRANSFORMER.accepts(LANGUAGES), Ok(()));
        for wrong in [
            "",
            "languages=",
            "languages=de; stores=S1",
            "languages=de; stores=S1:",
            "languages=de; descriptions=short",
        ] {
            assert!(TRANSFORMER.accepts(wrong).is_err(), "{wrong} was taken");
        }
    }
}
