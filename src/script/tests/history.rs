//! What was sent before.

use super::*;

/// Everybody had three messages, the last one yesterday.
pub(super) struct Yesterday;

impl History for Yesterday {
    fn last_sent(&self, recipient: &Recipient) -> Result<Option<DateTime<Utc>>, String> {
        assert_eq!(recipient.key, "A1");
        Ok(Some("2026-11-30T08:00:00Z".parse().unwrap()))
    }

    fn sent_count(&self, recipient: &Recipient, since: DateTime<Utc>) -> Result<u64, String> {
        assert_eq!(recipient.values.len(), recipient.schema.columns.len());
        Ok(if since.to_rfc3339().starts_with("2026-11-01") {
            2
        } else {
            3
        })
    }
}

struct Broken;

impl History for Broken {
    fn last_sent(&self, _: &Recipient) -> Result<Option<DateTime<Utc>>, String> {
        Err("the store is locked".to_owned())
    }

    fn sent_count(&self, _: &Recipient, _: DateTime<Utc>) -> Result<u64, String> {
        Err("the store is locked".to_owned())
    }
}

#[test]
fn history_is_looked_up_where_a_script_asks() {
    let mut bench = Bench::new(&[]);
    assert!(bench.matches("last_sent(r) == ()").unwrap());
    assert!(bench.matches("sent_count(r, \"30d\") == 0").unwrap());
    bench.history = Arc::new(Yesterday);
    assert_eq!(
        bench.value("last_sent(r)").unwrap().to_string(),
        "2026-11-30T09:00:00+01:00"
    );
    assert_eq!(
        bench.value("days_since(last_sent(r))").unwrap().to_string(),
        "1"
    );
    assert!(bench.matches("sent_count(r, \"30d\") == 2").unwrap());
    let error = bench
        .matches("sent_count(r, \"30 days\") == 2")
        .unwrap_err();
    assert!(
        error.message.contains("expected a number and a unit"),
        "{error}"
    );
    bench.history = Arc::new(Broken);
    let error = bench.matches("last_sent(r) == ()").unwrap_err();
    assert_eq!(error.message, "`last_sent`: the store is locked");
}
