//! Makes archives that are wrong in interesting ways.
//!
//! An archive is built from headers with odd fields, extensions stacked in any order and bodies that may not
//! fit them, and is then damaged. Checksums are mostly right, for a reader that stops there learns nothing.

use super::Random;

const BLOCK: usize = 512;

/// Returns an archive; the same one for the same numbers.
pub fn archive(random: &mut Random, samples: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = if random.percent(40) && !samples.is_empty() {
        samples[random.below(samples.len())].clone()
    } else {
        built(random)
    };
    for _ in 0..[0, 0, 0, 1, 1, 2, 3][random.below(7)] {
        damage(&mut bytes, random);
    }
    bytes
}

/// Returns an archive of one entry behind an extension of so many bytes.
pub fn with_long_name(size: usize) -> Vec<u8> {
    behind(b'L', &vec![b'n'; size])
}

/// As above, with a PAX header.
pub fn with_pax_header(size: usize) -> Vec<u8> {
    let mut body = format!("{size} comment=").into_bytes();
    body.resize(size - 1, b'c');
    body.push(b'\n');
    behind(b'x', &body)
}

fn behind(flag: u8, body: &[u8]) -> Vec<u8> {
    let random = &mut Random(0);
    let mut bytes = Vec::new();
    for (flag, body) in [(flag, body), (b'0', b"")] {
        let mut header = Header([0; BLOCK]);
        header.text(0, 100, b"name");
        header.0[156] = flag;
        header.octal(124, 12, body.len() as u64);
        bytes.extend(header.sealed(random));
        pad(&mut bytes, body);
    }
    bytes
}

/// Returns a sparse file in the old GNU format whose map goes on for so many blocks.
pub fn with_gnu_map_blocks(blocks: usize) -> Vec<u8> {
    let random = &mut Random(0);
    let mut header = Header([0; BLOCK]);
    header.text(257, 8, b"ustar  \0");
    header.0[156] = b'S';
    header.0[482] = 1;
    let mut bytes = header.sealed(random).to_vec();
    for index in 1..=blocks {
        let mut block = [0; BLOCK];
        block[504] = u8::from(index < blocks);
        bytes.extend(block);
    }
    bytes
}

/// Returns a sparse file in format 1.0 whose map fills so many blocks: one extent in many zeros.
pub fn with_pax_map_blocks(blocks: usize) -> Vec<u8> {
    let random = &mut Random(0);
    let mut records = Vec::new();
    for (key, value) in [("major", "1"), ("minor", "0"), ("realsize", "0")] {
        let key = format!("GNU.sparse.{key}");
        let length = key.len() + value.len() + 3;
        records.extend(format!("{} {key}={value}\n", length + 2).into_bytes());
    }
    let mut bytes = behind(b'x', &records);
    bytes.truncate(bytes.len() - BLOCK);
    let mut map = b"1\n0\n".to_vec();
    map.resize(blocks * BLOCK - 1, b'0');
    map.push(b'\n');
    let mut header = Header([0; BLOCK]);
    header.octal(124, 12, map.len() as u64);
    bytes.extend(header.sealed(random));
    bytes.extend(map);
    bytes
}

fn built(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..=random.below(5) {
        while random.percent(45) {
            extension(&mut bytes, random);
        }
        entry(&mut bytes, random);
    }
    match random.below(12) {
        0 => {}
        1 => bytes.resize(bytes.len() + BLOCK, 0),
        2 => bytes.extend([vec![0; 2 * BLOCK], b"trailing".to_vec()].concat()),
        _ => bytes.resize(bytes.len() + 2 * BLOCK, 0),
    }
    bytes
}

fn entry(bytes: &mut Vec<u8>, random: &mut Random) {
    let mut header = Header::new(random);
    let body = random.below(3) * random.below(700);
    // Header-only types have no body, unless it is one that only some readers see.
    let is_header_only = (b'1'..=b'6').contains(&header.0[156]);
    let body = if is_header_only && random.percent(80) { 0 } else { body };
    if random.percent(97) {
        header.octal(124, 12, body as u64);
    }
    if header.0[156] == b'S' || random.percent(5) {
        header.gnu_sparse(random, body as u64);
    }
    if random.percent(50) {
        header.oddities(random);
    }
    bytes.extend(header.sealed(random));
    if header.0[156] == b'S' && header.0[482] != 0 && random.percent(95) {
        let blocks = random.below(3);
        (0..=blocks).for_each(|index| bytes.extend(sparse_block(random, index < blocks)));
    }
    pad(bytes, &text(random, body));
}

