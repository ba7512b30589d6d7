//! CSV files as people have them, and as nobody should.

use std::{fs, path::Path};

use futures::StreamExt;
use proptest::prelude::*;

use super::{records::LONGEST_ROW, *};
use crate::{
    model::{Document, FieldType, InvalidRow, Recipient, Roles, SourceFile, Value},
    source::FieldFormat,
};

type Row = Result<Recipient, InvalidRow>;

struct Folder {
    temporary: tempfile::TempDir,
    fields: Vec<(String, FieldFormat)>,
    email: Option<String>,
}

impl Folder {
    fn with(bytes: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.csv"), bytes).unwrap();
        Self {
            temporary: folder,
            fields: Vec::new(),
            email: None,
        }
    }

    fn field(mut self, name: &str, kind: FieldType) -> Self {
        self.fields
            .push((name.to_owned(), FieldFormat { kind, format: None }));
        self
    }

    fn path(&self) -> std::path::PathBuf {
        self.temporary.path().join("a.csv")
    }

    /// The source with `path` and these keys more.
    fn source(&self, keys: &str) -> Arc<dyn Source> {
        let context = SourceContext {
            name: "people".parse().unwrap(),
            workspace: self.temporary.path().to_owned(),
            roles: Roles {
                key: "id".to_owned(),
                email: self.email.clone(),
                ..Roles::default()
            },
            fields: self.fields.clone(),
        };
        let toml = if keys.contains("path") {
            keys.to_owned()
        } else {
            format!("path = 'a.csv'\n{keys}")
        };
        settings(&toml).unwrap().open(&context)
    }

    async fn rows(&self, keys: &str) -> Result<Vec<Row>, String> {
        all(self.source(keys).as_ref()).await
    }

    async fn shown(&self, keys: &str) -> Vec<String> {
        match self.rows(keys).await {
            Ok(rows) => rows.iter().map(show).collect(),
            Err(message) => vec![message],
        }
    }

    async fn fault(&self, keys: &str) -> String {
        self.source(keys).describe().await.unwrap_err().message
    }
}

async fn all(source: &dyn Source) -> Result<Vec<Row>, String> {
    let mut stream = source.read().await.map_err(|error| error.message)?;
    let mut rows = Vec::new();
    while let Some(batch) = stream.next().await {
        rows.extend(batch.map_err(|error| error.message)?);
    }
    Ok(rows)
}

fn settings(toml: &str) -> Result<Arc<dyn SourceConfig>, String> {
    let file = SourceFile::new("campanile.toml", toml);
    let (config, found) = Document::new(&file).read(|section| {
        let config = (KIND.read)(&section);
        section.finish();
        config
    });
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(config.is_none(), !found.is_empty(), "{toml}: {found:?}");
    config.ok_or_else(|| found.join("\n"))
}

fn show(row: &Row) -> String {
    match row {
        Ok(row) => {
            let values: Vec<String> = row
                .values
                .iter()
                .map(|value| match value {
                    Value::Text(text) => text.clone(),
                    other => format!("{}:{other}", other.type_name()),
                })
                .collect();
            format!("{} = {}", row.key, values.join("|"))
        }
        Err(row) => {
            let key = row
                .key
                .as_deref()
                .map(|key| format!(" [{key}]"))
                .unwrap_or_default();
            format!("{row}{key}")
        }
    }
}

