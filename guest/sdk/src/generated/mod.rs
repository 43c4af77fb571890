//! The contract of `wit/0.1.0` as Rust, written by wit-bindgen 0.63 and not by hand. Authors never name it.
//!
//! Committed rather than generated at each build: a plugin then needs no procedural macro, no build script and no
//! registry, and builds in seconds. It can only change when a version is added to `wit/`, whose folders are never
//! edited; a test of host/plugin holds the contract inside a built plugin against `wit/`. Made with
//!
//! ```text
//! wit-bindgen rust wit/0.1.0 --world WORLD --format --pub-export-macro --generate-all --runtime-path crate::runtime
//!     --export-macro-name export_WORLD --default-bindings-module '$crate::generated::WORLD' -d PartialEq
//!     (resolver only) --with tillhold:plugin/types@0.1.0=crate::generated::transformer::tillhold::plugin::types
//!                     --with tillhold:plugin/log@0.1.0=crate::generated::transformer::tillhold::plugin::log
//! ```
#![allow(unsafe_code, clippy::all, clippy::unwrap_used)]

#[rustfmt::skip]
pub mod resolver;
#[rustfmt::skip]
pub mod transformer;
