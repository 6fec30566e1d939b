//! Bounces: delivery status notifications (RFC 3464) and the free forms of mail servers, hard or soft with the address.
//! It must never call an address dead for a reason that passes (full, blocked, spam, late): hard means that the mailbox
//! or its domain does not exist, or that it refuses all mail.

use std::sync::LazyLock;

use regex::Regex;

use super::{Evidence, Machine, field, first_address};

const FULL: &str = "the mailbox is full";
const POLICY: &str = "it was refused by policy";
const SYSTEM: &str = "the receiving system failed";
const NOTICE_CHARS_MAX: usize = 20_000;

const DAEMONS: &[&str] = &[
    "mailer-daemon",
    "mailer daemon",
    "mailerdaemon",
    "postmaster",
    "mail delivery",
    "mail.delivery.system",
    "maildelivery",
    "delivery subsystem",
    "mail administrator",
    "mail system",
    "mailsystem",
    "bounce@",
    "bounces@",
    "mailer_daemon",
    "mdaemon",
    "system administrator",
    "systemadministrator",
];

const SUBJECTS: &[&str] = &[
    "undeliver",
    "undelivered",
    "delivery status notification",
    "delivery failure",
    "delivery failed",
    "delivery has failed",
    "delivery notification",
    "mail delivery fail",
    "failure notice",
    "failure delivery",
    "returned mail",
    "returned to sender",
    "return to sender",
    "delivery report",
    "mail could not be delivered",
    "message could not be delivered",
    "non-deliver",
    "nondeliver",
    "not delivered",
    "cannot deliver",
    "could not send message",
    "failed to deliver",
    "delivery problem",
    "delivery error",
    "error sending",
    "mail system error",
    "message delivery failure",
    "warning: message",
    "delayed mail",
    "delivery delayed",
    "delivery status",
    "rejected mail",
    "mail rejected",
    "bounced mail",
    "user unknown",
    "unzustellbar",
    "nicht zugestellt",
    "unzustellbarkeitsbericht",
    "fehlgeschlagen",
    "zustellung",
    "non remis",
    "non délivré",
    "échec de la remise",
    "echec de remise",
    "échec de",
    "no se puede entregar",
    "no se ha podido entregar",
    "no entregado",
    "error de entrega",
    "mancato recapito",
    "impossibile recapitare",
    "niet bezorgd",
    "onbestelbaar",
    "não entregue",
    "niedostarczon",
    "kunde inte levereras",
    "kunne ikke leveres",
    "не доставлено",
    "недоставленное",
    "メールエラー",
    "配信",
    "失敗",
    "エラー",
    "永久失败",
    "退信",
    "postmaster notify",
    "deferred mail",
    "message status",
    "considered unsolicited bulk",
    "banned contents",
    "email not sent",
    "message blocked",
    "mail not delivered",
];

const BODIES: &[&str] = &[
    "could not be delivered",
    "couldn't be delivered",
    "was not delivered",
    "wasn't delivered",
    "not been delivered",
    "unable to deliver",
    "wasn't able to deliver",
    "was not able to deliver",
    "cannot be delivered",
    "can't be delivered",
    "failed to deliver",
    "delivery to the following",
    "delevery to the following",
    "delivery failed",
    "delivery has failed",
    "undeliverable",
    "undelivered",
    "did not reach the following",
    "permanent fatal error",
    "permanent error",
    "could not deliver",
    "could not be sent",
    "did not like our",
    "error delivering your mail",
    "returned to you",
    "returned to sender",
    "user unknown",
    "mailbox is full",
    "mailbox full",
    "no such user",
    "address rejected",
    "unknown user",
    "invalid recipient",
    "invalid address",
    "account is disabled",
    "recipients failed",
    "following addresses",
    "following address",
    "following recipients",
    "transcript of session",
    "permission to post messages to the group",
    "delayed",
    "not accept",
    "message was rejected",
    "has been rejected",
    "was blocked",
    "konnte nicht zugestellt",
    "nicht zugestellt werden",
    "n'a pas pu être remis",
    "n'a pas pu être délivré",
    "no se ha podido entregar",
    "no se pudo entregar",
    "non è stato possibile recapitare",
    "kon niet worden bezorgd",
    "не может быть доставлено",
    "送信できませんでした",
    "送信に失敗",
    "配信できません",
    "配信されません",
    "ありませんでした",
    "doesn't have a",
    "reason:",
    "failure reasons",
    "unrouteable",
];

