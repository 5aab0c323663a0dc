//! What the operator's account may do, and what it was seen to do.

use std::collections::BTreeSet;

use serde_json::Value;

use super::audit::Request;

/// The chart's account.
pub const ACCOUNT: &str = "system:serviceaccount:klatch:klatch-operator";

/// Group, resource, verb.
pub type Right = (String, String, String);

/// What the rules of roles say.
///
/// # Panics
/// When one is no role.
#[must_use]
pub fn granted<'a>(roles: impl IntoIterator<Item = &'a Value>) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    for rule in roles.into_iter().flat_map(|role| role["rules"].as_array().expect("a role")) {
        let texts = |field: &str| {
            let texts = rule[field].as_array().expect("a rule").iter();
            texts.map(|text| text.as_str().expect("a text").to_owned())
        };
        for group in texts("apiGroups") {
            for resource in texts("resources") {
                rights.extend(texts("verbs").map(|verb| (group.clone(), resource.clone(), verb)));
            }
        }
    }
    rights
}

/// What the account asked for, of the requests that count. An apply that makes an object takes the right to create it, too.
#[must_use]
pub fn used(requests: &[Request], counts: impl Fn(&Request) -> bool) -> BTreeSet<Right> {
    let ours = requests.iter().filter(|one| one.user == ACCOUNT && counts(one));
    let right = |one: &Request, verb: &str| (one.group.clone(), one.resource.clone(), verb.to_owned());
    let of = |one: &Request| {
        let created = (one.verb == "patch" && one.status == 201).then(|| right(one, "create"));
        [Some(right(one, &one.verb)), created].into_iter().flatten().collect::<Vec<_>>()
    };
    ours.flat_map(of).collect()
}

/// The account was refused nothing.
///
/// # Panics
/// When it was, with what.
pub fn check_nothing_was_refused(requests: &[Request]) {
    let refused: Vec<_> = requests.iter().filter(|one| one.user == ACCOUNT && one.status == 403).collect();
    assert!(refused.is_empty(), "the chart grants too little: {refused:#?}");
}
