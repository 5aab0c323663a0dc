//! The file a backup is: a tar archive (POSIX ustar, so any tar lists and reads it) that begins with `manifest.json`.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, bail};
use klatch_domain::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::failure::Failure;

/// Version of the archive's layout; a reader refuses a newer one.
const FORMAT: u32 = 1;
/// First member of the archive.
const MANIFEST: &str = "manifest.json";
/// Bytes of a manifest: 100 a file, thousands of files.
const MANIFEST_BYTES: u64 = 1024 * 1024;
/// Bytes copied at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// What the archive holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// Layout of the archive.
    format: u32,
    /// The klatch that made it.
    pub(crate) klatch_version: String,
    /// When the copy was taken: everything acknowledged before is in it.
    pub(crate) taken_at: Timestamp,
    /// The files, by their path in the data folder.
    files: BTreeMap<String, FileFacts>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FileFacts {
    bytes: u64,
    /// Of the content, lower case hex.
    sha256: String,
}

impl Manifest {
    /// Bytes of all files together.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }
}

/// Packs every file under `folder` into `out`. The files must not change meanwhile.
pub(super) fn pack(folder: &Path, taken_at: Timestamp, out: impl Write) -> anyhow::Result<Manifest> {
    let mut files = BTreeMap::new();
    for name in files_under(folder)? {
        let facts = facts_of(&folder.join(&name)).with_context(|| format!("cannot read the copy of {name}"))?;
        files.insert(name, facts);
    }
    let manifest = Manifest { format: FORMAT, klatch_version: env!("CARGO_PKG_VERSION").to_owned(), taken_at, files };
    let mut archive = tar::Builder::new(out);
    let text = serde_json::to_vec_pretty(&manifest).context("cannot write the manifest")?;
    let seconds = u64::try_from(taken_at.as_millis() / 1_000).unwrap_or_default();
    append(&mut archive, MANIFEST, text.len() as u64, seconds, text.as_slice())?;
    for (name, facts) in &manifest.files {
        let file = File::open(folder.join(name)).with_context(|| format!("cannot read the copy of {name}"))?;
        append(&mut archive, name, facts.bytes, seconds, file)?;
    }
    archive.finish().context("cannot finish the archive")?;
    Ok(manifest)
}

fn append(
    archive: &mut tar::Builder<impl Write>,
    name: &str,
    bytes: u64,
    seconds: u64,
    content: impl Read,
) -> anyhow::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_mtime(seconds);
    archive.append_data(&mut header, name, content).with_context(|| format!("cannot write {name} into the archive"))
}

/// Paths of all files under a folder, relative to it, with `/` between parts.
fn files_under(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(relative) = open.pop() {
        let path = folder.join(&relative);
        for entry in fs::read_dir(&path).with_context(|| format!("cannot read {}", path.display()))? {
            let entry = entry.with_context(|| format!("cannot read {}", path.display()))?;
            let relative = relative.join(entry.file_name());
            if entry.file_type().with_context(|| format!("cannot read {}", path.display()))?.is_dir() {
                open.push(relative);
            } else {
                found.push(relative.to_str().context("a file name is no UTF-8")?.to_owned());
            }
        }
    }
    Ok(found)
}

fn facts_of(path: &Path) -> io::Result<FileFacts> {
    let mut sum = Sum::new(io::sink());
    io::copy(&mut File::open(path)?, &mut sum)?;
    Ok(sum.facts())
}

/// Counts and hashes what passes.
struct Sum<W> {
    inner: W,
    bytes: u64,
    hash: Sha256,
}

impl<W> Sum<W> {
    fn new(inner: W) -> Self {
        Self { inner, bytes: 0, hash: Sha256::new() }
    }

    fn facts(self) -> FileFacts {
        let hex = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        FileFacts { bytes: self.bytes, sha256: hex }
    }
}

impl<W: Write> Write for Sum<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += written as u64;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Unpacks an archive into an empty folder, every file checked against the manifest and synced. When it fails, the folder
/// holds part of it.
pub(crate) fn unpack(archive: impl Read, folder: &Path) -> anyhow::Result<Manifest> {
    let mut archive = tar::Archive::new(archive);
    let mut entries = archive.entries().context("cannot read the archive")?;
    let mut first = entries.next().ok_or_else(|| no_backup("it is empty"))?.map_err(|_| no_backup("it is no tar"))?;
    let manifest = read_manifest(&mut first)?;
    let mut missing = manifest.files.clone();
    for entry in entries {
        let mut entry = entry.context("the archive is damaged or cut off")?;
        let name = name_of(&entry)?;
        let Some(facts) = missing.remove(&name) else {
            return Err(no_backup(&format!("{name:?} is not in its manifest")).into());
        };
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(no_backup(&format!("{name:?} is no plain file")).into());
        }
        let got = extract(&mut entry, &folder.join(&name)).with_context(|| format!("cannot unpack {name}"))?;
        if got != facts {
            return Err(Failure::local(format!(
                "the backup is damaged: {name} is not what its manifest says; use another backup"
            ))
            .into());
        }
    }
    if let Some(name) = missing.keys().next() {
        return Err(Failure::local(format!("the backup is cut off: {name} is missing; use another backup")).into());
    }
    Ok(manifest)
}

