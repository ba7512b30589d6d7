//! A workspace as of a revision of the git repository it lies in. Only read: neither the working tree nor the index nor any
//! reference is touched.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    path::{Component, Path, PathBuf},
    process::{Command, Output, Stdio},
};

use super::{
    Location,
    assets::Assets,
    look::{ENDINGS, FOLDERS, SETTINGS},
    tree::{MAX_FILE_BYTES, Tree},
};

/// The most bytes that all text files together may have.
const MAX_BYTES: u64 = 256 << 20;

/// A revision, found.
#[derive(Clone, Debug)]
pub struct Revision {
    workspace: PathBuf,
    /// The settings, and what overrides them.
    settings: Vec<String>,
    /// Where the workspace lies in the repository: empty, or ending with `/`.
    prefix: String,
    commit: String,
}

/// Why there is no such revision to look at.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    /// There is no program `git`.
    #[error("git is not installed, and a revision can't be read without it")]
    NoGit,
    /// The workspace lies in no repository.
    #[error("{} lies in no git repository: there is no revision of it", .0.display())]
    NoRepository(PathBuf),
    /// The repository does not have it.
    #[error(
        "the repository has no revision {0:?}: `git branch --all` lists what it has; where only the last commit was fetched, \
         fetch that one too (`git fetch origin main`, or fetch-depth: 0 in a workflow)"
    )]
    NoRevision(String),
    /// Git said no.
    #[error("git: {0}")]
    Git(String),
    /// It could not be asked.
    #[error("git could not be asked: {0}")]
    Io(#[from] io::Error),
}

/// An entry of a tree in the repository.
struct Blob {
    /// Its name in the repository.
    path: String,
    hash: String,
    size: u64,
    is_link: bool,
}

impl Revision {
    /// Finds a revision: a branch, a tag, a commit.
    pub fn open(location: impl Into<Location>, revision: &str) -> Result<Self, RevisionError> {
        let location = location.into();
        let workspace = &location.folder;
        let settings = std::iter::once(SETTINGS.to_owned()).chain(location.override_file());
        let prefix = git(workspace, &["rev-parse", "--show-prefix"])?;
        if !prefix.status.success() {
            let words = words(&prefix);
            return Err(if words.contains("not a git repository") {
                RevisionError::NoRepository(workspace.clone())
            } else {
                RevisionError::Git(words)
            });
        }
        let unknown = || RevisionError::NoRevision(revision.to_owned());
        if revision.is_empty() || revision.contains(['\0', '\n']) {
            return Err(unknown());
        }
        let wanted = format!("{revision}^{{commit}}");
        let options = ["rev-parse", "--verify", "--quiet", "--end-of-options"];
        let commit = git(workspace, &[&options[..], &[&wanted]].concat())?;
        if !commit.status.success() {
            return Err(unknown());
        }
        let text = |output: &Output| {
            String::from_utf8_lossy(&output.stdout)
                .trim_end()
                .to_owned()
        };
        Ok(Self {
            settings: settings.collect(),
            workspace: workspace.clone(),
            prefix: text(&prefix),
            commit: text(&commit),
        })
    }

    /// The commit's name, in full.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// The text files of the workspace as they were then.
    pub fn tree(&self) -> Result<Tree, RevisionError> {
        let mut blobs = self.list(&self.prefix, false)?;
        for folder in FOLDERS {
            blobs.extend(self.list(&format!("{}{folder}/", self.prefix), true)?);
        }
        for blob in &mut blobs {
            blob.path = blob.path.split_off(self.prefix.len());
        }
        blobs.retain(|blob| self.settings.contains(&blob.path) || is_text(&blob.path));
        let sum: u64 = blobs.iter().map(|blob| blob.size).sum();
        if sum > MAX_BYTES {
            let words = "the text files of that revision have more than 256 MiB";
            return Err(RevisionError::Git(words.to_owned()));
        }
        let mut tree = Tree::new();
        tree.set_assets(Assets::as_of(self.clone(), &self.workspace));
        let mut wanted = Vec::new();
        for blob in blobs {
            if blob.size > MAX_FILE_BYTES {
                let why = format!("it has {} bytes, more than a text file may have", blob.size);
                tree.insert_unread(blob.path, why.into());
            } else {
                wanted.push(blob);
            }
        }
        self.read(wanted, &mut tree)?;
        Ok(tree)
    }

    /// Writes a file of the workspace as it was then to `to`; `false`: the repository does not have it in that revision.
    pub fn extract(&self, path: &Path, to: &Path) -> Result<bool, RevisionError> {
        let Some(path) = self.in_repository(path) else {
            return Ok(false);
        };
        let listed = self.list(&path, false)?;
        // A link leads to a file of today.
        if !matches!(&listed[..], [blob] if !blob.is_link && blob.path == path) {
            return Ok(false);
        }
        let mut out = File::create(to)?;
        let object = format!("{}:{path}", self.commit);
        // With filters: a file that is kept elsewhere (Git LFS) comes as itself.
        let mut child = command(&self.workspace)
            .args(["cat-file", "--filters", &object])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(refused)?;
        let mut stdout = child.stdout.take().expect("it is piped");
        io::copy(&mut stdout, &mut out)?;
        let output = child.wait_with_output()?;
        if !output.status.success() {
            return Err(RevisionError::Git(words(&output)));
        }
        Ok(true)
    }

