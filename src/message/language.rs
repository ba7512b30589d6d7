//! The language a text is probably written in, for the `lang` of its HTML: a screen reader that takes German for English is
//! hard to follow. Where the words do not say it clearly, none is given (HTML: `lang=""` is "unknown").

/// Words that are frequent in one language and rare in the others.
const WORDS: [(&str, &[&str]); 10] = [
    (
        "en",
        &[
            "the", "and", "you", "your", "is", "of", "with", "we", "have", "this", "are", "from",
            "our",
        ],
    ),
    (
        "de",
        &[
            "und", "der", "die", "das", "sie", "ihr", "ihre", "ist", "mit", "wir", "nicht", "für",
            "auf", "ein",
        ],
    ),
    (
        "fr",
        &[
            "et", "vous", "votre", "vos", "nous", "les", "des", "est", "pour", "avec", "une",
            "dans", "sur",
        ],
    ),
    (
        "es",
        &[
            "y", "usted", "su", "los", "las", "el", "con", "para", "una", "por", "del", "es",
            "nuestro",
        ],
    ),
    (
        "it",
        &[
            "il", "che", "di", "per", "con", "una", "sono", "della", "nostro", "vostro", "non",
            "gli", "è",
        ],
    ),
    (
        "pt",
        &[
            "você", "seu", "sua", "os", "uma", "com", "para", "não", "dos", "da", "em", "ao", "é",
        ],
    ),
    (
        "nl",
        &[
            "het", "een", "en", "uw", "van", "wij", "niet", "met", "voor", "zijn", "dat", "jouw",
            "je",
        ],
    ),
    (
        "sv",
        &[
            "och", "att", "du", "din", "ditt", "är", "vi", "på", "för", "inte", "med", "som", "den",
        ],
    ),
    (
        "da",
        &[
            "og", "du", "din", "dit", "er", "vi", "på", "til", "ikke", "med", "det", "af", "har",
        ],
    ),
    (
        "pl",
        &[
            "i", "w", "się", "na", "do", "nie", "twój", "jest", "że", "dla", "przez", "prosimy",
            "oraz",
        ],
    ),
];

/// The language's tag (BCP 47), or nothing where it is not clear.
pub(super) fn of(text: &str) -> &'static str {
    if let Some(language) = by_script(text) {
        return language;
    }
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty())
        .take(2000)
        .map(str::to_lowercase)
        .collect();
    let mut counts = WORDS.map(|(language, frequent)| {
        let hits = words
            .iter()
            .filter(|word| frequent.contains(&word.as_str()))
            .count();
        (hits, language)
    });
    counts.sort_unstable();
    match counts {
        [.., (second, _), (most, language)] if most >= 3 && most > second + second / 4 => language,
        _ => "",
    }
}

/// Languages that are alone, or nearly so, with their script.
fn by_script(text: &str) -> Option<&'static str> {
    let mut letters = 0;
    let mut counts = [
        (0, "ja"),
        (0, "ko"),
        (0, "zh"),
        (0, "he"),
        (0, "el"),
        (0, "th"),
    ];
    for c in text.chars().filter(|c| c.is_alphabetic()).take(5000) {
        letters += 1;
        let at = match c {
            '\u{3040}'..='\u{30ff}' => 0,
            '\u{ac00}'..='\u{d7af}' => 1,
            '\u{4e00}'..='\u{9fff}' => 2,
            '\u{590}'..='\u{5ff}' => 3,
            '\u{370}'..='\u{3ff}' => 4,
            '\u{e00}'..='\u{e7f}' => 5,
            _ => continue,
        };
        counts[at].0 += 1;
    }
    // Japanese is written with Chinese characters too, and never without its own.
    if counts[0].0 * 20 > letters && counts[0].0 > 0 {
        return Some("ja");
    }
    counts
        .into_iter()
        .find(|(count, _)| count * 2 > letters)
        .map(|(_, language)| language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_say_the_language_or_nothing_does() {
        assert_eq!(
            of("We have news for you: the plan renews, and your price is the same."),
            "en"
        );
        assert_eq!(
            of("Liebe Kundin, Ihr Vertrag ist bald zu Ende, und wir melden uns für Sie."),
            "de"
        );
        assert_eq!(
            of("Votre contrat est renouvelé, et nous sommes là pour vous."),
            "fr"
        );
        assert_eq!(of("こんにちは、契約の更新です"), "ja");
        assert_eq!(of("您的合同即将到期"), "zh");
        assert_eq!(of("OK 12"), "");
    }
}
