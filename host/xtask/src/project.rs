//! Where things are: every path of the repository and of its build results.

use std::path::{Path, PathBuf};

/// The repository and the folders its builds write to.
#[derive(Debug, Clone)]
pub struct Project {
    root: PathBuf,
}

impl Project {
    /// The repository this command was run in.
    ///
    /// What cargo says now, before what it said when this binary was built: a build folder may have been copied from elsewhere.
    pub fn here() -> Self {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let root = manifest.ancestors().nth(2).unwrap_or(&manifest);
        Self {
            root: root.to_path_buf(),
        }
    }

    /// A copy of the repository in another folder.
    pub fn at(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
        }
    }

    /// The top folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file or folder named relative to the top folder.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Finished driver images.
    pub fn images(&self) -> PathBuf {
        self.path("target/images")
    }

    /// What the cross kit generates and compiles.
    pub fn cross_target(&self) -> PathBuf {
        self.path("target/cross")
    }
}
