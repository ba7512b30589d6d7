//! Databases as they are, and queries as they should not be.

use futures::StreamExt;

use super::*;
use crate::{
    model::{Document, Roles, SourceFile},
    source::FieldFormat,
};

struct Folder {
    temporary: tempfile::TempDir,
    fields: Vec<(String, FieldFormat)>,
}

impl Folder {
    fn with(sql: &str) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let db = Connection::open(temporary.path().join("a.db")).unwrap();
        db.execute_batch(sql).unwrap();
        Self {
            temporary,
            fields: Vec::new(),
        }
    }

    fn field(mut self, name: &str, kind: FieldType) -> Self {
        let format = FieldFormat { kind, format: None };
        self.fields.push((name.to_owned(), format));
        self
    }

    fn source(&self, query: &str) -> Arc<dyn Source> {
        let toml = format!("path = \"a.db\"\nquery = \"\"\"\n{query}\"\"\"\n");
        let file = SourceFile::new("campanile.toml", toml);
        let (config, _) = Document::new(&file).read(|section| {
            let config = (KIND.read)(&section);
            section.finish();
            config
        });
        config.unwrap().open(&SourceContext {
            name: "people".parse().unwrap(),
            workspace: self.temporary.path().to_owned(),
            roles: Roles {
                key: "id".to_owned(),
                ..Roles::default()
            },
            fields: self.fields.clone(),
        })
    }

    /// What is wrong, with its place.
    async fn fault(&self, query: &str) -> String {
        let error = self.source(query).describe().await.unwrap_err();
        match error.place {
            Some(place) => format!("{place}: {}", error.message),
            None => error.message,
        }
    }

    async fn rows(&self, query: &str) -> Vec<String> {
        let mut shown = Vec::new();
        let mut stream = self.source(query).read().await.unwrap();
        while let Some(batch) = stream.next().await {
            match batch {
                Err(error) => shown.push(error.message),
                Ok(batch) => shown.extend(batch.iter().map(|row| match row {
                    Err(invalid) => invalid.to_string(),
                    Ok(row) => {
                        let values = row.values.iter();
                        let values: Vec<_> = values
                            .map(|value| format!("{} {value}", value.type_name()))
                            .collect();
                        format!("{}: {}", row.key, values.join(", "))
                    }
                })),
            }
        }
        shown
    }
}

const PEOPLE: &str = "CREATE TABLE people (id INTEGER, name TEXT, owes REAL, born TEXT, photo BLOB);
    INSERT INTO people VALUES (1, 'Ada', 12.5, '1815-12-10', NULL), (2, '', 0.1, NULL, x'00'), (NULL, 'Bob', 1e300, 'long ago', NULL);";

#[tokio::test]
async fn values_have_the_types_of_the_database_or_those_declared() {
    let folder = Folder::with(PEOPLE);
    assert_eq!(
        folder
            .rows("SELECT id, name, owes FROM people WHERE id > 0")
            .await,
        [
            "1: integer 1, string Ada, decimal 12.5",
            "2: integer 2, string , decimal 0.1"
        ]
    );
    let folder = folder
        .field("born", FieldType::Date)
        .field("id", FieldType::String);
    assert_eq!(
        folder
            .rows("-- all of them\n/* really */ select id, born from people")
            .await,
        [
            "1: string 1, date 1815-12-10",
            "2: string 2, empty ",
            "line 3, column \"born\": \"long ago\" is not a date such as 2026-12-01; give the column a format where it is \
             written otherwise: { type = \"date\", format = \"%d.%m.%Y\" }",
        ]
    );
    let rows = Folder::with(PEOPLE).rows("SELECT * FROM people").await;
    assert_eq!(
        rows[0],
        "1: integer 1, string Ada, decimal 12.5, string 1815-12-10, empty "
    );
    assert!(
        rows[1].starts_with("line 2, column \"photo\": a blob is no value"),
        "{rows:?}"
    );
    assert!(
        rows[2].contains("column \"owes\"") && rows[2].contains("more digits"),
        "{rows:?}"
    );
}

#[tokio::test]
async fn only_one_query_that_changes_nothing_is_taken() {
    let folder = Folder::with(PEOPLE);
    for (query, expected) in [
        ("", "2:9: the query must be one SELECT"),
        ("DELETE FROM people", "the query must be one SELECT"),
        ("PRAGMA table_info(people)", "the query must be one SELECT"),
        ("ATTACH 'b.db' AS b", "the query must be one SELECT"),
        ("EXPLAIN SELECT 1", "the query must be one SELECT"),
        (
            "WITH x AS (SELECT 1) DELETE FROM people",
            "which changes nothing",
        ),
        (
            "SELECT 1 AS id; DELETE FROM people",
            "must be one statement",
        ),
        ("SELECT id FROM people WHERE name = :name", "has parameters"),
        (
            "SELECT id,\n  nme FROM people",
            "4:3: the query: no such column: nme",
        ),
        ("SELECT id FROM poeple", "no such table: poeple"),
        (
            "SELECT name FROM people",
            "there is no column \"id\", which key = \"id\" names",
        ),
        (
            "SELECT id, id FROM people",
            "two columns have the name \"id\"",
        ),
    ] {
        let said = folder.fault(query).await;
        assert!(said.contains(expected), "{query}: {said}");
        assert!(said.starts_with("campanile.toml:"), "{said}");
    }
    let path = folder.temporary.path().join("a.db");
    let count =
        Connection::open(path)
            .unwrap()
            .query_row("SELECT count(*) FROM people", [], |row| {
                row.get::<_, i64>(0)
            });
    assert_eq!(count, Ok(3));
}

#[tokio::test]
async fn what_is_no_database_is_said() {
    let folder = Folder::with("CREATE TABLE a (id)");
    let path = folder.temporary.path().join("a.db");
    std::fs::write(
        &path,
        "not a database, but long enough to be looked at".repeat(100),
    )
    .unwrap();
    let said = folder.fault("SELECT id FROM a").await;
    assert_eq!(said, "a.db: file is not a database");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(
        folder.fault("SELECT id FROM a").await,
        "a.db: there is no such file"
    );
    assert!(!path.exists(), "reading makes no file");
}

#[tokio::test]
async fn a_locked_database_is_waited_for_a_while() {
    let folder = Folder::with(PEOPLE);
    let db = Connection::open(folder.temporary.path().join("a.db")).unwrap();
    db.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let said = folder.fault("SELECT id FROM people").await;
    assert_eq!(
        said,
        "a.db: database is locked (another program has had it for 5 seconds)"
    );
    db.execute_batch("COMMIT").unwrap();
    assert_eq!(
        folder
            .rows("SELECT id FROM people WHERE id = 1")
            .await
            .len(),
        1
    );
}

#[tokio::test]
async fn many_rows_are_streamed_while_others_write() {
    let folder = Folder::with(
        "PRAGMA journal_mode = WAL; CREATE TABLE a (id INTEGER);
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) INSERT INTO a SELECT i FROM n;",
    );
    let mut stream = folder.source("SELECT id FROM a").read().await.unwrap();
    let mut rows = stream.next().await.unwrap().unwrap().len();
    let db = Connection::open(folder.temporary.path().join("a.db")).unwrap();
    db.execute_batch("INSERT INTO a VALUES (0); DELETE FROM a WHERE id > 40000")
        .unwrap();
    while let Some(batch) = stream.next().await {
        rows += batch.unwrap().len();
    }
    assert_eq!(rows, 50_000, "one moment is read");
}
