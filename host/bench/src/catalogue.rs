//! What is measured: which program with which arguments, which of its figures are told, and the bar of each.
//!
//! * Full sizes are what the bars are meant for; quick ones try the measurement itself.
//! * `target` is the number in the list of speeds that were set for the whole product (B1 to B10, docs/speed.md).

use crate::figure::Bar::{self, AtLeast, AtMost, None as Told, TimesAtMost};

pub struct Run {
    /// Stands in front of the names of its figures.
    pub name: &'static str,
    pub group: &'static str,
    pub program: Program,
    pub full: &'static [&'static str],
    pub quick: &'static [&'static str],
    pub lines: &'static [Line],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Of the agent's package.
    Bench(&'static str),
    Example {
        package: &'static str,
        name: &'static str,
    },
}

impl Program {
    pub fn name(self) -> &'static str {
        match self {
            Program::Bench(name) | Program::Example { name, .. } => name,
        }
    }
}

#[derive(Debug)]
pub struct Line {
    pub figure: &'static str,
    pub what: &'static str,
    pub bar: Bar,
    pub target: &'static str,
}

const fn line(figure: &'static str, what: &'static str, bar: Bar) -> Line {
    Line { figure, what, bar, target: "" }
}

const fn of(target: &'static str, figure: &'static str, what: &'static str, bar: Bar) -> Line {
    Line { figure, what, bar, target }
}

const FIRST_LOAD: &str = "First load";
const CHANGES: &str = "What changed";
const SALES: &str = "Sales";
const UP: &str = "Sales on their way up";
const TROUBLE: &str = "Trouble";
const PLUGINS: &str = "Plugins";
const REST: &str = "At rest";

