//! Projects and API keys: what an operator makes before an application can ask anything.

use anyhow::{Result, bail};
use clap::{Subcommand, ValueEnum};
use secrecy::ExposeSecret as _;

use super::{ConfigArgs, print};
use crate::{
    app,
    model::{ApiKeyId, Environment, Project, ProjectId, SystemEntropy},
    vault::Vault,
};

#[derive(Debug, Subcommand)]
pub(super) enum ProjectCommand {
    /// Make a project and print its id.
    #[command(after_help = "Example:\n  jackfield project create 'My app' --environment sandbox")]
    Create {
        /// What people call it
        name: String,
        /// Which of the providers' environments its connections use
        #[arg(long, value_enum, default_value_t = EnvironmentName::Production)]
        environment: EnvironmentName,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Print all projects: id, environment, name.
    List {
        #[command(flatten)]
        config: ConfigArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ApiKeyCommand {
    /// Make an API key and print it. It is stored as a hash only: this is the one time it shows.
    #[command(
        after_help = "Example:\n  jackfield api-key create --project 2f9d0f5e-5c7f-4c0e-8a51-6d1f3ed1a111 --name backend"
    )]
    Create {
        /// The project's id
        #[arg(long, value_name = "ID")]
        project: ProjectId,
        /// What people call the key
        #[arg(long, default_value = "default")]
        name: String,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Make an API key useless, at once.
    Revoke {
        /// The project's id
        #[arg(long, value_name = "ID")]
        project: ProjectId,
        /// The key's id, as `api-key create` printed it
        id: ApiKeyId,
        #[command(flatten)]
        config: ConfigArgs,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum EnvironmentName {
    Sandbox,
    Production,
}

impl From<EnvironmentName> for Environment {
    fn from(name: EnvironmentName) -> Self {
        match name {
            EnvironmentName::Sandbox => Self::Sandbox,
            EnvironmentName::Production => Self::Production,
        }
    }
}

impl ProjectCommand {
    pub(super) async fn run(self) -> Result<()> {
        match self {
            Self::Create {
                name,
                environment,
                config,
            } => {
                let store = app::open_store(&config.load()?).await?;
                let project = store.create_project(&name, environment.into()).await?;
                store.close().await;
                print(&format!("{}\n", project.id))
            }
            Self::List { config } => {
                let store = app::open_store(&config.load()?).await?;
                let projects = store.projects().await?;
                store.close().await;
                let line = |project: &Project| {
                    let environment = project.environment.as_str();
                    format!("{}  {environment:10}  {}\n", project.id, project.name)
                };
                print(&projects.iter().map(line).collect::<String>())
            }
        }
    }
}

impl ApiKeyCommand {
    pub(super) async fn run(self) -> Result<()> {
        match self {
            Self::Create {
                project,
                name,
                config,
            } => {
                let store = app::open_store(&config.load()?).await?;
                if store.project(project).await?.is_none() {
                    bail!(
                        "there is no project {project}; `jackfield project list` shows those that are there"
                    );
                }
                let (key, hash, hint) = Vault::generate_api_key(&SystemEntropy);
                let id = store.create_api_key(project, &name, hash, &hint).await?;
                store.close().await;
                print(&format!("id:  {id}\nkey: {}\n", key.expose_secret()))
            }
            Self::Revoke {
                project,
                id,
                config,
            } => {
                let store = app::open_store(&config.load()?).await?;
                let revoked = store.revoke_api_key(project, id).await?;
                store.close().await;
                if !revoked {
                    bail!("project {project} has no such API key that still works");
                }
                print("Revoked.\n")
            }
        }
    }
}
