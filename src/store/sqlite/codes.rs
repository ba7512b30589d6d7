//! How values stand in the tables: small stable numbers, microseconds, names. The numbers are written in people's stores:
//! one that was given never changes its meaning.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use rusqlite::{
    ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef},
};
use serde::{Deserialize, de::IntoDeserializer};

use crate::model::{
    AddressHash, Channel, DeliveryId, EffectKind, OccurrenceName, RecipientHash, RunId, SkipReason,
    Status, SuppressionReason,
};

/// A value with a stable number.
pub(super) trait Coded: Copy + 'static {
    /// All values.
    const ALL: &'static [Self];
    /// What the number stands for, for errors.
    const WHAT: &'static str;
    /// The number.
    fn code(self) -> i64;
}

macro_rules! codes {
    ($($type:ident, $what:literal, $all:expr => { $($variant:ident = $code:literal,)* })*) => {$(
        impl Coded for $type {
            const ALL: &'static [Self] = $all;
            const WHAT: &'static str = $what;
            fn code(self) -> i64 {
                match self { $(Self::$variant => $code,)* }
            }
        }
    )*};
}

codes! {
    Status, "status", Status::ALL => {
        Queued = 1, Sending = 2, Deferred = 3, Sent = 4, Delivered = 5, Bounced = 6, Complained = 7,
        Failed = 8, InDoubt = 9, Skipped = 10, Expired = 11, Cancelled = 12,
    }
    SkipReason, "reason", SkipReason::ALL => {
        NoAddress = 1, InvalidAddress = 2, Unsubscribed = 3, Suppressed = 4, Cooldown = 5, FrequencyCap = 6,
        DuplicateAddress = 7, DuplicateKey = 8, Holdout = 9, Policy = 10, Safety = 11, Doubt = 12,
        ScriptError = 13, RenderError = 14, UnknownKey = 15, InvalidRow = 16,
    }
    SuppressionReason, "reason of a suppression", SuppressionReason::ALL => {
        Unsubscribed = 1, Bounced = 2, Complained = 3, Manual = 4,
    }
    EffectKind, "effect", &EffectKind::ALL => { Update = 1, Webhook = 2, }
    Channel, "channel", &Channel::ALL => { Email = 0, Sms = 1, Letter = 2, }
}

/// The numbers of several values, for `IN (…)`.
pub(super) fn list<T: Coded>(values: &[T]) -> String {
    let codes: Vec<_> = values
        .iter()
        .map(|value| value.code().to_string())
        .collect();
    codes.join(",")
}

/// A [`Coded`] value in a column.
pub(super) struct Code<T>(pub(super) T);

impl<T: Coded> ToSql for Code<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.code().into())
    }
}

impl<T: Coded> FromSql for Code<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let code = value.as_i64()?;
        T::ALL
            .iter()
            .copied()
            .find(|value| value.code() == code)
            .map(Self)
            .ok_or_else(|| unknown(T::WHAT, code))
    }
}

/// A moment in a column: microseconds since 1970.
pub(super) struct At(pub(super) DateTime<Utc>);

impl ToSql for At {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.timestamp_micros().into())
    }
}

impl FromSql for At {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let micros = value.as_i64()?;
        DateTime::from_timestamp_micros(micros)
            .map(Self)
            .ok_or_else(|| unknown("moment", micros))
    }
}

/// A name in a column.
pub(super) struct Text<T>(pub(super) T);

impl<T: FromStr<Err: fmt::Display>> FromSql for Text<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        text.parse()
            .map(Self)
            .map_err(|error| unreadable(format!("{text:?}: {error}")))
    }
}

/// The name of an occurrence in a column.
pub(super) struct Named(pub(super) OccurrenceName);

impl FromSql for Named {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text: serde::de::value::StrDeserializer<'_, serde::de::value::Error> =
            value.as_str()?.into_deserializer();
        OccurrenceName::deserialize(text)
            .map(Self)
            .map_err(|error| unreadable(error.to_string()))
    }
}

/// Identifiers and hashes in a column.
pub(super) struct Id<T>(pub(super) T);

impl ToSql for Id<DeliveryId> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.0.into())
    }
}

impl FromSql for Id<DeliveryId> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(|id| Self(DeliveryId(id)))
    }
}

impl ToSql for Id<RunId> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.0.into())
    }
}

impl FromSql for Id<RunId> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        u32::column_result(value).map(|id| Self(RunId(id)))
    }
}

macro_rules! hashes {
    ($($hash:ident),*) => {$(
        impl ToSql for Id<$hash> {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                self.0.0.to_sql().map(|_| ToSqlOutput::from(&self.0.0[..]))
            }
        }

        impl FromSql for Id<$hash> {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                <[u8; 16]>::column_result(value).map(|hash| Self($hash(hash)))
            }
        }
    )*};
}

hashes!(RecipientHash, AddressHash);

/// Where the deliveries of a run start and end: from the first number up to the second, which is not one of them.
pub(super) fn range(run: RunId) -> (i64, i64) {
    let first = DeliveryId::new(run, 0).0;
    (first, first.saturating_add(1 << 32))
}

fn unknown(what: &str, code: i64) -> FromSqlError {
    unreadable(format!(
        "{what} {code} is not known to this version of Campanile"
    ))
}

fn unreadable(words: String) -> FromSqlError {
    FromSqlError::Other(words.into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn codes_of<T: Coded + fmt::Display>() -> String {
        let codes: BTreeSet<_> = T::ALL.iter().map(|value| value.code()).collect();
        assert_eq!(
            codes.len(),
            T::ALL.len(),
            "two of {} share a number",
            T::WHAT
        );
        let texts: Vec<_> = T::ALL
            .iter()
            .map(|value| format!("{value}={}", value.code()))
            .collect();
        texts.join(" ")
    }

    #[test]
    fn numbers_never_change() {
        assert_eq!(
            codes_of::<Status>(),
            "queued=1 sending=2 deferred=3 sent=4 delivered=5 bounced=6 complained=7 failed=8 in_doubt=9 skipped=10 \
             expired=11 cancelled=12"
        );
        assert_eq!(
            codes_of::<SkipReason>(),
            "no_address=1 invalid_address=2 unsubscribed=3 suppressed=4 cooldown=5 frequency_cap=6 duplicate_address=7 \
             duplicate_key=8 holdout=9 policy=10 safety=11 doubt=12 script_error=13 render_error=14 unknown_key=15 \
             invalid_row=16"
        );
        assert_eq!(
            codes_of::<SuppressionReason>(),
            "unsubscribed=1 bounced=2 complained=3 manual=4"
        );
        assert_eq!(codes_of::<Channel>(), "email=0 sms=1 letter=2");
        for channel in Channel::ALL {
            assert_eq!(channel.code(), i64::from(channel.index()));
        }
    }

    #[test]
    fn a_number_of_a_later_version_is_named() {
        let Err(error) = Code::<Status>::column_result(ValueRef::Integer(77)) else {
            panic!("77 is no status");
        };
        assert_eq!(
            error.to_string(),
            "status 77 is not known to this version of Campanile"
        );
    }
}
