//! Finds how a writer's own text ends: the signature and the sign-off.
//! It must never take a sentence for a signature: what speaks, asks or wants to be removed stays in the text.

const SIGNATURE_LINES_MAX: usize = 20;
const NAME_BLOCK_LINES_MAX: usize = 12;
const CLOSING_BYTES_MAX: usize = 120;
const SIGNATURE_LINE_CHARS_MAX: usize = 70;
const SPEECH_WORDS_MIN: usize = 9;

/// Sign-offs that say nothing else; they go together with the name below.
const CLOSINGS: &[&str] = &[
    // English
    "regards",
    "best regards",
    "kind regards",
    "kindest regards",
    "warm regards",
    "warmest regards",
    "many regards",
    "with regards",
    "with best regards",
    "with kind regards",
    "with warm regards",
    "best wishes",
    "with best wishes",
    "best",
    "all the best",
    "cheers",
    "sincerely",
    "yours sincerely",
    "sincerely yours",
    "yours faithfully",
    "yours truly",
    "yours",
    "respectfully",
    "respectfully yours",
    "cordially",
    "rgds",
    "br",
    "kr",
    "warmly",
    "thanks and regards",
    "thanks & regards",
    "thanks and best regards",
    "thanks and kind regards",
    "thank you and regards",
    "thank you and best regards",
    // German
    "mit freundlichen grüßen",
    "mit freundlichen grüssen",
    "mit freundlichem gruß",
    "mit freundlichem gruss",
    "mit besten grüßen",
    "mit besten grüssen",
    "mit herzlichen grüßen",
    "freundliche grüße",
    "freundliche grüsse",
    "viele grüße",
    "viele grüsse",
    "beste grüße",
    "beste grüsse",
    "liebe grüße",
    "liebe grüsse",
    "schöne grüße",
    "herzliche grüße",
    "herzliche grüsse",
    "grüße",
    "gruß",
    "gruss",
    "mfg",
    "vg",
    "lg",
    "bg",
    "hochachtungsvoll",
    // French
    "cordialement",
    "bien cordialement",
    "très cordialement",
    "bien à vous",
    "cdt",
    "cdlt",
    "sincères salutations",
    "meilleures salutations",
    "salutations",
    "salutations distinguées",
    "salutations cordiales",
    "amicalement",
    // Spanish
    "saludos",
    "un saludo",
    "saludos cordiales",
    "un cordial saludo",
    "atentamente",
    "muy atentamente",
    "cordialmente",
    "un abrazo",
    "atte",
    // Italian
    "cordiali saluti",
    "distinti saluti",
    "saluti",
    "un saluto",
    "un cordiale saluto",
    "buona giornata",
    // Dutch
    "met vriendelijke groet",
    "met vriendelijke groeten",
    "vriendelijke groet",
    "vriendelijke groeten",
    "hartelijke groet",
    "hartelijke groeten",
    "groeten",
    "groet",
    "mvg",
    // Portuguese
    "atenciosamente",
    "cumprimentos",
    "com os melhores cumprimentos",
    "melhores cumprimentos",
    "abraços",
    "abraço",
    "att",
    // Polish
    "pozdrawiam",
    "pozdrawiam serdecznie",
    "serdecznie pozdrawiam",
    "z poważaniem",
    "z wyrazami szacunku",
    // Swedish, Danish, Norwegian, Finnish
    "med vänliga hälsningar",
    "med vänlig hälsning",
    "vänliga hälsningar",
    "hälsningar",
    "mvh",
    "med venlig hilsen",
    "venlig hilsen",
    "de bedste hilsner",
    "bedste hilsner",
    "hilsen",
    "med vennlig hilsen",
    "vennlig hilsen",
    "beste hilsen",
    "ystävällisin terveisin",
    "terveisin",
];

/// Sign-offs that are an answer too: they stay, only what stands below them goes.
const THANKS: &[&str] = &[
    "thanks",
    "many thanks",
    "thank you",
    "thank you very much",
    "thanks so much",
    "thanks a lot",
    "thanks again",
    "thanks in advance",
    "thank you in advance",
    "thx",
    "ty",
    "talk soon",
    "speak soon",
    "danke",
    "vielen dank",
    "besten dank",
    "herzlichen dank",
    "danke und gruß",
    "danke im voraus",
    "merci",
    "merci beaucoup",
    "merci d'avance",
    "bonne journée",
    "gracias",
    "muchas gracias",
    "grazie",
    "grazie mille",
    "bedankt",
    "dank je wel",
    "alvast bedankt",
    "obrigado",
    "obrigada",
    "dziękuję",
    "tack",
    "tack på förhand",
    "tak",
    "på forhånd tak",
    "takk",
    "kiitos",
];

