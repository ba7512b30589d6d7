//! The preferences page: topics on and off, saved by a form. The token in the address is the right to change them, so a form
//! elsewhere that does not know it can do nothing.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    extract::{Form, State, rejection::FormRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{
    engine::WayOut,
    public::{About, RETRY_AFTER, Token, claim, unreadable_page, wrong_token},
};
use crate::{
    engine::{OptOut, Preferences},
    message::links::LinkKind,
    model::TopicName,
};

/// What is said above the list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Saved,
    AllOff,
    Failed,
}

/// GET and HEAD: shows the list, changes nothing.
pub(super) async fn show(State(way_out): State<Arc<dyn WayOut>>, token: Token) -> Response {
    let Some(claim) = claim(&*way_out, LinkKind::Preferences, token) else {
        return wrong_token();
    };
    let about = About::of(&*way_out, &claim);
    match way_out.preferences(&claim).await {
        Ok(preferences) => page(&about, &preferences, Said::Nothing).into_response(),
        Err(_) => unavailable(&about),
    }
}

/// POST: saves the list, or turns everything off. A body that is no form of ours changes nothing.
pub(super) async fn save(
    State(way_out): State<Arc<dyn WayOut>>,
    token: Token,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Response {
    let Some(claim) = claim(&*way_out, LinkKind::Preferences, token) else {
        return wrong_token();
    };
    let about = About::of(&*way_out, &claim);
    let Ok(Form(fields)) = form else {
        return (StatusCode::BAD_REQUEST, unreadable_page()).into_response();
    };
    let action = fields
        .iter()
        .find(|(name, _)| name == "action")
        .map(|(_, value)| value.as_str());
    let done = match action {
        Some("save") => {
            let wanted: BTreeSet<TopicName> = fields
                .iter()
                .filter(|(name, _)| name == "on")
                .filter_map(|(_, value)| value.parse().ok())
                .collect();
            way_out.prefer(&claim, &wanted).await.map(|()| Said::Saved)
        }
        Some("none") => way_out
            .unsubscribe(&claim, OptOut::All)
            .await
            .map(|()| Said::AllOff),
        _ => Ok(Said::Nothing),
    };
    let said = match done {
        Ok(said) => said,
        Err(refused) => {
            tracing::error!(error = %refused, "preferences could not be recorded");
            return unavailable(&about);
        }
    };
    match way_out.preferences(&claim).await {
        Ok(preferences) => page(&about, &preferences, said).into_response(),
        Err(_) => unavailable(&about),
    }
}

fn unavailable(about: &About) -> Response {
    (
        StatusCode::SERVICE_UNAVAILABLE,
        [(header::RETRY_AFTER, RETRY_AFTER)],
        page(about, &Preferences::default(), Said::Failed),
    )
        .into_response()
}

fn page(about: &About, preferences: &Preferences, said: Said) -> Markup {
    let content = html! {
        h1 { "What do you want to get from " (about.sender()) "?" }
        @match said {
            Said::Nothing => {}
            Said::Saved => p.said role="status" { "Saved." }
            Said::AllOff => p.said role="status" { "Saved: you get no more messages but those you need to have, such as bills." }
            Said::Failed => p.said role="alert" { "This did not work just now, and it is our fault, not yours. Please try again in a minute." }
        }
        @if preferences.blocked {
            p { "At the moment nothing is sent to you, whatever you choose here: messages to you came back, or somebody asked us to stop. \
                 Please ask " (about.sender()) " to change that." }
        }
        @if !preferences.topics.is_empty() {
            form method="post" {
                fieldset {
                    legend { "Topics" }
                    @for (at, preference) in preferences.topics.iter().enumerate() {
                        p {
                            input type="checkbox" id=(format!("topic{at}")) name="on" value=(preference.topic.name.as_str())
                                checked[preference.on];
                            label for=(format!("topic{at}")) { (preference.topic.title) }
                        }
                    }
                }
                button.main type="submit" name="action" value="save" { "Save" }
            }
            form method="post" {
                button type="submit" name="action" value="none" { "Turn everything off" }
            }
        }
    };
    about.page("Preferences", &content)
}