/// Where the mail that comes back begins; what stands below is our own text.
const RETURNED: &[&str] = &[
    "--- below this line is a copy",
    "------ this is a copy",
    "----- original message",
    "--- original message",
    "----- message header follows",
    "message headers follow",
    "----- unsent message follows",
    "--- the header of the original",
    "------- returned message",
    "-------original message",
    "--- returned",
    "original message follows",
    "\nreceived: from ",
    "\nreceived: by ",
    "\nreceived:from ",
    "\nreturn-path: ",
    "------ forwarded message",
    "--- the headers of the original",
    "--- undelivered message",
    "----- header of",
    "\ndkim-signature:",
];

/// Wording that passes: tried first, since "550 5.1.1" often stands beside it. The order is that of weight.
static SOFT: LazyLock<Vec<(&'static str, Regex)>> = LazyLock::new(|| {
    patterns(&[
        (
            FULL,
            r"mailbox (?:is |size )?(?:full|exceeded|quota)|mailbox.{0,20}\bfull\b|over ?quota|quota (?:exceeded|exceed|violation|full)|exceeded (?:their |his |the |its )?(?:storage |mailbox |disk )?(?:quota|limit|allocation)|insufficient (?:disk|system storage|storage|quota)|mailfolder is full|out of storage|not enough (?:disk |storage )?space|disk quota|storage limit|user is over|\b5\.2\.2\b|inbox is full|too many mail data|メールボックスが一杯|is full\b",
        ),
        (
            "the account is suspended",
            r"(?:account|mailbox|user|address|recipient|e-?mail)(?: \S+){0,6} (?:is |has been |was |is currently |currently )?(?:temporarily |currently )?(?:suspended|disabled|inactive|inactivated|deactivated|not active|locked|on hold|unavailable\b.{0,20}inactiv)|(?:disabled|suspended|inactive|deactivated|closed due to inactivity) (?:account|mailbox|user|recipient|customer)|account (?:that you tried to reach )?is (?:inactive|disabled|over)|\b5\.2\.1\b.{0,60}(?:disabled|inactive|suspend)|mailbox currently suspended|domain suspended|this account is not|\b525 5\.7\.13\b",
        ),
        (
            "it was taken for spam or a virus",
            r"\bspam|unsolicited|\bjunk mail|virus|malware|infected|phish|blacklist|black list|block ?list|blocklist|spamhaus|barracuda|dnsbl|\brbl\b|spamcop|bulk mail|content (?:filter|reject|policy)|message content|banned|suspicious|bad reputation|poor reputation|low reputation|reputation",
        ),
        (
            POLICY,
            r"policy|relay(?:ing)? (?:denied|not (?:allowed|permitted)|prohibited|access denied|is denied)|unable to relay|not (?:allowed|permitted) to relay|(?:open )?relay\b|relaying|client host|access denied|access (?:is )?(?:rejected|blocked)|\bblocked|not authori[sz]ed|unauthori[sz]ed|authentication (?:is )?(?:required|failed|check)|\bdmarc|\bdkim\b.{0,40}(?:fail|pass|reject|invalid|check)|\bspf\b|sender policy|does not pass|administrative(?:ly)? prohib|prohibited|permission to post|restricted|\bptr\b|reverse (?:dns|lookup)|rdns|no (?:reverse|ptr)|(?:sender|from|mail from|domain of sender|senders?'? ?domain|return address)(?: address| domain)?.{0,80}(?:rejected|denied|does not exist|not (?:found|exist|resolve|accept|allow|recogni)|refused|unknown|must resolve)|not like our mail from|helo|ehlo.{0,40}(?:reject|invalid|denied)|mail from:?<[^>]*>.{0,40}(?:5\d\d)|tls|starttls|encrypt|certificate|\b5\.7\.\d+\b|\b5\.8\.\d+|rfc ?(?:2822|5321|5322|822)|not rfc|header|bare (?:lf|cr)|duplicate|non-rfc|too many hops|rate.?limit|throttl|unusual rate|too many (?:connections|messages|recipients|emails|e-mails|concurrent|sessions)|connection(?:s)? (?:limit|rate)|sending (?:too|limit)",
        ),
        (
            "it is too large",
            r"(?:message|mail|size|e-?mail)(?: \S+){0,5} (?:too (?:large|big)|exceeds|exceeded|exceeding)|(?:too (?:large|big))|size limit|maximum (?:message )?size|\b5\.3\.4\b|\b5\.2\.3\b|message (?:length|size)",
        ),
        (
            "it could not be delivered in time",
            r"(?:timed? ?out|time-out)|expired|retry time|too long|been in the queue|queue (?:too|lifetime)|delivery time|giving up after|could not deliver for the last|maximum (?:queue|retry)|4\.4\.\d+\b|5\.4\.7|connection (?:refused|reset|was|with|closed|lost|dropped|died|failure)|no route to host|network is|(?:could not|unable to|wasn't able to|cannot|can't|can not|failed to) (?:establish|connect)|not (?:been )?able to (?:connect|establish)|host (?:is )?unreachable|temporar|deferred|delayed|try (?:again|later)|greylist|gr[ae]y ?list|resources|loop|too many hops|looped|mail for .{1,80} loops|will (?:continue|keep) (?:to )?(?:try|be)|warning message only",
        ),
        (
            SYSTEM,
            r"system (?:error|failure|is not|not accepting|full|busy)|internal (?:error|server)|local (?:error|configuration)|configuration error|config(?:uration)? (?:problem|fail)|i/o error|mailer error|mailer returned|pipe to|procmail|command (?:failed|died|not|time)|exit (?:status|code)|unknown mailer|disk full|no space|can't (?:create|open|write)|cannot (?:create|open|write)|file too|syntax error|protocol error|bad sequence|service (?:is )?(?:currently )?(?:unavailable|not available)|server (?:busy|not available|error)|x-unix|died (?:with|due)|generated by|maildrop",
        ),
    ])
});

