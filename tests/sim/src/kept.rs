//! Seeds that failed once, with what they found: a line is a seed, its size when that is not the usual one, and its story.

use crate::apart::Wanted;
use crate::plan::Size;
use clap::ValueEnum as _;

/// The runs of a kept list; a line that is none is an error that names it.
pub fn wanted(text: &str) -> Result<Vec<Wanted>, String> {
    let is_written = |(_, line): &(usize, &str)| !line.trim().is_empty() && !line.starts_with('#');
    let one = |(at, line): (usize, &str)| {
        let mut words = line.split_whitespace();
        let seed = words.next().and_then(|seed| seed.parse().ok());
        let seed = seed.ok_or_else(|| format!("line {}: it does not begin with a seed", at + 1))?;
        let size = words.next().and_then(|word| Size::from_str(word, false).ok());
        Ok(Wanted::whole(seed, size.unwrap_or_default()))
    };
    text.lines().enumerate().filter(is_written).map(one).collect()
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
        assert_eq!(
            wanted("4 a\nx b").expect_err("x is none"),
            "line 2: it does not begin with a seed"
        );
    }
}
