//! The sections of the dashboard, as its navigation lists them.

use crate::model::ProjectId;

/// A section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// Whether all is well.
    Overview,
    /// Connections.
    Connections,
    /// Customers of the integrator.
    LinkedUsers,
    /// Unified records.
    Records,
    /// The sync log.
    Runs,
    /// Records that could not be stored or sent.
    Failures,
    /// What both sides changed.
    Conflicts,
    /// What is wrong, grouped.
    Diagnosis,
    /// Custom fields and their mappings.
    FieldMappings,
    /// Webhook endpoints and deliveries.
    Webhooks,
    /// What happened.
    Events,
    /// Keys of the API.
    ApiKeys,
    /// The project's own OAuth apps.
    OAuthApps,
    /// The project.
    Settings,
    /// Connectors of this server.
    Connectors,
    /// Connectors to be had.
    Marketplace,
    /// People who operate.
    Operators,
    /// Who did what.
    AuditLog,
    /// The person who is signed in; in no list.
    Account,
}

/// Sections of a project, by group.
pub(super) const PROJECT: &[(&str, &[Section])] = &[
    (
        "Data",
        &[
            Section::Overview,
            Section::Connections,
            Section::LinkedUsers,
            Section::Records,
            Section::FieldMappings,
        ],
    ),
    (
        "Activity",
        &[
            Section::Runs,
            Section::Failures,
            Section::Conflicts,
            Section::Webhooks,
            Section::Events,
            Section::Diagnosis,
        ],
    ),
    (
        "Project",
        &[Section::ApiKeys, Section::OAuthApps, Section::Settings],
    ),
];

/// Sections of the whole server.
pub(super) const SERVER: &[Section] = &[
    Section::Connectors,
    Section::Marketplace,
    Section::Operators,
    Section::AuditLog,
];

impl Section {
    /// Its name.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Connections => "Connections",
            Self::LinkedUsers => "Linked users",
            Self::Records => "Records",
            Self::Runs => "Sync log",
            Self::Failures => "Failed records",
            Self::Conflicts => "Conflicts",
            Self::Diagnosis => "Troubleshooting",
            Self::FieldMappings => "Field mappings",
            Self::Webhooks => "Webhooks",
            Self::Events => "Events",
            Self::ApiKeys => "API keys",
            Self::OAuthApps => "OAuth apps",
            Self::Settings => "Settings",
            Self::Connectors => "Connectors",
            Self::Marketplace => "Marketplace",
            Self::Operators => "Operators",
            Self::AuditLog => "Audit log",
            Self::Account => "Account",
        }
    }

    /// Its address; that of a section of the server needs no project.
    pub(super) fn href(self, project: Option<ProjectId>) -> String {
        let name = match self {
            Self::Connectors => return "/dashboard/connectors".to_owned(),
            Self::Marketplace => return "/dashboard/marketplace".to_owned(),
            Self::Operators => return "/dashboard/operators".to_owned(),
            Self::AuditLog => return "/dashboard/audit-log".to_owned(),
            Self::Account => return "/dashboard/account".to_owned(),
            Self::Overview => "",
            Self::Connections => "/connections",
            Self::LinkedUsers => "/linked-users",
            Self::Records => "/records",
            Self::Runs => "/runs",
            Self::Failures => "/failures",
            Self::Conflicts => "/conflicts",
            Self::Diagnosis => "/diagnosis",
            Self::FieldMappings => "/field-mappings",
            Self::Webhooks => "/webhooks",
            Self::Events => "/events",
            Self::ApiKeys => "/api-keys",
            Self::OAuthApps => "/oauth-apps",
            Self::Settings => "/settings",
        };
        match project {
            Some(project) => format!("/dashboard/{project}{name}"),
            None => "/dashboard".to_owned(),
        }
    }
}