    /// Where a path of the workspace lies in the repository; `None`: outside of it.
    fn in_repository(&self, path: &Path) -> Option<String> {
        let mut parts: Vec<&str> = self.prefix.split_terminator('/').collect();
        for component in path.components() {
            match component {
                Component::Normal(part) => parts.push(part.to_str()?),
                Component::CurDir => {}
                Component::ParentDir => drop(parts.pop()?),
                Component::RootDir | Component::Prefix(_) => return None,
            }
        }
        Some(parts.join("/"))
    }

    /// The files at a place of the repository.
    fn list(&self, at: &str, deep: bool) -> Result<Vec<Blob>, RevisionError> {
        let mut arguments = vec!["ls-tree", "-z", "-l", "--full-tree"];
        if deep {
            arguments.push("-r");
        }
        arguments.push(&self.commit);
        if !at.is_empty() {
            arguments.extend(["--", at]);
        }
        let output = git(&self.workspace, &arguments)?;
        if !output.status.success() {
            return Err(RevisionError::Git(words(&output)));
        }
        let mut blobs = Vec::new();
        for entry in output.stdout.split(|byte| *byte == 0) {
            // Names that are not UTF-8 are no names of a workspace.
            let Some((facts, path)) = std::str::from_utf8(entry)
                .ok()
                .and_then(|entry| entry.split_once('\t'))
            else {
                continue;
            };
            let facts: Vec<_> = facts.split_whitespace().collect();
            let [mode, "blob", hash, size] = &facts[..] else {
                continue;
            };
            blobs.push(Blob {
                path: path.to_owned(),
                hash: (*hash).to_owned(),
                size: size.parse().unwrap_or(u64::MAX),
                is_link: *mode == "120000",
            });
        }
        Ok(blobs)
    }

