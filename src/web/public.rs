//! The public pages: the way out of a topic, by RFC 8058 and by hand.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{
        DefaultBodyLimit, Path, State,
        rejection::{BytesRejection, PathRejection},
    },
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use maud::{Markup, html};

use super::{
    action::Action,
    engine::WayOut,
    page::{Width, guarded, page},
    preferences, view,
};
use crate::{
    engine::{Engine, OptOut},
    message::links::{Claim, LinkKind},
};

/// A body longer than this is no form of ours and no mail program's.
const BODY_LIMIT: usize = 16 * 1024;

/// No token of ours is longer.
const TOKEN_LIMIT: usize = 2048;

/// When to try again after a failure of the store, in seconds.
pub(super) const RETRY_AFTER: &str = "60";

pub(super) type Token = Result<Path<String>, PathRejection>;

/// The pages that links in messages lead to. Nothing but POST changes anything.
pub fn public_router(engine: Arc<Engine>) -> Router {
    router(engine)
}

fn router(way_out: Arc<dyn WayOut>) -> Router {
    let router = Router::new()
        .route("/", get(async || front()))
        .route("/robots.txt", get(async || "User-agent: *\nDisallow: /\n"))
        .route("/u/{token}", get(ask).post(act))
        .route("/v/{token}", get(view::show))
        .route("/p/{token}", get(preferences::show).post(preferences::save))
        .fallback(async || no_page())
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(way_out);
    guarded(router)
}

/// What a page says of whom and what it is about. It never has an address.
pub(super) struct About {
    sender: Option<String>,
    topic: Option<String>,
}

impl About {
    pub(super) fn of(way_out: &dyn WayOut, claim: &Claim) -> Self {
        Self {
            sender: way_out.sender_name(claim),
            topic: way_out.topic(claim).map(|topic| topic.title),
        }
    }

    fn topic(&self) -> &str {
        self.topic.as_deref().unwrap_or("these messages")
    }

    pub(super) fn sender(&self) -> &str {
        self.sender.as_deref().unwrap_or("the sender")
    }

    pub(super) fn page(&self, title: &str, content: &Markup) -> Markup {
        let title = match &self.sender {
            Some(sender) => format!("{title} – {sender}"),
            None => title.to_owned(),
        };
        page(&title, Width::Text, content)
    }
}

pub(super) fn claim(way_out: &dyn WayOut, kind: LinkKind, token: Token) -> Option<Claim> {
    let Path(token) = token.ok()?;
    (token.len() <= TOKEN_LIMIT)
        .then(|| way_out.claim(kind, &token))
        .flatten()
}

/// GET and HEAD: shows the button, changes nothing.
async fn ask(State(way_out): State<Arc<dyn WayOut>>, token: Token) -> Response {
    let Some(claim) = claim(&*way_out, LinkKind::Unsubscribe, token) else {
        return wrong_token();
    };
    let about = About::of(&*way_out, &claim);
    // Where the store can't say, the button is right too: pressing it twice does no harm.
    match way_out.unsubscribed(&claim).await {
        Ok((topic, all)) if topic || all => left_page(&about, all).into_response(),
        _ => ask_page(&about).into_response(),
    }
}

/// POST: does it, however often it comes.
async fn act(
    State(way_out): State<Arc<dyn WayOut>>,
    token: Token,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return (rejection.status(), unreadable_page()).into_response(),
    };
    let Some(claim) = claim(&*way_out, LinkKind::Unsubscribe, token) else {
        return wrong_token();
    };
    let about = About::of(&*way_out, &claim);
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let action = Action::read(content_type, &body);
    let done = match action {
        Action::Leave(scope) => way_out.unsubscribe(&claim, scope).await,
        Action::Return(scope) => way_out.resubscribe(&claim, scope).await,
    };
    if let Err(refused) = done {
        tracing::error!(error = %refused, "an unsubscription could not be recorded");
        return unavailable(&about, action);
    }
    // It is recorded. Should the store fail just now, the page says what was asked for.
    let (topic, all) = match way_out.unsubscribed(&claim).await {
        Ok(state) => state,
        Err(_) => (
            matches!(action, Action::Leave(_)),
            action == Action::Leave(OptOut::All),
        ),
    };
    if topic || all {
        left_page(&about, all).into_response()
    } else {
        returned_page(&about).into_response()
    }
}

