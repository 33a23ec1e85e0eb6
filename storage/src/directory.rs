//! The data directory: its lock, its identity, and files that are replaced as a whole.
//!
//! ```text
//! LOCK                    locked while a node works here; its process id
//! identity                what the directory is, its format, the node's random id, the engine
//! clean                   there only after a clean stop: where the journal ended
//! %016x.log               segments of the log, named after the position of their first byte
//! %016x.snapshot          snapshots, named after the position whose state they hold
//! sled                    the database of the engine of that name
//! *.tmp                   a file that was being written; removed when the directory is opened
//! ```

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::Error;
use crate::disk::{Disk, DiskFile, Lock, LockGuard, ReadOnlyDisk, read_full, write_full};

#[derive(Debug)]
pub(crate) struct Directory {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// What record checks start from: a digest of the node's random id.
    key: u32,
    next_tmp: AtomicU64,
    lock: Mutex<Option<Box<dyn LockGuard>>>,
}

impl Directory {
    /// Creates or opens the directory for this engine and takes its lock.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        engine: &'static str,
    ) -> Result<Self, Error> {
        let lock = take_lock(disk.as_ref(), dir)?;
        let (dir, next_tmp) = (dir.to_owned(), AtomicU64::new(0));
        let mut directory = Self { disk, dir, key: 0, next_tmp, lock: Mutex::new(Some(lock)) };
        directory.remove_leftovers()?;
        directory.key = directory.identity(engine)?;
        Ok(directory)
    }

    /// Opens a directory that is there, to look at it.
    pub(crate) fn open_read_only(dir: &Path, engine: &'static str) -> Result<Self, Error> {
        let disk = Arc::new(ReadOnlyDisk);
        let lock = Mutex::new(Some(take_lock(disk.as_ref(), dir)?));
        let (dir, next_tmp) = (dir.to_owned(), AtomicU64::new(0));
        let mut directory = Self { disk, dir, key: 0, next_tmp, lock };
        if let Some(text) = directory.read(IDENTITY)? {
            directory.key = directory.parse_identity(&text, engine)?.key();
        }
        Ok(directory)
    }

    /// Lets others have the directory: nothing is written to it any more.
    pub(crate) fn unlock(&self) {
        self.lock.lock().take();
    }

    pub(crate) fn key(&self) -> u32 {
        self.key
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The positions in the names of all files with this suffix, ascending.
    pub(crate) fn positions(&self, suffix: &str) -> Result<Vec<u64>, Error> {
        let names = self.list()?;
        let hex = names.iter().filter_map(|name| name.strip_suffix(suffix));
        let hex = hex.filter(|hex| hex.len() == 16);
        let mut found: Vec<_> = hex.filter_map(|hex| u64::from_str_radix(hex, 16).ok()).collect();
        found.sort_unstable();
        Ok(found)
    }

    /// See [`Storage::free_bytes`](crate::Storage::free_bytes).
    pub(crate) fn free_bytes(&self) -> Result<u64, Error> {
        self.disk.free_bytes(&self.dir).map_err(Error::io("examine", &self.dir))
    }

    pub(crate) fn create(&self, name: &str, bytes: u64) -> Result<Arc<dyn DiskFile>, Error> {
        let path = self.path(name);
        self.disk.create(&path, bytes).map_err(Error::io("create", &path))
    }

    /// The file, or `None` if there is none.
    pub(crate) fn open_file(&self, name: &str) -> Result<Option<Arc<dyn DiskFile>>, Error> {
        let path = self.path(name);
        match self.disk.open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("open", &path)(error)),
        }
    }

    /// As [`Disk::open_direct`].
    pub(crate) fn open_direct(&self, name: &str) -> Result<Option<Arc<dyn DiskFile>>, Error> {
        let path = self.path(name);
        self.disk.open_direct(&path).map_err(Error::io("open", &path))
    }

    /// The whole file, or `None` if there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let Some(file) = self.open_file(name)? else { return Ok(None) };
        let read = || -> io::Result<Vec<u8>> {
            let bytes = usize::try_from(file.bytes()?).map_err(io::Error::other)?;
            let mut buffer = vec![0; bytes];
            let read = read_full(file.as_ref(), &mut buffer, 0)?;
            buffer.truncate(read);
            Ok(buffer)
        };
        read().map(Some).map_err(Error::io("read", &self.path(name)))
    }

    /// Writes a file so that after any crash it is there as a whole or as it was before.
    pub(crate) fn store(&self, name: &str, parts: &[&[u8]]) -> Result<(), Error> {
        let mut draft = self.draft(name)?;
        parts.iter().try_for_each(|part| draft.write(part))?;
        draft.put_in_place()
    }

    /// Begins a file that takes its name when it is whole.
    pub(crate) fn draft(&self, name: &str) -> Result<Draft<'_>, Error> {
        let number = self.next_tmp.fetch_add(1, Ordering::Relaxed);
        let tmp = format!("{name}.{}-{number}.tmp", std::process::id());
        let file = self.create(&tmp, 0).inspect_err(|_| _ = self.remove(&tmp))?;
        Ok(Draft { directory: self, name: name.to_owned(), tmp, file, bytes: 0 })
    }

    /// Removes a file that may be there.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.path(name);
        match self.disk.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Makes created, renamed and removed names durable.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.disk.sync_dir(&self.dir).map_err(Error::io("sync directory", &self.dir))
    }

    /// Where the last run left the journal, if it stopped cleanly.
    pub(crate) fn clean_end(&self) -> Result<Option<u64>, Error> {
        let note = self.read(CLEAN)?;
        Ok(note.and_then(|note| std::str::from_utf8(&note).ok()?.trim().parse().ok()))
    }

    /// Notes that the journal stops cleanly at `end`.
    pub(crate) fn store_clean_end(&self, end: u64) -> Result<(), Error> {
        self.store(CLEAN, &[format!("{end}\n").as_bytes()])
    }

    /// Removes the note: from now on a stop is not clean.
    pub(crate) fn forget_clean_end(&self) -> Result<(), Error> {
        self.remove(CLEAN)?;
        self.sync()
    }

    fn list(&self) -> Result<Vec<String>, Error> {
        self.disk.list(&self.dir).map_err(Error::io("list", &self.dir))
    }

    fn remove_leftovers(&self) -> Result<(), Error> {
        let names = self.list()?;
        names.iter().filter(|name| name.ends_with(".tmp")).try_for_each(|name| self.remove(name))
    }

    /// Reads the identity, or gives the node one; its digest is the key.
    fn identity(&self, engine: &'static str) -> Result<u32, Error> {
        if let Some(text) = self.read(IDENTITY)? {
            let identity = self.parse_identity(&text, engine)?;
            if identity.format < FORMAT {
                tracing::info!(
                    from = identity.format,
                    to = FORMAT,
                    "the data directory is upgraded"
                );
                self.store(IDENTITY, &[identity_text(&identity.node, engine).as_bytes()])?;
            }
            return Ok(identity.key());
        }
        let mut node = [0; 16];
        getrandom::fill(&mut node)
            .map_err(io::Error::other)
            .map_err(Error::io("draw a random identity for", &self.dir))?;
        let node = format!("{:032x}", u128::from_le_bytes(node));
        self.store(IDENTITY, &[identity_text(&node, engine).as_bytes()])?;
        Ok(Identity { format: FORMAT, node }.key())
    }

    fn parse_identity(&self, text: &[u8], engine: &'static str) -> Result<Identity, Error> {
        let path = self.path(IDENTITY);
        let text = std::str::from_utf8(text).unwrap_or_default();
        let value = |name| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let format = value("format").and_then(|format| format.parse::<u32>().ok());
        let (true, Some(format)) = (text.starts_with(IDENTITY_TITLE), format) else {
            return Err(Error::Identity { path });
        };
        if format > FORMAT {
            return Err(Error::NewerFormat { path, found: format, supported: FORMAT });
        }
        let (Some(node), Some(found)) = (value("node"), value("engine")) else {
            return Err(Error::Identity { path });
        };
        if found != engine {
            let (dir, found) = (self.dir.clone(), found.to_owned());
            return Err(Error::OtherEngine { dir, found, configured: engine });
        }
        Ok(Identity { format, node: node.to_owned() })
    }
}

