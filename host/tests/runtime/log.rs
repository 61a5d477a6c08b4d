//! The lines that connectors log, for tests that count them.

use std::{
    fmt::Debug,
    sync::{Mutex, Once, PoisonError},
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
};

static LINES: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// Begins to keep lines.
pub(crate) fn keep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::registry().with(Keeper);
        tracing::subscriber::set_global_default(subscriber).expect("nobody else sets it");
    });
}

/// The lines that mention a connector, since [`keep`].
pub(crate) fn lines(connector: &str) -> Vec<String> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let of_connector = lines.iter().filter(|(name, _)| name == connector);
    of_connector.map(|(_, line)| line.clone()).collect()
}

struct Keeper;

impl<S: Subscriber> Layer<S> for Keeper {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        if let Some(connector) = line.connector {
            let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
            lines.push((connector, line.message));
        }
    }
}

#[derive(Default)]
struct Line {
    connector: Option<String>,
    message: String,
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "connector" {
            self.connector = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "connector" => self.connector = Some(format!("{value:?}")),
            _ => {}
        }
    }
}
