//! What a command writes to stdout and stderr. Who has gone away meanwhile (`tillhold verify | head -1`) stops no command
//! and breaks none, as `println!` would; an answer that could not be written, as onto a full disk, is an error at its end.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write as _};
use std::sync::{Mutex, PoisonError};

/// Why a part of the answer is missing.
static UNTOLD: Mutex<Option<io::Error>> = Mutex::new(None);

/// To stdout; use [`crate::out!`] and [`crate::outln!`].
pub fn answer(text: Arguments<'_>) {
    note(io::stdout().lock().write_fmt(text));
}

/// To stderr, where an answer is not; use [`crate::errln!`].
pub fn remark(text: Arguments<'_>) {
    // There is nobody left to tell.
    let _ = io::stderr().lock().write_fmt(text);
}

/// Whether all that was to be answered was written, to whoever still listens.
pub fn all_answered() -> io::Result<()> {
    note(io::stdout().lock().flush());
    match UNTOLD.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn note(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        UNTOLD.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// As `print!`.
#[macro_export]
macro_rules! out {
    ($($text:tt)*) => { $crate::speech::answer(format_args!($($text)*)) };
}

/// As `println!`.
#[macro_export]
macro_rules! outln {
    () => { $crate::speech::answer(format_args!("\n")) };
    ($($text:tt)*) => { $crate::speech::answer(format_args!("{}\n", format_args!($($text)*))) };
}

/// As `eprintln!`.
#[macro_export]
macro_rules! errln {
    ($($text:tt)*) => { $crate::speech::remark(format_args!("{}\n", format_args!($($text)*))) };
}