/// Wording that says the mailbox or the domain is not there, in the order of weight.
static HARD: LazyLock<Vec<(&'static str, Regex)>> = LazyLock::new(|| {
    patterns(&[
        (
            "no such mailbox",
            r"user(?:\(s\)|name)?(?: is| was| does| doesn't| account| not| \S+@\S+|: ?\S+)* (?:unknown|not (?:be )?(?:found|exist|known|listed|local|recogni[sz]ed|a valid|exists?)|doesn't exist|does not exist|invalid)|unknown (?:user|recipient|local|mailbox|address|account|or (?:invalid|illegal))|no such (?:user|recipient|mailbox|address|person|account|local|email|id|name|domain|member)|(?:mailbox|recipient|address|account|addressee|alias|e-?mail(?: account| address)?|inbox|person|member|destination)(?:[ :]+<?\S+@\S+>?,?)?(?: you (?:entered|tried to reach|specified))?(?: \S+){0,3}? (?:does ?n[o']t exist|do(?:es)? not exist|not (?:be )?found|not exists?|is unknown|unknown|(?:is )?(?:not (?:valid|known|recogni[sz]ed|listed|local)|invalid|no longer (?:valid|available|exists|active|in use|on server))|doesn't|not here|is not a (?:valid|known))|invalid (?:recipient|mailbox|user|address|final|local|destination|e-?mail)|bad (?:destination|recipient|address)|not a valid (?:user|mailbox|recipient|address)|not our customer|(?:is|are) not (?:a )?(?:known|valid|local|listed)|no (?:mailbox|account|user|valid recipient|matches to|one)|mailbox (?:unavailable|not available|for)|does(?:n't| not) (?:exist|have (?:an?|a) (?:\S+ )?account|like recipient)|user is not|undeliverable address|(?:account|mailbox|user) (?:has been |was |is )?(?:deleted|removed|terminated|closed|expired)|this user|no longer (?:works|with|at|here|employed|accept)|recipient(?:not)?found|resolver\.adr|user-unknown|userunknown|user unknown|email account that you tried|not in (?:the |our )?(?:directory|domino|ldap|list)|delivery not authorized.{0,10}$|recipient address rejected: access denied|5\.1\.1 .{0,60}address rejected|見つかりませんでした|リストにありません|リストに見つかりません|見つかりません|domino ディレクトリ|あて先不明",
        ),
        (
            "no such domain",
            r"host(?: or domain)?(?: name)?(?: \S+)?(?: lookup)? (?:unknown|not found|lookup fail|cannot be found|does not exist)|unknown (?:host|domain)|domain(?: name)?(?: \S+)?(?: does ?n[o']t exist| not found| does not exist| is not|.{0,20}unresolv|.{0,20}not be found|.{0,20}couldn't be found|.{0,30}has no (?:mail|mx)|must exist|lookup)|nxdomain|non-?existent (?:host|domain)|name (?:or service not|service error|server)|no (?:mx|dns|mail) (?:record|server|host)|(?:couldn't|could not|cannot|can't) (?:find|resolve|be found|look ?up)|unrouteable|unroutable|illegal host|no such (?:host|domain)|dns (?:error|lookup|fail)|null mx|nullmx|does(?:n't| not) (?:accept|receive) (?:any )?(?:e-?)?mail|not accept(?:ing|s)? (?:any |network )?(?:e-?mails?|messages)|account or domain may not exist|smtp protocol not|host does not|all relevant mx",
        ),
        (
            "the mailbox has moved",
            r"has (?:been )?(?:moved|replaced|changed)|user not local|please (?:forward|try) |address (?:has )?changed|no longer in use|\b5\.1\.6\b|moved to|new (?:e-?mail )?address|was replaced by",
        ),
    ])
});

