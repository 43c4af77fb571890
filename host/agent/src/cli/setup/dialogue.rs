//! Questions and answers over a reader and a writer; a terminal is only one pair of them.
//!
//! * A question that has an answer already is not asked.
//! * With nobody there, a default counts as the answer, and what has none is noted as missing.

use super::fault::SetupError;
use super::hidden;
use std::io::{BufRead, IsTerminal as _, Read as _, Write};
use tillhold_channel::Secret;
use tillhold_core::limits::SETUP_ANSWER_BYTES_MAX;

/// Asks for a text that is not shown while it is typed.
type AskHidden = Box<dyn FnMut(&str) -> std::io::Result<String>>;

/// Somebody who answers.
pub struct Person {
    pub input: Box<dyn BufRead>,
    pub output: Box<dyn Write>,
    pub hidden: AskHidden,
}

/// Who is asked, and which answers were missing with nobody to ask.
pub struct Dialogue {
    person: Option<Person>,
    missing: Vec<&'static str>,
}

/// What is asked, and how an answer can be wrong.
pub struct Question<'q> {
    /// The flag that answers it.
    pub flag: &'static str,
    pub words: &'q str,
    pub default: Option<String>,
    pub is_optional: bool,
    pub check: &'q dyn Fn(&str) -> Result<(), String>,
}

impl Dialogue {
    pub fn new(person: Option<Person>) -> Dialogue {
        Dialogue { person, missing: Vec::new() }
    }

    /// With the terminal, if a person sits at one.
    pub fn of_terminal() -> Dialogue {
        let is_there = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        Dialogue::new(is_there.then(|| Person {
            input: Box::new(std::io::stdin().lock()),
            output: Box::new(std::io::stderr()),
            hidden: Box::new(hidden::ask),
        }))
    }

    pub fn has_person(&self) -> bool {
        self.person.is_some()
    }

    /// The flags that would have answered what nobody was there to answer.
    pub fn missing(&self) -> &[&'static str] {
        &self.missing
    }

    pub fn miss(&mut self, flag: &'static str) {
        self.missing.push(flag);
    }

    /// The answer; an empty one to an optional question.
    pub fn ask(&mut self, question: &Question<'_>) -> Result<String, SetupError> {
        let Some(person) = &mut self.person else {
            if question.default.is_none() && !question.is_optional {
                self.missing.push(question.flag);
            }
            return Ok(question.default.clone().unwrap_or_default());
        };
        let default = question.default.as_ref().filter(|default| !default.is_empty());
        let shown = default.map_or(String::new(), |default| format!(" [{default}]"));
        loop {
            let typed = person.line(&format!("{}{shown}: ", question.words))?;
            // The one way to take a default of an optional question away.
            let text = match (typed.as_str(), default) {
                ("-", _) if question.is_optional => return Ok(String::new()),
                ("", Some(default)) => default.clone(),
                _ => typed,
            };
            match (question.check)(&text) {
                Err(reason) => person.say(&format!("  {reason}"))?,
                Ok(()) if text.is_empty() && !question.is_optional => {
                    person.say("  an answer is needed")?;
                }
                Ok(()) => return Ok(text),
            }
        }
    }

    /// What is typed unseen; `None` for nothing, or with nobody there.
    pub fn ask_hidden(&mut self, words: &str) -> Result<Option<Secret>, SetupError> {
        let Some(person) = &mut self.person else { return Ok(None) };
        let typed = (person.hidden)(&format!("{words}: ")).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => SetupError::Ended,
            _ => SetupError::Terminal(error),
        })?;
        Ok(Some(typed).filter(|typed| !typed.is_empty()).map(Secret::new))
    }

    /// Whether a person says yes; nobody says no.
    pub fn agrees(&mut self, words: &str) -> Result<bool, SetupError> {
        let Some(person) = &mut self.person else { return Ok(false) };
        loop {
            match person.line(&format!("{words} (yes or no) [no]: "))?.to_lowercase().as_str() {
                "yes" | "y" => return Ok(true),
                "no" | "n" | "" => return Ok(false),
                _ => person.say("  yes or no")?,
            }
        }
    }

    /// Tells something, whoever is there.
    pub fn say(&mut self, text: &str) -> Result<(), SetupError> {
        match &mut self.person {
            Some(person) => person.say(text),
            None => writeln!(std::io::stderr(), "{text}").map_err(SetupError::Terminal),
        }
    }
}

