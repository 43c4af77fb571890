//! What is left of a statement when names, numbers, texts, types and the length of lists are folded
//! away: two statements of one shape stand or fall together before a parser.
//!
//! * A batch has one shape a statement, since the tables of one call vary in number and order.
//! * A select list without FROM has one shape an entry: such a statement asks questions that are
//!   put together freely.

/// Distinct, in the order in which they come.
pub(super) fn shapes(sql: &str) -> Vec<String> {
    let words = simplified(folded(sql));
    let mut shapes: Vec<String> = Vec::new();
    for statement in words.split(|word| word == ";").filter(|words| !words.is_empty()) {
        for part in parts(statement) {
            let shape = squeezed(part.to_vec()).join(" ");
            if !shapes.contains(&shape) {
                shapes.push(shape);
            }
        }
    }
    shapes
}

fn parts(statement: &[String]) -> Vec<&[String]> {
    let is_list =
        statement[0] == "SELECT" && !depths(statement).any(|(d, w)| d == 0 && w == "FROM");
    if !is_list {
        return vec![statement];
    }
    let commas = depths(statement).enumerate().filter(|(_, (d, word))| *d == 0 && *word == ",");
    let mut cuts: Vec<usize> = commas.map(|(at, _)| at).collect();
    cuts.push(statement.len());
    let mut from = 0;
    let mut parts = Vec::new();
    for cut in cuts {
        parts.push(&statement[from + 1..cut]);
        from = cut;
    }
    parts
}

/// Each word with how many parentheses are open around it.
fn depths(words: &[String]) -> impl Iterator<Item = (usize, &String)> {
    words.iter().scan(0usize, |open, word| {
        if word == ")" {
            *open = open.saturating_sub(1);
        }
        let depth = *open;
        if word == "(" {
            *open += 1;
        }
        Some((depth, word))
    })
}

const TYPES: [&str; 28] = [
    "bigint",
    "binary",
    "bit",
    "char",
    "date",
    "datetime",
    "datetime2",
    "datetimeoffset",
    "decimal",
    "float",
    "image",
    "int",
    "money",
    "nchar",
    "ntext",
    "numeric",
    "nvarchar",
    "real",
    "rowversion",
    "smalldatetime",
    "smallint",
    "smallmoney",
    "text",
    "time",
    "timestamp",
    "tinyint",
    "uniqueidentifier",
    "varbinary",
];

fn is_type(word: &str) -> bool {
    TYPES.contains(&word) || word == "varchar" || word == "xml"
}

/// Words with what varies from table to table folded.
fn folded(sql: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let (word, length) = match first {
            _ if first.is_whitespace() => (None, first.len_utf8()),
            '-' if rest.starts_with("--") => (None, rest.find('\n').unwrap_or(rest.len())),
            '[' => (Some("i".to_string()), quoted(rest, ']')),
            '\'' => (Some("s".to_string()), quoted(rest, '\'')),
            'N' if rest.starts_with("N'") => (Some("s".to_string()), 1 + quoted(&rest[1..], '\'')),
            _ if first.is_ascii_digit() => (Some("n".to_string()), word_length(rest)),
            _ if is_of_word(first) => {
                let word = &rest[..word_length(rest)];
                (Some(numberless(word)), word.len())
            }
            _ => (Some(first.to_string()), first.len_utf8()),
        };
        words.extend(word);
        rest = &rest[length..];
    }
    words
}

/// Of a quoted text, both quotes included; a doubled one does not end it.
fn quoted(text: &str, end: char) -> usize {
    let mut at = 1;
    loop {
        at += text[at..].find(end).map_or(text.len() - at, |found| found + 1);
        if !text[at..].starts_with(end) {
            return at;
        }
        at += 1;
    }
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '@' | '#' | '$')
}

fn word_length(text: &str) -> usize {
    text.find(|letter| !is_of_word(letter)).unwrap_or(text.len())
}

/// `@P12` and `#k3` without their numbers.
fn numberless(word: &str) -> String {
    match word.starts_with("@P") || word.starts_with('#') {
        true => word.trim_end_matches(|letter: char| letter.is_ascii_digit()).to_string(),
        false => word.to_string(),
    }
}

