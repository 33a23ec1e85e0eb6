//! The files under the log, as a trait, so that tests can put a disk there that fails.
//!
//! [`FileDisk`] is the real one. Nothing here retries: an error goes up as it came.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

/// A file system with one directory that matters.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Creates a directory and its parents, if they are missing.
    ///
    /// # Errors
    ///
    /// As the system says; so for every method here.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Takes the lock that the file stands for, if nobody has it.
    fn lock(&self, path: &Path) -> io::Result<Lock>;

    /// The names of the files in a directory.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Creates a file, or empties it, and reserves `bytes` that read as zero.
    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file to read and write.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens an existing file for writes past the system's cache: of whole blocks, from memory that
    /// is aligned to blocks. `None` if there is no such way.
    fn open_direct(&self, path: &Path) -> io::Result<Option<Arc<dyn DiskFile>>>;

    /// Gives a file another name, replacing what has it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Bytes that this user may still write to the file system of a directory.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
}

/// An open file, addressed by offset.
pub trait DiskFile: Debug + Send + Sync {
    /// Its length.
    ///
    /// # Errors
    ///
    /// As the system says; so for every method here.
    fn bytes(&self) -> io::Result<u64>;

    /// Reads up to `buffer.len()` bytes; 0 is the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes some of the bytes, as one write, and says how many.
    fn write_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize>;

    /// Returns when everything written is on the disk.
    fn sync(&self) -> io::Result<()>;

    /// As [`sync`](DiskFile::sync), if something was written into space that was only reserved so far.
    ///
    /// That such space is in use is noted in the metadata when the data is there. If an error makes an
    /// ext4 read-only just then, it drops the data, and `fdatasync` reports success all the same (seen
    /// with Linux 6.18). So this asks for a change of the metadata that changes nothing, and is refused
    /// then.
    fn sync_reserved(&self) -> io::Result<()> {
        self.sync()
    }

    /// Sets the length.
    fn truncate(&self, bytes: u64) -> io::Result<()>;
}

/// The outcome of [`Disk::lock`].
#[derive(Debug)]
pub enum Lock {
    /// It is ours until the guard is dropped.
    Ours(Box<dyn LockGuard>),
    /// Another process has it; its id as the file says.
    Theirs(String),
}

/// Keeps a lock while it lives.
pub trait LockGuard: Debug + Send + Sync {}

impl LockGuard for File {}

/// Reads until `buffer` is full or the file ends; gives the number of bytes.
pub(crate) fn read_full(file: &dyn DiskFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Writes all slices, in as few calls as the system allows.
pub(crate) fn write_full(
    file: &dyn DiskFile,
    mut slices: &mut [IoSlice<'_>],
    mut offset: u64,
) -> io::Result<()> {
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        let batch = slices.len().min(SLICES_MAX);
        match file.write_at(&slices[..batch], offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset += written as u64;
                IoSlice::advance_slices(&mut slices, written);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The file system of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileDisk;

impl Disk for FileDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                file.set_len(0)?;
                writeln!(file, "{}", std::process::id())?;
                Ok(Lock::Ours(Box::new(file)))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => theirs(file),
            Err(error) => Err(error.into()),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let names = fs::read_dir(dir)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        Ok(names.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        reserve(&file, bytes)?;
        Ok(Arc::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(OpenOptions::new().read(true).write(true).open(path)?))
    }

    fn open_direct(&self, path: &Path) -> io::Result<Option<Arc<dyn DiskFile>>> {
        let flags = OFlags::RDWR | OFlags::DIRECT | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(file) => Ok(Some(Arc::new(File::from(file)))),
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let system = rustix::fs::statvfs(dir)?;
        Ok(system.f_bavail.saturating_mul(system.f_frsize))
    }
}

/// The file system of the machine, looked at and never changed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ReadOnlyDisk;

/// Nobody has ever locked the directory.
impl LockGuard for () {}

impl Disk for ReadOnlyDisk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::metadata(dir).map(drop)
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Lock::Ours(Box::new(())));
            }
            file => file?,
        };
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(Lock::Ours(Box::new(file))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => theirs(file),
            Err(error) => Err(error.into()),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        FileDisk.list(dir)
    }

    fn create(&self, _path: &Path, _bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(File::open(path)?))
    }

    fn open_direct(&self, _path: &Path) -> io::Result<Option<Arc<dyn DiskFile>>> {
        Ok(None)
    }

    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn remove(&self, _path: &Path) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        FileDisk.free_bytes(dir)
    }
}

/// Who has the lock, as its file says.
fn theirs(file: File) -> io::Result<Lock> {
    let mut pid = String::new();
    file.take(20).read_to_string(&mut pid)?;
    Ok(Lock::Theirs(pid.trim().to_owned()))
}

impl DiskFile for File {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    fn write_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        Ok(rustix::io::pwritev(self, slices, offset)?)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn sync_reserved(&self) -> io::Result<()> {
        self.sync_data()?;
        match rustix::fs::fallocate(self, FallocateFlags::KEEP_SIZE, 0, 1) {
            Ok(()) => Ok(()),
            Err(error) if error == Errno::OPNOTSUPP => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }
}

/// Reserves space, so that a full disk shows here and not in the middle of a record.
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        Err(error) if error == Errno::OPNOTSUPP => file.set_len(bytes),
        Err(error) => Err(error.into()),
    }
}

/// What one vectored write takes: IOV_MAX of Linux.
const SLICES_MAX: usize = 1024;
