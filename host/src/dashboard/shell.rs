//! What stands around every page: the navigation, the project, the person, the last message.

use maud::{Markup, html};

use super::section::{PROJECT, SERVER, Section};
use crate::{
    model::{Environment, Project},
    web::{assets, parts},
};

/// What the shell shows beside the page.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    /// Who is signed in.
    pub(super) person: &'a str,
    /// The project that is shown.
    pub(super) project: Option<&'a Project>,
    /// All there are, for the switch between them.
    pub(super) projects: &'a [Project],
    /// What the last action did.
    pub(super) message: Option<&'a str>,
    /// Where to come back to after switching the environment; none for who may not.
    pub(super) switch: Option<String>,
}

/// The page's body with all that stands around it.
pub(super) fn shell(frame: &Frame<'_>, section: Section, title: &str, body: &Markup) -> Markup {
    html! {
        a.skip href="#main" { "Skip to the page" }
        div.shell {
            header.side {
                a.brand href="/dashboard" {
                    img src=(assets::MARK.href()) alt="" width="28" height="28";
                    span { "Jackfield" }
                }
                (switch(frame))
                @if let Some(project) = frame.project { (environment_switch(project, frame.switch.as_deref())) }
                // Opened by itself where the screen is wide; a button where it is narrow.
                button.button.menu type="button" data-menu="nav" aria-expanded="false" aria-controls="nav" { "Menu" }
                nav id="nav" aria-label="Sections" {
                    @if let Some(project) = frame.project {
                        @for (group, sections) in PROJECT {
                            p.group { (group) }
                            ul { @for one in *sections { (entry(*one, section, Some(project))) } }
                        }
                    }
                    p.group { "Server" }
                    ul { @for one in SERVER { (entry(*one, section, frame.project)) } }
                    p.group { "You" }
                    ul {
                        li { a href=(Section::Account.href(None)) aria-current=[(section == Section::Account).then_some("page")] { (frame.person) } }
                        li { form method="post" action="/sign-out" { button.link type="submit" { "Sign out" } } }
                        li { a href="/docs" { "API reference" } }
                    }
                }
            }
            main id="main" tabindex="-1" {
                @if let Some(message) = frame.message {
                    (parts::alert(parts::Tone::Good, message, &Markup::default()))
                }
                h1 { (title) }
                (body)
            }
        }
    }
}

fn entry(one: Section, current: Section, project: Option<&Project>) -> Markup {
    html! {
        li {
            a href=(one.href(project.map(|project| project.id))) aria-current=[(one == current).then_some("page")] {
                (one.label())
            }
        }
    }
}

/// The project that is shown, and a way to the others.
fn switch(frame: &Frame<'_>) -> Markup {
    let name = frame
        .project
        .map_or("Choose a project", |project| project.name.as_str());
    html! {
        details.switch {
            summary { (name) }
            ul {
                @for project in frame.projects {
                    li {
                        a href=(Section::Overview.href(Some(project.id))) {
                            (project.name) " " (environment(project.environment))
                        }
                    }
                }
                li { a href="/dashboard/new-project" { "New project…" } }
            }
        }
    }
}

/// The environment of the project that is shown; for who may, with a way to the other one.
fn environment_switch(project: &Project, back: Option<&str>) -> Markup {
    let badge = environment(project.environment);
    let Some(back) = back else {
        return html! { p.environment { "Environment " (badge) } };
    };
    let other = match project.environment {
        Environment::Production => Environment::Sandbox,
        Environment::Sandbox => Environment::Production,
    };
    let (now, other) = (project.environment.as_str(), other.as_str());
    html! {
        details.environment {
            summary { "Environment " (badge) }
            form method="post" action={ "/dashboard/" (project.id) "/environment" } {
                p { strong { "Switch “" (project.name) "” to " (other) "?" } }
                ul {
                    li { "New connections are made to the provider’s " (other) " system, with the project’s OAuth app for " (other) " where it has one. That holds for connect pages, and for API requests that name no environment." }
                    @if other == "sandbox" {
                        li { "A connector that names no sandbox address goes to its production address all the same." }
                    }
                    li { "Connections that exist keep the environment that they were made in: they go on, and so do their records." }
                    li { "API keys, webhooks and settings hold for both." }
                }
                (parts::hidden("to", other))
                (parts::hidden("back", back))
                button.button type="submit" { "Switch from " (now) " to " (other) }
            }
        }
    }
}

/// A project's environment as a badge.
pub(super) fn environment(environment: Environment) -> Markup {
    match environment {
        Environment::Production => parts::badge(parts::Tone::Good, "production"),
        Environment::Sandbox => parts::badge(parts::Tone::Info, "sandbox"),
    }
}