fn extension(bytes: &mut Vec<u8>, random: &mut Random) {
    let (flag, body) = match random.below(10) {
        0..=5 => (b'x', pax_body(random)),
        6 => (b'g', pax_body(random)),
        7 | 8 => (b'L', long_name(random)),
        _ => (b'K', long_name(random)),
    };
    let mut header = Header::new(random);
    header.0[156] = flag;
    header.octal(124, 12, body.len() as u64);
    if random.percent(10) {
        header.oddities(random);
    }
    bytes.extend(header.sealed(random));
    pad(bytes, &body);
}

fn long_name(random: &mut Random) -> Vec<u8> {
    let name = random.pick(&[&b"long/name"[..], b"long/dir/", b"", b"\0", b"a\0b", b"\xff\xfe", b".wh.x"]);
    let mut name = name.repeat(1 + random.below(2) * random.below(60));
    if random.percent(80) {
        name.push(0);
    }
    name
}

fn pax_body(random: &mut Random) -> Vec<u8> {
    let mut body = Vec::new();
    if random.percent(25) {
        sparse_records(&mut body, random);
    }
    for _ in 0..random.below(4) {
        let key = random.pick(&[
            &b"path"[..],
            b"path",
            b"linkpath",
            b"size",
            b"size",
            b"uid",
            b"gid",
            b"mtime",
            b"atime",
            b"ctime",
            b"uname",
            b"comment",
            b"SCHILY.xattr.user.a",
            b"GNU.sparse.major",
            b"GNU.sparse.minor",
            b"GNU.sparse.name",
            b"GNU.sparse.size",
            b"GNU.sparse.realsize",
            b"GNU.sparse.map",
            b"GNU.sparse.numblocks",
            b"GNU.sparse.offset",
            b"GNU.sparse.numbytes",
            b"",
            b"k\0",
        ]);
        let value = pax_value(key, random);
        record(&mut body, key, &value, random);
    }
    body
}

fn pax_value(key: &[u8], random: &mut Random) -> Vec<u8> {
    if key.ends_with(b"path") || key == b"uname" || key.ends_with(b".name") {
        return random.pick(&[&b"pax/path"[..], b"pax/dir/", b"", b"a\0b", b"a=b\n", b"\xff"]).to_vec();
    }
    if random.percent(60) {
        return random.below(1600).to_string().into_bytes();
    }
    let values: &[&[u8]] = &[
        b"",
        b"0",
        b"1",
        b"-1",
        b"+7",
        b"007",
        b" 7",
        b"7 ",
        b"1.5",
        b"1.",
        b".5",
        b"-1.25",
        b"1.x",
        b"0x10",
        b"1_0",
        b"9223372036854775807",
        b"9223372036854775808",
        b"-9223372036854775808",
        b"0,512",
        b"0,1,1024,1",
        b"a\0b",
    ];
    random.pick(values).to_vec()
}

/// Records that make a sparse file of some version, mostly one that holds together.
fn sparse_records(body: &mut Vec<u8>, random: &mut Random) {
    let (offset, length) = (random.below(3) * 512, random.below(3) * 200);
    let size = offset + length + random.below(3) * 100;
    let mut add = |key: &[u8], value: String, random: &mut Random| {
        if !random.percent(4) {
            record(body, key, value.as_bytes(), random);
        }
    };
    add(b"GNU.sparse.size", size.to_string(), random);
    match random.below(3) {
        0 => {
            add(b"GNU.sparse.numblocks", "1".to_owned(), random);
            add(b"GNU.sparse.offset", offset.to_string(), random);
            add(b"GNU.sparse.numbytes", length.to_string(), random);
        }
        1 => {
            add(b"GNU.sparse.numblocks", "2".to_owned(), random);
            add(b"GNU.sparse.map", format!("{offset},{length},{size},0"), random);
        }
        _ => {
            add(b"GNU.sparse.major", "1".to_owned(), random);
            add(b"GNU.sparse.minor", "0".to_owned(), random);
        }
    }
    add(b"GNU.sparse.name", "real/name".to_owned(), random);
}

