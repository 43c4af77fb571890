//! The cache on a disk that is killed, damaged and full.

use super::cache::{Cache, Extent, Pruned};
use super::fault::ImageError;
use std::path::Path;
use tillhold_core::picture::PictureName;

fn name(text: &str) -> PictureName {
    PictureName::parse(text).expect("a name")
}

/// A PNG of `bytes` bytes.
fn png(seed: u8, bytes: usize) -> Vec<u8> {
    let mut picture = b"\x89PNG\r\n\x1a\n".to_vec();
    picture.resize(bytes, seed);
    picture
}

fn cache(folder: &Path) -> Cache {
    Cache::new(folder.join("images"), 1_000)
}

fn objects(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder.join("images/objects")).expect("a folder");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

#[test]
fn a_picture_is_kept_once_and_found_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = cache(folder.path());
    let kept = first.keep(&name("a.png"), png(1, 400), 5).expect("kept");
    first.keep(&name("Sub/b.png"), png(1, 400), 6).expect("kept");
    assert_eq!(first.extent().expect("an extent"), Extent { pictures: 1, names: 2, bytes: 400 });
    let again = cache(folder.path());
    let found = again.find(&name("Sub\\b.png"), 7).expect("a look").expect("the picture");
    assert_eq!((found.hash, found.bytes), (kept.hash, png(1, 400)));
    assert_eq!(found.content_type, "image/png");
    assert_eq!(again.find(&name("c.png"), 7).expect("a look"), None);
}

#[test]
fn what_was_not_looked_at_for_longest_makes_room_also_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let hour = 3_600_000;
    let first = cache(folder.path());
    for (at, seed) in [(1, 1), (2, 2)] {
        first.keep(&name(&format!("{seed}.png")), png(seed, 400), at * hour).expect("kept");
    }
    first.find(&name("1.png"), 3 * hour).expect("a look").expect("the picture");
    let again = cache(folder.path());
    again.keep(&name("3.png"), png(3, 400), 4 * hour).expect("kept");
    let is_there = |text: &str| again.find(&name(text), 5 * hour).expect("a look").is_some();
    assert_eq!([is_there("1.png"), is_there("2.png"), is_there("3.png")], [true, false, true]);
    let refused = again.keep(&name("4.png"), png(4, 1_001), 6 * hour).map_err(|e| e.code());
    assert_eq!(refused.err(), Some("image-too-large"));
    assert!(is_there("1.png") && is_there("3.png"), "what does not fit takes nobody's place");
}

#[test]
fn a_damaged_picture_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let kept = cache(folder.path());
    kept.keep(&name("a.png"), png(1, 400), 5).expect("kept");
    kept.keep(&name("b.png"), png(2, 400), 5).expect("kept");
    for object in objects(folder.path()) {
        let mut bytes = std::fs::read(&object).expect("an object");
        bytes[300] ^= 1;
        std::fs::write(&object, bytes).expect("a harm");
    }
    assert_eq!(kept.find(&name("a.png"), 6).expect("a look"), None);
    let pruned = kept.prune().expect("a pruning");
    assert_eq!(pruned, Pruned { damaged: 1, evicted: 0, names: 2 });
    kept.keep(&name("a.png"), png(1, 400), 7).expect("fetched again");
    assert!(kept.find(&name("a.png"), 8).expect("a look").is_some());
}

/// Killed while it wrote: the half file has no name yet, and goes at the next start.
#[test]
fn a_write_that_was_killed_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    cache(folder.path()).keep(&name("a.png"), png(1, 400), 5).expect("kept");
    let object = objects(folder.path()).remove(0);
    let hash = object.file_name().expect("a name").to_string_lossy().into_owned();
    std::fs::write(object.with_file_name(format!(".{hash}.aside")), b"half").expect("a half file");
    std::fs::write(folder.path().join("images/names/x.json"), b"{\"na").expect("a half file");
    let again = cache(folder.path());
    assert_eq!(again.extent().expect("an extent"), Extent { pictures: 1, names: 1, bytes: 400 });
    assert_eq!(objects(folder.path()), [object]);
    // The picture is there, its name was not written yet: it is found under its next name without a second copy.
    let named = std::fs::read_dir(folder.path().join("images/names")).expect("a folder");
    named.for_each(|entry| std::fs::remove_file(entry.expect("one").path()).expect("removed"));
    let nameless = cache(folder.path());
    nameless.keep(&name("b.png"), png(1, 400), 6).expect("kept");
    assert_eq!(nameless.extent().expect("an extent").pictures, 1);
}

#[test]
fn what_is_no_picture_is_not_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let kept = cache(folder.path());
    let refused = kept.keep(&name("a.png"), b"<html>".to_vec(), 5);
    assert!(matches!(refused, Err(ImageError::NoPicture { .. })));
    assert_eq!(kept.extent().expect("an extent"), Extent::default());
}
