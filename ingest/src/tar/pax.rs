//! The records of one PAX extended header.
//!
//! Parses them as Go's `archive/tar` does: the last of several counts, an empty value says nothing, and a
//! record that breaks the form spoils the header. Values are looked at when an entry takes them, because a
//! header that is replaced before that is not looked at either.

use std::ops::Range;

use super::number::{decimal, is_pax_time};

/// The keys that change how an archive is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Path,
    LinkPath,
    Uid,
    Gid,
    Size,
    ModifiedTime,
    AccessTime,
    ChangeTime,
    SparseMajor,
    SparseMinor,
    SparseMap,
    SparseName,
    SparseSize,
    SparseRealSize,
    SparseCount,
}

const KEYS: [(Key, &[u8]); 15] = [
    (Key::Path, b"path"),
    (Key::LinkPath, b"linkpath"),
    (Key::Uid, b"uid"),
    (Key::Gid, b"gid"),
    (Key::Size, b"size"),
    (Key::ModifiedTime, b"mtime"),
    (Key::AccessTime, b"atime"),
    (Key::ChangeTime, b"ctime"),
    (Key::SparseMajor, b"GNU.sparse.major"),
    (Key::SparseMinor, b"GNU.sparse.minor"),
    (Key::SparseMap, b"GNU.sparse.map"),
    (Key::SparseName, b"GNU.sparse.name"),
    (Key::SparseSize, b"GNU.sparse.size"),
    (Key::SparseRealSize, b"GNU.sparse.realsize"),
    (Key::SparseCount, b"GNU.sparse.numblocks"),
];

/// A parsed header. It is reused for the next one, so that parsing allocates nothing.
#[derive(Debug, Default)]
pub(super) struct PaxRecords {
    text: Vec<u8>,
    values: [Range<usize>; KEYS.len()],
    /// The map of a sparse file in format 0.0, whose offsets and lengths are records of their own, as
    /// format 0.1 writes it.
    joined_map: Option<Vec<u8>>,
    /// True if a key that is used stands twice with different values.
    pub(super) is_repeated: bool,
}

impl PaxRecords {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.values = Default::default();
        self.joined_map = None;
        self.is_repeated = false;
    }

    /// Empties the header and returns the buffer for the text of the next one.
    pub(super) fn text_mut(&mut self) -> &mut Vec<u8> {
        self.clear();
        &mut self.text
    }

    /// Finds the records in the text, or says what is wrong.
    pub(super) fn parse(&mut self) -> Result<(), &'static str> {
        let text = std::mem::take(&mut self.text);
        let result = self.parse_text(&text);
        self.text = text;
        result
    }

    fn parse_text(&mut self, text: &[u8]) -> Result<(), &'static str> {
        let mut pairs = SparsePairs::default();
        let mut start = 0;
        while start < text.len() {
            let record = Record::parse(&text[start..])?;
            let value = start + record.value.start..start + record.value.end;
            let key = &text[start..][record.key];
            if !pairs.take(key, &text[value.clone()])? {
                self.set(key, value, text);
            }
            start += record.length;
        }
        self.joined_map = (pairs.count > 0).then_some(pairs.map);
        Ok(())
    }

    fn set(&mut self, key: &[u8], value: Range<usize>, text: &[u8]) {
        let Some(index) = KEYS.iter().position(|(_, name)| *name == key) else { return };
        let earlier = &mut self.values[index];
        self.is_repeated |= earlier.start < earlier.end && text[earlier.clone()] != text[value.clone()];
        *earlier = value;
    }

    /// Returns the value of a key; empty if it is not there, which means the same.
    pub(super) fn get(&self, key: Key) -> &[u8] {
        match (key, &self.joined_map) {
            (Key::SparseMap, Some(map)) => map,
            _ => &self.text[self.values[key as usize].clone()],
        }
    }

    /// Returns the number under a key, if the key is there.
    pub(super) fn number(&self, key: Key, problem: &'static str) -> Result<Option<i64>, &'static str> {
        match self.get(key) {
            b"" => Ok(None),
            text => decimal(text).map(Some).ok_or(problem),
        }
    }

    /// Checks the times. Fingerprints have none, but Go refuses an entry with a malformed one.
    pub(super) fn check_times(&self) -> Result<(), &'static str> {
        let is_time = |key| matches!(self.get(key), b"") || is_pax_time(self.get(key));
        if !is_time(Key::ModifiedTime) {
            return Err("mtime is not a time");
        }
        if !is_time(Key::AccessTime) {
            return Err("atime is not a time");
        }
        if is_time(Key::ChangeTime) { Ok(()) } else { Err("ctime is not a time") }
    }

    /// Returns the name of the first key that is there, of those that change how an entry is read.
    pub(super) fn first_key(&self) -> Option<&'static [u8]> {
        let is_time = |key| matches!(key, Key::ModifiedTime | Key::AccessTime | Key::ChangeTime);
        KEYS.iter().find(|(key, _)| !is_time(*key) && !self.get(*key).is_empty()).map(|(_, name)| *name)
    }
}

/// One record, `length key=value\n`, as ranges of the text that it starts.
struct Record {
    length: usize,
    key: Range<usize>,
    value: Range<usize>,
}

