//! Dates and times at SQL Server's finest grain: 100 nanoseconds, years 1 to 9999.
//!
//! Units are fixed and named here once: a [`Date`] counts days since 1970-01-01, a [`Time`] 100-nanosecond ticks
//! since midnight, a [`Timestamp`] such ticks since 0001-01-01 00:00 (no time zone, as datetime2 has none).

/// 100-nanosecond ticks in a second, a day.
pub const TICKS_PER_SECOND: i64 = 10_000_000;
pub const TICKS_PER_DAY: i64 = 86_400 * TICKS_PER_SECOND;
/// Days from 0001-01-01 to 1970-01-01.
pub const EPOCH_DAYS: i64 = 719_162;
/// Days from 0001-01-01 to 10000-01-01, which nothing here reaches.
const END_DAYS: i64 = 3_652_059;
/// Days from 0001-01-01 to 1753-01-01, where `datetime` begins, to 1900-01-01, where `smalldatetime` does, and to
/// 2079-06-07, which it does not reach (Transact-SQL reference).
const DATETIME_DAYS: i64 = 639_905;
const SMALLDATETIME_DAYS: i64 = 693_595;
const SMALLDATETIME_END_DAYS: i64 = 759_131;
/// `datetimeoffset` goes 14 hours either way (Transact-SQL reference).
const OFFSET_MINUTES_MAX: u16 = 14 * 60;

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(pub i32);

/// 100-nanosecond ticks since midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

/// 100-nanosecond ticks since 0001-01-01 00:00:00.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

/// An instant in UTC with the offset it was written at (`datetimeoffset`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OffsetTimestamp {
    pub utc: Timestamp,
    pub offset_minutes: i16,
}

impl Date {
    /// `None` outside years 1 to 9999 or for a day that the month does not have.
    pub fn from_civil(year: i32, month: u32, day: u32) -> Option<Date> {
        if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || day == 0 {
            return None;
        }
        let date = Date(days_from_civil(year, month, day));
        // A day past the month's end would have landed in the next month.
        (date.civil() == (year, month, day)).then_some(date)
    }

    /// Within years 1 to 9999; nothing else has a text.
    pub fn is_in_range(self) -> bool {
        (0..END_DAYS).contains(&(i64::from(self.0) + EPOCH_DAYS))
    }

    pub fn civil(self) -> (i32, u32, u32) {
        civil_from_days(self.0)
    }
}

impl Time {
    /// Before the next midnight.
    pub fn is_in_range(self) -> bool {
        self.0 < TICKS_PER_DAY as u64
    }
}

impl OffsetTimestamp {
    /// At both clocks within years 1 to 9999, and no further from UTC than SQL Server goes.
    pub fn is_in_range(self) -> bool {
        let minutes = i64::from(self.offset_minutes);
        let local = self.utc.0.checked_add(minutes * 60 * TICKS_PER_SECOND);
        self.offset_minutes.unsigned_abs() <= OFFSET_MINUTES_MAX
            && self.utc.is_in_range()
            && local.is_some_and(|local| Timestamp(local).is_in_range())
    }
}

impl Timestamp {
    /// Within years 1 to 9999.
    pub fn is_in_range(self) -> bool {
        (0..END_DAYS * TICKS_PER_DAY).contains(&self.0)
    }

    pub fn is_in_datetime(self) -> bool {
        (DATETIME_DAYS * TICKS_PER_DAY..END_DAYS * TICKS_PER_DAY).contains(&self.0)
    }

    pub fn is_in_smalldatetime(self) -> bool {
        let (first, end) = (SMALLDATETIME_DAYS, SMALLDATETIME_END_DAYS);
        (first * TICKS_PER_DAY..end * TICKS_PER_DAY).contains(&self.0)
    }

    pub fn new(date: Date, time: Time) -> Timestamp {
        Timestamp((i64::from(date.0) + EPOCH_DAYS) * TICKS_PER_DAY + time.0 as i64)
    }

    pub fn date(self) -> Date {
        Date((self.0.div_euclid(TICKS_PER_DAY) - EPOCH_DAYS) as i32)
    }

    pub fn time(self) -> Time {
        Time(self.0.rem_euclid(TICKS_PER_DAY) as u64)
    }

    /// From milliseconds since 1970-01-01 00:00 UTC, as clocks count.
    pub fn from_unix_ms(ms: i64) -> Timestamp {
        Timestamp(EPOCH_DAYS * TICKS_PER_DAY + ms * (TICKS_PER_SECOND / 1000))
    }

    pub fn unix_ms(self) -> i64 {
        (self.0 - EPOCH_DAYS * TICKS_PER_DAY).div_euclid(TICKS_PER_SECOND / 1000)
    }
}

/// Howard Hinnant's `days_from_civil` (public domain): exact for the whole proleptic calendar.
fn days_from_civil(year: i32, month: u32, day: u32) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_of_year = (month as i32 + 9) % 12;
    let day_of_year = (153 * month_of_year + 2) / 5 + day as i32 - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i32) -> (i32, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_of_year = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_of_year + 2) / 5 + 1) as u32;
    let month = if month_of_year < 10 { month_of_year + 3 } else { month_of_year - 9 } as u32;
    let year = year_of_era + era * 400 + i32::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::{Date, Time, Timestamp};

    #[test]
    fn civil_dates_round_trip_over_every_day_of_the_range() {
        let first = Date::from_civil(1, 1, 1).expect("the first day").0;
        let last = Date::from_civil(9999, 12, 31).expect("the last day").0;
        for day in first..=last {
            let (year, month, of_month) = Date(day).civil();
            assert_eq!(Date::from_civil(year, month, of_month), Some(Date(day)));
        }
        assert_eq!(Date::from_civil(1970, 1, 1), Some(Date(0)));
        assert_eq!(Date::from_civil(2023, 2, 29), None);
    }

    #[test]
    fn timestamps_keep_their_halves() {
        let date = Date::from_civil(1900, 1, 1).expect("a date");
        let moment = Timestamp::new(date, Time(1));
        assert_eq!((moment.date(), moment.time()), (date, Time(1)));
        assert_eq!(Timestamp::from_unix_ms(-1).unix_ms(), -1);
    }
}
