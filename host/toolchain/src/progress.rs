//! What a build says while it runs, so that a person never looks at a still screen for a minute.
//!
//! The caller draws it (a bar on a terminal, lines in a log); this crate prints nothing itself.

use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Work that takes a while begins; `usual` is what it took on a slow two-core machine.
    Begin { what: String, usual: Duration },
    /// A line that the tool at work printed, such as "Compiling core v0.0.0".
    Line(String),
    /// Another program builds into the same cache folder; this one waits for it.
    Waiting { what: String },
    /// The work that began last is done.
    End { what: String },
}

/// The caller's ear. A plain function reference keeps the crate free of threads and channels.
pub type Listener<'a> = &'a mut dyn FnMut(Progress);
