//! A disk in memory that fails on request and forgets what was not synced: for tests only.
//!
//! Every file has two contents: what the system shows, and what is on the platter. A power cut
//! keeps, of each file, any subset of the sectors that were written and not synced, and of the
//! directory any prefix of the changes that were not synced. What it keeps is drawn from a seed.
//! Every clone is the
//! same disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::disk::{Disk, DiskFile, Lock, LockGuard};

/// The platter and the handle to its faults; [`mount`](FaultyDisk::mount) gives the disk.
#[derive(Debug, Clone)]
pub struct FaultyDisk(Arc<Mutex<World>>);

/// The disk as a process sees it that was started after the last crash, until the next one.
#[derive(Debug, Clone)]
struct Mounted {
    world: Arc<Mutex<World>>,
    life: u64,
}

/// What goes wrong, until the next [`power_cut`](FaultyDisk::power_cut) or
/// [`kill`](FaultyDisk::kill).
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// After so many changes the machine is off: the last one may be done in part.
    pub off_after: Option<u64>,
    /// How many more syncs of files succeed.
    pub syncs_left: Option<u64>,
    /// Reads fail.
    pub reads_fail: bool,
    /// Reads of the files with this in their path fail.
    pub reads_fail_of: Option<String>,
    /// Whatever changes something fails like this.
    pub changes_fail: Option<ErrorKind>,
    /// Bytes that the disk holds; behind it, it is full.
    pub capacity: Option<u64>,
    /// What the disk says that it has free, whatever is true.
    pub free_bytes: Option<u64>,
    /// Writes take fewer bytes than they are given, and are interrupted.
    pub short_writes: bool,
    /// Direct writes are refused.
    pub no_direct_writes: bool,
    /// Syncs wait until this is false again.
    pub syncs_wait: bool,
    /// Syncs take this long.
    pub sync_takes: std::time::Duration,
}

#[derive(Debug)]
struct World {
    faults: Faults,
    /// Grows with every crash; handles of an earlier life are dead.
    life: u64,
    seed: u64,
    files: Vec<Content>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    unsynced_names: Vec<(PathBuf, Option<usize>)>,
    locks: BTreeSet<PathBuf>,
    syncs: u64,
}

#[derive(Debug, Default)]
struct Content {
    shown: Vec<u8>,
    platter: Vec<u8>,
    dirty: BTreeSet<usize>,
}

impl FaultyDisk {
    /// An empty disk without faults.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(World {
            faults: Faults::default(),
            life: 0,
            seed,
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            unsynced_names: Vec::new(),
            locks: BTreeSet::new(),
            syncs: 0,
        })))
    }

    /// The disk for a process that starts now. After a crash it only gives errors.
    #[must_use]
    pub fn mount(&self) -> Arc<dyn Disk> {
        let life = self.0.lock().life;
        Arc::new(Mounted { world: Arc::clone(&self.0), life })
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.0.lock().faults = faults;
    }

    /// The machine loses power and is started again: faults are gone, and so is what the seed says
    /// of everything that was not synced.
    pub fn power_cut(&self) {
        let mut world = self.0.lock();
        world.next_life();
        let changes = std::mem::take(&mut world.unsynced_names);
        let kept = world.below(changes.len() as u64 + 1) as usize;
        for (path, file) in changes.into_iter().take(kept) {
            set_name(&mut world.durable_names, path, file);
        }
        world.names = world.durable_names.clone();
        for index in 0..world.files.len() {
            let odds = [0, 10, 50, 90, 100][world.below(5) as usize];
            let content = &world.files[index];
            let dirty: Vec<_> = content.dirty.iter().copied().collect();
            let kept = dirty.into_iter().filter(|_| world.below(100) < odds).collect();
            let resized = world.below(100) < odds.max(50);
            world.files[index].lose(&kept, resized);
        }
    }

    /// The process is killed: the system still has everything that was written.
    pub fn kill(&self) {
        self.0.lock().next_life();
    }

    /// The names of the files, as the system shows them.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.0.lock().names.keys().cloned().collect()
    }

    /// Changes the content of a file behind everybody's back.
    ///
    /// # Panics
    ///
    /// If there is no such file.
    pub fn edit(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut world = self.0.lock();
        let index = *world.names.get(path).expect("the test names a file that is there");
        let content = &mut world.files[index];
        change(&mut content.shown);
        content.platter = content.shown.clone();
        content.dirty.clear();
    }

    /// Puts a file there behind everybody's back.
    pub fn put(&self, path: &Path, content: Vec<u8>) {
        let mut world = self.0.lock();
        let index = world.add(path);
        world.files[index] =
            Content { shown: content.clone(), platter: content, dirty: BTreeSet::new() };
        world.durable_names.insert(path.to_owned(), index);
    }

    /// Removes a file behind everybody's back.
    pub fn lose_file(&self, path: &Path) {
        let mut world = self.0.lock();
        world.names.remove(path);
        world.durable_names.remove(path);
    }

    /// How many times a file was synced.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.0.lock().syncs
    }
}

