//! Paths and queries, percent-encoded (RFC 3986, section 2.1).

use std::fmt::Write as _;

/// `path?NAME=value&…` with every name and value encoded; the path is taken as it is.
pub fn query(path: &str, parts: &[(&str, &str)]) -> String {
    let mut text = path.to_string();
    for (at, (name, value)) in parts.iter().enumerate() {
        text.push(if at == 0 { '?' } else { '&' });
        encode(name, &mut text);
        text.push('=');
        encode(value, &mut text);
    }
    text
}

fn encode(part: &str, into: &mut String) {
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::query;

    #[test]
    fn whatever_could_end_a_part_is_encoded() {
        for (parts, expected) in [
            (vec![], "/v1/x"),
            (vec![("A", "b c")], "/v1/x?A=b%20c"),
            (vec![("prefix.A", "ü&"), ("limit", "10")], "/v1/x?prefix.A=%C3%BC%26&limit=10"),
            (vec![("A", "1=2#3+4%")], "/v1/x?A=1%3D2%233%2B4%25"),
        ] {
            assert_eq!(query("/v1/x", &parts), expected);
        }
    }
}
