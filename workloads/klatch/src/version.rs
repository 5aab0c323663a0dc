//! `klatch version`.

/// Version, and the commit when the build was told it (`KLATCH_COMMIT` in the environment of cargo).
pub(crate) fn describe() -> String {
    let version = env!("CARGO_PKG_VERSION");
    match option_env!("KLATCH_COMMIT") {
        Some(commit) if !commit.is_empty() => format!("klatch {version} ({commit})"),
        _ => format!("klatch {version}"),
    }
}
