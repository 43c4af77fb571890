//! `tillhold fleet`: every register of the store, as the channel knows them: who holds unsent sales before a period is
//! closed. It needs no offline database, so any computer with the settings of one register can ask.

use super::{Administrator, Done, Settings};
use crate::settings::register_file::RegisterFile;
use clap::Args;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use tillhold_channel::fleet::{FleetRegister, Said, fleet as registers_of};
use tillhold_channel::known::known;
use tillhold_channel::{ChannelError, Link};
use tillhold_env::{Env, out, outln};

#[derive(Args)]
pub struct FleetArgs {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    administrator: Administrator,
    /// Another store than the register's own
    #[arg(long, value_name = "NUMBER")]
    store: Option<String>,
    /// A register that is silent for longer counts as not heard
    #[arg(long, value_name = "MINUTES", default_value_t = 15)]
    silent_min: u64,
    /// As JSON on stdout
    #[arg(long)]
    json: bool,
}

pub async fn fleet(env: &Env, args: FleetArgs) -> anyhow::Result<Done> {
    let file = RegisterFile::read(&args.settings.config)?;
    let mut config = file.channel_config()?;
    args.administrator.log_in(&mut config)?;
    let store = args.store.unwrap_or(file.store);
    let mut link = Link::new(env, Arc::new(config));
    let registers = registers_of(&mut link, &store).await?;
    if registers.is_empty() {
        refuse_unknown(&mut link, &store).await?;
    }
    let limit_s = args.silent_min.saturating_mul(60);
    if args.json {
        let list: Vec<Json> = registers.iter().map(|one| as_json(one, limit_s)).collect();
        let whole = json!({ "store": store, "registers": list });
        outln!("{}", serde_json::to_string_pretty(&whole)?);
    } else {
        out!("{}", table(&store, &registers, limit_s));
    }
    // Of a store without registers nobody can say that nothing is unsent: it may be another one that was meant.
    let all_well = !registers.is_empty()
        && registers.iter().all(|one| verdict(one, limit_s) == Verdict::Clear);
    Ok(if all_well { Done::Yes } else { Done::No })
}

/// A store without registers is another thing than none of that number, where the account may see the difference.
async fn refuse_unknown(link: &mut Link, store: &str) -> Result<(), ChannelError> {
    let Some(known) = known(link, store).await? else { return Ok(()) };
    match known.stores.iter().any(|one| one.eq_ignore_ascii_case(store)) {
        true => Ok(()),
        false => Err(ChannelError::UnknownStore { store: store.to_string() }),
    }
}

/// Whether a period can be closed as far as this register goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Clear,
    /// It holds sales that the channel does not have.
    Unsent,
    /// What it said last may not hold any more.
    Silent,
    NeverHeard,
}

fn verdict(register: &FleetRegister, limit_s: u64) -> Verdict {
    match &register.said {
        None => Verdict::NeverHeard,
        Some(said) if said.unsent.transactions > 0 => Verdict::Unsent,
        Some(said) if said.silent_s > limit_s => Verdict::Silent,
        Some(_) => Verdict::Clear,
    }
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Verdict::Clear => "clear",
            Verdict::Unsent => "unsent",
            Verdict::Silent => "silent",
            Verdict::NeverHeard => "never-heard",
        }
    }
}

fn as_json(register: &FleetRegister, limit_s: u64) -> Json {
    let said = register.said.as_ref().map(|said| {
        let amount = |(currency, amount): &(String, String)| {
            json!({ "currency": currency, "amount": amount })
        };
        json!({
            "silent_s": said.silent_s,
            "at_least": said.silent_s > limit_s,
            "state": said.state,
            "state_age_s": said.state_age_s,
            "unsent": {
                "transactions": said.unsent.transactions,
                "rows": said.unsent.rows,
                "oldest_age_s": said.unsent.oldest_age_s,
                "amounts": said.unsent.amounts.iter().map(amount).collect::<Vec<_>>(),
            },
            "quarantined": said.quarantined,
            "conflicts": said.conflicts,
            "rows_aside": said.rows_aside,
            "synchronised_age_s": said.synchronised_age_s,
            "fault": said.fault.as_ref().map(|(code, message)| {
                json!({ "code": code, "message": message })
            }),
            "version": said.program,
            "profile": said.profile,
        })
    });
    json!({
        "register": register.terminal,
        "name": register.name,
        "is_offline": register.is_offline,
        "verdict": verdict(register, limit_s).name(),
        "said": said,
    })
}

