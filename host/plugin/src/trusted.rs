//! The one unsafe call of this crate: turning our own compiled code back into a component.
//!
//! Why it is unsafe: compiled code is machine code, and nobody can check it. Why it is done: compiling a plugin of a
//! scripted language takes up to half a minute, loading its compiled code a tenth of a second. What makes it sound:
//! the only caller, [`crate::cache`], hands in bytes whose authentication code it has just checked with a key that
//! only this register's agent can read, so they are bytes that this agent itself got from `Component::serialize`.
#![allow(unsafe_code)]

use wasmtime::Engine;
use wasmtime::component::Component;

/// `authenticated` must come from [`crate::cache::Cache::open`]'s check and from nowhere else.
pub(crate) fn component(engine: &Engine, authenticated: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: see above; code of another engine version or other settings is refused by its own header.
    unsafe { Component::deserialize(engine, authenticated) }
}
