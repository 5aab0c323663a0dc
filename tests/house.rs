//! The house rules, held by tests instead of good manners.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use cargo_metadata::{Metadata, MetadataCommand};

mod house_arrows;
mod house_crd;
mod house_licences;
mod house_openapi;
mod house_sources;

/// The resolved graph of what is built here; other platforms' crates are not even fetched.
fn metadata() -> Metadata {
    let options =
        ["--offline", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"].map(str::to_owned).to_vec();
    MetadataCommand::new().other_options(options).exec().expect("cargo metadata")
}
