//! What an operator does with connectors on the command line. A running server notices by itself.

use std::{
    fs,
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    path::PathBuf,
    sync::Arc,
};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use crate::{
    app, author,
    cli::{ConfigArgs, note, print},
    config::Config,
    market::{Decision, Market, Offer},
    model::{
        Asked, Slug, SystemClock,
        consent::{Book, KnownVersion, Standing, Wanted},
    },
    runtime::{CompileLimits, Compiler},
    store::Store,
};

const ACTOR: &str = "cli";

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Show all connectors that the database knows, and what waits for consent.
    List {
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Show what the version that waits asks for, against what was granted.
    Diff {
        #[command(flatten)]
        connector: Connector,
    },
    /// Allow the version that waits (or was rolled back last) what it asks for.
    #[command(
        after_help = "Example:\n  jackfield connector diff hubspot\n  jackfield connector grant hubspot"
    )]
    Grant {
        #[command(flatten)]
        connector: Connector,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Take back everything that was granted: nothing of the connector serves any more.
    Revoke {
        #[command(flatten)]
        connector: Connector,
    },
    /// Let an earlier version serve.
    Rollback {
        #[command(flatten)]
        connector: Connector,
        /// A version, or the beginning of a digest [default: the version before]
        #[arg(long, value_name = "VERSION")]
        to: Option<String>,
    },
    /// Let a connector not serve.
    Disable {
        #[command(flatten)]
        connector: Connector,
    },
    /// Let a connector serve again.
    Enable {
        #[command(flatten)]
        connector: Connector,
    },
    /// Undo an installation; a file in the folder may serve then.
    Uninstall {
        #[command(flatten)]
        connector: Connector,
    },
}

/// Which connector, of which server.
#[derive(Debug, Args)]
pub(in crate::cli) struct Connector {
    /// Its name in URLs
    slug: Slug,
    #[command(flatten)]
    config: ConfigArgs,
}

impl Command {
    pub(in crate::cli) async fn run(self) -> Result<()> {
        match self {
            Self::List { config } => list(&config).await,
            Self::Diff { connector } => {
                let (store, book) = connector.open().await?;
                store.close().await;
                print(&difference(&book))
            }
            Self::Grant { connector, yes } => {
                let (store, book) = connector.open().await?;
                let expected = book.pending().map(|known| known.asked.hash());
                if expected.is_some() && !yes {
                    note(&difference(&book));
                    ask("Grant this?")?;
                }
                connector.decide(&store, Decision::Grant(expected)).await
            }
            Self::Revoke { connector } => connector.open_and(Decision::Revoke).await,
            Self::Rollback { connector, to } => connector.open_and(Decision::RollBack(to)).await,
            Self::Disable { connector } => connector.open_and(Decision::Disable).await,
            Self::Enable { connector } => connector.open_and(Decision::Enable).await,
            Self::Uninstall { connector } => connector.open_and(Decision::Uninstall).await,
        }
    }
}

impl Connector {
    async fn open(&self) -> Result<(Store, Book)> {
        let store = app::open_store(&self.config.load()?).await?;
        match store.connector_books().await?.books.remove(&self.slug) {
            Some(book) => Ok((store, book)),
            None => bail!(
                "nothing is known of a connector {}; `jackfield connector list` shows all",
                self.slug
            ),
        }
    }

    async fn open_and(&self, decision: Decision) -> Result<()> {
        let (store, _) = self.open().await?;
        self.decide(&store, decision).await
    }

    async fn decide(&self, store: &Store, decision: Decision) -> Result<()> {
        let market = Market::new(store.clone(), Arc::new(SystemClock));
        let book = market.decide(&self.slug, decision, ACTOR).await?;
        store.close().await;
        print(&line(&book))
    }
}

async fn list(config: &ConfigArgs) -> Result<()> {
    let store = app::open_store(&config.load()?).await?;
    let books = store.connector_books().await?;
    store.close().await;
    print(&books.books.values().map(line).collect::<String>())
}

