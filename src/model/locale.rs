//! Languages, as recipients have them and translations are named.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::section::from_toml_string;

/// A language, perhaps with a script and a region (BCP 47): `de`, `de-AT`, `zh-Hant-TW`. Written in any case, with `-` or `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Locale(String);

impl Locale {
    /// As it is written in a header: `de-AT`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The next wider one: `de` for `de-AT`.
    pub fn parent(&self) -> Option<Self> {
        let (parent, _) = self.0.rsplit_once('-')?;
        Some(Self(parent.to_owned()))
    }

    /// The locale itself, then wider and wider ones.
    pub fn and_wider(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self.clone()), Self::parent)
    }

    /// The place in `locales` of the one that suits best a recipient whose language is `text`: the same, or else the next wider
    /// one that is there.
    pub fn closest<'a>(
        text: &str,
        locales: &(impl Iterator<Item = &'a Self> + Clone),
    ) -> Option<usize> {
        // As systems write it: `de_AT.UTF-8`.
        let text = text.split(['.', '@']).next().unwrap_or_default();
        let wanted: Self = text.parse().ok()?;
        wanted
            .and_wider()
            .find_map(|wider| locales.clone().position(|locale| *locale == wider))
    }

    /// Whether its language is one of the two letters that are widely known (ISO 639-1).
    pub fn is_well_known(&self) -> bool {
        let language = self.0.split('-').next().unwrap_or_default();
        language.len() == 2 && LANGUAGES.split(' ').any(|known| known == language)
    }
}

/// ISO 639-1.
const LANGUAGES: &str = "aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee \
el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg \
ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv \
ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl \
tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu";

impl FromStr for Locale {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a language such as \"de\" or \"de-AT\"";
        let mut parts = text.trim().split(['-', '_']);
        let alphabetic = |part: &str| part.chars().all(|c| c.is_ascii_alphabetic());
        let language = parts.next().unwrap_or_default();
        if !matches!(language.len(), 2 | 3) || !alphabetic(language) {
            return Err(EXPECTED);
        }
        let mut locale = language.to_ascii_lowercase();
        let mut rest = parts.peekable();
        if let Some(script) = rest.next_if(|part| part.len() == 4 && alphabetic(part)) {
            let (first, others) = script.split_at(1);
            locale.push('-');
            locale.push_str(&first.to_ascii_uppercase());
            locale.push_str(&others.to_ascii_lowercase());
        }
        let region = |part: &&str| {
            (part.len() == 2 && alphabetic(part))
                || (part.len() == 3 && part.chars().all(|c| c.is_ascii_digit()))
        };
        if let Some(region) = rest.next_if(region) {
            locale.push('-');
            locale.push_str(&region.to_ascii_uppercase());
        }
        match rest.next() {
            None => Ok(Self(locale)),
            Some(_) => Err(EXPECTED),
        }
    }
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

from_toml_string!(Locale);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn locales_are_read_in_any_form_and_written_in_one() {
        for (text, written) in [
            ("de", "de"),
            (" DE ", "de"),
            ("de_at", "de-AT"),
            ("zh-hant-tw", "zh-Hant-TW"),
            ("sr-LATN", "sr-Latn"),
            ("es-419", "es-419"),
            ("gsw", "gsw"),
        ] {
            assert_eq!(text.parse::<Locale>().unwrap().as_str(), written);
        }
        for text in [
            "",
            "d",
            "deutsch",
            "de-",
            "de--AT",
            "de-Austria",
            "12",
            "v2",
            "de.UTF-8",
        ] {
            assert!(text.parse::<Locale>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_locale_falls_back_to_wider_ones() {
        let locale: Locale = "zh-Hant-TW".parse().unwrap();
        let wider: Vec<_> = locale.and_wider().map(|l| l.to_string()).collect();
        assert_eq!(wider, ["zh-Hant-TW", "zh-Hant", "zh"]);
        assert!(locale.is_well_known());
        let known = ["de", "de-CH", "fr"].map(|text| text.parse().unwrap());
        let closest = |text| Locale::closest(text, &known.iter());
        assert_eq!(
            ["de_AT.UTF-8", "de_ch", "fr", "en", "zz-", ""].map(closest),
            [Some(0), Some(1), Some(2), None, None, None]
        );
        assert!(!"old".parse::<Locale>().unwrap().is_well_known());
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,20}|[a-z]{2}[-_][A-Za-z0-9]{0,6}") {
            if let Ok(locale) = text.parse::<Locale>() {
                prop_assert_eq!(locale.as_str().parse::<Locale>(), Ok(locale));
            }
        }
    }
}