fn table(store: &str, registers: &[FleetRegister], limit_s: u64) -> String {
    if registers.is_empty() {
        return format!("store {store}: no register of it is known, and none has reported\n");
    }
    let mut lines = vec![
        format!("store {store}: {} registers", registers.len()),
        String::new(),
        format!(
            "{:<10} {:<20} {:<9} {:>8} {:>17} {:>18} {:>8} {:>8} {:<8} {:<10} STANDING",
            "REGISTER",
            "NAME",
            "STATE",
            "HEARD",
            "UNSENT",
            "AMOUNT",
            "OLDEST",
            "SYNCED",
            "VERSION",
            "PROFILE"
        ),
    ];
    lines.extend(registers.iter().map(|register| line(register, limit_s)));
    lines.join("\n") + "\n"
}

fn line(register: &FleetRegister, limit_s: u64) -> String {
    let name = register.name.as_deref().unwrap_or("-");
    let Some(said) = &register.said else {
        let waits = "never reported: nobody knows what it holds";
        return format!(
            "{:<10} {name:<20.20} {:<9} {:>8} {waits}",
            register.terminal, "-", "never"
        );
    };
    let at_least = if said.silent_s > limit_s { "at least " } else { "" };
    let age = |age: Option<u64>| age.map_or("-".to_string(), short);
    let silent = said.silent_s;
    let amounts = said.unsent.amounts.iter().map(|(currency, sum)| format!("{sum} {currency}"));
    let amounts = amounts.collect::<Vec<_>>().join(", ");
    let amounts = if amounts.is_empty() { "-".to_string() } else { amounts };
    format!(
        "{:<10} {name:<20.20} {:<9} {:>8} {:>17} {amounts:>18} {:>8} {:>8} {:<8} {:<10.10} {}",
        register.terminal,
        said.state,
        short(silent),
        format!("{at_least}{}", said.unsent.transactions),
        age(said.unsent.oldest_age_s.map(|age| age + silent)),
        age(said.synchronised_age_s),
        said.program,
        said.profile,
        standing(said, limit_s),
    )
}

fn standing(said: &Said, limit_s: u64) -> String {
    let mut words = Vec::new();
    if said.silent_s > limit_s {
        words.push(format!("silent for {}: the rest is what it said last", short(said.silent_s)));
    }
    if said.quarantined > 0 {
        words.push(format!("{} quarantined", said.quarantined));
    }
    if said.conflicts > 0 {
        words.push(format!("{} conflicts", said.conflicts));
    }
    if let Some((code, message)) = &said.fault {
        words.push(format!("[{code}] {message}"));
    }
    if words.is_empty() { "well".to_string() } else { words.join("; ") }
}

/// `45s`, `12m`, `3h`, `2d`: the largest unit that fits.
pub fn short(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, short, table, verdict};
    use tillhold_channel::fleet::{FleetRegister, Said};
    use tillhold_channel::report::Unsent;

    fn register(silent_s: u64, transactions: u64) -> FleetRegister {
        let amounts = vec![("USD".to_string(), "12.50".to_string())];
        let unsent = Unsent { transactions, rows: 9, oldest_age_s: Some(60), amounts };
        let said = Said { silent_s, state: "online".to_string(), unsent, ..Said::default() };
        FleetRegister { terminal: "T1".to_string(), said: Some(said), ..FleetRegister::default() }
    }

    #[test]
    fn a_period_closes_only_over_registers_that_were_heard_and_hold_nothing() {
        let never = FleetRegister { terminal: "T2".to_string(), ..FleetRegister::default() };
        for (one, expected) in [
            (register(10, 0), Verdict::Clear),
            (register(10, 1), Verdict::Unsent),
            (register(1_000, 0), Verdict::Silent),
            (register(1_000, 1), Verdict::Unsent),
            (never, Verdict::NeverHeard),
        ] {
            assert_eq!(verdict(&one, 900), expected, "{one:?}");
        }
        let text = table("S1", &[register(1_000, 3), register(10, 3)], 900);
        let at_least = text.lines().filter(|line| line.contains("at least 3")).count();
        assert_eq!(at_least, 1, "{text}");
        assert!(text.contains("12.50 USD"), "{text}");
    }

    /// It was "online … well", and only the JSON told which register the exit status was about.
    #[test]
    fn the_page_says_which_register_is_silent() {
        let text = table("S1", &[register(10, 0), register(1_000, 0)], 900);
        let standing: Vec<&str> =
            text.lines().skip(3).filter_map(|line| line.rsplit("  ").next()).collect();
        let (heard, silent) = (standing[0], standing[1]);
        assert!(heard.ends_with("well") && !heard.contains("silent"), "{text}");
        assert!(silent.ends_with("silent for 16m: the rest is what it said last"), "{text}");
        let none = table("S9", &[], 900);
        assert_eq!(none, "store S9: no register of it is known, and none has reported\n");
    }

    #[test]
    fn ages_are_told_in_their_largest_unit() {
        for (seconds, expected) in
            [(0, "0s"), (119, "119s"), (120, "2m"), (7_200, "2h"), (200_000, "2d")]
        {
            assert_eq!(short(seconds), expected);
        }
    }
}
