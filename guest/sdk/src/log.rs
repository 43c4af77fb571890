//! Lines for the operator: the only thing that a plugin may ask of its host. At most 100 a batch, each at most 1,024
//! bytes; never personal data. In a test on the author's own machine they go to standard error.

pub fn info(line: &str) {
    write(false, line);
}

pub fn warning(line: &str) {
    write(true, line);
}

#[cfg(target_arch = "wasm32")]
fn write(is_warning: bool, line: &str) {
    use crate::generated::transformer::tillhold::plugin::log::{Level, write};
    write(if is_warning { Level::Warning } else { Level::Info }, line);
}

#[cfg(not(target_arch = "wasm32"))]
fn write(is_warning: bool, line: &str) {
    eprintln!("{}: {line}", if is_warning { "warning" } else { "info" });
}

/// A panic becomes the plugin's last words, which the host puts beside the trap. Without it a panic is mute.
#[doc(hidden)]
pub fn speak_when_panicking() {
    #[cfg(target_arch = "wasm32")]
    std::panic::set_hook(Box::new(|panic| warning(&panic.to_string())));
}
