//! Projects and API keys: what an operator makes before an application can ask anything.

use anyhow::{Result, bail};
use clap::{Subcommand, ValueEnum};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{ConfigArgs, print};
use crate::{
    model::{
        ApiKeyId, AuditEntry, Clock as _, Environment, Project, ProjectId, SystemClock,
        SystemEntropy,
    },
    store::Store,
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
        after_help = "Examples:\n  jackfield api-key create --project 2f9d0f5e-5c7f-4c0e-8a51-6d1f3ed1a111 --name backend\n  jackfield api-key create --operator --name marketplace"
    )]
    Create {
        /// The project's id
        #[arg(long, value_name = "ID", required_unless_present = "operator")]
        project: Option<ProjectId>,
        /// Make a key for what concerns the whole server (connectors, their permissions, the audit
        /// log); it opens no project
        #[arg(long, conflicts_with = "project")]
        operator: bool,
        /// What people call the key
        #[arg(long, default_value = "default")]
        name: String,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Make an API key useless, at once.
    Revoke {
        /// The project's id
        #[arg(long, value_name = "ID", required_unless_present = "operator")]
        project: Option<ProjectId>,
        /// It is an operator's key
        #[arg(long, conflicts_with = "project")]
        operator: bool,
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
                let Some(name) = Project::name_of(&name) else {
                    bail!(
                        "give the project a name of at most {} characters",
                        Project::LONGEST_NAME
                    );
                };
                let store = config.open().await?;
                let project = store.create_project(name, environment.into()).await?;
                let details = json!({ "name": name });
                let id = Some(project.id);
                note(&store, id, "project.create", &project.id, details).await?;
                store.close().await;
                print(&format!("{}\n", project.id))
            }
            Self::List { config } => {
                let store = config.open_existing().await?;
                let projects = store.projects().await?;
                store.close().await;
                if projects.is_empty() {
                    super::note("There is no project yet; `jackfield project create` makes one.");
                }
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
                operator: _,
                name,
                config,
            } => {
                let store = match project {
                    Some(_) => config.open_existing().await?,
                    None => config.open().await?,
                };
                let (id, key) = match project {
                    Some(project) => {
                        if store.project(project).await?.is_none() {
                            bail!(
                                "there is no project {project}; `jackfield project list` shows those that are there"
                            );
                        }
                        let (key, hash, hint) = Vault::generate_api_key(&SystemEntropy);
                        let id = store.create_api_key(project, &name, hash, &hint).await?;
                        (id, key)
                    }
                    None => {
                        let (key, hash, hint) = Vault::generate_operator_key(&SystemEntropy);
                        (store.create_operator_key(&name, hash, &hint).await?, key)
                    }
                };
                let action = match project {
                    Some(_) => "api_key.create",
                    None => "operator_key.create",
                };
                note(&store, project, action, &id, json!({ "name": name })).await?;
                store.close().await;
                print(&format!("id:  {id}\nkey: {}\n", key.expose_secret()))
            }
            Self::Revoke {
                project,
                operator: _,
                id,
                config,
            } => {
                let store = config.open_existing().await?;
                let (revoked, action) = match project {
                    Some(project) => (store.revoke_api_key(project, id).await?, "api_key.revoke"),
                    None => (store.revoke_operator_key(id).await?, "operator_key.revoke"),
                };
                if revoked {
                    note(&store, project, action, &id, json!({})).await?;
                }
                store.close().await;
                match (revoked, project) {
                    (true, _) => print("Revoked.\n"),
                    (false, Some(project)) => {
                        bail!("project {project} has no such API key that still works")
                    }
                    (false, None) => bail!("there is no such operator's key that still works"),
                }
            }
        }
    }
}

/// Writes what this command did into the audit log.
async fn note(
    store: &Store,
    project: Option<ProjectId>,
    action: &str,
    subject: &impl ToString,
    details: Value,
) -> Result<()> {
    let entry = AuditEntry {
        at: SystemClock.now(),
        project,
        actor: "cli".to_owned(),
        action: action.to_owned(),
        subject: subject.to_string(),
        details,
    };
    Ok(store.audit(&entry).await?)
}
