//! The sets of images that are read, each made once and kept.
//!
//! `gzip`, `zstd`, `plain`: one image of one layer, the same tar of real files (`files.rs`) each time. `many`: that tar
//! cut into gzip layers of one image. `tiny`: a gzip layer of files of up to 1 KiB from a fixed seed. `archives`: a folder
//! of what `docker save` writes, cut from the same tar, with bases that several share. `huge`: a plain layer, half
//! zeros and half noise, for its memory only. `scale` is made elsewhere and only named here.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::ValueEnum;
use layerprint_ingest::write::{Compression as Written, DockerSave, Image, Layer, Options, docker_archive};
use serde::{Deserialize, Serialize};
use tar::Builder;

use super::blobs::{Compression, blobs};
use super::files;
use super::layout::Layout;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
pub enum Set {
    #[default]
    Gzip,
    Zstd,
    Plain,
    Many,
    Tiny,
    Archives,
    Huge,
    Scale,
}

/// How much of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    pub layer_bytes: u64,
    pub many_layers: u64,
    pub tiny_files: u64,
    pub archives: u64,
    pub bases: u64,
    pub huge_bytes: u64,
}

impl Sizes {
    pub const WHOLE: Self = Self {
        layer_bytes: 1_046_000_000,
        many_layers: 16,
        tiny_files: 100_000,
        archives: 40,
        bases: 4,
        huge_bytes: 4 << 30,
    };
    /// When this is run as a test and not as a benchmark.
    pub const TEST: Self = Self {
        layer_bytes: 2_000_000,
        many_layers: 4,
        tiny_files: 200,
        archives: 3,
        bases: 2,
        huge_bytes: 1 << 20,
    };
}

/// Where the sets are kept and what they are made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Cache {
    pub folder: PathBuf,
    /// Whose files become layers.
    pub from: PathBuf,
    pub sizes: Sizes,
}

impl Set {
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// Whether it is one image in a layout, which tools can be given by name.
    pub fn is_one_image(self) -> bool {
        matches!(self, Self::Gzip | Self::Zstd | Self::Plain | Self::Many | Self::Tiny)
    }

    /// Whether it is a layout that is read by hand as well.
    pub fn is_layout(self) -> bool {
        self.is_one_image() || self == Self::Scale
    }

    /// What it is made from, if that is another set.
    pub fn made_from(self) -> Option<Self> {
        matches!(self, Self::Gzip | Self::Zstd | Self::Many | Self::Archives).then_some(Self::Plain)
    }
}

impl Cache {
    pub fn path(&self, set: Set) -> PathBuf {
        self.folder.join(set.name())
    }

    /// Makes a set in a folder that gets its name when it is whole.
    pub fn make(&self, set: Set) -> Result<()> {
        let staged = self.folder.join(format!("{}.partial{}", set.name(), std::process::id()));
        fs::create_dir_all(&staged)?;
        self.write(set, &staged).with_context(|| format!("make the set {}", set.name()))?;
        fs::rename(&staged, self.path(set)).context("name the finished set")
    }

    fn write(&self, set: Set, folder: &Path) -> Result<()> {
        match set {
            Set::Archives => return self.write_archives(folder),
            Set::Scale => anyhow::bail!("is made by another program"),
            _ => {}
        }
        let mut layout = Layout::new(folder)?;
        match set {
            Set::Gzip => layout.layer(Compression::Gzip, |out| self.copy_tar(out))?,
            Set::Zstd => layout.layer(Compression::Zstd, |out| self.copy_tar(out))?,
            Set::Plain => layout
                .layer(Compression::Plain, |out| files::write_tar(&self.from, self.sizes.layer_bytes, out))?,
            Set::Many => {
                for range in self.parts(self.sizes.many_layers)? {
                    layout.layer(Compression::Gzip, |out| Ok(out.write_all(&self.cut(range)?)?))?;
                }
            }
            Set::Tiny => layout.layer(Compression::Gzip, |out| tiny(self.sizes.tiny_files, out))?,
            Set::Huge => layout.layer(Compression::Plain, |out| huge(self.sizes.huge_bytes, out))?,
            Set::Archives | Set::Scale => unreachable!("returned above"),
        }
        layout.finish()
    }

    fn plain_tar(&self) -> Result<PathBuf> {
        let layer = blobs(&self.path(Set::Plain))?.pop().context("the plain set has a layer")?;
        Ok(layer.file)
    }

    fn copy_tar(&self, out: &mut dyn Write) -> Result<()> {
        io::copy(&mut BufReader::new(File::open(self.plain_tar()?)?), out)?;
        Ok(())
    }

