//! What to do about an error. Flows ask for the class, never for the text.

/// Every error of every crate falls into one of these, by one exhaustive match in its crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Passing trouble (network, deadlock, busy): the same work again later, with back-off.
    Retry,
    /// This piece of work can never succeed as it is: set it aside with its reason and go on with the rest.
    Park,
    /// A person must change a setting, a right or a file; nothing is lost meanwhile.
    Reconfigure,
    /// A promise is broken or would be: this flow stops and says so; selling goes on.
    Stop,
}
