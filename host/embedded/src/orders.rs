//! Faults ordered in words, one order a line: how someone outside the program makes a channel fail on cue.
//!
//! ```text
//! "slow 200" -> Order -> Stand (gate, engine) -> "ok slow 200" | "error ..."
//! ```
//!
//! * Each order is answered by one line, once it is in force.
//! * A line that is no order changes nothing.

use crate::fault::ServerError;
use crate::gate::Gate;
use crate::ordered;
use crate::trouble::Fault;
use crate::{Engine, EngineError};
use std::sync::Arc;
use std::time::Duration;
use tillhold_core::limits::{TDS_DELAY_MAX, TDS_ORDER_BYTES_MAX};
use tillhold_env::Env;

/// Every order with its meaning, as `help` tells it.
pub const ORDERS: [(&str, &str); 19] = [
    ("cut", "drop all connections, refuse new ones"),
    ("restore", "listen again"),
    ("restart", "cut and restore: sessions, transactions and temporary tables are gone"),
    ("stall", "take bytes, answer nothing"),
    ("half-open", "neither read, write, close nor accept; sessions keep their locks"),
    ("slow MS", "begin every answer so many milliseconds later"),
    ("trickle BYTES", "send so many bytes a second"),
    ("refuse-logins NUMBER", "end all sessions, refuse every login with this error"),
    ("refuse-new-logins NUMBER", "refuse every login with this error, let the sessions live"),
    ("refuse-requests NUMBER", "answer every request with this error"),
    ("lock TEXT", "let requests with this text in them wait, as behind another session's lock"),
    ("read-only", "the database takes only reads; heal lets it take writes again"),
    (
        "drop-after-commit N",
        "carry the Nth commit from now out, drop its connection before the answer",
    ),
    ("half-row N", "break the next long enough result off in the middle of the row after N"),
    (
        "deadlock [TEXT]",
        "the next statement with this text, or the next COMMIT, is the victim (1205)",
    ),
    ("fail NUMBER [TEXT]", "the next statement with this text, or any, ends with this error"),
    ("cleanup [VERSION]", "forget tracked changes up to this version, or all"),
    ("heal", "take all faults back that have not struck; what was half-open is dropped"),
    ("help", "say all this"),
];

/// An order that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    Cut,
    Restore,
    Restart,
    Inject(Fault),
    ReadOnly,
    Heal,
    /// The next statement with this text fails so.
    Fail {
        number: u32,
        text: String,
    },
    /// Up to and with this version; `None` is all.
    Cleanup(Option<u64>),
    Help,
}

impl Order {
    pub fn read(line: &str) -> Result<Order, ServerError> {
        let refuse = |why| ServerError::Order { line: shortened(line), why };
        if line.len() > TDS_ORDER_BYTES_MAX {
            return Err(refuse("it is too long"));
        }
        let line = line.trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let number = || rest.parse::<u64>().map_err(|_| refuse("a number must follow"));
        let order = match word {
            "slow" => slow(number()?).ok_or_else(|| refuse("the delay is too long"))?,
            "trickle" => {
                let rate = u32::try_from(number()?).ok().filter(|rate| *rate > 0);
                let bytes_per_second = rate.ok_or_else(|| refuse("no such rate"))?;
                Order::Inject(Fault::Trickle { bytes_per_second })
            }
            "refuse-logins" | "refuse-new-logins" | "refuse-requests" => {
                let number = u32::try_from(number()?).ok().filter(|number| *number > 0);
                let number = number.ok_or_else(|| refuse("no such error"))?;
                Order::Inject(match word {
                    "refuse-requests" => Fault::RefuseRequests { number },
                    _ => Fault::RefuseLogins { number, keeps_sessions: word != "refuse-logins" },
                })
            }
            "drop-after-commit" => Order::Inject(Fault::DropAfterCommit { commits: number()? }),
            "half-row" => Order::Inject(Fault::HalfRow { rows: number()? }),
            "lock" if !rest.is_empty() => Order::Inject(Fault::Lock { text: rest.to_string() }),
            "lock" => return Err(refuse("a text must follow")),
            "deadlock" if rest.is_empty() => deadlock("COMMIT"),
            "deadlock" => deadlock(rest),
            "fail" => failure(rest).ok_or_else(|| refuse("an error's number must follow"))?,
            "cleanup" if rest.is_empty() => Order::Cleanup(None),
            "cleanup" => Order::Cleanup(Some(number()?)),
            _ if !rest.is_empty() => return Err(refuse("say help")),
            "cut" => Order::Cut,
            "restore" => Order::Restore,
            "restart" => Order::Restart,
            "stall" => Order::Inject(Fault::Stall),
            "half-open" => Order::Inject(Fault::HalfOpen),
            "read-only" => Order::ReadOnly,
            "heal" => Order::Heal,
            "help" => Order::Help,
            _ => return Err(refuse("say help")),
        };
        Ok(order)
    }
}

fn slow(ms: u64) -> Option<Order> {
    let delay = Duration::from_millis(ms);
    (delay <= TDS_DELAY_MAX).then_some(Order::Inject(Fault::Slow { delay }))
}

fn deadlock(text: &str) -> Order {
    Order::Fail { number: 1205, text: text.to_string() }
}

