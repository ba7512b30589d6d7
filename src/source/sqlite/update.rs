//! `[after] update`: a statement that is run once for each delivery that was sent, on the database that the source reads.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, Statement, TransactionBehavior, types::Value};

use super::{word_at, words};
use crate::model::{Excerpt, Place, UPDATE_PARAMETERS};

/// How long a database that another program has locked is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is wrong with a statement, and where, as far as the database can tell; `None` where it is good, or the database can't be
/// opened now.
pub(crate) fn check(path: &Path, statement: &Excerpt) -> Option<(String, Place)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).ok()?;
    db.busy_timeout(PATIENCE).ok()?;
    db.pragma_query_value(None, "schema_version", |row| row.get::<_, i64>(0))
        .ok()?;
    let text = statement.text();
    let whole = || statement.place().clone();
    match db.prepare(text) {
        Ok(prepared) => problem(&prepared).map(|problem| (problem, whole())),
        Err(rusqlite::Error::MultipleStatement) => {
            Some(("`update` must be one statement".to_owned(), whole()))
        }
        Err(error) => {
            let place = match &error {
                rusqlite::Error::SqlInputError { offset, sql, .. } if sql.len() == text.len() => {
                    let start = usize::try_from(*offset).ok().filter(|at| *at < text.len());
                    start.map(|at| statement.place_of(at..at + word_at(text, at)))
                }
                _ => None,
            };
            let message = format!("`update`: {}", words(&error));
            Some((message, place.unwrap_or_else(whole)))
        }
    }
}

fn problem(statement: &Statement<'_>) -> Option<String> {
    if statement.readonly() || statement.column_count() > 0 {
        return Some("`update` must be an UPDATE, INSERT or DELETE: it changes nothing".to_owned());
    }
    (1..=statement.parameter_count()).find_map(|at| {
        let known = |name: &str| {
            let name = name.strip_prefix(':');
            name.is_some_and(|name| UPDATE_PARAMETERS.contains(&name))
        };
        let names = UPDATE_PARAMETERS.map(|name| format!(":{name}")).join(", ");
        match statement.parameter_name(at) {
            Some(name) if known(name) => None,
            Some(name) => Some(format!(
                "`update`: there is no parameter {name}, only {names}"
            )),
            None => Some(format!("`update`: parameters have names: {names}")),
        }
    })
}

/// The values of the parameters of one delivery, in the order of [`UPDATE_PARAMETERS`].
pub(crate) struct Parameters {
    pub(crate) key: String,
    pub(crate) address: String,
    pub(crate) at: String,
    pub(crate) run: i64,
    pub(crate) campaign: String,
    pub(crate) occurrence: String,
    pub(crate) delivery: String,
}

impl Parameters {
    fn value(&self, name: &str) -> Value {
        match name {
            ":key" => self.key.clone().into(),
            ":address" => self.address.clone().into(),
            ":at" => self.at.clone().into(),
            ":run" => self.run.into(),
            ":campaign" => self.campaign.clone().into(),
            ":occurrence" => self.occurrence.clone().into(),
            ":delivery" => self.delivery.clone().into(),
            _ => Value::Null,
        }
    }
}

