//! The kept corpus and seeded mutations of it, in every `cargo test`.
//!
//! What fails is written to target/harm/TARGET and named with the one command that repeats it.

use crate::mutate::Dice;
use crate::{TARGETS, Target};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

const HERE: &str = env!("CARGO_MANIFEST_DIR");
/// A file to run instead: `TILLHOLD_HARM=target/harm/profile/1f00 cargo test -p tillhold-harm profile`.
const INPUT: &str = "TILLHOLD_HARM";
/// Rounds instead of the target's own, for a longer run without a fuzzer.
const ROUNDS: &str = "TILLHOLD_HARM_ROUNDS";

fn replay(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    if let Some(file) = std::env::var_os(INPUT) {
        let file = Path::new(HERE).join("../..").join(file);
        return (target.harm)(&fs::read(&file).expect("the file that TILLHOLD_HARM names"));
    }
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "corpus/{name} is empty");
    for input in &corpus {
        run(target, input);
    }
    let rounds = std::env::var(ROUNDS).ok().and_then(|rounds| rounds.parse().ok());
    let mut dice = Dice::new(name.bytes().map(u64::from).sum());
    for _ in 0..rounds.unwrap_or(target.mutations) {
        let (one, other) = (dice.roll(corpus.len()), dice.roll(corpus.len()));
        run(target, &dice.mutate(&corpus[one], &corpus[other]));
    }
}

/// In the order of their names, so that every machine mutates the same.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(HERE).join("corpus").join(name);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the target's corpus")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    files.iter().map(|file| fs::read(file).expect("an input")).collect()
}

fn run(target: &Target, input: &[u8]) {
    let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.harm)(input))) else { return };
    let name = target.name;
    // FNV-1a: the same input has one name.
    let hash = input
        .iter()
        .fold(0xCBF2_9CE4_8422_2325_u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01B3));
    let file = format!("target/harm/{name}/{hash:016x}");
    let path = Path::new(HERE).join("../..").join(&file);
    fs::create_dir_all(path.parent().expect("a folder")).expect("target/harm");
    fs::write(&path, input).expect("the input that did harm");
    eprintln!(
        "\n{name}: this input did harm. Again: {INPUT}={file} cargo test -p tillhold-harm {name}\n"
    );
    resume_unwind(panic);
}

macro_rules! replays {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            replay(stringify!($name));
        }
    )*

        #[test]
        fn every_target_is_replayed() {
            assert_eq!(TARGETS.iter().map(|target| target.name).collect::<Vec<_>>(), [$(stringify!($name)),*]);
        }
    };
}

replays! { embedded channel profile register answer component carried door offline }
