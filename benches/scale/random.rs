//! Draws that depend on what they are for and on nothing else, so that any image can be made alone and in any order.

use std::f64::consts::TAU;

/// Changes every image that is made.
const SEED: u64 = 20_261_121;

/// Returns a number that looks random and belongs to these parts.
pub fn hash(parts: &[u64]) -> u64 {
    parts.iter().fold(SEED, |state, part| mix(state ^ mix(part.wrapping_add(0x9e37_79b9_7f4a_7c15))))
}

/// The finisher of splitmix64.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A stream of draws.
pub struct Random(u64);

impl Random {
    /// Begins the stream that belongs to these parts.
    pub fn new(parts: &[u64]) -> Self {
        Self(hash(parts))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Returns a number from 0 to 1, without 1.
    pub fn unit(&mut self) -> f64 {
        unit(self.next())
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// Returns a rank below `bound`; rank *r* comes up in proportion to 1/(*r* + 1).
    pub fn zipf(&mut self, bound: u64) -> u64 {
        (whole(real(bound + 1).powf(self.unit())) - 1).min(bound - 1)
    }

    /// Returns a number whose logarithm is normal, within bounds.
    pub fn log_normal(&mut self, median: f64, sigma: f64, min: u64, max: u64) -> u64 {
        let (a, b) = (1.0 - self.unit(), self.unit());
        let normal = (-2.0 * a.ln()).sqrt() * (TAU * b).cos();
        whole(median * (sigma * normal).exp()).clamp(min, max)
    }
}

/// Returns true for this share of all numbers.
pub fn is_in(number: u64, share: f64) -> bool {
    unit(number) < share
}

fn unit(number: u64) -> f64 {
    real(number >> 11) / real(1 << 53)
}

#[expect(clippy::cast_precision_loss, reason = "at most 53 bits, or a count that is only drawn from")]
pub fn real(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and a draw anyway")]
pub fn whole(number: f64) -> u64 {
    number as u64
}
