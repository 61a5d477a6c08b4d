//! How the connect pages of a project look, and where they may send browsers back to.

use axum::{
    body::to_bytes,
    extract::Request,
    http::{StatusCode, header},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use crate::{
    dashboard::{ProjectDesk, Section, multipart},
    model::{Branding, BrandingError, ConnectSettings, Project, Role, WebOrigin},
    web::{
        self, Form, Page,
        parts::{self, Tone},
    },
};

/// What an image may have, before its text is measured.
const MOST_IMAGE: usize = 64 * 1024;
const MOST_ORIGINS: usize = 50;

/// What is typed.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Typed {
    #[serde(default)]
    brand: String,
    #[serde(default)]
    color: String,
    #[serde(default)]
    origins: String,
}

impl Typed {
    fn of(settings: &ConnectSettings) -> Self {
        let branding = &settings.branding;
        let origins = settings.allowed_origins.iter().map(WebOrigin::as_str);
        Self {
            brand: branding.name.clone().unwrap_or_default(),
            color: branding
                .primary_color
                .map_or_else(String::new, |color| color.to_string()),
            origins: origins.collect::<Vec<_>>().join("\n"),
        }
    }

    /// The settings, or a field and what is wrong with it.
    fn checked(&self, logo: Option<&str>) -> Result<ConnectSettings, (&'static str, String)> {
        let branding = Branding::parse(some(&self.brand), logo, some(&self.color));
        let branding = branding.map_err(|error| {
            let field = match error {
                BrandingError::Name => "brand",
                BrandingError::Logo => "logo",
                BrandingError::Color | BrandingError::Contrast { .. } => "color",
            };
            (field, error.to_string())
        })?;
        let mut allowed_origins = Vec::new();
        for word in self.origins.split_whitespace() {
            let origin = WebOrigin::parse(word);
            let origin = origin.map_err(|error| ("origins", format!("“{word}”: {error}")))?;
            if !allowed_origins.contains(&origin) {
                allowed_origins.push(origin);
            }
        }
        if allowed_origins.len() > MOST_ORIGINS {
            return Err(("origins", format!("there are more than {MOST_ORIGINS}")));
        }
        Ok(ConnectSettings {
            allowed_origins,
            branding,
        })
    }
}