fn failure(rest: &str) -> Option<Order> {
    let (number, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let number = number.parse().ok().filter(|number| *number > 0)?;
    Some(Order::Fail { number, text: text.trim().to_string() })
}

/// What is repeated of a line in an answer of one line.
fn shortened(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).take(60).collect()
}

/// What orders are carried out on: one gate, and the engine behind it.
pub struct Stand {
    pub env: Env,
    pub gate: Gate,
    pub engine: Arc<Engine>,
}

impl Stand {
    /// Carries a line out; answers one line, or `help`'s.
    pub async fn obey(&self, line: &str) -> String {
        let order = match Order::read(line) {
            Ok(Order::Help) => return help(),
            Ok(order) => order,
            Err(error) => return format!("error {error}"),
        };
        match self.carry_out(order).await {
            Ok(()) => format!("ok {}", line.trim()),
            Err(error) => format!("error {error}"),
        }
    }

    pub async fn carry_out(&self, order: Order) -> Result<(), ServerError> {
        match order {
            Order::Cut => self.gate.cut().await?,
            Order::Restore => self.gate.restore().await?,
            Order::Restart => self.gate.restart().await?,
            Order::Inject(fault) => self.gate.inject(fault),
            Order::ReadOnly => self.set_read_only(true).await?,
            Order::Heal => {
                self.gate.heal();
                self.engine.fail_no_more();
                self.set_read_only(false).await?;
            }
            Order::Fail { number, text } => self.engine.fail_next(&text, ordered::request(number)),
            Order::Cleanup(version) => self.clean_up(version).await?,
            Order::Help => {}
        }
        Ok(())
    }

    async fn set_read_only(&self, is: bool) -> Result<(), ServerError> {
        let engine = self.engine.clone();
        let set = self.env.blocking("tds read-only", move || engine.set_read_only(is)).await;
        Ok(set.ok_or(ServerError::EngineLost)??)
    }

    async fn clean_up(&self, version: Option<u64>) -> Result<(), ServerError> {
        let engine = self.engine.clone();
        let work = move || {
            let version = version.map_or_else(|| engine.change_version(), Ok)?;
            engine.forget_changes(version)
        };
        let cleaned: Option<Result<u64, EngineError>> =
            self.env.blocking("tds clean-up", work).await;
        cleaned.ok_or(ServerError::EngineLost)??;
        Ok(())
    }
}

fn help() -> String {
    let lines: Vec<String> =
        ORDERS.iter().map(|(order, meaning)| format!("help {order:<20} {meaning}")).collect();
    format!("{}\nok help", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::{ORDERS, Order};
    use crate::trouble::Fault;
    use std::time::Duration;

    /// What a line is read as, or why it is refused.
    fn check(line: &str, expected: Result<Order, &str>) {
        let read = Order::read(line).map_err(|error| error.to_string());
        match expected {
            Ok(order) => assert_eq!(read, Ok(order), "{line}"),
            Err(why) => assert!(read.as_ref().is_err_and(|said| said.ends_with(why)), "{read:?}"),
        }
    }

    #[test]
    fn orders_are_read() {
        let fail = |number, text: &str| Ok(Order::Fail { number, text: text.to_string() });
        check(" cut ", Ok(Order::Cut));
        check("slow 200", Ok(Order::Inject(Fault::Slow { delay: Duration::from_millis(200) })));
        check("trickle 10", Ok(Order::Inject(Fault::Trickle { bytes_per_second: 10 })));
        let logins = |keeps_sessions| {
            Ok(Order::Inject(Fault::RefuseLogins { number: 18_456, keeps_sessions }))
        };
        check("refuse-logins 18456", logins(false));
        check("refuse-new-logins 18456", logins(true));
        check("refuse-requests 1222", Ok(Order::Inject(Fault::RefuseRequests { number: 1_222 })));
        check("lock ax.T", Ok(Order::Inject(Fault::Lock { text: "ax.T".to_string() })));
        check("read-only", Ok(Order::ReadOnly));
        check("half-row 0", Ok(Order::Inject(Fault::HalfRow { rows: 0 })));
        check("deadlock", fail(1205, "COMMIT"));
        check("deadlock FROM ax.T", fail(1205, "FROM ax.T"));
        check("fail 2627", fail(2627, ""));
        check("fail 547 INSERT INTO", fail(547, "INSERT INTO"));
        check("cleanup", Ok(Order::Cleanup(None)));
        check("cleanup 7", Ok(Order::Cleanup(Some(7))));
    }

    #[test]
    fn what_is_no_order_is_refused() {
        check("", Err("say help"));
        check("explode", Err("say help"));
        check("cut now", Err("say help"));
        check("slow", Err("a number must follow"));
        check("slow 99999999", Err("the delay is too long"));
        check("trickle 0", Err("no such rate"));
        check("refuse-logins 0", Err("no such error"));
        check("read-only now", Err("say help"));
        check("fail twice", Err("an error's number must follow"));
        check(&"x".repeat(9_999), Err("it is too long"));
    }

    #[test]
    fn help_names_only_orders() {
        for (order, _) in ORDERS {
            let line = order.replace("BYTES", "1").replace("VERSION", "1").replace("NUMBER", "1");
            let line = line.replace("MS", "1").replace(" N", " 1").replace(['[', ']'], "");
            assert!(Order::read(&line).is_ok(), "{order}");
        }
    }
}
