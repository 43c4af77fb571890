//! The settings of [`super::conduct_fields`], each with where it came from; as a list, for all that shows or compares
//! profiles.

use super::conduct_fields as fields;
use super::effective::{Given, Origin};
use super::field::{Field, Kind, Number, Table, Word};
use super::profile_text::number;
use super::reader::Section;
use serde_json::{Value as Json, json};
use std::time::Duration;
use tillhold_core::failover::Steadiness;
use tillhold_core::freshness::{FreshnessRules, Reaction};
use tillhold_core::pace::Pace;
use tillhold_core::profile::{Conduct, InDoubt, SizeRules, UploadBatches};

#[derive(Clone, Debug)]
pub struct ConductSettings {
    sessions: Given<f64>,
    rows_rate: Given<f64>,
    jitter: Given<f64>,
    report_interval: Given<f64>,
    slow: Given<f64>,
    slow_answers: Given<f64>,
    quick_answers: Given<f64>,
    steady: Given<f64>,
    dwell_max: Given<f64>,
    never_synchronised: Given<Reaction>,
    stale_after: Given<f64>,
    stale: Given<Reaction>,
    upload_interval: Given<f64>,
    upload_transactions: Given<f64>,
    upload_rows: Given<f64>,
    numbers_in_doubt: Given<InDoubt>,
    seed_kind: Given<f64>,
    incarnation_in_doubt: Given<InDoubt>,
    size_limit: Given<f64>,
    keep_settled: Given<f64>,
    reserve: Given<f64>,
}

/// One of them, as it is shown.
pub struct ConductEntry {
    /// `upload`, of `[upload]`.
    pub section: &'static str,
    pub key: &'static str,
    /// As JSON, and as TOML writes it.
    pub value: Json,
    pub from: Origin,
    pub is_default: bool,
}

impl ConductSettings {
    /// Where `[staleness]` says what is done about stale data without saying when they are.
    pub(super) fn idle_staleness(&self) -> Option<Origin> {
        let is_idle = self.stale.from != Origin::Default && self.stale_after.value == 0.0;
        is_idle.then_some(self.stale.from)
    }

    /// The seconds after which data are stale, where that is said.
    pub(super) fn stale_after(&self) -> Option<Given<f64>> {
        Some(self.stale_after.clone()).filter(|given| given.value > 0.0)
    }

    pub(super) fn read(top: &Section<'_>) -> ConductSettings {
        let synchronization = top.section(&fields::SYNCHRONIZATION);
        let failover = top.section(&fields::FAILOVER);
        let staleness = top.section(&fields::STALENESS);
        let upload = top.section(&fields::UPLOAD);
        let numbers = top.section(&fields::NUMBERS);
        let incarnation = top.section(&fields::INCARNATION);
        let size = top.section(&fields::SIZE);
        ConductSettings {
            sessions: of_number(&synchronization, &fields::SESSIONS),
            rows_rate: of_number(&synchronization, &fields::ROWS_RATE),
            jitter: of_number(&synchronization, &fields::JITTER),
            report_interval: of_number(&synchronization, &fields::REPORT_INTERVAL),
            slow: of_number(&failover, &fields::SLOW),
            slow_answers: of_number(&failover, &fields::SLOW_ANSWERS),
            quick_answers: of_number(&failover, &fields::QUICK_ANSWERS),
            steady: of_number(&failover, &fields::STEADY),
            dwell_max: of_number(&failover, &fields::DWELL_MAX),
            never_synchronised: of_word(&staleness, &fields::NEVER_SYNCHRONISED),
            stale_after: of_number(&staleness, &fields::STALE_AFTER),
            stale: of_word(&staleness, &fields::STALE),
            upload_interval: of_number(&upload, &fields::UPLOAD_INTERVAL),
            upload_transactions: of_number(&upload, &fields::UPLOAD_TRANSACTIONS),
            upload_rows: of_number(&upload, &fields::UPLOAD_ROWS),
            numbers_in_doubt: of_word(&numbers, &fields::NUMBERS_IN_DOUBT),
            seed_kind: of_number(&numbers, &fields::SEED_KIND),
            incarnation_in_doubt: of_word(&incarnation, &fields::INCARNATION_IN_DOUBT),
            size_limit: of_number(&size, &fields::LIMIT),
            keep_settled: of_number(&size, &fields::KEEP_SETTLED),
            reserve: of_number(&size, &fields::RESERVE),
        }
    }

