//! How the queue and one item of it are put into words and boxes.
//! It must never decide anything, and never mark text of a lead as safe: the templates escape it.

use crate::{
    store::{
        account::SignedIn,
        queue::{Queue, QueueFilter, QueueItem, ReviewKind},
        view::{About, LeadView, ReviewPage, ReviewState, SendView},
    },
    web::{citation::Cited, page::Frame, page_time::PageTime, review::REJECTIONS},
};
use askama::Template;
use rejoinder_playbook::{
    reading::{Intent, Reading, Sentiment},
    ruling::{Ruling, RulingOutcome},
};

/// How many of the model's readings are listed.
const LIKELIEST_MAX: usize = 5;
/// How many items one page lists, so that it stays light on a phone.
const ROWS_MAX: usize = 40;

/// Which part of the queue is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tab {
    Open,
    Reviews,
    HandOffs,
    Settled,
}

impl Tab {
    pub(crate) const ALL: [Tab; 4] = [Tab::Open, Tab::Reviews, Tab::HandOffs, Tab::Settled];

    /// Anything unknown is the whole open queue.
    pub(crate) fn parse(name: &str) -> Self {
        Self::ALL.into_iter().find(|tab| tab.name() == name).unwrap_or(Tab::Open)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Tab::Open => "open",
            Tab::Reviews => "reviews",
            Tab::HandOffs => "hand-offs",
            Tab::Settled => "settled",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Tab::Open => "Open",
            Tab::Reviews => "Reviews",
            Tab::HandOffs => "Hand-offs",
            Tab::Settled => "Settled",
        }
    }

    pub(crate) fn filter(self) -> QueueFilter {
        match self {
            Tab::Open => QueueFilter::Open,
            Tab::Reviews => QueueFilter::Reviews,
            Tab::HandOffs => QueueFilter::HandOffs,
            Tab::Settled => QueueFilter::Settled,
        }
    }

    pub(crate) fn count(self, queue: &Queue) -> i64 {
        match self {
            Tab::Open => queue.open_reviews + queue.open_hand_offs,
            Tab::Reviews => queue.open_reviews,
            Tab::HandOffs => queue.open_hand_offs,
            Tab::Settled => queue.settled_today,
        }
    }
}

/// What was just done, as the address of the next page says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    Approved,
    Rejected,
    Settled,
}

impl Notice {
    const ALL: [Notice; 3] = [Notice::Approved, Notice::Rejected, Notice::Settled];

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|notice| notice.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Notice::Approved => "approved",
            Notice::Rejected => "rejected",
            Notice::Settled => "settled",
        }
    }

    /// Said only of what the store confirms: an address that someone made up says nothing.
    pub(crate) fn words(self, page: &ReviewPage) -> String {
        let name = sender(&page.item);
        match (&page.state, self) {
            (ReviewState::Approved | ReviewState::Edited, Notice::Approved) => {
                let address = page.lead.as_ref().map_or(page.item.from_address.as_str(), |lead| &lead.email);
                match page.send.as_ref().map(|send| send.state.as_str()) {
                    Some("sent") => format!("Approved. Sent to {address}."),
                    Some("failed" | "unconfirmed") => format!("Approved, but sending to {address} needs a look."),
                    _ => format!("Approved. Leaves within seconds to {address}."),
                }
            }
            (ReviewState::Open, Notice::Rejected) if is_hand_off(&page.item) => {
                format!("Rejected. The reply of {name} is a hand-off now.")
            }
            (ReviewState::Rejected, Notice::Rejected) => format!("Rejected. Nothing is sent to {name}."),
            (ReviewState::Settled, Notice::Settled) => format!("Settled. {name} is off your list."),
            _ => format!("{name}: {}.", state_words(&page.state)),
        }
    }
}

/// One page of the queue's items.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    items: &'a [QueueItem],
    /// Counted from 1.
    page: usize,
    pages: usize,
}

impl<'a> Rows<'a> {
    /// The page of that number, or the nearest there is.
    pub(crate) fn page(queue: &'a Queue, page: usize) -> Self {
        let pages = queue.items.len().div_ceil(ROWS_MAX).max(1);
        let page = page.clamp(1, pages);
        Rows { items: queue.items.chunks(ROWS_MAX).nth(page - 1).unwrap_or_default(), page, pages }
    }

    /// The page that lists this item, else the first.
    fn around(queue: &'a Queue, id: &str) -> Self {
        let at = queue.items.iter().position(|item| item.id == id).unwrap_or_default();
        Self::page(queue, at / ROWS_MAX + 1)
    }
}

