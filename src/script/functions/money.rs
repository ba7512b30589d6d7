//! Numbers and money. All decimals are exact.

use rhai::Dynamic;
use rust_decimal::{Decimal, RoundingStrategy, prelude::ToPrimitive};

use super::{
    Function,
    call::{Call, Failure, Number},
    function,
};
use crate::script::{
    operators::{Outcome, compare},
    value::{Kind, text},
};

pub(super) const FUNCTIONS: &[Function] = &[
    function!("money", "money(amount, currency[, locale])", (2, 3),
        "An amount as a reader expects it, rounded to the currency's digits; locales such as \"en\" (default), \"de\", \"fr\", \"de-CH\".",
        "money(r.balance, \"EUR\")" => "€1,234.50", money),
    function!("money", "format_number(number, digits[, locale])", (2, 3),
    "A number with so many decimals and separators, as a reader of the locale expects it.",
    "format_number(r.balance, 1, \"de\")" => "1.234,5", |call| {
        let (number, digits) = (call.number(0)?.decimal(), call.size(1, 28)?);
        let style = style(call, 2)?;
        Ok(style.number(number, digits as u32).into())
    }),
    function!("money", "decimal(text | number)", (1, 1), "An exact decimal of a text or an integer.",
        "decimal(\"0.1\") + decimal(\"0.2\") == 0.3" => "true", |call| to_decimal(call)),
    function!("money", "to_decimal(text | number)", (1, 1), "The same as decimal(…).",
        "to_decimal(\"12.50\") * 2" => "25.00", |call| to_decimal(call)),
    function!("money", "to_integer(text | number)", (1, 1), "An integer of a text, or of a decimal without decimals.",
        "to_integer(\"42\") + 1" => "43", to_integer),
    function!("money", "round(number[, digits])", (1, 2),
    "Rounded half away from zero, to so many decimals or to an integer.",
    "round(2.345, 2)" => "2.35", |call| {
        rounded(call, RoundingStrategy::MidpointAwayFromZero)
    }),
    function!("money", "floor(number)", (1, 1), "The largest integer that is not more.",
        "floor(-2.5)" => "-3", |call| rounded(call, RoundingStrategy::ToNegativeInfinity)),
    function!("money", "ceil(number)", (1, 1), "The smallest integer that is not less.",
        "ceil(2.1)" => "3", |call| rounded(call, RoundingStrategy::ToPositiveInfinity)),
    function!("money", "abs(number)", (1, 1), "The number without its sign.",
    "abs(-12.50)" => "12.50", |call| match call.number(0)? {
        Number::Integer(value) => value.checked_abs()
            .map_or_else(|| call.fail("the number is too large"), |value| Ok(value.into())),
        Number::Decimal(value) => Ok(Dynamic::from_decimal(value.abs())),
    }),
    function!("money", "min(a, b | list)", (1, 2), "The smallest of two values or of a list.",
        "min(r.balance, 1000)" => "1000", |call| extreme(call, "<")),
    function!("money", "max(a, b | list)", (1, 2), "The largest of two values or of a list.",
        "max([3, 7, 5])" => "7", |call| extreme(call, ">")),
    function!("money", "sum(list)", (1, 1), "The sum of a list of numbers; 0 of the empty list.",
        "sum([1, 2.5, 3])" => "6.5", sum),
];

fn to_decimal(call: &Call<'_, '_>) -> Outcome {
    match Kind::of(call.value(0)) {
        Kind::Text => {
            let text = call.text(0)?;
            match Decimal::from_str_exact(text.trim()) {
                Ok(value) => Ok(Dynamic::from_decimal(value)),
                Err(_) => call.fail(format!("{:?} is not a number", text.as_str())),
            }
        }
        _ => Ok(Dynamic::from_decimal(number_or_text(call)?.decimal())),
    }
}

