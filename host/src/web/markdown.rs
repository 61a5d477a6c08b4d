//! Markdown of connectors, which strangers wrote, as HTML that cannot do harm.

use maud::{Markup, PreEscaped};
use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// The HTML of a text in Markdown.
///
/// HTML within it is shown as text, images as their description,
/// and links lead only to `https:`, `http:` and `mailto:`. Headings begin at level three, below
/// those of the page.
#[must_use]
pub fn markdown(text: &str) -> Markup {
    let mut skipped = 0_u32;
    let events = Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH);
    let events = events.filter_map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => None,
        Event::Start(Tag::Link { dest_url, .. }) if !is_harmless(&dest_url) => {
            skipped += 1;
            None
        }
        Event::End(TagEnd::Link) if skipped > 0 => {
            skipped -= 1;
            None
        }
        Event::Start(Tag::Link {
            link_type,
            dest_url,
            ..
        }) => Some(Event::Start(Tag::Link {
            link_type,
            dest_url,
            title: CowStr::Borrowed(""),
            id: CowStr::Borrowed(""),
        })),
        Event::Start(Tag::Heading { level, .. }) => Some(Event::Start(Tag::Heading {
            level: below_the_page(level),
            id: None,
            classes: Vec::new(),
            attrs: Vec::new(),
        })),
        Event::End(TagEnd::Heading(level)) => {
            Some(Event::End(TagEnd::Heading(below_the_page(level))))
        }
        other => Some(other),
    });
    let mut text = String::new();
    html::push_html(&mut text, events);
    PreEscaped(text)
}

const fn below_the_page(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 => HeadingLevel::H3,
        HeadingLevel::H2 => HeadingLevel::H4,
        HeadingLevel::H3 => HeadingLevel::H5,
        _ => HeadingLevel::H6,
    }
}

fn is_harmless(url: &str) -> bool {
    let lower = url.trim().to_ascii_lowercase();
    ["https://", "http://", "mailto:"]
        .iter()
        .any(|scheme| lower.starts_with(scheme))
}

#[cfg(test)]
mod tests {
    use super::markdown;

    #[test]
    fn markdown_becomes_html() {
        let html = markdown("# A *b*\n\n- [c](https://example.com)").into_string();
        assert!(html.contains("<h3>A <em>b</em></h3>"), "{html}");
        assert!(
            html.contains("<a href=\"https://example.com\">c</a>"),
            "{html}"
        );
    }

    #[test]
    fn what_could_do_harm_is_text() {
        let hostile = "<script>alert(1)</script> <img src=x onerror=alert(1)>\n\n\
            [a](javascript:alert(1)) ![b](https://evil.example/x.png) [c](data:text/html,x)\n\n\
            <iframe src=//evil.example></iframe>\n\n# h {#id onclick=alert(1)}";
        let html = markdown(hostile).into_string();
        for piece in ["<script", "<img", "<iframe", "href", "src=\"", "<h3 "] {
            assert!(!html.contains(piece), "{piece}: {html}");
        }
    }
}
