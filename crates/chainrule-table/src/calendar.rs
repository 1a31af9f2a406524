//! Dates and times as people and programs write them, and days as numbers.
//!
//! Days are counted from 1970-01-01 in the Gregorian calendar, also before it was introduced (Howard Hinnant,
//! "chrono-Compatible Low-Level Date Algorithms").

use serde::{Deserialize, Serialize};

/// The days from 1970-01-01 to a date.
pub(crate) fn days(year: i64, month: i64, day: i64) -> i64 {
    // The year begins in March, so that the leap day is its last.
    let year = if month <= 2 { year - 1 } else { year };
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year.div_euclid(400) * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day.
pub(crate) fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + days.div_euclid(146_097) * 400 + i64::from(month <= 2), month, day)
}

/// `2024-05-01`.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn write_date(days: i64) -> String {
    let (year, month, day) = date(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// `12:30:05`, `12:30:05.250000`.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn write_time(value: i64, per_second: i64) -> String {
    let seconds = value.div_euclid(per_second);
    let micros = match per_second {
        1_000_000_000 => value.rem_euclid(per_second) / 1000,
        _ => value.rem_euclid(per_second) * (1_000_000 / per_second),
    };
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match micros {
        0 => format!("{hours:02}:{minutes:02}:{seconds:02}"),
        micros => format!("{hours:02}:{minutes:02}:{seconds:02}.{micros:06}"),
    }
}

/// `2024-05-01 12:30:05` for microseconds since 1970.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn write_moment(micros: i64) -> String {
    const DAY: i64 = 86_400_000_000;
    format!("{} {}", write_date(micros.div_euclid(DAY)), write_time(micros.rem_euclid(DAY), 1_000_000))
}

/// A date, a time of day, or both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Moment {
    /// Days since 1970-01-01; none if there is only a time of day.
    pub(crate) days: Option<i64>,
    /// Seconds since midnight, in UTC where the text names its offset (then they may lie outside the day).
    pub(crate) seconds: f64,
}

/// What `03/04/2024` and `03-04-2024` mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// The fourth of March.
    MonthFirst,
    /// The third of April.
    DayFirst,
}

/// The moment that a text names, if it names one:
/// - `2024-05-01`, `2024/5/1`, `2024.05.01`;
/// - `05/01/2024`, `5-1-24` in the given order; `01.05.2024` has the day first;
/// - `1 May 2024`, `01-May-24`, `May 1, 2024`, months in English, three letters or whole;
/// - a time, `12:30`, `12:30:05.25`, `9:05 pm`, alone or behind a date and a blank or `T`, with `Z`, `+02:00`, `+0200` or
///   `+02` behind it.
///
/// Years of two digits are 1969 to 2068, as in POSIX.
pub(crate) fn parse(text: &str, order: Order) -> Option<Moment> {
    let text = text.trim();
    if !text.is_ascii() || text.len() > 40 || !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    if let Some(seconds) = time(text) {
        return Some(Moment { days: None, seconds });
    }
    // The date ends at a T between digits, or at the blank before the first colon's digits.
    let (day, clock) = match text.find(':') {
        None => (text, None),
        Some(colon) => {
            let split = text[..colon].rfind([' ', 'T', 't'])?;
            (text[..split].trim_end_matches([' ', ',']), Some(&text[split + 1..]))
        }
    };
    let days = calendar_day(day, order)?;
    let seconds = clock.map_or(Some(0.0), time)?;
    Some(Moment { days: Some(days), seconds })
}

/// The order in which all texts are moments, if there is one; both serving, the month is first.
pub(crate) fn order<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Option<Order> {
    [Order::MonthFirst, Order::DayFirst]
        .into_iter()
        .find(|order| texts.clone().all(|text| parse(text, *order).is_some()))
}

fn calendar_day(text: &str, order: Order) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let separator = text.chars().find(|c| !c.is_ascii_alphanumeric())?;
    if !matches!(separator, '-' | '/' | '.' | ' ') {
        return None;
    }
    let mut parts = text.split([separator, ',']).filter(|part| !part.is_empty());
    let (a, b, c) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || (text.contains(',') && separator != ' ') {
        return None;
    }
    let number = |part: &str| -> Option<i64> {
        let digits = (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse().ok()).flatten()
    };
    let month_name = |part: &str| {
        let part = part.to_ascii_lowercase();
        let same = |month: &&str| {
            part.len() >= 3 && month.starts_with(&part) && (part.len() == 3 || part.len() == month.len())
        };
        MONTHS.iter().position(same).map(|i| i as i64 + 1)
    };
    let year = |part: &str| match (part.len(), number(part)?) {
        (4, year) => Some(year),
        (2, year) => Some(if year < 69 { 2000 + year } else { 1900 + year }),
        _ => None,
    };
    let short = |part: &str| number(part).filter(|_| part.len() <= 2);
    let (year, month, day) = if let Some(month) = month_name(b) {
        (year(c)?, month, short(a)?)
    } else if let Some(month) = month_name(a) {
        (year(c)?, month, short(b)?)
    } else if a.len() == 4 && separator != ' ' {
        (number(a)?, short(b)?, short(c)?)
    } else {
        match (separator, order) {
            (' ', _) => return None,
            ('.', _) | (_, Order::DayFirst) => (year(c)?, short(b)?, short(a)?),
            (_, Order::MonthFirst) => (year(c)?, short(a)?, short(b)?),
        }
    };
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    (1..=length).contains(&day).then(|| days(year, month, day))
}

