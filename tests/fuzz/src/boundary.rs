//! Answers of a guest that are no answers.

use std::{
    fs,
    sync::{Arc, LazyLock},
    time::Duration,
};

use jackfield::{
    egress::{Egress, Policy},
    model::{ObjectKind, SystemClock},
    runtime::{Compiler, ConnectorVersion, Options},
};
use tempfile::TempDir;
use tokio::runtime::Runtime as Tokio;

use crate::guest;

/// A guest whose `unify` says that its answer stands where the records are that it was given: the
/// host then reads any bytes as discriminants, pointers and lengths.
struct Stand {
    tokio: Tokio,
    version: Arc<ConnectorVersion>,
    _folder: TempDir,
}

static STAND: LazyLock<Stand> = LazyLock::new(stand);

/// Text that the host takes for the memory of an answer.
///
/// # Panics
/// A promise is broken.
pub fn boundary(data: &[u8]) {
    let stand = &*STAND;
    let kind = ObjectKind::parse("crm.contact").expect("it is an object");
    let text = String::from_utf8_lossy(data).into_owned();
    // Whatever it says: the next call works.
    drop(stand.tokio.block_on(stand.version.unify(kind, text, &[])));
}

fn stand() -> Stand {
    let tokio = Tokio::new().expect("a runtime can be made");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let plugins = folder.path().join("plugins");
    fs::create_dir(&plugins).expect("the folder can be written");
    let mut echo = guest::good("echo", "[{}]");
    echo.unify = "(local.get 2)";
    fs::write(plugins.join("echo.wasm"), echo.bytes()).expect("the folder can be written");
    let options = Options {
        folders: vec![plugins],
        cache_dir: folder.path().join("cache"),
        poll: Duration::from_secs(3600),
        max_memory_mib: 32,
        call_timeout: Duration::from_secs(30),
        exchange_timeout: Duration::from_secs(10),
        cpu_timeout: Duration::from_secs(5),
        max_output: 64 * 1024,
        max_response: 64 * 1024,
        max_transfer: 1024 * 1024,
        max_instances: 8,
        compiler: Compiler::InProcess,
        endpoints: std::collections::BTreeMap::new(),
    };
    let _entered = tokio.enter();
    let egress = Egress::new(Policy::default()).expect("a client can be made");
    let runtime = jackfield::runtime::Runtime::new(options, egress, Arc::new(SystemClock))
        .expect("a runtime can be made");
    while tokio.block_on(runtime.look()) {}
    let slug = "echo".parse().expect("it is a slug");
    let version = runtime.active(&slug).expect("the connector is good");
    Stand {
        tokio,
        version,
        _folder: folder,
    }
}