/// Runs the statement for each of `rows` in one transaction, and says what came of each. `Err`: the database can't be changed now,
/// and nothing was.
pub(crate) fn apply(
    path: &Path,
    statement: &str,
    rows: &[Parameters],
) -> Result<Vec<Result<(), String>>, String> {
    let fail = |error: rusqlite::Error| words(&error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags).map_err(fail)?;
    db.busy_timeout(PATIENCE).map_err(fail)?;
    let transaction = db
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(fail)?;
    let mut outcomes = Vec::with_capacity(rows.len());
    {
        let mut prepared = transaction.prepare(statement).map_err(fail)?;
        if let Some(problem) = problem(&prepared) {
            return Err(problem);
        }
        let names: Vec<String> = (1..=prepared.parameter_count())
            .map(|at| prepared.parameter_name(at).unwrap_or_default().to_owned())
            .collect();
        for row in rows {
            let values = names.iter().map(|name| row.value(name));
            let done = prepared.execute(rusqlite::params_from_iter(values));
            // A row that breaks a rule undoes itself only; what undoes the transaction is everybody's.
            match done {
                Ok(_) => outcomes.push(Ok(())),
                Err(error) if transaction.is_autocommit() => return Err(words(&error)),
                Err(error) => outcomes.push(Err(words(&error))),
            }
        }
    }
    transaction.commit().map_err(fail)?;
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str) -> Parameters {
        Parameters {
            key: key.to_owned(),
            address: format!("{key}@example.org"),
            at: "2026-12-01T09:00:00Z".to_owned(),
            run: 3,
            campaign: "a".to_owned(),
            occurrence: "b".to_owned(),
            delivery: format!("3-{key}"),
        }
    }

    fn database() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let db = Connection::open(&path).unwrap();
        db.execute_batch(
            "CREATE TABLE tickets (id INTEGER PRIMARY KEY, status TEXT NOT NULL, note TEXT UNIQUE);
             INSERT INTO tickets VALUES (1, 'open', NULL), (2, 'open', NULL), (3, 'open', 'taken');",
        )
        .unwrap();
        (folder, path)
    }

    #[test]
    fn each_row_is_changed_or_says_why_not() {
        let (_folder, path) = database();
        let sql = "UPDATE tickets SET status = 'closed', note = CASE WHEN :key = '2' THEN 'taken' ELSE :delivery END WHERE id = :key";
        let outcomes = apply(&path, sql, &[row("1"), row("2"), row("9")]).unwrap();
        assert_eq!(outcomes[0], Ok(()));
        assert!(
            outcomes[1].as_ref().unwrap_err().contains("UNIQUE"),
            "{outcomes:?}"
        );
        assert_eq!(outcomes[2], Ok(()), "a row that is gone needs no change");
        let closed: Vec<i64> = Connection::open(&path)
            .unwrap()
            .prepare("SELECT id FROM tickets WHERE status = 'closed' AND note = '3-1'")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(closed, [1]);
    }

    #[test]
    fn a_database_that_can_not_be_changed_says_so() {
        let (_folder, path) = database();
        let sql = "UPDATE tickets SET status = 'closed' WHERE id = :key";
        assert!(apply(&path.with_extension("no"), sql, &[row("1")]).is_err());
        assert!(!path.with_extension("no").exists());
        assert!(apply(&path, "UPDATE nothing SET a = 1", &[row("1")]).is_err());
        assert!(apply(&path, "SELECT 1", &[row("1")]).is_err());
    }

    #[test]
    fn mistakes_are_found_by_preparing_it() {
        let (_folder, path) = database();
        let check = |sql: &str| {
            let file = crate::model::SourceFile::new("a.sql", sql);
            check(&path, &Excerpt::whole(&file))
                .map(|(message, place)| format!("{place}: {message}"))
        };
        assert_eq!(
            check("UPDATE tickets SET status = 'x' WHERE id = :key"),
            None
        );
        for (sql, expected) in [
            (
                "UPDATE tickets SET sttus = 'x'",
                "`update`: no such column: sttus",
            ),
            (
                "UPDATE tickets SET status = :ky",
                "there is no parameter :ky, only :key,",
            ),
            ("UPDATE tickets SET status = ?", "parameters have names"),
            ("SELECT * FROM tickets", "it changes nothing"),
            ("DELETE FROM tickets; DELETE FROM tickets", "one statement"),
            (
                "UPDAT tickets",
                "a.sql:1:1: `update`: near \"UPDAT\": syntax error",
            ),
        ] {
            let said = check(sql).unwrap();
            assert!(said.contains(expected), "{sql}: {said}");
        }
    }
}
