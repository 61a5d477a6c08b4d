//! `jackfield dev`: from a fresh checkout to a working `curl`, with no questions asked.

#![expect(clippy::print_stdout, reason = "this command talks to a person")]

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{App, bind, stop_signal};
use crate::{
    access::Link,
    author,
    config::Config,
    demo::{self, Demo},
    http,
    model::{
        Environment, LinkedUser, Manifest, Project, ProjectId, Slug, SystemEntropy,
        consent::ConsentPolicy,
    },
    telemetry,
    unify::ConnectRequest,
    vault::{FileKeys, Key, Vault},
};

/// The connector of the demo provider.
const DEMO: &str = "demo-crm";
/// Where manifests say that the demo provider is.
const DEMO_ADDRESS: &str = "http://demo.jackfield.localhost";
/// The linked user that it is connected for.
const DEMO_USER: &str = "demo-user";

/// What `jackfield dev` is told.
#[derive(Clone, Debug)]
pub struct DevArgs {
    /// Where the API listens; the configuration's where none is given.
    pub listen: Option<SocketAddr>,
    /// Where everything is kept.
    pub data_dir: Option<PathBuf>,
    /// Connector crates (built and watched) and `.wasm` files (served).
    pub plugins: Option<PathBuf>,
}

/// What scripts need to know, written to `DIR/dev.json` for this user only.
#[derive(Debug, Serialize, Deserialize)]
struct DevFile {
    base_url: String,
    /// Signs a browser in, as long as this process runs.
    dashboard_url: Option<String>,
    api_key: String,
    project_id: String,
    linked_user_id: String,
    /// Connector to connection token.
    connections: BTreeMap<String, String>,
    demo_provider_url: String,
}

/// Builds the connectors, starts the server with a demo provider beside it, connects them, says
/// how to use it, and rebuilds connectors when their source changes. Ends when asked to stop.
///
/// # Errors
/// A port is taken, or a file cannot be written.
pub async fn dev(args: DevArgs) -> Result<()> {
    let mut config = Config::load(None)?;
    if let Some(listen) = args.listen {
        config.listen = listen;
    }
    if let Some(data_dir) = args.data_dir {
        config.data_dir = data_dir;
    }
    if let Some(plugins) = args.plugins {
        config.plugins_dir = plugins;
    }
    // Whoever writes connectors has put them there himself.
    config.consent.policy = ConsentPolicy::Auto;
    telemetry::init(&config.log)?;
    let built = config.data_dir.join("connectors");
    fs::create_dir_all(&built).with_context(|| format!("{} cannot be made", built.display()))?;
    let _alone = alone(&config.data_dir)?;
    // Ports first: a taken one should not cost a minute of building.
    let listener = bind(config.listen).await?;
    let provider = bind_provider(listener.local_addr()?).await?;
    let provider_url = Url::parse(&format!("http://{}/", provider.local_addr()?))?;
    let stop = stop_signal();

    let sources = author::SourceWatch::new(&config.plugins_dir);
    let crates = sources.crates();
    forget_others(&built, &crates)?;
    build_all(&crates, &built).await;

    let demo = Demo::new(demo::Options::default());
    tokio::spawn(http::serve(
        provider,
        demo.router(),
        http::Limits::new(&config.http),
        stop.clone(),
    ));
    reach_demo(&mut config, &provider_url, &crates)?;
    let key_file = config.data_dir.join("key");
    Key::load_or_create(&key_file, &SystemEntropy)?;
    let keys = Arc::new(FileKeys::new(key_file, Arc::new(SystemEntropy)));
    let folders = vec![built.clone(), config.plugins_dir.clone()];
    let data_dir = config.data_dir.clone();
    let app = App::build(config, keys, folders).await?;
    let address = listener.local_addr()?;
    let base_url = app.config.public_url(address);
    let (access, dashboard) = app.access(address).for_development().await?;
    let path = data_dir.join("dev.json");
    let file = prepare(&app, &base_url, &provider_url, &dashboard, &path).await?;
    welcome(&file, &app, &data_dir);
    tokio::spawn(keep_built(sources, built, stop.clone()));
    app.run(listener, access, stop).await
}

/// Holds the folder until it is dropped: two servers would take each other's files away.
fn alone(data_dir: &Path) -> Result<fs::File> {
    let path = data_dir.join("dev.lock");
    let file =
        fs::File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => anyhow::bail!(
            "another `jackfield dev` uses the folder {}; stop it, or give this one a folder of its own with --data-dir",
            data_dir.display()
        ),
        Err(fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("{} cannot be locked", path.display()))
        }
    }
}

/// The port after the API's where it is free, so that addresses stay the same from run to run.
async fn bind_provider(api: SocketAddr) -> Result<TcpListener> {
    let next = api.port().checked_add(1).unwrap_or_default();
    match TcpListener::bind((api.ip(), next)).await {
        Ok(listener) => Ok(listener),
        Err(_) => bind(SocketAddr::new(api.ip(), 0)).await,
    }
}