fn record(body: &mut Vec<u8>, key: &[u8], value: &[u8], random: &mut Random) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length += 1;
    }
    if random.percent(3) {
        length = length.wrapping_add(random.below(3)).wrapping_sub(1);
    }
    let zeros = if random.percent(2) { "00" } else { "" };
    body.extend(format!("{zeros}{length} ").into_bytes());
    body.extend([key, b"=", value, if random.percent(2) { b"" } else { b"\n" }].concat());
}

/// A body; sometimes one that starts like the map of a sparse file.
fn text(random: &mut Random, length: usize) -> Vec<u8> {
    let mut text = match random.below(4) {
        0 => format!("1\n{}\n{}\n", random.below(3) * 512, random.below(200)).into_bytes(),
        1 => random.pick(&[&b"2\n0\n1\n512\n1\n"[..], b"0\n", b"-1\n", b"x\n", b"1\n1\n"]).to_vec(),
        _ => Vec::new(),
    };
    let start = text.len();
    text.resize(length, 0);
    for byte in text.iter_mut().skip(start) {
        *byte = b"abc\0\n"[random.below(5)];
    }
    text
}

fn sparse_block(random: &mut Random, is_extended: bool) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    for index in 0..random.below(3) {
        let offset = 4096 + index * 1024;
        block[index * 24..index * 24 + 11].copy_from_slice(format!("{offset:011o}").as_bytes());
        block[index * 24 + 12..index * 24 + 23].copy_from_slice(format!("{:011o}", 1).as_bytes());
    }
    block[504] = u8::from(is_extended);
    block
}

fn pad(bytes: &mut Vec<u8>, body: &[u8]) {
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
}

struct Header([u8; BLOCK]);

impl Header {
    fn new(random: &mut Random) -> Self {
        let mut header = Self([0; BLOCK]);
        header.text(
            0,
            100,
            random.pick(&[&b"file"[..], b"dir/", b"", b"./a//b", b"../up", b"\xff\x01", b".wh.f"]),
        );
        header.octal(100, 8, 0o644);
        header.octal(108, 8, 1000);
        header.octal(116, 8, 1000);
        header.octal(124, 12, 0);
        header.octal(136, 12, 1_700_000_000);
        header.0[156] = one_of(b"000\x001234567SVX", random);
        header.text(157, 100, random.pick(&[&b""[..], b"target", b"/abs"]));
        let magic = random.pick(&[
            &b"ustar\x0000"[..],
            b"ustar\x0000",
            b"ustar  \0",
            b"ustar  \0",
            b"",
            b"ustar\0\0\0",
        ]);
        header.text(257, 8, if header.0[156] == b'S' && random.percent(85) { b"ustar  \0" } else { magic });
        if random.percent(10) {
            header.text(345, 155, random.pick(&[&b"prefix"[..], b"00000000001\0", b"\xff", b"/"]));
        }
        if random.percent(5) {
            header.text(508, 4, b"tar\0");
        }
        header
    }

    fn gnu_sparse(&mut self, random: &mut Random, stored: u64) {
        let holes = random.next() % 5 * 512;
        self.octal(386, 12, holes);
        self.octal(398, 12, stored);
        self.octal(483, 12, holes + stored + random.next() % 2 * 100);
        if random.percent(20) {
            self.octal(410, 12, random.next() % 8192);
            self.octal(422, 12, random.next() % 3);
        }
        self.0[482] = u8::from(random.percent(20));
    }

    /// Puts something odd into up to two numeric fields.
    fn oddities(&mut self, random: &mut Random) {
        const FIELDS: [(usize, usize); 12] = [
            (100, 8),
            (108, 8),
            (116, 8),
            (124, 12),
            (124, 12),
            (136, 12),
            (329, 8),
            (337, 8),
            (345, 12),
            (386, 12),
            (398, 12),
            (483, 12),
        ];
        const VALUES: [&[u8]; 18] = [
            b"\0\0\0\0\0\0\0\0\0\0\0\0",
            b"            ",
            b"   17 \0",
            b"17\0junk",
            b"-1\0",
            b"0x1\0",
            b"777777777777",
            b"00000000010\0",
            b"00000001000 ",
            b"\x80\0\0\0\0\0\0\0\0\0\x02\0",
            b"\x80\0\0\0\0\0\0\x01",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\x80\0\0\0\x80\0\0\0\0\0\0\0",
            b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
            b"\xc0\0\0\0\0\0\0\0\0\0\0\0",
            b"\xff\xff\xff\xff\x80\0\0\0\0\0\0\0",
            b"\x81\0\0\0\0\0\0\0\0\0\0\0",
            b"9",
        ];
        while random.percent(25) {
            let (start, length) = FIELDS[random.below(FIELDS.len())];
            let value = VALUES[random.below(VALUES.len())];
            self.text(start, length, &value[..value.len().min(length)]);
        }
    }

