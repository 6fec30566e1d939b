//! Who is looking: sign-in, sign-out, and the session cookie behind every page of a team.
//! It must never keep a password, nor send a visitor to an address outside these pages.

use crate::{
    engine::{
        Engine,
        sign_in::{self, SignInError},
    },
    store::account::SignedIn,
    web::{error::WebError, page::Frame, page_time},
};
use askama::Template;
use axum::{
    extract::{Form, FromRequestParts, Query, State, rejection::FormRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use std::sync::Arc;

/// How long a browser keeps the session; the store ends it at the same time.
const SESSION_S_MAX: u32 = 12 * 60 * 60;
/// Longer names are no names; they are not even looked up.
const NAME_BYTES_MAX: usize = 200;
/// Hashing is slow on purpose, so its input is bounded.
const PASSWORD_BYTES_MAX: usize = 1_000;

const HOME: &str = "/review";

/// A signed-in person; a request without one is sent to the sign-in page.
#[derive(Debug)]
pub(crate) struct Visitor(pub(crate) SignedIn);

impl Visitor {
    /// The person, if they may change things.
    pub(crate) fn actor(&self) -> Result<&SignedIn, WebError> {
        if self.0.role == "viewer" { Err(WebError::ViewerOnly) } else { Ok(&self.0) }
    }
}

impl FromRequestParts<Arc<Engine>> for Visitor {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, engine: &Arc<Engine>) -> Result<Self, WebError> {
        if let Some(token) = session_token(&parts.headers, is_https(engine))
            && let Some(who) = engine.store.session(&sign_in::token_hash(token), engine.clock.now_ms()).await?
        {
            return Ok(Visitor(who));
        }
        Err(WebError::SignedOut { next: way_back(parts.uri.path()).to_owned() })
    }
}

#[derive(Debug, Template)]
#[template(path = "sign_in.html")]
struct SignInTemplate<'a> {
    frame: Frame,
    name: &'a str,
    next: &'a str,
    problem: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SignInQuery {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub(crate) struct SignInForm {
    name: String,
    password: String,
    #[serde(default)]
    next: String,
}

impl std::fmt::Debug for SignInForm {
    /// Without the password, so that it cannot end up in a log.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SignInForm").field("name", &self.name).finish_non_exhaustive()
    }
}

/// `GET /sign-in`
pub(crate) async fn show(
    visitor: Result<Visitor, WebError>,
    Query(query): Query<SignInQuery>,
) -> Result<Response, WebError> {
    match visitor {
        Ok(_) => Ok(Redirect::to(way_back(&query.next)).into_response()),
        Err(WebError::SignedOut { .. }) => page("", way_back(&query.next), None),
        Err(error) => Err(error),
    }
}

/// `POST /sign-in`
pub(crate) async fn act(
    State(engine): State<Arc<Engine>>,
    form: Result<Form<SignInForm>, FormRejection>,
) -> Result<Response, WebError> {
    let Form(form) = form?;
    let next = way_back(&form.next);
    let refused = |status, retry_after_s: Option<i64>, problem: String| {
        let mut response = page(&form.name, next, Some(problem))?;
        *response.status_mut() = status;
        if let Some(seconds) = retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        Ok(response)
    };
    let wrong = "This name and password do not belong together.";
    if form.name.len() > NAME_BYTES_MAX || form.password.len() > PASSWORD_BYTES_MAX {
        return refused(StatusCode::FORBIDDEN, None, wrong.to_owned());
    }
    match sign_in::sign_in(&engine, form.name.trim(), &form.password).await {
        Ok(token) => {
            let cookie = session_cookie(&token, SESSION_S_MAX, is_https(&engine))?;
            Ok(([(header::SET_COOKIE, cookie)], Redirect::to(next)).into_response())
        }
        Err(SignInError::Wrong) => refused(StatusCode::FORBIDDEN, None, wrong.to_owned()),
        Err(SignInError::Locked { retry_after_ms }) => {
            let problem = format!("Too many wrong passwords. Try again in {}.", page_time::length(retry_after_ms));
            refused(StatusCode::TOO_MANY_REQUESTS, Some((retry_after_ms / 1_000).max(1)), problem)
        }
        Err(SignInError::Store(error)) => Err(error.into()),
    }
}

/// `POST /sign-out`
pub(crate) async fn end(State(engine): State<Arc<Engine>>, headers: HeaderMap) -> Result<Response, WebError> {
    let https = is_https(&engine);
    if let Some(token) = session_token(&headers, https) {
        engine.store.end_session(&sign_in::token_hash(token)).await?;
    }
    let gone = session_cookie("", 0, https)?;
    Ok(([(header::SET_COOKIE, gone)], Redirect::to("/sign-in")).into_response())
}

fn page(name: &str, next: &str, problem: Option<String>) -> Result<Response, WebError> {
    let template = SignInTemplate { frame: Frame::new("Sign in"), name, next, problem };
    Ok(Html(template.render()?).into_response())
}

fn is_https(engine: &Engine) -> bool {
    engine.config.public_url.starts_with("https://")
}

/// With https the name itself makes browsers insist on `Secure`, `Path=/` and this very host.
fn cookie_name(https: bool) -> &'static str {
    if https { "__Host-rejoinder" } else { "rejoinder" }
}

