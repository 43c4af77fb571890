//! The folder of a run: given and kept, or temporary and removed when all went well.

use crate::DemoError;
use crate::options::DemoOptions;
use crate::progress::Stage;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub(crate) enum Place {
    Given(PathBuf),
    Temporary(TempDir),
}

impl Place {
    pub(crate) fn of(options: &DemoOptions) -> Result<Place, DemoError> {
        match &options.folder {
            Some(folder) => {
                crate::register::make_folder(folder)?;
                let whole = folder.canonicalize();
                whole
                    .map(Place::Given)
                    .map_err(|cause| DemoError::File { path: folder.clone(), cause })
            }
            None => tempfile::Builder::new()
                .prefix("tillhold-demo-")
                .tempdir()
                .map(Place::Temporary)
                .map_err(|cause| DemoError::File { path: std::env::temp_dir(), cause }),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Place::Given(path) => path,
            Place::Temporary(folder) => folder.path(),
        }
    }

    /// A run that went wrong leaves its files for a look.
    pub(crate) fn leave(self, keep: bool, stage: &Stage) {
        let is_empty = self.path().read_dir().is_ok_and(|mut entries| entries.next().is_none());
        if keep && !is_empty {
            let path = match self {
                Place::Given(path) => path,
                Place::Temporary(folder) => folder.keep(),
            };
            stage.line(&format!("its files stay in {}", path.display()));
        }
    }
}