    pub fn conduct(&self) -> Conduct {
        Conduct {
            pace: Pace {
                sessions_per_min: self.sessions.value as u32,
                rows_per_s: self.rows_rate.value as u32,
                jitter_percent: self.jitter.value as u8,
            },
            report_interval: Duration::from_secs_f64(self.report_interval.value),
            steadiness: Steadiness {
                slow: (self.slow.value > 0.0)
                    .then(|| Duration::from_millis(self.slow.value as u64)),
                slow_answers: self.slow_answers.value as u32,
                quick_answers: self.quick_answers.value as u32,
                steady_after: Duration::from_secs_f64(self.steady.value),
                dwell_max: Duration::from_secs_f64(self.dwell_max.value),
            },
            upload: UploadBatches {
                interval: Duration::from_secs_f64(self.upload_interval.value),
                transactions_max: self.upload_transactions.value as usize,
                rows_max: self.upload_rows.value as usize,
            },
            numbers_in_doubt: self.numbers_in_doubt.value,
            seed_kind: self.seed_kind.value as u32,
            incarnation_in_doubt: self.incarnation_in_doubt.value,
            size: SizeRules {
                limit_bytes: (self.size_limit.value as u64) << 20,
                keep_settled_days: self.keep_settled.value as u32,
                reserve_bytes: (self.reserve.value as u64) << 20,
            },
            freshness: FreshnessRules {
                never_synchronised: self.never_synchronised.value,
                stale_after: (self.stale_after.value > 0.0)
                    .then(|| Duration::from_secs_f64(self.stale_after.value)),
                stale: self.stale.value,
            },
        }
    }

    /// Section by section.
    pub fn entries(&self) -> Vec<ConductEntry> {
        let (pull, push, hold) = (&fields::SYNCHRONIZATION, &fields::UPLOAD, &fields::FAILOVER);
        let (numbers, incarnation) = (&fields::NUMBERS, &fields::INCARNATION);
        let staleness = &fields::STALENESS;
        vec![
            number_entry(pull, &fields::SESSIONS, &self.sessions),
            number_entry(pull, &fields::ROWS_RATE, &self.rows_rate),
            number_entry(pull, &fields::JITTER, &self.jitter),
            number_entry(pull, &fields::REPORT_INTERVAL, &self.report_interval),
            number_entry(hold, &fields::SLOW, &self.slow),
            number_entry(hold, &fields::SLOW_ANSWERS, &self.slow_answers),
            number_entry(hold, &fields::QUICK_ANSWERS, &self.quick_answers),
            number_entry(hold, &fields::STEADY, &self.steady),
            number_entry(hold, &fields::DWELL_MAX, &self.dwell_max),
            word_entry(staleness, &fields::NEVER_SYNCHRONISED, &self.never_synchronised),
            number_entry(staleness, &fields::STALE_AFTER, &self.stale_after),
            word_entry(staleness, &fields::STALE, &self.stale),
            number_entry(push, &fields::UPLOAD_INTERVAL, &self.upload_interval),
            number_entry(push, &fields::UPLOAD_TRANSACTIONS, &self.upload_transactions),
            number_entry(push, &fields::UPLOAD_ROWS, &self.upload_rows),
            word_entry(numbers, &fields::NUMBERS_IN_DOUBT, &self.numbers_in_doubt),
            number_entry(numbers, &fields::SEED_KIND, &self.seed_kind),
            word_entry(incarnation, &fields::INCARNATION_IN_DOUBT, &self.incarnation_in_doubt),
            number_entry(&fields::SIZE, &fields::LIMIT, &self.size_limit),
            number_entry(&fields::SIZE, &fields::KEEP_SETTLED, &self.keep_settled),
            number_entry(&fields::SIZE, &fields::RESERVE, &self.reserve),
        ]
    }
}

