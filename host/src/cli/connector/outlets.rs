//! Connectors from and for other hosts: registries and indexes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};

use super::operator::install;
use crate::{
    app,
    cli::{ConfigArgs, note, print},
    config::Config,
    market::{Index, Offer, Outlets, Reference},
    model::{Slug, consent::Wanted},
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Install a connector for all servers of the database: a file, a place in a registry, or a
    /// name that an index lists.
    #[command(
        after_help = "Examples:\n  jackfield connector install ./hubspot.wasm\n  jackfield connector install oci://ghcr.io/acme/hubspot:1.2.0\n  jackfield connector install hubspot"
    )]
    Install(Install),
    /// Install newer versions of what came from registries and indexes.
    Update {
        /// The connector [default: all]
        slug: Option<Slug>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Show what the configured indexes list.
    Search {
        /// A word in name or description [default: all]
        word: Option<String>,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Put a connector into a registry, under its version.
    #[command(
        after_help = "Example:\n  jackfield connector sign acme-crm.wasm --key acme.key\n  jackfield connector publish acme-crm.wasm oci://ghcr.io/acme/acme-crm"
    )]
    Publish {
        /// The file
        #[arg(value_name = "FILE")]
        wasm: PathBuf,
        /// Where to
        reference: Reference,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Print an index of connectors: of files, of registries' repositories, or of both.
    #[command(
        after_help = "Examples:\n  jackfield connector index ./public > ./public/index.json\n  jackfield connector index oci://ghcr.io/acme/acme-crm --to oci://ghcr.io/acme/index:latest"
    )]
    Index {
        /// Folders with `.wasm` files, and places in registries (all versions of a repository)
        #[arg(required = true)]
        from: Vec<String>,
        /// Put it into a registry too
        #[arg(long, value_name = "REFERENCE")]
        to: Option<Reference>,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Install {
    /// A file, a place in a registry (see the examples), or a connector's name
    from: String,
    /// Do not ask whether it may have what it asks for
    #[arg(long)]
    yes: bool,
    /// Install it though it is older than the version that serves
    #[arg(long)]
    allow_downgrade: bool,
    /// Install it though somebody else published what was installed so far
    #[arg(long)]
    new_publisher: bool,
    /// Which version, where a name is given [default: the newest]
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    #[command(flatten)]
    config: ConfigArgs,
}

impl Command {
    pub(in crate::cli) async fn run(self) -> Result<()> {
        match self {
            Self::Install(install) => Box::pin(install.run()).await,
            Self::Update { slug, yes, config } => {
                Box::pin(update(&config.load()?, slug.as_ref(), yes)).await
            }
            Self::Search { word, config } => {
                let config = config.load()?;
                if config.marketplace.indexes.is_empty() {
                    bail!(
                        "no index is configured; name one in marketplace.indexes \
                         (`jackfield config` explains it)"
                    );
                }
                search(&app::outlets(&config)?, word.as_deref()).await
            }
            Self::Publish {
                wasm,
                reference,
                config,
            } => {
                let offer = read(&wasm)?;
                let outlets = app::outlets(&config.load()?)?;
                let pinned = outlets.publish(&offer, &reference).await?;
                print(&format!("{pinned}\n"))
            }
            Self::Index { from, to, config } => {
                index(&app::outlets(&config.load()?)?, &from, to.as_ref()).await
            }
        }
    }
}

impl Install {
    async fn run(self) -> Result<()> {
        let config = self.config.load()?;
        let offer = if Reference::is_meant(&self.from) {
            app::outlets(&config)?.pull(&self.from.parse()?).await?
        } else if let Ok(slug) = self.from.parse::<Slug>() {
            let outlets = app::outlets(&config)?;
            outlets.fetch(&slug, self.version.as_deref()).await?
        } else {
            read(Path::new(&self.from))?
        };
        let store = app::open_store(&config).await?;
        let wanted = Wanted {
            downgrade: self.allow_downgrade,
            new_publisher: self.new_publisher,
        };
        install(&config, &store, &offer, self.yes, wanted).await?;
        store.close().await;
        Ok(())
    }
}

fn read(file: &Path) -> Result<Offer> {
    let bytes = fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    Ok(Offer::read(bytes, &name)?)
}

async fn update(config: &Config, only: Option<&Slug>, yes: bool) -> Result<()> {
    let outlets = app::outlets(config)?;
    let store = app::open_store(config).await?;
    let books = store.connector_books().await?.books;
    if let Some(slug) = only.filter(|slug| !books.contains_key(slug)) {
        bail!("nothing is known of a connector {slug}; `jackfield connector list` shows all");
    }
    let (listed, _) = outlets.listed().await;
    for (slug, book) in books
        .iter()
        .filter(|(slug, _)| only.is_none_or(|only| only == *slug))
    {
        let Some(serving) = book.serving() else {
            continue;
        };
        let here = semver::Version::parse(&serving.version)?;
        // From where it came, or as an index says.
        let newer = match serving.source.parse::<Reference>() {
            Ok(from) => match outlets.newest(&from).await? {
                Some(newest) if newest > here => {
                    Some(outlets.pull(&from.tagged(&newest.to_string())).await?)
                }
                _ => None,
            },
            Err(_) => {
                let found = listed.iter().find(|found| found.listed.slug == *slug);
                let newest = found.and_then(|found| found.listed.version(None));
                match newest.filter(|newest| newest.version > here) {
                    Some(newest) => {
                        let version = newest.version.to_string();
                        Some(outlets.fetch(slug, Some(&version)).await?)
                    }
                    None => None,
                }
            }
        };
        match newer {
            Some(offer) if offer.slug() != slug => {
                bail!(
                    "{} holds {} now, and not {slug}",
                    offer.source,
                    offer.slug()
                )
            }
            Some(offer) => {
                install(config, &store, &offer, yes, Wanted::default()).await?;
            }
            None => note(&format!("{slug} {here} is the newest")),
        }
    }
    store.close().await;
    Ok(())
}

async fn search(outlets: &Outlets, word: Option<&str>) -> Result<()> {
    let (found, problems) = outlets.listed().await;
    for problem in &problems {
        note(problem);
    }
    let found = found.iter().map(|found| &found.listed);
    let lines = found
        .filter(|listed| word.is_none_or(|word| listed.speaks_of(word)))
        .map(|listed| {
            let version = listed.version(None).map(|one| one.version.to_string());
            let (slug, version) = (listed.slug.as_str(), version.unwrap_or_default());
            format!(
                "{slug:24} {version:10} {}  ({})\n",
                listed.description, listed.publisher
            )
        });
    let lines: String = lines.collect();
    if lines.is_empty() {
        note("no connector in the indexes speaks of that");
    }
    print(&lines)
}

async fn index(outlets: &Outlets, from: &[String], to: Option<&Reference>) -> Result<()> {
    let mut offers = Vec::new();
    for from in from {
        if Reference::is_meant(from) {
            offers.extend(outlets.all_versions(&from.parse()?).await?);
            continue;
        }
        let entries = fs::read_dir(from).with_context(|| format!("{from} cannot be read"))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path
                .extension()
                .is_some_and(|extension| extension == "wasm")
            {
                let offer =
                    read(&path).with_context(|| format!("{} is no connector", path.display()))?;
                let location = offer.source.clone();
                offers.push((offer, location));
            }
        }
    }
    let text = format!("{}\n", serde_json::to_string_pretty(&Index::of(&offers))?);
    if let Some(to) = to {
        note(&outlets.publish_index(&text, to).await?.to_string());
    }
    print(&text)
}