impl Mounted {
    /// The world, unless the machine is off.
    fn world(&self) -> io::Result<MutexGuard<'_, World>> {
        let world = self.world.lock();
        let off = self.life != world.life || world.faults.off_after == Some(0);
        if off { Err(io::Error::other("the machine is off")) } else { Ok(world) }
    }

    /// The world, if it may be changed.
    fn changing(&self) -> io::Result<MutexGuard<'_, World>> {
        let world = self.world()?;
        match world.faults.changes_fail {
            Some(kind) => Err(kind.into()),
            None => Ok(world),
        }
    }

    fn file(&self, index: usize) -> Arc<dyn DiskFile> {
        Arc::new(FaultyFile { disk: self.clone(), index, is_direct: false })
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        let world = self.world()?;
        world.names.get(path).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }
}

impl World {
    /// Counts a change; the machine may be off behind it.
    fn step(&mut self) {
        if let Some(left) = &mut self.faults.off_after {
            *left -= 1;
        }
    }

    fn change_name(&mut self, path: &Path, file: Option<usize>) {
        set_name(&mut self.names, path.to_owned(), file);
        self.unsynced_names.push((path.to_owned(), file));
    }

    fn next_life(&mut self) {
        self.life += 1;
        self.faults = Faults::default();
        self.locks.clear();
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// A new file.
    fn add(&mut self, path: &Path) -> usize {
        self.files.push(Content::default());
        let index = self.files.len() - 1;
        self.change_name(path, Some(index));
        index
    }

    /// Leaves at least `least` of the bytes.
    fn shorten(&mut self, bytes: &mut Vec<u8>, least: u64) {
        let len = least + self.below(bytes.len() as u64 + 1 - least);
        bytes.truncate(len as usize);
    }

    fn reserve(&self, bytes: u64) -> io::Result<()> {
        let full = self.faults.capacity.is_some_and(|capacity| self.used() + bytes > capacity);
        if full { Err(ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn used(&self) -> u64 {
        self.names.values().map(|index| self.files[*index].shown.len() as u64).sum()
    }

    /// Whether the reads of a file fail.
    fn is_unreadable(&self, index: usize) -> bool {
        let named = |part: &String| {
            let mut names = self.names.iter().filter(|(_, file)| **file == index);
            names.any(|(path, _)| path.to_string_lossy().contains(part.as_str()))
        };
        self.faults.reads_fail || self.faults.reads_fail_of.as_ref().is_some_and(named)
    }
}

impl Content {
    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if end > self.shown.len() {
            self.shown.resize(end, 0);
        }
        self.shown[offset..end].copy_from_slice(bytes);
        self.dirty.extend(offset / SECTOR_BYTES..=(end.max(1) - 1) / SECTOR_BYTES);
    }

    fn sync(&mut self) {
        self.platter.clone_from(&self.shown);
        self.dirty.clear();
    }

    /// What the platter has after a power cut.
    fn lose(&mut self, kept: &BTreeSet<usize>, resized: bool) {
        if resized {
            self.platter.resize(self.shown.len(), 0);
        }
        for sector in kept {
            let start = sector * SECTOR_BYTES;
            let end = (start + SECTOR_BYTES).min(self.platter.len()).min(self.shown.len());
            if start < end {
                self.platter[start..end].copy_from_slice(&self.shown[start..end]);
            }
        }
        self.shown.clone_from(&self.platter);
        self.dirty.clear();
    }
}

impl Disk for Mounted {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        self.world().map(drop)
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        if !self.world()?.locks.insert(path.to_owned()) {
            return Ok(Lock::Theirs("1".to_owned()));
        }
        Ok(Lock::Ours(Box::new(FaultyLock { disk: self.clone(), path: path.to_owned() })))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let world = self.world()?;
        let inside = world.names.keys().filter_map(|path| path.strip_prefix(dir).ok());
        Ok(inside.filter_map(|name| Some(name.to_str()?.to_owned())).collect())
    }

    fn create(&self, path: &Path, bytes: u64) -> io::Result<Arc<dyn DiskFile>> {
        let mut world = self.changing()?;
        world.step();
        let index = world.names.get(path).copied().unwrap_or_else(|| world.add(path));
        world.files[index].shown.clear();
        world.reserve(bytes)?;
        let content = &mut world.files[index];
        content.shown.resize(bytes as usize, 0);
        content.dirty.extend(0..content.platter.len().div_ceil(SECTOR_BYTES));
        drop(world);
        Ok(self.file(index))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.find(path).map(|index| self.file(index))
    }

    fn open_direct(&self, path: &Path) -> io::Result<Option<Arc<dyn DiskFile>>> {
        let (disk, index) = (self.clone(), self.find(path)?);
        Ok(Some(Arc::new(FaultyFile { disk, index, is_direct: true })))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let index = self.find(from)?;
        let mut world = self.changing()?;
        world.step();
        world.change_name(to, Some(index));
        world.change_name(from, None);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.find(path)?;
        let mut world = self.changing()?;
        world.step();
        world.change_name(path, None);
        Ok(())
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        let world = self.world()?;
        let capacity = world.faults.capacity.unwrap_or(u64::MAX);
        Ok(world.faults.free_bytes.unwrap_or(capacity.saturating_sub(world.used())))
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        let mut world = self.changing()?;
        world.step();
        world.durable_names = world.names.clone();
        world.unsynced_names.clear();
        Ok(())
    }
}

#[derive(Debug)]
struct FaultyLock {
    disk: Mounted,
    path: PathBuf,
}

impl LockGuard for FaultyLock {}

impl Drop for FaultyLock {
    fn drop(&mut self) {
        let mut world = self.disk.world.lock();
        if world.life == self.disk.life {
            world.locks.remove(&self.path);
        }
    }
}

#[derive(Debug)]
struct FaultyFile {
    disk: Mounted,
    index: usize,
    /// It takes whole blocks only, from memory that is aligned to blocks.
    is_direct: bool,
}

impl FaultyFile {
    fn takes(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<bool> {
        let is_whole = |number: usize| number.is_multiple_of(BLOCK_BYTES);
        let is_aligned =
            |slice: &IoSlice<'_>| is_whole(slice.len()) && is_whole(slice.as_ptr() as usize);
        let is_refused = self.disk.world()?.faults.no_direct_writes;
        let is_direct = is_whole(offset as usize) && slices.iter().all(is_aligned);
        Ok(!self.is_direct || (is_direct && !is_refused))
    }
}

impl DiskFile for FaultyFile {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.disk.world()?.files[self.index].shown.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let world = self.disk.world()?;
        if world.is_unreadable(self.index) {
            return Err(io::Error::other("the disk cannot be read"));
        }
        let bytes = world.files[self.index].shown.get(offset as usize..).unwrap_or_default();
        let len = bytes.len().min(buffer.len());
        buffer[..len].copy_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn write_at(&self, slices: &[IoSlice<'_>], offset: u64) -> io::Result<usize> {
        if !self.takes(slices, offset)? {
            return Err(ErrorKind::InvalidInput.into());
        }
        let mut bytes = slices.iter().map(|slice| &**slice).collect::<Vec<_>>().concat();
        let mut world = self.disk.changing()?;
        if world.faults.short_writes {
            if world.below(4) == 0 {
                return Err(ErrorKind::Interrupted.into());
            }
            let unit = if self.is_direct { BLOCK_BYTES } else { 1 };
            world.shorten(&mut bytes, unit as u64);
            bytes.truncate(bytes.len() / unit * unit);
        }
        world.step();
        if world.faults.off_after == Some(0) {
            world.shorten(&mut bytes, 0);
        }
        let shown = world.files[self.index].shown.len() as u64;
        world.reserve((offset + bytes.len() as u64).saturating_sub(shown))?;
        world.files[self.index].write(&bytes, offset as usize);
        Ok(bytes.len())
    }

    fn sync(&self) -> io::Result<()> {
        while self.disk.world()?.faults.syncs_wait {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let takes = self.disk.world()?.faults.sync_takes;
        if !takes.is_zero() {
            std::thread::sleep(takes);
        }
        let mut world = self.disk.world()?;
        world.step();
        if world.faults.syncs_left == Some(0) {
            // As Linux does: the error is told once, and what it hit is clean but not on the disk.
            world.files[self.index].dirty.clear();
            return Err(io::Error::other("the disk cannot sync"));
        }
        if let Some(left) = &mut world.faults.syncs_left {
            *left -= 1;
        }
        world.syncs += 1;
        world.files[self.index].sync();
        Ok(())
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        let mut world = self.disk.changing()?;
        world.step();
        world.files[self.index].shown.resize(bytes as usize, 0);
        Ok(())
    }
}

fn set_name(names: &mut BTreeMap<PathBuf, usize>, path: PathBuf, file: Option<usize>) {
    match file {
        Some(index) => names.insert(path, index),
        None => names.remove(&path),
    };
}

const SECTOR_BYTES: usize = 512;

/// What direct writes are made of.
const BLOCK_BYTES: usize = 4096;
