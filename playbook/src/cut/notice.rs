//! Knows the paragraphs that no person wrote: legal disclaimers, banners about outside senders, footers of mailing lists.
//! It must never claim the first paragraph of a reply by one word alone: each notice is known by its wording.

use super::Part;

/// Wording of which one is enough.
const NOTICES: &[(Part, &[&str])] = &[
    (
        Part::Disclaimer,
        &[
            "confidentiality notice",
            "confidentiality note:",
            "legal disclaimer",
            "disclaimer:",
            "not the intended recipient",
            "not an intended recipient",
            "intended solely for the",
            "intended only for the",
            "solely for the use of the",
            "for the sole use of the",
            "may contain confidential",
            "may contain privileged",
            "contains confidential information",
            "confidential and/or privileged",
            "confidential and may be",
            "confidential and intended",
            "if you have received this email in error",
            "if you have received this e-mail in error",
            "if you have received this message in error",
            "if you received this email in error",
            "if you received this message in error",
            "please consider the environment before printing",
            "consider the environment before you print",
            "think before you print",
            "this email has been scanned",
            "this e-mail has been scanned",
            "this message has been scanned",
            "virus-free.",
            "this email has been checked for viruses",
            "vertrauliche und/oder rechtlich geschützte",
            "vertrauliche informationen enthalten",
            "enthält vertrauliche",
            "nicht der richtige adressat",
            "nicht der beabsichtigte empfänger",
            "nicht der vorgesehene empfänger",
            "diese e-mail irrtümlich erhalten",
            "denken sie an die umwelt, bevor",
            "ce message et toutes les pièces jointes",
            "ce message et ses pièces jointes",
            "ce courriel et ses pièces jointes",
            "ce message est confidentiel",
            "établis à l'intention exclusive",
            "à l'usage exclusif de",
            "si vous n'êtes pas le destinataire",
            "si vous avez reçu ce message par erreur",
            "pensez à l'environnement avant",
            "este mensaje y sus archivos",
            "este mensaje y los ficheros",
            "este mensaje puede contener",
            "este correo electrónico y",
            "información confidencial",
            "si usted no es el destinatario",
            "si no es el destinatario",
            "antes de imprimir este",
            "questo messaggio e i suoi allegati",
            "questo messaggio è confidenziale",
            "informazioni riservate",
            "informazioni contenute in questo messaggio",
            "se avete ricevuto questo messaggio per errore",
            "se non siete il destinatario",
            "dit bericht is uitsluitend bestemd",
            "dit bericht kan vertrouwelijke",
            "deze e-mail is uitsluitend bestemd",
            "indien u niet de geadresseerde",
            "esta mensagem pode conter",
            "esta mensagem, incluindo",
            "se você não é o destinatário",
            "se não for o destinatário",
            "informação confidencial",
            "wiadomość zawiera informacje poufne",
            "treść tej wiadomości",
            "niniejsza wiadomość",
            "detta meddelande är endast avsett",
            "denne e-mail kan indeholde fortrolige",
            "denne e-posten kan inneholde",
        ],
    ),
    (
        Part::Banner,
        &[
            "this email originated from outside",
            "this email originates from outside",
            "this e-mail originated from outside",
            "this message originated from outside",
            "this message came from outside",
            "this email is from an external sender",
            "external email: ",
            "caution: external",
            "warning: external",
            "you don't often get email from",
            "you don’t often get email from",
            "sie erhalten nicht häufig e-mails von",
            "diese e-mail stammt von außerhalb",
            "cet e-mail provient de l'extérieur",
        ],
    ),
    (
        Part::ListFooter,
        &[
            "you received this message because you are subscribed",
            "to unsubscribe from this group",
            "to unsubscribe from this list",
            "mailing list\n",
            "reply to this email directly or view it on",
            "you are receiving this because",
        ],
    ),
];

/// What kind of notice a paragraph is, if it is one.
pub(super) fn notice(paragraph: &str) -> Option<Part> {
    let lower = paragraph.to_lowercase().replace('’', "'");
    // Line breaks inside the wording do not matter; the end of a first line does, for "… mailing list".
    let joined = lower.split_whitespace().collect::<Vec<_>>().join(" ");
    NOTICES
        .iter()
        .find(|(_, wording)| {
            wording.iter().any(|words| joined.contains(words) || (words.ends_with('\n') && lower.contains(words)))
        })
        .map(|(part, _)| *part)
}
