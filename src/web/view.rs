//! The message in a browser. It is its author's HTML, with values that were escaped: no script of it runs, it can't be framed,
//! and nobody but its images' hosts hears of the reader.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use maud::{Markup, html};

use super::{
    engine::WayOut,
    page::{Width, page},
    public::{About, RETRY_AFTER, Token, claim, wrong_token},
};
use crate::message::{WebPage, links::LinkKind};

/// Styles stand in the message, pictures in it or where it says. The sandbox is for what a policy does not know yet: no
/// scripts, no forms; links open in the page or beside it.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; img-src data: https: http:; form-action 'none'; base-uri 'none'; \
     frame-ancestors 'none'; sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation",
);

/// GET and HEAD: shows the message.
pub(super) async fn show(State(way_out): State<Arc<dyn WayOut>>, token: Token) -> Response {
    let Some(claim) = claim(&*way_out, LinkKind::View, token) else {
        return wrong_token();
    };
    let about = About::of(&*way_out, &claim);
    match way_out.view(&claim).await {
        Ok(Some(WebPage {
            html: Some(html), ..
        })) => {
            let mut response = Html(html).into_response();
            response
                .headers_mut()
                .insert(header::CONTENT_SECURITY_POLICY, POLICY);
            response
        }
        Ok(Some(message)) => text_page(&message).into_response(),
        Ok(None) => (StatusCode::GONE, gone_page(&about)).into_response(),
        Err(refused) => {
            tracing::error!(error = %refused, "a message can't be shown");
            let content = html! {
                h1 { "This did not work just now" }
                p { "It is our fault, not yours. Please try again in a minute." }
            };
            (
                StatusCode::SERVICE_UNAVAILABLE,
                [(header::RETRY_AFTER, RETRY_AFTER)],
                about.page("Please try again", &content),
            )
                .into_response()
        }
    }
}

fn text_page(message: &WebPage) -> Markup {
    let content = html! {
        h1 { (message.subject) }
        pre { (message.text) }
    };
    page(&message.subject, Width::Text, &content)
}

fn gone_page(about: &About) -> Markup {
    let content = html! {
        h1 { "This message can't be shown any more" }
        p { "Messages of " (about.sender()) " can be read here for some time after they were sent. This one is in your mailbox." }
    };
    about.page("This message can't be shown any more", &content)
}