/// Why a command was not carried out.
#[derive(Clone, Debug)]
pub(crate) struct Banner {
    pub(crate) title: String,
    pub(crate) detail: String,
}

/// What a person had typed when a command was refused; it is shown to them again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Typed {
    pub(crate) body: Option<String>,
    pub(crate) reason: String,
    pub(crate) more: String,
    pub(crate) note: String,
}

#[derive(Debug, Template)]
#[template(path = "queue.html")]
pub(crate) struct QueueTemplate<'a> {
    pub(crate) frame: Frame,
    pub(crate) time: PageTime,
    pub(crate) queue: &'a Queue,
    pub(crate) rows: Rows<'a>,
    pub(crate) tab: Tab,
    pub(crate) selected: &'a str,
    pub(crate) notice: Option<String>,
    pub(crate) hook_url: &'a str,
}

#[derive(Debug, Template)]
#[template(path = "review.html")]
pub(crate) struct ReviewTemplate<'a> {
    frame: Frame,
    time: PageTime,
    queue: &'a Queue,
    rows: Rows<'a>,
    tab: Tab,
    selected: &'a str,
    notice: Option<String>,
    banner: Option<Banner>,
    page: &'a ReviewPage,
    cited: Cited<'a>,
    typed: Typed,
    may_act: bool,
}

impl<'a> ReviewTemplate<'a> {
    #[expect(clippy::too_many_arguments, reason = "a page shows this much, and each is named once")]
    pub(crate) fn new(
        who: &SignedIn,
        page: &'a ReviewPage,
        queue: &'a Queue,
        tab: Tab,
        now_ms: i64,
        notice: Option<String>,
        banner: Option<Banner>,
        typed: Typed,
    ) -> Self {
        let time = match &page.lead {
            Some(lead) => PageTime::in_zone(now_ms, &lead.time_zone),
            None => PageTime::utc(now_ms),
        };
        ReviewTemplate {
            frame: Frame::signed_in(sender(&page.item), who),
            time,
            queue,
            rows: Rows::around(queue, &page.item.id),
            tab,
            selected: &page.item.id,
            notice,
            banner,
            page,
            cited: Cited::of(page.draft.as_ref(), &page.passages),
            typed,
            may_act: who.role != "viewer",
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.page.state, ReviewState::Open)
    }

    /// The text in the form: what the person typed last, else the draft.
    fn body(&self) -> &str {
        match (&self.typed.body, &self.page.draft) {
            (Some(typed), _) => typed,
            (None, Some(draft)) => &draft.body,
            (None, None) => "",
        }
    }

    fn body_rows(&self) -> usize {
        let wrapped: usize = self.body().lines().map(|line| 1 + line.chars().count() / 60).sum();
        (wrapped + 1).clamp(8, 24)
    }

    /// An answer goes to a lead that is known and may be written to.
    fn answerable(&self) -> bool {
        !self.about_send() && self.page.lead.as_ref().is_some_and(|lead| !lead.opted_out)
    }

    fn about_send(&self) -> bool {
        self.page.about == About::Send
    }

    fn opted_out(&self) -> bool {
        self.page.lead.as_ref().is_some_and(|lead| lead.opted_out)
    }

    /// The most probable readings, the likeliest first, in percent.
    fn likeliest(&self, reading: &Reading) -> Vec<(Intent, u8)> {
        let mut readings: Vec<(Intent, f32)> =
            Intent::ALL.into_iter().zip(reading.probabilities.iter().copied()).collect();
        readings.sort_by(|one, other| other.1.total_cmp(&one.1));
        readings.into_iter().take(LIKELIEST_MAX).map(|(intent, p)| (intent, percent(&p))).collect()
    }

    fn rejections(&self) -> [&'static str; 5] {
        REJECTIONS
    }
}

/// What the list calls a sender: the lead's name, else the address.
fn sender(item: &QueueItem) -> &str {
    if item.lead_name.trim().is_empty() { &item.from_address } else { &item.lead_name }
}

fn subject(subject: &str) -> &str {
    if subject.trim().is_empty() { "(no subject)" } else { subject }
}

fn is_hand_off(item: &QueueItem) -> bool {
    matches!(item.kind, ReviewKind::HandOff)
}

fn percent(share: &f32) -> u8 {
    let whole = (share * 100.0).round().clamp(0.0, 100.0);
    whole as u8
}

fn mood(sentiment: &Sentiment) -> &'static str {
    match sentiment {
        Sentiment::Positive => "positive",
        Sentiment::Neutral => "neutral",
        Sentiment::Negative => "negative",
    }
}

