//! Finds the block of From, Sent, To and Subject, and the divider "Original Message", in the languages of the common mail
//! programs. It must never claim a line that only has a colon in it: a block wants several labels, one of them "From".

use super::attribution::{Introduction, holds_address, holds_numeric_date};

const HEADER_BLOCK_LINES_MAX: usize = 14;
const DIVIDER_BYTES_MAX: usize = 120;

const DIVIDERS: &[&str] = &[
    "original message",
    "originalnachricht",
    "original-nachricht",
    "ursprüngliche nachricht",
    "ursprüngliche mail",
    "message d'origine",
    "message d’origine",
    "message original",
    "message transféré",
    "courriel original",
    "mensaje original",
    "mensaje reenviado",
    "messaggio originale",
    "messaggio inoltrato",
    "oorspronkelijk bericht",
    "doorgestuurd bericht",
    "origineel bericht",
    "mensagem original",
    "mensagem encaminhada",
    "mensagem reencaminhada",
    "oryginalna wiadomość",
    "wiadomość oryginalna",
    "wiadomość przekazana",
    "ursprungligt meddelande",
    "originalmeddelande",
    "vidarebefordrat meddelande",
    "oprindelig besked",
    "oprindelig meddelelse",
    "original besked",
    "videresendt besked",
    "opprinnelig melding",
    "original melding",
    "videresendt melding",
    "alkuperäinen viesti",
    "исходное сообщение",
    "пересылаемое сообщение",
    "původní zpráva",
    "eredeti üzenet",
    "orijinal mesaj",
    "özgün ileti",
    "mesaj original",
    "原始邮件",
    "原始郵件",
    "转发邮件",
    "original mail",
    "reply message",
    "forwarded message",
    "weitergeleitete nachricht",
    "forwarded by",
];

