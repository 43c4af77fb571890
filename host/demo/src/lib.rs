//! The demonstration store.