fn read_manifest(entry: &mut tar::Entry<'_, impl Read>) -> anyhow::Result<Manifest> {
    if name_of(entry)? != MANIFEST || entry.size() > MANIFEST_BYTES {
        return Err(no_backup("it does not begin with a manifest").into());
    }
    let mut text = Vec::new();
    entry.take(MANIFEST_BYTES).read_to_end(&mut text).context("the archive is damaged or cut off")?;
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let version: Version = serde_json::from_slice(&text).map_err(|_| no_backup("its manifest is no JSON"))?;
    if version.format > FORMAT {
        return Err(Failure::local(format!(
            "the backup has format {}, this klatch reads up to {FORMAT}; restore it with a newer klatch",
            version.format
        ))
        .into());
    }
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|_| no_backup("its manifest is wrong"))?;
    for name in manifest.files.keys() {
        check_name(name)?;
    }
    Ok(manifest)
}

fn name_of(entry: &tar::Entry<'_, impl Read>) -> anyhow::Result<String> {
    let path = entry.path().map_err(|_| no_backup("a name in it is no path"))?;
    path.to_str().map(str::to_owned).ok_or_else(|| no_backup("a name in it is no UTF-8").into())
}

/// Refuses what would lead out of the folder.
fn check_name(name: &str) -> anyhow::Result<()> {
    let inside = !name.is_empty() && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    if inside { Ok(()) } else { Err(no_backup(&format!("{name:?} leads out of the data folder")).into()) }
}

fn extract(content: &mut impl Read, path: &Path) -> anyhow::Result<FileFacts> {
    let Some(parent) = path.parent() else { bail!("it has no folder") };
    fs::create_dir_all(parent)?;
    let mut sum = Sum::new(File::create_new(path)?);
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = content.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        sum.write_all(&chunk[..read])?;
    }
    sum.inner.sync_all()?;
    Ok(sum.facts())
}

fn no_backup(why: &str) -> Failure {
    Failure::local(format!("this file is no backup of Klatch: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed() -> (tempfile::TempDir, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("keys")).unwrap();
        fs::write(folder.path().join("keys/one"), "secret").unwrap();
        fs::write(folder.path().join("directory.sqlite"), vec![7; 100_000]).unwrap();
        let mut out = Vec::new();
        pack(folder.path(), Timestamp::from_millis(1_000), &mut out).unwrap();
        (folder, out)
    }

    #[test]
    fn what_is_packed_comes_out() {
        let (_folder, archive) = packed();
        let target = tempfile::tempdir().unwrap();
        let manifest = unpack(archive.as_slice(), target.path()).unwrap();
        assert_eq!(manifest.bytes(), 100_006);
        assert_eq!(fs::read(target.path().join("keys/one")).unwrap(), b"secret");
        assert_eq!(fs::read(target.path().join("directory.sqlite")).unwrap(), vec![7; 100_000]);
    }

    #[test]
    fn damage_is_seen_wherever_it_is() {
        let (_folder, archive) = packed();
        let refused = |bytes: &[u8]| {
            let target = tempfile::tempdir().unwrap();
            format!("{:#}", unpack(bytes, target.path()).unwrap_err())
        };
        let mut flipped = archive.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        assert!(refused(&flipped).contains("damaged"));
        for length in (0..archive.len()).step_by(5_000) {
            // A tar ends with empty blocks; without them everything is still there.
            let complete = length + 1_024 >= archive.len();
            assert!(complete || !refused(&archive[..length]).is_empty());
        }
        assert!(refused(b"not a backup").contains("no backup"));
    }

    #[test]
    fn no_name_leads_out() {
        for bad in ["../x", "/etc/x", "a/../../x", "", "."] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        check_name("keys/one").unwrap();
    }

    #[test]
    fn a_newer_format_is_refused_in_words() {
        let manifest = br#"{"format": 2, "something": "new"}"#;
        let mut archive = tar::Builder::new(Vec::new());
        append(&mut archive, MANIFEST, manifest.len() as u64, 0, manifest.as_slice()).unwrap();
        let bytes = archive.into_inner().unwrap();
        let target = tempfile::tempdir().unwrap();
        let refused = unpack(bytes.as_slice(), target.path()).unwrap_err().to_string();
        assert!(refused.contains("newer klatch"), "{refused}");
    }
}
