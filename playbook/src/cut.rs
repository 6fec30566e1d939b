//! Cuts a reply down to what its writer has just written: without quoted history, signature, disclaimer and footers.
//! It must never make a reply empty that holds words of its own: if nothing would be left, the original stays and the
//! flag says so. What is cut is kept beside the text with the reason, so that a person can check it.

mod attribution;
mod closing;
mod entity;
mod header_block;
mod html;
mod mobile_footer;
mod notice;

use serde::Serialize;

use attribution::Introduction;

/// Why a piece is not new text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Lines that are marked as quoted, and the line that says who wrote them.
    Quote,
    /// An earlier mail that stands below its header without marks.
    History,
    /// A mail that is passed on.
    Forwarded,
    Signature,
    MobileFooter,
    Disclaimer,
    /// A warning that the receiving mail system put in.
    Banner,
    ListFooter,
}

/// A piece that was cut, in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Removed {
    pub part: Part,
    pub text: String,
    pub why: &'static str,
}

/// What the cut says about the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Whole {
    /// There is text of the writer's own, or there was nothing at all.
    Ordinary,
    /// Every line is marked as quoted: the writer added nothing and the new text is empty.
    OnlyQuote,
    /// The rules would have cut everything, so the original stays: it may hold earlier mails.
    KeptUncut,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cut {
    pub new_text: String,
    pub removed: Vec<Removed>,
    pub whole: Whole,
}

impl Cut {
    /// Whether an earlier mail was cut off, by whatever sign.
    #[must_use]
    pub fn found_history(&self) -> bool {
        self.removed.iter().any(|removed| matches!(removed.part, Part::Quote | Part::History | Part::Forwarded))
    }
}

type Mark = Option<(Part, &'static str)>;

/// Cuts plain text. Takes any text; the time grows with its length only.
#[must_use]
pub fn cut(text: &str) -> Cut {
    let text = tidy(text);
    let lines: Vec<&str> = text.split('\n').collect();
    let mut marks: Vec<Mark> = vec![None; lines.len()];

    mark_quotes(&lines, &mut marks);
    mark_introductions(&lines, &mut marks);
    let history_only = marks.clone();
    mark_signatures(&lines, &mut marks);
    mark_notices(&lines, &mut marks);
    mark_mobile_footers(&lines, &mut marks);
    mark_list_footer(&lines, &mut marks);
    mark_sign_offs(&lines, &mut marks);

    let new_text = assemble(&lines, &marks);
    if !new_text.is_empty() || text.trim().is_empty() {
        return Cut { new_text, removed: removed(&lines, &marks), whole: Whole::Ordinary };
    }
    // A reply that is nothing but a name or a disclaimer keeps it: something is better than nothing.
    let new_text = assemble(&lines, &history_only);
    if !new_text.is_empty() {
        return Cut { new_text, removed: removed(&lines, &history_only), whole: Whole::Ordinary };
    }
    let all_marked_as_quote = history_only
        .iter()
        .zip(&lines)
        .all(|(mark, line)| line.trim().is_empty() || matches!(mark, Some((Part::Quote, _))));
    if all_marked_as_quote {
        return Cut { new_text, removed: removed(&lines, &history_only), whole: Whole::OnlyQuote };
    }
    Cut { new_text: text.trim().to_owned(), removed: Vec::new(), whole: Whole::KeptUncut }
}

/// Cuts HTML: what mail programs mark as earlier mail or signature goes, what they mark as quoted gets its ">", and the
/// text that comes of it is cut as in `cut`.
#[must_use]
pub fn cut_html(source: &str) -> Cut {
    let page = html::text_of(source, true);
    if page.text.trim().is_empty() {
        // All there is stands in elements marked as signature: better that than nothing.
        return cut(&html::text_of(source, false).text);
    }
    let mut result = cut(&page.text);
    result.removed.extend(page.removed);
    result
}

/// The text of an HTML page as a reader sees it, uncut. Takes any bytes that are a string; never fails.
#[must_use]
pub fn text_of_html(source: &str) -> String {
    tidy(&html::text_of(source, false).text).trim().to_owned()
}

/// One kind of line end, no characters that cannot be seen, no trailing spaces. NUL and other controls become spaces.
fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\r' => {
                if characters.peek() == Some(&'\n') {
                    characters.next();
                }
                trim_line_end(&mut tidied);
                tidied.push('\n');
            }
            '\n' | '\u{2028}' | '\u{2029}' => {
                trim_line_end(&mut tidied);
                tidied.push('\n');
            }
            '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
            | '\u{ad}' => {}
            '\u{a0}' | '\u{202f}' => tidied.push(' '),
            '\t' => tidied.push('\t'),
            c if c.is_control() => tidied.push(' '),
            c => tidied.push(c),
        }
    }
    trim_line_end(&mut tidied);
    tidied
}