    /// Reads files into a tree; links are followed as far as they stay in the repository.
    fn read(&self, blobs: Vec<Blob>, tree: &mut Tree) -> Result<(), RevisionError> {
        let mut child = command(&self.workspace)
            .args(["cat-file", "--batch", "--follow-symlinks"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(refused)?;
        let mut stdin = child.stdin.take().expect("it is piped");
        let names: Vec<_> = blobs
            .iter()
            .map(|blob| {
                if blob.is_link {
                    format!("{}:{}{}\n", self.commit, self.prefix, blob.path)
                } else {
                    format!("{}\n", blob.hash)
                }
            })
            .collect();
        // Beside the reading: neither side waits for the other.
        let asking = std::thread::spawn(move || {
            names
                .iter()
                .try_for_each(|name| stdin.write_all(name.as_bytes()))
        });
        let mut answers = BufReader::new(child.stdout.take().expect("it is piped"));
        for blob in blobs {
            match answer(&mut answers)? {
                Some(bytes) => tree.insert(blob.path, bytes),
                None => tree.insert_unread(
                    blob.path,
                    "it is a link that leads to no file of the repository".into(),
                ),
            }
        }
        drop(answers);
        // It has told everything by now, or has failed above.
        let _ = asking.join();
        child.wait()?;
        Ok(())
    }
}

/// One answer of `git cat-file --batch`: `NAME blob SIZE`, the bytes, a line break. `None`: it is no file.
fn answer(answers: &mut impl BufRead) -> Result<Option<Vec<u8>>, RevisionError> {
    let cut = || RevisionError::Git("it ended in the middle of an answer".to_owned());
    let mut line = String::new();
    if answers.read_line(&mut line)? == 0 {
        return Err(cut());
    }
    let facts: Vec<_> = line.split_whitespace().collect();
    let (size, is_blob) = match &facts[..] {
        [.., "missing"] => return Ok(None),
        [_, kind, size] => (size.parse::<u64>().map_err(|_| cut())?, *kind == "blob"),
        // `dangling SIZE`, `loop SIZE`, …: the name of the link follows.
        [_, size] => (size.parse::<u64>().map_err(|_| cut())?, false),
        _ => return Err(cut()),
    };
    if size > MAX_BYTES {
        return Err(RevisionError::Git(format!("a file of {size} bytes")));
    }
    let mut bytes = Vec::new();
    answers.take(size + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != size + 1 {
        return Err(cut());
    }
    bytes.pop();
    Ok((is_blob && size <= MAX_FILE_BYTES).then_some(bytes))
}

fn is_text(path: &str) -> bool {
    let hidden = path.split('/').any(|part| part.starts_with('.'));
    let ending = path.rsplit_once('.').map(|(_, ending)| ending);
    !hidden && path.contains('/') && ending.is_some_and(|ending| ENDINGS.contains(&ending))
}

/// Git in the workspace: it asks nobody, writes nothing, and finds its repository by the folder alone.
fn command(workspace: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(workspace)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"] {
        command.env_remove(name);
    }
    command
}

fn git(workspace: &Path, arguments: &[&str]) -> Result<Output, RevisionError> {
    command(workspace).args(arguments).output().map_err(refused)
}

fn refused(error: io::Error) -> RevisionError {
    match error.kind() {
        io::ErrorKind::NotFound => RevisionError::NoGit,
        _ => RevisionError::Io(error),
    }
}

/// The first line of what git says.
fn words(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| !line.trim().is_empty());
    line.map_or_else(
        || format!("it ended with {}", output.status),
        |line| line.trim_start_matches("fatal: ").to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository(files: &[(&str, &str)]) -> Option<tempfile::TempDir> {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        for arguments in [
            &["init", "--quiet", "--initial-branch=main"][..],
            &["add", "--all"],
            &[
                "-c",
                "user.name=t",
                "-c",
                "user.email=t@example.org",
                "commit",
                "--quiet",
                "-m",
                "first",
            ],
        ] {
            match git(folder.path(), arguments) {
                Ok(output) => assert!(output.status.success(), "{}", words(&output)),
                Err(RevisionError::NoGit) => return None,
                Err(error) => panic!("{error}"),
            }
        }
        Some(folder)
    }

    #[test]
    fn the_files_of_a_folder_are_read_as_they_were() {
        let Some(folder) = repository(&[
            ("README.md", "no"),
            ("mail/campanile.toml", "[web]"),
            ("mail/campanile.staging.toml", "[web]"),
            ("mail/campanile.live.toml", "no"),
            ("mail/other.toml", "no"),
            ("mail/campaigns/a b/é.md", "hello"),
            ("mail/campaigns/.hidden.md", "no"),
            ("mail/campaigns/data.csv", "id\n1\n"),
            ("mail/scripts/x.rhai", ""),
        ]) else {
            return;
        };
        let workspace = folder.path().join("mail");
        std::fs::write(workspace.join("campanile.toml"), "changed").unwrap();
        let location = Location::new(&workspace).in_environment(Some("staging".parse().unwrap()));
        let revision = Revision::open(location, "main").unwrap();
        assert_eq!(revision.commit().len(), 40);
        let tree = revision.tree().unwrap();
        assert_eq!(
            tree.paths().collect::<Vec<_>>(),
            [
                "campaigns/a b/é.md",
                "campanile.staging.toml",
                "campanile.toml",
                "scripts/x.rhai"
            ]
        );
        assert_eq!(tree.bytes("campanile.toml"), Some(&b"[web]"[..]));
        let to = folder.path().join("out");
        let extract = |path: &str| revision.extract(Path::new(path), &to).unwrap();
        assert!(extract("campaigns/data.csv"));
        assert_eq!(std::fs::read_to_string(&to).unwrap(), "id\n1\n");
        assert!(extract("campaigns/../../README.md"));
        for path in [
            "campaigns",
            "nowhere.csv",
            "../../README.md",
            "/etc/passwd",
            "campaigns/dat",
        ] {
            assert!(!extract(path), "{path}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_within_the_repository_only() {
        let folder = tempfile::tempdir().unwrap();
        let scripts = folder.path().join("scripts");
        std::fs::create_dir(&scripts).unwrap();
        std::fs::write(scripts.join("real.rhai"), "fn x() { 1 }").unwrap();
        std::os::unix::fs::symlink("real.rhai", scripts.join("link.rhai")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", scripts.join("out.rhai")).unwrap();
        std::os::unix::fs::symlink("gone.rhai", scripts.join("gone.rhai")).unwrap();
        for arguments in [
            &["init", "--quiet"][..],
            &["add", "--all"],
            &[
                "-c",
                "user.name=t",
                "-c",
                "user.email=t@example.org",
                "commit",
                "--quiet",
                "-m",
                "first",
            ],
        ] {
            match git(folder.path(), arguments) {
                Ok(output) => assert!(output.status.success(), "{}", words(&output)),
                Err(_) => return,
            }
        }
        let tree = Revision::open(folder.path(), "HEAD")
            .unwrap()
            .tree()
            .unwrap();
        assert_eq!(tree.bytes("scripts/link.rhai"), Some(&b"fn x() { 1 }"[..]));
        for path in ["scripts/out.rhai", "scripts/gone.rhai"] {
            assert!(tree.open(path).unwrap().is_err(), "{path}");
        }
    }

    #[test]
    fn what_is_not_there_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let error = Revision::open(folder.path(), "main").unwrap_err();
        assert!(
            matches!(error, RevisionError::NoRepository(_) | RevisionError::NoGit),
            "{error}"
        );
        let Some(folder) = repository(&[("campanile.toml", "")]) else {
            return;
        };
        for revision in ["nowhere", "", "--help", "a\nb", "main:campanile.toml"] {
            let error = Revision::open(folder.path(), revision).unwrap_err();
            assert!(matches!(error, RevisionError::NoRevision(_)), "{error}");
        }
    }
}
