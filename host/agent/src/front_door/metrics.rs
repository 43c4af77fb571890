//! `/metrics`: how the register stands, in OpenMetrics text, for Prometheus.
//!
//! * Counters and the histogram of requests are kept from the agent's start on; all else is read when it is asked for.
//! * Names carry their unit; labels take few values: scopes, states, routes, statuses.

use super::problem::Problem;
use super::{Door, health};
use crate::agent::Agent;
use crate::fault::FlowError;
use crate::freshness::Standing;
use crate::register::plugins_of;
use crate::{channel_report, sync, upkeep};
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;
use tillhold_core::failover::State as Failover;
use tillhold_local::{Counts, Reserve};

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// A price lookup takes a fraction of a millisecond, a sale some, a wait for the channel seconds.
const SECONDS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

type Labels = Vec<(&'static str, String)>;
type Number = Gauge<f64, AtomicU64>;

/// What is counted from the start on.
#[derive(Clone)]
pub struct Meters {
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: &'static str,
}

impl Default for Meters {
    fn default() -> Meters {
        let histogram: fn() -> Histogram = || Histogram::new(SECONDS);
        Meters { requests: Family::default(), seconds: Family::new_with_constructor(histogram) }
    }
}

impl Meters {
    pub fn of(&self, method: &'static str, route: &'static str) -> Meter {
        let seconds = self.seconds.get_or_create(&RouteLabels { method, route }).clone();
        Meter { requests: self.requests.clone(), seconds, method, route }
    }
}

/// One route's.
#[derive(Clone)]
pub struct Meter {
    requests: Family<RequestLabels, Counter>,
    seconds: Histogram,
    method: &'static str,
    route: &'static str,
}

impl Meter {
    pub fn note(&self, status: u16, took_us: u64) {
        let (method, route) = (self.method, self.route);
        self.requests.get_or_create(&RequestLabels { method, route, status }).inc();
        self.seconds.observe(took_us as f64 / 1e6);
    }
}

pub async fn get(State(door): State<Door>) -> Result<impl IntoResponse, Problem> {
    let agent = &door.agent;
    let mut page = Page(Registry::with_prefix("tillhold"));
    page.agent(agent);
    page.data(agent);
    page.waiting(agent).await?;
    page.size(agent).await?;
    page.scopes(agent).await?;
    page.plugins(agent);
    page.number("ready", "1 when a sale that comes now is accepted", None, {
        f64::from(u8::from(health::reasons(agent).await.is_empty()))
    });
    page.requests(&door);
    let mut text = String::new();
    text::encode(&mut text, &page.0).map_err(|_| FlowError::BrokeOff("metrics"))?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text))
}

struct Page(Registry);

impl Page {
    fn number(&mut self, name: &str, help: &str, unit: Option<Unit>, value: f64) {
        let gauge = Number::default();
        gauge.set(value);
        match unit {
            Some(unit) => self.0.register_with_unit(name, help, unit, gauge),
            None => self.0.register(name, help, gauge),
        }
    }

    fn agent(&mut self, agent: &Agent) {
        let register = agent.register();
        let info: Labels = vec![
            ("version", env!("CARGO_PKG_VERSION").to_string()),
            ("store", register.file.store.clone()),
            ("register", register.file.register.clone()),
            ("profile", register.profile.name.clone()),
        ];
        self.0.register("agent", "Which program serves which register", Info::new(info));
        let standing = agent.standing();
        let states = Family::<Labels, Gauge>::default();
        for state in Failover::ALL {
            let labels = vec![("state", state.name().to_string())];
            states.get_or_create(&labels).set(i64::from(state == standing.machine.state));
        }
        self.0.register("state", "1 for the failover state that the register is in", states);
        let seconds = |ms: i64| ms as f64 / 1_000.0;
        let (since, started) = (seconds(standing.entered_at_ms), seconds(agent.started_ms));
        let unit = || Some(Unit::Seconds);
        self.number("state_entered_timestamp", "When this state was entered", unit(), since);
        let fault = f64::from(u8::from(agent.renewal.has_fault()));
        let help = "1 while the profile that is there is not the one in force";
        self.number("profile_fault", help, None, fault);
        self.number("started_timestamp", "When the agent started", unit(), started);
    }

    fn data(&mut self, agent: &Agent) {
        let now = Standing::of(agent);
        let standings = Family::<Labels, Gauge>::default();
        for standing in ["fresh", "stale", "never-synchronised"] {
            let labels = vec![("standing", standing.to_string())];
            standings.get_or_create(&labels).set(i64::from(now.freshness.name() == standing));
        }
        self.0.register("data", "1 for how the data stand that are read here", standings);
        if let Some(age) = now.oldest.and_then(|(_, age)| age.known()) {
            let help =
                "Since the oldest scope that is read here was pulled; none where nobody knows";
            self.number("data_age", help, Some(Unit::Seconds), age.as_secs_f64());
        }
    }

    async fn waiting(&mut self, agent: &Agent) -> Result<(), FlowError> {
        let register = agent.register();
        let counts: Counts = register.local.counts().await?;
        let unsent = register.local.unsent_sales(&channel_report::sale_columns()).await?;
        let now_ms = register.env.clock.wall_ms();
        let age = unsent.oldest_ms.map_or(0, |oldest| (now_ms - oldest).max(0));
        for (name, help, value) in [
            (
                "unsent_transactions",
                "POS transactions that wait for the channel",
                unsent.transactions,
            ),
            ("unsent_rows", "Rows that wait for the channel", unsent.rows),
            (
                "quarantined_transactions",
                "POS transactions that were refused and set aside",
                counts.quarantined,
            ),
            ("conflicts", "Contested POS transactions that wait for a decision", counts.deferred),
            ("rows_aside", "Pulled rows that were set aside", counts.rows_aside),
            (
                "broken_loops",
                "Loops of the agent that panicked and were begun again, since its start: defects",
                agent.broken_loops(),
            ),
            (
                "lost_transactions",
                "POS transactions that the channel took, lacks, and gets again when a person says so",
                agent.lost.waiting(),
            ),
        ] {
            self.number(name, help, None, value as f64);
        }
        let help = "Since the oldest unsent POS transaction was received; 0 without one";
        self.number("unsent_oldest_age", help, Some(Unit::Seconds), age as f64 / 1_000.0);
        Ok(())
    }

