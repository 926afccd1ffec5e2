//! What a tool answered, so that tools can be held against one another.
//!
//! An answer is every image that shares at least a twentieth of itself with the question, with how many contents
//! and how many bytes. All exact tools must give the same one to the same question.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Answers of each tool that are kept and compared: those to the first so many questions.
pub const CHECKED: usize = 20;
/// Least share of an image that counts as an answer: one part in so many.
const SHARE_DIVISOR: u64 = 20;
/// An image's number, contents and bytes.
const RECORD_BYTES: usize = 16;

/// What one image shares with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shared {
    /// Its number in the matrix.
    pub image: u32,
    /// Distinct contents that both have.
    pub present: u32,
    /// Sum of their sizes.
    pub present_bytes: u64,
}

/// The images that share enough with one question, by number.
pub type Answer = Vec<Shared>;

/// Returns true if this is a share of an image that the former scan reports.
pub fn is_enough(present: u64, total: u64) -> bool {
    present > 0 && present.saturating_mul(SHARE_DIVISOR) >= total
}

/// Writes each answer as a count and its records.
pub fn write(path: &Path, answers: &[Answer]) -> Result<()> {
    let mut bytes = Vec::new();
    for answer in answers {
        bytes.extend(u32::try_from(answer.len()).expect("no more than images").to_le_bytes());
        for shared in answer {
            bytes.extend(shared.image.to_le_bytes());
            bytes.extend(shared.present.to_le_bytes());
            bytes.extend(shared.present_bytes.to_le_bytes());
        }
    }
    fs::write(path, bytes).with_context(|| format!("answers {}", path.display()))
}

/// Reads what [`write`] wrote.
pub fn read(path: &Path) -> Result<Vec<Answer>> {
    let bytes = fs::read(path).with_context(|| format!("answers {}", path.display()))?;
    let (mut rest, mut answers) = (&bytes[..], Vec::new());
    while let Some((count, after)) = rest.split_first_chunk::<4>() {
        let length = RECORD_BYTES * u32::from_le_bytes(*count) as usize;
        ensure!(length <= after.len(), "answers {}: cut short", path.display());
        let (records, after) = after.split_at(length);
        answers.push(records.chunks_exact(RECORD_BYTES).map(record).collect());
        rest = after;
    }
    Ok(answers)
}

fn record(bytes: &[u8]) -> Shared {
    let number = |from: usize| u32::from_le_bytes(bytes[from..from + 4].try_into().expect("four bytes"));
    let present_bytes = u64::from_le_bytes(bytes[8..16].try_into().expect("eight bytes"));
    Shared { image: number(0), present: number(4), present_bytes }
}

/// Fails unless two tools gave the same answers to all questions that both were asked.
///
/// # Errors
///
/// Names the first question, and the first image on which they differ. Fails if there is nothing to compare.
pub fn expect_same(names: (&str, &str), one: &[Answer], other: &[Answer]) -> Result<usize> {
    let asked = one.len().min(other.len());
    ensure!(asked > 0, "{} and {}: no question was answered by both", names.0, names.1);
    for (number, (one, other)) in one.iter().zip(other).enumerate() {
        let differ = one.iter().zip(other).find(|(one, other)| one != other);
        let same = differ.is_none() && one.len() == other.len();
        ensure!(
            same,
            "question {number}: {} has {} images, {} has {}, first difference {differ:?}",
            names.0,
            one.len(),
            names.1,
            other.len()
        );
    }
    Ok(asked)
}
