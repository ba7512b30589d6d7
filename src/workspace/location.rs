//! Where a workspace is, and which of its environments is meant.

use std::path::{Path, PathBuf};

use crate::model::EnvironmentName;

/// A workspace's folder, and the environment whose settings override the others there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The folder with `campanile.toml`.
    pub folder: PathBuf,
    /// `staging`: `campanile.staging.toml` overrides `campanile.toml`. `None`: nothing does.
    pub environment: Option<EnvironmentName>,
}

impl Location {
    /// A workspace as its `campanile.toml` alone says.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            environment: None,
        }
    }

    /// The same workspace in an environment.
    #[must_use]
    pub fn in_environment(mut self, environment: Option<EnvironmentName>) -> Self {
        self.environment = environment;
        self
    }

    /// The name of the file that overrides the settings.
    pub(super) fn override_file(&self) -> Option<String> {
        let environment = self.environment.as_ref()?;
        Some(format!("{OVERRIDE_START}{environment}{OVERRIDE_END}"))
    }
}

/// How the names of files begin and end that override the settings.
const OVERRIDE_START: &str = "campanile.";
const OVERRIDE_END: &str = ".toml";

/// The environment whose settings a file of the workspace's folder holds, if it is such a file.
pub(super) fn environment_of(file: &str) -> Option<EnvironmentName> {
    let name = file.strip_prefix(OVERRIDE_START)?;
    name.strip_suffix(OVERRIDE_END)?.parse().ok()
}

impl From<&Location> for Location {
    fn from(location: &Location) -> Self {
        location.clone()
    }
}

macro_rules! from_folders {
    ($($type:ty),*) => {$(
        impl From<$type> for Location {
            fn from(folder: $type) -> Self {
                Self::new(folder)
            }
        }
    )*};
}
from_folders!(&Path, PathBuf, &PathBuf, &str, String);
