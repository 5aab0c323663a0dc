//! Where a password comes from: a terminal without echo, standard input, the environment, or chance. Never the command line,
//! which every user of the machine can read.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use anyhow::Context;
use klatch_identity::PASSWORD_BYTES;
use klatch_settings::ENV_PASSWORD;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

use crate::failure::Failure;

/// Characters of a generated password: with 56 to choose from, 116 bits.
const GENERATED_CHARS: usize = 20;
/// Letters and digits that no font makes look alike.
const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// Where the password comes from, when not from a question at the terminal.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(crate) struct PasswordSource {
    /// Read the password from standard input (its first line).
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

/// The password: from standard input when asked for, else from `KLATCH_PASSWORD`, else asked at the terminal; a new one is
/// asked twice.
///
/// # Errors
/// When there is none to be had, or the question was broken off.
pub(crate) fn ask(source: PasswordSource, question: &str, new: bool) -> anyhow::Result<String> {
    if source.password_stdin {
        return first_line(io::stdin().lock());
    }
    if let Ok(password) = std::env::var(ENV_PASSWORD) {
        return Ok(password);
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::local(format!(
            "there is no terminal to ask for a password; give --password-stdin, or set {ENV_PASSWORD}"
        ))
        .into());
    }
    let password = at_terminal(question)?;
    if new && at_terminal("Again")? != password {
        return Err(Failure::local("the two passwords differ; nothing was changed").into());
    }
    Ok(password)
}

/// A password made by chance.
pub(crate) fn generate() -> String {
    let letter = |_| char::from(LETTERS[rand::random_range(0..LETTERS.len())]);
    (0..GENERATED_CHARS).map(letter).collect()
}

fn first_line(input: impl Read) -> anyhow::Result<String> {
    let mut text = String::new();
    // One byte more than is taken, and a line break, so that a longer one is seen to be longer.
    input.take(PASSWORD_BYTES as u64 + 3).read_to_string(&mut text).context("cannot read the password")?;
    let line = text.split('\n').next().unwrap_or_default();
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(Failure::local("there is no password on standard input").into());
    }
    Ok(line.to_owned())
}

/// Puts the terminal back as it was, however the question ends.
struct Quiet {
    before: Termios,
}

impl Quiet {
    /// No echo, byte by byte, and Ctrl-C as a byte: a process killed in the middle would leave the terminal mute.
    fn new() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self { before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

fn at_terminal(question: &str) -> anyhow::Result<String> {
    let mut out = io::stderr();
    let typed = {
        // Before the question is there to be answered.
        let _quiet = Quiet::new().context("cannot switch off the terminal's echo")?;
        write!(out, "{question}: ").and_then(|()| out.flush()).context("cannot ask for the password")?;
        typed_line(io::stdin().lock())
    };
    let _ = writeln!(out);
    let typed = typed.context("cannot read the password")?;
    typed.ok_or_else(|| Failure::local("broken off; nothing was changed").into())
}

/// A line as it is typed, with the keys that correct it; `None` when it was broken off.
fn typed_line(input: impl BufRead) -> io::Result<Option<String>> {
    const INTERRUPT: u8 = 0x03;
    const END: u8 = 0x04;
    const BACKSPACE: u8 = 0x08;
    const KILL_LINE: u8 = 0x15;
    const DELETE: u8 = 0x7f;
    let mut line = Vec::new();
    for byte in input.bytes() {
        match byte? {
            b'\n' | b'\r' => return into_text(line).map(Some),
            INTERRUPT => return Ok(None),
            END if line.is_empty() => return Ok(None),
            KILL_LINE => line.clear(),
            BACKSPACE | DELETE => erase_character(&mut line),
            byte if line.len() <= PASSWORD_BYTES => line.push(byte),
            _ => {}
        }
    }
    Ok(None)
}

/// Takes the last character away, all bytes of it (UTF-8: continuation bytes start with 10).
fn erase_character(line: &mut Vec<u8>) {
    while line.pop().is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000) {}
}

fn into_text(line: Vec<u8>) -> io::Result<String> {
    String::from_utf8(line).map_err(|_| io::Error::other("the password is no UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_corrected_as_it_is_typed() {
        let typed = |bytes: &[u8]| typed_line(bytes).unwrap();
        assert_eq!(typed("secret\n".as_bytes()), Some("secret".to_owned()));
        assert_eq!(typed("grö\u{7f}\u{7f}oß\n".as_bytes()), Some("goß".to_owned()));
        assert_eq!(typed(b"wrong\x15right\r"), Some("right".to_owned()));
        assert_eq!(typed(b"half\x03"), None);
        assert_eq!(typed(b"\x04"), None);
    }

    #[test]
    fn standard_input_gives_its_first_line() {
        assert_eq!(first_line("correct horse\r\nmore".as_bytes()).unwrap(), "correct horse");
        assert!(first_line("\n".as_bytes()).is_err());
        let long = first_line("x".repeat(PASSWORD_BYTES + 10).as_bytes()).unwrap();
        assert!(long.len() > PASSWORD_BYTES, "a longer one is refused, not cut");
    }

    #[test]
    fn generated_passwords_differ() {
        assert_eq!(generate().len(), GENERATED_CHARS);
        assert_ne!(generate(), generate());
    }
}
