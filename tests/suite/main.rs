//! The end-to-end tests: one test binary of the package `tillhold`, so that cargo hands it the real program.
//!
//! * Real parts only: the embedded channel in this process, the agent as a process of its own, TDS and HTTP between.
//! * Data come through one door: `harness::Stage`.

mod authoring;
mod capture;
mod carried;
#[cfg(target_os = "linux")]
mod clocks;
mod connections;
mod cookbook;
mod customers;
mod cuts;
mod decided;
mod dice;
mod door;
mod failover;
mod filters;
#[cfg(unix)]
mod first_plugin;
mod fleet;
mod flows;
mod freshness;
mod granted;
mod hangups;
mod harness;
mod images;
mod judge;
mod killed;
mod lanes;
mod lineage;
mod lost;
mod map;
mod migrating;
mod mornings;
mod numbers;
#[cfg(unix)]
mod ordeal;
mod orders;
mod places;
mod plugins;
mod policies;
mod previews;
mod profile;
mod quarantine;
mod quarantined_rows;
mod quiet;
mod reads;
mod renewal;
mod reports;
mod reprovision;
mod schema_file;
mod selection;
mod service;
mod setup;
mod signed;
mod size;
mod snapshots;
mod store;
mod tidy;
mod till;
mod tracking_rules;
mod upload;
mod verify;
mod way;
mod wrong_input;