/// Trailing spaces go, except that "-- " keeps its one: it is how a signature is announced.
fn trim_line_end(text: &mut String) {
    if text.ends_with("\n-- ") || text == "-- " {
        return;
    }
    let end = text.trim_end_matches([' ', '\t']).len();
    text.truncate(end);
}

fn is_quoted(line: &str) -> bool {
    line.trim_start().starts_with('>')
}

fn is_blank(line: &str) -> bool {
    line.trim().is_empty()
}

/// A ">" that only closes the "<" of the line before: "… wrote <dana@acme.test" and ">:" on the next line.
fn closes_bracket(line: &str, before: Option<&str>) -> bool {
    let open = before.is_some_and(|before| before.rfind('<') > before.rfind('>'));
    open && line.trim().ends_with(':') && line.chars().filter(|c| *c == '>').count() == 1
}

/// Lines that begin with ">", and the tails that a mail program broke off them.
fn mark_quotes(lines: &[&str], marks: &mut [Mark]) {
    const TAIL_AFTER_CHARS_MIN: usize = 70;
    let mut before: Option<&str> = None;
    for (at, line) in lines.iter().enumerate() {
        let quoted = is_quoted(line) && !closes_bracket(line, before);
        let broken_off = !quoted
            && line.starts_with(char::is_lowercase)
            && before.is_some_and(|before| {
                is_quoted(before)
                    && before.chars().count() >= TAIL_AFTER_CHARS_MIN
                    && !before.ends_with(['.', '!', '?', ':'])
            })
            && lines.get(at + 1).is_some_and(|next| is_quoted(next));
        if (quoted || broken_off)
            && let Some(mark) = marks.get_mut(at)
        {
            *mark = Some((Part::Quote, if quoted { "marked with \">\"" } else { "the tail of a quoted line" }));
        }
        before = Some(line);
    }
}

fn mark_introductions(lines: &[&str], marks: &mut [Mark]) {
    let quoted: Vec<bool> = marks.iter().map(Option::is_some).collect();
    let mut from = 0;
    while let Some(found) = attribution::next_introduction(lines, &quoted, from) {
        let Introduction { start, end, why, forwarded } = found;
        let start = with_lead_in(lines, start, from);
        let next = (end..lines.len()).find(|at| lines.get(*at).is_some_and(|line| !is_blank(line)));
        let quote_follows = next.is_some_and(|at| quoted.get(at).copied().unwrap_or(false));
        if quote_follows {
            mark(marks, start..end, Part::Quote, why);
            from = end;
            continue;
        }
        let part = if forwarded { Part::Forwarded } else { Part::History };
        mark(marks, start..lines.len(), part, why);
        return;
    }
}

/// Lines drawn above an introduction, and French lead-ins, belong to it.
fn with_lead_in(lines: &[&str], start: usize, from: usize) -> usize {
    let mut first = start;
    for at in (from..start).rev() {
        let Some(line) = lines.get(at) else { break };
        if header_block::is_decoration(line) || header_block::is_lead_in(line) {
            first = at;
        } else if !is_blank(line) {
            break;
        }
    }
    first
}

fn mark_notices(lines: &[&str], marks: &mut [Mark]) {
    for paragraph in runs(lines.len(), |at| {
        marks.get(at).is_some_and(Option::is_none) && lines.get(at).is_some_and(|line| !is_blank(line))
    }) {
        let text = lines.get(paragraph.clone()).unwrap_or_default().join("\n");
        if let Some(part) = notice::notice(&text) {
            mark(marks, paragraph, part, "the wording of a notice that no person writes");
        }
    }
}

