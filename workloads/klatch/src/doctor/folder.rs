//! The data folder.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use klatch_store::sqlite::FileReport;
use rustix::fs::{Access, access, statvfs};

use super::finding::Finding;
use crate::{
    stores,
    up::lock::{Holder, KEYS_FOLDER, LOCK_FILE, check_content},
};

/// Below this a write-ahead log can fill the disk within minutes of a busy room.
const LITTLE_SPACE: u64 = 1024 * 1024 * 1024;
/// Below this a checkpoint may not fit.
const NO_SPACE: u64 = 64 * 1024 * 1024;

pub(super) async fn look(data: &Path, held: Holder) -> Vec<Finding> {
    let metadata = match fs::metadata(data) {
        Ok(metadata) if metadata.is_dir() => metadata,
        Ok(_) => return vec![Finding::fail("data_folder", format!("{} is a file", data.display()), OTHER_FOLDER)],
        Err(error) if error.kind() == io::ErrorKind::NotFound => return vec![not_there(data)],
        Err(error) => return vec![Finding::fail("data_folder", format!("{}: {error}", data.display()), OTHER_FOLDER)],
    };
    if let Err(error) = check_content(data) {
        return vec![Finding::fail("data_folder", format!("{error:#}"), OTHER_FOLDER)];
    }
    let mut findings = vec![permissions(data, metadata.permissions().mode()), space(data), lock(held)];
    if data.join(LOCK_FILE).exists() {
        findings.extend(keys(data));
        findings.extend(stores::examine(data).await.into_iter().map(database));
    }
    findings
}

const OTHER_FOLDER: &str = "give --data another folder";

fn not_there(data: &Path) -> Finding {
    let parent = data.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match access(parent, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Finding::ok("data_folder", format!("{} is not there yet; 'klatch up' makes it", data.display())),
        Err(error) => Finding::fail(
            "data_folder",
            format!("{} cannot be made: {}: {error}", data.display(), parent.display()),
            OTHER_FOLDER,
        ),
    }
}

fn permissions(data: &Path, mode: u32) -> Finding {
    if let Err(error) = access(data, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
        return Finding::fail(
            "data_folder",
            format!("{} cannot be written: {error}", data.display()),
            "run klatch as the user that owns the folder",
        );
    }
    if mode & 0o077 != 0 {
        return Finding::warn(
            "data_folder",
            format!("{} has mode {:o}: other users of this machine can look into it", data.display(), mode & 0o777),
            format!("chmod 700 {}", data.display()),
        );
    }
    Finding::ok("data_folder", format!("{} is there, for its owner only", data.display()))
}

fn space(data: &Path) -> Finding {
    let free = match statvfs(data) {
        Ok(facts) => facts.f_bavail.saturating_mul(facts.f_frsize),
        Err(error) => return Finding::warn("disk_space", format!("unknown: {error}"), "look with 'df'"),
    };
    let detail = format!("{} MB free", free / 1_000_000);
    let advice = "free some: a full disk stops messages from being stored (nothing acknowledged is lost by it)";
    match free {
        ..NO_SPACE => Finding::fail("disk_space", detail, advice),
        NO_SPACE..LITTLE_SPACE => Finding::warn("disk_space", detail, advice),
        _ => Finding::ok("disk_space", detail),
    }
}

fn lock(held: Holder) -> Finding {
    Finding::ok(
        "lock",
        match held {
            Holder::Nobody => "nobody uses the data folder".to_owned(),
            Holder::Process(Some(pid)) => format!("in use by the klatch with pid {pid}"),
            Holder::Process(None) => "in use by another klatch".to_owned(),
        },
    )
}

/// A signing key that others can read lets them sign in as anyone.
fn keys(data: &Path) -> Option<Finding> {
    let folder = data.join(KEYS_FOLDER);
    let entries = fs::read_dir(&folder).ok()?;
    let open = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        (fs::metadata(&path).ok()?.mode() & 0o077 != 0).then_some(path)
    });
    let open: Vec<_> = open.map(|path| path.display().to_string()).collect();
    Some(if open.is_empty() {
        Finding::ok("keys", "readable by their owner only")
    } else {
        Finding::fail(
            "keys",
            format!("others can read the signing keys: {}", open.join(", ")),
            format!("chmod 600 {}; whoever read them can act as any user", open.join(" ")),
        )
    })
}

fn database(report: FileReport) -> Finding {
    let FileReport { name, outcome } = report;
    match outcome {
        Ok(schema) => Finding::ok("database", format!("{name} is whole (schema {schema})")),
        Err(error) => Finding::fail(
            "database",
            format!("{name}: {error}"),
            "if it is damaged, restore the newest backup into a new folder with 'klatch restore'",
        ),
    }
}
