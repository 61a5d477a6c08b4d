//! What to do first in a project without connections.

use maud::{Markup, html};
use serde_json::json;

use crate::{dashboard::desk::ProjectDesk, web::parts};

pub(super) fn body(desk: &ProjectDesk) -> Markup {
    let base = desk.services.public_url.as_str().trim_end_matches('/');
    let sent = json!({"linked_user_origin_id": "customer-1"});
    let command = format!(
        "curl -X POST {base}/connect/links -H 'x-api-key: YOUR_API_KEY' \
         -H 'content-type: application/json' -d '{sent}'"
    );
    html! {
        p { "This project has no connection yet. Three steps lead to the first records." }
        ol.steps.stack {
            li.card {
                h2 { "Make an API key" }
                p { "Your application sends it with every request. It is shown once, when it is made." }
                p { a.button.primary href=(desk.href("/api-keys")) { "Make an API key" } }
            }
            li.card {
                h2 { "Let a customer connect an account" }
                p { "A connect link leads to a page on which a customer of yours chooses a system and logs in. Put your key into this line; open the “url” of the answer in a browser, send it, or embed it:" }
                p { (parts::copyable(&command)) }
            }
            li.card {
                h2 { "See the records" }
                p {
                    "The first sync begins as soon as an account is connected. What it reads is shown under "
                    a href=(desk.href("/records")) { "Records" } ", and how it goes in the "
                    a href=(desk.href("/runs")) { "Sync log" } "."
                }
            }
        }
    }
}
