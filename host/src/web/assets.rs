//! The files that pages load, which lie in the program itself.

use std::sync::LazyLock;

use crate::model::Digest;

/// A file.
#[derive(Debug)]
pub struct Asset {
    /// Its name in the address.
    pub name: &'static str,
    /// Its media type.
    pub kind: &'static str,
    /// What is in it.
    pub bytes: &'static [u8],
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

macro_rules! assets {
    ($($(#[$doc:meta])* $constant:ident $name:literal $kind:expr;)*) => {
        $(
            $(#[$doc])*
            pub const $constant: &Asset = &Asset {
                name: $name,
                kind: $kind,
                bytes: include_bytes!(concat!("../../assets/", $name)),
            };
        )*
        /// All there are.
        pub const ALL: &[&Asset] = &[$($constant,)*];
    };
}

assets! {
    /// What pages look like.
    STYLES "app.css" STYLE;
    /// What pages do where JavaScript runs.
    APP "app.js" SCRIPT;
    /// What connect pages do besides: logins in a window of their own.
    PORTAL "portal.js" SCRIPT;
    /// What pages of a connect link tell the page that they are shown in.
    EMBED "embed.js" SCRIPT;
    /// Parts of pages that load and change by themselves.
    HTMX "htmx.min.js" SCRIPT;
    /// Its licence.
    HTMX_LICENCE "htmx.LICENSE" TEXT;
    /// Charts.
    UPLOT "uplot.min.js" SCRIPT;
    /// What charts look like.
    UPLOT_STYLES "uplot.css" STYLE;
    /// Its licence.
    UPLOT_LICENCE "uplot.LICENSE" TEXT;
    /// The mark of the product, for tabs of the browser.
    MARK "mark.svg" "image/svg+xml";
}

/// Changes whenever a file does; one for all, since they are released together.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let pieces: Vec<&[u8]> = ALL.iter().map(|asset| asset.bytes).collect();
    Digest::of_all(&pieces).short()
});

impl Asset {
    /// Where it is.
    #[must_use]
    pub fn href(&self) -> String {
        format!("/assets/{}?v={}", self.name, *VERSION)
    }
}