impl Record {
    fn parse(text: &[u8]) -> Result<Self, &'static str> {
        let space = position(text, b' ').ok_or("record has no length")?;
        let length = decimal(&text[..space]).ok_or("record length is not a number")?;
        let length = usize::try_from(length).map_err(|_| "record length is negative")?;
        // Five bytes are the shortest record there can be: "5 a=\n".
        if length < 5 || length > text.len() || length <= space + 1 {
            return Err("record length does not fit the header");
        }
        if text[length - 1] != b'\n' {
            return Err("record does not end in a newline");
        }
        let start = space + 1;
        let equals = position(&text[start..length - 1], b'=').ok_or("record has no value")? + start;
        let record = Self { length, key: start..equals, value: equals + 1..length - 1 };
        record.check_text(text)?;
        Ok(record)
    }

    fn check_text(&self, text: &[u8]) -> Result<(), &'static str> {
        let (key, value) = (&text[self.key.clone()], &text[self.value.clone()]);
        match key {
            b"" => Err("record has no key"),
            b"path" | b"linkpath" | b"uname" | b"gname" if value.contains(&0) => Err("name has a NUL in it"),
            key if key.contains(&0) => Err("key has a NUL in it"),
            _ => Ok(()),
        }
    }
}

fn position(text: &[u8], wanted: u8) -> Option<usize> {
    text.iter().position(|&byte| byte == wanted)
}

/// The records of sparse format 0.0: an offset and a length by turns, against all rules of PAX.
#[derive(Default)]
struct SparsePairs {
    map: Vec<u8>,
    count: usize,
}

impl SparsePairs {
    /// Takes the record if it is one of these; returns whether it was.
    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<bool, &'static str> {
        let is_offset = match key {
            b"GNU.sparse.offset" => true,
            b"GNU.sparse.numbytes" => false,
            _ => return Ok(false),
        };
        if is_offset != self.count.is_multiple_of(2) || value.contains(&b',') {
            return Err("sparse offsets and lengths are out of order");
        }
        if self.count > 0 {
            self.map.push(b',');
        }
        self.map.extend_from_slice(value);
        self.count += 1;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &[u8]) -> Result<PaxRecords, &'static str> {
        let mut records = PaxRecords::default();
        records.text_mut().extend_from_slice(text);
        records.parse().map(|()| records)
    }

    /// Writes a record with its length, which counts itself.
    fn record(key: &str, value: &[u8]) -> Vec<u8> {
        let rest = [b" ", key.as_bytes(), b"=", value, b"\n"].concat();
        let length = (1..).find(|length: &usize| length.to_string().len() + rest.len() == *length).unwrap();
        [length.to_string().as_bytes(), &rest].concat()
    }

    #[test]
    fn keys_index_their_own_value() {
        for (index, (key, _)) in KEYS.iter().enumerate() {
            assert_eq!(*key as usize, index);
        }
    }

    #[test]
    fn the_last_of_several_counts_and_an_empty_one_takes_the_others_back() {
        let text = [record("path", b"a"), record("path", b"b"), record("size", b"12"), record("size", b"")];
        let records = parsed(&text.concat()).unwrap();
        assert_eq!(records.get(Key::Path), b"b");
        assert_eq!(records.number(Key::Size, "not a number"), Ok(None));
        assert!(records.is_repeated);
    }

    #[test]
    fn names_may_hold_anything_but_nul_and_other_values_even_that() {
        let text = [record("path", b"\xff\n\n"), record("SCHILY.xattr.a", b"\0\x01\xff\n")].concat();
        assert_eq!(parsed(&text).unwrap().get(Key::Path), b"\xff\n\n");
        assert_eq!(parsed(&record("gname", b"a\0b")).unwrap_err(), "name has a NUL in it");
        assert_eq!(parsed(&record("a\0b", b"c")).unwrap_err(), "key has a NUL in it");
    }

    #[test]
    fn malformed_records_spoil_the_header() {
        let cases: &[(&[u8], &str)] = &[
            (b"abc", "record has no length"),
            (b"x a=b\n", "record length is not a number"),
            (b"-6 a=b\n", "record length is negative"),
            (b"4 a=\n", "record length does not fit the header"),
            (b"7 a=b\n", "record length does not fit the header"),
            (b"00000000006 a=b\n", "record length does not fit the header"),
            (b"99999999999999999999 a=b\n", "record length is not a number"),
            (b"5 a=b\n", "record does not end in a newline"),
            (b"6 abc\n", "record has no value"),
            (b"6 =bc\n", "record has no key"),
            (b"6 a=b\n\0\0", "record has no length"),
            (b"25 GNU.sparse.numbytes=1\n", "sparse offsets and lengths are out of order"),
            (b"25 GNU.sparse.offset=1,2\n", "sparse offsets and lengths are out of order"),
        ];
        for (text, problem) in cases {
            assert_eq!(parsed(text).unwrap_err(), *problem, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_length_may_have_a_sign_or_zeros() {
        assert_eq!(parsed(b"+10 path=a\n").unwrap_err(), "record does not end in a newline");
        assert_eq!(parsed(b"+10 path=\n").unwrap().get(Key::Path), b"");
        assert_eq!(parsed(b"+11 path=a\n0013 path=bc\n").unwrap().get(Key::Path), b"bc");
    }

    #[test]
    fn pairs_of_format_0_0_become_the_map_of_0_1_and_override_one() {
        let map = record("GNU.sparse.map", b"9,9");
        let pairs = [record("GNU.sparse.offset", b"0"), record("GNU.sparse.numbytes", b"5")].concat();
        assert_eq!(parsed(&[pairs, map].concat()).unwrap().get(Key::SparseMap), b"0,5");
    }
}
