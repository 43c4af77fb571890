//! How far apart two names are, for "did you mean".

/// Levenshtein's distance in letters: insertions, deletions and replacements.
pub fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// The name that is at most two edits away, blind to case, if there is one.
pub fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<String> {
    let distance = |other: &str| edit_distance(&name.to_lowercase(), &other.to_lowercase());
    known
        .map(|other| (distance(other), other))
        .filter(|(distance, other)| *distance <= 2 && *distance < other.len())
        .min()
        .map(|(_, other)| other.to_string())
}

#[cfg(test)]
mod tests {
    use super::edit_distance;

    #[test]
    fn letters_put_in_left_out_and_replaced_count_one_each() {
        for (a, b, apart) in [
            ("", "", 0),
            ("", "abc", 3),
            ("custtable", "custtabel", 2),
            ("kitten", "sitting", 3),
            ("é", "e", 1),
        ] {
            assert_eq!((edit_distance(a, b), edit_distance(b, a)), (apart, apart), "{a} {b}");
        }
    }
}
