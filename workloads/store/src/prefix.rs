//! Searching by the beginning of a name.

/// Names as they are compared: lower case.
pub(crate) fn fold(name: &str) -> String {
    name.to_lowercase()
}

/// The first text after all that begin with `prefix`, in the order of their UTF-8 bytes; None: there is none. A range
/// instead of LIKE: it needs no escaping, and an index serves it.
pub(crate) fn end_of(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // The surrogates are no characters: after U+D7FF comes U+E000.
        let next = if last == '\u{D7FF}' { Some('\u{E000}') } else { char::from_u32(last as u32 + 1) };
        if let Some(next) = next {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::end_of;

    #[test]
    fn the_end_is_above_every_text_with_the_prefix() {
        assert_eq!(end_of("ab").as_deref(), Some("ac"));
        assert_eq!(end_of("a%").as_deref(), Some("a&"));
        assert_eq!(end_of("a\u{D7FF}").as_deref(), Some("a\u{E000}"));
        assert_eq!(end_of("a\u{10FFFF}").as_deref(), Some("b"));
        assert_eq!(end_of("\u{10FFFF}"), None);
        assert_eq!(end_of(""), None);
    }
}
