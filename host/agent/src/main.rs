//! `tillhold`: the register agent and its commands.
//!
//! stdout is data, stderr is talk. Exit status: 0 done, 1 not done (the answer is no), 2 failed, 64 wrong usage.

use std::process::ExitCode;

fn main() -> ExitCode {
    tillhold::main()
}
