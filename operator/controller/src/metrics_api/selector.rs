//! Label selectors as autoscalers write them into a query
//! (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>).

use std::collections::BTreeSet;

use kube_client::core::{Expression, Selector};

/// Reads one. `None`: it is none.
#[must_use]
pub fn read(text: &str) -> Option<Selector> {
    split(text).into_iter().filter(|part| !part.is_empty()).map(expression).collect()
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

fn expression(text: &str) -> Option<Expression> {
    let key = |key: &str| {
        let key = key.trim();
        let known = |letter: u8| letter.is_ascii_alphanumeric() || b"-_./".contains(&letter);
        (!key.is_empty() && key.bytes().all(known)).then(|| key.to_owned())
    };
    let set = |rest: &str| {
        let inner = rest.trim().strip_prefix('(')?.strip_suffix(')')?;
        Some(inner.split(',').map(|value| value.trim().to_owned()).collect::<BTreeSet<_>>())
    };
    if let Some((of, values)) = text.split_once(" notin ") {
        return Some(Expression::NotIn(key(of)?, set(values)?));
    }
    if let Some((of, values)) = text.split_once(" in ") {
        return Some(Expression::In(key(of)?, set(values)?));
    }
    if let Some((of, value)) = text.split_once("!=") {
        return Some(Expression::NotEqual(key(of)?, value.trim().to_owned()));
    }
    if let Some((of, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Some(Expression::Equal(key(of)?, value.trim().to_owned()));
    }
    match text.strip_prefix('!') {
        Some(of) => key(of).map(Expression::DoesNotExist),
        None => key(text).map(Expression::Exists),
    }
}

#[cfg(test)]
mod tests {
    use kube_client::core::SelectorExt;

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
            assert_eq!(read(text).map(|one| one.matches(&labels)), Some(matches), "{text}");
        }
        for wrong in ["a b", "=x", "app in gateway", "app in (gateway", "!"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
