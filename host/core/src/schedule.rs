//! When something is due that runs by the clock: five fields as cron has them, and hours in which nothing begins.
//!
//! * Fields: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday). Each takes `*`, numbers,
//!   ranges `a-b`, steps `*/n` and `a-b/n`, and lists of those with commas.
//! * When both days are restricted, a day that matches either counts, as in every cron.
//! * A moment inside blackout hours begins when they end.
//! * Moments are minutes since 1970-01-01 00:00 of whatever clock the caller means.

use crate::moment::Date;
use std::fmt;

const MINUTES_PER_DAY: i64 = 24 * 60;
/// 29 February of a leap year may be eight years away (1896 to 1904, 2096 to 2104).
const DAYS_LOOKED_AT_MAX: i64 = 9 * 366;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    is_any_day: bool,
    is_any_weekday: bool,
}

/// What is wrong with a text, for the person who wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongSchedule(String);

impl fmt::Display for WrongSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

struct FieldRange {
    name: &'static str,
    least: u32,
    most: u32,
}

const FIELDS: [FieldRange; 5] = [
    FieldRange { name: "minute", least: 0, most: 59 },
    FieldRange { name: "hour", least: 0, most: 23 },
    FieldRange { name: "day of the month", least: 1, most: 31 },
    FieldRange { name: "month", least: 1, most: 12 },
    FieldRange { name: "day of the week", least: 0, most: 7 },
];

impl Schedule {
    /// Reads `"30 2 * * 1-5"`.
    pub fn parse(text: &str) -> Result<Schedule, WrongSchedule> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = words.as_slice() else {
            let found = words.len();
            return Err(WrongSchedule(format!(
                "has {found} fields; it takes five: minute, hour, day of the month, month, day of the week"
            )));
        };
        let weekdays = field(weekday, &FIELDS[4])?;
        let schedule = Schedule {
            minutes: field(minute, &FIELDS[0])?,
            hours: field(hour, &FIELDS[1])?,
            days: field(day, &FIELDS[2])?,
            months: field(month, &FIELDS[3])?,
            // Sunday by both of its numbers.
            weekdays: (weekdays | weekdays >> 7) & 0x7F,
            is_any_day: *day == "*",
            is_any_weekday: *weekday == "*",
        };
        if schedule.next_after(0).is_none() {
            return Err(WrongSchedule("names a day that no month has".to_string()));
        }
        Ok(schedule)
    }

    /// The first moment after `minute`; `None` only for a day that never comes.
    pub fn next_after(&self, minute: i64) -> Option<i64> {
        let from = minute + 1;
        let first_day = from.div_euclid(MINUTES_PER_DAY);
        (first_day..first_day + DAYS_LOOKED_AT_MAX).find_map(|day| {
            if !self.is_day(day) {
                return None;
            }
            let start = if day == first_day { from.rem_euclid(MINUTES_PER_DAY) } else { 0 };
            let of_day = (start..MINUTES_PER_DAY).find(|minute| self.is_minute(*minute))?;
            Some(day * MINUTES_PER_DAY + of_day)
        })
    }

    fn is_minute(&self, of_day: i64) -> bool {
        has(self.hours, of_day / 60) && has(self.minutes, of_day % 60)
    }

    fn is_day(&self, days: i64) -> bool {
        let (_, month, day) = Date(days as i32).civil();
        if !has(self.months, i64::from(month)) {
            return false;
        }
        // 1970-01-01 was a Thursday.
        let weekday = (days + 4).rem_euclid(7);
        let (by_day, by_weekday) = (has(self.days, i64::from(day)), has(self.weekdays, weekday));
        match (self.is_any_day, self.is_any_weekday) {
            (false, false) => by_day || by_weekday,
            _ => by_day && by_weekday,
        }
    }
}

fn has(set: u64, number: i64) -> bool {
    set & (1 << number) != 0
}

fn field(text: &str, range: &FieldRange) -> Result<u64, WrongSchedule> {
    let mut set = 0;
    for part in text.split(',') {
        let (span, step) = match part.split_once('/') {
            Some((span, step)) => (span, number(step, range, part)?),
            None => (part, 1),
        };
        let is_stepped = part.contains('/');
        let (first, last) = match (span, span.split_once('-')) {
            ("*", _) => (range.least, range.most),
            (_, Some((first, last))) => (number(first, range, part)?, number(last, range, part)?),
            (one, None) if is_stepped => (number(one, range, part)?, range.most),
            (one, None) => (number(one, range, part)?, number(one, range, part)?),
        };
        if first < range.least || last > range.most || first > last || step == 0 {
            let FieldRange { name, least, most } = range;
            return Err(WrongSchedule(format!(
                "has '{part}' as {name}, which goes from {least} to {most}"
            )));
        }
        set |= (first..=last).step_by(step as usize).fold(0, |set, one| set | 1 << one);
    }
    Ok(set)
}