#[tokio::test]
async fn rows_become_recipients() {
    let folder = Folder::with("\u{feff} id ,name,balance,tags\r\n A1 , Ada ,12.50,a;b\r\nA2,\"K\"\"ing, \"\"\n\r\nX\",,\n")
        .field("balance", FieldType::Decimal)
        .field("tags", FieldType::List);
    let source = folder.source("");
    let schema = source.describe().await.unwrap();
    let names: Vec<&str> = schema.names().collect();
    assert_eq!(names, ["id", "name", "balance", "tags"]);
    assert_eq!(schema.columns[2].1, FieldType::Decimal);
    assert_eq!(
        folder.shown("").await,
        [
            "A1 =  A1 | Ada |decimal:12.50|list:a, b",
            "A2 = A2|K\"ing, \"\n\r\nX|empty:|list:"
        ]
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_row_is_told_with_line_and_column() {
    let folder = Folder::with(
        "made by hand\n\nid,age,note\n\n1,x,\"two\nlines\"\n2\n3,4,5,6\n\n ,7,\n,,\n4,8,\"three\r\n\r\nlines\"\r\n5,9\r\n6,10,ok\n",
    )
    .field("age", FieldType::Integer);
    assert_eq!(
        folder.shown("skip_lines = 2").await,
        [
            "line 5, column \"age\": \"x\" is not an integer: digits only, such as 1200 (the row goes on to line 6) [1]",
            "line 7, column \"age\": the row has 1 cell instead of 3 [2]",
            "line 8: the row has 4 cells instead of 3 [3]",
            "line 10, column \"id\": the key is empty",
            "line 11, column \"id\": the key is empty",
            "4 = 4|integer:8|three\r\n\r\nlines",
            "line 15, column \"note\": the row has 2 cells instead of 3 [5]",
            "6 = 6|integer:10|ok",
        ]
    );
}

#[tokio::test]
async fn lines_are_counted_whatever_ends_them() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ["top", "", "id", "a", "", "\"b", "c\"", "d,e", "f", ""].join(end);
        let folder = Folder::with(&text);
        assert_eq!(
            folder.shown("skip_lines = 2").await,
            [
                "a = a".to_owned(),
                format!("b{end}c = b{end}c"),
                "line 8: the row has 2 cells instead of 1 [d]".to_owned(),
                "f = f".to_owned()
            ],
            "{end:?}"
        );
    }
}

#[tokio::test]
async fn a_crlf_that_is_cut_in_two_by_the_buffer_is_one_line_break() {
    for fill in (64 * 1024 - 8)..(64 * 1024 + 2) {
        let folder = Folder::with(format!("id\r\n{}\r\n1,2\r\n", "x".repeat(fill)));
        let rows = folder.shown("").await;
        assert_eq!(
            rows[1], "line 3: the row has 2 cells instead of 1 [1]",
            "{fill}"
        );
    }
}

#[tokio::test]
async fn other_delimiters_encodings_and_no_header() {
    let utf16: Vec<u8> = "id\tn\r\n1\tЮлия\r\n"
        .encode_utf16()
        .flat_map(u16::to_be_bytes)
        .collect();
    for (bytes, keys, expected) in [
        (&b"id;n\n1;a,b\n"[..], "delimiter = ';'", "1 = 1|a,b"),
        (b"id\tn\n1\t\"a\tb\"\n", "delimiter = 'tab'", "1 = 1|a\tb"),
        (
            b"id,n\n1,M\xfcller \x80\n",
            "encoding = 'windows-1252'",
            "1 = 1|Müller €",
        ),
        (
            &utf16,
            "encoding = 'utf-16be'\ndelimiter = 'tab'",
            "1 = 1|Юлия",
        ),
        (b"1,a\n", "columns = ['id', ' n ']", "1 = 1|a"),
        (
            b"skip\n1,a\n",
            "header = false\ncolumns = ['id', 'n']\nskip_lines = 1",
            "1 = 1|a",
        ),
        (b"id,n\n1,a", "", "1 = 1|a"),
        (b"id,n\n1,a\"b\"c", "", "1 = 1|a\"b\"c"),
    ] {
        assert_eq!(Folder::with(bytes).shown(keys).await, [expected], "{keys}");
    }
}

