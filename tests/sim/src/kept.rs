//! Seeds that failed once, with what they found: a line is a seed, its size when that is not the usual one, `only` and the
//! places of its events when not all of them are to happen, and its story.

use crate::apart::Wanted;
use crate::plan::Size;
use clap::ValueEnum as _;

/// The runs of a kept list; a line that is none is an error that names it.
pub fn wanted(text: &str) -> Result<Vec<Wanted>, String> {
    let is_written = |(_, line): &(usize, &str)| !line.trim().is_empty() && !line.starts_with('#');
    let one = |(at, line): (usize, &str)| {
        run(line).ok_or_else(|| {
            format!("line {}: it does not begin with a seed, or `only` without places", at + 1)
        })
    };
    text.lines().enumerate().filter(is_written).map(one).collect()
}

fn run(line: &str) -> Option<Wanted> {
    let mut words = line.split_whitespace().peekable();
    let seed = words.next()?.parse().ok()?;
    let size = words.peek().and_then(|word| Size::from_str(word, false).ok());
    let mut wanted = Wanted::whole(seed, size.unwrap_or_default());
    if size.is_some() {
        words.next();
    }
    if words.next_if_eq(&"only").is_some() {
        let places = words.next()?.split(',').map(places).collect::<Option<Vec<_>>>()?;
        wanted.only = Some(places.concat());
    }
    Some(wanted)
}

/// A place, or the first and the last of some.
fn places(word: &str) -> Option<Vec<usize>> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    Some((first.parse().ok()?..=last.parse().ok()?).collect())
}

#[cfg(test)]
mod tests {
    use super::wanted;
    use crate::plan::Size;

    #[test]
    fn a_line_is_a_seed_and_perhaps_a_size() {
        let runs = wanted("# stories\n4  A writer span.\n\n7 busy  Both.\n").expect("two runs");
        let read: Vec<(u64, Size)> = runs.iter().map(|run| (run.seed, run.size)).collect();
        assert_eq!(read, [(4, Size::Usual), (7, Size::Busy)]);
        let few = wanted("9 short only 0,2-4  Some.\n9 only 1  One.").expect("two runs");
        assert_eq!(few[0].only, Some(vec![0, 2, 3, 4]));
        assert_eq!((few[1].size, &few[1].only), (Size::Usual, &Some(vec![1])));
        for wrong in ["x b", "4 only  A story."] {
            let error = wanted(&format!("4 a\n{wrong}")).expect_err(wrong);
            assert!(error.starts_with("line 2: "), "{error}");
        }
    }
}
