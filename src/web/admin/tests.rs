//! The private pages, against a report made by hand.

use std::collections::BTreeMap;

use async_trait::async_trait;
use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use tower::ServiceExt;

use super::*;
use crate::{
    control::{
        CampaignState, CampaignStatus, RefusedKind, RunStatus, StatusReport, TransportStatus,
    },
    model::{OccurrenceName, RunId, RunState, Safety, Status, Totals},
};

struct Fake(Result<StatusReport, Refused>);

#[async_trait]
impl Watched for Fake {
    async fn status(&self) -> Result<StatusReport, Refused> {
        self.0.clone()
    }

    async fn ready(&self) -> Result<(), String> {
        self.0.as_ref().map(|_| ()).map_err(ToString::to_string)
    }
}

fn report() -> StatusReport {
    let campaign = |id: &str, state, error: Option<&str>| CampaignStatus {
        id: id.parse().unwrap(),
        name: format!("<{id}>"),
        state,
        error: error.map(ToOwned::to_owned),
        warning: None,
        next: Some("2026-12-01T09:00:00+01:00".parse().unwrap()),
        topic: Some("billing".to_owned()),
    };
    let run = |id, state, reason: Option<&str>| RunStatus {
        id: RunId(id),
        campaign: "billing/renewal".parse().unwrap(),
        occurrence: OccurrenceName::label("2026-12-01").unwrap(),
        state,
        reason: reason.map(ToOwned::to_owned),
        help: None,
        digest: None,
        counts: BTreeMap::from([(Status::Sent, 7), (Status::Failed, 1)]),
        skipped: BTreeMap::from([("cooldown".to_owned(), 2)]),
        totals: Totals::default(),
        goes_on_at: None,
        unsubscribed: 0,
        effects: None,
        due: "2026-12-01T08:00:00Z".parse().unwrap(),
        started_at: None,
        ended_at: None,
        waits_until: None,
        approval: None,
    };
    StatusReport {
        daemon: true,
        environment: None,
        safety: Safety::default(),
        campaigns: vec![
            campaign("billing/renewal", CampaignState::Running, None),
            campaign("offers", CampaignState::Broken, Some("offers.toml:1:1: no")),
        ],
        runs: vec![
            run(1, RunState::Sending, None),
            run(2, RunState::Held, Some("too_many")),
        ],
        transports: vec![TransportStatus {
            name: "main".to_owned(),
            description: "smtp".to_owned(),
            connections: 8,
            sent: 14,
            rate: None,
            error: None,
        }],
        errors: vec!["campaigns/offers.toml:1:1: no".to_owned()],
    }
}

fn broken() -> Result<StatusReport, Refused> {
    Err(Refused::new(RefusedKind::Failed, "the store is away"))
}

async fn get(
    engine: Result<StatusReport, Refused>,
    host: &str,
    path: &str,
) -> (StatusCode, String) {
    let request = Request::get(path)
        .header(header::HOST, host)
        .body(Body::empty());
    let response = router(Arc::new(Fake(engine)))
        .oneshot(request.unwrap())
        .await
        .unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn other_sites_names_are_refused() {
    for path in ["/", "/status", "/metrics", "/healthz", "/nothing"] {
        let (status, _) = get(Ok(report()), "evil.example", path).await;
        assert_eq!(status, StatusCode::MISDIRECTED_REQUEST, "{path}");
    }
    let (status, _) = get(Ok(report()), "localhost:8026", "/healthz").await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn health_and_readiness() {
    assert_eq!(
        get(broken(), "127.0.0.1", "/healthz").await,
        (StatusCode::OK, "ok\n".to_owned())
    );
    assert_eq!(
        get(Ok(report()), "127.0.0.1", "/readyz").await.0,
        StatusCode::OK
    );
    for path in ["/readyz", "/status", "/metrics", "/"] {
        assert_eq!(
            get(broken(), "127.0.0.1", path).await,
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the store is away\n".to_owned()
            ),
            "{path}"
        );
    }
}

#[tokio::test]
async fn status_is_what_the_command_prints() {
    let (_, body) = get(Ok(report()), "[::1]:8026", "/status").await;
    let status: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status["campaigns"][1]["state"], "broken");
    assert_eq!(status["runs"][0]["counts"]["sent"], 7);
}

#[tokio::test]
async fn the_overview_escapes_what_files_say() {
    let (_, body) = get(Ok(report()), "localhost", "/").await;
    assert!(body.contains("&lt;offers&gt;") && !body.contains("<offers>"));
    assert!(body.contains("2026-12-01 09:00 +01:00"));
    assert!(!body.contains("<form") && !body.contains("<script"));
}

#[tokio::test]
async fn metrics_are_in_the_text_format() {
    let (_, body) = get(Ok(report()), "localhost", "/metrics").await;
    for line in [
        "# TYPE campanile_transport_sent_total counter",
        "campanile_campaigns{state=\"broken\"} 1",
        "campanile_campaign_broken{campaign=\"offers\"} 1",
        "campanile_runs{state=\"sending\"} 1",
        "campanile_runs{state=\"failed\"} 0",
        "campanile_runs_held{reason=\"too_many\"} 1",
        "campanile_deliveries{campaign=\"billing/renewal\",status=\"sent\"} 14",
        "campanile_deliveries_skipped{reason=\"cooldown\"} 4",
        "campanile_transport_up{transport=\"main\"} 1",
        "campanile_transport_connections{transport=\"main\"} 8",
        "campanile_transport_sent_total{transport=\"main\"} 14",
        "campanile_findings 1",
    ] {
        assert!(body.lines().any(|found| found == line), "{line}\n{body}");
    }
    // Every family says what it is before its first sample.
    for line in body.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let (help, sample) = (body.find(&format!("# HELP {name} ")), body.find(line));
        assert!(help.unwrap() < sample.unwrap(), "{line}");
    }
}