#[tokio::test]
async fn bytes_that_are_not_text_refuse_their_row_only() {
    let rows = [
        "a = a|ü",
        "line 3, column \"n\": the cell has bytes that are not valid in the file's encoding: set `encoding` [b]",
        "c = c|d",
    ];
    let utf8 = Folder::with(b"id,n\na,\xc3\xbc\nb,\xfc\nc,d\n");
    assert_eq!(utf8.shown("").await, rows);
    let mut utf16: Vec<u8> = "id,n\na,ü\nb,"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    utf16.extend(b"\0\xd8");
    utf16.extend("\nc,d\n".encode_utf16().flat_map(u16::to_le_bytes));
    assert_eq!(Folder::with(utf16).shown("encoding = 'utf-16'").await, rows);
    // A character that a delimiter cuts in two is not made whole again.
    let cut = Folder::with(b"id,n\n\xc3,\xbc\n").shown("").await;
    assert!(
        cut[0].starts_with("line 2, column \"id\": the cell has bytes"),
        "{cut:?}"
    );
    let header = Folder::with(b"id,\xfc\n").fault("").await;
    assert_eq!(
        header,
        "a.csv, line 1: the name of column 2 is not valid in the file's encoding: set `encoding`"
    );
}

#[tokio::test]
async fn a_header_that_does_not_fit_is_an_error() {
    for (text, expected) in [
        ("", "a.csv: the file is empty: it has no header"),
        ("\n\r\n", "a.csv: the file is empty: it has no header"),
        (
            "id,a,a\n",
            "a.csv, line 1: two columns have the name \"a\": give one of them another",
        ),
        ("id,a,\n", "a.csv, line 1: column 3 has no name"),
        (
            "\nname\n",
            "a.csv, line 2: there is no column \"id\", which key = \"id\" names: there are \"name\"",
        ),
        (
            "ID,x\n",
            "a.csv, line 1: there is no column \"id\", which key = \"id\" names: did you mean \"ID\"?",
        ),
        (
            "id;x\n",
            "a.csv, line 1: there is one column only: are its cells separated by another delimiter? Then say delimiter = \";\"",
        ),
        (
            "id\tx\n",
            "a.csv, line 1: there is one column only: are its cells separated by another delimiter? Then say delimiter = \"tab\"",
        ),
        (
            "\"id,x\n",
            "a.csv: the quoted cell that begins in line 1 is not closed until the end of the file: either the file is cut off, or a quote is missing",
        ),
    ] {
        let folder = Folder::with(text);
        assert_eq!(folder.fault("").await, expected);
        assert_eq!(folder.rows("").await.unwrap_err(), expected);
    }
    let mut folder = Folder::with("id,mail,blance\n").field("balance", FieldType::Decimal);
    folder.email = Some("email".to_owned());
    assert_eq!(
        folder.fault("").await,
        "a.csv, line 1: there is no column \"email\", which email = \"email\" names: did you mean \"mail\"?; \
         there is no column \"balance\", which [fields] names: did you mean \"blance\"?"
    );
    assert_eq!(
        folder.fault("skip_lines = 9").await,
        "a.csv: there is no header after the 9 skipped lines"
    );
    assert_eq!(
        folder
            .fault("columns = ['id']")
            .await
            .split(':')
            .next()
            .unwrap(),
        "`columns`"
    );
}

#[tokio::test]
async fn a_path_that_is_no_file_is_an_error() {
    let folder = Folder::with("id\n");
    assert_eq!(
        folder.fault("path = 'b/c.csv'").await,
        "b/c.csv: there is no such file"
    );
    assert_eq!(
        folder.fault("path = '.'").await,
        ".: it is a folder, not a file"
    );
    assert_eq!(
        folder.fault("path = '/dev/null'").await,
        "/dev/null: it is not a regular file"
    );
}

