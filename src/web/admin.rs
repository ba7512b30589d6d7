//! The private pages: health, metrics, state. They change nothing, and answer to no other site's name.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};

use super::{engine::Watched, host::check_host, metrics, overview::overview, page::guarded};
use crate::{control::Refused, engine::Engine};

/// `/`, `/status`, `/metrics`, `/healthz` and `/readyz`.
pub fn admin_router(engine: Arc<Engine>) -> Router {
    router(engine)
}

fn router(engine: Arc<dyn Watched>) -> Router {
    let router = Router::new()
        .route("/", get(front))
        .route("/status", get(status))
        .route("/metrics", get(measure))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(engine)
        .layer(middleware::from_fn(check_host));
    guarded(router)
}

type Asked = State<Arc<dyn Watched>>;

async fn front(State(engine): Asked) -> Result<Response, Unavailable> {
    Ok(overview(&engine.status().await?).into_response())
}

async fn status(State(engine): Asked) -> Result<Response, Unavailable> {
    Ok(Json(engine.status().await?).into_response())
}

async fn measure(State(engine): Asked) -> Result<Response, Unavailable> {
    let text = metrics::metrics(&engine.status().await?);
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

async fn ready(State(engine): Asked) -> Response {
    match engine.ready().await {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

/// The state could not be read.
struct Unavailable(Refused);

impl From<Refused> for Unavailable {
    fn from(refused: Refused) -> Self {
        Self(refused)
    }
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", self.0)).into_response()
    }
}

#[cfg(test)]
mod tests;