static RUNS: [Run; 20] = [
    Run {
        name: "load-100000",
        group: FIRST_LOAD,
        program: Program::Bench("channel_snapshot"),
        full: &["--rows", "100000"],
        quick: &["--rows", "20000"],
        lines: &[
            line("rate", "100,000 rows of 12 columns", Told),
            line("peak", "100,000 rows, its memory at most", Told),
        ],
    },
    Run {
        name: "load-1000000",
        group: FIRST_LOAD,
        program: Program::Bench("channel_snapshot"),
        full: &["--rows", "1000000"],
        quick: &["--rows", "100000"],
        lines: &[
            line("rate", "1,000,000 rows of 12 columns", Told),
            line("peak", "1,000,000 rows, its memory at most", Told),
        ],
    },
    Run {
        name: "large-load",
        group: FIRST_LOAD,
        program: Program::Bench("large_load"),
        full: &["--share", "1"],
        quick: &["--share", "0.02"],
        lines: &[
            of("B1", "rate", "dataset L, 4,050,000 rows", AtLeast(35_000.0)),
            of("B1", "seconds", "dataset L, all of it", AtMost(120.0)),
            of("B1", "peak", "dataset L, its memory at most", AtMost(300.0)),
            of("B8", "size", "dataset L, its file", AtMost(2_000.0)),
        ],
    },
    Run {
        name: "large-rule",
        group: FIRST_LOAD,
        program: Program::Bench("plugin_load"),
        full: &["--rows", "4050000", "--rounds", "1"],
        quick: &["--rows", "40000", "--rounds", "1"],
        lines: &[of("B1", "with", "as many rows, a plugin changing each", AtMost(240.0))],
    },
    Run {
        name: "changes",
        group: CHANGES,
        program: Program::Bench("channel_changes"),
        full: &[],
        quick: &["--rows", "10000"],
        lines: &[
            line("rows-10000.changed-100", "100 rows of 10,000", Told),
            line("rows-10000.changed-1000", "10 % of 10,000", Told),
            line("rows-100000.changed-100", "100 rows of 100,000", Told),
            line("rows-100000.changed-1000", "1 % of 100,000", Told),
            line("rows-100000.changed-10000", "10 % of 100,000", Told),
            line("rows-1000000.changed-100", "100 rows of 1,000,000", Told),
            line("rows-1000000.changed-10000", "1 % of 1,000,000", Told),
            line("rows-1000000.changed-100000", "10 % of 1,000,000", Told),
            line("growth", "100 rows of 1,000,000 against of 10,000", AtMost(3.0)),
        ],
    },
    Run {
        name: "delta",
        group: CHANGES,
        program: Program::Bench("delta"),
        full: &["--prices", "2000000"],
        quick: &["--prices", "40000", "--times", "8", "--batches", "2"],
        lines: &[
            line("one.p50", "one price at the front door, pulled each second, p50", Told),
            line("one.p95", "one price, p95", Told),
            of("B2", "many.p95", "10,000 prices of 2,000,000, p95", AtMost(3.0)),
            of("B2", "all", "all 2,000,000 prices", AtMost(120.0)),
            of("B1", "meanwhile", "the longest sale while all prices change", AtMost(100.0)),
        ],
    },
    Run {
        name: "sale",
        group: SALES,
        program: Program::Bench("sale"),
        full: &["--sales", "600"],
        quick: &["--sales", "60"],
        lines: &[
            line("library.p50", "a sale of 23 rows in the library, p50", TimesAtMost(1.3)),
            line("library.p99", "a sale of 23 rows in the library, p99", TimesAtMost(1.3)),
            line("door.p50", "a sale of 23 rows at the front door, p50", TimesAtMost(1.3)),
            line("door.p99", "a sale of 23 rows at the front door, p99", TimesAtMost(1.3)),
        ],
    },
    Run {
        name: "commit",
        group: SALES,
        program: Program::Bench("commit"),
        full: &["--sales", "500"],
        quick: &["--sales", "40"],
        lines: &[
            of(
                "B3",
                "channel-first.online.p50",
                "a sale of 9 lines, channel-first, p50",
                AtMost(5.0),
            ),
            of(
                "B3",
                "channel-first.online.p99",
                "a sale of 9 lines, channel-first, p99",
                AtMost(5.0),
            ),
            of("B3", "local-first.online.p50", "a sale of 9 lines, local-first, p50", AtMost(5.0)),
            of("B3", "local-first.online.p99", "a sale of 9 lines, local-first, p99", AtMost(5.0)),
            of("B3", "channel-first.offline.p50", "a sale of 9 lines, offline, p50", AtMost(5.0)),
            of("B3", "channel-first.offline.p99", "a sale of 9 lines, offline, p99", AtMost(5.0)),
            of(
                "B3",
                "channel-first.contended.p50",
                "four cashiers and a pull, channel-first, p50",
                AtMost(5.0),
            ),
            of(
                "B3",
                "channel-first.contended.p99",
                "four cashiers and a pull, channel-first, p99",
                AtMost(50.0),
            ),
            of(
                "B3",
                "local-first.contended.p50",
                "four cashiers and a pull, local-first, p50",
                AtMost(5.0),
            ),
            of(
                "B3",
                "local-first.contended.p99",
                "four cashiers and a pull, local-first, p99",
                AtMost(50.0),
            ),
        ],
    },
    Run {
        name: "price",
        group: SALES,
        program: Program::Bench("price"),
        full: &["--barcodes", "1000000"],
        quick: &["--barcodes", "20000", "--seconds", "1", "--rounds", "1"],
        lines: &[
            line("rate", "lookups at 1,000,000 barcodes", AtLeast(20_000.0)),
            line("p99", "a lookup, 16 tills asking without a pause, p99", AtMost(3.0)),
            of("B4", "p99", "the same, for B4", AtMost(5.0)),
            line("cpu", "processor time of a lookup", Told),
        ],
    },
    Run {
        name: "upload",
        group: UP,
        program: Program::Bench("channel_upload"),
        full: &["--sales", "2000"],
        quick: &["--sales", "100"],
        lines: &[
            line("rate", "2,000 sales of 23 rows", Told),
            line("round_trips", "their round trips", AtMost(200.0)),
        ],
    },
    Run {
        name: "backlog",
        group: UP,
        program: Program::Bench("backlog"),
        full: &["--sales", "2000"],
        quick: &["--sales", "100"],
        lines: &[
            line("sent", "2,000 sales made offline, until all are in the channel", AtMost(60.0)),
            line("status", "a status while 2,000 sales of 22 rows wait", Told),
        ],
    },
    Run {
        name: "fleet",
        group: UP,
        program: Program::Bench("fleet"),
        full: &[],
        quick: &[
            "--registers",
            "4",
            "--share",
            "0.002",
            "--burst",
            "16",
            "--settle",
            "4",
            "--sales",
            "20",
        ],
        lines: &[
            of(
                "B10",
                "first",
                "40 registers, 202,500 rows each: one load, 39 copies",
                AtMost(600.0),
            ),
            of("B10", "channel_cpu", "the channel's processor time for all of them", Told),
            of(
                "B7",
                "burst.rate",
                "40 registers, a sale a second each, ten minutes",
                AtLeast(39.0),
            ),
            of(
                "B7",
                "burst.growth",
                "unsent sales more at its end than after a minute",
                AtMost(40.0),
            ),
            of("B7", "burst.p99", "its sales, p99", Told),
            of("B6", "drained", "20,800 sales of 40 registers up after an outage", AtMost(120.0)),
            of("B6", "lost", "lost or doubled sales", AtMost(0.0)),
            of("B6", "meanwhile", "the longest sale while they go up", Told),
        ],
    },
    Run {
        name: "cuts",
        group: TROUBLE,
        program: Program::Bench("cuts"),
        full: &["--cuts", "100"],
        quick: &["--cuts", "5", "--cashiers", "4"],
        lines: &[
            line(
                "channel-first.failed",
                "100 cuts, 20 cashiers: failed sales, channel-first",
                AtMost(0.0),
            ),
            line("channel-first.lost", "lost, channel-first", AtMost(0.0)),
            line("channel-first.doubled", "doubled, channel-first", AtMost(0.0)),
            line(
                "channel-first.longest",
                "the longest pause, channel-first (offline timeout 1 s)",
                AtMost(1_250.0),
            ),
            of(
                "B5",
                "channel-first.refused",
                "the longest pause where the channel refuses",
                AtMost(500.0),
            ),
            of("B5", "channel-first.reset", "the longest pause where it resets", AtMost(500.0)),
            of(
                "B5",
                "channel-first.half-open",
                "the longest pause where it says nothing",
                AtMost(3_000.0),
            ),
            line("local-first.failed", "failed sales, local-first", AtMost(0.0)),
            line("local-first.lost", "lost, local-first", AtMost(0.0)),
            line("local-first.doubled", "doubled, local-first", AtMost(0.0)),
            line("local-first.longest", "the longest pause, local-first", AtMost(50.0)),
        ],
    },
    Run {
        name: "recovery",
        group: TROUBLE,
        program: Program::Bench("recovery"),
        full: &["--share", "1"],
        quick: &["--share", "0.01", "--kills", "2", "--sales", "200"],
        lines: &[
            of(
                "B9",
                "killed.sale",
                "kill -9 among sales until the first sale, dataset L",
                AtMost(2.0),
            ),
            of("B9", "killed.ready", "kill -9 until it says that it is ready", Told),
            of(
                "B8",
                "month.sale",
                "15,600 unsent sales, no channel: start until the first sale",
                AtMost(2.0),
            ),
            of("B8", "month.missing", "of them not kept", AtMost(0.0)),
            line("lost", "lost or doubled of all these", AtMost(0.0)),
        ],
    },
    Run {
        name: "rule",
        group: PLUGINS,
        program: Program::Example { package: "tillhold-plugin", name: "transform_cost" },
        full: &[],
        quick: &[],
        lines: &[
            line("batch-1000.row", "a rule on a row of 12 columns", TimesAtMost(3.0)),
            line("call", "a call of a rule without the work on its rows", AtMost(5.0)),
        ],
    },
    Run {
        name: "rule-load",
        group: PLUGINS,
        program: Program::Bench("plugin_load"),
        full: &["--rows", "1000000", "--rounds", "3"],
        quick: &["--rows", "20000", "--rounds", "1"],
        lines: &[line("with", "1,000,000 rows, a plugin changing each", TimesAtMost(1.25))],
    },
    Run {
        name: "idle",
        group: REST,
        program: Program::Bench("idle_agent"),
        full: &["--seconds", "60"],
        quick: &["--seconds", "5"],
        lines: &[
            line("resident", "an agent with five plugins: memory", AtMost(60.0)),
            line("cpu", "an idle agent's processor time", AtMost(1.0)),
        ],
    },
    idle_channel(
        "idle-channel-1",
        &["--registers", "1"],
        &[
            line("registers-1.round_trips", "round trips of a register, one scope each 15 s", Told),
            line(
                "registers-1.channel_cpu",
                "the channel's processor time for it, of 1 register",
                Told,
            ),
        ],
    ),
    idle_channel(
        "idle-channel-10",
        &["--registers", "10"],
        &[line("registers-10.channel_cpu", "the channel's processor time for each of 10", Told)],
    ),
    idle_channel(
        "idle-channel-30",
        &["--registers", "30"],
        &[
            line("registers-30.round_trips", "round trips of each of 30", Told),
            line("registers-30.channel_cpu", "the channel's processor time for each of 30", Told),
        ],
    ),
];