#[test]
fn settings_are_checked() {
    for (toml, expected) in [
        ("", "campanile.toml:1:1: campanile.toml needs `path`"),
        (
            "path = 'a'\ndelimiter = ';;'",
            "campanile.toml:2:13: `delimiter` is one character such as \",\", \";\" or \"|\", or \"tab\", not \";;\"",
        ),
        (
            "path = 'a'\ndelimiter = '\"'",
            "campanile.toml:2:13: `delimiter` is one character such as \",\", \";\" or \"|\", or \"tab\", not \"\\\"\"",
        ),
        (
            "path = 'a'\nencoding = 'utf-9'",
            "campanile.toml:2:12: there is no encoding \"utf-9\" (did you mean `utf-8`?)",
        ),
        (
            "path = 'a'\nencoding = 'hz-gb-2312'",
            "campanile.toml:2:12: there is no encoding \"hz-gb-2312\" (encodings have names such as utf-8, utf-16le, utf-16be, windows-1252, iso-8859-1, iso-8859-15, shift_jis, gb18030)",
        ),
        (
            "path = 'a'\nheader = 'no'",
            "campanile.toml:2:10: `header` is a string, expected true or false",
        ),
        (
            "path = 'a'\nheader = false",
            "campanile.toml:2:10: a file without a header needs `columns` (name them in their order: columns = [\"account_no\", \"email\"])",
        ),
        (
            "path = 'a'\nheader = true\ncolumns = ['a']",
            "campanile.toml:3:11: the names stand in the header already: `columns` is for files without one (remove `columns`, or say header = false)",
        ),
        (
            "path = 'a'\ncolumns = []",
            "campanile.toml:2:11: `columns` names at least one column",
        ),
        (
            "path = 'a'\ncolumns = ['x', ' x', '', 1]",
            "campanile.toml:2:17: two columns have the name \"x\"\ncampanile.toml:2:23: a column needs a name\ncampanile.toml:2:27: `columns` is an integer, expected a string",
        ),
        (
            "path = 'a'\nskip_lines = -1",
            "campanile.toml:2:14: `skip_lines` must be 0 or more",
        ),
        (
            "path = 'a'\nskiplines = 1",
            "campanile.toml:2:1: unknown key `skiplines` (did you mean `skip_lines`?)",
        ),
    ] {
        let file = SourceFile::new("campanile.toml", toml);
        let (_, found) = Document::new(&file).read(|section| {
            let config = (KIND.read)(&section);
            section.finish();
            config
        });
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found.join("\n"), expected, "{toml}");
    }
}

#[tokio::test]
async fn a_quote_that_is_not_closed_is_an_error() {
    for (text, line) in [
        ("id,n\n1,\"a\nb", 2),
        ("id,n\n1,\"a\n\n2,b\n3,c\n", 2),
        ("id,n\n\"1\n2\",\"x\r\ny\",\"a\nb", 4),
        ("id,n\n1,\"a\"\"", 2),
    ] {
        let expected = format!("the quoted cell that begins in line {line} is not closed");
        let error = Folder::with(text).rows("").await.unwrap_err();
        assert!(error.contains(&expected), "{text:?}: {error}");
    }
}

#[tokio::test]
async fn a_row_without_end_stays_in_bounded_memory() {
    let filler = "y,\"\"z\"\"\n".repeat(LONGEST_ROW / 4);
    let open = format!("id,n\n1,\"x\ny\",\"{filler}");
    let error = Folder::with(&open).rows("").await.unwrap_err();
    assert!(error.contains("begins in line 3 "), "{error}");
    let closed = format!("id,n\n1,\"{filler}\"\n2,b\n");
    let rows = Folder::with(&closed).shown("").await;
    let last = 2 + LONGEST_ROW / 4;
    assert_eq!(
        rows,
        [
            format!(
                "line 2: the row is longer than any row should be: is a quote not closed? (the row goes on to line {last})"
            ),
            "2 = 2|b".to_owned()
        ]
    );
    let wide = format!("id,n\n{}\n2,b\n", ",".repeat(200_000));
    let rows = Folder::with(&wide).shown("").await;
    assert_eq!(rows[1], "2 = 2|b");
    assert!(rows[0].starts_with("line 2: the row is longer"), "{rows:?}");
}

/// Many rows, so that the file is still being read when its first batches are here.
fn large() -> String {
    (0..200_000).fold("id,n\n".to_owned(), |text, n| {
        text + format!("{n},x\n").as_str()
    })
}