/// Status codes that say the mailbox or the domain is not there.
const DEAD: &[&str] = &["5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.4.4"];

static PLAINLY_DEAD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"user unknown|unknown user|no such user|invalid recipient|host unknown|mailbox not found|recipient address rejected: access denied|not accepting network messages|account or domain may not exist|does not exist here|no such (?:domain|recipient|mailbox)")
        .expect("the pattern of plain refusals is valid")
});

/// Said after the content was sent: a filter that hides behind "unknown user", since a server that knows its users
/// refuses them earlier.
static AFTER_CONTENT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"in reply to (?:end of )?data|after (?:end of )?data|end of data|(?:>>> |<<< )data\b|smtp command\s+data|\bdata command|command was: data").expect("the pattern is valid")
});

static STATUS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:^|[^\d.])([45]\.\d{1,2}\.\d{1,3})(?:[^\d.]|\.(?:\D|$)|$)")
        .expect("the pattern of status codes is valid")
});
static REPLY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?:^|[\s:(<\[>])([45]\d\d)[ \-:]").expect("the pattern of reply codes is valid"));

fn patterns(list: &[(&'static str, &'static str)]) -> Vec<(&'static str, Regex)> {
    list.iter().map(|(why, pattern)| (*why, Regex::new(pattern).expect("the patterns of bounces are valid"))).collect()
}

pub(super) fn detect(evidence: &Evidence<'_>) -> Option<Machine> {
    let notice = notice(evidence);
    if let Some(found) = by_report(evidence, &notice) {
        return Some(found);
    }
    by_wording(evidence, &notice)
}

/// The words of the server, without the mail that comes back.
fn notice(evidence: &Evidence<'_>) -> String {
    let told = evidence
        .parts
        .iter()
        .filter(|part| {
            part.content_type == "text/plain"
                || part.content_type == "text/html"
                || part.content_type.starts_with("multipart/")
        })
        .map(|part| part.text.as_str())
        .take(2)
        .collect::<Vec<_>>()
        .join("\n");
    let told = if told.trim().is_empty() { evidence.new_text } else { &told };
    let lower = told.chars().take(NOTICE_CHARS_MAX).collect::<String>().to_lowercase().replace('’', "'");
    let end = RETURNED.iter().filter_map(|mark| lower.find(mark)).min().unwrap_or(lower.len());
    let own = lower.get(..end).unwrap_or_default();
    // A notice that begins with the returned mail says nothing before it.
    if own.trim().len() < 20 { lower } else { own.to_owned() }
}

fn by_report(evidence: &Evidence<'_>, notice: &str) -> Option<Machine> {
    // Where a mail server broke the boundaries, the report stands in the middle of a text.
    let report = evidence
        .part("message/delivery-status")
        .or_else(|| evidence.part("message/global-delivery-status"))
        .or_else(|| {
        evidence.parts.iter().find(|part| {
            !part.content_type.starts_with("message/")
                && part.text.contains("\nFinal-Recipient:")
                && part.text.contains("\nAction:")
        })
    })?;
    let mut delayed = None;
    let mut arrived = false;
    for group in groups(&report.text) {
        let recipient =
            ["Final-Recipient", "Original-Recipient", "X-Actual-Recipient"].iter().find_map(|name| field(group, name));
        let action = field(group, "Action").unwrap_or_default().to_lowercase();
        let status = field(group, "Status").and_then(|value| status_in(&value));
        let diagnostic = field(group, "Diagnostic-Code").unwrap_or_default();
        if recipient.is_none() && action.is_empty() && status.is_none() {
            continue;
        }
        if action.starts_with("delivered") || action.starts_with("relayed") || action.starts_with("expanded") {
            arrived = true;
            continue;
        }
        let address = recipient
            .as_deref()
            .map(|value| value.rsplit(';').next().unwrap_or(value))
            .and_then(first_address)
            .or_else(|| address_in(evidence, notice));
        let in_diagnostic = status_in(&diagnostic);
        // "5.0.0" and "4.0.0" say nothing; the diagnostic often does.
        let status = match (status, in_diagnostic) {
            (Some(given), Some(better)) if given.ends_with(".0.0") => Some(better),
            (Some(given), _) => Some(given),
            (None, other) => other,
        };
        let late = action.starts_with("delayed");
        let (hard, why) = judge(&diagnostic.to_lowercase(), notice, status.as_deref());
        let hard = hard && !late;
        let why = if late { "delivery is delayed".to_owned() } else { why };
        let found = Machine::Bounce { hard, address, status, why };
        if !late {
            return Some(found);
        }
        delayed.get_or_insert(found);
    }
    if delayed.is_some() {
        return delayed;
    }
    if arrived {
        return Some(Machine::AutoReply { why: "a report that our mail arrived (RFC 3464)".to_owned() });
    }
    let (hard, why) = judge("", notice, status_in(notice).as_deref());
    Some(Machine::Bounce { hard, address: address_in(evidence, notice), status: status_in(notice), why })
}

/// The groups of fields in a report, separated by empty lines.
fn groups(report: &str) -> impl Iterator<Item = &str> {
    let blank_lines = if report.contains("\r\n\r\n") { "\r\n\r\n" } else { "\n\n" };
    report.split(blank_lines).filter(|group| !group.trim().is_empty())
}

fn by_wording(evidence: &Evidence<'_>, notice: &str) -> Option<Machine> {
    let from = evidence.from.to_lowercase();
    let subject = evidence.subject.to_lowercase();
    let daemon = DAEMONS.iter().any(|name| from.contains(name));
    let null_sender = evidence.header("Return-Path").is_some_and(|value| value.replace(' ', "") == "<>");
    let failed_header = evidence.header("X-Failed-Recipients").is_some();
    let about = SUBJECTS.iter().any(|words| subject.contains(words));
    let told = BODIES.iter().any(|words| notice.contains(words));
    let coded = status_in(notice).is_some() || REPLY.is_match(notice);
    let answers_a_person = subject.starts_with("re:")
        || subject.starts_with("aw:")
        || evidence.header("Auto-Submitted").is_some_and(|value| value.to_lowercase().starts_with("auto-replied"));
    let bounced = failed_header
        || (daemon && (about || told || coded))
        || (null_sender && about && (told || coded))
        || (about && told && coded && !answers_a_person)
        || (about && told && evidence.part("message/rfc822").is_some());
    if !bounced || (answers_a_person && !daemon && !failed_header) {
        return None;
    }
    let status = status_in(notice);
    let (hard, why) = judge("", notice, status.as_deref());
    Some(Machine::Bounce { hard, address: address_in(evidence, notice), status, why })
}

/// Hard or soft, and why. The server's own diagnostic counts before the text around it.
fn judge(diagnostic: &str, notice: &str, status: Option<&str>) -> (bool, String) {
    for text in [diagnostic, notice] {
        if text.trim().is_empty() {
            continue;
        }
        let clean = joined(text);
        if AFTER_CONTENT.is_match(notice)
            && PLAINLY_DEAD.is_match(&clean)
            && status.is_none_or(|code| !code.starts_with("5.1.") && code != "5.5.0")
        {
            return (false, "refused after the content was sent, as filters do".to_owned());
        }
        let hard = HARD.iter().find_map(|(why, pattern)| pattern.find(&clean).map(|found| (*why, found.as_str())));
        let soft = SOFT.iter().find_map(|(why, pattern)| pattern.find(&clean).map(|found| (*why, found.as_str())));
        match (hard, soft) {
            (Some(hard), None) if status.is_none_or(|code| !code.starts_with('4')) => return (true, told(hard)),
            (Some(hard), None) => return (false, format!("{}, but the server says that it may pass", told(hard))),
            (None, Some(soft)) => return (false, told(soft)),
            (Some(hard), Some(soft)) => {
                let dead = status.is_some_and(|code| DEAD.contains(&code));
                let full = soft.0 == FULL;
                // "550 5.5.0 unknown user": the words say more than the class of the code.
                let plain = PLAINLY_DEAD.is_match(&clean) && matches!(soft.0, SYSTEM | POLICY);
                return if (dead && !full) || plain { (true, told(hard)) } else { (false, told(soft)) };
            }
            (None, None) => {}
        }
    }
    match status {
        Some(code) if DEAD.contains(&code) => (true, format!("the status {code} says that the address is not there")),
        Some(code) => (false, format!("the status {code} alone does not say that the address is dead")),
        None => (false, "the notice gives no reason".to_owned()),
    }
}

/// The reason with the words that gave it away, so that a person can judge the judgement.
fn told((why, words): (&str, &str)) -> String {
    const WORDS_CHARS_MAX: usize = 80;
    format!("{why} (\"{}\")", words.chars().take(WORDS_CHARS_MAX).collect::<String>())
}

/// On one line, without addresses and links: their letters are no reason.
fn joined(text: &str) -> String {
    text.split_whitespace()
        .filter(|word| !word.contains("http") && !word.contains("www."))
        .collect::<Vec<_>>()
        .join(" ")
}

fn status_in(text: &str) -> Option<String> {
    STATUS.captures(text).and_then(|found| found.get(1)).map(|code| code.as_str().to_owned())
}

fn address_in(evidence: &Evidence<'_>, notice: &str) -> Option<String> {
    if let Some(address) = evidence.header("X-Failed-Recipients").and_then(first_address) {
        return Some(address);
    }
    let from = first_address(evidence.from);
    let to = evidence.header("To").and_then(first_address);
    let returned_to = evidence
        .part("message/rfc822")
        .or_else(|| evidence.part("text/rfc822-headers"))
        .and_then(|part| field(&part.text, "To"))
        .and_then(|value| first_address(&value));
    let in_notice = notice
        .split(|c: char| c.is_whitespace() || c == '<' || c == '>' || c == ':' || c == ',')
        .filter(|word| word.contains('@'))
        .take(20)
        .filter_map(first_address)
        .find(|address| {
            Some(address) != from.as_ref()
                && Some(address) != to.as_ref()
                && !address.starts_with("postmaster@")
                && !address.starts_with("mailer-daemon@")
        });
    in_notice.or(returned_to)
}