    async fn size(&mut self, agent: &Agent) -> Result<(), FlowError> {
        let register = agent.register();
        let used = upkeep::used(&register.local.file_sizes().await?);
        let limit = register.profile.conduct.size.limit_bytes;
        let bytes = || Some(Unit::Bytes);
        self.number("database_size", "What the offline database uses", bytes(), used as f64);
        self.number("database_limit", "What it may use", bytes(), limit as f64);
        let is_gone = register.local.reserve() == Reserve::Gone;
        let help = "1 while the space that is kept for a full disk is gone";
        self.number("reserve_gone", help, None, f64::from(u8::from(is_gone)));
        if let Ok(free) = register.env.disk.free_bytes(&register.file.folder) {
            self.number("disk_free", "What may still be written beside it", bytes(), free as f64);
        }
        Ok(())
    }

    /// Of each scope, and of push under its name.
    async fn scopes(&mut self, agent: &Agent) -> Result<(), FlowError> {
        let register = agent.register();
        let now_ms = agent.now_ms();
        let unsent = register.local.unsent_rows().await?;
        let ages = Family::<Labels, Number>::default();
        let stands = Family::<Labels, Gauge>::default();
        let pending = Family::<Labels, Gauge>::default();
        let rows = Family::<Labels, Counter>::default();
        let errors = Family::<Labels, Counter>::default();
        let names = register.scopes.iter().map(|run| run.scope.name.as_str());
        for name in names.chain([sync::PUSH]) {
            let labels = vec![("scope", name.to_string())];
            let report = agent.scope_report(name);
            if let Some(then) = report.synchronised_at_ms {
                ages.get_or_create(&labels).set(now_ms.saturating_sub(then) as f64 / 1_000.0);
            }
            stands.get_or_create(&labels).set(i64::from(report.fault.is_some()));
            rows.get_or_create(&labels).inc_by(report.total.rows_in);
            errors.get_or_create(&labels).inc_by(report.errors);
        }
        for run in &register.scopes {
            let of_scope = run.tables.iter().filter_map(|table| unsent.get(&table.name));
            let labels = vec![("scope", run.scope.name.clone())];
            pending.get_or_create(&labels).set(of_scope.sum::<u64>() as i64);
        }
        let page = &mut self.0;
        let help = "Since the scope was last synchronised; none before the first time";
        page.register_with_unit("scope_age", help, Unit::Seconds, ages);
        page.register("scope_standing_still", "1 when the scope stands still with a fault", stands);
        page.register("scope_unsent_rows", "Rows of the scope that wait for the channel", pending);
        page.register("scope_rows", "Rows that came since the agent started", rows);
        page.register("scope_errors", "Synchronisations that failed since then", errors);
        Ok(())
    }

    /// By name, over all components that had it since the agent started.
    fn plugins(&mut self, agent: &Agent) {
        let register = agent.register();
        let at_work = Family::<Labels, Gauge>::default();
        for plugin in plugins_of(&register.scopes) {
            let digest = plugin.digest().to_string();
            let labels = vec![("plugin", plugin.name().to_string()), ("digest", digest)];
            at_work.get_or_create(&labels).set(1);
        }
        let calls = Family::<Labels, Counter>::default();
        let rows = Family::<Labels, Counter>::default();
        let failures = Family::<Labels, Counter>::default();
        for (name, sums) in register.plugins.book.sums() {
            let of =
                |label, value: &str| vec![("plugin", name.clone()), (label, value.to_string())];
            calls.get_or_create(&vec![("plugin", name.clone())]).inc_by(sums.work.calls);
            let counts = sums.work.rows;
            for (outcome, count) in [
                ("kept", counts.kept),
                ("dropped", counts.dropped),
                ("refused", counts.refused),
                ("passed", counts.passed),
                ("aside", counts.aside),
                ("halted", counts.halted),
            ] {
                rows.get_or_create(&of("outcome", outcome)).inc_by(count);
            }
            for (code, count) in &sums.failures {
                failures.get_or_create(&of("code", code)).inc_by(*count);
            }
        }
        let refused = Family::<Labels, Counter>::default();
        for (name, code, count) in register.plugins.book.refusals() {
            let labels = vec![("plugin", name), ("code", code.to_string())];
            refused.get_or_create(&labels).inc_by(count);
        }
        let page = &mut self.0;
        page.register("plugin_refused", "Components that were not put to work", refused);
        page.register("plugin_at_work", "1 for each component that a scope uses", at_work);
        page.register("plugin_calls", "Calls since the agent started", calls);
        page.register("plugin_rows", "Rows by what became of them", rows);
        page.register("plugin_failures", "Failures by code", failures);
    }

    fn requests(&mut self, door: &Door) {
        let meters = door.meters.clone();
        self.0.register("door_requests", "Requests at the front door", meters.requests);
        let help = "From a request's head to its answer's";
        self.0.register_with_unit("door_request", help, Unit::Seconds, meters.seconds);
        self.number("door_requests_in_work", "Requests that hold a place now", None, {
            door.places.taken() as f64
        });
        self.number("door_connections", "Connections that are open now", None, {
            door.connections.iter().map(|way| way.open()).sum::<usize>() as f64
        });
    }
}