fn number(text: &str, range: &FieldRange, part: &str) -> Result<u32, WrongSchedule> {
    let name = range.name;
    let wrong = || {
        WrongSchedule(format!("has '{part}' as {name}; it takes *, numbers, a-b, */n and lists"))
    };
    let is_number = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    if is_number { text.parse().map_err(|_| wrong()) } else { Err(wrong()) }
}

/// Hours of the day in which nothing begins: from the first minute on, up to the second, over midnight if need be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blackout {
    from: i64,
    to: i64,
}

impl Blackout {
    /// Reads `"08:00-20:30"`; `None` when it says no span.
    pub fn parse(text: &str) -> Option<Blackout> {
        let (from, to) = text.split_once('-')?;
        let minute = |text: &str| {
            let (hour, minute) = text.trim().split_once(':')?;
            let part = |text: &str, most: i64| {
                let is_two = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
                text.parse::<i64>().ok().filter(|number| is_two && *number <= most)
            };
            Some(part(hour, 23)? * 60 + part(minute, 59)?)
        };
        let (from, to) = (minute(from)?, minute(to)?);
        (from != to).then_some(Blackout { from, to })
    }

    fn covers(self, of_day: i64) -> bool {
        match self.from < self.to {
            true => (self.from..self.to).contains(&of_day),
            false => of_day >= self.from || of_day < self.to,
        }
    }
}

/// The first minute from `minute` on that no blackout covers; `None` when they cover the whole day.
pub fn outside(blackouts: &[Blackout], minute: i64) -> Option<i64> {
    let free = |at: &i64| {
        let of_day = at.rem_euclid(MINUTES_PER_DAY);
        !blackouts.iter().any(|blackout| blackout.covers(of_day))
    };
    (minute..minute + MINUTES_PER_DAY).find(free)
}

/// When the schedule really begins, after `minute`: what falls into a blackout waits for its end.
pub fn next_start(schedule: &Schedule, blackouts: &[Blackout], minute: i64) -> Option<i64> {
    let mut planned = schedule.next_after(minute)?;
    loop {
        let start = outside(blackouts, planned)?;
        if start > minute {
            return Some(start);
        }
        planned = schedule.next_after(planned)?;
    }
}

/// What a schedule asks for at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Wait,
    Begin,
    /// Nothing is known to have been missed: what is planned counts from here.
    CountFromHere,
}

