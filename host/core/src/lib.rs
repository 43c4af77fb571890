//! The rules of Tillhold: pure, `std` only.
//!
//! Nothing here reads a clock, does I/O or spawns; `now` and every seed are arguments. That is what lets the
//! simulation and the tests run the very rules that ship.
//!
//! * [`value`], [`moment`], [`types`], [`text`]: what a cell is, and its one canonical text. [`fit`]: a value brought into its
//!   column's type, or why it cannot be. [`default`]: what a column that is not named gets.
//! * [`table`], [`row`], [`version`]: what a row is, which table it is of, and how far a flow has come.
//! * [`transaction`]: what a point of sale writes, whole or not at all. [`filter`]: what it asks.
//! * [`comparison`]: two tables held against each other, row by row. [`fault`]: which kind of failure it is, and so what is done.
//! * [`stage`]: the count that every stage of pull and push must balance.
//! * [`alteration`]: what became of a table at the channel. [`profile`]: which scopes are synchronised, in which order, under which rules.
//! * [`migration`]: what becomes of the tables that a register holds when profile or channel changed.
//! * [`condition`]: a profile's row filter, from its text to columns and typed values.
//! * [`failover`], [`conflict`], [`retry`], [`claim`], [`pace`], [`window`]: decisions, as functions of their
//!   arguments.
//! * [`numbering`]: the numbers of a register's sales, each used once.
//! * [`freshness`]: how old the data are that a register sells from, and what is done about it.
//! * [`size`]: how full the offline database is, and when it will be.
//! * [`picture`]: which names of pictures are safe, and which pictures go when there is no more room.
//! * [`schedule`], [`chunk`], [`snapshot`]: when a snapshot is made, in which pieces it travels, whether it is worth taking.
//! * [`selection`]: which products and customers a register has offline.
//! * [`grant`]: which columns a plugin may see and change, held against what it asks for.
//! * [`draw`]: numbers from a seed, for invented rows, simulated stores and faults.
//! * [`spelling`]: how far apart two names are, for "did you mean".
//! * [`limits`]: every bound in one place, each with its reason.

pub mod alteration;
pub mod chunk;
pub mod claim;
pub mod comparison;
pub mod condition;
pub mod conflict;
pub mod default;
pub mod draw;
pub mod failover;
pub mod fault;
pub mod filter;
pub mod fit;
pub mod freshness;
pub mod grant;
pub mod limits;
pub mod migration;
pub mod moment;
pub mod numbering;
pub mod pace;
pub mod picture;
pub mod profile;
pub mod retry;
pub mod row;
pub mod schedule;
pub mod selection;
pub mod size;
pub mod snapshot;
pub mod spelling;
pub mod stage;
pub mod table;
pub mod text;
pub mod transaction;
pub mod types;
pub mod value;
pub mod version;
pub mod window;
