//! Where images keep a service's programs: the official ones, and those made from Debian.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::DependencyError;

/// Folders of PostgreSQL's programs by major version, as Debian and the official image lay them out.
const POSTGRES: &str = "/usr/lib/postgresql";

/// The folders of `PATH`.
fn path_folders() -> Vec<PathBuf> {
    env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default()
}

fn first_with(program: &'static str, folders: Vec<PathBuf>) -> Result<PathBuf, DependencyError> {
    let found = folders.iter().find(|folder| folder.join(program).is_file());
    found.cloned().ok_or_else(|| DependencyError::NoProgram {
        program,
        looked_in: folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", "),
    })
}

/// The folder of PostgreSQL's programs: of the major version that the volume holds where the image has several, else the newest.
pub(crate) fn postgres(major: Option<u32>) -> Result<PathBuf, DependencyError> {
    let mut versions: Vec<(u32, PathBuf)> = versions(Path::new(POSTGRES));
    versions.sort_by_key(|(version, _)| (Some(*version) == major, *version));
    let mut folders: Vec<_> = versions.into_iter().rev().map(|(_, folder)| folder).collect();
    folders.extend(path_folders());
    first_with("postgres", folders)
}

fn versions(folder: &Path) -> Vec<(u32, PathBuf)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let version = |entry: fs::DirEntry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")));
    entries.flatten().filter_map(version).collect()
}

/// The folder of RabbitMQ's own programs. Not Debian's in /usr/sbin, which refuses every user but its own.
pub(crate) fn rabbitmq() -> Result<PathBuf, DependencyError> {
    let mut folders: Vec<PathBuf> = ["/opt/rabbitmq/sbin", "/usr/lib/rabbitmq/bin"].map(PathBuf::from).to_vec();
    folders.extend(path_folders().into_iter().filter(|folder| folder != Path::new("/usr/sbin")));
    first_with("rabbitmq-server", folders)
}

/// Redis.
pub(crate) fn redis() -> Result<PathBuf, DependencyError> {
    let mut folders = path_folders();
    folders.extend(["/usr/local/bin", "/usr/bin"].map(PathBuf::from));
    Ok(first_with("redis-server", folders)?.join("redis-server"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers_and_not_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["9", "17", "lost+found"] {
            fs::create_dir_all(folder.path().join(name).join("bin")).unwrap();
        }
        let mut found: Vec<_> = versions(folder.path()).into_iter().map(|(version, _)| version).collect();
        found.sort_unstable();
        assert_eq!(found, [9, 17]);
    }

    #[test]
    fn what_is_not_there_is_named_with_where_it_was_looked_for() {
        let refused = first_with("postgres", vec![PathBuf::from("/nowhere")]).unwrap_err().to_string();
        assert!(refused.contains("no postgres") && refused.contains("/nowhere"), "{refused}");
    }
}
