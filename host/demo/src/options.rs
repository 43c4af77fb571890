//! What a person may choose, and how a demonstration ends.

use crate::DemoError;
use crate::generate::SCALE_MAX;
use std::path::PathBuf;

/// More would take hours and prove nothing further.
pub const SALES_MAX: u32 = 20_000;

#[derive(Clone, Debug, Default)]
pub struct DemoOptions {
    /// The program that is started as the agent: the one that runs now.
    pub program: PathBuf,
    pub scale: u32,
    pub seed: u64,
    pub products: Option<PathBuf>,
    pub baskets: Option<PathBuf>,
    /// Kept afterwards; a fresh temporary folder, removed when all went well, if there is none.
    pub folder: Option<PathBuf>,
    pub keep: bool,
    pub sales_online: u32,
    pub sales_offline: u32,
    /// `NAME=FILE` of components that are built already.
    pub plugins: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing lost, nothing twice, both sides alike.
    Holds,
    /// The check found something; the summary says what.
    DoesNotHold,
}

impl DemoOptions {
    pub(crate) fn checked(self) -> Result<DemoOptions, DemoError> {
        let wrong =
            |option: &str, reason: String| DemoError::Option { option: option.to_string(), reason };
        if self.scale == 0 || f64::from(self.scale) > SCALE_MAX {
            return Err(wrong("--scale", format!("is a number from 1 to {SCALE_MAX}")));
        }
        for (option, sales) in
            [("--sales-online", self.sales_online), ("--sales-offline", self.sales_offline)]
        {
            if sales == 0 || sales > SALES_MAX {
                return Err(wrong(option, format!("is a number from 1 to {SALES_MAX}")));
            }
        }
        if let Some(plugin) = self.plugins.iter().find(|plugin| !plugin.contains('=')) {
            return Err(wrong("--plugin", format!("is NAME=FILE, not '{plugin}'")));
        }
        if let Some(folder) = &self.folder
            && folder.read_dir().is_ok_and(|mut entries| entries.next().is_some())
        {
            let reason = format!("{} is not empty: a demonstration begins anew", folder.display());
            return Err(wrong("--folder", reason));
        }
        Ok(self)
    }

    /// The component that `--plugin NAME=FILE` gives.
    pub(crate) fn plugin(&self, name: &str) -> Option<PathBuf> {
        let given = self.plugins.iter().filter_map(|plugin| plugin.split_once('='));
        given.filter(|(given, _)| *given == name).map(|(_, file)| PathBuf::from(file)).next_back()
    }
}

#[cfg(test)]
mod tests {
    use super::DemoOptions;
    use std::path::PathBuf;

    fn options() -> DemoOptions {
        DemoOptions {
            program: PathBuf::from("tillhold"),
            scale: 1,
            seed: 1,
            products: None,
            baskets: None,
            folder: None,
            keep: false,
            sales_online: 1,
            sales_offline: 1,
            plugins: vec!["a=b.wasm".to_string(), "a=c=d.wasm".to_string()],
        }
    }

    #[test]
    fn senseless_options_are_refused_by_name() {
        let full = tempfile::tempdir().expect("a folder");
        std::fs::write(full.path().join("file"), "").expect("a file");
        for (options, name) in [
            (DemoOptions { scale: 0, ..options() }, "--scale"),
            (DemoOptions { sales_offline: 0, ..options() }, "--sales-offline"),
            (DemoOptions { sales_online: 1_000_000, ..options() }, "--sales-online"),
            (DemoOptions { plugins: vec!["a".to_string()], ..options() }, "--plugin"),
            (DemoOptions { folder: Some(full.path().to_path_buf()), ..options() }, "--folder"),
        ] {
            let error = options.checked().expect_err("refused").to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn the_last_component_given_counts() {
        let options = options().checked().expect("sensible");
        assert_eq!(options.plugin("a"), Some(PathBuf::from("c=d.wasm")));
        assert_eq!(options.plugin("b"), None);
    }
}