/// Dividers that stand without dashes.
const BARE_DIVIDERS: &[&str] = &[
    "begin forwarded message:",
    "anfang der weitergeleiteten nachricht:",
    "anfang der weitergeleiteten e-mail:",
    "début du message réexpédié :",
    "début du message transféré :",
    "inicio del mensaje reenviado:",
    "inizio messaggio inoltrato:",
    "begin doorgestuurd bericht:",
    "início da mensagem reenviada:",
    "początek przekazywanej wiadomości:",
    "vidarebefordrat brev:",
    "start på videresendt besked:",
    "videresendt melding:",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Label {
    From,
    Date,
    To,
    Subject,
    /// Lines that go along with a block but prove nothing: Cc, Reply-To, Importance.
    Along,
}

const LABELS: &[(Label, &[&str])] = &[
    (
        Label::From,
        &[
            "from",
            "von",
            "de",
            "da",
            "van",
            "od",
            "fra",
            "från",
            "lähettäjä",
            "feladó",
            "от",
            "от кого",
            "від",
            "发件人",
            "寄件者",
            "差出人",
            "보낸 사람",
            "expéditeur",
            "mittente",
            "remitente",
            "absender",
            "afzender",
            "kimden",
            "gönderen",
            "odesílatel",
            "de la",
            "από",
            "remetente",
            "avsändare",
        ],
    ),
    (
        Label::Date,
        &[
            "sent",
            "date",
            "gesendet",
            "gesendet am",
            "datum",
            "envoyé",
            "envoyé le",
            "enviado",
            "enviado el",
            "enviado em",
            "enviada em",
            "enviada",
            "fecha",
            "data",
            "inviato",
            "verzonden",
            "wysłano",
            "wysłane",
            "skickat",
            "sendt",
            "dato",
            "lähetetty",
            "päivämäärä",
            "отправлено",
            "дата",
            "надіслано",
            "elküldve",
            "dátum",
            "发送时间",
            "日期",
            "送信日時",
            "보낸 날짜",
            "tarih",
            "gönderildi",
            "gönderme tarihi",
            "odesláno",
            "trimis",
            "ημερομηνία",
        ],
    ),
    (
        Label::To,
        &[
            "to",
            "an",
            "à",
            "a",
            "pour",
            "para",
            "aan",
            "do",
            "til",
            "till",
            "vastaanottaja",
            "кому",
            "címzett",
            "收件人",
            "宛先",
            "받는 사람",
            "kime",
            "destinatario",
            "destinataire",
            "destinatário",
            "empfänger",
            "komu",
            "către",
            "προς",
        ],
    ),
    (
        Label::Subject,
        &[
            "subject",
            "betreff",
            "objet",
            "sujet",
            "asunto",
            "oggetto",
            "onderwerp",
            "temat",
            "ämne",
            "emne",
            "aihe",
            "тема",
            "tárgy",
            "主题",
            "主旨",
            "件名",
            "제목",
            "konu",
            "assunto",
            "předmět",
            "subiect",
            "θέμα",
        ],
    ),
    (
        Label::Along,
        &[
            "cc",
            "bcc",
            "cci",
            "kopie",
            "copie",
            "copie à",
            "copia",
            "kopia",
            "kopi",
            "dw",
            "csatolva",
            "reply-to",
            "répondre à",
            "antwort an",
            "importance",
            "wichtigkeit",
            "attachments",
            "anlagen",
            "organization",
            "priority",
            "copia para",
            "cópia",
            "копия",
            "抄送",
        ],
    ),
];

/// "-----Original Message-----" and its like. A header block right below belongs to it.
pub(super) fn divider(lines: &[&str], at: usize) -> Option<Introduction> {
    let line = lines.get(at)?.trim();
    if line.len() > DIVIDER_BYTES_MAX {
        return None;
    }
    let lower = line.to_lowercase();
    let dashes = |c: char| "-_=*–— ".contains(c);
    let inner = lower.trim_matches(dashes).trim_end_matches([':', '-']).trim();
    let dashed = lower.starts_with("--")
        || lower.starts_with("__")
        || lower.starts_with("==")
        || lower.starts_with('–')
        || lower.starts_with('—');
    let named = DIVIDERS.iter().any(|divider| {
        inner == *divider || inner.starts_with("forwarded by ") || inner.starts_with("forwarded message")
    });
    let introduces = dashed && named;
    if !introduces && !BARE_DIVIDERS.contains(&lower.as_str()) {
        return None;
    }
    let forwarded = [
        "forward",
        "weitergeleitet",
        "transfér",
        "réexpédié",
        "reenviad",
        "inoltrat",
        "doorgestuurd",
        "encaminhad",
        "przekaz",
        "vidarebe",
        "videresend",
        "пересыл",
        "转发",
    ]
    .iter()
    .any(|stem| lower.contains(stem));
    let mut end = at + 1;
    while lines.get(end).is_some_and(|line| label_of(line).is_some()) {
        end += 1;
    }
    Some(Introduction { start: at, end, why: "a divider that names the earlier message", forwarded })
}

/// From, Sent, To and Subject one under the other, as Outlook writes them.
pub(super) fn header_block(lines: &[&str], quoted: &[bool], at: usize) -> Option<Introduction> {
    label_of(lines.get(at)?)?;
    let mut seen: Vec<Label> = Vec::new();
    let mut end = at;
    let mut strangers = 0;
    for (index, line) in lines.iter().enumerate().skip(at).take(HEADER_BLOCK_LINES_MAX) {
        if quoted.get(index).copied().unwrap_or(false) {
            break;
        }
        if let Some(label) = label_of(line) {
            if label != Label::Along && !seen.contains(&label) {
                seen.push(label);
            }
            end = index + 1;
            strangers = 0;
        } else if line.trim().is_empty() {
            if seen.len() >= 3 {
                break;
            }
            strangers += 1;
        } else {
            // A long address or subject wraps onto a line of its own.
            strangers += 1;
        }
        if strangers > 1 {
            break;
        }
    }
    let decorated = at > 0 && lines.get(at - 1).is_some_and(|line| is_decoration(line));
    let from = seen.contains(&Label::From);
    let enough = from
        && (seen.len() >= 3
            || (seen.len() == 2
                && (decorated
                    || seen.contains(&Label::Subject) && holds_address(lines.get(at).copied().unwrap_or_default()))));
    enough.then_some(Introduction { start: at, end, why: "a block of From, Sent, To and Subject", forwarded: false })
}

pub(super) fn label_of(line: &str) -> Option<Label> {
    let line = line.trim().trim_start_matches(['*', '_']);
    // Labels are short; a colon further on belongs to a sentence.
    let colon = line.char_indices().take(30).find(|(_, c)| *c == ':' || *c == '：').map(|(at, _)| at)?;
    let label = line.get(..colon)?.trim_matches(|c: char| c == '*' || c == '_' || c.is_whitespace()).to_lowercase();
    LABELS.iter().find(|(_, names)| names.contains(&label.as_str())).map(|(kind, _)| *kind)
}

/// A line drawn with dashes, underscores or equal signs.
pub(super) fn is_decoration(line: &str) -> bool {
    let line = line.trim();
    line.len() >= 2 && line.chars().all(|c| "-_=*–—─".contains(c))
}

/// A line that names an earlier message without dashes around it, as French webmail does ("Message du : 12/12/2016").
pub(super) fn is_lead_in(line: &str) -> bool {
    let lower = line.trim().to_lowercase();
    lower.starts_with("message du ") && holds_numeric_date(&lower)
}