fn to_integer(call: &mut Call<'_, '_>) -> Outcome {
    match Kind::of(call.value(0)) {
        Kind::Text => {
            let text = call.text(0)?;
            match text.trim().parse::<i64>() {
                Ok(value) => Ok(value.into()),
                Err(_) => call.fail(format!("{:?} is not an integer", text.as_str())),
            }
        }
        _ => match number_or_text(call)? {
            Number::Integer(value) => Ok(value.into()),
            Number::Decimal(value) if value.fract().is_zero() => match value.to_i64() {
                Some(value) => Ok(value.into()),
                None => call.fail("the number is too large"),
            },
            Number::Decimal(value) => call.fail(format!(
                "{value} is not an integer: use round(…), floor(…) or ceil(…)"
            )),
        },
    }
}

fn number_or_text(call: &Call<'_, '_>) -> Result<Number, Failure> {
    match Kind::of(call.value(0)) {
        Kind::Integer(_) | Kind::Decimal(_) => call.number(0),
        _ => call.wrong(0, "a text or a number"),
    }
}

fn rounded(call: &mut Call<'_, '_>, strategy: RoundingStrategy) -> Outcome {
    let number = call.number(0)?;
    if call.count() == 2 {
        let digits = call.size(1, 28)? as u32;
        let mut value = number.decimal().round_dp_with_strategy(digits, strategy);
        value.rescale(digits);
        return Ok(Dynamic::from_decimal(value));
    }
    match number {
        Number::Integer(value) => Ok(value.into()),
        Number::Decimal(value) => match value.round_dp_with_strategy(0, strategy).to_i64() {
            Some(value) => Ok(value.into()),
            None => call.fail("the number is too large"),
        },
    }
}

fn extreme(call: &mut Call<'_, '_>, better: &'static str) -> Outcome {
    let values = match call.count() {
        1 => call.list(0)?,
        _ => vec![call.value(0).clone(), call.value(1).clone()],
    };
    let mut values = values.into_iter();
    let Some(mut best) = values.next() else {
        return call.fail("the list is empty");
    };
    // A single value is compared with itself, so that an empty one fails like any other.
    compare(better, &best, &best)?;
    for value in values {
        let order = compare(better, &value, &best)?;
        if (better == "<" && order.is_lt()) || (better == ">" && order.is_gt()) {
            best = value;
        }
    }
    Ok(best)
}

fn sum(call: &mut Call<'_, '_>) -> Outcome {
    let mut total = Dynamic::from_int(0);
    for value in call.list(0)? {
        total = match (Kind::of(&total), Kind::of(&value)) {
            (Kind::Integer(total), Kind::Integer(value)) => match total.checked_add(value) {
                Some(total) => total.into(),
                None => return call.fail("the sum is too large"),
            },
            (Kind::Integer(_) | Kind::Decimal(_), Kind::Integer(_) | Kind::Decimal(_)) => {
                let decimal = |value: &Dynamic| match Kind::of(value) {
                    Kind::Integer(value) => value.into(),
                    Kind::Decimal(value) => value,
                    _ => Decimal::ZERO,
                };
                match decimal(&total).checked_add(decimal(&value)) {
                    Some(total) => Dynamic::from_decimal(total),
                    None => return call.fail("the sum is too large"),
                }
            }
            _ => {
                return call.fail(format!(
                    "the list has {} in it, not only numbers",
                    crate::script::value::a_type(&value)
                ));
            }
        };
    }
    Ok(total)
}

/// How the readers of a locale write numbers.
#[derive(Clone, Copy)]
struct Style {
    decimal: char,
    group: char,
    /// Whether the currency stands behind the amount.
    behind: bool,
    /// Whether a space parts them even where it stands before.
    spaced: bool,
}

const NO_BREAK: char = '\u{a0}';
const NARROW_NO_BREAK: char = '\u{202f}';

impl Style {
    const ENGLISH: Self = Self {
        decimal: '.',
        group: ',',
        behind: false,
        spaced: false,
    };