/// Deletes what was built of crates that are gone, so that it is not served for ever.
fn forget_others(built: &Path, crates: &[PathBuf]) -> Result<()> {
    let known: Vec<_> = crates.iter().filter_map(|one| one.file_name()).collect();
    for entry in fs::read_dir(built)?.flatten() {
        let path = entry.path();
        let of_crate = path.file_stem().is_some_and(|stem| known.contains(&stem));
        if !of_crate && path.is_file() {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Builds connectors. What is served of one that does not build is the version before, if any.
async fn build_all(crates: &[PathBuf], built: &Path) {
    let mut failed = Vec::new();
    for dir in crates {
        match author::build(dir, built, &|line| println!("{line}")).await {
            Ok(done) => println!(
                "built {} {} ({} KiB) in {:.1} s",
                done.slug,
                done.version,
                done.bytes / 1024,
                done.seconds
            ),
            Err(error) => {
                println!("{:#}", anyhow::Error::from(error));
                failed.push(dir.display().to_string());
            }
        }
    }
    if !failed.is_empty() {
        println!(
            "not built, to be tried again when their source changes: {}",
            failed.join(", ")
        );
    }
}

/// Points the demo connector at the provider beside this server, and every other one that names its
/// address. Only this command does so: the address in the manifest does not exist.
fn reach_demo(config: &mut Config, provider: &Url, crates: &[PathBuf]) -> Result<()> {
    for (slug, endpoint) in crates.iter().flat_map(|dir| speak_to_demo(dir)) {
        let one = config.connectors.entry(slug).or_default();
        one.endpoints
            .entry(endpoint)
            .or_insert_with(|| provider.clone());
    }
    let demo = config.connectors.entry(DEMO.parse()?).or_default();
    demo.endpoints.insert("api".to_owned(), provider.clone());
    demo.oauth.client_id = Some(demo::CLIENT_ID.to_owned());
    demo.oauth.client_secret = Some(SecretString::from(demo::CLIENT_SECRET));
    demo.oauth.authorize_url = Some(provider.join("oauth/authorize")?);
    demo.oauth.token_url = Some(provider.join("oauth/token")?);
    demo.oauth.revoke_url = Some(provider.join("oauth/revoke")?);
    if let Some(host) = provider.host_str() {
        let address: std::net::IpAddr = host.trim_matches(['[', ']']).parse()?;
        config.egress.allow_private.push(address.into());
    }
    Ok(())
}

/// The endpoints of a connector that are the demo provider's.
fn speak_to_demo(dir: &Path) -> Vec<(Slug, String)> {
    let text = fs::read_to_string(dir.join("connector.toml")).unwrap_or_default();
    let Ok(manifest) = Manifest::parse(&text) else {
        return Vec::new();
    };
    let endpoints = manifest.endpoints.iter();
    let theirs = endpoints.filter(|(_, endpoint)| {
        endpoint.production.to_string().trim_end_matches('/') == DEMO_ADDRESS
    });
    theirs
        .map(|(name, _)| (manifest.slug.clone(), name.clone()))
        .collect()
}

/// A project, a key, a linked user and a connection to the demo provider: those of the last run
/// where they are still good.
async fn prepare(
    app: &App,
    base_url: &Url,
    provider_url: &Url,
    dashboard: &Link,
    path: &Path,
) -> Result<DevFile> {
    let last: Option<DevFile> = fs::read(path)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let (project, api_key) = match project_of(app, last.as_ref()).await? {
        Some(found) => found,
        None => {
            let project = app
                .store
                .create_project("Development", Environment::Sandbox)
                .await?;
            let (key, hash, hint) = app.vault.new_api_key();
            app.store
                .create_api_key(project.id, "jackfield dev", hash, &hint)
                .await?;
            (project, key)
        }
    };
    let linked_user = match app
        .store
        .linked_user_by_origin(project.id, DEMO_USER)
        .await?
    {
        Some(found) => found,
        None => {
            app.store
                .create_linked_user(project.id, DEMO_USER, "Demo user")
                .await?
        }
    };
    if app.runtime.active(&DEMO.parse()?).is_some()
        && let Err(error) = connect_demo(app, project.id, &linked_user).await
    {
        println!("the demo provider is not connected: {error:#}");
    }
    let mut connections = BTreeMap::new();
    let mut demo_connection = String::new();
    let mut stored = app.store.connections(project.id).await?;
    // Other customers may be connected too: what is written down is the demo user's where it can be.
    stored.sort_by_key(|(connection, _)| connection.linked_user == linked_user.id);
    for (connection, sealed) in stored {
        if connection.connector.as_str() == DEMO {
            if connection.linked_user != linked_user.id {
                continue;
            }
            demo_connection = connection.id.to_string();
        }
        let token = app.vault.connection_token(&connection, &sealed)?;
        connections.insert(
            connection.connector.to_string(),
            token.expose_secret().to_owned(),
        );
    }
    let file = DevFile {
        base_url: base_url.as_str().trim_end_matches('/').to_owned(),
        dashboard_url: Some(dashboard.expose().to_owned()),
        api_key: api_key.expose_secret().to_owned(),
        project_id: project.id.to_string(),
        linked_user_id: linked_user.id.to_string(),
        connections,
        demo_provider_url: provider_url.as_str().trim_end_matches('/').to_owned(),
    };
    let for_shells = path.with_extension("env");
    write_private(&for_shells, exports(&file, &demo_connection).as_bytes())
        .with_context(|| format!("{} cannot be written", for_shells.display()))?;
    write_private(path, &serde_json::to_vec_pretty(&file)?)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(file)
}

/// What a person at a shell needs, and what the snippets of the documentation use. The values
/// need no quotes of the shell: they are URLs, keys and ids of ours.
fn exports(file: &DevFile, demo_connection: &str) -> String {
    let token = file.connections.get(DEMO).map_or("", String::as_str);
    let (api, key, provider) = (&file.base_url, &file.api_key, &file.demo_provider_url);
    format!(
        "export API={api}\nexport KEY={key}\nexport TOKEN={token}\nexport CONNECTION={demo_connection}\nexport PROVIDER={provider}\n"
    )
}

async fn project_of(app: &App, last: Option<&DevFile>) -> Result<Option<(Project, SecretString)>> {
    let Some(last) = last else {
        return Ok(None);
    };
    let Some(hash) = Vault::parse_api_key(&last.api_key) else {
        return Ok(None);
    };
    let found = app.store.project_by_api_key(&hash).await?;
    Ok(found.map(|(_, project)| (project, SecretString::from(last.api_key.as_str()))))
}

async fn connect_demo(app: &App, project: ProjectId, linked_user: &LinkedUser) -> Result<()> {
    let slug: Slug = DEMO.parse()?;
    let there = app.store.connections(project).await?;
    let connected = there.iter().any(|(connection, _)| {
        connection.connector == slug && connection.linked_user == linked_user.id
    });
    if connected {
        return Ok(());
    }
    let request = ConnectRequest {
        project,
        linked_user: linked_user.id,
        connector: slug,
        scheme: None,
        vertical: None,
        environment: Environment::Sandbox,
        fields: BTreeMap::from([("api_key".to_owned(), demo::API_KEY.to_owned())]),
        account: None,
    };
    app.unify.connect(request).await?;
    Ok(())
}

/// Written whole under another name first: a script never reads half a file.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    // Temporary files are made for this user only (mode 0600).
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn welcome(file: &DevFile, app: &App, data_dir: &Path) {
    let base = &file.base_url;
    let key = &file.api_key;
    println!();
    println!("Jackfield is ready at {base}");
    if let Some(dashboard) = &file.dashboard_url {
        println!("  dashboard      {dashboard}");
    }
    println!("  connectors     {}", loaded(app));
    println!(
        "  demo provider  {} (a fake CRM; nothing in it is real)",
        file.demo_provider_url
    );
    println!("  for scripts    {}", data_dir.join("dev.json").display());
    println!(
        "  for shells     source {}",
        data_dir.join("dev.env").display()
    );
    let Some(token) = file.connections.get(DEMO) else {
        println!();
        println!("No demo connection. The connectors:");
        println!("  curl -H 'x-api-key: {key}' {base}/connectors");
        return;
    };
    println!();
    println!("Two contacts, as every CRM will show them:");
    println!(
        "  curl -H 'x-api-key: {key}' -H 'x-connection-token: {token}' '{base}/crm/contacts?limit=2'"
    );
    println!("A new one, written through to the provider:");
    println!(
        "  curl -H 'x-api-key: {key}' -H 'x-connection-token: {token}' -H 'content-type: application/json' -d '{{\"first_name\":\"Ada\",\"last_name\":\"Lovelace\"}}' {base}/crm/contacts"
    );
    println!("The connectors, and what each may reach:");
    println!("  curl -H 'x-api-key: {key}' {base}/connectors");
    println!();
    println!("Change a connector's source and it is rebuilt and swapped in. Ctrl-C stops.");
}

fn loaded(app: &App) -> String {
    let names: Vec<String> = app
        .runtime
        .all_active()
        .iter()
        .map(|version| format!("{} {}", version.manifest().slug, version.manifest().version))
        .collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// Builds a connector again whenever its source changes. The runtime notices the new file.
async fn keep_built(mut sources: author::SourceWatch, built: PathBuf, stop: CancellationToken) {
    loop {
        let changed = tokio::select! {
            () = stop.cancelled() => return,
            changed = sources.changed() => changed,
        };
        for dir in &changed {
            println!("{} changed; building", dir.display());
        }
        build_all(&changed, &built).await;
    }
}
