//! The front door at a Unix socket, beside the loopback address.
//!
//! 1. What lies at the path is looked at: a socket at which someone answers, or anything but a socket, is left alone.
//! 2. The socket is made beside it under another name and given its rights, before anyone can know it.
//! 3. It is renamed into place, over one that an agent left behind when it was killed.

use super::DoorError;
use crate::settings::register_file::SocketPlace;
#[cfg(unix)]
pub use unix::Socket;

#[cfg(unix)]
mod unix {
    use super::{DoorError, SocketPlace};
    use std::fs::{self, Permissions};
    use std::io::{self, ErrorKind};
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
    use std::path::{Path, PathBuf};
    use tokio::net::{UnixListener, UnixStream};

    /// Bound; its file goes when it is dropped.
    pub struct Socket {
        pub listener: UnixListener,
        _file: File,
    }

    struct File(PathBuf);

    impl Drop for File {
        fn drop(&mut self) {
            // Gone already, then.
            let _ = fs::remove_file(&self.0);
        }
    }

    impl Socket {
        pub async fn bind(place: &SocketPlace) -> Result<Socket, DoorError> {
            let at = place.path.display().to_string();
            let wrong = |cause| DoorError::Socket { at: at.clone(), cause };
            vacate(&place.path).await.map_err(wrong)?;
            Socket::make(place).map_err(wrong)
        }

        fn make(place: &SocketPlace) -> io::Result<Socket> {
            let mut name = place.path.file_name().unwrap_or_default().to_os_string();
            name.push(".new");
            let new = place.path.with_file_name(name);
            match fs::remove_file(&new) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(&new)?;
            let rights = if place.is_for_group { 0o660 } else { 0o600 };
            fs::set_permissions(&new, Permissions::from_mode(rights))?;
            fs::rename(&new, &place.path)?;
            Ok(Socket { listener, _file: File(place.path.clone()) })
        }

        /// The listener, and what removes its file once that is dropped.
        pub fn parts(self) -> (UnixListener, impl Drop) {
            (self.listener, self._file)
        }
    }

    /// Whether the place is free, or a socket lies there at which nobody listens any more.
    async fn vacate(path: &Path) -> io::Result<()> {
        let found = match fs::symlink_metadata(path) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if !found.file_type().is_socket() {
            return Err(io::Error::new(ErrorKind::AlreadyExists, "a file that is no socket"));
        }
        match UnixStream::connect(path).await {
            Ok(_) => Err(io::Error::new(ErrorKind::AddrInUse, "another program listens there")),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Elsewhere the settings refuse a socket before it comes to this.
#[cfg(not(unix))]
pub struct Socket;

#[cfg(not(unix))]
impl Socket {
    pub async fn bind(place: &SocketPlace) -> Result<Socket, DoorError> {
        let cause = std::io::ErrorKind::Unsupported.into();
        Err(DoorError::Socket { at: place.path.display().to_string(), cause })
    }
}
