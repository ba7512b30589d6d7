//! How many bytes something may have: `"10MB"`.

use std::{fmt, str::FromStr};

use super::section::from_toml_string;

/// A number of bytes, written with a unit: `"500KB"`, `"10MB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

impl Size {
    /// So many million bytes.
    pub const fn megabytes(number: u64) -> Self {
        Self(number * 1_000_000)
    }

    /// The bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a size such as \"500KB\" or \"10MB\"";
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
        let factor = match text[digits.len()..].trim().to_ascii_uppercase().as_str() {
            "KB" => 1_000,
            "MB" => 1_000_000,
            _ => return Err(EXPECTED),
        };
        let number: u64 = digits.parse().map_err(|_| EXPECTED)?;
        match number.checked_mul(factor) {
            Some(bytes) if (1..=100_000_000).contains(&bytes) => Ok(Self(bytes)),
            _ => Err("expected a size from 1KB to 100MB"),
        }
    }
}

/// As it may be written.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes % 1_000_000 == 0 => write!(f, "{}MB", bytes / 1_000_000),
            bytes => write!(f, "{}KB", bytes.div_ceil(1_000)),
        }
    }
}

from_toml_string!(Size);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_shown() {
        for text in ["1KB", "500KB", "10MB", "100MB"] {
            assert_eq!(text.parse::<Size>().unwrap().to_string(), text);
        }
        assert_eq!("10 mb".parse::<Size>().unwrap(), Size::megabytes(10));
        for text in ["", "10", "MB", "0MB", "-1MB", "1.5MB", "101MB", "10GB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
