//! Label selectors as autoscalers write them into a query
//! (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>).

use std::collections::{BTreeMap, BTreeSet};

/// What labels must be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    /// Whether the rest must hold, or must not.
    holds: bool,
    /// One of these; `None`: whatever it is.
    values: Option<BTreeSet<String>>,
}

impl Selector {
    /// Reads one. `None`: it is none.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let parts = split(text).into_iter().filter(|part| !part.is_empty());
        parts.map(requirement).collect::<Option<_>>().map(Self)
    }

    /// Whether labels are so.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|one| {
            let there = labels.get(&one.key);
            let is = there.is_some_and(|value| one.values.as_ref().is_none_or(|values| values.contains(value)));
            is == one.holds
        })
    }
}

/// At commas, but for those within brackets.
fn split(text: &str) -> Vec<&str> {
    let mut inside = false;
    text.split(|letter| {
        inside = (inside || letter == '(') && letter != ')';
        letter == ',' && !inside
    })
    .map(str::trim)
    .collect()
}

fn requirement(text: &str) -> Option<Requirement> {
    let of = |key: &str, holds, values: Option<BTreeSet<String>>| {
        let key = key.trim();
        let known = |letter: u8| letter.is_ascii_alphanumeric() || b"-_./".contains(&letter);
        let is_key = !key.is_empty() && key.bytes().all(known);
        is_key.then(|| Requirement { key: key.to_owned(), holds, values })
    };
    let one = |value: &str| Some([value.trim().to_owned()].into());
    let set = |rest: &str| {
        let inner = rest.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some(inner.split(',').map(|value| value.trim().to_owned()).collect::<BTreeSet<_>>())
    };
    if let Some((key, values)) = text.split_once(" notin ") {
        return of(key, false, Some(set(values)?));
    }
    if let Some((key, values)) = text.split_once(" in ") {
        return of(key, true, Some(set(values)?));
    }
    if let Some((key, value)) = text.split_once("!=") {
        return of(key, false, one(value));
    }
    if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return of(key, true, one(value));
    }
    match text.strip_prefix('!') {
        Some(key) => of(key, false, None),
        None => of(text, true, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        let labels =
            [("app", "chat"), ("part", "gateway")].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        for (text, matches) in [
            ("", true),
            ("app=chat", true),
            ("app==chat,part=gateway", true),
            ("app=chat,part=api", false),
            ("app!=chat", false),
            ("other!=chat", true),
            ("app", true),
            ("!app", false),
            ("!other,app", true),
            ("part in (api, gateway),app", true),
            ("part in (api)", false),
            ("part notin (api,redis)", true),
            ("other notin (api)", true),
        ] {
            assert_eq!(Selector::read(text).map(|one| one.matches(&labels)), Some(matches), "{text}");
        }
        for wrong in ["a b", "=x", "app in gateway", "app in (gateway", "!"] {
            assert_eq!(Selector::read(wrong), None, "{wrong}");
        }
    }
}
