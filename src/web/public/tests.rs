//! The way out, against a store that is a pair of booleans.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use async_trait::async_trait;
use axum::{
    body::{Body, to_bytes},
    http::{Method, Request},
};
use tower::ServiceExt;

use super::*;
use crate::{
    control::{Refused, RefusedKind},
    engine::{Preference, Preferences},
    message::WebPage,
    model::{AddressHash, DeliveryId, Purpose, RecipientHash, Topic, TopicName},
};

const FORM: &str = "application/x-www-form-urlencoded";

#[derive(Default)]
struct Fake {
    topic: AtomicBool,
    all: AtomicBool,
    fails: AtomicBool,
    nameless: AtomicBool,
}

impl Fake {
    fn set(&self, scope: OptOut, out: bool) -> Result<(), Refused> {
        if self.fails.load(Relaxed) {
            return Err(Refused::new(RefusedKind::Failed, "the disk is full"));
        }
        match scope {
            OptOut::Topic => self.topic.store(out, Relaxed),
            OptOut::All => self.all.store(out, Relaxed),
        }
        Ok(())
    }

    fn state(&self) -> (bool, bool) {
        (self.topic.load(Relaxed), self.all.load(Relaxed))
    }
}

#[async_trait]
impl WayOut for Fake {
    fn claim(&self, _: LinkKind, token: &str) -> Option<Claim> {
        (token == "good").then(|| Claim {
            delivery: DeliveryId(1),
            address: AddressHash([1; 16]),
            recipient: RecipientHash([2; 16]),
            topic: "offers".parse().unwrap(),
        })
    }

    fn topic(&self, claim: &Claim) -> Option<Topic> {
        (!self.nameless.load(Relaxed)).then(|| Topic {
            name: claim.topic.clone(),
            title: "Offers & <News>".to_owned(),
            purpose: Purpose::Marketing,
        })
    }

    fn sender_name(&self, _: &Claim) -> Option<String> {
        (!self.nameless.load(Relaxed)).then(|| "Acme Energy".to_owned())
    }

    async fn unsubscribed(&self, _: &Claim) -> Result<(bool, bool), Refused> {
        if self.fails.load(Relaxed) {
            return Err(Refused::new(RefusedKind::Failed, "the disk is full"));
        }
        Ok(self.state())
    }

    async fn unsubscribe(&self, _: &Claim, scope: OptOut) -> Result<(), Refused> {
        self.set(scope, true)
    }

    async fn preferences(&self, claim: &Claim) -> Result<Preferences, Refused> {
        let (topic, all) = self.unsubscribed(claim).await?;
        let on = !topic && !all;
        Ok(Preferences {
            topics: self
                .topic(claim)
                .map(|topic| Preference { topic, on })
                .into_iter()
                .collect(),
            blocked: false,
        })
    }

    async fn prefer(&self, claim: &Claim, wanted: &BTreeSet<TopicName>) -> Result<(), Refused> {
        self.set(OptOut::Topic, !wanted.contains(&claim.topic))
    }

    async fn view(&self, _: &Claim) -> Result<Option<WebPage>, Refused> {
        if self.fails.load(Relaxed) {
            return Err(Refused::new(RefusedKind::Failed, "the disk is full"));
        }
        let page = WebPage {
            subject: "<Hi>".to_owned(),
            text: "Hi & bye".to_owned(),
            html: (!self.nameless.load(Relaxed)).then(|| "<p>Hi</p>".to_owned()),
        };
        Ok((!self.all.load(Relaxed)).then_some(page))
    }

