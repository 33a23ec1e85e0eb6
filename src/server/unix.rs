//! Unix sockets: files that clients on the same machine connect to.
//!
//! The file is there for as long as its listener is. One that a killed broker has left behind is
//! replaced; one that somebody listens on is not, and neither is a file of another kind. Its mode is
//! set before the first client can connect.

use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};

use super::address::{Address, Link};
use super::listener::{Accept, BACKLOG};

/// A Unix socket that is listened on. The file that it has made goes when it is dropped.
#[derive(Debug)]
pub struct UnixSocket {
    listener: UnixListener,
    path: Arc<Path>,
    accepted: u64,
    /// The user that the broker runs as, who therefore owns the file.
    owner: u32,
    _file: Option<SocketFile>,
}

impl UnixSocket {
    /// Listens on a file, with these permissions.
    ///
    /// # Errors
    /// If the file cannot be made, is not a socket, or another program listens on it.
    pub fn bind(path: &Path, mode: u32) -> io::Result<Self> {
        remove_stale(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::unix(path)?)?;
        let file = SocketFile::new(path)?;
        let owner = std::fs::symlink_metadata(path)?.uid();
        // Nobody can connect before `listen`, so nobody is let in by the mode that the umask gave.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        socket.listen(BACKLOG)?;
        let listener = UnixListener::from_std(socket.into())?;
        let (path, file) = (path.into(), Some(file));
        Ok(UnixSocket { listener, path, accepted: 0, owner, _file: file })
    }

    /// A socket that another program has opened. Its file is that program's.
    ///
    /// # Errors
    /// If it cannot be used.
    pub fn adopt(socket: Socket) -> io::Result<Self> {
        let address = socket.local_addr()?;
        let path = address.as_pathname().unwrap_or(Path::new(UNNAMED)).into();
        let owner = std::fs::metadata("/proc/self")?.uid();
        let listener = UnixListener::from_std(socket.into())?;
        Ok(UnixSocket { listener, path, accepted: 0, owner, _file: None })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Accept for UnixSocket {
    type Socket = UnixStream;

    async fn accept(&mut self) -> io::Result<Option<(UnixStream, Link)>> {
        let (socket, _) = self.listener.accept().await?;
        self.accepted += 1;
        let credentials = socket.peer_cred().ok();
        let pid = credentials.and_then(|it| u32::try_from(it.pid()?).ok()).unwrap_or(0);
        let is_operator = credentials.is_some_and(|it| is_operator(it.uid(), self.owner));
        let peer = Address::Process { pid, nth: self.accepted, is_operator };
        let local = Address::File(self.path.clone());
        Ok(Some((socket, Link { peer, local, is_web: false, tls: None })))
    }
}

/// Removes the socket of a broker that is gone.
fn remove_stale(path: &Path) -> io::Result<()> {
    let metadata = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(ErrorKind::AlreadyExists, "the file is not a socket"));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        // A backlog that is full is as much a sign of life as a connection.
        Ok(()) => Err(in_use()),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(in_use()),
        Err(error) => Err(error),
    }
}

fn in_use() -> io::Error {
    io::Error::new(ErrorKind::AddrInUse, "another program listens there")
}

/// The file of a listener.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        let identity = identity(&std::fs::symlink_metadata(path)?);
        Ok(SocketFile { path: path.to_owned(), identity })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have put another socket in its place.
        let found = std::fs::symlink_metadata(&self.path);
        if found.is_ok_and(|metadata| identity(&metadata) == self.identity)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "a socket cannot be removed");
        }
    }
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn is_operator(uid: u32, owner: u32) -> bool {
    uid == owner || uid == ROOT
}

/// Stands for the path of a socket that has none.
const UNNAMED: &str = "(unnamed)";
/// The user who may do everything.
const ROOT: u32 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_has_its_mode_and_goes_with_its_listener() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let socket = UnixSocket::bind(&path, 0o600).unwrap();
        let metadata = std::fs::metadata(&path).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn the_broker_s_own_user_and_root_are_operators_and_nobody_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let mut socket = UnixSocket::bind(&path, 0o600).unwrap();
        let _client = UnixStream::connect(&path).await.unwrap();
        let (_, link) = socket.accept().await.unwrap().unwrap();
        assert!(link.peer.is_operator() && !link.local.is_operator());
        assert!(is_operator(0, 1000) && is_operator(1000, 1000) && !is_operator(1001, 1000));
        assert!(!is_operator(1000, 0));
    }

    #[tokio::test]
    async fn a_file_that_a_killed_broker_left_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        UnixSocket::bind(&path, 0o660).unwrap();
    }

    #[tokio::test]
    async fn a_socket_in_use_and_a_file_of_another_kind_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (path, file) = (folder.path().join("s"), folder.path().join("f"));
        let _live = UnixSocket::bind(&path, 0o660).unwrap();
        assert_eq!(UnixSocket::bind(&path, 0o660).unwrap_err().kind(), ErrorKind::AddrInUse);
        assert!(path.exists());
        std::fs::write(&file, "mine").unwrap();
        assert_eq!(UnixSocket::bind(&file, 0o660).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    }

    #[tokio::test]
    async fn a_listener_leaves_the_socket_of_its_successor() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let first = UnixSocket::bind(&path, 0o660).unwrap();
        std::fs::rename(&path, folder.path().join("old")).unwrap();
        let _second = UnixSocket::bind(&path, 0o660).unwrap();
        drop(first);
        assert!(path.exists());
    }
}
