//! What a request that cannot be served answers: a page for people, `application/problem+json` for programs.
//! It must never show what went wrong inside: that belongs in the log; the reader learns what to do instead.

use crate::{store::StoreError, web::page::Frame};
use askama::Template;
use axum::{
    extract::{Request, rejection::FormRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{Html, IntoResponse, Redirect, Response},
};

/// Why a page cannot be shown or a form not be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WebError {
    #[error("not signed in")]
    SignedOut { next: String },
    #[error("the session ended while a text was being edited")]
    SignedOutWhileEditing { text: String },
    #[error("there is nothing at this address")]
    NotFound,
    #[error("the link belongs to nobody")]
    UnknownLink,
    #[error("this address does not take this method")]
    MethodNotAllowed,
    #[error("the request came from another site")]
    FromAnotherSite,
    #[error("viewers may read, not act")]
    ViewerOnly,
    #[error("the form could not be read: {0}")]
    Form(#[from] FormRejection),
    #[error("the store: {0}")]
    Store(#[from] StoreError),
    #[error("a page could not be drawn: {0}")]
    Template(#[from] askama::Error),
}

/// What is said about an error, before it is known who asks. `show` turns it into a page for browsers.
#[derive(Clone, Debug)]
struct Problem {
    status: StatusCode,
    title: String,
    detail: String,
    kept_text: Option<String>,
}

impl IntoResponse for WebError {
    fn into_response(self) -> Response {
        let (status, title, detail) = match &self {
            WebError::SignedOut { next } => return Redirect::to(&format!("/sign-in?next={next}")).into_response(),
            WebError::SignedOutWhileEditing { .. } => (
                StatusCode::FORBIDDEN,
                "You have been signed out",
                "Nothing was sent. Your text is kept below: copy it, sign in and paste it.",
            ),
            WebError::NotFound => {
                (StatusCode::NOT_FOUND, "Not found", "There is nothing at this address, or not for your team.")
            }
            WebError::UnknownLink => (
                StatusCode::NOT_FOUND,
                "This link is not whole",
                "Copy the whole link from the e-mail and try again, or answer the e-mail with the word unsubscribe.",
            ),
            WebError::MethodNotAllowed => (
                StatusCode::METHOD_NOT_ALLOWED,
                "Not possible here",
                "This address does not take this method; the answer's Allow header names those it takes.",
            ),
            WebError::FromAnotherSite => (
                StatusCode::FORBIDDEN,
                "Refused",
                "The request came from another site, so nothing was changed. Open the page here and try again.",
            ),
            WebError::ViewerOnly => (
                StatusCode::FORBIDDEN,
                "You may read, not act",
                "Your role is viewer. Ask an admin of your team for the role of a reviewer or rep.",
            ),
            WebError::Form(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "Too long",
                "The text is longer than this form takes, so nothing was changed. Shorten it and try again.",
            ),
            WebError::Form(rejection) => (
                rejection.status(),
                "The form could not be read",
                "Nothing was changed. Go back, load the page again and use its own form.",
            ),
            WebError::Store(error) => {
                tracing::error!(%error, "a page could not reach the store");
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "The database does not answer",
                    "Nothing is lost. Try again in a moment; the server's log names the cause.",
                )
            }
            WebError::Template(error) => {
                tracing::error!(%error, "a page could not be drawn");
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "This page could not be drawn",
                    "Nothing was changed. The server's log names the cause.",
                )
            }
        };
        let kept_text = match self {
            WebError::SignedOutWhileEditing { text } => Some(text),
            _ => None,
        };
        Problem { status, title: title.to_owned(), detail: detail.to_owned(), kept_text }.into_response()
    }
}

/// An error for a program that calls us.
#[must_use]
pub(crate) fn problem(status: StatusCode, title: impl Into<String>, detail: impl Into<String>) -> Response {
    Problem { status, title: title.into(), detail: detail.into(), kept_text: None }.into_response()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::json!({
            "type": "about:blank",
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
        let mut response = (self.status, headers, body.to_string()).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[derive(Debug, Template)]
#[template(path = "error.html")]
struct ErrorTemplate<'a> {
    frame: Frame,
    status: u16,
    title: &'a str,
    detail: &'a str,
    kept_text: Option<&'a str>,
}

/// Middleware: a problem becomes a page when a browser asked.
pub(crate) async fn show(request: Request, next: Next) -> Response {
    let by_person = is_person(request.uri().path(), request.headers());
    let mut response = next.run(request).await;
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) if by_person => as_page(&problem, response),
        _ => response,
    }
}

fn is_person(path: &str, headers: &HeaderMap) -> bool {
    let takes_pages = |value: &HeaderValue| value.to_str().is_ok_and(|accepted| accepted.contains("text/html"));
    !path.starts_with("/hooks/") && headers.get_all(header::ACCEPT).iter().any(takes_pages)
}

fn as_page(problem: &Problem, response: Response) -> Response {
    let template = ErrorTemplate {
        frame: Frame::new(problem.title.clone()),
        status: problem.status.as_u16(),
        title: &problem.title,
        detail: &problem.detail,
        kept_text: problem.kept_text.as_deref(),
    };
    // Without the page the program's form of the problem still says everything.
    let Ok(page) = template.render() else { return response };
    let (mut head, _) = response.into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.remove(header::CONTENT_TYPE);
    let mut shown = Html(page).into_response();
    *shown.status_mut() = head.status;
    for (name, value) in &head.headers {
        shown.headers_mut().append(name, value.clone());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_get_problem_json_with_its_four_members() {
        let response = problem(StatusCode::NOT_FOUND, "No such team", "Check the address.");
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(
            response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes),
            Some(&b"application/problem+json"[..])
        );
        assert!(response.extensions().get::<Problem>().is_some());
    }

    #[test]
    fn browsers_get_pages_and_hooks_never_do() {
        let browser = HeaderMap::from_iter([(
            header::ACCEPT,
            HeaderValue::from_static("text/html,application/xhtml+xml,*/*;q=0.8"),
        )]);
        assert!(is_person("/review/1", &browser));
        assert!(!is_person("/hooks/demo/email/raw", &browser));
        assert!(!is_person("/review/1", &HeaderMap::new()));
    }

    #[test]
    fn a_page_keeps_status_headers_and_the_edited_text() {
        let problem = Problem {
            status: StatusCode::SERVICE_UNAVAILABLE,
            title: "Down".to_owned(),
            detail: "Again".to_owned(),
            kept_text: Some("Hello </textarea><script>".to_owned()),
        };
        let page = as_page(&problem, problem.clone().into_response());
        assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(page.headers().get_all(header::CONTENT_TYPE).iter().count(), 1);
        assert!(page.headers().contains_key(header::RETRY_AFTER));
        let template = ErrorTemplate {
            frame: Frame::new("Down"),
            status: 503,
            title: "Down",
            detail: "Again",
            kept_text: problem.kept_text.as_deref(),
        };
        let html = template.render().expect("the page renders");
        assert!(html.contains("Hello &#60;/textarea&#62;&#60;script&#62;"), "{html}");
    }

    #[test]
    fn a_visitor_without_a_session_is_sent_to_sign_in_and_back() {
        let response = WebError::SignedOut { next: "/review/1".to_owned() }.into_response();
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(
            response.headers().get(header::LOCATION).map(HeaderValue::as_bytes),
            Some(&b"/sign-in?next=/review/1"[..])
        );
    }
}
