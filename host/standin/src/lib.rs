//! The embedded channel: a TDS 7.4 server over SQLite.

pub mod answer;