    async fn resubscribe(&self, _: &Claim, scope: OptOut) -> Result<(), Refused> {
        self.set(scope, false)
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

async fn request(fake: &Arc<Fake>, request: Request<Body>) -> Answer {
    let response = router(fake.clone()).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

async fn ask_for(fake: &Arc<Fake>, method: Method, path: &str) -> Answer {
    let asked = Request::builder()
        .method(method)
        .uri(path)
        .body(Body::empty());
    request(fake, asked.unwrap()).await
}

async fn post(fake: &Arc<Fake>, content_type: &str, body: impl Into<Body>) -> Answer {
    let asked = Request::post("/u/good")
        .header(header::CONTENT_TYPE, content_type)
        .body(body.into());
    request(fake, asked.unwrap()).await
}

#[tokio::test]
async fn get_and_head_show_a_button_and_change_nothing() {
    let fake = Arc::new(Fake::default());
    let page = ask_for(&fake, Method::GET, "/u/good").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.starts_with("<!DOCTYPE html><html lang=\"en\">"));
    assert!(
        page.body
            .contains("Unsubscribe from Offers &amp; &lt;News&gt;?")
    );
    assert!(page.body.contains("Acme Energy"));
    assert!(page.body.contains("<form method=\"post\"><button"));
    assert_eq!(page.body.matches("<button").count(), 1);
    assert!(!page.body.contains("<script") && !page.body.contains("<link"));

    let head = ask_for(&fake, Method::HEAD, "/u/good").await;
    assert_eq!((head.status, head.body.as_str()), (StatusCode::OK, ""));
    assert_eq!(fake.state(), (false, false));
}

#[tokio::test]
async fn any_post_unsubscribes_however_often_it_comes() {
    let multipart = "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n";
    for (content_type, body) in [
        (FORM, "List-Unsubscribe=One-Click"),
        ("multipart/form-data; boundary=x", multipart),
        (FORM, ""),
        ("text/plain", "anything"),
    ] {
        let fake = Arc::new(Fake::default());
        for _ in 0..2 {
            let page = post(&fake, content_type, body).await;
            assert_eq!(page.status, StatusCode::OK);
            assert!(page.body.contains("You are unsubscribed from Offers"));
            assert!(page.body.contains("name=\"action\" value=\"undo\""));
            assert!(page.body.contains("name=\"action\" value=\"all\""));
            assert!(!page.headers.contains_key(header::SET_COOKIE));
            assert_eq!(fake.state(), (true, false));
        }
        let again = ask_for(&fake, Method::GET, "/u/good").await;
        assert!(again.body.contains("You are unsubscribed from Offers"));
    }
}

#[tokio::test]
async fn the_page_offers_everything_and_undo() {
    let fake = Arc::new(Fake::default());
    post(&fake, FORM, "").await;
    let page = post(&fake, FORM, "action=all").await;
    assert!(page.body.contains("You are unsubscribed from everything"));
    assert!(page.body.contains("value=\"undo_all\""));
    assert_eq!(fake.state(), (true, true));

    let page = post(&fake, FORM, "action=undo_all").await;
    assert!(page.body.contains("You are unsubscribed from Offers"));
    let page = post(&fake, FORM, "action=undo").await;
    assert!(
        page.body
            .contains("You are subscribed to Offers &amp; &lt;News&gt; again")
    );
    assert_eq!(fake.state(), (false, false));
}

#[tokio::test]
async fn a_wrong_token_is_told_what_to_do() {
    let fake = Arc::new(Fake::default());
    let long = format!("/u/{}", "a".repeat(TOKEN_LIMIT + 1));
    for path in ["/u/bad", "/u/%ff", "/u/a/b", "/u/", "/elsewhere", &long] {
        for method in [Method::GET, Method::POST] {
            let page = ask_for(&fake, method, path).await;
            assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
            assert!(
                page.body.contains("press the link in the message"),
                "{path}"
            );
        }
    }
    assert_eq!(fake.state(), (false, false));
}

#[tokio::test]
async fn a_store_that_fails_is_not_covered_up() {
    let fake = Arc::new(Fake::default());
    fake.fails.store(true, Relaxed);
    let page = post(&fake, FORM, "action=all").await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(page.headers[header::RETRY_AFTER], "60");
    assert!(page.body.contains("Nothing was changed") && page.body.contains("value=\"all\""));
    assert!(!page.body.contains("disk"));
    // The button is still there: the store may be back when it is pressed.
    let page = ask_for(&fake, Method::GET, "/u/good").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("<button"));
}

#[tokio::test]
async fn a_topic_that_the_settings_lost_still_lets_people_out() {
    let fake = Arc::new(Fake::default());
    fake.nameless.store(true, Relaxed);
    let page = post(&fake, FORM, "").await;
    assert!(
        page.body
            .contains("You are unsubscribed from these messages")
    );
    assert_eq!(fake.state(), (true, false));
}

#[tokio::test]
async fn other_methods_and_long_bodies_are_refused() {
    let fake = Arc::new(Fake::default());
    for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        let answer = ask_for(&fake, method, "/u/good").await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    }
    let answer = post(&fake, FORM, vec![b'a'; BODY_LIMIT + 1]).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(fake.state(), (false, false));
}