/// Seconds since midnight.
fn time(text: &str) -> Option<f64> {
    let lower = text.trim().to_ascii_lowercase();
    let (clock, half) = match (lower.strip_suffix("am"), lower.strip_suffix("pm")) {
        (Some(clock), _) => (clock.trim_end(), Some(0.0)),
        (_, Some(clock)) => (clock.trim_end(), Some(12.0)),
        _ => (lower.as_str(), None),
    };
    let (clock, offset) = match clock.find(['z', '+', '-']) {
        Some(at) if half.is_none() => (&clock[..at], Some(&clock[at..])),
        _ => (clock, None),
    };
    let mut parts = clock.split(':');
    let two = |part: &str, below: u32| -> Option<f64> {
        let digits = (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse().ok()).flatten().filter(|value: &u32| *value < below).map(f64::from)
    };
    let mut hours = two(parts.next()?, 24)?;
    let minutes = parts.next().filter(|part| part.len() == 2).and_then(|part| two(part, 60))?;
    let seconds = match parts.next() {
        None => 0.0,
        Some(part) => {
            let (whole, fraction) = part.split_once(['.', ',']).unwrap_or((part, "0"));
            let digits = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
            let fraction: f64 = format!("0.{fraction}").parse().ok().filter(|_| digits)?;
            two(whole, 61).filter(|_| whole.len() == 2)? + fraction
        }
    };
    if parts.next().is_some() {
        return None;
    }
    if let Some(half) = half {
        if !(1.0..=12.0).contains(&hours) {
            return None;
        }
        hours = hours % 12.0 + half;
    }
    let east = match offset {
        None | Some("z") => 0.0,
        Some(offset) => {
            let (sign, digits) = offset.split_at(1);
            let (hours, minutes) = match digits.len() {
                2 => (digits, "00"),
                4 => digits.split_at(2),
                5 => digits.split_once(':')?,
                _ => return None,
            };
            let seconds = 3600.0 * two(hours, 24)? + 60.0 * two(minutes, 60)?;
            match sign {
                "+" => seconds,
                "-" => -seconds,
                _ => return None,
            }
        }
    };
    Some(3600.0 * hours + 60.0 * minutes + seconds - east)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_inverse_over_four_thousand_years() {
        assert_eq!((days(1970, 1, 1), days(2000, 3, 1), days(1969, 12, 31)), (0, 11_017, -1));
        for day in -800_000..800_000 {
            let (year, month, of_month) = date(day);
            assert_eq!(days(year, month, of_month), day);
        }
    }

    #[test]
    fn one_day_in_many_spellings() {
        let day = days(2024, 5, 1);
        for text in [
            "2024-05-01",
            "2024/5/1",
            "2024.05.01",
            "05/01/2024",
            "5-1-24",
            "01.05.2024",
            "1.5.24",
            "1 May 2024",
            "01-May-24",
            "May 1, 2024",
            "may 1 2024",
            "1 MAY 2024",
            " 2024-05-01 ",
        ] {
            assert_eq!(parse(text, Order::MonthFirst).and_then(|moment| moment.days), Some(day), "{text}");
        }
        assert_eq!(parse("01/05/2024", Order::DayFirst).and_then(|moment| moment.days), Some(day));
        assert_eq!(parse("1 January 1969", Order::DayFirst).and_then(|moment| moment.days), Some(days(1969, 1, 1)));
    }

    #[test]
    fn times_with_and_without_a_day() {
        let seconds = |text| parse(text, Order::MonthFirst).map(|moment| moment.seconds);
        assert_eq!(seconds("12:30"), Some(45_000.0));
        assert_eq!(seconds("2024-05-01T12:30:05.25Z"), Some(45_005.25));
        assert_eq!(seconds("2024-05-01 12:30:05+02:00"), Some(45_005.0 - 7200.0));
        assert_eq!(seconds("2024-05-01T12:30-0530"), Some(45_000.0 + 19_800.0));
        assert_eq!(seconds("05/01/2024, 9:05 PM"), Some(75_900.0));
        assert_eq!((seconds("12:00 am"), seconds("12:00pm")), (Some(0.0), Some(43_200.0)));
    }

    #[test]
    fn what_is_no_date() {
        for text in [
            "2023-02-29",
            "2024-13-01",
            "2024-04-31",
            "1.5",
            "12",
            "1-2",
            "1.2.3.4",
            "2024-05-01x",
            "2024-05-01T24:00",
            "2024-05-01T12",
            "2024-05-01T12:60",
            "2024-05-01T12:30:",
            "2024-05-01T1é:30",
            "a 1 2",
            "13:00 pm",
            "-1:30",
            "mayo 1 2024",
            "1,5,2024",
            "2024-05-01T12:30+",
            "13/13/2024",
            "12345-01-01",
            "T:",
            ":",
            "",
        ] {
            assert_eq!(parse(text, Order::MonthFirst), None, "{text}");
        }
    }

    #[test]
    fn one_cell_can_tell_the_order_of_a_column() {
        assert_eq!(order(["03/04/2024", "13/04/2024"].into_iter()), Some(Order::DayFirst));
        assert_eq!(order(["03/04/2024", "04/13/2024"].into_iter()), Some(Order::MonthFirst));
        assert_eq!(order(["03/04/2024", "04/05/2024"].into_iter()), Some(Order::MonthFirst));
        assert_eq!(order(["13/04/2024", "04/13/2024"].into_iter()), None);
    }
}
