//! What all pages share: the frame of HTML, and headers that let a page load nothing, be framed nowhere and tell nobody
//! where the reader came from.

use std::sync::LazyLock;

use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware,
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

/// The only style. System fonts and colours, so that it is light or dark as the reader has it.
const STYLE: &str = "\
:root{color-scheme:light dark}\
body{margin:0;font:1.0625rem/1.6 system-ui,sans-serif;background:Canvas;color:CanvasText}\
main{max-width:36rem;margin:0 auto;padding:3rem 1.25rem}\
main.wide{max-width:80rem}\
h1{font-size:1.5rem;line-height:1.25;margin:0 0 1rem;overflow-wrap:anywhere}\
h2{font-size:1.125rem;margin:2rem 0 .5rem}\
p{margin:0 0 1rem;overflow-wrap:anywhere}\
pre{white-space:pre-wrap;overflow-wrap:anywhere;font:inherit}\
form{margin:0 0 1.75rem}\
fieldset{margin:0 0 1.25rem;padding:1rem 1.25rem .25rem;border:1px solid GrayText;border-radius:.5rem}\
input[type=checkbox]{width:1.25rem;height:1.25rem;margin:0 .75rem 0 0;vertical-align:-.2em}\
input:focus-visible{outline:3px solid Highlight;outline-offset:2px}\
.said{padding:.75rem 1.25rem;border:2px solid;border-radius:.5rem}\
button{font:inherit;padding:.65rem 1.25rem;min-height:2.75rem;border:2px solid;border-radius:.5rem;cursor:pointer;\
background:ButtonFace;color:ButtonText}\
button.main{background:CanvasText;color:Canvas;border-color:CanvasText;font-weight:600}\
button:focus-visible{outline:3px solid Highlight;outline-offset:3px}\
.scroll{overflow-x:auto}\
table{border-collapse:collapse;font-size:.9375rem}\
th,td{text-align:left;vertical-align:top;padding:.3rem 1.25rem .3rem 0;border-bottom:1px solid GrayText}\
td.number{text-align:right;font-variant-numeric:tabular-nums}";

/// Nothing may be loaded; the one style is named by its hash; forms go back to us alone.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    HeaderValue::from_str(&format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ))
    .expect("base64 may stand in a header")
});

/// How wide a page is.
#[derive(Clone, Copy)]
pub(super) enum Width {
    /// As a text.
    Text,
    /// As tables need it.
    Tables,
}

/// A whole page.
pub(super) fn page(title: &str, width: Width, content: &Markup) -> Markup {
    let class = match width {
        Width::Text => None,
        Width::Tables => Some("wide"),
    };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex, nofollow";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main class=[class] { (content) } }
        }
    }
}

/// The router with the headers on every answer it gives, errors included.
pub(super) fn guarded(router: Router) -> Router {
    router.layer(middleware::map_response(
        |mut response: Response| async move {
            guard(response.headers_mut());
            response
        },
    ))
}

fn guard(headers: &mut HeaderMap) {
    let fixed: [(HeaderName, &str); 5] = [
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // A page that has a policy of its own keeps it.
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert_with(|| POLICY.clone());
}
