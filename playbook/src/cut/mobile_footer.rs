//! Finds the footer that a telephone or a mail program appends ("Sent from my iPhone"), in many languages.
//! It must never take a sentence of the writer's for a footer: a line that asks, lists or goes on for long stays.

const FOOTER_BYTES_MAX: usize = 120;

const FOOTER_STARTS: &[&str] = &[
    "sent from",
    "sent via",
    "sent by",
    "sent on my",
    "sent with",
    "get outlook for",
    "get bluemail for",
    "gesendet von",
    "von meinem",
    "gesendet mit",
    "diese nachricht wurde von meinem",
    "von unterwegs gesendet",
    "holen sie sich outlook",
    "outlook für",
    "laden sie outlook",
    "envoyé de",
    "envoyé depuis",
    "envoyé à partir",
    "envoyé par",
    "envoyé d'",
    "télécharger outlook",
    "obtenez outlook",
    "obtenir outlook",
    "enviado desde",
    "enviado de",
    "enviado a partir",
    "enviado do",
    "enviado por",
    "obtener outlook",
    "obter o outlook",
    "inviato da",
    "inviato dal",
    "scarica outlook",
    "ottieni outlook",
    "verzonden vanaf",
    "verstuurd vanaf",
    "verzonden met",
    "verzonden via",
    "outlook voor",
    "download outlook",
    "wysłane z",
    "wysłano z",
    "skickat från",
    "hämta outlook",
    "sendt fra",
    "hent outlook",
    "få outlook",
    "lähetetty",
    "отправлено с",
    "отправлено из",
    "odesláno z",
    "odoslané z",
    "küldve",
    "trimis de pe",
    "gönderildi",
    "從我的",
    "从我的",
    "发自我的",
    "發自我的",
    "iphoneから送信",
    "나의 iphone에서",
];

/// Words that name a device or a mail program; one of them, or "my …", makes a footer of "sent from …".
const DEVICES: &[&str] = &[
    "iphone",
    "ipad",
    "ipod",
    "apple watch",
    "android",
    "galaxy",
    "samsung",
    "blackberry",
    "mobile",
    "mobil",
    "handy",
    "phone",
    "telefon",
    "téléphone",
    "teléfono",
    "telefono",
    "telefoon",
    "smartphone",
    "tablet",
    "outlook",
    "windows",
    "yahoo",
    "gmail",
    "proton",
    "huawei",
    "xiaomi",
    "redmi",
    "pixel",
    "nokia",
    "motorola",
    "oneplus",
    "oppo",
    "htc",
    "lg",
    "sony",
    "xperia",
    "wiko",
    "honor",
    "móvil",
    "celular",
    "portable",
    "cellulare",
    "komórki",
    "kännykästä",
    "mailbird",
    "spark",
    "bluemail",
    "typeapp",
    "aol",
    "airmail",
    "nine",
    "superhuman",
    "front",
    "zoho",
    "gmx",
    "web.de",
    "t-online",
    "orange",
    "mail app",
    "mail for",
    "mail für",
    "mail.ru",
    "surface",
];

/// The footer that a telephone or a mail program appends ("Sent from my iPhone").
pub(super) fn is_mobile_footer(line: &str, ends_the_text: bool) -> bool {
    let line = line.trim().trim_matches(['*', '_']).trim();
    if line.is_empty() || line.len() > FOOTER_BYTES_MAX {
        return false;
    }
    let lower = line.to_lowercase();
    let Some(start) = FOOTER_STARTS.iter().find(|start| lower.starts_with(*start)) else { return false };
    // A link in brackets may follow; the words before it count.
    let words = lower.split(['<', '[', '(']).next().unwrap_or_default().trim().trim_end_matches('.');
    if words.contains([',', ';', '?', '!']) || words.contains(". ") || words.split_whitespace().count() > 9 {
        return false;
    }
    let rest = words.strip_prefix(start).unwrap_or_default().trim();
    let jest =
        ends_the_text && *start == "sent from" && ["my ", "a ", "an "].iter().any(|article| rest.starts_with(article));
    let named = DEVICES.iter().any(|device| {
        words.match_indices(device).any(|(at, found)| {
            let before = words.get(..at).and_then(|part| part.chars().next_back());
            let after = words.get(at + found.len()..).and_then(|part| part.chars().next());
            before.is_none_or(|c| !c.is_alphanumeric()) && after.is_none_or(|c| !c.is_alphanumeric())
        })
    });
    named
        || jest
        || start.chars().any(|c| c >= '\u{400}')
        || (rest.starts_with("my ") && rest.split_whitespace().count() <= 6)
        || (rest.starts_with("mein") && rest.split_whitespace().count() <= 5)
        || (rest.starts_with("mon ") && rest.split_whitespace().count() <= 5)
        || (rest.starts_with("mi ") && rest.split_whitespace().count() <= 5)
}
