//! One header block of 512 bytes.
//!
//! Tells the formats apart (V7, ustar, star, GNU), checks the checksum, and reads the fields exactly as Go's
//! `archive/tar` does, its oddities included. Extensions and what follows the block are for the reader.

use super::number::{c_string, numeric, octal};

pub(super) const BLOCK_BYTES: usize = 512;

/// One block.
pub(super) struct Block(pub(super) [u8; BLOCK_BYTES]);

/// What the magic values of a block say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    V7,
    Ustar,
    Star,
    Gnu,
}

/// The fields of a header. Text ends before its first NUL; numbers may be negative.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fields<'a> {
    pub(super) prefix: &'a [u8],
    pub(super) name: &'a [u8],
    pub(super) link: &'a [u8],
    pub(super) typeflag: u8,
    pub(super) size: i64,
    pub(super) mode: i64,
    pub(super) uid: i64,
    pub(super) gid: i64,
    pub(super) device_major: i64,
    pub(super) device_minor: i64,
}

impl Block {
    pub(super) fn is_zero(&self) -> bool {
        self.0.iter().all(|&byte| byte == 0)
    }

    /// Compares the checksum with the sum of the bytes, taken unsigned as POSIX has it or signed as old Sun
    /// tar had it; the checksum itself counts as spaces.
    pub(super) fn has_valid_checksum(&self) -> bool {
        const CHECKSUM: std::ops::Range<usize> = 148..156;
        let Some(stated) = octal(&self.0[CHECKSUM]) else { return false };
        let parts = [&self.0[..CHECKSUM.start], &self.0[CHECKSUM.end..]];
        let spaces = i64::from(b' ') * CHECKSUM.len() as i64;
        let unsigned = spaces + parts.iter().map(|part| sum_unsigned(part)).sum::<i64>();
        stated == unsigned || stated == spaces + parts.iter().map(|part| sum_signed(part)).sum::<i64>()
    }

    pub(super) fn format(&self) -> Format {
        match (self.field(257, 6), self.field(263, 2), self.field(508, 4)) {
            (b"ustar\0", _, b"tar\0") => Format::Star,
            (b"ustar\0", _, _) => Format::Ustar,
            (b"ustar ", b" \0", _) => Format::Gnu,
            _ => Format::V7,
        }
    }

    /// Reads the fields, or says which one is no number.
    pub(super) fn fields(&self) -> Result<Fields<'_>, &'static str> {
        let format = self.format();
        self.number(136, 12, "modification time is not a number")?;
        let mut fields = Fields {
            prefix: b"",
            name: c_string(self.field(0, 100)),
            link: c_string(self.field(157, 100)),
            typeflag: self.0[156],
            size: self.number(124, 12, "size is not a number")?,
            mode: self.number(100, 8, "mode is not a number")?,
            uid: self.number(108, 8, "user id is not a number")?,
            gid: self.number(116, 8, "group id is not a number")?,
            device_major: 0,
            device_minor: 0,
        };
        if format != Format::V7 {
            fields.device_major = self.number(329, 8, "major device number is not a number")?;
            fields.device_minor = self.number(337, 8, "minor device number is not a number")?;
            fields.prefix = self.prefix(format)?;
        }
        Ok(fields)
    }

    /// Returns the directory part of the name, which each format keeps elsewhere or not at all.
    fn prefix(&self, format: Format) -> Result<&[u8], &'static str> {
        match format {
            Format::V7 => Ok(b""),
            Format::Ustar => Ok(c_string(self.field(345, 155))),
            Format::Star => {
                self.number(476, 12, "access time is not a number")?;
                self.number(488, 12, "change time is not a number")?;
                Ok(c_string(self.field(345, 131)))
            }
            Format::Gnu => Ok(self.misplaced_prefix()),
        }
    }

    /// GNU headers have no prefix, but writers of Go before 1.8 put one where the times belong. It counts if
    /// the times are no numbers and it is ASCII.
    fn misplaced_prefix(&self) -> &[u8] {
        let is_time = |start| self.0[start] == 0 || numeric(self.field(start, 12)).is_some();
        let prefix = c_string(self.field(345, 155));
        if is_time(345) && is_time(357) || !prefix.is_ascii() { b"" } else { prefix }
    }

    /// Returns the part of an old GNU sparse header that holds the first extents, and the file's real size.
    pub(super) fn gnu_sparse(&self) -> (&[u8], &[u8]) {
        (self.field(386, 24 * 4 + 1), self.field(483, 12))
    }

    fn number(&self, start: usize, length: usize, problem: &'static str) -> Result<i64, &'static str> {
        numeric(self.field(start, length)).ok_or(problem)
    }

    fn field(&self, start: usize, length: usize) -> &[u8] {
        &self.0[start..start + length]
    }
}

