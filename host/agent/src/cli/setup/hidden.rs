//! A password typed at a terminal, of which nothing is shown.
//!
//! rpassword asks first and hides then, so that what a quick hand or a pasted line brings in between would be shown. Here the
//! terminal is quiet before the question stands there.

use std::io;

pub fn ask(words: &str) -> io::Result<String> {
    let _quiet = Quiet::begin()?;
    rpassword::prompt_password(words)
}

/// A terminal that does not show what is typed, until this is dropped.
#[cfg(unix)]
struct Quiet(rustix::termios::Termios);

#[cfg(unix)]
impl Quiet {
    fn begin() -> io::Result<Quiet> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Now, &quiet)?;
        Ok(Quiet(before))
    }
}

#[cfg(unix)]
impl Drop for Quiet {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        // A terminal that is gone shows nothing any more.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

/// Windows' console is rpassword's alone.
#[cfg(not(unix))]
struct Quiet;

#[cfg(not(unix))]
impl Quiet {
    fn begin() -> io::Result<Quiet> {
        Ok(Quiet)
    }
}
