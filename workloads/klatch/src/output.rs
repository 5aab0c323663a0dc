//! What goes to the terminal or the pipe: colours for people, JSON lines for programs, and never a control character of
//! somebody else's message.

use std::{
    borrow::Cow,
    io::{self, IsTerminal, Write},
};

use anstyle::{AnsiColor, Style};

/// How standard output wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One JSON object a line.
    Json,
    /// Text for a person, with or without colours.
    Text {
        /// Whether escape sequences for colours may go out.
        colour: bool,
    },
}

impl Form {
    /// JSON when asked for or when standard output is no terminal; colours unless `NO_COLOR` is set (<https://no-color.org>)
    /// or the terminal is `dumb`.
    pub(crate) fn choose(json: bool) -> Self {
        if json || !io::stdout().is_terminal() { Self::Json } else { Self::Text { colour: colours_allowed() } }
    }

    /// The same choice for commands whose output people also read from a pipe: JSON only when asked for.
    pub(crate) fn choose_text(json: bool) -> Self {
        if json { Self::Json } else { Self::Text { colour: io::stdout().is_terminal() && colours_allowed() } }
    }

    /// The text in this style, when colours are on.
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        match self {
            Self::Text { colour: true } => format!("{style}{text}{style:#}"),
            _ => text.to_owned(),
        }
    }
}

fn colours_allowed() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Names and headings.
pub(crate) const BOLD: Style = Style::new().bold();
/// What matters less: times, ids.
pub(crate) const DIM: Style = Style::new().dimmed();
/// Fine.
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
/// Look here.
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
/// Broken.
pub(crate) const RED: Style = AnsiColor::Red.on_default();

/// Six colours that read on light and dark grounds; a user keeps theirs.
const NAME_COLOURS: [AnsiColor; 6] =
    [AnsiColor::Cyan, AnsiColor::Green, AnsiColor::Magenta, AnsiColor::Yellow, AnsiColor::Blue, AnsiColor::Red];

/// The style of a user's name, the same in every run.
pub(crate) fn style_of(name: &str) -> Style {
    let sum = name.bytes().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
    NAME_COLOURS[sum % NAME_COLOURS.len()].on_default().bold()
}

/// The text with everything that would steer a terminal made visible: C0 and C1 controls (an escape sequence could
/// retitle the window, repaint lines or answer into the shell) and the bidirectional overrides of UAX #9, which show text in
/// another order than it has. Line breaks and tabs stay.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if steers(character) {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

fn steers(character: char) -> bool {
    (character.is_control() && character != '\n' && character != '\t')
        || matches!(character, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// One line on standard output, out at once, so that whoever reads a pipe has it.
///
/// # Errors
/// The write's; a closed pipe shows as `BrokenPipe`.
pub(crate) fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

/// One JSON object as a line.
///
/// # Errors
/// The write's.
pub(crate) fn json_line(value: &impl serde::Serialize) -> io::Result<()> {
    line(&serde_json::to_string(value).map_err(io::Error::other)?)
}

/// One line on standard error. Nobody can be told when that fails.
pub(crate) fn remark(text: &str) {
    let mut out = io::stderr().lock();
    let _ = writeln!(out, "{text}");
}

/// An error on standard error.
pub(crate) fn complain(text: &str) {
    let colour = io::stderr().is_terminal() && colours_allowed();
    let label = if colour { format!("{RED}error:{RED:#}") } else { "error:".to_owned() };
    remark(&format!("{label} {text}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(visible("plain\nand tab\t"), "plain\nand tab\t");
        assert_eq!(visible("\u{1b}]0;title\u{7}"), "\\u{1b}]0;title\\u{7}");
        assert_eq!(visible("a\u{9b}31m"), "a\\u{9b}31m");
        assert_eq!(visible("abc\u{202e}def"), "abc\\u{202e}def");
        assert_eq!(visible("back\rover"), "back\\u{d}over");
    }
}