/// The same of a typed profile, whose origins are gone: `upload.interval_s` and its value.
pub fn told(conduct: &Conduct) -> Vec<(&'static str, String)> {
    let doubt = |of: InDoubt| fields::NUMBERS_IN_DOUBT.spelled(&of).to_string();
    let (steadiness, freshness) = (&conduct.steadiness, &conduct.freshness);
    let reaction = |of: Reaction| fields::STALE.spelled(&of).to_string();
    let seconds = |of: Duration| number(of.as_secs_f64());
    vec![
        ("synchronization.sessions_max_per_min", conduct.pace.sessions_per_min.to_string()),
        ("synchronization.rows_per_second_max", conduct.pace.rows_per_s.to_string()),
        ("synchronization.jitter_percent", conduct.pace.jitter_percent.to_string()),
        ("synchronization.report_interval_s", seconds(conduct.report_interval)),
        ("failover.slow_ms", steadiness.slow.unwrap_or_default().as_millis().to_string()),
        ("failover.slow_answers", steadiness.slow_answers.to_string()),
        ("failover.quick_answers", steadiness.quick_answers.to_string()),
        ("failover.steady_s", seconds(steadiness.steady_after)),
        ("failover.dwell_max_s", seconds(steadiness.dwell_max)),
        ("staleness.never_synchronised", reaction(freshness.never_synchronised)),
        ("staleness.stale_after_s", seconds(freshness.stale_after.unwrap_or_default())),
        ("staleness.stale", reaction(freshness.stale)),
        ("upload.interval_s", seconds(conduct.upload.interval)),
        ("upload.transactions_max", conduct.upload.transactions_max.to_string()),
        ("upload.rows_max", conduct.upload.rows_max.to_string()),
        ("numbers.when_in_doubt", doubt(conduct.numbers_in_doubt)),
        ("numbers.seed_type", conduct.seed_kind.to_string()),
        ("incarnation.when_in_doubt", doubt(conduct.incarnation_in_doubt)),
        ("size.limit_mb", (conduct.size.limit_bytes >> 20).to_string()),
        ("size.keep_settled_days", conduct.size.keep_settled_days.to_string()),
        ("size.reserve_mb", (conduct.size.reserve_bytes >> 20).to_string()),
    ]
}

fn given<K, T>(
    section: &Option<Section<'_>>,
    field: &Field<K>,
    value: Option<T>,
    or: T,
) -> Given<T> {
    match (section, value) {
        (Some(section), Some(value)) => {
            let line = section.line_of(field.key).unwrap_or_else(|| section.line());
            Given { value, from: Origin::File { line } }
        }
        _ => Given::default_of(or),
    }
}

fn of_number(section: &Option<Section<'_>>, field: &Field<Number>) -> Given<f64> {
    let said = section.as_ref().and_then(|section| section.number(field));
    given(section, field, said, field.default())
}

fn of_word<T: Clone>(section: &Option<Section<'_>>, field: &Field<Word<T>>) -> Given<T>
where
    Word<T>: Kind,
{
    let said = section.as_ref().and_then(|section| section.word(field));
    given(section, field, said, field.default())
}

fn number_entry(of: &Field<Table>, field: &Field<Number>, given: &Given<f64>) -> ConductEntry {
    let is_whole = given.value.fract() == 0.0;
    ConductEntry {
        section: of.key,
        key: field.key,
        value: if is_whole { json!(given.value as i64) } else { json!(given.value) },
        from: given.from,
        is_default: given.value == field.default(),
    }
}

fn word_entry<T: Clone + PartialEq>(
    of: &Field<Table>,
    field: &Field<Word<T>>,
    given: &Given<T>,
) -> ConductEntry {
    ConductEntry {
        section: of.key,
        key: field.key,
        value: json!(field.spelled(&given.value)),
        from: given.from,
        is_default: given.value == field.default(),
    }
}