/// A form of one button that posts to the page's own address.
fn form(action: Action, class: Option<&str>, label: &str) -> Markup {
    html! {
        form method="post" {
            @if let Some(value) = action.field() {
                input type="hidden" name="action" value=(value);
            }
            button type="submit" class=[class] { (label) }
        }
    }
}

fn ask_page(about: &About) -> Markup {
    let content = html! {
        h1 { "Unsubscribe from " (about.topic()) "?" }
        p { "You get messages on this topic from " (about.sender()) ". Press the button if you want no more of them." }
        (form(Action::Leave(OptOut::Topic), Some("main"), "Unsubscribe"))
    };
    about.page("Unsubscribe", &content)
}

fn left_page(about: &About, all: bool) -> Markup {
    let content = if all {
        html! {
            h1 { "You are unsubscribed from everything" }
            p { (about.sender()) " will not send you any more messages but those you need to have, such as bills." }
            p { "Was that a mistake?" }
            (form(Action::Return(OptOut::All), None, "Undo"))
        }
    } else {
        html! {
            h1 { "You are unsubscribed from " (about.topic()) }
            p { (about.sender()) " will not send you any more messages on this topic." }
            p { "Do you want no messages on other topics either?" }
            (form(Action::Leave(OptOut::All), None, "Unsubscribe from everything"))
            p { "Was that a mistake?" }
            (form(Action::Return(OptOut::Topic), None, "Undo"))
        }
    };
    about.page("Unsubscribed", &content)
}

fn returned_page(about: &About) -> Markup {
    let content = html! {
        h1 { "You are subscribed to " (about.topic()) " again" }
        p { (about.sender()) " may send you messages on this topic." }
        (form(Action::Leave(OptOut::Topic), None, "Unsubscribe"))
    };
    about.page("Subscribed", &content)
}

fn unavailable(about: &About, action: Action) -> Response {
    let content = html! {
        h1 { "This did not work just now" }
        p { "Nothing was changed, and it is our fault, not yours. Please try again in a minute." }
        (form(action, Some("main"), "Try again"))
    };
    (
        StatusCode::SERVICE_UNAVAILABLE,
        [(header::RETRY_AFTER, RETRY_AFTER)],
        about.page("Please try again", &content),
    )
        .into_response()
}

pub(super) fn wrong_token() -> Response {
    let content = html! {
        h1 { "This link is not complete" }
        p { "We can't tell which message it comes from. Mail programs sometimes break a long link in two: please press the \
             link in the message itself, or copy all of it." }
        p { "If that does not help, answer the message and ask to be unsubscribed." }
    };
    (
        StatusCode::NOT_FOUND,
        page("This link is not complete", Width::Text, &content),
    )
        .into_response()
}

pub(super) fn unreadable_page() -> Markup {
    let content = html! {
        h1 { "This request could not be read" }
        p { "Nothing was changed. Please open the link in the message again and press the button there." }
    };
    page("This request could not be read", Width::Text, &content)
}

fn front() -> Markup {
    let content = html! {
        h1 { "Nothing to see here" }
        p { "This server answers the links in messages." }
    };
    page("Links in messages", Width::Text, &content)
}

fn no_page() -> Response {
    let content = html! {
        h1 { "There is no such page" }
        p { "This server answers the links in messages. If you came by such a link, it may have been cut off: please press \
             the link in the message itself, or copy all of it." }
    };
    (
        StatusCode::NOT_FOUND,
        page("There is no such page", Width::Text, &content),
    )
        .into_response()
}

#[cfg(test)]
mod tests;