async fn changed_by(change: impl FnOnce(&Path)) {
    let folder = Folder::with(large());
    let mut stream = folder.source("").read().await.unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    change(&folder.path());
    let mut last = None;
    while let Some(batch) = stream.next().await {
        last = Some(batch);
    }
    let error = last.unwrap().unwrap_err().message;
    assert!(
        error.starts_with("a.csv: the file changed while it was read"),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_an_error() {
    changed_by(|path| {
        let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
        std::io::Write::write_all(&mut file, b"new,x\n").unwrap();
    })
    .await;
    changed_by(|path| {
        fs::File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_len(300_000)
            .unwrap();
    })
    .await;
    changed_by(|path| fs::write(path, large().replace('x', "y")).unwrap()).await;
    changed_by(|path| fs::write(path, "id,n\n1,\"x").unwrap()).await;
    changed_by(|path| fs::remove_file(path).unwrap()).await;
    changed_by(|path| {
        let other = path.with_extension("new");
        fs::write(&other, large()).unwrap();
        let modified = fs::metadata(path).unwrap().modified().unwrap();
        fs::File::options()
            .write(true)
            .open(&other)
            .unwrap()
            .set_modified(modified)
            .unwrap();
        fs::rename(other, path).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_file_that_stays_is_read_to_its_end_in_batches() {
    let folder = Folder::with(large());
    let mut stream = folder.source("").read().await.unwrap();
    let (mut rows, mut largest) = (0, 0);
    while let Some(batch) = stream.next().await {
        let batch = batch.unwrap();
        largest = largest.max(batch.len());
        rows += batch.len();
    }
    assert_eq!((rows, largest), (200_000, crate::source::BATCH_ROWS));
}

/// The records as the csv crate counts them.
fn records(bytes: &[u8]) -> Vec<csv::ByteRecord> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(bytes)
        .byte_records()
        .map(Result::unwrap)
        .collect()
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(prop::sample::select(&b"a,\"\r\n ;\xc3\xbc0"[..]), 0..200),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_record_is_accounted_for(bytes in any_bytes()) {
        let mut content = b"id,n\n".to_vec();
        content.extend(&bytes);
        let folder = Folder::with(&content).field("n", FieldType::Integer);
        let expected = &records(&content)[1..];
        match wait(folder.rows("")) {
            Ok(rows) => {
                prop_assert_eq!(rows.len(), expected.len());
                let mut last = 0;
                for (row, record) in rows.iter().zip(expected) {
                    match row {
                        Ok(row) => prop_assert_eq!(row.get("id").unwrap().as_text().unwrap().as_bytes(), &record[0]),
                        Err(row) => {
                            prop_assert!(row.line > last);
                            last = row.line;
                        }
                    }
                }
            }
            Err(message) => prop_assert!(message.contains("is not closed"), "{}", message),
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in any_bytes(), label in prop::sample::select(vec!["utf-8", "utf-16le", "shift_jis", "iso-2022-jp", "gb18030"])) {
        let folder = Folder::with(&bytes);
        let keys = format!("columns = ['id', 'n']\nencoding = '{label}'");
        // Rows, or an error that says why not.
        if let Err(message) = wait(folder.rows(&keys)) {
            prop_assert!(message.starts_with("a.csv"), "{}", message);
        }
    }

    #[test]
    fn what_is_written_is_read(rows in prop::collection::vec(("[a-zA-Z0-9ü€]{1,8}", any::<String>(), any::<String>()), 0..20)) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["id", "a", "b"]).unwrap();
        for (id, a, b) in &rows {
            writer.write_record([id, a, b]).unwrap();
        }
        let folder = Folder::with(writer.into_inner().unwrap());
        let read = wait(folder.rows("")).unwrap();
        prop_assert_eq!(read.len(), rows.len());
        for (read, (id, a, b)) in read.iter().zip(&rows) {
            let read = read.as_ref().unwrap();
            prop_assert_eq!(&read.key, id);
            prop_assert_eq!(read.get("a").unwrap().as_text(), Some(a.as_str()));
            prop_assert_eq!(read.get("b").unwrap().as_text(), Some(b.as_str()));
        }
    }
}
