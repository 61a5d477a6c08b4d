//! Points in time: milliseconds since 1970-01-01T00:00:00Z, and RFC 3339 as the host wants it.

use crate::host;

/// The time now, in milliseconds since 1970-01-01T00:00:00Z. Not available in `unify` and `desunify`.
pub fn now() -> i64 {
    i64::try_from(host::now()).unwrap_or(i64::MAX)
}

/// RFC 3339 in UTC with milliseconds: `2026-03-02T09:00:00.000Z`. None outside the years 0–9999.
pub fn from_millis(millis: i64) -> Option<String> {
    let (days, rest) = (millis.div_euclid(DAY), millis.rem_euclid(DAY));
    let (year, month, day) = civil(days);
    if !(0..=9999).contains(&year) {
        return None;
    }
    let (hour, minute, second, milli) = (
        rest / 3_600_000,
        rest / 60_000 % 60,
        rest / 1000 % 60,
        rest % 1000,
    );
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"
    ))
}

/// RFC 3339 from seconds since 1970-01-01T00:00:00Z. None outside the years 0–9999.
pub fn from_seconds(seconds: i64) -> Option<String> {
    from_millis(seconds.checked_mul(1000)?)
}

/// Milliseconds from RFC 3339 and its common relatives: a space instead of `T`, `+0000` instead of `+00:00`, no
/// seconds, no time at all. Without an offset, UTC is meant.
pub fn parse(text: &str) -> Option<i64> {
    let mut scan = Scan(text.trim().as_bytes());
    let (year, _, month, _, day) = (
        scan.digits(4)?,
        scan.expect(b"-")?,
        scan.digits(2)?,
        scan.expect(b"-")?,
        scan.digits(2)?,
    );
    let days = days(year, month, day)?;
    if scan.0.is_empty() {
        return Some(days * DAY);
    }
    scan.expect(b"Tt ")?;
    let (hour, _, minute) = (scan.digits(2)?, scan.expect(b":")?, scan.digits(2)?);
    let second = if scan.expect(b":").is_some() {
        scan.digits(2)?
    } else {
        0
    };
    let milli = if scan.expect(b".,").is_some() {
        scan.fraction()?
    } else {
        0
    };
    // 60 is a leap second.
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let offset = match scan.expect(b"Zz+- ") {
        None | Some(b'Z' | b'z') => 0,
        Some(sign) => {
            let hours = scan.digits(2)?;
            let _ = scan.expect(b":");
            let minutes = if scan.0.is_empty() {
                0
            } else {
                scan.digits(2)?
            };
            if hours > 23 || minutes > 59 {
                return None;
            }
            (if sign == b'-' { -1 } else { 1 }) * (hours * 60 + minutes)
        }
    };
    scan.0
        .is_empty()
        .then_some(days * DAY + ((hour * 60 + minute - offset) * 60 + second) * 1000 + milli)
}

/// The text in the host's form, RFC 3339 in UTC with milliseconds, from all that [`parse`] reads.
pub fn normalise(text: &str) -> Option<String> {
    from_millis(parse(text)?)
}

/// The day alone, `2026-03-02`, from all that [`parse`] reads. The day is that of the text, not of UTC.
pub fn day(text: &str) -> Option<String> {
    parse(text)?;
    text.trim().get(..10).map(str::to_owned)
}

/// Milliseconds from the date form of HTTP headers, `Wed, 21 Oct 2015 07:28:00 GMT`.
pub fn parse_http_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (_, date) = text.split_once(", ")?;
    let mut words = date.split_ascii_whitespace();
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS
        .iter()
        .position(|name| name.eq_ignore_ascii_case(month))?
        + 1;
    parse(&format!("{year}-{month:02}-{day:0>2}T{time}Z"))
}

const DAY: i64 = 86_400_000;

/// Days from 1970-01-01 to a date of the Gregorian calendar. The year begins in March here, so that the leap day
/// comes last.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(leap),
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=longest).contains(&day) {
        return None;
    }
    let shifted = if month > 2 { year } else { year - 1 };
    let (era, of_era) = (shifted.div_euclid(400), shifted.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// The date that is so many days after 1970-01-01: year, month, day.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march_month = (5 * of_year + 2) / 153;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    (
        year + era * 400 + i64::from(month <= 2),
        month,
        of_year - (153 * march_month + 2) / 5 + 1,
    )
}

/// What is left of the text.
struct Scan<'a>(&'a [u8]);

impl Scan<'_> {
    /// Takes exactly so many digits.
    fn digits(&mut self, count: usize) -> Option<i64> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        digits.iter().try_fold(0, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + i64::from(digit - b'0'))
        })
    }

    /// Takes one byte of the set, where it comes next.
    fn expect(&mut self, set: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        set.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    /// Takes the digits of a fraction of a second, as milliseconds; finer parts are cut off.
    fn fraction(&mut self) -> Option<i64> {
        let count = self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (digits, rest) = self
            .0
            .split_at_checked(count)
            .filter(|(digits, _)| !digits.is_empty())?;
        self.0 = rest;
        Some(
            digits
                .iter()
                .chain(b"000")
                .take(3)
                .fold(0, |number, digit| number * 10 + i64::from(digit - b'0')),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{DAY, day, from_millis, from_seconds, normalise, parse, parse_http_date};

    #[test]
    fn the_common_spellings_are_read() {
        let check =
            |text, expected: &str| assert_eq!(normalise(text).as_deref(), Some(expected), "{text}");
        check("2026-03-02T09:00:00.000Z", "2026-03-02T09:00:00.000Z");
        check("2026-03-02T09:00:00Z", "2026-03-02T09:00:00.000Z");
        check(
            "2026-03-02T10:30:00.123456+01:30",
            "2026-03-02T09:00:00.123Z",
        );
        check("2026-03-02T10:00:00.5+0100", "2026-03-02T09:00:00.500Z");
        check("2026-03-01T23:00:00-10", "2026-03-02T09:00:00.000Z");
        check("2026-03-02 09:00:00", "2026-03-02T09:00:00.000Z");
        check("2026-03-02T09:00", "2026-03-02T09:00:00.000Z");
        check("2026-03-02", "2026-03-02T00:00:00.000Z");
        check("2024-02-29T23:59:60Z", "2024-03-01T00:00:00.000Z");
        check("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "x",
            "2026-3-2",
            "2026-02-29",
            "2026-13-01",
            "2026-03-02T24:00:00Z",
            "2026-03-02T09:00:00Zx",
            "2026-03-02T09:00:00.Z",
            "2026-03-02T09:00:00+1",
            "1772442000000",
            "2026-03-02T09:00:00+é",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn every_day_of_two_calendar_cycles_goes_there_and_back() {
        let (first, last) = (-719_528, 2_932_896);
        for number in (-135_140..157_054).chain([first, last]) {
            let text = from_millis(number * DAY + 1).unwrap();
            assert_eq!(parse(&text), Some(number * DAY + 1), "{text}");
        }
        assert_eq!(from_millis(i64::MAX), None);
        assert_eq!(from_seconds(i64::MAX), None);
        assert_eq!(
            from_seconds(951_782_400).as_deref(),
            Some("2000-02-29T00:00:00.000Z")
        );
    }

    #[test]
    fn days_and_header_dates() {
        assert_eq!(
            day("2026-03-02T23:00:00-05:00").as_deref(),
            Some("2026-03-02")
        );
        assert_eq!(
            parse_http_date("Wed, 21 Oct 2015 07:28:00 GMT"),
            parse("2015-10-21T07:28:00Z")
        );
        assert_eq!(parse_http_date("never"), None);
    }
}
