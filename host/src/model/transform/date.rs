//! Dates and moments as providers write them.

use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    fmt::strtime::{self, BrokenDownTime},
    tz::TimeZone,
};

use super::{DateOutput, shown};

const SECONDS: &str = "unix";
const MILLISECONDS: &str = "unix_ms";

/// What is wrong with a format.
pub(super) fn check(format: &str) -> Option<String> {
    if [SECONDS, MILLISECONDS].contains(&format) {
        return None;
    }
    if !format.contains('%') {
        return Some(format!(
            "has {}, which is neither `unix`, `unix_ms` nor a format such as `%d.%m.%Y`",
            shown(format)
        ));
    }
    let example = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
    let written = match strtime::format(format, &example) {
        Ok(written) => written,
        Err(error) => return Some(format!("has {}: {error}", shown(format))),
    };
    match strtime::parse(format, &written).map(|parsed| parsed.to_date()) {
        Ok(Ok(_)) => None,
        Ok(Err(error)) => Some(format!(
            "has {}, which tells no day: {error}",
            shown(format)
        )),
        Err(error) => Some(format!(
            "has {}, which cannot be read: {error}",
            shown(format)
        )),
    }
}

/// A day, and a time of day and an offset where they were written.
struct Read {
    civil: DateTime,
    moment: Option<Timestamp>,
}

/// The text in the form of `output`.
pub(super) fn read(text: &str, formats: &[String], output: DateOutput) -> Result<String, String> {
    let text = text.trim();
    let read = if formats.is_empty() {
        iso(text)
    } else {
        formats.iter().find_map(|format| by(text, format))
    };
    let read = read.ok_or_else(|| match formats {
        [] => format!("{} is no date in ISO 8601", shown(text)),
        formats => format!(
            "{} is no date of the form {}",
            shown(text),
            formats.join(" or ")
        ),
    })?;
    match output {
        DateOutput::Date => Ok(read.civil.date().to_string()),
        DateOutput::Datetime => {
            let moment = match read.moment {
                Some(moment) => Some(moment),
                None => read
                    .civil
                    .to_zoned(TimeZone::UTC)
                    .ok()
                    .map(|zoned| zoned.timestamp()),
            };
            let moment = moment.ok_or_else(|| format!("{} is out of range", shown(text)))?;
            Ok(format!("{moment:.3}"))
        }
    }
}

fn iso(text: &str) -> Option<Read> {
    let moment = text.parse::<Timestamp>().ok();
    // A text that ends in `Z` has no time of day of its own place: that of UTC is taken.
    let civil = text
        .parse::<DateTime>()
        .or_else(|_| text.parse::<Date>().map(|date| date.at(0, 0, 0, 0)))
        .ok()
        .or_else(|| Some(moment?.to_zoned(TimeZone::UTC).datetime()))?;
    Some(Read { civil, moment })
}

fn by(text: &str, format: &str) -> Option<Read> {
    let moment = match format {
        SECONDS => Timestamp::from_second(text.parse().ok()?).ok()?,
        MILLISECONDS => Timestamp::from_millisecond(text.parse().ok()?).ok()?,
        format => return by_pattern(&strtime::parse(format, text).ok()?),
    };
    Some(Read {
        civil: moment.to_zoned(TimeZone::UTC).datetime(),
        moment: Some(moment),
    })
}

fn by_pattern(parsed: &BrokenDownTime) -> Option<Read> {
    let civil = parsed
        .to_datetime()
        .or_else(|_| parsed.to_date().map(|date| date.at(0, 0, 0, 0)))
        .ok()?;
    let moment = parsed.to_timestamp().ok();
    Some(Read { civil, moment })
}

/// The reverse of [`read`]: a day or a moment of ours in a provider's format.
pub(super) fn write(text: &str, format: &str) -> Result<serde_json::Value, String> {
    let read = iso(text).ok_or_else(|| format!("{} is no date", shown(text)))?;
    let moment = match read.moment {
        Some(moment) => Ok(moment),
        None => read
            .civil
            .to_zoned(TimeZone::UTC)
            .map(|zoned| zoned.timestamp()),
    };
    let moment = moment.map_err(|error| error.to_string())?;
    match format {
        SECONDS => Ok(moment.as_second().into()),
        MILLISECONDS => Ok(moment.as_millisecond().into()),
        format => strtime::format(format, &moment.to_zoned(TimeZone::UTC))
            .map(Into::into)
            .map_err(|error| error.to_string()),
    }
}
