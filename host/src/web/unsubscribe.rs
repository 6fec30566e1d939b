//! The page behind the link in every footer, and the one click that mail programs make for their users (RFC 8058).
//! It must never ask for a sign-in, and never opt anybody out on a mere visit: scanners follow links.

use crate::{
    engine::{Engine, unsubscribe},
    web::{error::WebError, page::Frame},
};
use askama::Template;
use axum::{
    extract::{Path, State},
    response::Html,
};
use std::sync::Arc;

#[derive(Debug, Template)]
#[template(path = "unsubscribe.html")]
struct UnsubscribeTemplate<'a> {
    frame: Frame,
    company: &'a str,
    address_masked: &'a str,
    done: bool,
}

/// `GET /u/{token}`: says what the button does and changes nothing.
pub(crate) async fn show(
    State(engine): State<Arc<Engine>>,
    Path(token): Path<String>,
) -> Result<Html<String>, WebError> {
    page(&engine, &token).await
}

/// `POST /u/{token}`: the page's button or a mail program's one click. The token alone decides; the body is not read,
/// because mail programs may send it as a form of either kind.
pub(crate) async fn act(
    State(engine): State<Arc<Engine>>,
    Path(token): Path<String>,
) -> Result<Html<String>, WebError> {
    if !unsubscribe::unsubscribe(&engine, &token).await? {
        return Err(WebError::UnknownLink);
    }
    page(&engine, &token).await
}

async fn page(engine: &Engine, token: &str) -> Result<Html<String>, WebError> {
    let lead = unsubscribe::lead_of_token(engine, token).await?.ok_or(WebError::UnknownLink)?;
    let template = UnsubscribeTemplate {
        frame: Frame::new("Unsubscribe"),
        company: &lead.company,
        address_masked: &lead.address_masked,
        done: lead.already,
    };
    Ok(Html(template.render()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(done: bool) -> String {
        let template = UnsubscribeTemplate {
            frame: Frame::new("Unsubscribe"),
            company: "Harbour & Dock <Ltd>",
            address_masked: "a…@example.com",
            done,
        };
        template.render().expect("the page renders")
    }

    #[test]
    fn the_page_names_the_sender_and_offers_one_button() {
        let page = rendered(false);
        assert!(page.contains("Harbour &#38; Dock &#60;Ltd&#62;"), "{page}");
        assert!(page.contains("a…@example.com"));
        assert_eq!(page.matches("<button").count(), 1);
        assert!(page.contains(r#"name="List-Unsubscribe" value="One-Click""#));
    }

    #[test]
    fn once_done_there_is_nothing_left_to_press() {
        let page = rendered(true);
        assert!(!page.contains("<button"));
        assert!(page.contains("will not write"));
    }
}
