//! Ids that people type: a UUID, or so many of its first digits that it is the only one.

use super::problem::Problem;
use tillhold_core::text;

/// Fewer are a slip of the finger.
const DIGITS_MIN: usize = 4;
/// What a listing shows, unless that is not enough to tell two apart.
const DIGITS_SHOWN: usize = 8;

/// The hexadecimal digits of what was typed, in small letters.
pub fn digits(asked: &str) -> Result<String, Problem> {
    let digits: String = asked.chars().filter(|c| *c != '-').collect::<String>().to_lowercase();
    let is_hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digits.len() < DIGITS_MIN || digits.len() > 32 || !is_hexadecimal {
        let detail = format!("'{asked}' is no id: give at least its first {DIGITS_MIN} digits");
        return Err(Problem::new(422, "id-digits", detail).hint("the listing shows the ids"));
    }
    Ok(digits)
}

/// Which of `ids` is meant; `None` when none is.
pub fn find(ids: &[[u8; 16]], asked: &str) -> Result<Option<usize>, Problem> {
    let digits = digits(asked)?;
    let matches = |at: &usize| hexadecimal(&ids[*at]).starts_with(&digits);
    let found: Vec<usize> = (0..ids.len()).filter(matches).collect();
    match found[..] {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        _ => {
            let all: Vec<String> = found.iter().map(|at| text::guid_text(&ids[*at])).collect();
            let detail = format!("'{asked}' may be {}", all.join(" or "));
            Err(Problem::new(409, "id-ambiguous", detail).hint("give more digits"))
        }
    }
}

/// One id alone, as a listing would show it.
pub fn shown(id: &[u8; 16]) -> String {
    hexadecimal(id)[..DIGITS_SHOWN].to_string()
}

/// The fewest first digits that tell each from the others, at least [`DIGITS_SHOWN`].
pub fn short(ids: &[[u8; 16]]) -> Vec<String> {
    let mut sorted: Vec<String> = ids.iter().map(hexadecimal).collect();
    sorted.sort();
    let common =
        |pair: &[String]| pair[0].bytes().zip(pair[1].bytes()).take_while(|(a, b)| a == b).count();
    let longest = sorted.windows(2).map(common).max().unwrap_or_default();
    let digits = (longest + 1).clamp(DIGITS_SHOWN, 32);
    ids.iter().map(|id| hexadecimal(id)[..digits].to_string()).collect()
}

fn hexadecimal(id: &[u8; 16]) -> String {
    text::hexadecimal(id).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::{find, short};

    fn ids() -> Vec<[u8; 16]> {
        let id = |first: u8, second: u8| {
            let mut id = [0xAB; 16];
            (id[0], id[5]) = (first, second);
            id
        };
        vec![id(1, 1), id(1, 2), id(2, 1)]
    }

    #[test]
    fn an_id_is_found_by_as_many_digits_as_tell_it_apart() {
        let ids = ids();
        for (asked, expected) in [
            ("02ab", Some(Some(2))),
            ("02AB-abab", Some(Some(2))),
            ("01ababab-ab01", Some(Some(0))),
            ("01abababab02abababababababababab", Some(Some(1))),
            ("03ab", Some(None)),
            ("01abab", None),
            ("02a", None),
            ("help", None),
        ] {
            assert_eq!(find(&ids, asked).ok(), expected, "{asked}");
        }
    }

    #[test]
    fn a_listing_shows_as_many_digits_as_tell_its_ids_apart() {
        assert_eq!(short(&ids()), ["01abababab01", "01abababab02", "02abababab01"]);
        assert_eq!(short(&ids()[1..]), ["01ababab", "02ababab"]);
        assert_eq!(short(&[]), Vec::<String>::new());
    }
}
