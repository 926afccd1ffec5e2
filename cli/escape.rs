//! Which characters are never shown raw, and how they are written instead: the one place for both.
//!
//! Names, paths and labels come from images, so they may hold anything. A terminal obeys some characters; others leave no mark, so
//! that two names look alike. Text for people shows each as `\u{200b}` ([`plain`]). JSON writes `\u200b`, which any parser reads
//! back ([`write_json`]), so that values are unchanged and a terminal that shows the JSON is safe, too.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// What has no shape of its own, as Unicode's tables say. `C` moves cursors, changes directions (CVE-2021-42574), is invisible or has
/// no agreed shape; `Z` ends lines or looks like the space, which alone is shown. `Default_Ignorable_Code_Point` is what may be drawn
/// as nothing: variation selectors and joiners are among them, and a name that differs in one from a known name looks like it. The
/// blank of Braille is a symbol to Unicode, and looks like the space.
const HARMFUL: &str = r"[[\p{C}\p{Z}\p{Default_Ignorable_Code_Point}\x{2800}]--\x20]";

/// The ranges of [`HARMFUL`], in order.
static RANGES: LazyLock<Vec<(char, char)>> = LazyLock::new(|| {
    let parsed = regex_syntax::parse(HARMFUL).expect("the class is ours");
    let HirKind::Class(Class::Unicode(class)) = parsed.into_kind() else {
        unreachable!("it is a class of characters")
    };
    class.iter().map(|range| (range.start(), range.end())).collect()
});

/// Returns true if a character is never shown raw.
pub fn is_harmful(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    let place = RANGES.partition_point(|(_, end)| *end < c);
    RANGES.get(place).is_some_and(|(start, _)| *start <= c)
}

/// Returns text in which every character is seen, and nothing moves the cursor or colours the terminal. Of what is escaped already
/// nothing changes.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(is_harmful) {
        return text.into();
    }
    let escape = |c: char| if is_harmful(c) { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect::<String>().into()
}

/// Returns lines of text, each made [`plain`].
pub fn plain_lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

/// Writes JSON without a harmful character.
pub fn write_json(out: impl Write, value: &impl Serialize) -> io::Result<()> {
    write(out, value, &[])
}

/// Writes JSON for an element of a page: no text in it can be taken for HTML.
pub fn write_json_for_html(out: impl Write, value: &impl Serialize) -> io::Result<()> {
    write(out, value, &['<', '>', '&'])
}

fn write(out: impl Write, value: &impl Serialize, also: &'static [char]) -> io::Result<()> {
    let mut serializer = Serializer::with_formatter(out, Escaped { also });
    Ok(value.serialize(&mut serializer)?)
}

/// Compact JSON whose texts are escaped further than JSON asks for.
struct Escaped {
    also: &'static [char],
}

impl Formatter for Escaped {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        let is_escaped = |c: char| is_harmful(c) || self.also.contains(&c);
        let mut rest = fragment;
        while let Some(at) = rest.find(is_escaped) {
            out.write_all(&rest.as_bytes()[..at])?;
            let found = rest[at..].chars().next().expect("one was found there");
            for unit in found.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = &rest[at + found.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: &impl Serialize) -> String {
        let mut out = Vec::new();
        write_json(&mut out, value).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn names_cannot_move_the_cursor() {
        assert_eq!(plain("a\u{1b}[2Jb\nc\u{202e}d"), "a\\u{1b}[2Jb\\nc\\u{202e}d");
        assert_eq!(plain("a\u{200f}b\u{2028}c\u{61c}d\u{9b}"), "a\\u{200f}b\\u{2028}c\\u{61c}d\\u{9b}");
    }

    #[test]
    fn what_leaves_no_mark_is_seen() {
        let unseen = [
            '\u{7f}',
            '\u{a0}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{1160}',
            '\u{17b4}',
            '\u{180b}',
            '\u{180e}',
            '\u{2000}',
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{202f}',
            '\u{205f}',
            '\u{2060}',
            '\u{2061}',
            '\u{2065}',
            '\u{206f}',
            '\u{2800}',
            '\u{3000}',
            '\u{3164}',
            '\u{e000}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{ffff}',
            '\u{1d173}',
            '\u{e0001}',
            '\u{e0041}',
            '\u{e0100}',
            '\u{10ffff}',
        ];
        for c in unseen {
            assert_eq!(plain(&format!("a{c}b")), format!("a\\u{{{:x}}}b", u32::from(c)));
        }
    }

    #[test]
    fn what_people_write_is_left_as_it_is() {
        // A letter with its accent after it, as some file systems have it, is one that is seen.
        let texts =
            ["debian:12", "cafe\u{301}", "日本語", "\u{627}\u{644}", "alp\u{456}ne", "x y", "🐧", "\\u{1b}"];
        for text in texts {
            assert_eq!(plain(text), text);
            assert_eq!(plain(&plain(text)), text);
        }
    }

    #[test]
    fn json_is_read_back_as_it_was_and_shows_no_harmful_character() {
        let texts = ["a\u{200b}b", "\u{e0041}\u{202e}", "\u{9b}31m\u{7f}", "\u{2028}é\"\\\n", "<b>", "日本"];
        let written = json(&texts);
        let expected = r#"["a\u200bb","\udb40\udc41\u202e","\u009b31m\u007f","\u2028é\"\\\n","<b>","日本"]"#;
        assert_eq!(written, expected);
        assert_eq!(serde_json::from_str::<Vec<String>>(&written).unwrap(), texts);
        let keys = serde_json::json!({"\u{feff}key": 1});
        assert_eq!(json(&keys), r#"{"\ufeffkey":1}"#);
    }

    #[test]
    fn no_text_can_end_the_element_that_it_stands_in() {
        let texts = ["</script><!--", "a&b\u{2028}é\u{2029}", "\"\\\n"];
        let mut out = Vec::new();
        write_json_for_html(&mut out, &texts).unwrap();
        let written = String::from_utf8(out).unwrap();
        assert_eq!(written, r#"["\u003c/script\u003e\u003c!--","a\u0026b\u2028é\u2029","\"\\\n"]"#);
        assert_eq!(serde_json::from_str::<Vec<String>>(&written).unwrap(), texts);
    }
}
