//! JSON Lines as programs write them, and as nobody should.

use std::fs;

use futures::StreamExt;
use proptest::prelude::*;

use super::*;
use crate::{model::Roles, source::FieldFormat};

struct Folder {
    temporary: tempfile::TempDir,
    fields: Vec<(String, FieldFormat)>,
    email: Option<String>,
}

impl Folder {
    fn with(text: impl AsRef<[u8]>) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        fs::write(temporary.path().join("a.jsonl"), text).unwrap();
        Self {
            temporary,
            fields: Vec::new(),
            email: None,
        }
    }

    fn field(mut self, name: &str, kind: FieldType) -> Self {
        let format = FieldFormat { kind, format: None };
        self.fields.push((name.to_owned(), format));
        self
    }

    fn source(&self) -> JsonlSource {
        JsonlSource {
            settings: JsonlSettings {
                path: "a.jsonl".into(),
            },
            context: SourceContext {
                name: "people".parse().unwrap(),
                workspace: self.temporary.path().to_owned(),
                roles: Roles {
                    key: "id".to_owned(),
                    email: self.email.clone(),
                    ..Roles::default()
                },
                fields: self.fields.clone(),
            },
        }
    }

    async fn columns(&self) -> String {
        match self.source().describe().await {
            Ok(schema) => {
                let columns = schema.columns.iter();
                let shown: Vec<_> = columns
                    .map(|(name, kind)| format!("{name}:{kind}"))
                    .collect();
                shown.join(" ")
            }
            Err(error) => error.message,
        }
    }

    /// Each row as its key and values, or what is wrong with it.
    async fn rows(&self) -> Vec<String> {
        let mut shown = Vec::new();
        let mut stream = match self.source().read().await {
            Ok(stream) => stream,
            Err(error) => return vec![error.message],
        };
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

#[tokio::test]
async fn columns_are_what_is_declared_and_what_the_first_lines_have() {
    let folder = Folder::with(
        "{\"id\": 1, \"name\": \"Ada\"}\n\n{\"id\": 2, \"address\": {\"city\": \"London\"}}\n",
    )
    .field("age", FieldType::Integer)
    .field("name", FieldType::String);
    assert_eq!(
        folder.columns().await,
        "id:any name:string address:any age:integer"
    );
    assert_eq!(
        folder.rows().await,
        [
            "1: integer 1, string Ada, empty , empty ",
            "2: integer 2, string , map {\"city\":\"London\"}, empty ",
        ]
    );
}

#[tokio::test]
async fn a_key_that_comes_late_is_passed_over_unless_it_is_declared() {
    let mut text = "{\"id\":\"a\"}\n".repeat(LOOK_LINES);
    text += "{\"id\":\"b\",\"late\":\"x\"}\n";
    let folder = Folder::with(&text);
    assert_eq!(folder.columns().await, "id:any");
    assert_eq!(folder.rows().await.last().unwrap(), "b: string b");
    let folder = Folder::with(&text).field("late", FieldType::String);
    assert_eq!(folder.rows().await.last().unwrap(), "b: string b, string x");
}

#[tokio::test]
async fn a_bad_line_is_one_invalid_row_with_its_place() {
    let text = "\u{feff}{\"id\":1,\"n\":1}\r\n{\"id\":2,\"n\":\"é\" oops}\r\n{\"id\":3,\"n\":\"many\"}\n{\"n\":1}\n\
                {\"id\":[1],\"n\":1}\n{\"id\":5,\"id\":6,\"n\":1}\n{\"id\":7,\"n\":2}";
    let folder = Folder::with(text).field("n", FieldType::Integer);
    assert_eq!(
        folder.rows().await,
        [
            "1: integer 1, integer 1",
            "line 2: character 17: `,` or `}` must stand here",
            "line 3, column \"n\": \"many\" is not an integer: digits only, such as 1200",
            "line 4, column \"id\": the key is empty",
            "line 5, column \"id\": a key is a text or a number, not a list",
            "line 6: character 9: the object has this key twice",
            "7: integer 7, integer 2",
        ]
    );
    let mut bytes = b"{\"id\":1}\n{\"id\":\"a".to_vec();
    bytes.extend_from_slice(b"\xff\"}\n");
    assert_eq!(
        Folder::with(bytes).rows().await[1],
        "line 2: character 9: bytes that are not valid UTF-8"
    );
}

#[tokio::test]
async fn what_is_no_json_lines_is_said_at_once() {
    for text in ["[\n{\"id\":1}\n]", "{\n  \"id\": 1\n}\n", " [{\"id\":1}]"] {
        let said = Folder::with(text).columns().await;
        assert!(said.contains("one object a line"), "{text}: {said}");
    }
    let mut folder = Folder::with("{\"id\":1,\"email\":\"a@b.example\"}");
    folder.email = Some("emial".to_owned());
    let said = folder.columns().await;
    assert!(said.contains("did you mean \"email\"?"), "{said}");
    let wide: Vec<_> = (0..=MOST_COLUMNS).map(|n| format!("\"k{n}\":1")).collect();
    let said = Folder::with(format!("{{{}}}", wide.join(",")))
        .columns()
        .await;
    assert!(said.contains("more than 1000 different keys"), "{said}");
}

#[tokio::test]
async fn an_empty_file_is_an_audience_of_nobody() {
    let mut folder = Folder::with("\n \n").field("age", FieldType::Integer);
    folder.email = Some("email".to_owned());
    assert_eq!(folder.columns().await, "id:any email:any age:integer");
    assert!(folder.rows().await.is_empty());
}

#[tokio::test]
async fn a_line_without_end_does_not_fill_the_memory() {
    let mut text = b"{\"id\":1}\n{\"id\":\"".to_vec();
    text.extend(vec![b'x'; 9 << 20]);
    text.extend_from_slice(b"\"}\n{\"id\":3}\n");
    assert_eq!(
        Folder::with(text).rows().await,
        [
            "1: integer 1",
            "line 2: the line is longer than any line should be",
            "3: integer 3"
        ]
    );
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_an_error() {
    let line = "{\"id\":1,\"text\":\"some text that takes a while to read\"}\n";
    let folder = Folder::with(line.repeat(200_000));
    let mut stream = folder.source().read().await.unwrap();
    stream.next().await.unwrap().unwrap();
    let path = folder.temporary.path().join("a.jsonl");
    fs::write(path, line.repeat(200_000).replace("while", "whilE")).unwrap();
    let mut last = None;
    while let Some(batch) = stream.next().await {
        last = Some(batch.map(|batch| batch.len()));
    }
    let said = last.unwrap().unwrap_err().message;
    assert!(said.contains("changed while it was read"), "{said}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_line_is_accounted_for(lines in prop::collection::vec(any::<Vec<u8>>(), 0..12)) {
        let mut text = b"{\"id\":1}\n".to_vec();
        let mut expected = 1;
        for line in &lines {
            let line: Vec<u8> = line.iter().copied().filter(|byte| *byte != b'\n').collect();
            expected += usize::from(!line.trim_ascii().is_empty());
            text.extend(line);
            text.push(b'\n');
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let rows = runtime.block_on(Folder::with(text).rows());
        prop_assert_eq!(rows.len(), expected);
    }
}
