//! The only place on the guest's side where bindings of `wit/` are generated.

wit_bindgen::generate!({
    path: "../wit",
    world: "connector-plugin",
    pub_export_macro: true,
    export_macro_name: "export_bindings",
    default_bindings_module: "jackfield_sdk::bindings",
    additional_derives: [PartialEq],
});