fn sum_unsigned(bytes: &[u8]) -> i64 {
    i64::from(bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>())
}

fn sum_signed(bytes: &[u8]) -> i64 {
    i64::from(bytes.iter().map(|&byte| i32::from(byte.cast_signed())).sum::<i32>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a header with these bytes over that of an empty file, its checksum right.
    fn block(fields: &[(usize, &[u8])]) -> Block {
        let mut block = Block([0; BLOCK_BYTES]);
        block.0[..4].copy_from_slice(b"name");
        for (start, bytes) in fields {
            block.0[*start..start + bytes.len()].copy_from_slice(bytes);
        }
        block.0[148..156].fill(b' ');
        let sum = sum_unsigned(&block.0);
        block.0[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }

    #[test]
    fn formats_are_told_apart_by_their_magic() {
        let cases: &[(&[u8], &[u8], Format)] = &[
            (b"ustar\x0000", b"", Format::Ustar),
            (b"ustar\0\0\0", b"", Format::Ustar),
            (b"ustar\x0000", b"tar\0", Format::Star),
            (b"ustar  \0", b"tar\0", Format::Gnu),
            (b"ustar 00", b"", Format::V7),
            (b"", b"", Format::V7),
        ];
        for (magic, trailer, format) in cases {
            assert_eq!(block(&[(257, magic), (508, trailer)]).format(), *format, "{}", magic.escape_ascii());
        }
    }

    #[test]
    fn each_format_keeps_the_prefix_elsewhere() {
        let full = [b'p'; 131];
        let cases: &[(&[u8], &[u8], usize)] = &[
            (b"ustar\x0000", b"", 131),
            (b"ustar\x0000", b"tar\0", 131),
            (b"", b"", 0),
            // No number stands where GNU has times, so this is a prefix by a writer who was wrong.
            (b"ustar  \0", b"", 131),
        ];
        for (magic, trailer, length) in cases {
            let block = block(&[(345, &full), (257, magic), (508, trailer)]);
            assert_eq!(block.fields().unwrap().prefix, &full[..*length], "{}", magic.escape_ascii());
        }
        let times = block(&[(257, b"ustar  \0"), (345, b"14000000000\x0014000000000\0prefix")]);
        assert_eq!(times.fields().unwrap().prefix, b"");
        let not_ascii = block(&[(257, b"ustar  \0"), (345, b"pref\xc3\xaex")]);
        assert_eq!(not_ascii.fields().unwrap().prefix, b"");
    }

    #[test]
    fn a_checksum_may_be_signed_but_not_off_by_one() {
        let mut high = block(&[(0, b"n\xff\xfe")]);
        assert!(high.has_valid_checksum());
        let sum = octal(&high.0[148..156]).unwrap() - 2 * 256;
        high.0[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        assert!(high.has_valid_checksum());
        high.0[99] = 1;
        assert!(!high.has_valid_checksum());
        high.0[148..156].copy_from_slice(b"0x10    ");
        assert!(!high.has_valid_checksum());
    }

    #[test]
    fn a_field_that_is_no_number_is_named_even_if_nobody_needs_it() {
        let cases: &[(usize, &str)] = &[
            (100, "mode is not a number"),
            (108, "user id is not a number"),
            (116, "group id is not a number"),
            (124, "size is not a number"),
            (136, "modification time is not a number"),
            (329, "major device number is not a number"),
            (337, "minor device number is not a number"),
        ];
        for (start, problem) in cases {
            assert_eq!(block(&[(257, b"ustar\x0000"), (*start, b"9")]).fields(), Err(*problem));
        }
        assert!(block(&[(329, b"9")]).fields().is_ok(), "V7 has no device numbers");
    }
}
