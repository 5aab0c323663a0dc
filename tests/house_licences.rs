//! What is linked may be given away: no copyleft that reaches our own code.

use spdx::{Expression, LicenseId, license_id};

use crate::metadata;

const ACCEPTED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

#[test]
fn every_linked_licence_is_accepted() {
    let accepted: Vec<LicenseId> = ACCEPTED.iter().map(|name| license_id(name).expect("an SPDX name")).collect();
    let metadata = metadata();
    for package in &metadata.packages {
        let Some(licence) = &package.license else {
            panic!("{} {} names no licence", package.name, package.version);
        };
        let expression = Expression::parse_mode(licence, spdx::ParseMode::LAX)
            .unwrap_or_else(|error| panic!("{} {}: {licence:?}: {error}", package.name, package.version));
        let good = expression.evaluate(|requirement| requirement.license.id().is_some_and(|id| accepted.contains(&id)));
        assert!(good, "{} {} is under {licence:?}, which we do not link", package.name, package.version);
    }
}
