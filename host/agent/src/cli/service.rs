//! `tillhold service`: the agent under Windows' service control manager. A stop of the service and a shutdown of the machine are
//! what SIGTERM is elsewhere: what was begun is finished first.

use super::{Done, Settings, run};
use std::ffi::OsString;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;
use tillhold_core::limits;
use tillhold_env::{Env, Locked as _};
use tokio::sync::watch;
use windows_service::service::{
    ServiceControl, ServiceControlAccept, ServiceExitCode, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{
    self, ServiceControlHandlerResult, ServiceStatusHandle,
};
use windows_service::{define_windows_service, service_dispatcher};

/// As `sc.exe create` names it; of a service with a process of its own any name is taken.
const NAME: &str = "Tillhold";
/// How long the manager waits for a stop before it calls the service hung; longer than a sale takes.
const STOP_WAIT: Duration = Duration::from_secs(90);
/// The exit code of a service that failed by itself; the event log shows it.
const FAILED: u32 = 2;

/// The entry point takes no state of ours along, and is called once.
static SETTINGS: OnceLock<Settings> = OnceLock::new();
static RESULT: Mutex<Option<anyhow::Result<Done>>> = Mutex::new(None);

define_windows_service!(entry, serve);

/// Blocks until the service has stopped.
pub fn service(settings: Settings) -> anyhow::Result<Done> {
    // Set twice only if it were called twice.
    let _ = SETTINGS.set(settings);
    service_dispatcher::start(NAME, entry)?;
    RESULT.locked().take().unwrap_or(Ok(Done::No))
}

fn serve(_arguments: Vec<OsString>) {
    let result = SETTINGS.get().map_or(Ok(Done::No), serve_until_stopped);
    *RESULT.locked() = Some(result);
}

fn serve_until_stopped(settings: &Settings) -> anyhow::Result<Done> {
    let (stop, mut stopping) = watch::channel(false);
    let manager = service_control_handler::register(NAME, move |control| match control {
        ServiceControl::Stop | ServiceControl::Shutdown | ServiceControl::Preshutdown => {
            stop.send_replace(true);
            ServiceControlHandlerResult::NoError
        }
        ServiceControl::Interrogate => ServiceControlHandlerResult::NoError,
        _ => ServiceControlHandlerResult::NotImplemented,
    })?;
    tell(&manager, ServiceState::Running, 0)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let told = async {
        // An error would mean that the handler is gone, and with it whoever could stop us otherwise.
        let _ = stopping.wait_for(|stop| *stop).await;
        // A manager that does not listen stops us all the same.
        let _ = tell(&manager, ServiceState::StopPending, 0);
    };
    let result = runtime.block_on(run::run_until(&Env::real(), settings, told));
    // A plugin that loops must not hold the end up.
    runtime.shutdown_timeout(limits::LEFT_BEHIND_END_MAX);
    tell(&manager, ServiceState::Stopped, if result.is_ok() { 0 } else { FAILED })?;
    result
}

fn tell(
    manager: &ServiceStatusHandle,
    state: ServiceState,
    code: u32,
) -> windows_service::Result<()> {
    let accepted = match state {
        ServiceState::Running => ServiceControlAccept::STOP | ServiceControlAccept::PRESHUTDOWN,
        _ => ServiceControlAccept::empty(),
    };
    let is_stopping = state == ServiceState::StopPending;
    manager.set_service_status(ServiceStatus {
        service_type: ServiceType::OWN_PROCESS,
        current_state: state,
        controls_accepted: accepted,
        exit_code: if code == 0 {
            ServiceExitCode::NO_ERROR
        } else {
            ServiceExitCode::ServiceSpecific(code)
        },
        checkpoint: u32::from(is_stopping),
        wait_hint: if is_stopping { STOP_WAIT } else { Duration::ZERO },
        process_id: None,
    })
}
