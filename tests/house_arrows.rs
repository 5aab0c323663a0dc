//! A crate exists only to forbid a dependency: here is what each may depend on.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use cargo_metadata::{DependencyKind, Metadata};

use crate::metadata;

/// From crate to the workspace crates it may name in `[dependencies]`. The map in ARCHITECTURE.md tells why.
const ARROWS: &[(&str, &[&str])] = &[
    ("klatch-domain", &[]),
    ("klatch-protocol", &["klatch-domain"]),
    ("klatch-settings", &["klatch-domain"]),
    ("klatch-identity", &["klatch-domain"]),
    ("klatch-store", &["klatch-domain"]),
    ("klatch-bus", &["klatch-domain"]),
    ("klatch-service-kit", &[]),
    (
        "klatch-gateway",
        &["klatch-domain", "klatch-protocol", "klatch-bus", "klatch-identity", "klatch-settings", "klatch-service-kit"],
    ),
    (
        "klatch-message-service",
        &["klatch-domain", "klatch-store", "klatch-bus", "klatch-settings", "klatch-service-kit"],
    ),
    (
        "klatch-notification-service",
        &["klatch-domain", "klatch-store", "klatch-bus", "klatch-identity", "klatch-settings", "klatch-service-kit"],
    ),
    (
        "klatch-api",
        &[
            "klatch-domain",
            "klatch-protocol",
            "klatch-store",
            "klatch-bus",
            "klatch-identity",
            "klatch-settings",
            "klatch-service-kit",
        ],
    ),
    ("klatch-client-sdk", &["klatch-domain", "klatch-protocol"]),
    ("klatch-dependency", &["klatch-settings"]),
    ("klatch-crd", &[]),
    ("klatch-desired", &["klatch-crd", "klatch-settings"]),
    (
        "klatch-controller",
        // Identity alone knows how a signing key is written down, and a day is read in domain's words.
        &["klatch-crd", "klatch-desired", "klatch-service-kit", "klatch-identity", "klatch-domain"],
    ),
    (
        "klatch",
        &[
            "klatch-domain",
            "klatch-protocol",
            "klatch-settings",
            "klatch-identity",
            "klatch-store",
            "klatch-bus",
            "klatch-service-kit",
            "klatch-gateway",
            "klatch-message-service",
            "klatch-notification-service",
            "klatch-api",
            "klatch-client-sdk",
            "klatch-dependency",
            // `klatch plan` says what the operator would do, by the operator's own code. Nothing else below workloads/ names it.
            "klatch-crd",
            "klatch-desired",
        ],
    ),
];

/// Crates that open databases, and who may reach them.
const DATABASE_CRATES: &[&str] = &["rusqlite", "libsqlite3-sys", "sqlx"];
const MAY_REACH_A_DATABASE: &[&str] =
    &["klatch-store", "klatch-message-service", "klatch-notification-service", "klatch-api", "klatch", "klatch-tests"];

/// What a pure crate never reaches: a runtime, a socket, a database.
const PURE: &[&str] = &["klatch-domain", "klatch-protocol"];
const IMPURE: &[&str] = &["tokio", "mio", "hyper", "axum", "reqwest", "rusqlite", "rustix", "parking_lot"];

/// What the operator's pure half never reaches: a client, a runtime, a socket. (What reads CEL brings a lock along.)
const PURE_OPERATOR: &[&str] = &["klatch-crd", "klatch-desired"];
const CLIENT: &[&str] = &[
    "kube-client",
    "kube-runtime",
    "tokio",
    "mio",
    "hyper",
    "hyper-util",
    "tower",
    "axum",
    "reqwest",
    "rusqlite",
    "sqlx",
];

/// The names of everything a package reaches through normal and build dependencies.
fn reach(metadata: &Metadata, package: &str) -> BTreeSet<String> {
    let resolve = metadata.resolve.as_ref().expect("a resolved graph");
    let names: BTreeMap<_, _> = metadata.packages.iter().map(|p| (&p.id, p.name.to_string())).collect();
    let start = metadata.packages.iter().find(|p| *p.name == package).expect("a package of that name");
    let (mut seen, mut open) = (BTreeSet::new(), vec![&start.id]);
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let node = resolve.nodes.iter().find(|node| &node.id == id).expect("a node for every package");
        let normal = node.deps.iter().filter(|d| d.dep_kinds.iter().any(|k| k.kind != DependencyKind::Development));
        open.extend(normal.map(|dependency| &dependency.pkg));
    }
    seen.into_iter().map(|id| names[id].clone()).collect()
}

#[test]
fn dependencies_follow_the_arrows() {
    let metadata = metadata();
    let allowed: BTreeMap<_, BTreeSet<_>> =
        ARROWS.iter().map(|(name, targets)| (*name, targets.iter().copied().collect())).collect();
    for package in metadata.workspace_packages() {
        if *package.name == "klatch-tests" {
            continue;
        }
        let Some(allowed) = allowed.get(package.name.as_str()) else {
            panic!("{} has no arrows: add it to the map in ARCHITECTURE.md and here", package.name);
        };
        let ours = package
            .dependencies
            .iter()
            .filter(|d| d.kind != DependencyKind::Development && d.name.starts_with("klatch"));
        for dependency in ours {
            assert!(
                allowed.contains(dependency.name.as_str()),
                "{} must not know {}: see the map in ARCHITECTURE.md",
                package.name,
                dependency.name
            );
        }
    }
}

#[test]
fn only_the_store_and_who_uses_it_reach_a_database() {
    let metadata = metadata();
    for package in metadata.workspace_packages() {
        if MAY_REACH_A_DATABASE.contains(&package.name.as_str()) {
            continue;
        }
        let reach = reach(&metadata, &package.name);
        for database in DATABASE_CRATES {
            assert!(!reach.contains(*database), "{} reaches {database}: it must not hold a database", package.name);
        }
    }
    assert!(reach(&metadata, "klatch-store").contains("rusqlite"), "this test looks at the wrong names");
}

#[test]
fn pure_crates_reach_no_runtime() {
    let metadata = metadata();
    for package in PURE {
        let reach = reach(&metadata, package);
        for crate_name in IMPURE {
            assert!(!reach.contains(*crate_name), "{package} is pure, and reaches {crate_name}");
        }
    }
}

#[test]
fn the_operators_pure_half_reaches_no_client() {
    let metadata = metadata();
    for package in PURE_OPERATOR {
        let reach = reach(&metadata, package);
        assert!(reach.contains("kube-core"), "this test looks at the wrong names");
        for crate_name in CLIENT {
            assert!(!reach.contains(*crate_name), "{package} decides and does nothing, and reaches {crate_name}");
        }
    }
}

#[test]
fn one_crypto_provider() {
    // `cargo tree` and not the metadata: that one lists what weak features name but nobody turns on.
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--workspace", "--edges", "normal,build", "--prefix", "none"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo tree");
    let tree = String::from_utf8(tree.stdout).expect("names");
    let names: BTreeSet<_> = tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.contains("aws-lc-rs"), "this test looks at the wrong names");
    for unwanted in ["ring", "rsa", "openssl", "openssl-sys", "native-tls"] {
        assert!(!names.contains(unwanted), "{unwanted} came in: aws-lc-rs is the one provider");
    }
}
