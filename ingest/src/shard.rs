//! A shard: one part of a list of sources that several machines read, without a coordinator.
//!
//! Every machine gets the whole list and the number of its part; each image falls to exactly one of them, by its
//! configuration's digest, whatever form, name or place it is in. What cannot be opened without reading its layers, or has no
//! configuration, falls to one by how the source is written, which machines must therefore write alike.

use std::fmt;
use std::str::FromStr;

use layerprint_store::id::ImageId;

use crate::plan::ImagePlan;

/// Which part of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    index: u64,
    count: u64,
}

/// A text that is no part of a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; a shard is I/N, the Ith of N shards, such as 1/3")]
pub struct ParseShardError {
    problem: &'static str,
}

impl FromStr for Shard {
    type Err = ParseShardError;

    /// Reads `I/N`, where I is from 1 to N.
    fn from_str(text: &str) -> Result<Self, ParseShardError> {
        let refuse = |problem| Err(ParseShardError { problem });
        // `parse` takes a sign; digits alone have one meaning.
        let number =
            |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u32>());
        let Some((part, count)) = text.split_once('/') else { return refuse("there is no slash in it") };
        let (Some(Ok(part)), Some(Ok(count))) = (number(part), number(count)) else {
            return refuse("it is not two whole numbers");
        };
        match (part, count) {
            (_, 0) => refuse("there are no shards"),
            (0, _) => refuse("shards are counted from 1"),
            (part, count) if part > count => refuse("there are not that many shards"),
            (part, count) => Ok(Self { index: u64::from(part) - 1, count: count.into() }),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.count)
    }
}

impl Shard {
    /// Returns true if a source falls to this shard by how it is written, relative to what was named.
    pub fn has_source(&self, text: &[u8]) -> bool {
        self.has(blake3::hash(text).as_bytes())
    }

    /// Returns true if an image falls to this part. `text` is how its source is written.
    pub fn has_image(&self, plan: &ImagePlan, text: &[u8]) -> bool {
        match plan.has_config {
            true => self.has(ImageId::of_config(&plan.config).as_bytes()),
            // A configuration that was made up is the same for many.
            false => self.has_source(text),
        }
    }

    /// Digests are uniform, so their first 64 bits spread evenly.
    fn has(&self, digest: &[u8; 32]) -> bool {
        let head = digest[..8].try_into().expect("eight of 32 bytes");
        u64::from_be_bytes(head) % self.count == self.index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_written_as_it_is_read() {
        for text in ["1/1", "1/3", "3/3", "4294967295/4294967295"] {
            assert_eq!(text.parse::<Shard>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_part_of_a_whole_is_refused_with_a_reason() {
        let cases = [
            ("3", "there is no slash in it"),
            ("", "there is no slash in it"),
            ("1/", "it is not two whole numbers"),
            ("/2", "it is not two whole numbers"),
            ("+1/2", "it is not two whole numbers"),
            ("1/2/3", "it is not two whole numbers"),
            ("1/4294967296", "it is not two whole numbers"),
            ("-1/2", "it is not two whole numbers"),
            ("1/0", "there are no shards"),
            ("0/3", "shards are counted from 1"),
            ("4/3", "there are not that many shards"),
        ];
        for (text, problem) in cases {
            let expected = format!("{problem}; a shard is I/N, the Ith of N shards, such as 1/3");
            assert_eq!(text.parse::<Shard>().unwrap_err().to_string(), expected, "{text:?}");
        }
    }

    #[test]
    fn the_parts_of_digests_are_pinned_for_machines_of_other_versions() {
        let mut digest = [0xff; 32];
        digest[..8].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 7]);
        for count in 1..=20_u64 {
            let owners: Vec<u64> =
                (0..count).filter(|index| Shard { index: *index, count }.has(&digest)).collect();
            assert_eq!(owners, [7 % count]);
        }
        let part: Shard = "2/3".parse().unwrap();
        assert_eq!(
            ["a", "b", "c", "d", "e", "f"].map(|text| part.has_source(text.as_bytes())),
            PINNED_2_OF_3
        );
    }

    const PINNED_2_OF_3: [bool; 6] = [false, true, false, true, false, false];
}
