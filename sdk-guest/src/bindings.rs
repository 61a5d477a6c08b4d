//! The only place on the guest's side where bindings of `wit/` are generated.

wit_bindgen::generate!({
    path: "../wit",
    world: "connector-plugin",
    pub_export_macro: true,
    export_macro_name: "export_bindings",
    default_bindings_module: "jackfield_sdk::bindings",
    additional_derives: [PartialEq],
});

/// The optional interface `webhooks`. Its part of the component's type is embedded by its own
/// macro, so that a connector without it exports nothing of it.
pub mod webhooks {
    wit_bindgen::generate!({
        path: "../wit",
        world: "webhooks-plugin",
        with: { "jackfield:connector/types@0.1.0": super::jackfield::connector::types },
        pub_export_macro: true,
        export_macro_name: "export_webhooks",
        default_bindings_module: "jackfield_sdk::bindings::webhooks",
        additional_derives: [PartialEq],
    });
}

/// The optional interface `discovery`.
pub mod discovery {
    wit_bindgen::generate!({
        path: "../wit",
        world: "discovery-plugin",
        with: { "jackfield:connector/types@0.1.0": super::jackfield::connector::types },
        pub_export_macro: true,
        export_macro_name: "export_discovery",
        default_bindings_module: "jackfield_sdk::bindings::discovery",
        additional_derives: [PartialEq],
    });
}

/// The optional interface `choices`.
pub mod choices {
    wit_bindgen::generate!({
        path: "../wit",
        world: "choices-plugin",
        with: { "jackfield:connector/types@0.1.0": super::jackfield::connector::types },
        pub_export_macro: true,
        export_macro_name: "export_choices",
        default_bindings_module: "jackfield_sdk::bindings::choices",
        additional_derives: [PartialEq],
    });
}