fn intent_list(intents: &[Intent]) -> String {
    intents.iter().map(|intent| intent.words()).collect::<Vec<_>>().join(", ")
}

fn stage(lead: &LeadView) -> String {
    lead.stage.replace('_', " ")
}

fn state_words(state: &ReviewState) -> &'static str {
    match state {
        ReviewState::Open => "open",
        ReviewState::Approved => "approved as drafted",
        ReviewState::Edited => "approved with changes",
        ReviewState::Rejected => "rejected",
        ReviewState::Settled => "settled",
    }
}

/// What a plugin said, in words.
fn ruling_words(outcome: &RulingOutcome) -> String {
    match outcome {
        RulingOutcome::Ruled { ruling: Ruling::Proceed, .. } => "no objection".to_owned(),
        RulingOutcome::Ruled { ruling: Ruling::Review { reason }, .. } => format!("a person must see it: {reason}"),
        RulingOutcome::Ruled { ruling: Ruling::HandOff { reason, to: None }, .. } => {
            format!("a person must answer: {reason}")
        }
        RulingOutcome::Ruled { ruling: Ruling::HandOff { reason, to: Some(to) }, .. } => {
            format!("a person must answer, best {to}: {reason}")
        }
        RulingOutcome::Ruled { ruling: Ruling::Suppress { reason }, .. } => format!("nothing may be sent: {reason}"),
        RulingOutcome::Unavailable { why, .. } => format!("gave no ruling, so a person looks: {why}"),
    }
}