    /// Cuts the tar of real files between entries into about equal parts; one with a large file is larger.
    fn parts(&self, parts: u64) -> Result<Vec<(u64, u64)>> {
        let mut archive = tar::Archive::new(File::open(self.plain_tar()?)?);
        let mut ends = Vec::new();
        for entry in archive.entries_with_seek()? {
            let entry = entry?;
            ends.push((entry.raw_file_position() + entry.size()).next_multiple_of(512));
        }
        let whole = *ends.last().context("the tar has no entries")?;
        let (mut cut, mut start) = (Vec::new(), 0);
        for left in (1..=parts).rev() {
            let share = (whole - start) / left;
            let end = ends[ends.partition_point(|end| *end < start + share)];
            cut.push((start, end));
            start = end;
        }
        Ok(cut)
    }

    /// Returns a part of the tar of real files as a tar of its own.
    fn cut(&self, (start, end): (u64, u64)) -> Result<Vec<u8>> {
        let mut file = File::open(self.plain_tar()?)?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(end - start).read_to_end(&mut bytes)?;
        bytes.extend([0; 1024]);
        Ok(bytes)
    }

    /// Each archive has one of the bases below a layer of its own.
    fn write_archives(&self, folder: &Path) -> Result<()> {
        let Sizes { archives, bases, .. } = self.sizes;
        let parts = self.parts(archives + bases)?;
        let (bases, applications) = parts.split_at(usize::try_from(bases)?);
        let base =
            |range: &(u64, u64)| anyhow::Ok(Image::new("base:1").layer(Layer::from_bytes(self.cut(*range)?)));
        let bases = bases.iter().map(base).collect::<Result<Vec<_>>>()?;
        for ((number, range), base) in applications.iter().enumerate().zip(bases.iter().cycle()) {
            let name = format!("application{number}:1");
            let image = base.clone().named(&name).layer(Layer::from_bytes(self.cut(*range)?));
            let options = Options { compression: Written::None, ..Options::default() };
            docker_archive(&[image], &folder.join(format!("{number:02}.tar")), DockerSave::V25, &options)?;
        }
        Ok(())
    }
}

/// Draws from a fixed seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

const WORDS: [&[u8]; 8] = [
    b"module ",
    b"request ",
    b"value = 1\n",
    b"0123456789 ",
    b"return ",
    b"    ",
    b"import path\n",
    b"true, ",
];

/// Files of 0 to 1,024 bytes, words and numbers mixed, 200 in a folder.
fn tiny(files: u64, out: &mut dyn Write) -> Result<()> {
    let mut random = Random(20_261_121);
    let mut builder = Builder::new(out);
    for number in 0..files {
        let size = usize::try_from(random.next() % 1_025)?;
        let mut body = Vec::new();
        while body.len() < size {
            match random.next() % 4 {
                0 => write!(body, "{:x} ", random.next())?,
                word => body.extend_from_slice(WORDS[usize::try_from((random.next() + word) % 8)?]),
            }
        }
        body.truncate(size);
        let mut header = files::header(0o644);
        header.set_size(size as u64);
        let path = format!("srv/modules/package{}/file{number}.txt", number / 200);
        builder.append_data(&mut header, path, &body[..])?;
    }
    Ok(builder.finish()?)
}

/// One file of half the size and many of 1 MiB, every other MiB zeros.
fn huge(bytes: u64, out: &mut dyn Write) -> Result<()> {
    const CHUNK: u64 = 1 << 20;
    let mut builder = Builder::new(out);
    let mut noise = Noise { random: Random(20_261_121), position: 0 };
    let mut append = |name: String, size: u64| {
        let mut header = files::header(0o644);
        header.set_size(size);
        builder.append_data(&mut header, name, (&mut noise).take(size))
    };
    append("srv/huge".to_owned(), bytes / 2)?;
    for number in 0..bytes / 2 / CHUNK {
        append(format!("srv/part{number}"), CHUNK)?;
    }
    Ok(builder.finish()?)
}

/// Noise and zeros by turns, 1 MiB of each.
struct Noise {
    random: Random,
    position: u64,
}

impl Read for Noise {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for chunk in buffer.chunks_mut(8) {
            let zeros = (self.position >> 20) % 2 == 1;
            let drawn = if zeros { [0; 8] } else { self.random.next().to_le_bytes() };
            chunk.copy_from_slice(&drawn[..chunk.len()]);
            self.position += chunk.len() as u64;
        }
        Ok(buffer.len())
    }
}
