//! What the server tells its operator: a log on standard error and numbers for `/metrics`.

mod metrics;
mod request;

use std::{
    error::Error,
    io::{self, Write},
};

use tracing_subscriber::{EnvFilter, fmt, fmt::MakeWriter};

pub use metrics::{Counter, Gauge, Histogram, METRICS, Metrics};
pub use request::{request_id, within_request};

use crate::config::{Log, LogFormat};

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is none.
    #[error("log.filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The process has a log already.
    #[error("the log was set up before")]
    Twice,
}

/// Starts the log of this process.
///
/// # Errors
/// The filter cannot be read, or there is a log already.
pub fn init(log: &Log) -> Result<(), LogError> {
    let subscriber = fmt()
        .with_env_filter(EnvFilter::try_new(&log.filter)?)
        .with_ansi(false)
        .with_writer(OneLine);
    match log.format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().flatten_event(true).try_init(),
    }
    .map_err(|_| LogError::Twice)
}

/// An error and its causes as one sentence; a cause that is in the text already is not said
/// twice.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

/// Standard error, one line for each event: control characters inside it are escaped, so that
/// nothing a provider or a caller sends can forge a line or steer a terminal.
#[derive(Clone, Copy, Debug)]
struct OneLine;

impl MakeWriter<'_> for OneLine {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

impl Write for OneLine {
    /// The subscriber hands over one whole event.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(&one_line(event))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

fn one_line(event: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(event);
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let mut out = String::with_capacity(event.len() + 1);
    for character in line.chars() {
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out.push('\n');
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_says_everything_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer: inner")]
        struct Outer(#[source] Inner);
        #[derive(Debug, thiserror::Error)]
        #[error("inner")]
        struct Inner(#[source] std::fmt::Error);
        let text = chain(&Outer(Inner(std::fmt::Error)));
        assert!(text.starts_with("outer: inner: an error"), "{text}");
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let forged = one_line("a\nERROR forged \u{1b}[2J\u{9b}ü\n".as_bytes());
        assert_eq!(
            String::from_utf8(forged).unwrap(),
            "a\\nERROR forged \\u{1b}[2J\\u{9b}ü\n"
        );
    }
}