/// Where a send stands, in words.
fn send_words(send: &SendView) -> &str {
    match send.state.as_str() {
        "planned" | "ready" => "waits to leave, within seconds",
        "leased" | "committed" => "on its way",
        "sent" => "sent",
        "failed" => "could not be sent",
        "withdrawn" => "withdrawn: a rule stopped it at the last moment",
        "unconfirmed" => "not confirmed: it may have arrived, and is not sent again by itself",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::timeline::TimelineEntry;
    use crate::store::view::{DraftView, PassageView, SentenceView};

    const NOW_MS: i64 = 1_795_521_600_000; // 2026-11-24T12:00:00Z
    const PAGE_BYTES_MAX: usize = 60_000;

    fn who(role: &str) -> SignedIn {
        SignedIn {
            user_id: "user".to_owned(),
            user_name: "Maria Keller".to_owned(),
            role: role.to_owned(),
            workspace_id: "workspace".to_owned(),
            workspace_slug: "demo".to_owned(),
            workspace_name: "Tidewater".to_owned(),
        }
    }

    fn item(id: &str, kind: ReviewKind) -> QueueItem {
        QueueItem {
            id: id.to_owned(),
            kind,
            lead_name: "Ana Ortega".to_owned(),
            company: "Harbourline".to_owned(),
            from_address: "ana@harbourline.example".to_owned(),
            subject: "Re: Docks".to_owned(),
            snippet: "Does it work with SAP?".to_owned(),
            intent: Some(Intent::SimpleQuestion),
            sentiment: Some(Sentiment::Positive),
            confidence: Some(0.914),
            reason: "simple questions are reviewed".to_owned(),
            owner: None,
            received_ms: NOW_MS - 180_000,
            due_ms: NOW_MS + 7_200_000,
        }
    }

    fn queue(items: Vec<QueueItem>) -> Queue {
        Queue { items, open_reviews: 1, open_hand_offs: 0, settled_today: 0, waiting_for_decision: 0 }
    }

    fn review() -> ReviewPage {
        ReviewPage {
            about: About::Reply,
            item: item("one", ReviewKind::Review),
            lead: Some(LeadView {
                id: "lead".to_owned(),
                name: "Ana Ortega".to_owned(),
                company: "Harbourline".to_owned(),
                email: "ana@harbourline.example".to_owned(),
                title: None,
                stage: "engaged".to_owned(),
                time_zone: "America/Chicago".to_owned(),
                owner: None,
                fields: vec![("docks".to_owned(), "14".to_owned())],
                opted_out: false,
            }),
            reply_text: "Does it work with SAP?\n\n<script>alert(1)</script>".to_owned(),
            full_text: "Does it work with SAP?\n> \"quoted\" & <b>old</b>".to_owned(),
            removed: vec!["Quote: On Monday <you> wrote:".to_owned()],
            matched_by: Some("In-Reply-To".to_owned()),
            reading: Some(Reading {
                intent: Intent::SimpleQuestion,
                also: vec![Intent::Interested],
                sentiment: Sentiment::Positive,
                confidence: 0.914,
                unsure: true,
                probabilities: Intent::ALL
                    .iter()
                    .map(|each| if *each == Intent::SimpleQuestion { 0.914 } else { 0.007 })
                    .collect(),
                model: "sha256:4f1d22aa90bc".to_owned(),
            }),
            reasons: vec!["simple questions are reviewed".to_owned()],
            rulings: vec![RulingOutcome::Unavailable {
                plugin: "territory".to_owned(),
                why: "it ran too long".to_owned(),
            }],
            passages: vec![PassageView {
                id: "passage".to_owned(),
                document: "Product facts".to_owned(),
                version: 2,
                heading: "Integrations".to_owned(),
                body: "It connects to SAP.".to_owned(),
                score: 0.68,
            }],
            draft: Some(DraftView {
                subject: "Re: Docks".to_owned(),
                body: "Hi Ana,\n\nIt connects to SAP.".to_owned(),
                sentences: vec![
                    SentenceView { text: "Hi Ana,".to_owned(), paragraph: 0, passage: None },
                    SentenceView { text: "It connects to SAP.".to_owned(), paragraph: 1, passage: Some(0) },
                ],
            }),
            state: ReviewState::Open,
            settled_by: None,
            settled_ms: None,
            final_body: None,
            note: None,
            send: None,
            timeline: vec![TimelineEntry { at_ms: NOW_MS - 180_000, words: "Reply received".to_owned(), cause: None }],
            call_back: Some("Tuesday at 2".to_owned()),
        }
    }

    fn drawn(page: &ReviewPage, role: &str, banner: Option<Banner>, typed: Typed) -> String {
        let queue = queue(vec![item("one", ReviewKind::Review), item("two", ReviewKind::HandOff)]);
        let template = ReviewTemplate::new(&who(role), page, &queue, Tab::Open, NOW_MS, None, banner, typed);
        template.render().expect("the page renders")
    }

    fn drawn_queue(items: Vec<QueueItem>, notice: Option<&str>) -> String {
        let queue = queue(items);
        let template = QueueTemplate {
            frame: Frame::signed_in("Open", &who("admin")),
            time: PageTime::utc(NOW_MS),
            queue: &queue,
            rows: Rows::page(&queue, 1),
            tab: Tab::Open,
            selected: "",
            notice: notice.map(ToOwned::to_owned),
            hook_url: "https://reply.example.com/hooks/demo/email/raw",
        };
        template.render().expect("the page renders")
    }

    #[test]
    fn hostile_text_of_a_lead_is_shown_as_text() {
        let mut page = review();
        let hostile = "\"><script>alert(1)</script></textarea>";
        page.item.subject = hostile.to_owned();
        page.item.lead_name = hostile.to_owned();
        page.item.snippet = hostile.to_owned();
        page.call_back = Some(hostile.to_owned());
        if let Some(draft) = &mut page.draft {
            draft.body = hostile.to_owned();
        }
        let html = drawn(&page, "admin", None, Typed::default()) + &drawn_queue(vec![page.item.clone()], Some(hostile));
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("&#60;script&#62;alert(1)&#60;/script&#62;"));
    }

    #[test]
    fn no_page_carries_script_or_inline_style() {
        let html = drawn(&review(), "admin", None, Typed::default()) + &drawn_queue(vec![], None);
        for inline in ["<style", " style=", " onclick", "javascript:"] {
            assert!(!html.contains(inline), "{inline}");
        }
    }

    #[test]
    fn a_review_shows_its_sources_its_reasons_and_its_three_ways_out() {
        let html = drawn(&review(), "reviewer", None, Typed::default());
        for shown in [
            "Does it work with SAP?",
            "Quote: On Monday &#60;you&#62; wrote:",
            "simple question",
            "value=\"91\"",
            "model unsure",
            "Also: interested",
            "gave no ruling, so a person looks: it ran too long",
            "<q>Tuesday at 2</q>",
            "href=\"#passage-1\"",
            "id=\"passage-1\"",
            "Tue 06:00 CST",
            "due in 2 h",
            "action=\"/review/one/approve\"",
            "action=\"/review/one/reject\"",
            "action=\"/review/one/settle\"",
        ] {
            assert!(html.contains(shown), "{shown} in {html}");
        }
        assert!(html.len() < PAGE_BYTES_MAX, "{}", html.len());
    }

    #[test]
    fn the_text_field_holds_the_draft_and_after_a_refusal_what_was_typed() {
        assert!(
            drawn(&review(), "rep", None, Typed::default()).contains(">\nHi Ana,\n\nIt connects to SAP.</textarea>")
        );
        let banner = Some(Banner { title: "Not sent".to_owned(), detail: "Too long.".to_owned() });
        let typed = Typed { body: Some("\nMy own words".to_owned()), ..Typed::default() };
        let html = drawn(&review(), "rep", banner, typed);
        assert!(html.contains(">\n\nMy own words</textarea>"), "{html}");
        assert!(html.contains(r#"role="alert""#));
    }

    #[test]
    fn a_viewer_and_a_settled_item_get_no_form_that_acts() {
        let of_viewer = drawn(&review(), "viewer", None, Typed::default());
        assert!(!of_viewer.contains("action=\"/review/"));
        let mut page = review();
        page.state = ReviewState::Edited;
        page.settled_by = Some("Maria".to_owned());
        page.settled_ms = Some(NOW_MS - 60_000);
        page.final_body = Some("Sent words".to_owned());
        page.send = Some(SendView {
            state: "unconfirmed".to_owned(),
            message_id: "<one@tidewater.example>".to_owned(),
            outcome: None,
            at_ms: None,
        });
        let typed = Typed { body: Some("Late words".to_owned()), ..Typed::default() };
        let html = drawn(&page, "admin", Some(Banner { title: "Late".to_owned(), detail: String::new() }), typed);
        assert!(!html.contains("action=\"/review/"));
        for shown in ["approved with changes", "Maria", "Sent words", "not sent again by itself", "Late words"] {
            assert!(html.contains(shown), "{shown}");
        }
    }

    #[test]
    fn nothing_can_be_sent_to_a_lead_who_opted_out_or_to_a_stranger() {
        let mut page = review();
        if let Some(lead) = &mut page.lead {
            lead.opted_out = true;
        }
        let opted_out = drawn(&page, "admin", None, Typed::default());
        assert!(!opted_out.contains("/approve\"") && opted_out.contains("/settle\""));
        page.lead = None;
        let stranger = drawn(&page, "admin", None, Typed::default());
        assert!(!stranger.contains("/approve\"") && stranger.contains("/settle\""));
    }

    #[test]
    fn an_empty_queue_says_how_to_post_a_reply() {
        let html = drawn_queue(vec![], None);
        assert!(html.contains("All clear"));
        assert!(html.contains("curl --data-binary @reply.eml"));
        assert!(html.contains("https://reply.example.com/hooks/demo/email/raw"));
    }

    #[test]
    fn a_full_queue_is_listed_in_light_pages_and_every_item_is_on_one() {
        let items: Vec<QueueItem> = (0..95).map(|number| item(&format!("{number:036}"), ReviewKind::HandOff)).collect();
        let html = drawn_queue(items.clone(), Some("Settled."));
        assert_eq!(html.matches("class=\"row hand-off\"").count(), ROWS_MAX);
        assert!(html.contains("page=2") && !html.contains("page=0"));
        assert!(html.len() < PAGE_BYTES_MAX, "{}", html.len());
        let queue = queue(items);
        let listed: usize = (1..=3).map(|page| Rows::page(&queue, page).items.len()).sum();
        assert_eq!(listed, 95);
        assert_eq!(Rows::around(&queue, &format!("{:036}", 90)).page, 3);
        assert_eq!(Rows::page(&queue, usize::MAX).page, 3);
    }

    #[test]
    fn a_notice_says_only_what_the_store_confirms() {
        let mut page = review();
        assert_eq!(Notice::Approved.words(&page), "Ana Ortega: open.");
        page.state = ReviewState::Approved;
        assert_eq!(Notice::Approved.words(&page), "Approved. Leaves within seconds to ana@harbourline.example.");
        page.state = ReviewState::Rejected;
        assert_eq!(Notice::Rejected.words(&page), "Rejected. Nothing is sent to Ana Ortega.");
        assert_eq!(Notice::parse("<b>"), None);
        assert_eq!(Tab::parse("<b>"), Tab::Open);
    }

    #[test]
    fn readings_are_listed_likeliest_first_and_shares_stay_within_a_hundred() {
        let page = review();
        let queue = queue(vec![]);
        let template = ReviewTemplate::new(&who("rep"), &page, &queue, Tab::Open, NOW_MS, None, None, Typed::default());
        let reading = page.reading.as_ref().expect("a reading");
        let likeliest = template.likeliest(reading);
        assert_eq!(likeliest.len(), LIKELIEST_MAX);
        assert_eq!(likeliest.first(), Some(&(Intent::SimpleQuestion, 91)));
        assert_eq!((percent(&1.7), percent(&-0.2), percent(&f32::NAN)), (100, 0, 0));
    }
}
