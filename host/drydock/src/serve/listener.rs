//! The socket file and the thread that accepts.

use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::client::Clients;
use crate::sched::{self, JoinHandle};

/// A socket that programs connect to. Its file goes with it.
pub(super) struct Listener {
    socket: UnixListener,
    path: PathBuf,
}

impl Listener {
    /// Listens at `path`. A socket file that nobody serves any more is replaced.
    pub(super) fn bind(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let bound = match UnixListener::bind(path) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                let is_socket = std::fs::symlink_metadata(path)
                    .is_ok_and(|metadata| metadata.file_type().is_socket());
                if !is_socket {
                    return Err(format!(
                        "{shown} exists and is no socket: give another path with --socket"
                    ));
                }
                if UnixStream::connect(path).is_ok() {
                    return Err(format!(
                        "another drydock serves at {shown}: stop it, or give another path with --socket"
                    ));
                }
                std::fs::remove_file(path).map_err(|error| {
                    format!("cannot remove the left-over socket {shown}: {error}")
                })?;
                UnixListener::bind(path)
            }
            bound => bound,
        };
        let socket = bound.map_err(|error| match error.kind() {
            ErrorKind::NotFound => format!("cannot listen at {shown}: its folder does not exist"),
            ErrorKind::PermissionDenied => format!("cannot listen at {shown}: its folder is not yours to write"),
            ErrorKind::InvalidInput => {
                format!("cannot listen at {shown}: a socket's path has at most 107 bytes, give a shorter one")
            }
            _ => format!("cannot listen at {shown}: {error}"),
        })?;
        Ok(Self {
            socket,
            path: path.to_owned(),
        })
    }

    /// Accepts programs, in a thread of its own.
    pub(super) fn accept(self, clients: Arc<Clients>) -> Accepting {
        let stopping = Arc::new(AtomicBool::new(false));
        let path = self.path.clone();
        let stop = Arc::clone(&stopping);
        let thread = sched::spawn("listener", move || {
            loop {
                let accepted = sched::blocking(|| self.socket.accept());
                if stop.load(Ordering::Acquire) {
                    break;
                }
                match accepted {
                    Ok((stream, _)) => clients.begin(stream),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    // Out of file descriptors, say: those connected go on.
                    Err(error) => {
                        eprintln!("drydock serve: cannot accept a program: {error}");
                        std::thread::sleep(std::time::Duration::from_millis(100));
                    }
                }
            }
        });
        Accepting {
            stopping,
            path,
            thread,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A listener at work.
pub(super) struct Accepting {
    stopping: Arc<AtomicBool>,
    path: PathBuf,
    thread: JoinHandle,
}

impl Accepting {
    /// Accepts no more and removes the socket.
    pub(super) fn stop(self) {
        self.stopping.store(true, Ordering::Release);
        // Wakes it. When nothing can connect, nothing is being accepted either.
        if UnixStream::connect(&self.path).is_ok() {
            self.thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("drydock-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn refusal(path: &Path) -> String {
        Listener::bind(path)
            .err()
            .expect("the path must be refused")
    }

    #[test]
    fn a_left_over_socket_is_replaced_and_a_served_one_is_not() {
        let path = folder("left-over").join("socket");
        drop(UnixListener::bind(&path).unwrap());
        let listener = Listener::bind(&path).unwrap();
        assert!(
            refusal(&path).contains("another drydock serves"),
            "{}",
            refusal(&path)
        );
        drop(listener);
        assert!(!path.exists());
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_path_that_cannot_be_a_socket_says_why() {
        let folder = folder("bad-path");
        let file = folder.join("file");
        std::fs::write(&file, b"precious").unwrap();
        assert!(refusal(&file).contains("is no socket"));
        assert_eq!(std::fs::read(&file).unwrap(), b"precious");
        assert!(refusal(&folder.join("missing/socket")).contains("folder does not exist"));
        assert!(refusal(&folder.join("x".repeat(120))).contains("at most 107 bytes"));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
