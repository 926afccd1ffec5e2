//! Which image holds which contents, as plain columns: what the other tools are given to build from.
//!
//! Three files of little-endian numbers in a folder. `ids`: 32 bytes for each image, whose place is its number from
//! then on; `counts`: a u32 for each image; `contents`: the first eight bytes of each of its contents, as a big-endian
//! number, ascending, so many as the count says.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use layerprint_store::Content;
use layerprint_store::id::{ContentId, ImageId};

/// Returns the key under which other tools are given a content.
pub fn key(content: &ContentId) -> u64 {
    u64::from_be_bytes(content.as_bytes()[..8].try_into().expect("eight bytes"))
}

pub struct Writer {
    ids: BufWriter<File>,
    counts: BufWriter<File>,
    contents: BufWriter<File>,
}

impl Writer {
    pub fn create(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let create = |name: &str| Ok::<_, io::Error>(BufWriter::new(File::create(folder.join(name))?));
        Ok(Self { ids: create("ids")?, counts: create("counts")?, contents: create("contents")? })
    }

    /// Adds an image with its distinct contents, sorted.
    pub fn add(&mut self, image: &ImageId, contents: &[Content]) -> io::Result<()> {
        let count = u32::try_from(contents.len()).expect("a layer has at most 2^24 entries");
        let keys: Vec<u8> = contents.iter().flat_map(|content| key(&content.id).to_le_bytes()).collect();
        self.ids.write_all(image.as_bytes())?;
        self.counts.write_all(&count.to_le_bytes())?;
        self.contents.write_all(&keys)
    }

    pub fn finish(mut self) -> io::Result<()> {
        self.ids.flush()?;
        self.counts.flush()?;
        self.contents.flush()
    }
}

/// The images by number: id, and how many contents each holds.
pub fn images(folder: &Path) -> io::Result<Vec<(ImageId, u32)>> {
    let (ids, counts) = (std::fs::read(folder.join("ids"))?, std::fs::read(folder.join("counts"))?);
    let ids = ids.chunks_exact(32).map(|id| ImageId::from_bytes(id.try_into().expect("32 bytes")));
    let counts =
        counts.chunks_exact(4).map(|count| u32::from_le_bytes(count.try_into().expect("four bytes")));
    Ok(ids.zip(counts).collect())
}

/// Hands the keys of every image to `visit`, by number.
pub fn for_each(folder: &Path, mut visit: impl FnMut(u32, &[u64])) -> io::Result<()> {
    let mut contents = BufReader::with_capacity(1 << 20, File::open(folder.join("contents"))?);
    let (mut bytes, mut keys) = (Vec::new(), Vec::new());
    for (number, (_, count)) in (0..).zip(images(folder)?) {
        bytes.resize(8 * count as usize, 0);
        contents.read_exact(&mut bytes)?;
        keys.clear();
        let numbers = bytes.chunks_exact(8);
        keys.extend(numbers.map(|key| u64::from_le_bytes(key.try_into().expect("eight bytes"))));
        visit(number, &keys);
    }
    Ok(())
}