    fn of(locale: &str) -> Option<Self> {
        let locale = locale.replace('_', "-").to_ascii_lowercase();
        let comma_point = Self {
            decimal: ',',
            group: '.',
            behind: true,
            spaced: true,
        };
        let comma_space = Self {
            group: NO_BREAK,
            ..comma_point
        };
        Some(match locale.as_str() {
            "de-ch" | "de-li" | "it-ch" => Self {
                decimal: '.',
                group: '’',
                behind: false,
                spaced: true,
            },
            "de-at" => Self {
                group: NO_BREAK,
                behind: false,
                ..comma_point
            },
            "es-mx" => Self::ENGLISH,
            _ => match locale.split('-').next().unwrap_or_default() {
                "en" | "ja" | "zh" | "ko" | "he" | "th" => Self::ENGLISH,
                "de" | "es" | "it" | "da" | "el" | "ro" | "hr" | "sl" | "sr" | "vi" => comma_point,
                "pt" | "tr" | "nl" | "id" => Self {
                    behind: false,
                    ..comma_point
                },
                "fr" => Self {
                    group: NARROW_NO_BREAK,
                    ..comma_point
                },
                "sv" | "nb" | "no" | "nn" | "fi" | "pl" | "cs" | "sk" | "hu" | "bg" | "uk"
                | "ru" | "et" | "lt" | "lv" => comma_space,
                _ => return None,
            },
        })
    }

    fn number(self, value: Decimal, digits: u32) -> String {
        let mut value =
            value.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero);
        value.rescale(digits);
        let text = value.abs().to_string();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let mut shown = String::new();
        if value.is_sign_negative() && !value.is_zero() {
            shown.push('-');
        }
        for (at, digit) in whole.char_indices() {
            if at > 0 && (whole.len() - at).is_multiple_of(3) {
                shown.push(self.group);
            }
            shown.push(digit);
        }
        if !fraction.is_empty() {
            shown.push(self.decimal);
            shown.push_str(fraction);
        }
        shown
    }
}

fn style(call: &Call<'_, '_>, at: usize) -> Result<Style, Failure> {
    if call.count() <= at {
        return Ok(Style::ENGLISH);
    }
    let locale = call.text(at)?;
    match Style::of(&locale) {
        Some(style) => Ok(style),
        None => call.fail(format!(
            "the locale {:?} is not known here: take one such as \"en\", \"de\", \"fr\", \"es\", \"it\", \"nl\", \"pt\" or \"pl\"",
            locale.as_str()
        )),
    }
}

fn money(call: &mut Call<'_, '_>) -> Outcome {
    let amount = call.number(0)?.decimal();
    let Some(currency) = text(call.value(1)) else {
        return call.wrong(1, "a currency such as \"EUR\"");
    };
    let style = style(call, 2)?;
    if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_uppercase()) {
        return call.fail(format!(
            "{currency:?} is not a currency: write its three letters, such as \"EUR\""
        ));
    }
    let digits = match currency.as_str() {
        "JPY" | "KRW" | "VND" | "CLP" | "ISK" | "PYG" | "UGX" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        _ => 2,
    };
    let symbol = match currency.as_str() {
        "EUR" => "€",
        "USD" => "$",
        "GBP" => "£",
        "JPY" => "¥",
        "INR" => "₹",
        "KRW" => "₩",
        "ILS" => "₪",
        "TRY" => "₺",
        "UAH" => "₴",
        code => code,
    };
    let number = style.number(amount, digits);
    let (sign, number) = number
        .strip_prefix('-')
        .map_or(("", number.as_str()), |number| ("-", number));
    // Letters need a space between them and the amount wherever they stand.
    let space = if style.spaced || symbol == currency {
        NO_BREAK.to_string()
    } else {
        String::new()
    };
    Ok(if style.behind {
        format!("{sign}{number}{space}{symbol}")
    } else {
        format!("{sign}{symbol}{space}{number}")
    }
    .into())
}
