//! What goes wrong again and again is said once, until it works or goes wrong in another way.

use std::collections::BTreeMap;
use std::sync::Mutex;
use tillhold_env::Locked as _;

/// By what goes wrong, the code that was said.
pub struct SaidOnce<K>(Mutex<BTreeMap<K, &'static str>>);

impl<K> Default for SaidOnce<K> {
    fn default() -> SaidOnce<K> {
        SaidOnce(Mutex::default())
    }
}

impl<K: Ord + Clone> SaidOnce<K> {
    pub fn is_news(&self, of: &K, code: &'static str) -> bool {
        let mut said = self.0.locked();
        said.insert(of.clone(), code) != Some(code)
    }

    pub fn is_over(&self, of: &K) {
        let mut said = self.0.locked();
        if !said.is_empty() {
            said.remove(of);
        }
    }
}
