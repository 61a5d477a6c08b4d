//! The host's side of `wit/`, generated, and the linker over it.

#![expect(missing_docs, unreachable_pub, reason = "generated code")]

use wasmtime::{
    Engine,
    component::{HasSelf, Linker},
};

use super::{LoadError, call::State};

wasmtime::component::bindgen!({
    path: "../wit",
    world: "connector-plugin",
    imports: {
        "jackfield:connector/http.send": async | trappable,
        "jackfield:connector/secrets.names": async | trappable,
        "jackfield:connector/secrets.hmac-sha256": async | trappable,
        "jackfield:connector/secrets.sign-jwt": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});

/// The optional interface `webhooks`.
pub mod inbound {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "webhooks-plugin",
        with: { "jackfield:connector/types": super::jackfield::connector::types },
        exports: { default: async },
    });
    pub use self::exports::jackfield::connector::webhooks::*;
}

/// The optional interface `discovery`.
pub mod fields {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "discovery-plugin",
        with: { "jackfield:connector/types": super::jackfield::connector::types },
        exports: { default: async },
    });
    pub use self::exports::jackfield::connector::discovery::*;
}

/// The optional interface `choices`.
pub mod chosen {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "choices-plugin",
        with: { "jackfield:connector/types": super::jackfield::connector::types },
        exports: { default: async },
    });
    pub use self::exports::jackfield::connector::choices::*;
}

pub use self::jackfield::connector::{clock, http, log, secrets, types};

/// Everything that a connector may import, as functions over [`State`]. A pure call has the same
/// names: its state makes them trap.
pub(super) fn linker(engine: &Engine) -> Result<Linker<State>, LoadError> {
    let mut linker = Linker::new(engine);
    ConnectorPlugin::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)
        .map_err(LoadError::Engine)?;
    Ok(linker)
}
