//! The review queue over HTTP: the list, one item, and the three things a person can do with it.
//! It must never change anything itself: it hands the person's wish to the engine, which may refuse.

use crate::{
    engine::{
        Engine,
        command::{self, CommandError},
    },
    store::account::SignedIn,
    web::{
        error::WebError,
        page::Frame,
        page_time::PageTime,
        review_page::{Banner, Notice, QueueTemplate, ReviewTemplate, Rows, Tab, Typed},
        sign_in::Visitor,
    },
};
use askama::Template;
use axum::{
    extract::{
        Form, Path, Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
};
use serde::Deserialize;
use std::sync::Arc;

/// What the address of a page may say beside the item. All of it maps to fixed words, none of it is shown.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ReviewQuery {
    show: Option<String>,
    page: Option<usize>,
    notice: Option<String>,
    of: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ApproveForm {
    body: String,
    #[serde(default)]
    show: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RejectForm {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    more: String,
    #[serde(default)]
    show: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct SettleForm {
    #[serde(default)]
    note: String,
    #[serde(default)]
    show: String,
}

/// `GET /review`
pub(crate) async fn list(
    State(engine): State<Arc<Engine>>,
    visitor: Visitor,
    query: Result<Query<ReviewQuery>, QueryRejection>,
) -> Result<Html<String>, WebError> {
    let query = query.map(|Query(query)| query).unwrap_or_default();
    let tab = Tab::parse(query.show.as_deref().unwrap_or_default());
    let now_ms = engine.clock.now_ms();
    let who = &visitor.0;
    let queue = engine.store.review_queue(&who.workspace_id, tab.filter(), now_ms).await?;
    let hook_url = format!("{}/hooks/{}/email/raw", engine.config.public_url, who.workspace_slug);
    let template = QueueTemplate {
        frame: Frame::signed_in(tab.title(), who),
        time: PageTime::utc(now_ms),
        queue: &queue,
        rows: Rows::page(&queue, query.page.unwrap_or(1)),
        tab,
        selected: "",
        notice: notice(&engine, who, &query).await?,
        hook_url: &hook_url,
    };
    Ok(Html(template.render()?))
}

/// `GET /review/{id}`
pub(crate) async fn show(
    State(engine): State<Arc<Engine>>,
    visitor: Visitor,
    Path(id): Path<String>,
    query: Result<Query<ReviewQuery>, QueryRejection>,
) -> Result<Response, WebError> {
    let query = query.map(|Query(query)| query).unwrap_or_default();
    let tab = Tab::parse(query.show.as_deref().unwrap_or_default());
    let notice = notice(&engine, &visitor.0, &query).await?;
    draw(&engine, &visitor, &id, tab, notice, None, Typed::default()).await
}

/// `POST /review/{id}/approve`: sends exactly the text of the form.
pub(crate) async fn approve(
    State(engine): State<Arc<Engine>>,
    visitor: Result<Visitor, WebError>,
    Path(id): Path<String>,
    form: Result<Form<ApproveForm>, FormRejection>,
) -> Result<Response, WebError> {
    let Form(form) = form?;
    // Forms carry line ends as CR LF, whatever was typed; the draft they are compared with has LF.
    let body = form.body.replace("\r\n", "\n");
    let visitor = match visitor {
        Err(WebError::SignedOut { .. }) => return Err(WebError::SignedOutWhileEditing { text: body }),
        other => other?,
    };
    let outcome = command::approve(&engine, visitor.actor()?, &id, Some(body.clone())).await;
    let typed = Typed { body: Some(body), ..Typed::default() };
    answer(&engine, &visitor, &id, &form.show, Notice::Approved, outcome, typed).await
}

/// `POST /review/{id}/reject`
pub(crate) async fn reject(
    State(engine): State<Arc<Engine>>,
    visitor: Visitor,
    Path(id): Path<String>,
    form: Result<Form<RejectForm>, FormRejection>,
) -> Result<Response, WebError> {
    let Form(form) = form?;
    let who = visitor.actor()?;
    let outcome = match rejection(&form.reason, &form.more) {
        Ok(reason) => command::reject(&engine, who, &id, &reason, form.reason != NO_ANSWER).await,
        Err(why) => Err(CommandError::Invalid(why.to_owned())),
    };
    let typed = Typed { reason: form.reason, more: form.more, ..Typed::default() };
    answer(&engine, &visitor, &id, &form.show, Notice::Rejected, outcome, typed).await
}

/// `POST /review/{id}/settle`
pub(crate) async fn settle(
    State(engine): State<Arc<Engine>>,
    visitor: Visitor,
    Path(id): Path<String>,
    form: Result<Form<SettleForm>, FormRejection>,
) -> Result<Response, WebError> {
    let Form(form) = form?;
    let outcome = command::settle(&engine, visitor.actor()?, &id, form.note.trim()).await;
    let typed = Typed { note: form.note, ..Typed::default() };
    answer(&engine, &visitor, &id, &form.show, Notice::Settled, outcome, typed).await
}

/// The reasons a draft can be rejected for, as the form offers them.
pub(crate) const REJECTIONS: [&str; 5] = ["wrong facts", "wrong tone", "misread the reply", NO_ANSWER, "other"];
/// The one after which nobody answers.
const NO_ANSWER: &str = "should not answer";

/// The reason as it is recorded, or what is missing.
fn rejection(reason: &str, more: &str) -> Result<String, &'static str> {
    let more = more.trim();
    match REJECTIONS.into_iter().find(|known| *known == reason) {
        None => Err("Choose why the draft is rejected."),
        Some("other") if more.is_empty() => Err("Say in a few words why the draft is rejected."),
        Some("other") => Ok(more.to_owned()),
        Some(known) if more.is_empty() => Ok(known.to_owned()),
        Some(known) => Ok(format!("{known}: {more}")),
    }
}

/// After a command: on to the next item, or the same one again with what was typed and why it was not done.
async fn answer(
    engine: &Engine,
    visitor: &Visitor,
    id: &str,
    show: &str,
    done: Notice,
    outcome: Result<(), CommandError>,
    typed: Typed,
) -> Result<Response, WebError> {
    let tab = Tab::parse(show);
    let (status, banner) = match outcome {
        Ok(()) => {
            let to = next_address(engine, &visitor.0, id, tab, done).await?;
            return Ok(Redirect::to(&to).into_response());
        }
        Err(CommandError::NotFound) => return Err(WebError::NotFound),
        Err(CommandError::Store(error)) => return Err(error.into()),
        Err(refusal) => refused(refusal),
    };
    let mut response = draw(engine, visitor, id, tab, None, Some(banner), typed).await?;
    *response.status_mut() = status;
    Ok(response)
}

/// What a refused command means for the person who gave it.
fn refused(refusal: CommandError) -> (StatusCode, Banner) {
    let (status, title, detail) = match refusal {
        CommandError::AlreadySettled { by, state } => (
            StatusCode::CONFLICT,
            format!("{} was faster", if by.is_empty() { "Somebody" } else { &by }),
            format!("This item is already {state}. What you did was not carried out."),
        ),
        CommandError::NoDraft => (
            StatusCode::CONFLICT,
            "There is no draft to approve".to_owned(),
            "Write an answer, or settle the item.".to_owned(),
        ),
        CommandError::Refused { rule, why } => (
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("Not sent: {}", rule.replace(['_', '-'], " ")),
            format!("{} Your text is kept below.", sentence(&why)),
        ),
        CommandError::Invalid(why) => (StatusCode::UNPROCESSABLE_ENTITY, "Not done yet".to_owned(), sentence(&why)),
        CommandError::NotFound | CommandError::Store(_) => {
            (StatusCode::SERVICE_UNAVAILABLE, "Not done".to_owned(), "Try again in a moment.".to_owned())
        }
    };
    (status, Banner { title, detail })
}

/// A clause as a sentence: with a capital and a full stop.
fn sentence(clause: &str) -> String {
    let mut characters = clause.trim().trim_end_matches('.').chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}

/// The most urgent item still open, or the list when there is none.
async fn next_address(engine: &Engine, who: &SignedIn, id: &str, tab: Tab, done: Notice) -> Result<String, WebError> {
    let tab = if tab == Tab::Settled { Tab::Open } else { tab };
    let queue = engine.store.review_queue(&who.workspace_id, tab.filter(), engine.clock.now_ms()).await?;
    let place = match queue.items.iter().find(|item| item.id != id) {
        Some(item) => format!("/review/{}", item.id),
        None => "/review".to_owned(),
    };
    Ok(format!("{place}?show={}&notice={}&of={id}", tab.name(), done.name()))
}

/// The words about what was just done. The address names the item only; who it was for is read from the store.
async fn notice(engine: &Engine, who: &SignedIn, query: &ReviewQuery) -> Result<Option<String>, WebError> {
    let (Some(notice), Some(of)) = (query.notice.as_deref().and_then(Notice::parse), query.of.as_deref()) else {
        return Ok(None);
    };
    let page = engine.store.review_page(&who.workspace_id, of).await?;
    Ok(page.map(|page| notice.words(&page)))
}

async fn draw(
    engine: &Engine,
    visitor: &Visitor,
    id: &str,
    tab: Tab,
    notice: Option<String>,
    banner: Option<Banner>,
    typed: Typed,
) -> Result<Response, WebError> {
    let who = &visitor.0;
    let now_ms = engine.clock.now_ms();
    let page = engine.store.review_page(&who.workspace_id, id).await?.ok_or(WebError::NotFound)?;
    let queue = engine.store.review_queue(&who.workspace_id, tab.filter(), now_ms).await?;
    let template = ReviewTemplate::new(who, &page, &queue, tab, now_ms, notice, banner, typed);
    Ok(Html(template.render()?).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_needs_a_reason_of_the_list() {
        assert_eq!(rejection("wrong tone", "  "), Ok("wrong tone".to_owned()));
        assert_eq!(rejection("wrong facts", " the price "), Ok("wrong facts: the price".to_owned()));
        assert_eq!(rejection("other", "we know them"), Ok("we know them".to_owned()));
        assert!(rejection("other", " ").is_err());
        assert!(rejection("", "text").is_err());
        assert!(rejection("<script>", "").is_err());
    }

    #[test]
    fn every_refusal_says_what_happened() {
        let (status, banner) =
            refused(CommandError::AlreadySettled { by: "Maria".to_owned(), state: "approved".to_owned() });
        assert_eq!(status, StatusCode::CONFLICT);
        assert!(banner.title.contains("Maria") && banner.detail.contains("approved"));
        let (status, banner) =
            refused(CommandError::Refused { rule: "opted_out".to_owned(), why: "The lead has opted out.".to_owned() });
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(banner.title.contains("opted out") && banner.detail.contains("The lead has opted out."));
        assert_eq!(refused(CommandError::NoDraft).0, StatusCode::CONFLICT);
    }
}