const fn idle_channel(
    name: &'static str,
    full: &'static [&'static str],
    lines: &'static [Line],
) -> Run {
    let quick = &["--registers", "1", "--seconds", "5"];
    Run { name, group: REST, program: Program::Bench("channel_idle"), full, quick, lines }
}

pub fn all() -> Vec<&'static Run> {
    RUNS.iter().collect()
}

/// Those of these names; all without any. A name that is none is an error with what there is.
pub fn chosen(names: &[String]) -> Result<Vec<&'static Run>, String> {
    let known = |name: &String| RUNS.iter().any(|run| run.name == name);
    if let Some(name) = names.iter().find(|name| !known(name)) {
        let all: Vec<&str> = RUNS.iter().map(|run| run.name).collect();
        return Err(format!("no measurement is called {name}; there are {}", all.join(", ")));
    }
    Ok(RUNS.iter().filter(|run| names.is_empty() || names.iter().any(|n| n == run.name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_used_once_and_every_target_is_held() {
        let names: BTreeSet<&str> = RUNS.iter().map(|run| run.name).collect();
        assert_eq!(names.len(), RUNS.len());
        let lines = RUNS.iter().flat_map(|run| run.lines);
        let held: BTreeSet<&str> =
            lines.filter(|line| line.bar != Told).map(|line| line.target).collect();
        for target in 1..=10 {
            assert!(held.contains(format!("B{target}").as_str()), "B{target}");
        }
    }

    #[test]
    fn what_a_run_is_called_is_asked_for() {
        let names = |asked: &[&str]| {
            let asked: Vec<String> = asked.iter().map(|name| name.to_string()).collect();
            chosen(&asked).map(|runs| runs.iter().map(|run| run.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["price", "sale"]), Ok(vec!["sale", "price"]));
        assert_eq!(names(&[]).map(|all| all.len()), Ok(RUNS.len()));
        assert!(
            names(&["sales"])
                .is_err_and(|said| said.contains("called sales; there are load-100000,"))
        );
    }
}
