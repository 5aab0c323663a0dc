//! Whose volume it is.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use klatch_settings::dependency::ENV_CLUSTER_ID;

use crate::{DependencyError, error::file, files};

/// Says so, at the volume's root.
const MARK: &str = "klatch-cluster-id";
/// What a volume may hold that is nobody's data: ext4 makes it.
const NOBODYS: &str = "lost+found";

/// The volume that this folder of data is on.
fn root(data: &Path) -> Result<&Path, DependencyError> {
    let wrong = || DependencyError::Wrong(format!("{} is no folder below a volume", data.display()));
    data.parent().filter(|root| root.is_dir()).ok_or_else(wrong)
}

/// Refuses a volume of another cluster, and takes an empty one.
pub(crate) fn claim(data: &Path) -> Result<(), DependencyError> {
    let id = env::var(ENV_CLUSTER_ID).map_err(|_| {
        DependencyError::Wrong(format!("{ENV_CLUSTER_ID} must say which cluster the volume belongs to"))
    })?;
    claim_for(data, &id)
}

fn claim_for(data: &Path, id: &str) -> Result<(), DependencyError> {
    let root = root(data)?;
    let mark: PathBuf = root.join(MARK);
    if mark.exists() {
        let found = files::read(&mark)?;
        if found == id {
            return Ok(());
        }
        return Err(DependencyError::Foreign(format!(
            "this volume belongs to the cluster {found}, and this is {id}: nothing on it was touched. Take it back with the \
             ChatCluster it is from, or give this one another volume"
        )));
    }
    for entry in fs::read_dir(root).map_err(file("list", root))? {
        let name = entry.map_err(file("list", root))?.file_name();
        if name != NOBODYS && !name.to_string_lossy().starts_with(MARK) {
            return Err(DependencyError::Foreign(format!(
                "this volume holds {}, and nothing says whose it is: nothing on it was touched. Give this ChatCluster an empty \
                 volume",
                name.to_string_lossy()
            )));
        }
    }
    files::write_own(&mark, id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_volume_is_taken_and_known_again() {
        let volume = tempfile::tempdir().unwrap();
        fs::create_dir(volume.path().join(NOBODYS)).unwrap();
        let data = volume.path().join("postgres");
        claim_for(&data, "one").unwrap();
        fs::create_dir(&data).unwrap();
        claim_for(&data, "one").unwrap();
        let refused = claim_for(&data, "other").unwrap_err().to_string();
        assert!(
            refused.contains("belongs to the cluster one") && refused.contains("nothing on it was touched"),
            "{refused}"
        );
    }

    #[test]
    fn what_somebody_left_is_not_taken() {
        let volume = tempfile::tempdir().unwrap();
        fs::write(volume.path().join("holiday.jpg"), "").unwrap();
        let refused = claim_for(&volume.path().join("postgres"), "one").unwrap_err().to_string();
        assert!(refused.contains("holiday.jpg"), "{refused}");
        assert!(!volume.path().join(MARK).exists());
    }
}