fn mark_mobile_footers(lines: &[&str], marks: &mut [Mark]) {
    for run in runs(lines.len(), |at| marks.get(at).is_some_and(Option::is_none)) {
        let Some(footer) = run.clone().find(|at| {
            if lines.get(*at).is_none_or(|line| is_blank(line)) {
                return false;
            }
            let stands_alone = *at == run.start
                || lines.get(at - 1).is_some_and(|line| is_blank(line))
                || lines.get(at + 1).is_none_or(|line| is_blank(line));
            let last = lines.get(at + 1..run.end).is_none_or(|below| below.iter().all(|line| is_blank(line)));
            stands_alone && lines.get(*at).is_some_and(|line| mobile_footer::is_mobile_footer(line, last))
        }) else {
            continue;
        };
        let text_before = lines
            .get(..footer)
            .unwrap_or_default()
            .iter()
            .zip(marks.iter())
            .any(|(line, mark)| mark.is_none() && !is_blank(line));
        mark(marks, footer..footer + 1, Part::MobileFooter, "the footer of a telephone or mail program");
        if text_before {
            mark(marks, footer + 1..run.end, Part::History, "below the footer of a telephone or mail program");
        }
    }
}

/// A line of underscores with a few lines below it, as mailing lists append them.
fn mark_list_footer(lines: &[&str], marks: &mut [Mark]) {
    const FOOTER_LINES_MAX: usize = 8;
    for run in runs(lines.len(), |at| marks.get(at).is_some_and(Option::is_none)) {
        let start = run.clone().find(|at| {
            let line = lines.get(*at).map_or("", |line| line.trim());
            let below = lines.get(at + 1..run.end).unwrap_or_default().iter().filter(|line| !is_blank(line));
            line.len() >= 2
                && line.chars().all(|c| c == '_')
                && below.take(FOOTER_LINES_MAX + 1).count() <= FOOTER_LINES_MAX
        });
        if let Some(start) = start {
            mark(marks, start..run.end, Part::ListFooter, "below a line of underscores");
        }
    }
}

fn mark_signatures(lines: &[&str], marks: &mut [Mark]) {
    for run in runs(lines.len(), |at| marks.get(at).is_some_and(Option::is_none)) {
        if let Some(start) = closing::signature_start(lines.get(run.clone()).unwrap_or_default()) {
            mark(marks, run.start + start..run.end, Part::Signature, "below a signature delimiter");
        }
    }
}

fn mark_sign_offs(lines: &[&str], marks: &mut [Mark]) {
    for run in runs(lines.len(), |at| marks.get(at).is_some_and(Option::is_none)) {
        if let Some((from, to)) = closing::sign_off(lines.get(run.clone()).unwrap_or_default()) {
            mark(marks, run.start + from..run.start + to, Part::Signature, "a sign-off and the name below it");
        }
    }
}

fn mark(marks: &mut [Mark], range: std::ops::Range<usize>, part: Part, why: &'static str) {
    for slot in marks.get_mut(range).unwrap_or_default() {
        slot.get_or_insert((part, why));
    }
}