fn some(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

pub(super) async fn show(desk: ProjectDesk) -> Result<Response, web::Error> {
    let settings = desk
        .services
        .store
        .connect_settings(desk.project.id)
        .await?;
    let typed = Typed::of(&settings);
    Ok(page(&desk, &settings, &typed, None))
}

fn page(
    desk: &ProjectDesk,
    settings: &ConnectSettings,
    typed: &Typed,
    wrong: Option<(&str, &str)>,
) -> Response {
    let wrong_at = |field| wrong.filter(|(at, _)| *at == field).map(|(_, text)| text);
    let here = desk.href("/settings/connect");
    let logo = settings.branding.logo.as_deref();
    let writes = desk.is(Role::Developer);
    let body = html! {
        (super::views(desk, true))
        p.muted { "Your customers connect their accounts on pages of this server, which carry your name, your logo and your colour." }
        div.grid.two {
            section.card {
                h2 { "Preview" }
                div id="preview" aria-live="polite" { (preview(&desk.project, logo, typed)) }
            }
            section.card {
                h2 { "Logo" }
                @match logo {
                    Some(logo) => p { img.logo src=(logo) alt="The logo that is set" width="160"; },
                    None => p.muted { "None yet: the name stands alone." },
                }
                @if let Some(wrong) = wrong_at("logo") { (parts::alert(Tone::Bad, "This logo cannot be used", &html! { p { (wrong) } })) }
                @if writes {
                    form.form method="post" enctype="multipart/form-data" action={ (here) "/logo" } {
                        (parts::field("logo", "Image", "PNG or SVG, at most 48 KiB.", None, &html! {
                            input id="logo" name="logo" type="file" accept="image/png,image/svg+xml" required aria-describedby="logo-hint";
                        }))
                        button.button type="submit" { "Set the logo" }
                    }
                    @if logo.is_some() { (parts::post_button(&format!("{here}/remove-logo"), "Remove the logo", Tone::Bad, Some("Remove the logo from the connect pages?"))) }
                }
            }
        }
        @if writes {
            form.form.card method="post" action=(here) hx-post={ (here) "/preview" } hx-trigger="input delay:400ms" hx-target="#preview" {
                h2 { "Name, colour, origins" }
                (parts::field("brand", "Name", "What customers know you by. Left empty, the project's name.", wrong_at("brand"), &parts::input("brand", "text", &typed.brand, false, wrong_at("brand").is_some())))
                (parts::field("color", "Colour of buttons", "Like #0b7285. White text has to be readable on it.", wrong_at("color"), &parts::input("color", "text", &typed.color, false, wrong_at("color").is_some())))
                (parts::field("origins", "Allowed origins", "One on each line, like https://app.example.com: where connect pages may send browsers back to, and which sites may show them in a frame.", wrong_at("origins"), &parts::textarea("origins", &typed.origins, false, wrong_at("origins").is_some())))
                button.button.primary type="submit" { "Save" }
            }
        } @else {
            section.card {
                h2 { "Allowed origins" }
                @if settings.allowed_origins.is_empty() { p { "None." } }
                ul { @for origin in &settings.allowed_origins { li { code { (origin.as_str()) } } } }
            }
        }
    };
    let status = match wrong {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let page = Page::new("Connect pages")
        .status(status)
        .style(".grid { margin-bottom: 1rem; } .logo { max-height: 4rem; object-fit: contain; } #preview svg { width: 100%; max-width: 22rem; height: auto; }");
    desk.page_with(page, Section::Settings, body)
}

/// A picture of a connect page. An SVG has its colours in attributes, which need no style.
fn preview(project: &Project, logo: Option<&str>, typed: &Typed) -> Markup {
    let colored = Branding::parse(None, None, some(&typed.color));
    let (color, wrong) = match colored {
        Ok(branding) => (
            branding
                .primary_color
                .map_or_else(|| "#0f5c5e".to_owned(), |color| color.to_string()),
            None,
        ),
        Err(error) => ("#0f5c5e".to_owned(), Some(error.to_string())),
    };
    let name: String = some(&typed.brand)
        .unwrap_or(&project.name)
        .chars()
        .take(28)
        .collect();
    html! {
        svg viewBox="0 0 320 200" role="img" aria-label={ "Connect page of " (name) " with buttons in " (color) } {
            rect x="1" y="1" width="318" height="198" rx="12" fill="#ffffff" stroke="#dcd8ce" {}
            @if let Some(logo) = logo { image href=(logo) x="24" y="20" width="40" height="40" {} }
            text x=(if logo.is_some() { "76" } else { "24" }) y="46" font-size="17" font-weight="600" fill="#1d2424" { (name) }
            text x="24" y="92" font-size="13" fill="#566060" { "Connect your account" }
            rect x="24" y="106" width="272" height="30" rx="6" fill="none" stroke="#858f8e" {}
            rect x="24" y="148" width="110" height="32" rx="6" fill=(color) {}
            text x="79" y="169" font-size="13" font-weight="600" fill="#ffffff" text-anchor="middle" { "Connect" }
        }
        @if let Some(wrong) = wrong { p.error { (wrong) } }
    }
}

pub(super) async fn show_preview(
    desk: ProjectDesk,
    Form(typed): Form<Typed>,
) -> Result<Response, web::Error> {
    let settings = desk
        .services
        .store
        .connect_settings(desk.project.id)
        .await?;
    let logo = settings.branding.logo.as_deref();
    Ok(web::fragment(preview(&desk.project, logo, &typed)))
}

pub(super) async fn change(
    desk: ProjectDesk,
    Form(typed): Form<Typed>,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let before = desk
        .services
        .store
        .connect_settings(desk.project.id)
        .await?;
    match typed.checked(before.branding.logo.as_deref()) {
        Ok(settings) => save(&desk, &settings).await,
        Err((field, message)) => Ok(page(&desk, &before, &typed, Some((field, &message)))),
    }
}

pub(super) async fn set_logo(desk: ProjectDesk, request: Request) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let before = desk
        .services
        .store
        .connect_settings(desk.project.id)
        .await?;
    let typed = Typed::of(&before);
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.to_owned();
    let body = to_bytes(request.into_body(), MOST_IMAGE).await;
    let image = body.ok().and_then(|body| {
        let range = multipart::only_part(&kind, &body)?;
        data_uri(body.get(range)?)
    });
    let refused = |message: &str| Ok(page(&desk, &before, &typed, Some(("logo", message))));
    let Some(image) = image else {
        return refused("It is no PNG and no SVG, or it is larger than 48 KiB.");
    };
    match typed.checked(Some(&image)) {
        Ok(settings) => save(&desk, &settings).await,
        Err((_, message)) => refused(&message),
    }
}

pub(super) async fn remove_logo(desk: ProjectDesk) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let mut settings = desk
        .services
        .store
        .connect_settings(desk.project.id)
        .await?;
    settings.branding.logo = None;
    save(&desk, &settings).await
}

fn data_uri(image: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(image).unwrap_or_default().trim_start();
    let kind = if image.starts_with(b"\x89PNG\r\n\x1a\n") {
        "png"
    } else if text.starts_with("<svg") || (text.starts_with("<?xml") && text.contains("<svg")) {
        "svg+xml"
    } else {
        return None;
    };
    Some(format!(
        "data:image/{kind};base64,{}",
        STANDARD.encode(image)
    ))
}

async fn save(desk: &ProjectDesk, settings: &ConnectSettings) -> Result<Response, web::Error> {
    let store = &desk.services.store;
    store
        .set_connect_settings(desk.project.id, settings)
        .await?;
    let origins = settings.allowed_origins.iter().map(WebOrigin::as_str);
    let details = json!({ "allowed_origins": origins.collect::<Vec<_>>() });
    desk.audit("connect_settings.replace", desk.project.id, details)
        .await?;
    let here = desk.href("/settings/connect");
    Ok(desk.done("The connect pages were saved.", &here))
}