/// What the identity file says.
struct Identity {
    format: u32,
    node: String,
}

impl Identity {
    fn key(&self) -> u32 {
        crc32fast::hash(self.node.as_bytes())
    }
}

fn identity_text(node: &str, engine: &str) -> String {
    format!("{IDENTITY_TITLE}format {FORMAT}\nnode {node}\nengine {engine}\n")
}

/// A file on its way; dropped, it is removed.
pub(crate) struct Draft<'a> {
    directory: &'a Directory,
    name: String,
    tmp: String,
    file: Arc<dyn DiskFile>,
    bytes: u64,
}

impl Draft<'_> {
    /// Adds bytes at the end.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let path = self.directory.path(&self.tmp);
        let written = write_full(self.file.as_ref(), &mut [IoSlice::new(bytes)], self.bytes);
        self.bytes += bytes.len() as u64;
        written.map_err(Error::io("write", &path))
    }

    /// Bytes written.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Gives the file its name, in place of what has it; after any crash one of them is there whole.
    pub(crate) fn put_in_place(mut self) -> Result<(), Error> {
        let directory = self.directory;
        let path = directory.path(&self.tmp);
        self.file.sync().map_err(Error::io("sync", &path))?;
        let name = directory.path(&self.name);
        directory.disk.rename(&path, &name).map_err(Error::io("rename", &path))?;
        self.tmp.clear();
        directory.sync()
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.tmp.is_empty()
            && let Err(error) = self.directory.remove(&self.tmp)
        {
            tracing::warn!(%error, "an unfinished file stays until the next start");
        }
    }
}

fn take_lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn LockGuard>, Error> {
    let taken = disk.create_dir(dir).and_then(|()| disk.lock(&dir.join(LOCK)));
    match taken {
        Ok(Lock::Ours(guard)) => Ok(guard),
        Ok(Lock::Theirs(pid)) => Err(Error::InUse { dir: dir.to_owned(), pid }),
        Err(source) => Err(Error::Directory { dir: dir.to_owned(), source }),
    }
}

/// The newest format of a data directory.
const FORMAT: u32 = 2;

const LOCK: &str = "LOCK";
const IDENTITY: &str = "identity";
const IDENTITY_TITLE: &str = "leveret data directory\n";
const CLEAN: &str = "clean";