/// The line at which a signature begins within `lines`, which reach to the end of the writer's own text.
pub(super) fn signature_start(lines: &[&str]) -> Option<usize> {
    lines.iter().enumerate().find_map(|(at, line)| {
        if *line == "-- " {
            return Some(at);
        }
        let bare = line.trim();
        let filled =
            || lines.get(at + 1..).unwrap_or_default().iter().map(|line| line.trim()).filter(|line| !line.is_empty());
        if (bare == "--" || bare == "- --") && filled().take(SIGNATURE_LINES_MAX + 1).count() <= SIGNATURE_LINES_MAX {
            return Some(at);
        }
        let long_dash = !bare.is_empty() && bare.chars().all(|c| c == '—' || c == '–');
        if long_dash
            && filled().take(NAME_BLOCK_LINES_MAX + 1).count() <= NAME_BLOCK_LINES_MAX
            && filled().all(is_signature_line)
        {
            return Some(at);
        }
        None
    })
}

/// A sign-off and what stands below it: `start..end` within `lines`, to be cut.
pub(super) fn sign_off(lines: &[&str]) -> Option<(usize, usize)> {
    lines.iter().enumerate().find_map(|(at, line)| {
        let closing = closing_of(line)?;
        let mut end = at + 1;
        let mut names = 0;
        for (index, line) in lines.iter().enumerate().skip(at + 1) {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let name_expected = names == 0 && closing != Closing::WithName;
            let fits = is_signature_line(line) && !(name_expected && line.split_whitespace().count() > 7);
            if !fits {
                break;
            }
            names += 1;
            end = index + 1;
            if names > NAME_BLOCK_LINES_MAX {
                return None;
            }
        }
        let next = lines.get(end..)?.iter().find(|line| !line.trim().is_empty());
        let ends_here = next.is_none();
        let speaks_on = next.is_some_and(|line| is_postscript(line));
        // Without a name below and with more text to come it was no sign-off ("Best" in a list, "Thanks!" in the middle).
        if !ends_here && (names == 0 || !speaks_on) {
            return None;
        }
        match closing {
            Closing::Thanks if names == 0 => None,
            Closing::Thanks => Some((at + 1, end)),
            Closing::Plain | Closing::WithName => Some((at, end)),
        }
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    Plain,
    WithName,
    Thanks,
}

fn closing_of(line: &str) -> Option<Closing> {
    let line = line.trim();
    if line.is_empty() || line.len() > CLOSING_BYTES_MAX {
        return None;
    }
    let lower = line.to_lowercase();
    // What is no letter at the end (a comma, an exclamation mark, an emoji) changes nothing.
    let words = lower.trim_end_matches(|c: char| !c.is_alphanumeric()).trim_start_matches(['*', '_', ' ']);
    if CLOSINGS.contains(&words) {
        return Some(Closing::Plain);
    }
    if THANKS.contains(&words) {
        return Some(Closing::Thanks);
    }
    let comma = line.find([',', '!', '–'])?;
    let (before, after) = line.split_at_checked(comma)?;
    let name: Vec<&str> = after.trim_start_matches([',', '!', '–', ' ']).split_whitespace().collect();
    let named = (1..=3).contains(&name.len())
        && name.iter().all(|word| word.chars().next().is_some_and(char::is_uppercase))
        && !after.ends_with('?');
    (named && CLOSINGS.contains(&before.trim().to_lowercase().as_str())).then_some(Closing::WithName)
}

fn is_postscript(line: &str) -> bool {
    let lower = line.trim().to_lowercase();
    ["ps", "p.s", "pps", "p.p.s"]
        .iter()
        .any(|mark| lower.strip_prefix(mark).is_some_and(|rest| rest.starts_with([':', '.', ' ', '-', '–', ','])))
}

/// A line that a signature may hold: a name, a title, an address, a slogan; not a sentence, a question or a wish.
fn is_signature_line(line: &str) -> bool {
    let line = line.trim();
    let lower = line.to_lowercase();
    let contact = lower.contains("http")
        || lower.contains("www.")
        || lower.contains('@')
        || lower.contains('|')
        || lower.contains("tel");
    let speech = line.ends_with('?')
        || is_postscript(line)
        || (line.split_whitespace().count() >= SPEECH_WORDS_MIN && line.ends_with(['.', '!']))
        || ["unsubscribe", "remove", "opt out", "opt-out", "stop", "delete", "don't", "do not", "please"]
            .iter()
            .any(|word| lower.contains(word));
    !speech && (contact || line.chars().count() <= SIGNATURE_LINE_CHARS_MAX)
}