#[tokio::test]
async fn the_policy_allows_the_pages_own_style() {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use sha2::{Digest, Sha256};
    let page = ask_for(&Arc::new(Fake::default()), Method::GET, "/u/good").await;
    let (_, rest) = page.body.split_once("<style>").unwrap();
    let (style, _) = rest.split_once("</style>").unwrap();
    let hash = STANDARD.encode(Sha256::digest(style));
    let policy = page.headers[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap();
    assert!(policy.contains(&format!("style-src 'sha256-{hash}';")));
}

#[tokio::test]
async fn every_answer_keeps_to_itself() {
    let fake = Arc::new(Fake::default());
    let mut answers = vec![post(&fake, FORM, "").await];
    answers.push(post(&fake, FORM, vec![b'a'; BODY_LIMIT + 1]).await);
    for path in ["/", "/robots.txt", "/u/good", "/u/bad"] {
        answers.push(ask_for(&fake, Method::GET, path).await);
    }
    answers.push(ask_for(&fake, Method::PUT, "/u/good").await);
    for answer in answers {
        let policy = answer.headers[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"));
        assert!(policy.contains("form-action 'self'") && policy.contains("frame-ancestors 'none'"));
        assert_eq!(answer.headers[header::REFERRER_POLICY], "no-referrer");
        assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(answer.headers["x-robots-tag"], "noindex, nofollow");
    }
    let robots = ask_for(&fake, Method::GET, "/robots.txt").await;
    assert_eq!(robots.body, "User-agent: *\nDisallow: /\n");
}

#[tokio::test]
async fn the_message_is_shown_with_a_policy_of_its_own() {
    let fake = Arc::new(Fake::default());
    let page = ask_for(&fake, Method::GET, "/v/good").await;
    assert_eq!((page.status, &*page.body), (StatusCode::OK, "<p>Hi</p>"));
    let policy = page.headers[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("sandbox"),
        "{policy}"
    );
    assert!(
        !policy.contains("allow-scripts") && !policy.contains("script-src"),
        "{policy}"
    );
    assert_eq!(page.headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(page.headers["x-robots-tag"], "noindex, nofollow");
    assert_eq!(page.headers[header::REFERRER_POLICY], "no-referrer");

    fake.nameless.store(true, Relaxed);
    let page = ask_for(&fake, Method::GET, "/v/good").await;
    assert!(
        page.body.contains("&lt;Hi&gt;") && page.body.contains("Hi &amp; bye"),
        "{}",
        page.body
    );
    fake.all.store(true, Relaxed);
    let page = ask_for(&fake, Method::GET, "/v/good").await;
    assert_eq!(page.status, StatusCode::GONE);
    assert!(
        page.body.contains("can&#39;t be shown any more")
            || page.body.contains("can't be shown any more")
    );
    fake.fails.store(true, Relaxed);
    assert_eq!(
        ask_for(&fake, Method::GET, "/v/good").await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(
        ask_for(&fake, Method::GET, "/v/bad").await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        ask_for(&fake, Method::POST, "/v/good").await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[tokio::test]
async fn preferences_are_saved_by_their_own_form_only() {
    let fake = Arc::new(Fake::default());
    let page = ask_for(&fake, Method::GET, "/p/good").await;
    assert!(
        page.body.contains("checked") && page.body.contains("Offers &amp; &lt;News&gt;"),
        "{}",
        page.body
    );
    let post = async |body: &'static str| {
        let asked = Request::post("/p/good")
            .header(header::CONTENT_TYPE, FORM)
            .body(Body::from(body));
        request(&fake, asked.unwrap()).await
    };
    for body in ["", "List-Unsubscribe=One-Click", "action=other&on=offers"] {
        let page = post(body).await;
        assert!(
            page.body.contains("checked") && !page.body.contains("Saved"),
            "{body}"
        );
    }
    let page = post("action=save").await;
    assert!(
        page.body.contains("Saved.") && !page.body.contains("checked"),
        "{}",
        page.body
    );
    let page = post("on=offers&on=%00nonsense&action=save").await;
    assert!(page.body.contains("checked"), "{}", page.body);
    assert!(post("action=none").await.body.contains("no more messages"));
    assert_eq!(fake.state(), (false, true));
    fake.fails.store(true, Relaxed);
    assert_eq!(
        post("action=save").await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
}