/// The longest runs of lines for which `holds` is true.
fn runs(count: usize, holds: impl Fn(usize) -> bool) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut start = None;
    for at in 0..=count {
        let inside = at < count && holds(at);
        match (inside, start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                found.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    found
}

/// The lines that stay; where something was cut out between them, one empty line.
fn assemble(lines: &[&str], marks: &[Mark]) -> String {
    let mut text = String::new();
    let mut cut_since = false;
    for (line, mark) in lines.iter().zip(marks) {
        if mark.is_some() {
            cut_since = true;
            continue;
        }
        if cut_since && !text.is_empty() {
            let end = text.trim_end().len();
            text.truncate(end);
            if !text.is_empty() {
                text.push_str("\n\n");
            }
            if is_blank(line) {
                continue;
            }
        }
        cut_since = false;
        text.push_str(line);
        text.push('\n');
    }
    let first = text.lines().position(|line| !is_blank(line)).unwrap_or(0);
    text.lines().skip(first).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

fn removed(lines: &[&str], marks: &[Mark]) -> Vec<Removed> {
    let mut pieces: Vec<Removed> = Vec::new();
    let mut open = false;
    for (line, mark) in lines.iter().zip(marks) {
        let Some((part, why)) = mark else {
            open = false;
            continue;
        };
        match pieces.last_mut() {
            Some(last) if open && last.part == *part && last.why == *why => {
                last.text.push('\n');
                last.text.push_str(line);
            }
            _ => pieces.push(Removed { part: *part, text: (*line).to_owned(), why }),
        }
        open = true;
    }
    pieces.retain(|piece| !is_blank(&piece.text));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(cut: &Cut) -> Vec<Part> {
        let mut parts: Vec<Part> = cut.removed.iter().map(|removed| removed.part).collect();
        parts.dedup();
        parts
    }

    #[test]
    fn attributions_in_many_languages_end_the_new_text() {
        for line in [
            "On Mon, Nov 23, 2026 at 9:00 AM Rep <rep@acme.test> wrote:",
            "On Nov 23, 2026, at 09:00, Rep <rep@acme.test> wrote:",
            "Am Mo., 23. Nov. 2026 um 09:00 Uhr schrieb Rep <rep@acme.test>:",
            "Am 23.11.2026 um 09:00 schrieb Rep:",
            "Le lun. 23 nov. 2026 à 09:00, Rep <rep@acme.test> a écrit :",
            "Le 23/11/2026 à 09:00, Rep a écrit :",
            "El lun, 23 nov 2026 a las 9:00, Rep (<rep@acme.test>) escribió:",
            "El 23/11/2026 a las 9:00, Rep escribió:",
            "Il giorno lun 23 nov 2026 alle ore 09:00 Rep <rep@acme.test> ha scritto:",
            "Il 23/11/2026 09:00, Rep ha scritto:",
            "Op ma 23 nov 2026 om 09:00 schreef Rep <rep@acme.test>:",
            "Em seg., 23 de nov. de 2026 às 09:00, Rep <rep@acme.test> escreveu:",
            "pon., 23 lis 2026 o 09:00 Rep <rep@acme.test> napisał(a):",
            "W dniu 23.11.2026 o 09:00, Rep pisze:",
            "Den mån 23 nov. 2026 kl 09:00 skrev Rep <rep@acme.test>:",
            "Den man. 23. nov. 2026 kl. 09.00 skrev Rep <rep@acme.test>:",
            "man. 23. nov. 2026 kl. 09:00 skrev Rep <rep@acme.test>:",
            "ma 23. marrask. 2026 klo 9.00 Rep (rep@acme.test) kirjoitti:",
            "пн, 23 нояб. 2026 г. в 09:00, Rep <rep@acme.test>:",
            "2026年11月23日(月) 9:00 Rep <rep@acme.test>:",
            "Rep <rep@acme.test> schrieb am Mo., 23. Nov. 2026, 09:00:",
            "---- On Mon, 23 Nov 2026 09:00:00 +0100 Rep <rep@acme.test> wrote ----",
            "On Mon, Nov 23, 2026 at 9:00 AM Rep\n<rep@acme.test> wrote:",
            "On Mon, Nov 23, 2026 at 9:00 AM\nRep Longname of the Sales Department <\nrep@acme.test> wrote:",
            "Le lun. 23 nov. 2026 à 09:00, Rep <rep@acme.test>\na écrit :",
        ] {
            for history in ["> the old mail\n> in two lines", "the old mail\nin two lines"] {
                let cut = cut(&format!("Yes, Tuesday works.\n\n{line}\n\n{history}\n"));
                assert_eq!(cut.new_text, "Yes, Tuesday works.", "{line}");
                assert!(cut.found_history(), "{line}");
            }
        }
    }

    #[test]
    fn header_blocks_and_dividers_in_many_languages_end_the_new_text() {
        for block in [
            "From: Rep <rep@acme.test>\nSent: Monday, November 23, 2026 9:00 AM\nTo: Dana <dana@acme.test>\nSubject: RE: Offer",
            "*From:* Rep [mailto:rep@acme.test]\n*Sent:* Monday\n*To:* Dana\n*Subject:* Offer",
            "Von: Rep <rep@acme.test>\nGesendet: Montag, 23. November 2026 09:00\nAn: Dana\nBetreff: AW: Angebot",
            "De : Rep <rep@acme.test>\nEnvoyé : lundi 23 novembre 2026 09:00\nÀ : Dana\nObjet : RE: Offre",
            "De: Rep <rep@acme.test>\nEnviado el: lunes, 23 de noviembre de 2026 9:00\nPara: Dana\nAsunto: RE: Oferta",
            "Da: Rep <rep@acme.test>\nInviato: lunedì 23 novembre 2026 09:00\nA: Dana\nOggetto: R: Offerta",
            "Van: Rep <rep@acme.test>\nVerzonden: maandag 23 november 2026 09:00\nAan: Dana\nOnderwerp: RE: Offerte",
            "De: Rep <rep@acme.test>\nEnviada em: segunda-feira, 23 de novembro de 2026 09:00\nPara: Dana\nAssunto: RES: Oferta",
            "Od: Rep <rep@acme.test>\nWysłano: poniedziałek, 23 listopada 2026 09:00\nDo: Dana\nTemat: Odp: Oferta",
            "Från: Rep <rep@acme.test>\nSkickat: den 23 november 2026 09:00\nTill: Dana\nÄmne: Sv: Offert",
            "Fra: Rep <rep@acme.test>\nSendt: 23. november 2026 09:00\nTil: Dana\nEmne: SV: Tilbud",
            "________________________________\nFrom: Rep <rep@acme.test>\nSent: Monday\nTo: Dana\nSubject: Offer",
            "-----Original Message-----",
            "----- Original Message -----\nFrom: Rep",
            "-----Ursprüngliche Nachricht-----\nVon: Rep",
            "-------- Message d'origine --------",
            "-----Mensaje original-----",
            "-----Messaggio originale-----",
            "-----Oorspronkelijk bericht-----",
            "-----Mensagem original-----",
            "---------- Forwarded message ---------\nFrom: Rep <rep@acme.test>",
            "Begin forwarded message:",
            "Anfang der weitergeleiteten Nachricht:",
        ] {
            let cut = cut(&format!("No, thank you.\r\n\r\n{block}\r\n\r\nDear Dana,\r\nold text\r\n"));
            assert_eq!(cut.new_text, "No, thank you.", "{block}");
        }
    }

    #[test]
    fn footers_of_telephones_in_many_languages_are_cut() {
        for footer in [
            "Sent from my iPhone",
            "Sent from my Galaxy",
            "Sent from Yahoo Mail on Android",
            "Sent from Mail for Windows",
            "Get Outlook for iOS<https://aka.ms/o0ukef>",
            "Von meinem iPhone gesendet",
            "Gesendet mit der GMX Mail App",
            "Envoyé de mon iPhone",
            "Envoyé depuis mon téléphone",
            "Enviado desde mi iPhone",
            "Enviado do meu iPhone",
            "Inviato da iPhone",
            "Verstuurd vanaf mijn iPhone",
            "Wysłane z iPhone'a",
            "Skickat från min iPhone",
            "Sendt fra min iPhone",
            "Отправлено с iPhone",
        ] {
            let cut = cut(&format!("Call me at two.\n\n{footer}\n"));
            assert_eq!(cut.new_text, "Call me at two.", "{footer}");
            assert_eq!(parts(&cut), [Part::MobileFooter], "{footer}");
        }
    }

    #[test]
    fn sign_offs_are_cut_only_where_nothing_is_said_below_them() {
        for (text, expected) in [
            ("Fine.\n\nBest regards,\nDana Liu\nHead of Sales\n+1 555 0100", "Fine."),
            ("Fine.\n\nBest regards, Dana", "Fine."),
            ("Passt.\n\nMit freundlichen Grüßen\n\nDana Liu", "Passt."),
            ("D'accord.\n\nBien cordialement,\nDana", "D'accord."),
            ("Fine.\n\nThanks,\nDana", "Fine.\n\nThanks,"),
            ("Thanks!", "Thanks!"),
            ("Cheers", "Cheers"),
            ("Best regards,\nDana", "Best regards,\nDana"),
            (
                "Fine.\n\nRegards,\nDana\n\nPS: please remove me from your list.",
                "Fine.\n\nPS: please remove me from your list.",
            ),
            ("Options:\nBest\nWorst\nWhich one do you mean?", "Options:\nBest\nWorst\nWhich one do you mean?"),
            ("I ask with regards to the price.\nIs it monthly?", "I ask with regards to the price.\nIs it monthly?"),
            (
                "Ask Dana instead:\n\nDana Liu\ndana@acme.test\n+1 555 0100",
                "Ask Dana instead:\n\nDana Liu\ndana@acme.test\n+1 555 0100",
            ),
            ("Regards,\nDana\nDo you have a demo?", "Regards,\nDana\nDo you have a demo?"),
        ] {
            assert_eq!(cut(text).new_text, expected, "{text}");
        }
    }

    #[test]
    fn disclaimers_and_banners_are_cut_wherever_they_stand() {
        let text = "CAUTION: This email originated from outside of the organization.\n\nWhat does it cost?\n\nCONFIDENTIALITY NOTICE: This e-mail is for the addressee.\nDo not copy it.\n\nAnd is there a trial?\n\nDiese E-Mail enthält vertrauliche Informationen.";
        let cut = cut(text);
        assert_eq!(cut.new_text, "What does it cost?\n\nAnd is there a trial?");
        assert_eq!(parts(&cut), [Part::Banner, Part::Disclaimer]);
    }

    #[test]
    fn answers_between_and_below_quoted_lines_are_kept_in_order() {
        let inline = cut(
            "On 23 Nov 2026, at 09:00, Rep <rep@acme.test> wrote:\n> Which plan?\nTeam.\n> How many seats?\n\nTwelve.\n",
        );
        assert_eq!(inline.new_text, "Team.\n\nTwelve.");
        let below = cut("> Which plan?\n> How many seats?\n\nTeam, twelve.\n-- \nDana");
        assert_eq!(below.new_text, "Team, twelve.");
    }

    #[test]
    fn a_reply_never_becomes_empty_unless_it_is_only_a_quote() {
        for (text, expected, whole) in [
            ("", "", Whole::Ordinary),
            ("\n \n", "", Whole::Ordinary),
            ("> old\n> older\n", "", Whole::OnlyQuote),
            ("On 23 Nov 2026, at 09:00, Rep <rep@acme.test> wrote:\n> old\n", "", Whole::OnlyQuote),
            (
                "-----Original Message-----\nFrom: Rep\n\nold",
                "-----Original Message-----\nFrom: Rep\n\nold",
                Whole::KeptUncut,
            ),
            ("-- \nDana", "-- \nDana", Whole::Ordinary),
            ("Sent from my iPhone", "Sent from my iPhone", Whole::Ordinary),
            ("Sent from my iPhone\n\nYes, call me.", "Yes, call me.", Whole::Ordinary),
        ] {
            let cut = cut(text);
            assert_eq!((cut.new_text.as_str(), cut.whole), (expected, whole), "{text:?}");
        }
    }

    #[test]
    fn what_only_looks_like_history_stays() {
        for text in [
            "On Monday we can talk.\nOn the other hand, the price is high:\n- 10 seats",
            "In 2023 you wrote to us about this. The price was lower then.",
            "I need mail that comes from: dana@acme.test",
            "Our plan:\n----\n1. Call\n2. Decide\n\n====\nAgreed?",
            "The notification was sent from my iPhone app to all users.",
            "To: do\nDate: open",
            "We start at 10:30 and the agenda is:\n- intro",
            "5 > 3 and a < b",
        ] {
            let cut = cut(text);
            assert_eq!(cut.new_text, text);
            assert!(cut.removed.is_empty(), "{text}");
        }
    }

    #[test]
    fn html_loses_what_mail_programs_mark() {
        for (program, html, expected) in [
            (
                "Gmail",
                r#"<div dir="ltr">Sounds good.<div><br></div><div>Tuesday &amp; 2.</div></div><br><div class="gmail_quote"><div class="gmail_attr">On Mon, Nov 23, 2026 at 9:00 AM Rep &lt;<a href="mailto:rep@acme.test">rep@acme.test</a>&gt; wrote:<br></div><blockquote class="gmail_quote" style="border-left:1px solid"><div>Old</div></blockquote></div>"#,
                "Sounds good.\n\nTuesday & 2.",
            ),
            (
                "Gmail, inline",
                r#"<div class="gmail_quote"><div>On Mon, Nov 23, 2026 at 9:00 AM Rep &lt;rep@acme.test&gt; wrote:</div><blockquote class="gmail_quote">Plan?</blockquote><div>Team</div><blockquote class="gmail_quote">Seats?</blockquote><div>Twelve</div></div>"#,
                "Team\n\nTwelve",
            ),
            (
                "Gmail, forwarded",
                r#"<div>See below.</div><div class="gmail_quote"><div class="gmail_attr">---------- Forwarded message ---------<br>From: Rep</div>old</div>"#,
                "See below.",
            ),
            (
                "Outlook",
                r#"<html><head><style>p.x{margin:0}</style><title>t</title></head><body><p class=MsoNormal>No thanks.<o:p></o:p></p><div style='border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0in 0in 0in'><p><b>From:</b> Rep<br><b>Sent:</b> Monday</p></div><p>old</p></body></html>"#,
                "No thanks.",
            ),
            (
                "Outlook on the web",
                r#"<div>Yes</div><div id="appendonsend"></div><hr><div id="divRplyFwdMsg"><b>From:</b> Rep</div><div>old</div>"#,
                "Yes",
            ),
            (
                "Apple Mail",
                r#"<body>Reply<br><blockquote type="cite"><div>On 1 May 2026, at 10:00, Rep wrote:</div>old</blockquote></body>"#,
                "Reply",
            ),
            (
                "Yahoo",
                r#"<div>ok</div><div id="yahoo_quoted_1" class="yahoo_quoted"><div>On Monday, Rep wrote:</div><div>old</div></div>"#,
                "ok",
            ),
            (
                "Thunderbird",
                r#"<div class="moz-cite-prefix">On 1.5.2026 12:00, Rep wrote:<br></div><blockquote type="cite" cite="mid:1"><p>old</p></blockquote><p>below</p><pre class="moz-signature">-- &#10;Dana</pre>"#,
                "below",
            ),
            (
                "indented, not quoted",
                r#"<blockquote style="margin:0 0 0 40px;border:none;padding:0">indented</blockquote>"#,
                "indented",
            ),
            ("hidden", r#"<div style="display: none">preheader</div><script>if (a < b) {}</script>seen"#, "seen"),
        ] {
            assert_eq!(cut_html(html).new_text, expected, "{program}");
        }
        assert_eq!(cut_html("<blockquote type=cite>old</blockquote>").whole, Whole::OnlyQuote);
    }

    #[test]
    fn broken_html_is_read_as_well_as_it_can_be() {
        for (html, expected) in [
            ("<div class=\"a'>Hello <b>there</div><p>more", "Hello there\n\nmore"),
            ("5 < 6 & 7 > 2 &bogus; AT&T &#0; &#x20AC;", "5 < 6 & 7 > 2 &bogus; AT&T &#0; €"),
            ("<<<<", "<<<<"),
            ("text <", "text <"),
            ("a<!-- never closed", "a"),
            ("<script>never closed", ""),
        ] {
            assert_eq!(cut_html(html).new_text, expected, "{html}");
        }
    }

    #[test]
    fn a_hundred_thousand_strange_lines_are_survived() {
        // Rules that look ahead over the rest of the text for every line would take minutes here.
        for line in [
            "a b c:\n",
            "\n",
            "-- x\n",
            "--\n",
            "__\n",
            "Regards,\n",
            "From: a\n",
            "> x\n",
            "On 1 May 2026\n",
            "<div ",
            "<br>",
            "<a href='",
            "&",
            "<blockquote>",
            "Sent from my iPhone\n\n",
        ] {
            let text = line.repeat(100_000);
            let _ = cut(&text);
            let _ = cut_html(&text);
        }
    }

    /// The published cases of two reply parsers; where they come from and under which licence stands beside them.
    #[test]
    fn public_cases_are_cut_as_expected() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/cut/public");
        let expected = std::fs::read_to_string(folder.join("expected.jsonl")).expect("the cases are in the repository");
        let (mut cases, mut wrong) = (0, Vec::new());
        for line in expected.lines() {
            let case: serde_json::Value = serde_json::from_str(line).expect("one case a line");
            let file = case.get("file").and_then(serde_json::Value::as_str).expect("a file name");
            let bytes = std::fs::read(folder.join(file)).expect("the file is in the repository");
            let cut = cut(&String::from_utf8_lossy(&bytes));
            cases += 1;
            let whole = case.get("first_fragment").and_then(serde_json::Value::as_str);
            let start = case.get("first_fragment_starts").and_then(serde_json::Value::as_str);
            let right = match (whole, start) {
                // This one has an answer below the quote too; the case names its first piece only.
                (Some(text), _) if file.ends_with("email_2.txt") => cut.new_text.starts_with(text.trim()),
                (Some(text), _) => cut.new_text == tidy(text).trim(),
                (None, Some(text)) => cut.new_text.starts_with(text),
                (None, None) => false,
            };
            if !right {
                wrong.push(file.to_owned());
            }
        }
        // The one left has a tail of a quoted line that nothing tells from an answer.
        assert_eq!(wrong, ["crisp-oss/test/fixtures/email_7.txt"]);
        assert_eq!(cases, 49);
    }
}
