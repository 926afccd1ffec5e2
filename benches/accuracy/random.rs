//! A seeded source of choices: what one subject is made of depends on its own seed alone, not on the order of threads.

use layerprint_store::Content;
use layerprint_store::id::{ContentId, DiffId, ImageId};

/// SplitMix64: small, and any seed is as good as another.
pub struct Random(u64);

impl Random {
    /// Returns the choices that belong to these words.
    pub fn of(words: &[&str]) -> Self {
        let hash = blake3::hash(words.join("\0").as_bytes());
        let first = hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
        Self(u64::from_le_bytes(*first))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from 0 up to 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns a number between two.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.share()
    }

    /// Returns a number between two, small ones as likely as large ones on a logarithmic scale.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between two numbers of files"
    )]
    pub fn spread(&mut self, low: u32, high: u32) -> u64 {
        self.between(f64::from(low).ln(), f64::from(high).ln()).exp().round() as u64
    }

    /// Returns a number below another, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("less than a usize")
    }

    /// Returns true in so many of all cases.
    pub fn chance(&mut self, share: f64) -> bool {
        self.share() < share
    }

    /// Returns one of these, if there is one.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() { None } else { Some(&from[self.below(from.len())]) }
    }

    /// Puts so many of these in front, in random order, and drops the rest.
    pub fn sample<T>(&mut self, from: &mut Vec<T>, count: usize) {
        let count = count.min(from.len());
        for place in 0..count {
            let other = place + self.below(from.len() - place);
            from.swap(place, other);
        }
        from.truncate(count);
    }

    /// Returns a content that nobody else has.
    pub fn content(&mut self, size_bytes: u64) -> Content {
        Content { id: ContentId::from_bytes(self.bytes()), size_bytes: size_bytes.max(1) }
    }

    /// Returns a content of a size such as source files and libraries have.
    pub fn private(&mut self) -> Content {
        let size_bytes = self.spread(60, 400_000);
        self.content(size_bytes)
    }

    /// Returns a diff ID that nobody else has.
    pub fn diff_id(&mut self) -> DiffId {
        DiffId::from_bytes(self.bytes())
    }

    /// Returns an image ID that nobody else has.
    pub fn image_id(&mut self) -> ImageId {
        ImageId::from_bytes(self.bytes())
    }

    /// Returns a short name of a file or folder.
    pub fn word(&mut self) -> String {
        format!("{:x}", self.next() >> 40)
    }

    fn bytes(&mut self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.next().to_le_bytes()));
        bytes
    }
}