/// How a connector stands, in a line.
fn line(book: &Book) -> String {
    let version = book.serving().map_or("-", |known| &known.version);
    let mut how = Vec::new();
    if let Some(at) = book.disabled_at {
        how.push(format!("disabled since {at}"));
    }
    if let Some((until, reason)) = &book.suspended {
        how.push(format!("suspended until {until}: {reason}"));
    }
    if book.standing_grants().next().is_none() {
        how.push("nothing is granted".to_owned());
    }
    if let Some(pending) = book.pending() {
        how.push(format!("{} waits for consent", pending.version));
    }
    let publisher = book.serving().map_or("", |known| &known.publisher);
    if how.is_empty() {
        how.push("serves".to_owned());
    }
    let how = how.join(", ");
    format!(
        "{:24} {version:10} {how}  ({publisher})\n",
        book.slug.as_str()
    )
}

fn difference(book: &Book) -> String {
    let Some(wanted) = book.pending().or_else(|| last_rolled_back(book)) else {
        return format!("No version of {} waits for consent.\n", book.slug);
    };
    let serving = book.serving().filter(|known| known.digest != wanted.digest);
    let mut lines = vec![format!(
        "{} {} by {}",
        book.slug, wanted.version, wanted.publisher
    )];
    lines.extend(wanted.reason.clone());
    if let Some(serving) = serving {
        let (version, publisher) = (&serving.version, &serving.publisher);
        lines.push(format!("against {version} by {publisher}, which serves:"));
        let gone = serving.asked.beyond(&wanted.asked);
        lines.extend(gone.iter().map(|line| format!("- {line}")));
    }
    let added = book.beyond(&wanted.publisher, &wanted.asked);
    let added = added.unwrap_or_else(|| wanted.asked.lines().to_vec());
    lines.extend(signed(&wanted.asked, &added));
    lines.push(format!("permission hash {}\n", wanted.asked.hash()));
    lines.join("\n")
}

/// Lines with a plus before those that are new.
fn signed<'lines>(
    asked: &'lines Asked,
    added: &'lines [String],
) -> impl Iterator<Item = String> + 'lines {
    asked.lines().iter().map(|line| match added.contains(line) {
        true => format!("+ {line}"),
        false => format!("  {line}"),
    })
}

fn last_rolled_back(book: &Book) -> Option<&KnownVersion> {
    let versions = book.versions.iter();
    let rolled_back = versions.filter(|known| known.standing == Standing::RolledBack);
    rolled_back.max_by_key(|known| known.seen_at)
}

/// Shows what a connector asks for, asks, tries it and installs it.
pub(super) async fn install(
    config: &Config,
    store: &Store,
    offer: &Offer,
    yes: bool,
    wanted: Wanted,
) -> Result<()> {
    let market = Market::new(store.clone(), Arc::new(SystemClock));
    let book = market.book(offer.slug()).await?;
    let announced = &offer.announced;
    app::gate_options(config, PathBuf::new())?.check_signature(announced)?;
    let mut lines = vec![format!(
        "{} {} ({}) by {}\n  {}\nIt asks for:",
        offer.slug(),
        announced.manifest.version,
        announced.manifest.name,
        announced.publisher(),
        announced.manifest.description
    )];
    lines.extend(signed(&announced.asked, &offer.added(book.as_ref())));
    note(&lines.join("\n"));
    let publisher = announced.publisher();
    if let Some(former) = book
        .as_ref()
        .and_then(|book| book.other_publisher(&publisher))
    {
        note(&format!("So far, {} was by {former}.", offer.slug()));
    }
    if !yes {
        ask("Install it?")?;
    }
    let copy = tempfile::Builder::new().suffix(".wasm").tempfile()?;
    fs::write(copy.path(), offer.bytes())?;
    let report = author::validate_path(
        copy.path(),
        None,
        Compiler::this_program(CompileLimits::default()),
        &|_| {},
    )
    .await?;
    if !report.ok {
        bail!("it would not be served:\n{report}");
    }
    let hash = announced.asked.hash();
    let book = market.install(offer, hash, wanted, ACTOR).await?;
    print(&line(&book))
}

/// Goes on where somebody says yes.
fn ask(question: &str) -> Result<()> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        bail!("nobody is there to say yes; give --yes");
    }
    write!(io::stderr(), "{question} [y/N] ")?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => bail!("nothing is changed"),
    }
}
