//! Pictures by their names: which names are safe, what a file really is, and which ones go when there is no more room.

use crate::limits;

/// A relative path whose parts are plain: it can name nothing outside the folder that it is looked for in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PictureName(String);

impl PictureName {
    /// Reads `Products/0001.png` or AX's `Products\0001.png`; `None` for anything that could lead elsewhere.
    pub fn parse(text: &str) -> Option<PictureName> {
        let text = text.trim().replace('\\', "/");
        let is_plain = |part: &str| {
            let is_odd =
                |c: char| c.is_control() || matches!(c, ':' | '*' | '?' | '"' | '<' | '>' | '|');
            // Windows drops what stands at the end of a name, and then it is another one.
            let is_trimmed = !part.ends_with('.') && part.trim() == part;
            !part.is_empty() && !part.starts_with('.') && is_trimmed && !part.contains(is_odd)
        };
        let is_short = text.chars().count() <= limits::PICTURE_NAME_CHARS_MAX;
        (is_short && text.split('/').all(is_plain)).then_some(PictureName(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The content type of a picture by its first bytes; `None` for what is none. What a browser might run is none.
pub fn content_type(bytes: &[u8]) -> Option<&'static str> {
    let is_riff_webp = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    match bytes {
        _ if bytes.starts_with(b"\x89PNG\r\n\x1a\n") => Some("image/png"),
        _ if bytes.starts_with(b"\xff\xd8\xff") => Some("image/jpeg"),
        _ if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") => Some("image/gif"),
        _ if bytes.starts_with(b"BM") && bytes.len() > 26 => Some("image/bmp"),
        _ if is_riff_webp => Some("image/webp"),
        _ => None,
    }
}

/// A kept file, as far as choosing goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub hash: String,
    pub bytes: u64,
    pub used_ms: i64,
}

/// Which files go so that `incoming` more bytes fit under `cap`: those that nobody looked at for longest. `None` when
/// it would not fit into an empty cache either.
pub fn evict(mut kept: Vec<Kept>, cap: u64, incoming: u64) -> Option<Vec<Kept>> {
    if incoming > cap {
        return None;
    }
    let mut bytes: u64 = kept.iter().map(|one| one.bytes).sum();
    kept.sort_by(|a, b| (a.used_ms, &a.hash).cmp(&(b.used_ms, &b.hash)));
    let mut gone = Vec::new();
    for one in kept {
        if bytes + incoming <= cap {
            break;
        }
        bytes -= one.bytes;
        gone.push(one);
    }
    Some(gone)
}

#[cfg(test)]
mod tests {
    use super::{Kept, PictureName, content_type, evict};

    #[test]
    fn no_name_leads_out_of_its_folder() {
        for (text, expected) in [
            ("a.png", Some("a.png")),
            ("Products/a b.png", Some("Products/a b.png")),
            (" Products\\ä.jpg ", Some("Products/ä.jpg")),
            ("", None),
            ("..", None),
            ("a/../b", None),
            ("a/..\\b", None),
            ("/etc/passwd", None),
            ("\\\\server\\share", None),
            ("C:\\a.png", None),
            ("a//b", None),
            ("a/", None),
            (".hidden", None),
            ("a/.b", None),
            ("a. /b", None),
            ("a./b", None),
            ("a\0b", None),
            ("a\nb", None),
            ("a?b", None),
            ("http://a/b.png", None),
        ] {
            let read = PictureName::parse(text);
            assert_eq!(read.as_ref().map(PictureName::as_str), expected, "{text:?}");
        }
        assert_eq!(PictureName::parse(&"a".repeat(5_000)), None);
    }

    #[test]
    fn a_picture_is_known_by_its_first_bytes() {
        for (bytes, expected) in [
            (&b"\x89PNG\r\n\x1a\nrest"[..], Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"GIF89a", Some("image/gif")),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some("image/webp")),
            (b"BM\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", Some("image/bmp")),
            (b"BM", None),
            (b"RIFF\0\0\0\0WAVE", None),
            (b"<svg xmlns", None),
            (b"<html>", None),
            (b"", None),
        ] {
            assert_eq!(content_type(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn the_longest_unused_go_first_and_no_more_than_needed() {
        let kept = |list: &[(&str, u64, i64)]| -> Vec<Kept> {
            let one = |(hash, bytes, used_ms): &(&str, u64, i64)| Kept {
                hash: hash.to_string(),
                bytes: *bytes,
                used_ms: *used_ms,
            };
            list.iter().map(one).collect()
        };
        let all = [("new", 40, 9), ("old", 30, 1), ("middle", 30, 5)];
        for (cap, incoming, expected) in [
            (100, 0, Some(vec![])),
            (110, 10, Some(vec![])),
            (100, 1, Some(vec!["old"])),
            (100, 30, Some(vec!["old"])),
            (100, 31, Some(vec!["old", "middle"])),
            (50, 0, Some(vec!["old", "middle"])),
            (100, 100, Some(vec!["old", "middle", "new"])),
            (100, 101, None),
        ] {
            let gone = evict(kept(&all), cap, incoming);
            let names: Option<Vec<String>> =
                gone.map(|gone| gone.into_iter().map(|one| one.hash).collect());
            let expected: Option<Vec<String>> =
                expected.map(|all| all.into_iter().map(str::to_string).collect());
            assert_eq!(names, expected, "{cap} {incoming}");
        }
    }
}
