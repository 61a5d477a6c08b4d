//! From a [`Connector`] to the exports of a component.

use serde_json::value::RawValue;

use crate::bindings::choices::exports::jackfield::connector::choices;
use crate::bindings::discovery::exports::jackfield::connector::discovery;
use crate::bindings::exports::jackfield::connector::connector::Guest;
use crate::bindings::webhooks::exports::jackfield::connector::webhooks;
use crate::document::{Document, Fields, Json};
use crate::{
    Account, Choices, Connection, Connector, Discovery, Failure, FetchRequest, FieldMapping,
    Invalid, PushRequest, Webhooks,
};

/// Makes the crate a connector: exports the implementation and embeds the manifest.
///
/// Paths are relative to the crate's folder. `samples` are fixtures whose `documents` show which fields the
/// connector fills: the catalogue's coverage is computed from them, so they are embedded too, 256 KiB at most. Then
/// come the optional interfaces that the type implements, [`webhooks`](crate::Webhooks),
/// [`discovery`](crate::Discovery) and [`choices`](crate::Choices).
///
/// ```
/// # use jackfield_sdk::{Account, Connection, Connector, Failure};
/// struct Example;
/// # impl Connector for Example {
/// #     fn authenticate(_: &Connection) -> Result<Vec<Account>, Failure> { Ok(vec![Account::new(1)]) }
/// # }
/// # macro_rules! export_connector {
/// #     ($name:ident, manifest = $path:literal) => { jackfield_sdk::export_connector!($name, manifest = "Cargo.toml"); };
/// # }
/// export_connector!(Example, manifest = "connector.toml");
/// ```
#[macro_export]
macro_rules! export_connector {
    (
        $connector:ident,
        manifest = $path:literal,
        samples = [$($sample:literal),* $(,)?]
        $(, $interface:ident)* $(,)?
    ) => {
        $(
            const _: () = {
                const SAMPLE: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $sample));

                // The linker joins sections of one name: the host reads one JSON document after the other.
                #[cfg(target_arch = "wasm32")]
                #[used]
                #[unsafe(link_section = "jackfield:samples")]
                static SECTION: [u8; SAMPLE.len()] =
                    *include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $sample));

                #[cfg(not(target_arch = "wasm32"))]
                const _: &[u8] = SAMPLE;
            };
        )*

        $crate::export_connector!($connector, manifest = $path $(, $interface)*);
    };

    ($connector:ident, manifest = $path:literal $(, $interface:ident)* $(,)?) => {
        $($crate::export_optional!($interface, $connector);)*

        const _: () = {
            const MANIFEST: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $path));

            // Elsewhere than in a component the section would have no reader, and its name no meaning.
            #[cfg(target_arch = "wasm32")]
            #[used]
            #[unsafe(link_section = "jackfield:manifest")]
            static SECTION: [u8; MANIFEST.len()] =
                *include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $path));

            #[cfg(not(target_arch = "wasm32"))]
            const _: &[u8] = MANIFEST;
        };

        #[cfg(target_arch = "wasm32")]
        $crate::bindings::export_bindings!($connector with_types_in $crate::bindings);
    };
}

/// One of the optional interfaces, by its name.
#[doc(hidden)]
#[macro_export]
macro_rules! export_optional {
    (webhooks, $connector:ident) => {
        const _: fn() = || {
            const fn implements<T: $crate::Webhooks>() {}
            implements::<$connector>();
        };
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::webhooks::export_webhooks!($connector with_types_in $crate::bindings::webhooks);
    };
    (discovery, $connector:ident) => {
        const _: fn() = || {
            const fn implements<T: $crate::Discovery>() {}
            implements::<$connector>();
        };
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::discovery::export_discovery!($connector with_types_in $crate::bindings::discovery);
    };
    (choices, $connector:ident) => {
        const _: fn() = || {
            const fn implements<T: $crate::Choices>() {}
            implements::<$connector>();
        };
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::choices::export_choices!($connector with_types_in $crate::bindings::choices);
    };
}

impl<T: Webhooks> webhooks::Guest for T {
    fn receive(request: webhooks::Incoming) -> Result<webhooks::Receipt, webhooks::Rejection> {
        report_panics();
        <T as Webhooks>::receive(&request)
    }
}

impl<T: Discovery> discovery::Guest for T {
    fn remote_fields(
        connection: Connection,
        object: String,
    ) -> Result<Vec<discovery::RemoteField>, Failure> {
        report_panics();
        <T as Discovery>::remote_fields(&connection, &object)
    }
}

impl<T: Choices> choices::Guest for T {
    fn setting_choices(
        connection: Connection,
        setting: String,
    ) -> Result<Vec<choices::Choice>, Failure> {
        report_panics();
        <T as Choices>::setting_choices(&connection, &setting)
    }
}

impl<T: Connector> Guest for T {
    fn authenticate(connection: Connection) -> Result<Vec<Account>, Failure> {
        report_panics();
        <T as Connector>::authenticate(&connection)
    }

    fn fetch_records(
        connection: Connection,
        request: FetchRequest,
    ) -> Result<crate::bindings::jackfield::connector::types::RecordPage, Failure> {
        report_panics();
        let page = <T as Connector>::fetch_records(&connection, &request)?;
        Ok(crate::bindings::jackfield::connector::types::RecordPage {
            records: serde_json::to_string(&page.records).map_err(Failure::unexpected)?,
            next_cursor: page.next_cursor,
            total: page.total,
        })
    }

    fn push_record(connection: Connection, request: PushRequest) -> Result<String, Failure> {
        report_panics();
        let record = <T as Connector>::push_record(&connection, &request)?;
        serde_json::to_string(&record).map_err(Failure::unexpected)
    }

    fn unify(
        object: String,
        records: String,
        fields: Vec<FieldMapping>,
    ) -> Result<String, Failure> {
        report_panics();
        let documents: Vec<&RawValue> =
            serde_json::from_str(&records).map_err(Failure::unexpected)?;
        let mut answer = String::with_capacity(records.len());
        answer.push('[');
        for (index, document) in documents.into_iter().enumerate() {
            if index > 0 {
                answer.push(',');
            }
            match <T as Connector>::unify(
                &object,
                Document::new(document.get()),
                Fields::new(&fields),
            ) {
                Ok(unified) => answer.push_str(unified.as_str()),
                Err(Failure::Invalid(invalid)) => {
                    answer.push_str(Json::from(Refused::from(invalid)).as_str());
                }
                Err(failure) => return Err(failure),
            }
        }
        answer.push(']');
        Ok(answer)
    }

    fn desunify(
        object: String,
        unified: String,
        fields: Vec<FieldMapping>,
    ) -> Result<String, Failure> {
        report_panics();
        <T as Connector>::desunify(&object, Document::new(&unified), Fields::new(&fields))
            .map(Json::into_string)
    }
}

/// The entry in place of a document that could not be translated.
#[derive(serde::Serialize)]
struct Refused {
    error: Reason,
}

#[derive(serde::Serialize)]
struct Reason {
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    message: String,
}

impl From<Invalid> for Refused {
    fn from(Invalid { field, message }: Invalid) -> Self {
        Self {
            error: Reason { field, message },
        }
    }
}

/// Lets the host's log know the message and the place of a panic, before it ends as a trap without words.
#[cfg(target_arch = "wasm32")]
fn report_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| crate::log::error(&panic.to_string())));
    });
}

/// Natively the test runner shows panics.
#[cfg(not(target_arch = "wasm32"))]
const fn report_panics() {}
