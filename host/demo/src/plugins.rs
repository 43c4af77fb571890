//! The two plugins of the demonstration: given as components, or built from the sources that this program carries.

use crate::DemoError;
use crate::options::DemoOptions;
use crate::progress::Stage;
use std::path::Path;
use tillhold_env::Env;
use tillhold_toolchain::{Progress, SHIPPED, cache_folder, shipped};

/// Puts every shipped plugin into `folder` as NAME.wasm.
pub(crate) async fn install(
    env: &Env,
    options: &DemoOptions,
    folder: &Path,
    stage: &Stage,
) -> Result<(), DemoError> {
    for name in SHIPPED {
        let target = folder.join(format!("{name}.wasm"));
        let failed = |cause| DemoError::File { path: target.clone(), cause };
        if let Some(given) = options.plugin(name) {
            let component = std::fs::read(&given);
            let component = component.map_err(|cause| DemoError::File { path: given, cause })?;
            std::fs::write(&target, component).map_err(failed)?;
            continue;
        }
        let told = stage.clone();
        let work = move || {
            let mut listener = |progress: Progress| tell(&told, &progress);
            shipped(name, &cache_folder()?, &mut listener)
        };
        let built = env.blocking("demo-plugin", work).await;
        let built = built.ok_or(DemoError::BrokeOff("building a plugin"))??;
        std::fs::write(&target, &built.component).map_err(failed)?;
        stage.line(&format!("plugin {name}: {} bytes, sha256:{}", built.size, &built.digest[..12]));
    }
    Ok(())
}

/// A compiler's own lines are for a log, not for this.
fn tell(stage: &Stage, progress: &Progress) {
    match progress {
        Progress::Begin { what, usual } => {
            stage.line(&format!("{what} (about {} s on a slow machine)", usual.as_secs()));
        }
        Progress::Waiting { what } => stage.line(&format!("waiting for another build of {what}")),
        Progress::Line(_) | Progress::End { .. } => {}
    }
}