    fn octal(&mut self, start: usize, length: usize, value: u64) {
        self.text(start, length, format!("{value:0width$o}\0", width = length - 1).as_bytes());
    }

    /// Writes a field over what it had, as far as the value goes.
    fn text(&mut self, start: usize, length: usize, value: &[u8]) {
        let length = length.min(value.len());
        self.0[start..start + length].copy_from_slice(&value[..length]);
    }

    fn sealed(&self, random: &mut Random) -> [u8; BLOCK] {
        let mut block = self.0;
        seal(&mut block, random);
        block
    }
}

fn one_of(bytes: &[u8], random: &mut Random) -> u8 {
    bytes[random.below(bytes.len())]
}

/// Sets the checksum, mostly the one that POSIX asks for.
fn seal(block: &mut [u8], random: &mut Random) {
    block[148..156].fill(b' ');
    let unsigned: i64 = block.iter().map(|&byte| i64::from(byte)).sum();
    let signed: i64 = block.iter().map(|&byte| i64::from(byte.cast_signed())).sum();
    let (sum, form) = (if random.percent(10) { signed.max(0) } else { unsigned }, random.below(200));
    let text = match form {
        0 => format!("{:06o}\0 ", sum + 1),
        1 => format!("{sum:o}"),
        2..6 => format!(" {sum:o} \0"),
        6..9 => format!("{sum:o}\0x"),
        _ => format!("{sum:06o}\0 "),
    };
    let length = text.len().min(8);
    block[148..148 + length].copy_from_slice(&text.as_bytes()[..length]);
}

fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    if bytes.is_empty() {
        return;
    }
    let blocks = bytes.len() / BLOCK;
    let block = random.below(blocks.max(1)) * BLOCK;
    match random.below(12) {
        0 => bytes.truncate(random.below(bytes.len())),
        1 => bytes.truncate(block),
        2 => {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
        }
        3 => drop(bytes.splice(block..block, [0; BLOCK])),
        4 if blocks > 0 => drop(bytes.drain(block..block + BLOCK)),
        5 if blocks > 0 => {
            let copy = bytes[block..block + BLOCK].to_vec();
            let to = random.below(blocks) * BLOCK;
            bytes.splice(to..to, copy);
        }
        _ => change_header(bytes, random),
    }
}

/// Changes a field of a block that is a header, and sets its checksum right again.
fn change_header(bytes: &mut [u8], random: &mut Random) {
    let headers: Vec<usize> =
        (0..bytes.len() / BLOCK).filter(|index| is_header(&bytes[index * BLOCK..][..BLOCK])).collect();
    if headers.is_empty() {
        return;
    }
    let start = headers[random.below(headers.len())] * BLOCK;
    let mut header = Header(bytes[start..start + BLOCK].try_into().unwrap());
    match random.below(6) {
        0 => header.0[156] = one_of(b"0\x001257SxgLK?", random),
        1 => header.octal(124, 12, random.next() % 3000),
        2 => header.text(
            257,
            8,
            random.pick(&[&b"ustar\x0000"[..], b"ustar  \0", b"ustar \0\0", b"\0\0\0\0\0\0\0\0"]),
        ),
        3 => header.0[random.below(BLOCK)] = random.next().to_le_bytes()[0],
        _ => header.oddities(random),
    }
    let sealed = if random.percent(95) { header.sealed(random) } else { header.0 };
    bytes[start..start + BLOCK].copy_from_slice(&sealed);
}

fn is_header(block: &[u8]) -> bool {
    let sum: u64 = block
        .iter()
        .enumerate()
        .map(|(at, &byte)| if (148..156).contains(&at) { 32 } else { u64::from(byte) })
        .sum();
    let stated = std::str::from_utf8(&block[148..154]).ok();
    stated.and_then(|text| u64::from_str_radix(text.trim(), 8).ok()) == Some(sum)
}