/// Without casts, types' sizes and collations, and aliases: what a column's type decides.
fn simplified(words: Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::with_capacity(words.len());
    let mut at = 0;
    while at < words.len() {
        let next = |ahead: usize| words.get(at + ahead).map_or("", String::as_str);
        match words[at].as_str() {
            "COLLATE" => at += 2,
            "CAST" | "CONVERT" if next(1) == "(" => {
                let end = closing(&words, at + 1);
                out.extend(simplified(converted(&words[at..=end])));
                at = end + 1;
            }
            word if is_type(word) => {
                out.push("type".to_string());
                at = if next(1) == "(" { closing(&words, at + 1) + 1 } else { at + 1 };
            }
            "NOT" if next(1) == "NULL" && out.last().is_some_and(|last| last == "type") => at += 2,
            "NULL" if out.last().is_some_and(|last| last == "type") => at += 1,
            "IS" if next(1) == "NULL" => {
                out.extend(["=", "@P"].map(str::to_string));
                at += 2;
            }
            "AS" if next(1) == "i" && out.last().is_some_and(|last| last == "i") => at += 2,
            word => {
                out.push(word.to_string());
                at += 1;
            }
        }
    }
    out
}

/// Where the parenthesis that opens at `open` closes.
fn closing(words: &[String], open: usize) -> usize {
    let mut depth = 0usize;
    for (at, word) in words.iter().enumerate().skip(open) {
        match word.as_str() {
            "(" => depth += 1,
            ")" if depth == 1 => return at,
            ")" => depth -= 1,
            _ => {}
        }
    }
    words.len() - 1
}

/// What `CAST ( x AS … )` or `CONVERT ( … , x , n )` converts.
fn converted(call: &[String]) -> Vec<String> {
    let inside = &call[2..call.len() - 1];
    let at_zero = |wanted: &'static str| {
        let found = depths(inside).enumerate().filter(move |(_, (d, w))| *d == 0 && *w == wanted);
        found.map(|(at, _)| at).collect::<Vec<usize>>()
    };
    match (call[0].as_str(), at_zero("AS").last(), at_zero(",").as_slice()) {
        ("CAST", Some(end), _) => inside[..*end].to_vec(),
        ("CONVERT", _, [first]) => inside[first + 1..].to_vec(),
        ("CONVERT", _, [first, second]) => inside[first + 1..*second].to_vec(),
        _ => inside.to_vec(),
    }
}

/// The longest piece whose repetition is looked for: an assignment of an UPDATE, a condition on one
/// table.
const REPEATED_WORDS_MAX: usize = 64;

/// `a , a , a` as `a , a`, for pieces of any length, until nothing repeats.
fn squeezed(mut words: Vec<String>) -> Vec<String> {
    loop {
        let before = words.len();
        for length in 1..=REPEATED_WORDS_MAX {
            let mut kept: Vec<String> = Vec::with_capacity(words.len());
            for word in words {
                kept.push(word);
                let end = kept.len();
                if end >= 2 * length && kept[end - length..] == kept[end - 2 * length..end - length]
                {
                    kept.truncate(end - length);
                }
            }
            words = kept;
        }
        if words.len() == before {
            return words;
        }
    }
}

#[test]
fn statements_that_differ_in_names_and_numbers_have_one_shape() {
    for (one, other) in [
        (
            "SELECT t.[A], t.[B], t.[C] FROM [x].[T] AS t;",
            "SELECT t.[Q]]], t.[R] FROM [y].[U] AS t",
        ),
        (
            "SELECT CAST(t.[A] AS decimal(19,4)) AS [A], t.[B] FROM [x].[T] AS t;",
            "SELECT t.[A], t.[B] FROM [x].[T] AS t;",
        ),
        (
            "INSERT INTO #k0 ([a], [b]) SELECT CONVERT(binary(8), @P1, 2), N'it''s';",
            "-- why\nINSERT INTO #k12 ([a], [b]) SELECT CAST(@P22 COLLATE X AS varchar(20)), ''",
        ),
        (
            "CREATE TABLE #k ([a] int NOT NULL, [b] nvarchar(5) COLLATE X NULL, [c] int NULL);",
            "CREATE TABLE #k ([a] varchar(max) NULL, [b] bit NOT NULL);",
        ),
    ] {
        assert_eq!(shapes(one), shapes(other));
    }
}

#[test]
fn statements_that_differ_in_more_have_not() {
    for (one, other) in [
        ("SELECT t.[A] FROM [x].[T] AS t;", "SELECT t.[A] FROM [x].[T] AS t LIMIT 1;"),
        ("SELECT TOP (@P1) t.[A] FROM [x].[T] AS t;", "SELECT TOP @P1 t.[A] FROM [x].[T] AS t;"),
        ("DELETE t FROM [x].[T] AS t;", "DELETE FROM [x].[T] AS t;"),
        ("SELECT 1 AS [a], HAS_DBACCESS(N'x') AS [b];", "SELECT 1 AS [a], 'x'::int AS [b];"),
    ] {
        assert_ne!(shapes(one), shapes(other));
    }
}
