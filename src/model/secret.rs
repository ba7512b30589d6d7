//! Secrets as files name them. The one place in `model` that reads anything: when a secret is used, never before.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

/// Where a secret is found. The secret itself never stands in a workspace file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// The name of an environment variable.
    Env(String),
    /// A file, relative to the workspace or absolute; line breaks at its end do not count.
    File(PathBuf),
}

impl SecretRef {
    /// Reads the secret; `workspace` is the folder that relative paths start from. The error names where it was looked for.
    pub fn read(&self, workspace: &Path) -> Result<SecretString, String> {
        let text = match self {
            Self::Env(name) => std::env::var(name)
                .map_err(|_| format!("the environment variable {name} is not set"))?,
            Self::File(path) => {
                let path = workspace.join(path);
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| format!("{}: {error}", path.display()))?;
                text.trim_end_matches(['\r', '\n']).to_owned()
            }
        };
        if text.is_empty() {
            Err("the secret is empty".to_owned())
        } else {
            Ok(SecretString::from(text))
        }
    }
}