/// What is to be done at `now`, the last run having begun at `last`. One that was missed is made up for, once. A last run that
/// is still to come was before a clock was set back: waiting for it could take as long as the clock is late.
pub fn turn(schedule: &Schedule, blackouts: &[Blackout], last: Option<i64>, now: i64) -> Turn {
    let Some(last) = last.filter(|last| *last <= now) else { return Turn::CountFromHere };
    let is_due = schedule.next_after(last).is_some_and(|planned| planned <= now);
    match is_due && outside(blackouts, now) == Some(now) {
        true => Turn::Begin,
        false => Turn::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `2026-11-28 01:30` as minutes.
    fn minute(text: &str) -> i64 {
        let part = |range: std::ops::Range<usize>| text[range].parse::<i64>().expect("a number");
        let date = Date::from_civil(part(0..4) as i32, part(5..7) as u32, part(8..10) as u32);
        i64::from(date.expect("a date").0) * MINUTES_PER_DAY + part(11..13) * 60 + part(14..16)
    }

    fn text(minute: i64) -> String {
        let (year, month, day) = Date(minute.div_euclid(MINUTES_PER_DAY) as i32).civil();
        let of_day = minute.rem_euclid(MINUTES_PER_DAY);
        format!("{year}-{month:02}-{day:02} {:02}:{:02}", of_day / 60, of_day % 60)
    }

    #[test]
    fn the_next_moment_is_crons() {
        // 2026-11-28 is a Saturday.
        for (schedule, after, expected) in [
            ("30 2 * * *", "2026-11-28 01:30", "2026-11-28 02:30"),
            ("30 2 * * *", "2026-11-28 02:30", "2026-11-29 02:30"),
            ("*/15 * * * *", "2026-11-28 01:44", "2026-11-28 01:45"),
            ("0 3 * * 1-5", "2026-11-28 01:30", "2026-11-30 03:00"),
            ("0 3 * * 0", "2026-11-28 01:30", "2026-11-29 03:00"),
            ("0 3 * * 7", "2026-11-28 01:30", "2026-11-29 03:00"),
            ("0 0 29 2 *", "2026-11-28 01:30", "2028-02-29 00:00"),
            ("0 0 1 1,7 *", "2026-11-28 01:30", "2027-01-01 00:00"),
            // Either day.
            ("0 0 13 * 5", "2026-11-28 01:30", "2026-12-04 00:00"),
            ("0 0 13 * 5", "2026-12-11 00:00", "2026-12-13 00:00"),
            ("5-59/20 22 31 12 *", "2026-11-28 01:30", "2026-12-31 22:05"),
            ("10/25 * * * *", "2026-11-28 01:11", "2026-11-28 01:35"),
        ] {
            let parsed = Schedule::parse(schedule).expect(schedule);
            let next = parsed.next_after(minute(after)).map(text);
            assert_eq!(next.as_deref(), Some(expected), "{schedule} after {after}");
        }
    }

    #[test]
    fn wrong_schedules_are_told() {
        for (schedule, part) in [
            ("", "has 0 fields"),
            ("* * * *", "has 4 fields"),
            ("60 * * * *", "'60' as minute, which goes from 0 to 59"),
            ("* 24 * * *", "hour"),
            ("* * 0 * *", "day of the month, which goes from 1 to 31"),
            ("* * * 13 *", "month"),
            ("* * * * 8", "day of the week"),
            ("5-1 * * * *", "'5-1' as minute"),
            ("*/0 * * * *", "'*/0' as minute"),
            ("a * * * *", "it takes *, numbers"),
            ("+1 * * * *", "it takes *, numbers"),
            ("1, * * * *", "it takes *, numbers"),
            ("0 0 31 2 *", "names a day that no month has"),
        ] {
            let wrong = Schedule::parse(schedule).expect_err(schedule).to_string();
            assert!(wrong.contains(part), "{schedule}: {wrong}");
        }
    }

    #[test]
    fn blackouts_are_read_and_cover_midnight() {
        for wrong in ["", "8:00-09:00", "08:00", "08:00-08:00", "24:00-01:00", "08:60-09:00"] {
            assert_eq!(Blackout::parse(wrong), None, "{wrong}");
        }
        let night = Blackout::parse("22:00-06:00").expect("a span");
        let noon = Blackout::parse("12:00-13:00").expect("a span");
        for (at, free) in [
            ("2026-11-28 21:59", "2026-11-28 21:59"),
            ("2026-11-28 22:00", "2026-11-29 06:00"),
            ("2026-11-28 05:59", "2026-11-28 06:00"),
            ("2026-11-28 12:30", "2026-11-28 13:00"),
        ] {
            assert_eq!(
                outside(&[night, noon], minute(at)).map(text).as_deref(),
                Some(free),
                "{at}"
            );
        }
        let day = Blackout::parse("06:00-22:00").expect("a span");
        assert_eq!(outside(&[night, day], 0), None, "nothing is left of the day");
    }

    #[test]
    fn what_falls_into_a_blackout_begins_once_at_its_end() {
        let hourly = Schedule::parse("0 * * * *").expect("a schedule");
        let opening = [Blackout::parse("08:00-20:30").expect("a span")];
        let mut at = minute("2026-11-28 06:30");
        let mut starts = Vec::new();
        for _ in 0..4 {
            at = next_start(&hourly, &opening, at).expect("a start");
            starts.push(text(at)[11..].to_string());
        }
        assert_eq!(starts, ["07:00", "20:30", "21:00", "22:00"]);
    }

    #[test]
    fn a_missed_run_is_made_up_for_once() {
        let nightly = Schedule::parse("30 2 * * *").expect("a schedule");
        let morning = [Blackout::parse("07:00-09:00").expect("a span")];
        for (last, now, expected) in [
            (Some("2026-11-27 02:30"), "2026-11-28 02:29", Turn::Wait),
            (Some("2026-11-27 02:30"), "2026-11-28 02:30", Turn::Begin),
            (Some("2026-11-27 02:30"), "2026-11-28 06:00", Turn::Begin),
            (Some("2026-11-27 02:30"), "2026-11-28 07:00", Turn::Wait),
            (Some("2026-11-27 02:30"), "2026-11-28 09:00", Turn::Begin),
            (Some("2026-11-28 06:00"), "2026-11-28 09:00", Turn::Wait),
            (None, "2026-11-28 09:00", Turn::CountFromHere),
            // A clock that was set back does not wait until it has caught up.
            (Some("2026-12-24 00:00"), "2026-11-28 09:00", Turn::CountFromHere),
        ] {
            let is = turn(&nightly, &morning, last.map(minute), minute(now));
            assert_eq!(is, expected, "{last:?} {now}");
        }
    }
}
