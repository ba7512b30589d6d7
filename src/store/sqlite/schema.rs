//! The tables, and how a file with them is opened: made where it is missing, brought up to this version where it is older,
//! refused where it is newer or not ours.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior, config::DbConfig};

use super::error::{Result, refused};
use crate::store::LOCK_PATIENCE;

/// `CAMP` in the file's header (`PRAGMA application_id`): the file is one of ours.
const APPLICATION: i32 = 0x4341_4d50;

/// What brings a file from version n to n + 1, in order; `PRAGMA user_version` says how many of them a file has had. One that was
/// released is never edited.
const MIGRATIONS: &[&str] = &[V1, V2];

/// The first tables.
///
/// A delivery's number is its run in the upper 32 bits and its place in the run in the lower, so that the primary key serves a
/// run's queues in order. `twin` keeps apart rows that share a recipient without being a delivery of their own (a second row
/// with the same key, an unreadable row); it is 0 for all that can be sent, so that the unique index holds for them. `resent` is 1 once a policy has queued the row again.
const V1: &str = "
CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1), lease_epoch INTEGER NOT NULL, heartbeat INTEGER
) STRICT;
INSERT INTO meta VALUES (1, 0, NULL);
CREATE TABLE setting (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE rate (bucket TEXT PRIMARY KEY, tat INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE bundle (hash TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
CREATE TABLE campaign (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, source TEXT, topic TEXT, first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL, removed_at INTEGER, cursor INTEGER, stopped_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE run (
    id INTEGER PRIMARY KEY AUTOINCREMENT, campaign TEXT NOT NULL, occurrence TEXT NOT NULL, due INTEGER NOT NULL,
    state TEXT NOT NULL, reason TEXT, epoch INTEGER NOT NULL DEFAULT 0, topic TEXT NOT NULL, purpose TEXT NOT NULL,
    bundle TEXT, layout TEXT NOT NULL, content_digest TEXT, plan_digest TEXT, opened_at INTEGER NOT NULL,
    sealed_at INTEGER, started_at INTEGER, ended_at INTEGER, released INTEGER NOT NULL DEFAULT 0,
    begun INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0, matched INTEGER NOT NULL DEFAULT 0,
    to_send INTEGER NOT NULL DEFAULT 0, UNIQUE (campaign, occurrence)
) STRICT;
CREATE INDEX run_by_campaign ON run (campaign);
CREATE INDEX run_by_state ON run (state);
CREATE TABLE queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, channel INTEGER NOT NULL, transport TEXT NOT NULL,
    cursor INTEGER, UNIQUE (run, channel)
) STRICT;
CREATE TABLE delivery (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL, recipient_hash BLOB NOT NULL, address_hash BLOB, channel INTEGER NOT NULL,
    twin INTEGER NOT NULL, queue INTEGER, status INTEGER NOT NULL, reason INTEGER, detail TEXT,
    attempts INTEGER NOT NULL, at INTEGER NOT NULL, first_try INTEGER, key TEXT NOT NULL, address TEXT NOT NULL,
    message_id TEXT, resent INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX delivery_once ON delivery (run, recipient_hash, channel, twin);
CREATE TABLE address (
    hash BLOB NOT NULL, delivery INTEGER NOT NULL, PRIMARY KEY (hash, delivery)
) STRICT, WITHOUT ROWID;
CREATE TABLE payload (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
CREATE TABLE intent (id INTEGER PRIMARY KEY, attempt INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE TABLE due (id INTEGER PRIMARY KEY, queue INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE INDEX due_by_queue ON due (queue, at);
CREATE TABLE counter (
    run INTEGER NOT NULL, channel INTEGER NOT NULL, status INTEGER NOT NULL, reason INTEGER NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (run, channel, status, reason)
) STRICT, WITHOUT ROWID;
CREATE TABLE suppression (
    hash BLOB NOT NULL, topic TEXT NOT NULL, reason INTEGER NOT NULL, kind INTEGER NOT NULL, at INTEGER NOT NULL,
    shown TEXT NOT NULL, origin TEXT NOT NULL, PRIMARY KEY (hash, topic, reason)
) STRICT, WITHOUT ROWID;
";

/// What came with holds, approvals and histories that are taken over.
///
/// `run.over_limit` is the limit that the plan exceeds; `asked`: by a person, not by the schedule. `history`: the campaign took over
/// what was known of the other. `cooldown_group` is what a group shares its cooldown with, `run.waits` whether the run is one that
/// spares the recipients of others, those of its own campaign among them; `run_by_end` serves caps. `rollout`, `goes_on_at`, `stop_if`, `toll_base`, `no_mailbox` and
/// `unsubscribed` are a run's guards and what they count beside the counters; `meta.overwrites`: the file has overwritten what it
/// deleted from its beginning.
///
/// `view` is what messages that can be read in a browser were made of, of the runs that have such (`view_run`). It goes with the
/// address, when a person is forgotten.
/// Runs that go by their recipients' zones: each zone has queues of its own, which open at their time. Its rows stand among
/// the others in the order of recipients; those of such runs, and no others, have an index by queue.
const V2: &str = "
ALTER TABLE campaign ADD COLUMN vanished_at INTEGER;
ALTER TABLE campaign ADD COLUMN removal_grace TEXT;
ALTER TABLE run ADD COLUMN over_limit TEXT;
ALTER TABLE run ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN expires_at INTEGER;
CREATE TABLE history (
    campaign TEXT NOT NULL, was TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (campaign, was)
) STRICT, WITHOUT ROWID;
CREATE TABLE approval (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, content_digest TEXT NOT NULL, plan_digest TEXT NOT NULL,
    who TEXT NOT NULL, at INTEGER NOT NULL
) STRICT;
CREATE INDEX approval_by_run ON approval (run);
ALTER TABLE campaign ADD COLUMN cooldown_group TEXT;
CREATE INDEX run_by_end ON run (ended_at);
ALTER TABLE run ADD COLUMN rollout TEXT;
ALTER TABLE run ADD COLUMN goes_on_at INTEGER;
ALTER TABLE run ADD COLUMN stop_if TEXT;
ALTER TABLE run ADD COLUMN toll_base TEXT;
ALTER TABLE run ADD COLUMN no_mailbox INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN unsubscribed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN cooldown_group TEXT;
ALTER TABLE run ADD COLUMN waits INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN overwrites INTEGER NOT NULL DEFAULT 0;
CREATE TABLE view_run (run INTEGER PRIMARY KEY) STRICT;
CREATE TABLE view (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, bytes BLOB NOT NULL) STRICT;
CREATE INDEX view_by_age ON view (at);
CREATE TRIGGER view_of_nobody AFTER UPDATE OF address ON delivery WHEN new.address = '' BEGIN
    DELETE FROM view WHERE id = new.id;
END;
CREATE TABLE queue_by_zone (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL, channel INTEGER NOT NULL, transport TEXT NOT NULL,
    cursor INTEGER, zone TEXT NOT NULL DEFAULT '', opens INTEGER, expires INTEGER, opened INTEGER,
    UNIQUE (run, channel, zone)
) STRICT;
INSERT INTO queue_by_zone (id, run, channel, transport, cursor) SELECT id, run, channel, transport, cursor FROM queue;
DROP TABLE queue;
ALTER TABLE queue_by_zone RENAME TO queue;
CREATE INDEX queue_to_open ON queue (opens) WHERE opens IS NOT NULL AND opened IS NULL;
ALTER TABLE delivery ADD COLUMN zoned INTEGER;
CREATE INDEX delivery_by_zone ON delivery (queue) WHERE zoned = 1;
ALTER TABLE run ADD COLUMN effects INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN effects_waiting INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN effects_failed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX run_with_effects ON run (id) WHERE effects_waiting > 0;
CREATE TABLE effect (
    id INTEGER NOT NULL, kind INTEGER NOT NULL, run INTEGER NOT NULL, state INTEGER NOT NULL, due INTEGER NOT NULL,
    at INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0, detail TEXT, PRIMARY KEY (id, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX effect_by_due ON effect (run, kind, state, due);
";

/// A commit copies the log into the file once it has this many pages (of 4 KiB).
const CHECKPOINT_PAGES: i64 = 4_000;
/// What the log is cut back to after a burst, in bytes.
const LOG_BYTES: i64 = 64 << 20;
/// The writer's page cache in KiB (a negative number means that).
const WRITER_CACHE: i64 = -8_192;

/// Opens the file for its one writer. Gives the file's absolute path too.
pub(super) fn open_writer(path: &Path) -> Result<(Connection, PathBuf)> {
    let path = absolute(path)?;
    create(&path)?;
    let open = || -> Result<Connection> {
        let mut db = Connection::open_with_flags(
            &path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        db.busy_timeout(LOCK_PATIENCE)?;
        keep_plans(&db)?;
        version(&db)?;
        let mode: String =
            db.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        if mode != "wal" {
            return Err(refused(
                "a write-ahead log can't be kept beside it; put it on a local disk",
            ));
        }
        db.pragma_update(None, "synchronous", "FULL")?;
        db.pragma_update(None, "temp_store", "MEMORY")?;
        // What is deleted or moved is overwritten: nothing of a person who was forgotten is left between the rows.
        db.pragma_update(None, "secure_delete", "ON")?;
        db.pragma_update(None, "cache_size", WRITER_CACHE)?;
        db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        db.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
        db.set_prepared_statement_cache_capacity(128);
        migrate(&mut db)?;
        Ok(db)
    };
    let db = open().map_err(|error| in_file(&path, &error.words()))?;
    Ok((db, path))
}

/// Opens the file for reading, beside whoever writes it.
pub(super) fn open_reader(path: &Path) -> Result<Connection> {
    let path = absolute(path)?;
    if !path.exists() {
        return Err(in_file(&path, "there is no store yet"));
    }
    let open = || -> Result<Connection> {
        let db = Connection::open_with_flags(
            &path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        db.busy_timeout(LOCK_PATIENCE)?;
        keep_plans(&db)?;
        db.pragma_update(None, "temp_store", "MEMORY")?;
        db.set_prepared_statement_cache_capacity(64);
        if version(&db)? < MIGRATIONS.len() {
            return Err(refused(
                "it is of an earlier version; `campanile serve` brings it up to date",
            ));
        }
        Ok(db)
    };
    open().map_err(|error| in_file(&path, &error.words()))
}

/// A statement is planned once, not again for other values: ours have one good plan, and planning costs more than running them.
fn keep_plans(db: &Connection) -> Result<()> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Makes the file where it is missing, for its owner only: it holds people's addresses. Its log gets the same
/// mode from the database.
fn create(path: &Path) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(in_file(
            path,
            "its folder does not exist; create it, or set [store] path",
        )),
        Err(error) => Err(in_file(path, &error.to_string())),
    }
}

/// How many migrations the file has had; 0 for a new one.
fn version(db: &Connection) -> Result<usize> {
    let number = |name| db.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let application = number("application_id")?;
    if application != APPLICATION {
        let tables: i64 =
            db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if application != 0 || tables != 0 {
            return Err(refused("it is the database of another program"));
        }
        return Ok(0);
    }
    let version = usize::try_from(number("user_version")?).unwrap_or(usize::MAX);
    if version > MIGRATIONS.len() {
        return Err(refused(format!(
            "it was written by a newer Campanile (its tables are version {version}, this one knows {}); update Campanile",
            MIGRATIONS.len()
        )));
    }
    Ok(version)
}

fn migrate(db: &mut Connection) -> Result<()> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let had = version(&transaction)?;
    for migration in &MIGRATIONS[had..] {
        transaction.execute_batch(migration)?;
    }
    if had == 0 {
        transaction.execute("UPDATE meta SET overwrites = 1", [])?;
    }
    if had < MIGRATIONS.len() {
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64)?;
    }
    Ok(transaction.commit()?)
}

/// Takes what was erased out of the files: the log goes into the file and is cut to nothing. A file that was begun without
/// overwriting what is deleted is written anew once. `false`: somebody is reading.
pub(super) fn wipe(db: &Connection) -> Result<bool> {
    let overwrites: bool = db.query_row("SELECT overwrites FROM meta", [], |row| row.get(0))?;
    if !overwrites {
        // Not in memory: it is all of the file.
        db.pragma_update(None, "temp_store", "FILE")?;
        let written = db.execute_batch("VACUUM");
        db.pragma_update(None, "temp_store", "MEMORY")?;
        written?;
        db.execute("UPDATE meta SET overwrites = 1", [])?;
    }
    let busy: i64 = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    Ok(busy == 0)
}

/// Absolute, so that a later change of the working folder is harmless and the path is never taken for a URI.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| in_file(path, &error.to_string()))
}

fn in_file(path: &Path, words: &str) -> super::error::Error {
    refused(format!("{}: {words}", path.display()))
}

/// A file as the first version made it.
#[cfg(test)]
pub(super) fn make_first_version(path: &Path) {
    let db = Connection::open(path).expect("the folder is there");
    db.execute_batch(V1).expect("the statements are right");
    db.pragma_update(None, "application_id", APPLICATION)
        .and_then(|()| db.pragma_update(None, "user_version", 1))
        .expect("a new file takes both");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(result: Result<impl Sized>) -> String {
        result.err().expect("it is refused").words()
    }

    #[test]
    fn a_new_file_is_its_owners_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("campanile.db");
        let (db, _) = open_writer(&path).unwrap();
        db.execute("INSERT INTO setting VALUES ('a', x'00')", [])
            .unwrap();
        #[cfg(unix)]
        for file in ["campanile.db", "campanile.db-wal"] {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(dir.path().join(file))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        let (sync, journal): (i64, String) = (
            db.pragma_query_value(None, "synchronous", |row| row.get(0))
                .unwrap(),
            db.pragma_query_value(None, "journal_mode", |row| row.get(0))
                .unwrap(),
        );
        assert_eq!((sync, journal.as_str()), (2, "wal"));
    }

    #[test]
    fn what_is_not_ours_or_too_new_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let foreign = dir.path().join("foreign.db");
        Connection::open(&foreign)
            .unwrap()
            .execute_batch("CREATE TABLE a (b)")
            .unwrap();
        assert!(words(open_writer(&foreign)).ends_with("it is the database of another program"));
        assert!(words(open_reader(&foreign)).ends_with("it is the database of another program"));

        let text = dir.path().join("text.db");
        fs::write(&text, "a".repeat(5000)).unwrap();
        assert!(words(open_writer(&text)).contains("the file is not a store"));

        let newer = dir.path().join("newer.db");
        let (db, _) = open_writer(&newer).unwrap();
        db.pragma_update(None, "user_version", 99).unwrap();
        drop(db);
        let said = words(open_writer(&newer));
        assert!(
            said.contains("newer Campanile (its tables are version 99, this one knows 2)"),
            "{said}"
        );
    }

    #[test]
    fn a_missing_folder_or_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("no").join("campanile.db");
        let said = words(open_writer(&path));
        assert!(said.starts_with(&path.display().to_string()), "{said}");
        assert!(said.contains("its folder does not exist"), "{said}");
        assert!(words(open_reader(&path)).ends_with("there is no store yet"));
        assert!(!path.exists());
    }

    #[test]
    fn what_is_deleted_is_in_no_file_any_more_also_of_an_earlier_version() {
        let dir = tempfile::tempdir().unwrap();
        for earlier in [true, false] {
            let path = dir.path().join(format!("{earlier}.db"));
            if earlier {
                let db = Connection::open(&path).unwrap();
                db.execute_batch(V1).unwrap();
                db.pragma_update(None, "application_id", APPLICATION)
                    .unwrap();
                db.pragma_update(None, "user_version", 1).unwrap();
                let add = "INSERT INTO setting VALUES ('gone', x'6164614d41524b')";
                db.execute_batch(add).unwrap();
                db.execute_batch("DELETE FROM setting").unwrap();
            }
            let (db, path) = open_writer(&path).unwrap();
            for n in 0..500 {
                let (name, value) = (format!("name {n}"), "adaMARK".repeat(n % 90));
                crate::store::sqlite::meta::set_setting(&db, &name, value.as_bytes()).unwrap();
            }
            db.execute("DELETE FROM setting WHERE name LIKE 'name %'", [])
                .unwrap();
            assert!(wipe(&db).unwrap());
            let mut files = 0;
            for entry in fs::read_dir(dir.path()).unwrap() {
                let bytes = fs::read(entry.unwrap().path()).unwrap();
                files += 1;
                assert!(!bytes.windows(7).any(|part| part == b"adaMARK"), "{path:?}");
            }
            assert!(files >= 2);
        }
    }

    #[test]
    fn opening_again_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("campanile.db");
        open_writer(&path)
            .unwrap()
            .0
            .execute("UPDATE meta SET lease_epoch = 7", [])
            .unwrap();
        let epoch: i64 = open_writer(&path)
            .unwrap()
            .0
            .query_row("SELECT lease_epoch FROM meta", [], |row| row.get(0))
            .unwrap();
        assert_eq!(epoch, 7);
    }
}
