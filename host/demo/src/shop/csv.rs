//! Comma-separated values (RFC 4180), as far as the two files of a shop need them.
//!
//! * The first record names the columns; their order is free, further columns are ignored.
//! * Every problem is told with its line, and the first [`PROBLEMS_SHOWN`] are told together.

use crate::DemoError;
use tillhold_kit::csv::{PROBLEMS_SHOWN, Problem, Record, Splitter};

/// One record's fields, in the order that was asked for.
pub(crate) struct Named<'a, const N: usize> {
    pub(crate) fields: [&'a str; N],
}

/// Reads `text`, calling `take` with each record's named fields. `take` says what is wrong with a record, if anything.
pub(crate) fn read<const N: usize>(
    file: &str,
    text: &str,
    columns: [&str; N],
    mut take: impl FnMut(Named<'_, N>) -> Result<(), String>,
) -> Result<(), DemoError> {
    let mut records = records(text);
    let places = match records.next() {
        Some(Ok((_, header))) => places(file, &header, columns)?,
        Some(Err(problem)) => return Err(refuse(file, vec![problem])),
        None => return Err(refuse(file, vec![problem(1, "the file is empty")])),
    };
    let mut problems = Vec::new();
    for record in records {
        let taken = record.and_then(|(line, record)| {
            let taken = match places.iter().all(|place| *place < record.len()) {
                true => take(Named { fields: places.map(|place| record[place].trim()) }),
                false => Err(format!("{} fields are too few", record.len())),
            };
            taken.map_err(|reason| problem(line, &reason))
        });
        if let Err(problem) = taken {
            problems.push(problem);
            if problems.len() == PROBLEMS_SHOWN {
                break;
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(refuse(file, problems)) }
}

fn places<const N: usize>(
    file: &str,
    header: &[String],
    columns: [&str; N],
) -> Result<[usize; N], DemoError> {
    let find = |name: &str| header.iter().position(|h| h.trim().eq_ignore_ascii_case(name));
    let missing: Vec<&str> = columns.iter().copied().filter(|c| find(c).is_none()).collect();
    if !missing.is_empty() {
        let reason = format!("the header lacks {}", missing.join(", "));
        return Err(refuse(file, vec![problem(1, &reason)]));
    }
    Ok(columns.map(|column| find(column).unwrap_or_default()))
}

fn problem(line: usize, reason: &str) -> Problem {
    Problem { line, reason: reason.to_string() }
}

fn refuse(file: &str, problems: Vec<Problem>) -> DemoError {
    DemoError::Data { file: file.to_string(), problems }
}

/// The records of a text, with the lines where they begin; blank lines are none.
fn records(text: &str) -> impl Iterator<Item = Result<(usize, Vec<String>), Problem>> {
    let mut splitter = Splitter::default();
    let records =
        text.split_inclusive('\n').filter_map(move |line| splitter.take(line).transpose());
    let texts = |record: Record| record.fields.into_iter().map(|field| field.text).collect();
    records
        .map(move |record| record.map(|record| (record.line, texts(record))))
        .filter(|record| !matches!(record, Ok((_, fields)) if *fields == [""]))
}

#[cfg(test)]
mod tests {
    use super::read;

    fn check(text: &str) -> Result<Vec<(String, String)>, String> {
        let mut taken = Vec::new();
        read("f.csv", text, ["a", "b"], |record| {
            let [a, b] = record.fields;
            taken.push((a.to_string(), b.to_string()));
            if a == "bad" { Err("bad a".to_string()) } else { Ok(()) }
        })
        .map(|()| taken)
        .map_err(|e| e.to_string())
    }

    #[test]
    fn records_come_whole_whatever_is_quoted() {
        let text = "\u{FEFF}b,x,A\r\n1,,2\n\n\"a,\"\"b\"\"\nc\",,\"3\"\n5,6,7";
        let expected = [
            ("2".to_string(), "1".to_string()),
            ("3".to_string(), "a,\"b\"\nc".to_string()),
            ("7".to_string(), "5".to_string()),
        ];
        assert_eq!(check(text).expect("readable"), expected);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_together() {
        for (text, parts) in [
            ("", vec!["line 1", "empty"]),
            ("a,c\n1,2\n", vec!["line 1", "lacks b"]),
            ("a,b\nbad,1\n2\nbad,3\n", vec!["line 2: bad a", "line 3: 1 fields", "line 4: bad a"]),
            ("a,b\n5\" x,1\n", vec!["line 2: a quote inside"]),
        ] {
            let error = check(text).expect_err("refused");
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }
}