fn session_cookie(token: &str, age_s: u32, https: bool) -> Result<HeaderValue, WebError> {
    let name = cookie_name(https);
    let secure = if https { "; Secure" } else { "" };
    HeaderValue::from_str(&format!("{name}={token}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}"))
        .map_err(|_| WebError::NotFound)
}

fn session_token(headers: &HeaderMap, https: bool) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, token)| *name == cookie_name(https) && is_token(token))
        .map(|(_, token)| token)
}

fn is_token(token: &str) -> bool {
    (16..=256).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Where to go after signing in: a page of ours, whatever the address bar said.
fn way_back(next: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_');
    let is_page = next == HOME || next.starts_with("/review/");
    if is_page && next.len() <= 200 && !next.contains("//") && next.bytes().all(is_plain) { next } else { HOME }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn with_cookie(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(value).expect("a header value"))])
    }

    #[test]
    fn over_https_the_cookie_is_bound_to_the_host() {
        let cookie = session_cookie(TOKEN, SESSION_S_MAX, true).expect("a cookie");
        let expected = format!("__Host-rejoinder={TOKEN}; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax; Secure");
        assert_eq!(cookie.to_str().ok(), Some(expected.as_str()));
    }

    #[test]
    fn over_http_the_cookie_is_still_out_of_reach_of_scripts_and_other_sites() {
        let cookie = session_cookie(TOKEN, SESSION_S_MAX, false).expect("a cookie");
        let expected = format!("rejoinder={TOKEN}; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax");
        assert_eq!(cookie.to_str().ok(), Some(expected.as_str()));
    }

    #[test]
    fn the_token_is_found_among_other_cookies_and_nothing_else_passes() {
        assert_eq!(session_token(&with_cookie(&format!("theme=dark; rejoinder={TOKEN}; a=b")), false), Some(TOKEN));
        assert_eq!(session_token(&with_cookie(&format!("rejoinder={TOKEN}")), true), None);
        assert_eq!(session_token(&with_cookie(&format!("xrejoinder={TOKEN}")), false), None);
        assert_eq!(session_token(&with_cookie("rejoinder=' OR 1=1 --"), false), None);
        assert_eq!(session_token(&with_cookie("rejoinder="), false), None);
        assert_eq!(session_token(&HeaderMap::new(), false), None);
    }

    #[test]
    fn after_sign_in_nobody_is_led_to_another_site() {
        assert_eq!(way_back("/review/0190-abc"), "/review/0190-abc");
        for foreign in [
            "",
            "https://evil.example",
            "//evil.example",
            "/review//evil.example",
            "/review/\r\nX: y",
            "/reviewer",
            "/u/x",
        ] {
            assert_eq!(way_back(foreign), HOME);
        }
    }

    #[test]
    fn a_viewer_may_look_and_not_act() {
        let visitor = |role: &str| {
            Visitor(SignedIn {
                user_id: "u".to_owned(),
                user_name: "Ada".to_owned(),
                role: role.to_owned(),
                workspace_id: "w".to_owned(),
                workspace_slug: "demo".to_owned(),
                workspace_name: "Demo".to_owned(),
            })
        };
        assert!(matches!(visitor("viewer").actor(), Err(WebError::ViewerOnly)));
        for role in ["admin", "reviewer", "rep"] {
            assert!(visitor(role).actor().is_ok());
        }
    }

    #[test]
    fn what_was_typed_is_shown_as_text_and_the_password_never_again() {
        let form = SignInForm { name: "Ada".to_owned(), password: "secret".to_owned(), next: String::new() };
        assert!(!format!("{form:?}").contains("secret"));
        let template = SignInTemplate {
            frame: Frame::new("Sign in"),
            name: "\"><script>",
            next: "/review",
            problem: Some("Wrong.".to_owned()),
        };
        let page = template.render().expect("the page renders");
        assert!(page.contains("&#34;&#62;&#60;script&#62;"), "{page}");
        assert!(page.contains(r#"role="alert""#));
    }
}