impl Person {
    fn say(&mut self, text: &str) -> Result<(), SetupError> {
        writeln!(self.output, "{text}").map_err(SetupError::Terminal)
    }

    fn line(&mut self, prompt: &str) -> Result<String, SetupError> {
        let prompted = write!(self.output, "{prompt}").and_then(|()| self.output.flush());
        prompted.map_err(SetupError::Terminal)?;
        read_line(&mut *self.input)
    }
}

/// One line without its end.
pub fn read_line(input: &mut dyn BufRead) -> Result<String, SetupError> {
    let mut line = String::new();
    let read = input.take(SETUP_ANSWER_BYTES_MAX).read_line(&mut line);
    match read.map_err(SetupError::Terminal)? {
        0 => Err(SetupError::Ended),
        _ => Ok(line.trim_end_matches(['\r', '\n']).trim().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Dialogue, Person, Question};
    use crate::cli::setup::fault::SetupError;
    use std::io::{Cursor, Write};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Screen(Arc<Mutex<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("a screen").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn question(default: Option<&str>, is_optional: bool) -> Question<'static> {
        Question {
            flag: "--store",
            words: "Store",
            default: default.map(str::to_string),
            is_optional,
            check: &|text| match text.len() {
                0..=5 => Ok(()),
                _ => Err("at most 5 characters".to_string()),
            },
        }
    }

    /// The answer that comes of what is typed, and the screen after it.
    fn check(typed: &'static str, of: &Question<'_>) -> (Option<String>, String) {
        let screen = Screen::default();
        let mut dialogue = Dialogue::new(Some(Person {
            input: Box::new(Cursor::new(typed)),
            output: Box::new(screen.clone()),
            hidden: Box::new(|_| Ok(String::new())),
        }));
        let answer = match dialogue.ask(of) {
            Ok(answer) => Some(answer),
            Err(SetupError::Ended) => None,
            Err(error) => panic!("{error}"),
        };
        let shown = screen.0.lock().expect("a screen").clone();
        (answer, String::from_utf8(shown).expect("text"))
    }

    #[test]
    fn a_question_is_asked_until_its_answer_fits() {
        let some = |text: &str| Some(text.to_string());
        let required = question(None, false);
        assert_eq!(check("S1\r\n", &required), (some("S1"), "Store: ".to_string()));
        let (answer, shown) = check("\nS123456\n S1 \n", &required);
        assert_eq!(answer, some("S1"));
        let told = "Store:   an answer is needed\nStore:   at most 5 characters\nStore: ";
        assert_eq!(shown, told);
        assert_eq!(check("S123456\n", &required).0, None, "an end is no answer");
        let with_default = question(Some("S9"), false);
        assert_eq!(check("\n", &with_default), (some("S9"), "Store [S9]: ".to_string()));
        assert_eq!(check("-\n", &with_default).0, some("-"), "it must have one");
        let optional = question(Some("S9"), true);
        assert_eq!(check("-\n", &optional).0, some(""), "the default is taken away");
        assert_eq!(check("\n", &question(None, true)).0, some(""));
    }

    #[test]
    fn with_nobody_there_what_is_missing_is_noted() {
        let mut nobody = Dialogue::new(None);
        let mut ask = |of| nobody.ask(&of).expect("an answer");
        assert_eq!(ask(question(Some("S9"), false)), "S9");
        assert_eq!(ask(question(None, true)), "");
        assert_eq!(ask(question(None, false)), "");
        assert_eq!(nobody.missing(), ["--store"]);
        assert!(!nobody.agrees("All the same?").expect("an answer"));
        assert!(nobody.ask_hidden("Password").expect("an answer").is_none());
    }
}
