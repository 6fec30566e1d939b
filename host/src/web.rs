//! Everything that answers HTTP: the webhooks, the pages of a team, the unsubscribe page and the health checks.
//! It must never change anything but through the engine, and never show one team what belongs to another.

mod asset;
mod citation;
mod error;
mod health;
pub mod hook;
mod page;
mod page_time;
mod review;
mod review_page;
mod same_origin;
mod sign_in;
mod unsubscribe;

use crate::engine::Engine;
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use error::WebError;
use std::sync::Arc;

/// Forms are small: the largest holds one edited e-mail.
const FORM_BYTES_MAX: usize = 128 * 1024;

/// What every answer carries. Pages load their own style sheet and icon and nothing else: no script, no frame.
const SECURITY_HEADERS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// The whole of what is served.
pub fn router(engine: Arc<Engine>) -> Router {
    Router::new()
        .route("/", get(async || Redirect::to("/review")))
        .route("/sign-in", get(sign_in::show).post(sign_in::act))
        .route("/sign-out", post(sign_in::end))
        .route("/review", get(review::list))
        .route("/review/{id}", get(review::show))
        .route("/review/{id}/approve", post(review::approve))
        .route("/review/{id}/reject", post(review::reject))
        .route("/review/{id}/settle", post(review::settle))
        .route("/u/{token}", get(unsubscribe::show).post(unsubscribe::act))
        .route("/assets/{name}", get(asset::show))
        .route("/livez", get(health::alive))
        .route("/readyz", get(health::ready))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .merge(hook::routes())
        .fallback(async || WebError::NotFound)
        .method_not_allowed_fallback(async || WebError::MethodNotAllowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&engine), refuse_other_sites))
        .layer(middleware::from_fn(error::show))
        .layer(middleware::from_fn(add_security_headers))
        .with_state(engine)
}

async fn refuse_other_sites(State(engine): State<Arc<Engine>>, request: Request, next: Next) -> Response {
    let public_url = &engine.config.public_url;
    if same_origin::may_change(request.method(), request.uri().path(), request.headers(), public_url) {
        next.run(request).await
    } else {
        WebError::FromAnotherSite.into_response()
    }
}

async fn add_security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Whatever does not say that it may be kept is about a person: a lead or whoever is signed in.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
